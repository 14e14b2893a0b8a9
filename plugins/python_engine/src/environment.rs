//! An engine's own environment: where it is, and whether it is whole.
//!
//! `<data folder>/environments/<engine>/<hash>/` is a virtual environment. The hash is of the requirements and the
//! interpreter. A marker is written last: a folder without one is what an interrupted set-up left, and is never used.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::engine::Engine;
use crate::interpreter::{Interpreter, InterpreterError, Kind, Version, machine};

const MARKER: &str = "crossrun-environment.json";
const SCHEMA: u32 = 1;

/// How often a set-up that waits for another one looks again.
const LOCK_TICK: Duration = Duration::from_millis(50);

/// The content of the marker.
#[derive(Serialize, Deserialize)]
struct Marker {
    schema: u32,
    /// SHA-256 of the requirements that were installed.
    requirements: String,
    python: Version,
    /// Empty in an environment of an earlier crossrun.
    #[serde(default)]
    kind: Kind,
    /// The interpreter that the environment was made with.
    base: PathBuf,
    /// Where modules are, from the environment's folder.
    modules: PathBuf,
}

/// An environment that is whole.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Environment {
    folder: PathBuf,
}

impl Environment {
    pub(crate) fn python(&self) -> PathBuf {
        python(&self.folder)
    }
}

