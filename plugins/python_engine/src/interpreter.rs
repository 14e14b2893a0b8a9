//! Finds a Python interpreter of a version that the engine runs on.

use std::ffi::OsStr;
use std::fmt;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::answer::answer;
use crate::output::{ending, last_lines};

/// What is asked of an interpreter: its version, where it really is, as a launcher may stand before it, and what kind it is. The path is in
/// UTF-8, whatever the locale.
const QUESTION: &str = "import json, os, sys; print(json.dumps([list(sys.version_info[:3]), \
                        os.fsencode(sys.executable).decode(errors='replace'), \
                        sys.implementation.name, getattr(sys, 'abiflags', ''), os.uname().machine]))";

/// The answer.
#[derive(serde::Deserialize)]
struct Answer(Version, PathBuf, #[serde(default)] String, #[serde(default)] String, #[serde(default)] String);

/// What packages are built for, beside the version.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Kind {
    implementation: String,
    /// The flags of its binary interface.
    flags: String,
    machine: String,
}

impl Kind {
    /// Whether what was installed for this kind works with the `other`. Where it is empty, nobody had asked.
    pub(crate) fn is_compatible(&self, other: &Self) -> bool {
        *self == Self::default() || self == other
    }

    /// Whether it is known to be of another kind of machine than this one.
    pub(crate) fn is_of_another_machine(&self) -> bool {
        !self.machine.is_empty() && self.machine != machine()
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { implementation, flags, machine } = self;
        let flags = if flags.is_empty() { String::new() } else { format!(" with the ABI flags {flags}") };
        write!(formatter, "{implementation}{flags} on {machine}")
    }
}

/// The kind of this machine, as Python says it too.
pub(crate) fn machine() -> String {
    rustix::system::uname().machine().to_string_lossy().into_owned()
}

/// Versions of Python, by major and minor number, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PythonRange {
    first: (u8, u8),
    last: (u8, u8),
}

impl PythonRange {
    /// From `first` to `last`, both included: `PythonRange::new((3, 9), (3, 13))`.
    pub const fn new(first: (u8, u8), last: (u8, u8)) -> Self {
        Self { first, last }
    }

    fn contains(self, version: Version) -> bool {
        (self.first..=self.last).contains(&(version.0, version.1))
    }

    /// The names under which such an interpreter may be found: what the user calls Python, then the newest version. (A
    /// version manager's launchers for versions that are not there take long to say so.)
    fn names(self) -> impl Iterator<Item = String> {
        let (major, newest) = self.last;
        let oldest = if self.first.0 == major { self.first.1 } else { 0 };
        let versioned = (oldest..=newest).rev().map(move |minor| format!("python{major}.{minor}"));
        ["python3".into(), "python".into()].into_iter().chain(versioned)
    }
}

impl fmt::Display for PythonRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = (self.first, self.last);
        write!(formatter, "{}.{} to {}.{}", first.0, first.1, last.0, last.1)
    }
}

/// Major, minor and micro version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Version(u8, u8, u8);

impl Version {
    /// Whether what was installed for one of them works with the other.
    pub(crate) fn is_compatible(self, other: Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }

    /// Major and minor version, as in the interpreter's name.
    pub(crate) fn minor(self) -> String {
        format!("{}.{}", self.0, self.1)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// An interpreter that answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interpreter {
    pub(crate) executable: PathBuf,
    pub(crate) version: Version,
    pub(crate) kind: Kind,
    /// What it is, if many packages are not published for it.
    pub(crate) unusual: Option<&'static str>,
}

/// What an implementation of Python with these flags of its binary interface is, if it is not the one that all packages are for.
fn unusual(implementation: &str, flags: &str) -> Option<&'static str> {
    match implementation {
        "" | "cpython" => flags.contains('t').then_some("a free-threaded Python"),
        "pypy" => Some("PyPy"),
        "graalpy" => Some("GraalPy"),
        _ => Some("another Python than CPython"),
    }
}

/// Why there is no interpreter.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InterpreterError {
    #[error("no Python {0} is on the PATH")]
    Missing(PythonRange),
    #[error("{} is Python {version}, but {range} is needed", path.display())]
    OutOfRange { path: PathBuf, version: Version, range: PythonRange },
    #[error("{} is not a Python that works: {why}", path.display())]
    Broken { path: PathBuf, why: String },
    /// It may work, on a machine that is less busy.
    #[error("{} is not a Python that works: {why}", path.display())]
    Silent { path: PathBuf, why: String },
}

