//! Whether there is a Java, as Spark's own scripts look for one. Nothing is started.

use std::env;
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Why Spark cannot start.
pub(crate) const MISSING: &str =
    "spark needs Java 17 or later, and there is no java on the PATH or in JAVA_HOME";

/// Whether `JAVA_HOME`, or else the `PATH`, leads to a Java.
pub(crate) fn found() -> bool {
    is_in(env::var_os("JAVA_HOME").as_deref(), env::var_os("PATH").as_deref())
}

/// A command that gets one.
pub(crate) fn remedy() -> &'static str {
    if cfg!(target_os = "macos") {
        "brew install openjdk@17"
    } else if Path::new("/etc/debian_version").exists() {
        "sudo apt install openjdk-17-jre-headless"
    } else {
        "sudo dnf install java-17-openjdk-headless"
    }
}

/// Spark's scripts take `JAVA_HOME` at its word, and look at the `PATH` only without it.
fn is_in(home: Option<&OsStr>, search: Option<&OsStr>) -> bool {
    match home.filter(|home| !home.is_empty()) {
        Some(home) => is_executable(&Path::new(home).join("bin/java")),
        None => search
            .is_some_and(|path| env::split_paths(path).any(|folder| is_executable(&folder.join("java")))),
    }
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|facts| facts.is_file() && facts.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A folder with `bin/java` of these permissions.
    fn home(mode: u32) -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("bin")).unwrap();
        let java = home.path().join("bin/java");
        fs::write(&java, "").unwrap();
        fs::set_permissions(java, fs::Permissions::from_mode(mode)).unwrap();
        home
    }

    #[test]
    fn it_is_found_on_the_path_or_in_its_home() {
        let (good, bad) = (home(0o755), home(0o644));
        let bin = |home: &tempfile::TempDir| home.path().join("bin").into_os_string();
        let search = env::join_paths([bin(&bad), bin(&good)]).unwrap();
        assert!(is_in(None, Some(&search)));
        assert!(!is_in(None, Some(&bin(&bad))));
        assert!(!is_in(None, None));
        assert!(is_in(Some(good.path().as_os_str()), None));
        assert!(is_in(Some(OsStr::new("")), Some(&search)));
        assert!(!is_in(Some(bad.path().as_os_str()), Some(&search)), "a wrong JAVA_HOME hides the PATH");
    }
}
