//! What the supervisor is told, and passes on to the first process of a namespace: words of a command line.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::containment::Containment;
use crate::sandbox::command::Command;
use crate::sandbox::limits::Limits;

/// The hidden command of the supervisor.
pub(super) const SUPERVISE: &str = "__supervise";
/// The hidden command of the first process in a namespace.
pub(super) const INIT: &str = "__init";
/// The environment variable by which the supervisor is told which cores its tree may use.
pub(super) const CORES: &str = "CROSSRUN_CORES";

/// How a worker's tree is to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Arguments {
    pub(super) containment: Containment,
    /// The tree's temporary folder.
    pub(super) scratch: PathBuf,
    pub(super) limits: Limits,
    /// The folder whose logs are the worker's; without one, only its own log is.
    pub(super) logs: Option<PathBuf>,
    /// The worker's executable and arguments.
    pub(super) command: Vec<OsString>,
}

impl Arguments {
    /// Those for `command`, whose tree has the temporary folder `scratch`.
    pub(super) fn of(command: &Command, containment: Containment, scratch: PathBuf) -> Self {
        let Command { executable, arguments, log, limits, owns_folder, .. } = command;
        let folder = log.parent().filter(|_| *owns_folder);
        let mut words = vec![executable.clone().into()];
        words.extend_from_slice(arguments);
        Self { containment, scratch, limits: *limits, logs: folder.map(Path::to_owned), command: words }
    }

    pub(super) fn words(&self) -> Vec<OsString> {
        let Self { containment, scratch, limits, logs, command } = self;
        let mut words = vec![
            containment.word().into(),
            scratch.into(),
            limits_as_words(*limits).into(),
            logs.clone().unwrap_or_default().into(),
        ];
        words.extend_from_slice(command);
        words
    }

    /// Those of this process: behind the program and the hidden command.
    pub(super) fn of_this_process() -> Option<Self> {
        Self::of_words(std::env::args_os().skip(2))
    }

    fn of_words(mut words: impl Iterator<Item = OsString>) -> Option<Self> {
        let containment = Containment::of_word(words.next()?.to_str()?)?;
        let scratch = words.next()?.into();
        let limits = limits_of_words(words.next()?.to_str()?)?;
        let logs = Some(PathBuf::from(words.next()?)).filter(|logs| !logs.as_os_str().is_empty());
        Some(Self { containment, scratch, limits, logs, command: words.collect() })
    }
}

fn limits_as_words(Limits { memory_bytes, processes, log_bytes }: Limits) -> String {
    format!("{memory_bytes}:{processes}:{log_bytes}")
}

fn limits_of_words(words: &str) -> Option<Limits> {
    let mut numbers = words.split(':').map(|number| number.parse::<u64>().ok());
    let mut next = || numbers.next().flatten();
    let (memory_bytes, processes, log_bytes) = (next()?, next()?.try_into().ok()?, next()?);
    Some(Limits { memory_bytes, processes, log_bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_come_back_from_their_words() {
        for logs in [None, Some(PathBuf::from("/logs"))] {
            let command = vec!["crossrun".into(), "--option".into(), "".into()];
            let (containment, scratch) = (Containment::Subreaper, "/tmp/x y".into());
            let arguments = Arguments { containment, scratch, limits: Limits::usual(), logs, command };
            assert_eq!(Arguments::of_words(arguments.words().into_iter()), Some(arguments));
        }
        assert_eq!(Arguments::of_words(["namespace".into()].into_iter()), None);
        assert_eq!(limits_of_words("1:2"), None);
    }
}
