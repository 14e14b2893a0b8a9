//! The commands that install packages.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::answer::answer;
use crate::environment;
use crate::interpreter::on_path;
use crate::pip_settings;

/// How uv is asked for an environment, whatever project the current folder belongs to.
pub(super) const UV_VENV: [&str; 3] = ["venv", "--no-config", "--no-project"];

/// A step of its own: `venv` would do it too, but keeps to itself why it failed.
pub(super) fn pip(folder: &Path) -> Command {
    let mut command = Command::new(environment::python(folder));
    pip_settings::apply(&mut command);
    command.args(["-I", "-m", "ensurepip", "--upgrade", "--default-pip"]);
    command
}

/// What is done with a package that is published as source only.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sources {
    /// It is no package that can be installed: the installer would fetch a build tool for it, without a hash.
    Refused,
    /// It is built with the tools that are in the environment, and nothing is fetched for that.
    Built,
}

pub(super) fn installer(uv: Option<&Path>, folder: &Path, requirements: &Path, sources: Sources) -> Command {
    let python = environment::python(folder);
    let mut command = Command::new(uv.unwrap_or(&python));
    pip_settings::apply(&mut command);
    match uv {
        // Not `sync`, which would take the build tools away again.
        Some(_) => {
            command.args([
                "pip",
                "install",
                "--require-hashes",
                "--no-deps",
                "--compile-bytecode",
                // Whatever project the current folder belongs to is no concern of this.
                "--no-config",
                "--python",
            ]);
            command.arg(&python);
        }
        None => {
            command.args(["-I", "-m", "pip", "install", "--require-hashes", "--no-deps", "--no-input"]);
            command.args(["--disable-pip-version-check", "--progress-bar=off"]);
        }
    }
    match sources {
        Sources::Refused => command.args(["--only-binary", ":all:"]),
        Sources::Built => command.arg("--no-build-isolation"),
    };
    command.arg("-r").arg(requirements);
    command
}

/// uv, which is faster, where it knows where packages come from. It reads none of pip's settings: a user who has some,
/// and none for uv, means pip.
pub(super) fn usable_uv() -> Option<PathBuf> {
    let for_pip = !set(PIP_SOURCES).is_empty() || pip_settings().iter().any(|path| path.exists());
    let wanted = uv().filter(|_| !for_pip || !for_uv().is_empty());
    wanted.filter(|uv| works(uv))
}

/// The variables that say where uv finds packages, sorted; none where there is no uv.
pub(super) fn for_uv() -> Vec<String> {
    uv().map_or_else(Vec::new, |_| set(&["UV_INDEX", "UV_DEFAULT_INDEX", "UV_FIND_LINKS", "UV_OFFLINE"]))
}

fn uv() -> Option<PathBuf> {
    on_path("uv", std::env::var_os("PATH").as_deref())
}

/// Whether it can be started, and knows what it is asked for: a launcher of a version manager may lead nowhere, and another uv may be
/// too old.
fn works(uv: &Path) -> bool {
    let mut command = Command::new(uv);
    pip_settings::apply(&mut command);
    answer(command.args(UV_VENV).arg("--help")).is_ok_and(|output| output.status.success())
}

/// The variables that are set and begin so, sorted.
fn set(prefixes: &[&str]) -> Vec<String> {
    set_among(std::env::vars_os(), prefixes)
}

/// The same of these `variables`. An empty one is not set: pip and uv look elsewhere then.
fn set_among(variables: impl Iterator<Item = (OsString, OsString)>, prefixes: &[&str]) -> Vec<String> {
    let set = variables.filter(|(_, value)| !value.is_empty());
    let names = set.map(|(name, _)| name.to_string_lossy().into_owned());
    let mut names: Vec<_> =
        names.filter(|name| prefixes.iter().any(|prefix| name.starts_with(prefix))).collect();
    names.sort();
    names
}

