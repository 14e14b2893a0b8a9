//! Whether there is a Java, as Spark's own scripts look for one, and which.

use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The oldest version on which Spark runs.
const OLDEST: u32 = 17;

/// Why Spark cannot start.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    Missing,
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
            Self::Old { java, version } => write!(formatter, "but {} is {version}", java.display()),
            Self::Broken { java, why } => write!(formatter, "but {} does not work: {why}", java.display()),
        }
    }
}

/// Whether `JAVA_HOME`, or else the `PATH`, leads to a Java that is new enough, as far as files show. Starts nothing.
pub(crate) fn look() -> Result<(), Unfit> {
    let java = here().ok_or(Unfit::Missing)?;
    match noted_version(&java) {
        Some(version) => new_enough(java, version),
        None => Ok(()),
    }
}

/// The same as `look`, but it starts Java to get the version.
pub(crate) fn ask() -> Result<(), Unfit> {
    let java = here().ok_or(Unfit::Missing)?;
    let version = printed_version(&java)?;
    new_enough(java, version)
}

/// A command that installs Java.
pub(crate) fn remedy() -> &'static str {
    if cfg!(target_os = "macos") {
        "brew install openjdk@17"
    } else if Path::new("/etc/debian_version").exists() {
        "sudo apt install openjdk-17-jre-headless"
    } else {
        "sudo dnf install java-17-openjdk-headless"
    }
}

fn here() -> Option<PathBuf> {
    find(env::var_os("JAVA_HOME").as_deref(), env::var_os("PATH").as_deref())
}

/// Spark's scripts use `JAVA_HOME` without a check, and the `PATH` only if `JAVA_HOME` is not set.
fn find(home: Option<&OsStr>, search: Option<&OsStr>) -> Option<PathBuf> {
    let mut places: Box<dyn Iterator<Item = PathBuf>> = match home.filter(|home| !home.is_empty()) {
        Some(home) => Box::new(std::iter::once(Path::new(home).join("bin/java"))),
        None => Box::new(env::split_paths(search?).map(|folder| folder.join("java"))),
    };
    places.find(|place| is_executable(place))
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|facts| facts.is_file() && facts.permissions().mode() & 0o111 != 0)
}

/// The version in the file `release`, which distributions of Java have beside `bin`.
fn noted_version(java: &Path) -> Option<String> {
    let release = java.canonicalize().ok()?.parent()?.parent()?.join("release");
    let text = fs::read_to_string(release).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("JAVA_VERSION="))?;
    Some(line.trim_matches('"').to_owned())
}

/// The version that `java -version` prints, in quotation marks.
fn printed_version(java: &Path) -> Result<String, Unfit> {
    let broken = |why: String| Unfit::Broken { java: java.into(), why };
    let asked = Command::new(java).arg("-version").stdin(Stdio::null()).output();
    let output = asked.map_err(|error| broken(error.to_string()))?;
    let printed = String::from_utf8_lossy(&output.stderr);
    let version = printed.lines().find_map(|line| line.split('"').nth(1));
    match version.filter(|_| output.status.success()) {
        Some(version) => Ok(version.to_owned()),
        None => Err(broken(printed.lines().next().unwrap_or("it printed nothing").to_owned())),
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
        assert_eq!(find(None, Some(&search)).as_ref(), Some(&java));
        assert_eq!(find(None, Some(&bin(&bad))), None);
        assert_eq!(find(None, None), None);
        assert_eq!(find(Some(good.path().as_os_str()), None).as_ref(), Some(&java));
        assert_eq!(find(Some(OsStr::new("")), Some(&search)), Some(java));
        let hidden = find(Some(bad.path().as_os_str()), Some(&search));
        assert_eq!(hidden, None, "a wrong JAVA_HOME hides the PATH");
    }

    #[test]
    fn its_version_is_read_without_starting_it() {
        let home = home(0o755, "touch \"$0.started\"");
        let java = home.path().join("bin/java");
        assert_eq!(noted_version(&java), None);
        fs::write(home.path().join("release"), "IMPLEMENTOR=\"x\"\nJAVA_VERSION=\"11.0.2\"\n").unwrap();
        assert_eq!(noted_version(&java).as_deref(), Some("11.0.2"));
        assert!(!home.path().join("bin/java.started").exists());
    }

    #[test]
    fn its_version_is_what_it_prints() {
        let old = home(0o755, "echo 'openjdk version \"1.8.0_392\"' >&2");
        assert_eq!(printed_version(&old.path().join("bin/java")), Ok("1.8.0_392".into()));
        let script = "echo 'Picked up JAVA_TOOL_OPTIONS: -Xmx1g' >&2; echo 'java version \"21\" 2023' >&2";
        let new = home(0o755, script);
        assert_eq!(printed_version(&new.path().join("bin/java")), Ok("21".into()));
        let broken = home(0o755, "echo 'Error: could not find libjava.so' >&2; exit 2");
        let why = printed_version(&broken.path().join("bin/java")).unwrap_err().to_string();
        assert!(why.ends_with("does not work: Error: could not find libjava.so"), "{why}");
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
