//! Runs of a check, on the one executor.

use std::convert::Infallible;
use std::time::Duration;

use plugin_api::{ErrorKind, WorkloadSpec};

use super::finding::NotPassed;
use crate::plan::BackendChoice;
use crate::run::engine::Engine;
use crate::run::event::Event;
use crate::run::executor::Executor;
use crate::run::outcome::Outcome;
use crate::run::session::{CallError, Fault};
use crate::run::trial::{TrialResult, TrialSpec};

/// When a run is ended.
pub(super) const TIMEOUT: Duration = Duration::from_secs(120);

/// A trial of `spec` on the backend with this name.
pub(super) fn trial(backend: &str, spec: &WorkloadSpec, nodes: u32) -> TrialSpec {
    TrialSpec::alone(BackendChoice::new(backend), "check".into(), spec.clone(), nodes)
}

/// Takes no event.
pub(super) fn ignore(_event: &Event<'_>) -> Result<(), Infallible> {
    Ok(())
}

/// Runs `trial` on an engine that runs, and has it judged.
pub(super) fn run(
    executor: &mut Executor,
    engine: &mut Engine,
    trial: &TrialSpec,
) -> Result<TrialResult, NotPassed> {
    // Not the backend's fault: its library's own check tells of it.
    executor.expect(&trial.workload_spec()).map_err(NotPassed::not_run)?;
    executor.run(trial, engine, &mut ignore).map_err(|_| NotPassed::interrupted())
}

/// Whether a trial is as it must be. Whether a source kept to its schedule is a matter of how busy this machine is: its
/// answer must be right all the same.
pub(super) fn verified(result: &TrialResult) -> Result<(), NotPassed> {
    match &result.outcome {
        Outcome::Invalid(CallError { fault: Fault::LateSource, .. }) => Ok(()),
        Outcome::Failed(error) => Err(failed_run(error.clone())),
        outcome => outcome.error().map_or(Ok(()), |error| Err(error.clone().into())),
    }
}

/// What a backend cannot express it need not run.
pub(super) fn failed_run(error: CallError) -> NotPassed {
    match error.fault {
        Fault::Reported(ErrorKind::Unsupported) => NotPassed::Skipped(error.message),
        _ => error.into(),
    }
}
