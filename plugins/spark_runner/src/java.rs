//! Whether there is a Java, as Spark's own scripts look for one, and which.

mod installation;

use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use plugin_api::{ErrorKind, RunnerError};
use python_engine::{Variables, answer, restrict};

/// The oldest version on which Spark runs.
const OLDEST: u32 = 17;

/// The variables of the user's environment that Spark gets. `JAVA_TOOL_OPTIONS`, `HADOOP_CONF_DIR` and their like are none of them.
pub(crate) const VARIABLES: Variables =
    &[("JAVA_HOME", "where Java is"), ("PYSPARK_PYTHON", "the Python of the machines of a cluster")];

/// Why Spark cannot start.
#[derive(Debug, PartialEq, Eq)]
enum Unfit {
    Missing,
    /// `JAVA_HOME` leads nowhere, and hides the `PATH`.
    Gone {
        home: PathBuf,
    },
    /// A Java of another version.
    Old {
        java: PathBuf,
        version: String,
    },
    /// It does not print its version.
    Broken {
        java: PathBuf,
        why: String,
    },
}

impl fmt::Display for Unfit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "spark needs Java {OLDEST} or later, ")?;
        match self {
            Self::Missing => formatter.write_str("and there is no java on the PATH or in JAVA_HOME"),
            Self::Gone { home } => write!(formatter, "but JAVA_HOME={} has no bin/java", home.display()),
            Self::Old { java, version } => write!(formatter, "but {} is {version}", java.display()),
            Self::Broken { java, why } => write!(formatter, "but {} does not work: {why}", java.display()),
        }
    }
}

impl Unfit {
    /// A command after which Spark finds a Java that is new enough.
    fn remedy(&self) -> String {
        let hidden = || find(None, env::var_os("PATH").as_deref()).is_ok_and(|java| fitting(java).is_ok());
        // What is installed is not found as long as `JAVA_HOME` leads elsewhere.
        let remedy = match set_home() {
            Some(_) if hidden() => Some("unset JAVA_HOME".to_owned()),
            Some(_) => install().map(|install| format!("unset JAVA_HOME; {install}")),
            None => self.other_home(env::var_os("PATH").as_deref()).or_else(install),
        };
        remedy.unwrap_or_else(|| format!("export JAVA_HOME=FOLDER_OF_A_JAVA_{OLDEST}_OR_LATER"))
    }

    /// What names another Java of the `PATH`, which is new enough but behind the one that was found.
    fn other_home(&self, search: Option<&OsStr>) -> Option<String> {
        let (Self::Old { java: first, .. } | Self::Broken { java: first, .. }) = self else { return None };
        let javas = env::split_paths(search?).map(|folder| folder.join("java"));
        let mut others = javas.filter(|java| java != first && is_executable(java));
        let other = others.find(|java| fitting(java.clone()).is_ok())?.canonicalize().ok()?;
        let home = other.parent()?.parent()?.to_str()?;
        let is_plain =
            !home.contains(|letter: char| !letter.is_ascii_alphanumeric() && !"/._+-".contains(letter));
        is_plain.then(|| format!("export JAVA_HOME={home}"))
    }
}

/// Refuses to start Spark without a Java that is new enough.
pub(crate) fn check() -> Result<(), RunnerError> {
    let unavailable = |unfit: Unfit| {
        RunnerError::new(ErrorKind::Unavailable, unfit.to_string()).with_remedy(unfit.remedy())
    };
    ask().map_err(unavailable)
}

/// Whether `JAVA_HOME`, or else the `PATH`, leads to a Java that is new enough. Java itself is asked, and has ended when this
/// returns.
fn ask() -> Result<(), Unfit> {
    fitting(find(env::var_os("JAVA_HOME").as_deref(), env::var_os("PATH").as_deref())?)
}

fn fitting(java: PathBuf) -> Result<(), Unfit> {
    let version = printed_version(&java)?;
    new_enough(java, version)
}

fn set_home() -> Option<PathBuf> {
    env::var_os("JAVA_HOME").filter(|home| !home.is_empty()).map(PathBuf::from)
}

/// A command that installs a Java, by the package manager that is here.
fn install() -> Option<String> {
    let search = env::var_os("PATH").unwrap_or_default();
    installation::command(|program| {
        env::split_paths(&search).any(|folder| is_executable(&folder.join(program)))
    })
}

/// Spark's scripts use `JAVA_HOME` without a check, and the `PATH` only if `JAVA_HOME` is not set.
fn find(home: Option<&OsStr>, search: Option<&OsStr>) -> Result<PathBuf, Unfit> {
    if let Some(home) = home.filter(|home| !home.is_empty()) {
        let java = Path::new(home).join("bin/java");
        return if is_executable(&java) { Ok(java) } else { Err(Unfit::Gone { home: home.into() }) };
    }
    let places = search.map(env::split_paths).into_iter().flatten().map(|folder| folder.join("java"));
    places.into_iter().find(|place| is_executable(place)).ok_or(Unfit::Missing)
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|facts| facts.is_file() && facts.permissions().mode() & 0o111 != 0)
}

