//! The state of a worker's process tree, by the events of its supervisor.

use std::io;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::events::{Event, Events};
use super::exit_reason::ExitReason;
use super::failure::Failure;
use super::limits::Excess;
use super::stop::Deadline;
use super::teardown::Teardown;
use super::wait;

/// How long after the end of a channel the worker's exit may be reported. A supervisor holds the channel as long as it can report, but
/// without one the channel ends with the worker, and a thread of this process reports it, which waits for a core on a busy machine.
/// Only for a worker that lives on without its channel it is waited so long.
const EXIT_REPORT: Duration = Duration::from_secs(10);

/// The state of a worker's process tree so far, and the socket for more events.
#[derive(Debug)]
pub(super) struct Status {
    pub(super) control: UnixStream,
    events: Events,
    pub(super) excess: Option<Excess>,
    pub(super) teardown: Teardown,
}

impl Status {
    /// Events come on `control` until it is closed.
    pub(super) fn new(control: UnixStream) -> io::Result<Self> {
        control.set_nonblocking(true)?;
        Ok(Self { control, events: Events::default(), excess: None, teardown: Teardown::default() })
    }

    /// Whether no more events will come.
    pub(super) fn is_closed(&self) -> bool {
        self.events.closed()
    }

    /// The next event that has come, which is recorded in this state.
    pub(super) fn next(&mut self) -> io::Result<Option<Event>> {
        let event = self.events.read(&mut self.control)?;
        match event {
            Some(Event::Exited(reason)) => self.teardown.worker = Some(reason),
            Some(Event::Leftovers(count)) => self.teardown.leftovers = count,
            Some(Event::Exceeded(excess)) => self.excess = Some(excess),
            Some(Event::LogCut) => self.teardown.log_cut = true,
            Some(Event::Started { .. } | Event::NoNamespace(_) | Event::Failed(_)) => {}
            None if self.events.closed() => {
                self.teardown.worker.get_or_insert(ExitReason::Lost);
            }
            None => {}
        }
        Ok(event)
    }

    /// Records all events that have come.
    pub(super) fn read(&mut self) -> io::Result<()> {
        while self.next()?.is_some() {}
        Ok(())
    }

    /// Waits until there is another event.
    pub(super) fn wait(&self, deadline: Option<Deadline>) -> Result<(), Failure> {
        wait::until_readable(&self.control, deadline)
    }

    /// Records events until no more will come, or `limit` has passed. Returns whether it was the former.
    pub(super) fn await_end(&mut self, limit: Duration) -> bool {
        let deadline = Deadline::after(limit);
        while self.read().is_ok() {
            if self.is_closed() {
                return true;
            }
            if self.wait(deadline).is_err() {
                break;
            }
        }
        false
    }

    /// Why the channel is closed: usually because the worker exited, which may be reported a moment later.
    pub(super) fn why_closed(&mut self) -> Failure {
        let deadline = Deadline::after(EXIT_REPORT);
        while self.teardown.worker.is_none() && self.excess.is_none() {
            if self.read().is_err() || self.teardown.worker.is_some() || self.wait(deadline).is_err() {
                break;
            }
        }
        // After an excess the supervisor killed the worker.
        let excess = self.excess.map(Failure::Exceeded);
        excess.or(self.teardown.worker.map(Failure::Died)).unwrap_or(Failure::Closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_that_is_reported_late_is_why_the_channel_is_closed() {
        let (control, reporter) = UnixStream::pair().unwrap();
        let mut status = Status::new(control).unwrap();
        let late = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(1500));
            Event::Exited(ExitReason::Signalled(11)).send(&reporter);
        });
        let why = status.why_closed();
        late.join().unwrap();
        assert!(matches!(why, Failure::Died(ExitReason::Signalled(11))), "{why}");
    }
}
