//! How a process died.

use std::fmt;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    Exited(i32),
    Signalled(i32),
    /// Nobody is left who could tell.
    Lost,
}

impl From<ExitStatus> for Death {
    fn from(status: ExitStatus) -> Self {
        let signalled = status.signal().map(Self::Signalled);
        status.code().map(Self::Exited).or(signalled).unwrap_or(Self::Lost)
    }
}

impl fmt::Display for Death {
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

fn signal_name(signal: i32) -> Option<&'static str> {
    use rustix::process::Signal;
    let names = [
        (Signal::ABORT, "SIGABRT"),
        (Signal::BUS, "SIGBUS"),
        (Signal::FPE, "SIGFPE"),
        (Signal::HUP, "SIGHUP"),
        (Signal::ILL, "SIGILL"),
        (Signal::INT, "SIGINT"),
        (Signal::KILL, "SIGKILL"),
        (Signal::PIPE, "SIGPIPE"),
        (Signal::SEGV, "SIGSEGV"),
        (Signal::SYS, "SIGSYS"),
        (Signal::TERM, "SIGTERM"),
        (Signal::TRAP, "SIGTRAP"),
        (Signal::XCPU, "SIGXCPU"),
        (Signal::XFSZ, "SIGXFSZ"),
    ];
    names.iter().find(|(known, _)| known.as_raw() == signal).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_named() {
        assert_eq!(Death::Signalled(11).to_string(), "was killed by signal 11 (SIGSEGV)");
        assert_eq!(Death::Signalled(64).to_string(), "was killed by signal 64");
        assert_eq!(Death::Exited(3).to_string(), "exited with code 3");
    }
}