impl Interpreter {
    /// The interpreter at `chosen`, or else the first one on `search` (as `PATH`) whose version is in `range`.
    pub(crate) fn find(
        chosen: Option<&Path>,
        range: PythonRange,
        search: Option<&OsStr>,
    ) -> Result<Self, InterpreterError> {
        match chosen {
            Some(path) => Self::ask(path)?.within(range),
            None => Self::first(range, search, |_| true),
        }
    }

    /// The same for an engine with packages: of those on `search`, one that is unusual is taken only if there is no other.
    pub(crate) fn find_for_packages(
        chosen: Option<&Path>,
        range: PythonRange,
        search: Option<&OsStr>,
    ) -> Result<Self, InterpreterError> {
        let found = Self::find(chosen, range, search)?;
        if chosen.is_some() || found.unusual.is_none() {
            return Ok(found);
        }
        Ok(Self::first(range, search, |other| other.unusual.is_none()).unwrap_or(found))
    }

    fn first(
        range: PythonRange,
        search: Option<&OsStr>,
        is_wanted: impl Fn(&Self) -> bool,
    ) -> Result<Self, InterpreterError> {
        let mut refused = None;
        for path in candidates(range, search) {
            match Self::ask(&path).and_then(|found| found.within(range)) {
                Ok(found) if is_wanted(&found) => return Ok(found),
                Ok(_) => {}
                // A version that does not fit says more than that a launcher of a version manager led nowhere.
                Err(error @ InterpreterError::OutOfRange { .. }) if !is_out_of_range(refused.as_ref()) => {
                    refused = Some(error);
                }
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        Err(refused.unwrap_or(InterpreterError::Missing(range)))
    }

    /// Starts the interpreter at `path`, to hear its version. It ends before this returns.
    pub(crate) fn ask(path: &Path) -> Result<Self, InterpreterError> {
        let broken = |why: String| InterpreterError::Broken { path: path.into(), why };
        let mut command = Command::new(path);
        command.args(["-I", "-S", "-c", QUESTION]);
        without_settings(&mut command);
        let output = answer(&mut command).map_err(|error| match error.kind() {
            ErrorKind::TimedOut => InterpreterError::Silent { path: path.into(), why: error.to_string() },
            _ => broken(error.to_string()),
        })?;
        if !output.status.success() {
            let said = last_lines(&String::from_utf8_lossy(&output.stderr), 1);
            return Err(broken(if said.is_empty() { ending(output.status) } else { said }));
        }
        let Answer(version, executable, implementation, flags, machine) =
            serde_json::from_slice(&output.stdout)
                .map_err(|_| broken("it does not answer as Python does".into()))?;
        let unusual = unusual(&implementation, &flags);
        Ok(Self { executable, version, kind: Kind { implementation, flags, machine }, unusual })
    }

    fn within(self, range: PythonRange) -> Result<Self, InterpreterError> {
        if range.contains(self.version) {
            return Ok(self);
        }
        Err(InterpreterError::OutOfRange { path: self.executable, version: self.version, range })
    }
}

/// Takes the settings of Python from `command`. An isolated Python obeys one of them: from 3.11 on it takes `PYTHONEXECUTABLE` for its own
/// path. All else stays, as the launcher of a version manager has variables of its own.
fn without_settings(command: &mut Command) {
    let names = std::env::vars_os().map(|(name, _)| name);
    for name in names.filter(|name| name.as_encoded_bytes().starts_with(b"PYTHON")) {
        command.env_remove(name);
    }
}

fn is_out_of_range(error: Option<&InterpreterError>) -> bool {
    matches!(error, Some(InterpreterError::OutOfRange { .. }))
}

/// Executable files on `search` that are called like an interpreter of `range`. Nothing is started.
fn candidates(range: PythonRange, search: Option<&OsStr>) -> impl Iterator<Item = PathBuf> {
    let folders: Vec<PathBuf> = search.map(|path| std::env::split_paths(path).collect()).unwrap_or_default();
    range.names().flat_map(move |name| {
        let files: Vec<PathBuf> = folders.iter().map(|folder| folder.join(&name)).collect();
        files.into_iter().filter(|path| is_executable(path))
    })
}

/// The first file called `name` on `search` that may be executed.
pub(crate) fn on_path(name: &str, search: Option<&OsStr>) -> Option<PathBuf> {
    std::env::split_paths(search?).map(|folder| folder.join(name)).find(|path| is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|facts| facts.is_file() && facts.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::program;

    const RANGE: PythonRange = PythonRange::new((3, 9), (3, 11));

    /// A program that answers as an interpreter of this version.
    fn python(folder: &Path, name: &str, minor: u8) -> PathBuf {
        let path = folder.join(name);
        program(folder, name, &format!("echo '[[3, {minor}, 1], \"{}\"]'", path.display()))
    }

    fn find(folder: &Path) -> Result<Interpreter, InterpreterError> {
        Interpreter::find(None, RANGE, Some(folder.as_os_str()))
    }

    #[test]
    fn the_users_own_python_is_taken_or_else_the_newest_in_range() {
        let folder = tempfile::tempdir().unwrap();
        let kind = Kind::default();
        let found =
            |executable, version| Interpreter { executable, version, kind: kind.clone(), unusual: None };
        python(folder.path(), "python3.9", 9);
        let newer = python(folder.path(), "python3.11", 11);
        python(folder.path(), "python3", 12);
        assert_eq!(find(folder.path()).unwrap(), found(newer, Version(3, 11, 1)));
        let own = python(folder.path(), "python3", 10);
        assert_eq!(find(folder.path()).unwrap(), found(own, Version(3, 10, 1)));
    }

    #[test]
    fn for_packages_the_usual_python_is_taken_if_there_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("python3");
        let answer = format!("echo '[[3, 11, 1], \"{}\", \"pypy\", \"\"]'", path.display());
        program(folder.path(), "python3", &answer);
        let search = Some(folder.path().as_os_str());
        let found = || Interpreter::find_for_packages(None, RANGE, search).unwrap();
        assert_eq!((found().executable, found().unusual), (path.clone(), Some("PyPy")));
        let usual = python(folder.path(), "python3.10", 10);
        assert_eq!((found().executable, found().unusual), (usual, None));
        // Without packages, or if the user has chosen it, it is as good as any.
        assert_eq!(find(folder.path()).unwrap().executable, path);
        let chosen = Interpreter::find_for_packages(Some(&path), RANGE, search).unwrap();
        assert_eq!(chosen.executable, path);
        assert_eq!(unusual("cpython", "d"), None);
        assert_eq!(unusual("cpython", "t"), Some("a free-threaded Python"));
    }

    #[test]
    fn a_path_is_told_as_it_is_whatever_the_locale() {
        let search = std::env::var_os("PATH");
        let Ok(real) = Interpreter::find(None, PythonRange::new((3, 9), (3, 14)), search.as_deref()) else {
            return;
        };
        let folder = tempfile::Builder::new().prefix("é").tempdir().unwrap();
        let link = folder.path().join("python3");
        std::os::unix::fs::symlink(&real.executable, &link).unwrap();
        let mut command = Command::new(&link);
        command.env("LC_ALL", "C").env("PYTHONCOERCECLOCALE", "0");
        let told = command.args(["-X", "utf8=0", "-S", "-c", QUESTION]).output().unwrap();
        let told: Answer = serde_json::from_slice(&told.stdout).unwrap();
        assert_eq!((told.1, told.4), (link, machine()));
    }

    #[test]
    fn a_launcher_that_leads_nowhere_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        program(folder.path(), "python3", "echo 'command not found' >&2; exit 127");
        let versioned = python(folder.path(), "python3.10", 10);
        assert_eq!(find(folder.path()).unwrap().executable, versioned);
    }

    #[test]
    fn an_error_says_why_an_interpreter_cannot_be_used() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(find(folder.path()).unwrap_err().to_string(), "no Python 3.9 to 3.11 is on the PATH");
        let newer = python(folder.path(), "python3", 12);
        let error = find(folder.path()).unwrap_err().to_string();
        assert_eq!(error, format!("{} is Python 3.12.1, but 3.9 to 3.11 is needed", newer.display()));
        let shim = program(folder.path(), "python3", "exit 127");
        let error = find(folder.path()).unwrap_err().to_string();
        assert_eq!(error, format!("{} is not a Python that works: exited with code 127", shim.display()));
        let broken = program(folder.path(), "mine", "echo oh >&2; exit 1");
        let error = Interpreter::find(Some(&broken), RANGE, None).unwrap_err().to_string();
        assert_eq!(error, format!("{} is not a Python that works: oh", broken.display()));
        let none = Interpreter::find(Some(Path::new("/no/such")), RANGE, None).unwrap_err();
        assert!(matches!(none, InterpreterError::Broken { .. }), "{none}");
    }

    #[test]
    fn only_executable_files_are_candidates_and_none_is_started() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("python3.10"), "").unwrap();
        std::fs::create_dir(folder.path().join("python3.9")).unwrap();
        let trap = program(folder.path(), "python", "touch \"$0.started\"");
        let search = Some(folder.path().as_os_str());
        assert_eq!(candidates(RANGE, search).collect::<Vec<_>>(), std::slice::from_ref(&trap));
        assert!(!folder.path().join("python.started").exists());
        assert_eq!(on_path("python", search), Some(trap));
        assert_eq!(on_path("python3.10", search), None);
    }
}