/// Why there is no environment to use.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unready {
    #[error("{0} is not set up")]
    Missing(&'static str),
    #[error("whether {name} is set up is not known: this user may not read {}", data_dir.display())]
    Unreadable { name: &'static str, data_dir: PathBuf },
    #[error("the environment of {name} is damaged: {} is gone", path.display())]
    Damaged { name: &'static str, path: PathBuf },
    #[error("the environment of {name} was made with Python {made}, but its Python is {now} now")]
    Changed { name: &'static str, made: Version, now: Version },
    /// As in a home folder that several machines have.
    #[error("the environment of {name} was made for {made}, and this is {now}")]
    Foreign { name: &'static str, made: String, now: String, of_another_machine: bool },
    #[error("the environment of {name} is damaged: {why}")]
    Broken { name: &'static str, why: String },
    /// Its Python did not answer in time.
    #[error("whether the environment of {name} is whole is not known: {why}")]
    Silent { name: &'static str, why: String },
}

/// All environments of one engine.
pub(crate) struct Environments<'a> {
    engine: &'a Engine,
    root: PathBuf,
}

impl<'a> Environments<'a> {
    pub(crate) fn new(engine: &'a Engine, data_dir: &Path) -> Self {
        Self { engine, root: data_dir.join("environments") }
    }

    fn folder(&self) -> PathBuf {
        self.root.join(self.engine.name)
    }

    /// Where the environment on `interpreter` belongs.
    pub(crate) fn place(&self, interpreter: &Interpreter) -> PathBuf {
        let mut digest = Sha256::new();
        digest.update(self.engine.requirements_hash());
        digest.update(interpreter.version.to_string());
        digest.update(interpreter.executable.as_os_str().as_encoded_bytes());
        self.folder().join(&hex::encode(digest.finalize())[..16])
    }

    /// The environment with what this engine requires. Reads a few files, and asks its Python for the version.
    pub(crate) fn find(&self) -> Result<Environment, Unready> {
        let name = self.engine.name;
        let entries = match fs::read_dir(self.folder()) {
            // As after a set-up by root, in an image whose containers run as another user.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                let data_dir = self.root.parent().unwrap_or(&self.root).to_owned();
                return Err(Unready::Unreadable { name, data_dir });
            }
            entries => entries.into_iter().flatten(),
        };
        let mut found = Err(Unready::Missing(name));
        for entry in entries.flatten() {
            match self.check(&entry.path()) {
                Err(Unready::Missing(_)) => {}
                Ok(environment) => return Ok(environment),
                // It may be whole, whatever another one lacks.
                _ if matches!(found, Err(Unready::Silent { .. })) => {}
                damaged => found = damaged,
            }
        }
        found
    }

    /// Whether the environment in `folder` is whole and has what this engine requires.
    pub(crate) fn check(&self, folder: &Path) -> Result<Environment, Unready> {
        let name = self.engine.name;
        let marker = fs::read(folder.join(MARKER)).ok();
        let marker = marker.and_then(|text| serde_json::from_slice::<Marker>(&text).ok());
        let fits = |marker: &Marker| {
            marker.schema == SCHEMA && marker.requirements == self.engine.requirements_hash()
        };
        let marker = marker.filter(fits).ok_or(Unready::Missing(name))?;
        let of_another_machine = marker.kind.is_of_another_machine();
        let foreign =
            |now: String| Unready::Foreign { name, made: marker.kind.to_string(), now, of_another_machine };
        let now = match self.interpreter(folder, &marker) {
            // Its Python need not be there on this machine, or cannot be started.
            Err(_) if of_another_machine => return Err(foreign(machine())),
            asked => asked?,
        };
        if !marker.kind.is_compatible(&now.kind) {
            return Err(foreign(now.kind.to_string()));
        }
        match marker.python.is_compatible(now.version) {
            true => Ok(Environment { folder: folder.into() }),
            false => Err(Unready::Changed { name, made: marker.python, now: now.version }),
        }
    }

    /// The interpreter of the environment in `folder`, as it is now.
    fn interpreter(&self, folder: &Path, marker: &Marker) -> Result<Interpreter, Unready> {
        let name = self.engine.name;
        let module = folder.join(&marker.modules).join(self.engine.import_check.replace('.', "/"));
        // The interpreter is a link to the one that the environment was made with, which may be gone.
        let gone = [python(folder), module].into_iter().find(|path| !exists(path));
        if let Some(path) = gone {
            return Err(Unready::Damaged { name, path });
        }
        // A distribution replaces its Python in place, and a launcher of a version manager may lead nowhere.
        let asked = Interpreter::ask(&python(folder));
        asked.map_err(|error| match &error {
            InterpreterError::Silent { .. } => Unready::Silent { name, why: error.to_string() },
            _ => Unready::Broken { name, why: error.to_string() },
        })
    }

    /// Declares the environment in `folder` whole.
    pub(crate) fn mark(&self, folder: &Path, interpreter: &Interpreter) -> io::Result<()> {
        let marker = Marker {
            schema: SCHEMA,
            requirements: self.engine.requirements_hash(),
            python: interpreter.version,
            kind: interpreter.kind.clone(),
            base: interpreter.executable.clone(),
            modules: modules(folder)?,
        };
        let partial = folder.join(format!("{MARKER}.partial-{}", std::process::id()));
        fs::write(&partial, serde_json::to_vec(&marker)?)?;
        match File::open(&partial)?.sync_all() {
            Err(error) if is_unknown(&error) => {}
            synced => synced?,
        }
        fs::rename(partial, folder.join(MARKER))
    }

    /// Waits until no other set-up of this engine runs. Returns `None` if `cancelled` is true before that.
    pub(crate) fn lock(&self, cancelled: impl Fn() -> bool) -> io::Result<Option<File>> {
        private_folder(&self.root)?;
        let file = lock_file(&self.root.join(format!("{}.lock", self.engine.name)))?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Some(file)),
                Err(TryLockError::Error(error)) if is_unknown(&error) => return Ok(Some(file)),
                Err(TryLockError::Error(error)) => return Err(error),
                Err(TryLockError::WouldBlock) if cancelled() => return Ok(None),
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_TICK),
            }
        }
    }

    /// Deletes what interrupted set-ups left, and the damaged environment in `place`.
    pub(crate) fn sweep_incomplete(&self, place: &Path) -> io::Result<()> {
        self.discard_where(|folder| folder == place || !folder.join(MARKER).exists())
    }

    /// Deletes every environment of this engine but `kept`: those of other requirements or interpreters.
    pub(crate) fn sweep_others(&self, kept: &Path) -> io::Result<()> {
        self.discard_where(|folder| folder != kept)
    }

    fn discard_where(&self, unwanted: impl Fn(&Path) -> bool) -> io::Result<()> {
        for entry in fs::read_dir(self.folder()).into_iter().flatten() {
            let path = entry?.path();
            if unwanted(&path) {
                self.discard(&path)?;
            }
        }
        self.delete_discarded()
    }

    /// Deletes all that was installed for this engine.
    pub(crate) fn remove(&self) -> io::Result<()> {
        self.discard(&self.folder())?;
        self.delete_discarded()
    }

    /// Renames a folder in one step, so that no other process finds half of it.
    fn discard(&self, folder: &Path) -> io::Result<()> {
        let mut number = 0;
        loop {
            let discarded = self.root.join(format!("{}{number}", self.discarded_prefix()));
            match fs::rename(folder, &discarded) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(error) if is_taken(&error) => number += 1,
                // In a container a folder of its image can be removed, but not renamed.
                Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                    return remove_in_place(folder);
                }
                renamed => return renamed,
            }
        }
    }

    fn delete_discarded(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.root).into_iter().flatten() {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(&self.discarded_prefix()) {
                remove_any(&entry.path())?;
            }
        }
        Ok(())
    }

    fn discarded_prefix(&self) -> String {
        format!(".removed-{}-", self.engine.name)
    }
}

