//! The supervisor's arguments, which it passes on to the init process of a namespace.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::sandbox::affinity::Cores;
use crate::sandbox::command::Command;
use crate::sandbox::limits::Limits;

/// The name that processes of this program have in a list of processes, which may be started by `/proc/self/exe`.
pub(super) const NAME: &str = "crossrun";

/// The hidden command of the supervisor.
pub(super) const SUPERVISE: &str = "__supervise";
/// The hidden command of the init process.
pub(super) const INIT: &str = "__init";

/// How a worker's processes are kept together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Containment {
    /// By a PID namespace, which the kernel kills as a whole.
    Namespace,
    /// By the supervisor, which becomes the parent of all orphans below it.
    Subreaper,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Arguments {
    pub(super) containment: Containment,
    pub(super) limits: Limits,
    /// The affinity set of the tree.
    pub(super) cores: Option<Cores>,
    /// The tree's temporary folder.
    pub(super) scratch: PathBuf,
    /// The folder whose logs have a size limit; without one, only the worker's own log has.
    pub(super) logs: Option<PathBuf>,
    /// The worker's executable and arguments.
    pub(super) command: Vec<OsString>,
}

impl Arguments {
    /// The arguments for `command`, whose tree has the temporary folder `scratch`.
    pub(super) fn new(command: &Command, containment: Containment, scratch: PathBuf) -> Self {
        let Command { executable, arguments, log, limits, owns_folder, cores } = command;
        let logs = log.parent().filter(|_| *owns_folder).map(Path::to_owned);
        let command = std::iter::once(executable.into()).chain(arguments.iter().cloned()).collect();
        Self { containment, limits: *limits, cores: cores.clone(), scratch, logs, command }
    }

    /// The command line: a line of JSON, paths, which need not be UTF-8, and the worker's command.
    pub(super) fn encode(&self) -> serde_json::Result<Vec<OsString>> {
        let Self { containment, limits, cores, scratch, logs, command } = self;
        let json = serde_json::to_string(&(containment, limits, cores))?;
        let mut arguments = vec![json.into(), scratch.into(), logs.clone().unwrap_or_default().into()];
        arguments.extend_from_slice(command);
        Ok(arguments)
    }

    /// The arguments of this process, after the program and the hidden command.
    pub(super) fn of_this_process() -> Option<Self> {
        Self::decode(std::env::args_os().skip(2))
    }

    fn decode(mut arguments: impl Iterator<Item = OsString>) -> Option<Self> {
        let (containment, limits, cores) = serde_json::from_str(arguments.next()?.to_str()?).ok()?;
        let (scratch, logs) = (arguments.next()?.into(), PathBuf::from(arguments.next()?));
        let logs = Some(logs).filter(|logs| !logs.as_os_str().is_empty());
        Some(Self { containment, limits, cores, scratch, logs, command: arguments.collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_decoded_as_they_were_encoded() {
        for logs in [None, Some(PathBuf::from("/logs"))] {
            let command = vec!["crossrun".into(), "--option".into(), "".into()];
            let (containment, scratch) = (Containment::Subreaper, "/tmp/x y".into());
            let (limits, cores) = (Limits::default(), Cores::choose(1).ok());
            let arguments = Arguments { containment, limits, cores, scratch, logs, command };
            let encoded = arguments.encode().unwrap();
            assert_eq!(Arguments::decode(encoded.into_iter()), Some(arguments));
        }
        assert_eq!(Arguments::decode(["namespace".into()].into_iter()), None);
    }
}