/// Variables that tell pip where packages come from, or how to get there.
const PIP_SOURCES: &[&str] = &[
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_NO_INDEX",
    "PIP_FIND_LINKS",
    "PIP_PROXY",
    "PIP_CERT",
    "PIP_CONFIG_FILE",
];

/// Where pip looks for settings of the machine and the user.
fn pip_settings() -> Vec<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    settings_by(variable("XDG_CONFIG_HOME"), variable("XDG_CONFIG_DIRS"), std::env::home_dir())
}

/// The same, by the user's folder of settings, those of the machine, separated by `:`, and the home folder. Desktops and sites name
/// folders of the machine of their own.
fn settings_by(own: Option<OsString>, machine: Option<OsString>, home: Option<PathBuf>) -> Vec<PathBuf> {
    let own = own.map(PathBuf::from).or_else(|| Some(home.as_ref()?.join(".config")));
    let machine = machine.unwrap_or_else(|| "/etc/xdg".into());
    let machine = std::env::split_paths(&machine).filter(|folder| folder.is_absolute());
    let files = own.into_iter().chain(machine).map(|folder| folder.join("pip/pip.conf"));
    let legacy = home.map(|home| home.join(".pip/pip.conf"));
    files.chain(legacy).chain([PathBuf::from("/etc/pip.conf")]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::program;

    #[test]
    fn a_uv_that_leads_nowhere_or_does_not_know_an_option_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        for (script, is_used) in [
            ("exit 127", false),
            ("echo \"error: unexpected argument '--no-project' found\" >&2; exit 2", false),
            ("[ \"$*\" = \"venv --no-config --no-project --help\" ]", true),
        ] {
            assert_eq!(works(&program(folder.path(), "uv", script)), is_used, "{script}");
        }
    }

    #[test]
    fn an_empty_variable_is_not_set() {
        let variables = [("UV_INDEX", ""), ("UV_OFFLINE", "1"), ("UV_FIND_LINKS", "/a"), ("PATH", "/b")];
        let variables = variables.map(|(name, value)| (OsString::from(name), OsString::from(value)));
        assert_eq!(set_among(variables.into_iter(), &["UV_"]), ["UV_FIND_LINKS", "UV_OFFLINE"]);
    }

    #[test]
    fn the_settings_of_pip_are_looked_for_where_pip_does() {
        let found = |own: Option<&str>, machine: Option<&str>, home: Option<&str>| {
            let files = settings_by(own.map(Into::into), machine.map(Into::into), home.map(Into::into));
            files.iter().map(|file| file.to_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let usual = ["/h/.config/pip/pip.conf", "/etc/xdg/pip/pip.conf", "/h/.pip/pip.conf", "/etc/pip.conf"];
        assert_eq!(found(None, None, Some("/h")), usual);
        let named = found(Some("/c"), Some("/site:/etc/xdg:"), None);
        let expected = ["/c/pip/pip.conf", "/site/pip/pip.conf", "/etc/xdg/pip/pip.conf", "/etc/pip.conf"];
        assert_eq!(named, expected);
    }

    #[test]
    fn both_installers_check_hashes_and_take_no_source_unless_it_is_built_with_what_is_there() {
        let words = |uv: Option<&str>, sources| {
            let command = installer(uv.map(Path::new), Path::new("/x"), Path::new("/y"), sources);
            let words: Vec<_> = command.get_args().map(|word| word.to_str().unwrap().to_owned()).collect();
            words.join(" ")
        };
        for uv in [None, Some("uv")] {
            let (refused, built) = (words(uv, Sources::Refused), words(uv, Sources::Built));
            for words in [&refused, &built] {
                assert!(words.contains("pip install --require-hashes --no-deps"), "{words}");
                assert!(words.ends_with("-r /y"), "{words}");
            }
            assert!(refused.contains("--only-binary :all:") && !refused.contains("isolation"), "{refused}");
            assert!(built.contains("--no-build-isolation") && !built.contains("--only-binary"), "{built}");
        }
    }
}