/// Removes a folder, or the file or link that somebody has put in its place.
pub(crate) fn remove_any(path: &Path) -> io::Result<()> {
    if path.symlink_metadata()?.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

/// Removes a folder that cannot be renamed. The markers go first: an environment without one is never used.
fn remove_in_place(folder: &Path) -> io::Result<()> {
    let within = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    for place in within.chain([folder.to_owned()]) {
        // Only environments have one.
        let _ = fs::remove_file(place.join(MARKER));
    }
    remove_any(folder)
}

/// Opens the file of a lock, and empties none. A pipe in its place is not waited for.
fn lock_file(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK.bits() as i32;
    let file = File::options().append(true).create(true).custom_flags(flags).open(path)?;
    let why = || io::Error::new(io::ErrorKind::InvalidInput, "the lock is not a regular file");
    if file.metadata()?.is_file() { Ok(file) } else { Err(why()) }
}

/// Makes a folder that nobody else can write to, whatever the umask allows to a group: programs are started from it.
pub(crate) fn private_folder(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// The interpreter of the environment in `folder`.
pub(crate) fn python(folder: &Path) -> PathBuf {
    folder.join("bin/python")
}

/// A module is a file or a folder; both are looked for, as the path of either.
fn exists(path: &Path) -> bool {
    path.exists() || path.with_extension("py").exists()
}

/// The folder of modules, from the environment's own.
fn modules(folder: &Path) -> io::Result<PathBuf> {
    for entry in fs::read_dir(folder.join("lib"))? {
        let name = entry?.file_name();
        if name.to_string_lossy().starts_with("python") {
            return Ok(Path::new("lib").join(name).join("site-packages"));
        }
    }
    Err(io::Error::new(io::ErrorKind::NotFound, "the new environment has no folder of modules"))
}

fn is_taken(error: &io::Error) -> bool {
    use io::ErrorKind::{AlreadyExists, DirectoryNotEmpty, IsADirectory, NotADirectory};
    [AlreadyExists, DirectoryNotEmpty, IsADirectory, NotADirectory].contains(&error.kind())
}

/// Whether this error is that of a file system without such a call: some of Lustre and NFS have no locks.
fn is_unknown(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let without = [Errno::NOSYS, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::NOLCK, Errno::INVAL];
    without.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::fixture::{ENGINE, program};
    use crate::interpreter::PythonRange;

    /// A data folder with an environment that looks as an installer leaves it.
    fn installed() -> (tempfile::TempDir, PathBuf) {
        let data = tempfile::tempdir().unwrap();
        let interpreter = interpreter(data.path());
        let environments = Environments::new(&ENGINE, data.path());
        let folder = environments.place(&interpreter);
        fs::create_dir_all(folder.join("lib/python3.11/site-packages/one")).unwrap();
        fs::write(folder.join("lib/python3.11/site-packages/one/part.py"), "").unwrap();
        fs::create_dir(folder.join("bin")).unwrap();
        std::os::unix::fs::symlink(&interpreter.executable, python(&folder)).unwrap();
        environments.mark(&folder, &interpreter).unwrap();
        (data, folder)
    }

    fn interpreter(folder: &Path) -> Interpreter {
        let path = base(folder, 11);
        Interpreter::find(Some(&path), PythonRange::new((3, 9), (3, 11)), None).unwrap()
    }

    /// A program that answers as Python 3.`minor`.
    fn base(folder: &Path, minor: u8) -> PathBuf {
        let path = folder.join("base");
        program(folder, "base", &format!("echo '[[3, {minor}, 1], \"{}\"]'", path.display()))
    }

    #[test]
    fn a_python_that_has_changed_under_its_environment_is_noticed() {
        let (data, _) = installed();
        let find = || Environments::new(&ENGINE, data.path()).find().unwrap_err().to_string();
        base(data.path(), 12);
        assert_eq!(
            find(),
            "the environment of tested was made with Python 3.11.1, but its Python is 3.12.1 now"
        );
        program(data.path(), "base", "exit 127");
        assert!(find().ends_with("is not a Python that works: exited with code 127"), "{}", find());
    }

    #[test]
    fn an_environment_of_another_kind_of_python_or_machine_is_told() {
        let (data, folder) = installed();
        let environments = Environments::new(&ENGINE, data.path());
        let path = data.path().join("base");
        let becomes = |flags: &str, machine: &str| {
            let answer =
                format!("[[3, 11, 1], \"{}\", \"cpython\", \"{flags}\", \"{machine}\"]", path.display());
            program(data.path(), "base", &format!("echo '{answer}'"));
        };
        let find = || environments.find().unwrap_err().to_string();
        // An earlier crossrun had not asked.
        becomes("", "one");
        let mut marker: serde_json::Value =
            serde_json::from_slice(&fs::read(folder.join(MARKER)).unwrap()).unwrap();
        assert!(marker.as_object_mut().unwrap().remove("kind").is_some());
        fs::write(folder.join(MARKER), marker.to_string()).unwrap();
        assert!(environments.find().is_ok());

        environments.mark(&folder, &Interpreter::ask(&path).unwrap()).unwrap();
        assert!(environments.find().is_ok());
        let made = "the environment of tested was made for cpython on one, and this is";
        becomes("t", "one");
        assert_eq!(find(), format!("{made} cpython with the ABI flags t on one"));
        becomes("", "other");
        assert_eq!(find(), format!("{made} cpython on other"));
        program(data.path(), "base", "exit 126");
        assert_eq!(find(), format!("{made} {}", machine()));
        fs::remove_file(&path).unwrap();
        assert_eq!(find(), format!("{made} {}", machine()));
    }

    #[test]
    fn a_whole_environment_is_found() {
        let (data, folder) = installed();
        assert_eq!(Environments::new(&ENGINE, data.path()).find(), Ok(Environment { folder }));
    }

    #[test]
    fn environments_that_this_user_may_not_read_are_not_missing() {
        use std::os::unix::fs::PermissionsExt as _;
        let (data, _) = installed();
        let environments = Environments::new(&ENGINE, data.path());
        let allow = |mode| fs::set_permissions(&environments.root, fs::Permissions::from_mode(mode)).unwrap();
        allow(0);
        let found = environments.find();
        allow(0o700);
        // Root may read everything.
        let expected = Unready::Unreadable { name: "tested", data_dir: data.path().into() };
        assert!(found == Err(expected) || rustix::process::geteuid().is_root() && found.is_ok());
    }

    #[test]
    fn what_was_deleted_afterwards_is_named() {
        for gone in ["base", "lib/python3.11/site-packages/one/part.py", "lib"] {
            let (data, folder) = installed();
            let path = if gone == "base" { data.path().join(gone) } else { folder.join(gone) };
            if path.is_dir() {
                fs::remove_dir_all(path).unwrap()
            } else {
                fs::remove_file(path).unwrap()
            }
            let error = Environments::new(&ENGINE, data.path()).find().unwrap_err().to_string();
            assert!(error.starts_with("the environment of tested is damaged: "), "{error}");
        }
    }

    #[test]
    fn without_a_marker_or_with_other_requirements_there_is_none() {
        const NEWER: Engine = Engine { requirements: "one==2 --hash=sha256:22", ..ENGINE };
        let (data, folder) = installed();
        assert_eq!(Environments::new(&NEWER, data.path()).find(), Err(Unready::Missing("tested")));
        fs::remove_file(folder.join(MARKER)).unwrap();
        assert_eq!(Environments::new(&ENGINE, data.path()).find(), Err(Unready::Missing("tested")));
    }

    #[test]
    fn sweeping_keeps_what_is_whole_and_removing_keeps_nothing() {
        let (data, folder) = installed();
        let environments = Environments::new(&ENGINE, data.path());
        let half = folder.with_file_name("half");
        fs::create_dir(&half).unwrap();
        environments.sweep_incomplete(&folder.with_file_name("new")).unwrap();
        assert!(!half.exists());
        environments.sweep_others(&folder).unwrap();
        assert!(environments.find().is_ok());
        environments.remove().unwrap();
        environments.remove().unwrap();
        assert_eq!(environments.find(), Err(Unready::Missing("tested")));
        assert_eq!(fs::read_dir(data.path().join("environments")).unwrap().count(), 0);
    }

    #[test]
    fn files_among_the_environments_are_removed_as_folders_are() {
        let (data, folder) = installed();
        let environments = Environments::new(&ENGINE, data.path());
        fs::write(folder.with_file_name(".DS_Store"), "").unwrap();
        // Left by an earlier attempt.
        fs::write(data.path().join("environments/.removed-tested-0"), "").unwrap();
        fs::create_dir(folder.with_file_name("half")).unwrap();
        environments.sweep_incomplete(&folder.with_file_name("new")).unwrap();
        assert_eq!(fs::read_dir(environments.folder()).unwrap().count(), 1);
        assert_eq!(fs::read_dir(&environments.root).unwrap().count(), 1);
        environments.remove().unwrap();
        fs::write(environments.folder(), "").unwrap();
        environments.remove().unwrap();
        assert_eq!(fs::read_dir(&environments.root).unwrap().count(), 0);
    }

    #[test]
    fn what_cannot_be_renamed_is_removed_where_it_is() {
        let (data, folder) = installed();
        let environments = Environments::new(&ENGINE, data.path());
        remove_in_place(&folder).unwrap();
        assert!(!folder.exists() && environments.folder().exists());
        let (data, folder) = installed();
        let environments = Environments::new(&ENGINE, data.path());
        remove_in_place(&environments.folder()).unwrap();
        assert!(!folder.exists() && !environments.folder().exists());
    }

    #[test]
    fn a_lock_empties_no_file_and_waits_for_no_pipe() {
        let data = tempfile::tempdir().unwrap();
        let environments = Environments::new(&ENGINE, data.path());
        fs::create_dir(&environments.root).unwrap();
        let (lock, precious) = (environments.root.join("tested.lock"), data.path().join("precious"));
        fs::write(&precious, "precious").unwrap();
        std::os::unix::fs::symlink(&precious, &lock).unwrap();
        assert!(environments.lock(|| false).unwrap().is_some());
        assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
        fs::remove_file(&lock).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&lock).status().unwrap();
        assert!(made.success() && environments.lock(|| false).is_err());
    }

    #[test]
    fn one_set_up_at_a_time_holds_the_lock() {
        let data = tempfile::tempdir().unwrap();
        let environments = Environments::new(&ENGINE, data.path());
        let held = environments.lock(|| false).unwrap().unwrap();
        assert!(environments.lock(|| true).unwrap().is_none());
        // A child that another test is just starting has the open file too, and holds the lock with it.
        held.unlock().unwrap();
        assert!(environments.lock(|| true).unwrap().is_some());
    }
}