/// The version that `java -version` prints, in quotation marks. Java gets what Spark gets.
fn printed_version(java: &Path) -> Result<String, Unfit> {
    let broken = |why: String| Unfit::Broken { java: java.into(), why };
    let mut command = Command::new(java);
    restrict(&mut command, VARIABLES);
    let output = answer(command.arg("-version")).map_err(|error| broken(error.to_string()))?;
    let printed = String::from_utf8_lossy(&output.stderr);
    let lines = || printed.lines().filter(|line| !line.trim().is_empty());
    let version = lines().find_map(|line| line.split('"').nth(1));
    match version.filter(|_| output.status.success()) {
        Some(version) => Ok(version.to_owned()),
        None => {
            let error = lines().find(|line| line.to_lowercase().contains("error")).or_else(|| lines().next());
            let printed_nothing = || format!("it printed nothing and ended with {}", output.status);
            Err(broken(error.map_or_else(printed_nothing, str::to_owned)))
        }
    }
}

fn new_enough(java: PathBuf, version: String) -> Result<(), Unfit> {
    match feature(&version) {
        Some(feature) if feature >= OLDEST => Ok(()),
        _ => Err(Unfit::Old { java, version }),
    }
}

/// 17 of `17.0.15` and of `17-ea`, 8 of `1.8.0_392`.
fn feature(version: &str) -> Option<u32> {
    let mut numbers = version.split(|character: char| !character.is_ascii_digit());
    let first = numbers.next()?.parse().ok()?;
    if first == 1 { numbers.next()?.parse().ok() } else { Some(first) }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A folder with a `bin/java` of these permissions that runs `script`.
    fn home(mode: u32, script: &str) -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("bin")).unwrap();
        let java = home.path().join("bin/java");
        // Written by another process, so that none of this one's has it open when it is started.
        let write = "printf '#!/bin/sh\\n%s\\n' \"$1\" > \"$0\" && chmod \"$2\" \"$0\"";
        let mut writer = Command::new("sh");
        writer.args(["-c", write]).arg(java).arg(script).arg(format!("{mode:o}"));
        assert!(writer.status().unwrap().success());
        home
    }

    #[test]
    fn it_is_found_on_the_path_or_in_its_home() {
        let (good, bad) = (home(0o755, ""), home(0o644, ""));
        let bin = |home: &tempfile::TempDir| home.path().join("bin").into_os_string();
        let search = env::join_paths([bin(&bad), bin(&good)]).unwrap();
        let java = good.path().join("bin/java");
        assert_eq!(find(None, Some(&search)).as_ref(), Ok(&java));
        assert_eq!(find(None, Some(&bin(&bad))), Err(Unfit::Missing));
        assert_eq!(find(None, None), Err(Unfit::Missing));
        assert_eq!(find(Some(good.path().as_os_str()), None).as_ref(), Ok(&java));
        assert_eq!(find(Some(OsStr::new("")), Some(&search)), Ok(java));
        let hidden = find(Some(bad.path().as_os_str()), Some(&search));
        let gone = Unfit::Gone { home: bad.path().into() };
        assert_eq!(hidden, Err(gone), "a wrong JAVA_HOME hides the PATH");
    }

    #[test]
    fn its_version_is_what_it_prints() {
        let old = home(0o755, "echo 'openjdk version \"1.8.0_392\"' >&2");
        assert_eq!(printed_version(&old.path().join("bin/java")), Ok("1.8.0_392".into()));
        let script = "echo 'Picked up JAVA_TOOL_OPTIONS: -Xmx1g' >&2; echo 'java version \"21\" 2023' >&2";
        let new = home(0o755, script);
        assert_eq!(printed_version(&new.path().join("bin/java")), Ok("21".into()));
        let broken = home(
            0o755,
            "echo 'Picked up X: -Xmx1g' >&2; echo 'Error: could not find libjava.so' >&2; exit 2",
        );
        let why = printed_version(&broken.path().join("bin/java")).unwrap_err().to_string();
        assert!(why.ends_with("does not work: Error: could not find libjava.so"), "{why}");
    }

    #[test]
    fn a_good_java_behind_a_broken_one_is_named() {
        let broken = home(0o755, "exit 127");
        let good = home(0o755, "echo 'openjdk version \"17.0.15\"' >&2");
        let [first, second] = [&broken, &good].map(|home| home.path().join("bin"));
        let search = env::join_paths([&first, &second]).unwrap();
        let why = printed_version(&first.join("java")).unwrap_err();
        assert!(why.to_string().ends_with("it printed nothing and ended with exit status: 127"), "{why}");
        let named = format!("export JAVA_HOME={}", good.path().canonicalize().unwrap().display());
        assert_eq!(why.other_home(Some(&search)), Some(named));
        assert_eq!(why.other_home(Some(first.as_os_str())), None);
    }

    #[test]
    fn versions_before_17_are_refused() {
        for (version, fits) in [
            ("17.0.15", true),
            ("17-ea", true),
            ("25", true),
            ("11.0.2", false),
            ("1.8.0_392", false),
            ("x", false),
        ] {
            assert_eq!(new_enough("/j".into(), version.into()).is_ok(), fits, "{version}");
        }
        let old = new_enough("/j".into(), "11.0.2".into()).unwrap_err();
        assert_eq!(old.to_string(), "spark needs Java 17 or later, but /j is 11.0.2");
    }
}
