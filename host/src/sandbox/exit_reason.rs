//! How a process exited.

use std::fmt;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use signal_hook::low_level::signal_name;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitReason {
    Exited(i32),
    Signalled(i32),
    /// The supervisor died too, so that nobody knows.
    Lost,
}

impl From<ExitStatus> for ExitReason {
    fn from(status: ExitStatus) -> Self {
        let signalled = status.signal().map(Self::Signalled);
        status.code().map(Self::Exited).or(signalled).unwrap_or(Self::Lost)
    }
}

impl fmt::Display for ExitReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(formatter, "exited with code {code}"),
            Self::Signalled(signal) => match signal_name(*signal) {
                Some(name) => write!(formatter, "was killed by signal {signal} ({name})"),
                None => write!(formatter, "was killed by signal {signal}"),
            },
            Self::Lost => formatter.write_str("was killed together with its supervisor"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_named() {
        assert_eq!(ExitReason::Signalled(11).to_string(), "was killed by signal 11 (SIGSEGV)");
        assert_eq!(ExitReason::Signalled(64).to_string(), "was killed by signal 64");
        assert_eq!(ExitReason::Exited(3).to_string(), "exited with code 3");
    }
}
