//! What happens while trials are run. The executor tells it once; the recorder, the display and the stream of JSON each
//! take what they need of it.

use plugin_api::Progress;

use super::session::{CallError, Observer};
use super::trial::{TrialResult, TrialSpec};
use crate::plan::{Block, Session};
use crate::worker::protocol::Canary;

#[derive(Debug)]
pub(crate) enum Event<'a> {
    /// The machine was checked before a session.
    MachineChecked(&'a Session, Canary),
    /// The serial reference of a block was timed: seconds of one iteration of the kernel.
    ReferenceTimed(&'a Block, f64),
    /// A session is put off to the end of its block, and why.
    PutOff(&'a Session, String),
    Started(&'a TrialSpec),
    /// A trial goes on to its next phase.
    Phase(Phase),
    /// How far the call under way is.
    Progress(Progress),
    /// A log record of the plugin; the level is 1 (error) to 5 (trace).
    Log(u32, String, String),
    Finished(&'a TrialSpec, &'a TrialResult),
}

/// What a trial is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The oracle computes what must come out.
    Expecting,
    /// The engine is being started.
    Opening,
    /// The workload runs.
    Running,
    /// The engine is being stopped, and the answer judged.
    Judging,
}

/// Where events go. An error stops the schedule.
pub(crate) type Sink<'a, E> = &'a mut dyn FnMut(&Event<'_>) -> Result<(), E>;

/// Why a schedule stopped before its end.
#[derive(Debug)]
pub(crate) enum Stopped<E> {
    Interrupted,
    Sink(E),
    /// What all trials stand on could not be had.
    Failed(CallError),
}

/// Where what a call tells goes: what is thought of it stops no call.
pub(crate) type Listener<'a> = &'a mut dyn FnMut(&Event<'_>);

/// Tells a listener what a worker says while a call is under way.
pub(super) struct Forward<'a, 'b>(pub(super) &'a mut (dyn FnMut(&Event<'_>) + 'b));

impl Observer for Forward<'_, '_> {
    fn progress(&mut self, progress: Progress) {
        (self.0)(&Event::Progress(progress));
    }

    fn log(&mut self, level: u32, target: &str, message: &str) {
        (self.0)(&Event::Log(level, target.into(), message.into()));
    }
}
