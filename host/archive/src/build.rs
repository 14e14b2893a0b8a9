//! The release build: the release profile, stripped, and with this machine's paths replaced.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::failure::Failure;

/// The result of a build.
pub(crate) struct Built {
    /// The version of the host.
    pub(crate) version: String,
    /// The target triple.
    pub(crate) target: String,
    pub(crate) host: PathBuf,
    pub(crate) plugins: Vec<PathBuf>,
    /// The paths of this machine. No file of the archive may contain one.
    pub(crate) private: Vec<PathBuf>,
}

/// A line of cargo's JSON messages.
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    filenames: Vec<PathBuf>,
    executable: Option<PathBuf>,
    target: Option<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

/// Builds the workspace's default members, which are the host and every plugin.
pub(crate) fn release(repository: &Path, target: &Path) -> Result<Built, Failure> {
    let (triple, sysroot) =
        (host_triple()?, PathBuf::from(stdout_of(rustc(), &["--print", "sysroot"])?.trim()));
    let cargo_home = cargo_home()?;
    let mut build = cargo(repository);
    build.args(["build", "--release", "--locked", "--message-format", "json-render-diagnostics"]);
    build.arg("--target-dir").arg(target);
    // The user's own flags, such as a target processor, are not for other machines.
    build
        .env_remove("RUSTFLAGS")
        .env("CARGO_ENCODED_RUSTFLAGS", path_remaps(repository, target, &cargo_home, &sysroot));
    build.env("CARGO_PROFILE_RELEASE_STRIP", "symbols");
    let messages = stdout_of(build, &[])?;
    let (mut host, mut plugins) = (None, Vec::new());
    for line in messages.lines() {
        let Message { reason, filenames, executable, target } = serde_json::from_str(line)?;
        let Some(target) = target.filter(|_| reason == "compiler-artifact") else { continue };
        if target.name == "crossrun" && target.kind.iter().any(|kind| kind == "bin") {
            host = executable;
        } else if target.kind.iter().any(|kind| kind == "cdylib") {
            plugins.extend(filenames);
        }
    }
    plugins.sort();
    let host = host.ok_or_else(|| Failure::Invalid("cargo built no crossrun".into()))?;
    if plugins.is_empty() {
        return Err(Failure::Invalid("cargo built no plugin".into()));
    }
    let version = stdout_of(Command::new(&host), &["--version"])?;
    let version = version.split_whitespace().nth(1).unwrap_or_default().to_owned();
    // `/root` is a path of every machine, and `/src` is in the paths of packages.
    let is_of_this_machine = |path: &PathBuf| path.components().count() > 2;
    let private = [repository.to_owned(), target.to_owned(), cargo_home, sysroot].into_iter();
    let private = private.chain(std::env::home_dir()).filter(is_of_this_machine).collect();
    Ok(Built { version, target: triple, host, plugins, private })
}

/// Flags that replace this machine's paths. Of several that match a path the last one applies.
fn path_remaps(repository: &Path, target: &Path, cargo_home: &Path, sysroot: &Path) -> String {
    let mut remaps = vec![(sysroot.to_owned(), "rust"), (cargo_home.to_owned(), "cargo")];
    // The folder of a registry is named after the address of the registry.
    let registries = std::fs::read_dir(cargo_home.join("registry/src")).into_iter().flatten().flatten();
    remaps.extend(registries.map(|registry| (registry.path(), "crates")));
    remaps.extend([(repository.to_owned(), "crossrun"), (target.to_owned(), "build")]);
    let flag = |(path, word): (PathBuf, &str)| format!("--remap-path-prefix={}={word}", path.display());
    remaps.into_iter().map(flag).collect::<Vec<_>>().join("\u{1f}")
}

/// cargo, in the repository.
pub(crate) fn cargo(repository: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(repository);
    cargo
}

fn rustc() -> Command {
    Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
}

/// The default target triple of rustc.
pub(crate) fn host_triple() -> Result<String, Failure> {
    let messages = stdout_of(rustc(), &["-vV"])?;
    let triple = messages.lines().find_map(|line| line.strip_prefix("host: "));
    triple
        .map(str::to_owned)
        .ok_or_else(|| Failure::Invalid("rustc does not say for which machine it builds".into()))
}

fn cargo_home() -> Result<PathBuf, Failure> {
    let home = || Some(std::env::home_dir()?.join(".cargo"));
    let folder = std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(home);
    let folder = folder.ok_or_else(|| Failure::Invalid("there is no home directory".into()))?;
    folder.canonicalize().map_err(Failure::file("cannot find", &folder))
}

/// Runs a command and returns its standard output. It inherits standard error.
pub(crate) fn stdout_of(mut command: Command, arguments: &[&str]) -> Result<String, Failure> {
    command.args(arguments).stdin(Stdio::null()).stderr(Stdio::inherit());
    let program = command.get_program().to_owned();
    let failed = |why: String| Failure::Command { command: program.display().to_string(), why };
    let output = command.output().map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(output.status.to_string()));
    }
    String::from_utf8(output.stdout).map_err(|error| failed(error.to_string()))
}
