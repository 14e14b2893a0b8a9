//! Supervisor events: what the supervisor and the init process of a namespace report, in five bytes, a letter and a number.

use std::io::{self, Read, Write};

use super::exit_reason::ExitReason;
use super::limits::Excess;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The worker was started; whether it has shared memory of its own, which vanishes with the tree.
    Started { has_shared_memory: bool },
    /// The system does not allow a namespace; its error code.
    NoNamespace(i32),
    /// No worker could be started; the system's error code.
    Failed(i32),
    /// The worker exited.
    Exited(ExitReason),
    /// How many processes were alive after the worker.
    Leftovers(u32),
    /// The tree exceeded a limit, and is being killed.
    Exceeded(Excess),
    /// The beginning of a log was left out.
    LogCut,
}

const LENGTH: usize = 5;

impl Event {
    fn encode(self) -> [u8; LENGTH] {
        let (tag, number) = match self {
            Self::Started { has_shared_memory } => (b's', i32::from(has_shared_memory)),
            Self::NoNamespace(errno) => (b'n', errno),
            Self::Failed(errno) => (b'f', errno),
            Self::Exited(ExitReason::Exited(code)) => (b'e', code),
            Self::Exited(ExitReason::Signalled(signal)) => (b'k', signal),
            Self::Exited(ExitReason::Lost) => (b'x', 0),
            Self::Leftovers(count) => (b'l', saturated(count)),
            Self::Exceeded(Excess::Memory(mib)) => (b'm', saturated(mib)),
            Self::Exceeded(Excess::Processes(count)) => (b'p', saturated(count)),
            Self::LogCut => (b'c', 0),
        };
        let [a, b, c, d] = number.to_le_bytes();
        [tag, a, b, c, d]
    }

    fn decode([tag, number @ ..]: [u8; LENGTH]) -> io::Result<Self> {
        let number = i32::from_le_bytes(number);
        Ok(match tag {
            b's' => Self::Started { has_shared_memory: number == 1 },
            b'n' => Self::NoNamespace(number),
            b'f' => Self::Failed(number),
            b'e' => Self::Exited(ExitReason::Exited(number)),
            b'k' => Self::Exited(ExitReason::Signalled(number)),
            b'x' => Self::Exited(ExitReason::Lost),
            b'l' => Self::Leftovers(number.try_into().unwrap_or_default()),
            b'm' => Self::Exceeded(Excess::Memory(number.try_into().unwrap_or_default())),
            b'p' => Self::Exceeded(Excess::Processes(number.try_into().unwrap_or_default())),
            b'c' => Self::LogCut,
            _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "not an event of the supervisor")),
        })
    }

    /// Sends this event. If nobody reads it, the tree is about to be killed anyway.
    pub fn send(self, mut to: impl Write) {
        let _ = to.write_all(&self.encode());
    }
}

fn saturated(number: u32) -> i32 {
    number.try_into().unwrap_or(i32::MAX)
}

#[derive(Debug, Default)]
pub struct Events {
    bytes: Vec<u8>,
    closed: bool,
}

impl Events {
    /// The next event that has come.
    ///
    /// # Errors
    /// Those of `from`; [`io::ErrorKind::InvalidData`] for bytes that are not an event.
    pub fn read(&mut self, mut from: impl Read) -> io::Result<Option<Event>> {
        let mut chunk = [0; 64];
        while self.bytes.len() < LENGTH && !self.closed {
            match from.read(&mut chunk) {
                Ok(0) => self.closed = true,
                Ok(length) => self.bytes.extend_from_slice(&chunk[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => self.closed = true,
                Err(error) => return Err(error),
            }
        }
        let Some(record) = self.bytes.first_chunk().copied() else { return Ok(None) };
        self.bytes.drain(..LENGTH);
        Event::decode(record).map(Some)
    }

    /// Whether all writers are gone, and all their events have been read.
    pub fn closed(&self) -> bool {
        self.closed && self.bytes.len() < LENGTH
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_back_in_order() {
        let all = [
            Event::Started { has_shared_memory: false },
            Event::Started { has_shared_memory: true },
            Event::NoNamespace(1),
            Event::Failed(11),
            Event::Exited(ExitReason::Signalled(9)),
            Event::Exited(ExitReason::Exited(3)),
            Event::Exited(ExitReason::Lost),
            Event::Leftovers(7),
            Event::Exceeded(Excess::Memory(300)),
            Event::Exceeded(Excess::Processes(70)),
            Event::LogCut,
        ];
        let mut bytes = Vec::new();
        all.iter().for_each(|event| event.send(&mut bytes));
        let (mut from, mut events) = (bytes.as_slice(), Events::default());
        for event in all {
            assert!(!events.closed());
            assert_eq!(events.read(&mut from).unwrap(), Some(event));
        }
        assert_eq!(events.read(&mut from).unwrap(), None);
        assert!(events.closed());
    }

    #[test]
    fn other_bytes_are_refused() {
        assert!(Events::default().read(b"?0000".as_slice()).is_err());
    }
}
