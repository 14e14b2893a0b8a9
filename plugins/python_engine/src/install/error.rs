//! Why an environment could not be made.

use std::io;
use std::path::{Path, PathBuf};

use plugin_api::{ErrorKind, RunnerError};

use super::commands::for_uv;
use crate::engine::Engine;
use crate::shell::quoted;

/// The module that makes environments, which distributions have in a package of its own.
pub(super) const VENV: &str = "venv";

/// Why an environment could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InstallError {
    #[error("the set-up was cancelled")]
    Cancelled,
    #[error("{} has no module {module}", python.display())]
    NoModule { python: PathBuf, version: String, module: String },
    #[error("pip cannot read its settings: {0}")]
    Settings(String),
    #[error("{} is {build}, for which there is no package that is needed: {last}", python.display())]
    NoBuild { python: PathBuf, build: &'static str, last: String },
    #[error("no package index could be reached, or it does not have what is needed: {0}")]
    NoNetwork(String),
    #[error("the certificate of a package index is not trusted: {0}")]
    Certificate(String),
    #[error("the certificate of a package index is not valid at the time that this machine has: {0}")]
    NotValidNow(String),
    #[error("the certificate of a package index is for another host: {0}")]
    OtherHost(String),
    #[error("the proxy{} cannot be used: {last}", named(variables))]
    Proxy { variables: Vec<String>, last: String },
    #[error("a package index has other files than those that are expected: {0}")]
    OtherFiles(String),
    #[error("the cache of uv cannot be used: {0}")]
    Cache(String),
    #[error("no space is left in {}", .0.display())]
    NoSpace(PathBuf),
    #[error("no space is left in {}, the folder for temporary files", .0.display())]
    NoTemporarySpace(PathBuf),
    #[error("{} is mounted noexec, so that nothing in it can be started", .0.display())]
    NoExec(PathBuf),
    #[error("{} has a colon, which divides lists of folders", .0.display())]
    Colon(PathBuf),
    #[error("what was installed cannot be imported by {}: {last}", python.display())]
    Import { python: PathBuf, last: String },
    #[error("the installer {ending}: {last} (all of it is in {})", log.display())]
    Installer { ending: String, last: String, log: PathBuf },
    #[error("{step}: {error}")]
    File { step: &'static str, error: io::Error },
}

impl InstallError {
    /// The error for the host, with a command that mends it. That is never the command which has just failed, and it keeps the Python
    /// that was `chosen` for that.
    pub(crate) fn into_runner_error(self, engine: &Engine, chosen: Option<&Path>) -> RunnerError {
        let setup = engine.setup_command(chosen);
        let remedy = match &self {
            Self::Cancelled => return RunnerError::new(ErrorKind::Cancelled, self.to_string()),
            // Only the system's own Python comes from the system's packages.
            Self::NoModule { python, version, module }
                if module == VENV
                    && python.starts_with("/usr/bin")
                    && Path::new("/etc/debian_version").exists() =>
            {
                // Images for containers come without lists of packages.
                let sudo = sudo();
                format!("{sudo}apt update && {sudo}apt install python{version}-venv")
            }
            Self::NoModule { .. } | Self::NoBuild { .. } | Self::Import { .. } => {
                format!("{} --python PATH_OF_ANOTHER_PYTHON", engine.setup_command(None))
            }
            Self::Settings(_) => format!("PIP_CONFIG_FILE=/dev/null {setup}"),
            Self::NoNetwork(_) => elsewhere("AN_INDEX_THAT_CAN_BE_REACHED", &setup),
            // uv does not read what is meant for pip.
            Self::Certificate(_) if !for_uv().is_empty() => {
                format!("SSL_CERT_FILE=FILE_WITH_THE_CERTIFICATE {setup}")
            }
            Self::Certificate(_) => format!("PIP_CERT=FILE_WITH_THE_CERTIFICATE {setup}"),
            Self::Proxy { variables, .. } if variables.is_empty() => {
                format!("PIP_PROXY=http://HOST:PORT {setup}")
            }
            Self::Proxy { variables, .. } => {
                let unset: String = variables.iter().map(|name| format!("-u {name} ")).collect();
                format!("env {unset}{setup}")
            }
            Self::NotValidNow(_) => {
                let other = elsewhere("ANOTHER_INDEX", &setup);
                format!("set the clock if `date` shows a wrong time, or else {other}")
            }
            Self::OtherFiles(_) | Self::OtherHost(_) => elsewhere("ANOTHER_INDEX", &setup),
            Self::Cache(_) => format!("UV_NO_CACHE=1 {setup}"),
            // Runs must look in that folder, too.
            Self::NoSpace(_) => format!("export CROSSRUN_DATA_DIR=A_FOLDER_WITH_MORE_SPACE && {setup}"),
            // In the place of a long path, workers have a folder in /tmp.
            Self::NoTemporarySpace(_) => format!("TMPDIR=A_SHORT_PATH_WITH_MORE_SPACE {setup}"),
            Self::File { error, .. } if error.kind() == io::ErrorKind::WouldBlock => {
                "end other processes, or a shell in which `ulimit -u` is more".to_owned()
            }
            Self::NoExec(_) | Self::Colon(_) | Self::File { .. } => {
                format!("export CROSSRUN_DATA_DIR=ANOTHER_FOLDER && {setup}")
            }
            Self::Installer { log, .. } => format!("tail -n 40 {}", quoted(log)),
        };
        let message = format!("{} cannot be set up: {self}", engine.name);
        RunnerError::new(ErrorKind::Setup, message).with_remedy(remedy)
    }
}

/// The command that sets up from another `index`. What would keep the installer from looking there is unset, or overruled where it may
/// be in a file of pip's.
fn elsewhere(index: &str, setup: &str) -> String {
    let unset: String = for_uv().iter().map(|name| format!("-u {name} ")).collect();
    let env = if unset.is_empty() { String::new() } else { format!("env {unset}") };
    format!("{env}PIP_NO_INDEX=0 PIP_INDEX_URL={index} {setup}")
}

fn named(variables: &[String]) -> String {
    if variables.is_empty() { String::new() } else { format!(" in {}", variables.join(" and ")) }
}

/// What a command that needs the rights of root begins with. Root need not have `sudo`.
pub fn sudo() -> &'static str {
    if rustix::process::geteuid().is_root() { "" } else { "sudo " }
}
