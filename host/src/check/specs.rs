//! Specs that are odd, or cannot be.

use plugin_api::{ErrorKind, WorkloadSpec};
use serde_json::{Value, json};

use super::errors::expected_error;
use super::finding::{CheckResult, NotPassed};
use super::fixture::Fixture;
use super::trials::verified;
use crate::plan::defaults::NULL;
use crate::run::session::CallError;
use crate::run::trial::TrialResult;

fn plain(extra: &[(&str, Value)]) -> WorkloadSpec {
    let mut spec = WorkloadSpec { total_items: 20, ..WorkloadSpec::new(NULL) };
    spec.extra.extend(extra.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    spec
}

/// What nobody knows in `extra` is passed over.
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

/// A scheduler that nobody knows is a hint that is not taken, or an error that says so.
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
        return Err(NotPassed::Failed(format!("it claims to have run with {used:?}, which there is not")));
    }
    Ok(format!("it ran with {used:?}"))
}

/// More machines than there are are an error, or the run says how many took part.
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
        Some(nodes @ 1..) => Ok(format!("asked for {ASKED_FOR}, it says that it ran on {nodes}")),
        _ => Err(NotPassed::Failed(format!(
            "it took a session of {ASKED_FOR} nodes, and does not report how many took part in a run"
        ))),
    }
}

/// Why a trial was not run to its end.
fn not_finished(result: TrialResult) -> Result<(), CallError> {
    result.outcome.error().map_or(Ok(()), |error| Err(error.clone()))
}

/// A batch size that cannot be is an error.
pub(super) fn batch_size(fixture: &mut Fixture) -> CheckResult {
    invalid(fixture, "batch_size", &[json!(0), json!("many")])
}

/// A fusion that cannot be is an error.
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
