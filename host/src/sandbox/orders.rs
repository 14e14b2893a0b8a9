//! What the supervisor is told, and passes on to the first process of a namespace: words of a command line.

use std::ffi::OsString;
use std::path::PathBuf;

use super::{Limits, Shelter};

/// How a worker's tree is to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Orders {
    pub(super) shelter: Shelter,
    /// The tree's temporary folder.
    pub(super) scratch: PathBuf,
    pub(super) limits: Limits,
    /// The folder whose logs are the worker's; without one, only its own log is.
    pub(super) logs: Option<PathBuf>,
    /// The worker's executable and arguments.
    pub(super) command: Vec<OsString>,
}

impl Orders {
    pub(super) fn words(&self) -> Vec<OsString> {
        let Self { shelter, scratch, limits, logs, command } = self;
        let mut words = vec![
            shelter.word().into(),
            scratch.into(),
            limits.words().into(),
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
        let shelter = Shelter::of_word(words.next()?.to_str()?)?;
        let scratch = words.next()?.into();
        let limits = Limits::of_words(words.next()?.to_str()?)?;
        let logs = Some(PathBuf::from(words.next()?)).filter(|logs| !logs.as_os_str().is_empty());
        Some(Self { shelter, scratch, limits, logs, command: words.collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_come_back_from_their_words() {
        for logs in [None, Some(PathBuf::from("/logs"))] {
            let command = vec!["crossrun".into(), "--option".into(), "".into()];
            let (shelter, scratch) = (Shelter::Subreaper, "/tmp/x y".into());
            let orders = Orders { shelter, scratch, limits: Limits::usual(), logs, command };
            assert_eq!(Orders::of_words(orders.words().into_iter()), Some(orders));
        }
        assert_eq!(Orders::of_words(["namespace".into()].into_iter()), None);
    }
}
