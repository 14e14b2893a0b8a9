//! What has been heard of a worker's tree so far.

use std::io;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::death::Death;
use super::events::{Event, Events};
use super::failure::Failure;
use super::limits::Excess;
use super::wait;

/// What has been heard of a worker's tree so far, and the socket on which more comes.
#[derive(Debug)]
pub(super) struct Status {
    pub(super) control: UnixStream,
    events: Events,
    pub(super) death: Option<Death>,
    pub(super) excess: Option<Excess>,
    pub(super) leftovers: u32,
    pub(super) log_cut: bool,
}

impl Status {
    /// Nothing yet; events come on `control`, until it is closed.
    pub(super) fn of(control: UnixStream) -> io::Result<Self> {
        control.set_nonblocking(true)?;
        let events = Events::default();
        Ok(Self { control, events, death: None, excess: None, leftovers: 0, log_cut: false })
    }

    /// Whether nothing more will be heard.
    pub(super) fn is_closed(&self) -> bool {
        self.events.closed()
    }

    /// The next event that has come, having taken note of it.
    pub(super) fn next(&mut self) -> io::Result<Option<Event>> {
        let event = self.events.read(&mut self.control)?;
        match event {
            Some(Event::Died(death)) => self.death = Some(death),
            Some(Event::Leftovers(count)) => self.leftovers = count,
            Some(Event::Exceeded(excess)) => self.excess = Some(excess),
            Some(Event::LogCut) => self.log_cut = true,
            Some(Event::Started | Event::NoNamespace(_)) => {}
            None if self.events.closed() => {
                self.death.get_or_insert(Death::Lost);
            }
            None => {}
        }
        Ok(event)
    }

    /// Takes note of all that has come.
    pub(super) fn read(&mut self) -> io::Result<()> {
        while self.next()?.is_some() {}
        Ok(())
    }

    /// Waits until more can be heard.
    pub(super) fn wait(&self, deadline: Instant) -> Result<(), Failure> {
        wait::until_readable(&self.control, Some(deadline))
    }

    /// Listens until nothing more will be heard, or `limit` has passed; says whether it was the former.
    pub(super) fn await_end(&mut self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
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

    /// Why the channel is closed: most often because the worker died, of which the news may take a moment.
    pub(super) fn why_closed(&mut self) -> Failure {
        let deadline = Instant::now() + Duration::from_secs(1);
        while self.death.is_none() && self.excess.is_none() {
            if self.read().is_err() || self.death.is_some() || self.wait(deadline).is_err() {
                break;
            }
        }
        // It was the supervisor then who killed the worker.
        let excess = self.excess.map(Failure::Exceeded);
        excess.or(self.death.map(Failure::Died)).unwrap_or(Failure::Closed)
    }
}
