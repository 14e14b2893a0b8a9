//! Checks of unusual and invalid specs.

use plugin_api::{ErrorKind, WorkloadSpec};
use serde_json::{Value, json};

use super::errors::expected_error;
use super::finding::{CheckResult, NotPassed};
use super::fixture::Fixture;
use super::trials::{self, verified};
use crate::plan::defaults::NULL;
use crate::run::session::CallError;
use crate::run::trial::TrialResult;

fn plain(extra: &[(&str, Value)]) -> WorkloadSpec {
    trials::spec(NULL, 20, extra)
}

/// Unknown keys of `extra` are ignored.
pub(super) fn unknown_option(fixture: &mut Fixture) -> CheckResult {
    fixture.demand_workload(NULL, &[])?;
    let odd = [
        ("of_a_later_version", json!({"nested": [1, null, "two"]})),
        ("größe", json!(0.5)),
        ("", json!(false)),
    ];
    verified(&fixture.run(&plain(&odd))?)?;
    Ok(String::new())
}

/// An unknown scheduler is ignored, or refused with an error.
pub(super) fn unknown_scheduler(fixture: &mut Fixture) -> CheckResult {
    fixture.demand_workload(NULL, &[])?;
    let spec = WorkloadSpec { scheduler_name: "of_nobody".into(), ..plain(&[]) };
    fixture.executor.expect(&spec).map_err(NotPassed::not_run)?;
    let result = fixture.run_alone(&spec, 1)?;
    let Some(finished) = &result.finished else {
        return expected_error(not_finished(result), &[ErrorKind::InvalidSpec, ErrorKind::Unsupported]);
    };
    verified(&result)?;
    let used = &finished.scheduler_name;
    if *used == spec.scheduler_name {
        return Err(NotPassed::Failed(format!("it reports the scheduler {used:?}, which does not exist")));
    }
    Ok(format!("it used {used:?}"))
}

/// More machines than exist are refused, or the run reports how many were used.
pub(super) fn nodes(fixture: &mut Fixture) -> CheckResult {
    const ASKED_FOR: u32 = 3;
    fixture.demand_workload(NULL, &[])?;
    let spec = WorkloadSpec { parallelism: ASKED_FOR, ..plain(&[]) };
    fixture.executor.expect(&spec).map_err(NotPassed::not_run)?;
    let result = fixture.run_alone(&spec, ASKED_FOR)?;
    let Some(finished) = &result.finished else {
        let kinds = [ErrorKind::Unsupported, ErrorKind::InvalidSpec, ErrorKind::Unavailable];
        return expected_error(not_finished(result), &kinds);
    };
    match finished.metrics.get("nodes").and_then(Value::as_u64) {
        Some(nodes @ 1..) => Ok(format!("{ASKED_FOR} nodes were asked for, and {nodes} reported")),
        _ => Err(NotPassed::Failed(format!(
            "it accepted a session of {ASKED_FOR} nodes, but reports no number of nodes for a run"
        ))),
    }
}

/// Why a trial did not finish.
fn not_finished(result: TrialResult) -> Result<(), CallError> {
    result.outcome.error().map_or(Ok(()), |error| Err(error.clone()))
}

/// An invalid batch size is an error.
pub(super) fn batch_size(fixture: &mut Fixture) -> CheckResult {
    invalid(fixture, "batch_size", &[json!(0), json!("many")])
}

/// An invalid fusion is an error.
pub(super) fn fusion(fixture: &mut Fixture) -> CheckResult {
    invalid(fixture, "fusion", &[json!("perhaps")])
}

fn invalid(fixture: &mut Fixture, option: &str, values: &[Value]) -> CheckResult {
    fixture.demand_workload(NULL, &[])?;
    for value in values {
        let spec = plain(&[(option, value.clone())]);
        expected_error(fixture.run_unjudged(&spec), &[ErrorKind::InvalidSpec])
            .map_err(|not_passed| not_passed.named(&format!("{option}={value}")))?;
    }
    Ok(String::new())
}
