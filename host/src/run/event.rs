//! Events of running trials. The executor emits each once; the recorder, the display and the JSON stream are its consumers.

use plugin_api::Progress;

use super::session::CallError;
use super::trial::{TrialResult, TrialSpec};
use crate::plan::{Block, Session};
use crate::worker::protocol::{MachineCheck, Reply};

#[derive(Debug)]
pub(crate) enum Event<'a> {
    /// The machine was checked before a session, or after the last one of a block.
    MachineChecked(&'a Session, MachineCheck),
    /// The serial reference of a block was timed: seconds of one iteration of the kernel.
    ReferenceTimed(&'a Block, f64),
    /// A session was postponed to the end of its block, for this reason.
    Postponed(&'a Session, String),
    Started(&'a TrialSpec),
    /// A trial entered its next phase.
    Phase(Phase),
    /// The progress of the call that is under way.
    Progress(Progress),
    /// A log record of the plugin: its level, 1 (error) to 5 (trace), its target and its message.
    Log(u32, String, String),
    Finished(&'a TrialSpec, &'a TrialResult),
}

/// The phase that a trial is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The oracle computes the expected answer.
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
    /// By the user.
    Interrupted,
    /// The sink cannot go on.
    Sink(E),
    /// A step that all trials depend on failed.
    Failed(CallError),
}

/// Receives the events of one call, and cannot stop it.
pub(crate) type Listener<'a> = &'a mut dyn FnMut(&Event<'_>);

/// Passes on to `listener` what a worker reports while a call is under way.
pub(super) fn forward(listener: Listener<'_>) -> impl FnMut(Reply) {
    move |reply| match reply {
        Reply::Progress(progress) => listener(&Event::Progress(progress)),
        Reply::Log { level, target, message } => listener(&Event::Log(level, target, message)),
        _ => {}
    }
}
