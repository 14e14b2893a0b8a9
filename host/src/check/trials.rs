//! The runs of checks, on the executor.

use std::convert::Infallible;

use plugin_api::workload::CatalogueEntry;
use plugin_api::{ErrorKind, Parameter, Parameters, WorkloadSpec};
use serde_json::{Map, Value, json};

use super::finding::NotPassed;
use crate::plan::BackendChoice;
use crate::run::engine::Engine;
use crate::run::event::Event;
use crate::run::executor::Executor;
use crate::run::outcome::Outcome;
use crate::run::session::{CallError, Fault};
use crate::run::trial::{TrialResult, TrialSpec};
use crate::text::with_remedy;

/// A spec with these keys of `extra`.
pub(super) fn spec(workload: &str, items: u64, extra: &[(&str, Value)]) -> WorkloadSpec {
    let mut spec = WorkloadSpec { total_items: items, ..WorkloadSpec::new(workload) };
    spec.extra.extend(extra.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    spec
}

/// A spec for a workload that sleeps for `sleep_us` if it sleeps, and has this `rate` if it is an open loop.
pub(super) fn spec_of(entry: &CatalogueEntry, items: u64, sleep_us: u64, rate: u64) -> WorkloadSpec {
    let mut parameters = vec![("sleep_us", json!(sleep_us)), ("rate", json!(rate))];
    // Elsewhere a parameter of that name has another meaning, such as how many events of a query have one second of their time.
    parameters.retain(|(name, value)| {
        (*name != "rate" || entry.plan.open_loop)
            && entry.parameters.iter().any(|parameter| takes(parameter, name, value))
    });
    spec(&entry.name, items, &parameters)
}

/// Whether a parameter has this name and takes this value: that of another author may have another range.
fn takes(parameter: &Parameter, name: &str, value: &Value) -> bool {
    let extra = Map::from_iter([(name.to_owned(), value.clone())]);
    parameter.name == name && Parameters::resolve(std::slice::from_ref(parameter), &extra).is_ok()
}

/// A trial of `spec` on the backend with this name.
pub(super) fn trial(backend: &str, spec: &WorkloadSpec, nodes: u32) -> TrialSpec {
    TrialSpec::alone(BackendChoice::new(backend), "check".into(), spec.clone(), nodes)
}

/// Ignores an event.
pub(super) fn ignore(_event: &Event<'_>) -> Result<(), Infallible> {
    Ok(())
}

/// Runs `trial` on a started engine, and verifies the answer.
pub(super) fn run(
    executor: &mut Executor,
    engine: &mut Engine,
    trial: &TrialSpec,
) -> Result<TrialResult, NotPassed> {
    // Not the backend's fault: a check of the workload library reports it.
    executor.expect(&trial.workload_spec()).map_err(NotPassed::not_run)?;
    let result = executor.run(trial, engine, &mut ignore).map_err(|_| NotPassed::interrupted())?;
    match &result.outcome {
        Outcome::Wrong(CallError { remedy: Some(remedy), .. }) if result.suspects_workload => {
            let why = "a serial run without a backend contradicts its oracle too";
            Err(NotPassed::Skipped(with_remedy(why, Some(remedy))))
        }
        _ => Ok(result),
    }
}

/// Requires that a trial was verified. A source that was late is accepted, because that depends on how busy this machine is.
pub(super) fn verified(result: &TrialResult) -> Result<(), NotPassed> {
    match &result.outcome {
        Outcome::Invalid(CallError { fault: Fault::LateSource, .. }) => Ok(()),
        Outcome::Failed(error) => Err(failed_run(error.clone())),
        outcome => outcome.error().map_or(Ok(()), |error| Err(error.clone().into())),
    }
}

/// A backend need not run what it does not support.
pub(super) fn failed_run(error: CallError) -> NotPassed {
    match error.fault {
        Fault::Reported(ErrorKind::Unsupported) => NotPassed::Skipped(error.message),
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use plugin_api::workload::Plan;

    use super::*;

    #[test]
    fn only_an_open_loop_has_the_rate_and_only_in_its_range() {
        let mut entry = CatalogueEntry {
            name: "queries".into(),
            description: String::new(),
            parameters: vec![Parameter::integer("rate", "events in a second of their time", 1, 1, 10)],
            plan: Plan::new(),
            needs: Vec::new(),
            uses: Vec::new(),
        };
        assert_eq!(spec_of(&entry, 1, 0, 9).extra.get("rate"), None);
        entry.plan.open_loop = true;
        assert_eq!(spec_of(&entry, 1, 0, 9).extra.get("rate"), Some(&json!(9)));
        // A value that is out of its range would be refused.
        assert_eq!(spec_of(&entry, 1, 0, 100_000).extra.get("rate"), None);
    }
}
