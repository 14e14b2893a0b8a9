//! What crosses a border as JSON, what a run left behind to be resumed, and what is typed.

use std::time::Duration;

use crossrun::internals::cli::{PlanFile, count, duration, extra, max_wait, parallelism, run_id};
use crossrun::internals::plan::{Matrix, Plan};
use crossrun::internals::plugin::LockFile;
use crossrun::internals::worker::{Request, Work};
use plugin_api::workload::{CatalogueEntry, Outcome, Plan as WorkloadPlan};
use plugin_api::{Availability, Parameter, Parameters, RunnerError, Session, SetupRequest, WorkloadSpec};
use serde_json::Map;

/// What must hold for any bytes.
pub fn check(data: &[u8]) {
    check_spec(data);
    check_wires(data);
    check_plan(data);
    check_lock(data);
    if let Ok(text) = std::str::from_utf8(data) {
        check_typed(text);
    }
}

fn check_spec(json: &[u8]) {
    match WorkloadSpec::from_json(json) {
        Ok(spec) => {
            assert!(spec.parallelism > 0);
            assert_eq!(WorkloadSpec::from_json(&spec.to_json()).as_ref(), Ok(&spec));
            let _ = (spec.batch_size(), spec.fusion(), max_wait(&spec.extra));
        }
        Err(error) => super::assert_printable(&error.message),
    }
}

fn check_wires(json: &[u8]) {
    super::survives::<Session>(json);
    super::survives::<SetupRequest>(json);
    super::survives::<Availability>(json);
    super::survives::<RunnerError>(json);
    super::survives::<Outcome>(json);
    super::survives::<Vec<CatalogueEntry>>(json);
    if let Some(parameter) = super::survives::<Parameter>(json) {
        let _ = Parameters::resolve(&[parameter], &Map::new());
    }
    if let Some(plan) = super::survives::<WorkloadPlan>(json) {
        let _ = plan.is_well_formed();
        assert!(plan.end_of_chain(1) >= 1);
    }
}

fn check_plan(json: &[u8]) {
    if let Ok(file) = PlanFile::parse(json) {
        assert!(file.timeout() > Duration::ZERO);
        if let Ok(plan) = file.plan() {
            assert!(plan.trials().next().is_some());
        }
    }
    if let Some(matrix) = super::survives::<Matrix>(json) {
        let Ok(plan) = Plan::new(&matrix) else { return };
        let trials: std::collections::HashSet<_> = plan.trials().collect();
        assert_eq!(trials.len(), plan.trials().count());
        assert!(plan.remaining(&trials).is_empty());
        assert_eq!(Plan::new(&matrix), Ok(plan));
    }
}

fn check_lock(json: &[u8]) {
    let Ok(lock) = LockFile::parse(json) else { return };
    assert_eq!(LockFile::parse(&serde_json::to_vec(&lock).unwrap()).as_ref(), Ok(&lock));
    assert!(lock.differences(&lock).is_empty());
    for listed in &lock.plugins {
        assert_eq!(lock.find(&listed.kind, &listed.name), Some(listed));
        assert!(lock.lists(&listed.sha256));
    }
}

fn check_typed(text: &str) {
    let _ = parallelism(text);
    if let Ok(count_) = count(text) {
        assert_eq!(count(&count_.to_string()), Ok(count_));
    }
    if let Ok(duration) = duration(text) {
        assert!(duration > Duration::ZERO);
    }
    if let Ok(id) = run_id(text) {
        assert!(!id.contains('/') && id != "..");
    }
    if let Ok((key, value)) = extra(text) {
        // It must reach the worker, in a request, and a record.
        let mut spec = WorkloadSpec::new("null");
        spec.extra.insert(key, value);
        let request = Request::Expect(Work { spec: spec.clone(), library: Default::default() });
        let request = serde_json::to_vec(&request).unwrap();
        serde_json::from_slice::<Request>(&request).unwrap();
        assert_eq!(WorkloadSpec::from_json(&spec.to_json()), Ok(spec));
    }
}
