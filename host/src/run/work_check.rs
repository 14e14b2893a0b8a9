//! Takes serial references between trials, and compares each run with what its work takes.

use std::path::Path;
use std::time::Duration;

use plugin_api::WorkloadSpec;
use plugin_api::workload::Outcome as Answer;
use serde_json::Value;

use super::bounds::{self, Measured, Violation};
use super::engine::Engine;
use super::executor::Executor;
use super::outcome::Outcome;
use super::reference::{NoReference, TrialReference};
use super::session::{CallError, Fault};
use super::trial::{Granularity, TrialResult, TrialSpec};
use crate::control_group::{self, Quota};
use crate::metg::ITERATIONS;
use crate::plan::Purpose;
use crate::sandbox::affinity;
use crate::slowdown;
use crate::text::plural;
use crate::worker::protocol::Finished;

/// So many cores, or as many as a quota of processor time leaves. Of a part of a core the whole counts, so that no run is above 100 %.
fn within_quota(cores: u32, quota: Option<Quota>) -> u32 {
    match quota {
        Some(Quota::Cores(quota)) => cores.min(quota.ceil() as u32),
        Some(Quota::Unlimited) | None => cores,
    }
}

/// So many cores, or the part of them that a quota leaves.
fn left_by_quota(cores: u32, quota: Option<Quota>) -> f64 {
    match quota {
        Some(Quota::Cores(quota)) => quota.min(cores.into()),
        Some(Quota::Unlimited) | None => cores.into(),
    }
}

/// The cores that this process may use, or the part of them that a quota leaves.
fn cores_left() -> f64 {
    left_by_quota(affinity::cores().len() as u32, control_group::cpu_quota(Path::new("/")))
}

/// The longest latency of an open loop; `None` if nothing was measured.
fn latest_seconds(actual: Option<&Answer>) -> Option<f64> {
    let latest = actual?.latency.as_ref()?.scheduled.at(1.0)?;
    Some(Duration::from_nanos(latest).as_secs_f64())
}

/// Opening workloads in the time of a run is told from this part of the run on.
const OPENED_PART: f64 = 0.01;

/// A warning about workloads that a backend says it opened in the time of a run, if that takes a part of it that matters: by what loading
/// and opening took in the judge's worker. So many are opened at once as operators run at once.
fn opened_late(finished: &Finished, reference: &TrialReference, parallelism: u32) -> Option<String> {
    let count = finished.metrics.get("late_opens")?.as_u64()?;
    let seconds = count as f64 * reference.opening_seconds;
    (seconds / f64::from(parallelism.max(1)) > finished.duration_seconds * OPENED_PART).then(|| {
        let times = plural(count, "time");
        let took = format!("which is about {seconds:.3} s of CPU time");
        format!("the workload was opened {times} in the time of the run, {took}")
    })
}

/// How long a sample runs.
const SAMPLE: Duration = Duration::from_millis(100);
/// How long it is waited before each further reference, where a run breaks a bound by those so far. Other work that makes one
/// too long soon makes the next one too long as well.
const PAUSES: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(250), Duration::from_millis(500), Duration::from_secs(1)];

/// A run that a quiet machine would have made invalid.
const EXCUSED: &str = "the run used less CPU time or time than its work takes by the serial reference, of which only half was demanded: \
                       other processes used the cores; repeat it on a quiet machine";

/// A run of which the CPU time is not known.
const ONLY_TIME: &str = "only the time is checked against the serial reference: the CPU time of the processes of the backend is \
                         not known";

impl Executor {
    /// Takes the reference of the point of `spec`, unless `block` has it already. A failure costs a warning in the trial.
    pub(crate) fn take_reference(&mut self, spec: &WorkloadSpec, block: Option<u32>) {
        if self.references.is_due(spec, block) {
            self.take_another(spec, block);
        }
    }

    /// Whether the judge took one.
    fn take_another(&mut self, spec: &WorkloadSpec, block: Option<u32>) -> bool {
        let Ok(expected) = self.expect(spec) else { return false };
        // The CPU time of work that waits says nothing of how long it takes.
        let waits = expected.waiting_seconds.is_some_and(|seconds| seconds > 0.0);
        let sample = if waits { Duration::ZERO } else { SAMPLE };
        let timeout = self.setting.timeout;
        let taken = self.ask(&spec.name, |judge| judge.reference(spec, sample, timeout));
        let is_taken = taken.is_ok();
        self.references.add(spec, block, taken.map_err(NoReference::from));
        is_taken
    }

    /// Compares a run of `engine` with what is physically possible. A verified run that is not becomes invalid.
    pub(super) fn check_work(
        &mut self,
        trial: &TrialSpec,
        result: &mut TrialResult,
        state_bytes: usize,
        engine: &Engine,
    ) {
        let spec = trial.workload_spec();
        let given = self.setting.launch.cores.as_ref().map(|cores| cores.numbers().len() as u32);
        let machine = affinity::cores().len() as u32;
        let width = result.graph.map(|graph| graph.max_tasks_at_once());
        let asked_for = given.unwrap_or(machine.min(spec.parallelism)).min(width.unwrap_or(u32::MAX));
        let quota = control_group::cpu_quota(Path::new("/"));
        result.cores = within_quota(asked_for, quota).max(1);
        let opening = self.opening_seconds;
        let of_kernels = |it: Granularity| {
            TrialReference::of_kernels(it.kernel_seconds * spec.total_items as f64, opening)
        };
        let known = trial.granularity.map(|granularity| Ok(of_kernels(granularity)));
        let mut reference = match known.or_else(|| self.references.of(&spec, trial.block)) {
            Some(Ok(reference)) => reference,
            Some(Err(why)) => {
                result.warnings.push(format!("there is no serial reference: {why}"));
                return;
            }
            None => return,
        };
        let Some(finished) = &result.finished else { return };
        result.warnings.extend(opened_late(finished, &reference, spec.parallelism));
        let mut run = Measured {
            duration_seconds: finished.duration_seconds,
            host_seconds: result.host_elapsed.unwrap_or_default(),
            host_waited: engine.host_waited,
            state_bytes,
            usage: result.usage,
            parallelism: spec.parallelism,
            width,
            cores: given.unwrap_or(machine),
            nodes: trial.nodes,
            joins_cluster: result.joins_cluster,
            latest_seconds: latest_seconds(result.actual.as_ref()),
            is_first: matches!(trial.purpose, Purpose::WarmUp(0))
                || result.usage.is_some_and(|usage| usage.cpu_between_runs.is_none()),
            slowdown: 1.0,
            quiet_slowdown: slowdown::when_quiet(left_by_quota(machine, quota)),
            is_swept: trial.granularity.is_some(),
        };
        if result.outcome.is_verified() {
            if let Some(violation) = self.violation(&mut run, trial, &mut reference, engine) {
                result.outcome = outcome_of(violation, self.is_interrupted());
            } else if bounds::is_excused(&run, &reference) {
                result.warnings.push(EXCUSED.into());
            }
        }
        let seen = bounds::is_checked(&run);
        if !seen {
            // Nobody knows how many cores of other machines worked.
            result.cores = 0;
        }
        result.work_checked = seen && reference.least_cpu_seconds.is_some();
        if !seen && reference.least_cpu_seconds.is_some() {
            let why =
                "the work is not checked against the serial reference: what other machines do is not seen";
            result.warnings.push(why.into());
        }
        if bounds::lacks_cpu_time(&run, &reference) {
            result.warnings.push(ONLY_TIME.into());
        }
        result.reference = Some(reference);
    }

    /// The bound that `run` does not keep.
    fn violation(
        &mut self,
        run: &mut Measured,
        trial: &TrialSpec,
        reference: &mut TrialReference,
        engine: &Engine,
    ) -> Option<Violation> {
        let spec = trial.workload_spec();
        let slowdown = || slowdown::measure_beside(|| engine.cpu_seconds_and_newest(), cores_left());
        lasting_violation(run, reference, slowdown, |pause| {
            if self.is_interrupted() {
                return None;
            }
            std::thread::sleep(pause);
            if trial.granularity.is_some() {
                return self.kernels_again(&spec);
            }
            let is_taken = self.take_another(&spec, trial.block);
            self.references.of(&spec, trial.block).and_then(Result::ok).filter(|_| is_taken)
        })
    }

    /// The reference of a sweep's trial by the speed of the kernel now.
    fn kernels_again(&mut self, spec: &WorkloadSpec) -> Option<TrialReference> {
        // It counts for the work alone: the engine beside it may make the judge slow to open the workload.
        let opening_seconds = self.opening_seconds;
        let reference = self.task_reference(spec);
        self.opening_seconds = opening_seconds;
        let iterations = spec.extra.get(ITERATIONS).and_then(Value::as_u64);
        let seconds = reference.ok()?.seconds(iterations?) * spec.total_items as f64;
        Some(TrialReference::of_kernels(seconds, opening_seconds))
    }
}

/// What a run is that does not keep a bound. After an interrupt no other reference is taken, by one of which it may be right.
fn outcome_of(violation: Violation, is_interrupted: bool) -> Outcome {
    if violation.depends_on_reference && is_interrupted {
        return Outcome::Failed(CallError::interrupted("reference"));
    }
    Outcome::Invalid(CallError::judged(Fault::InvalidMeasurement, violation.why))
}

/// The bound that `run` does not keep. A reference that was taken under load is too long: before a run is invalid by it, others are
/// taken, each after a pause, and the fastest counts. On a machine that is still busy then, a part of it does. Where a run is invalid by
/// clocks, the times that a call may take are scaled once.
fn lasting_violation(
    run: &mut Measured,
    reference: &mut TrialReference,
    slowdown: impl Fn() -> f64,
    mut another: impl FnMut(Duration) -> Option<TrialReference>,
) -> Option<Violation> {
    let sample = reference.sample;
    for pause in PAUSES {
        let mut violation = bounds::violation(run, reference)?;
        if !violation.depends_on_reference {
            run.slowdown = slowdown();
            violation = bounds::violation(run, reference)?;
        }
        if !violation.depends_on_reference {
            return Some(violation);
        }
        // A judge that was lost is started anew by the next one.
        let Some(again) = another(pause) else { continue };
        // The record has the sample from before the run.
        let least = [again, *reference].iter().filter_map(|it| it.least_cpu_seconds).reduce(f64::min);
        *reference = TrialReference { sample, least_cpu_seconds: least, ..again };
    }
    bounds::violation(run, reference)?;
    run.slowdown = slowdown();
    bounds::violation(run, reference)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::trial::examples;

    #[test]
    fn a_run_that_breaks_bounds_of_both_kinds_is_compared_with_new_references() {
        // The reply took a second more than the run, and the reference was taken under load: the work takes 1.9 s, and not 4.
        let reference = |seconds| TrialReference {
            least_cpu_seconds: Some(seconds),
            operator_share: 1.0,
            ..TrialReference::default()
        };
        let run = Measured {
            duration_seconds: 1.0,
            host_seconds: 2.0,
            parallelism: 2,
            cores: 2,
            nodes: 1,
            ..Measured::default()
        };
        let found = |slowdown: f64, seconds: f64| {
            lasting_violation(&mut { run }, &mut reference(4.0), || slowdown, |_| Some(reference(seconds)))
        };
        assert_eq!(found(4.0, 1.9), None);
        assert!(found(1.0, 1.9).is_some_and(|it| !it.depends_on_reference));
        assert!(found(4.0, 3.0).is_some_and(|it| it.depends_on_reference));
        // One that cannot be taken is no reason to take no other.
        let mut times = 0;
        let seldom = |_| {
            times += 1;
            (times == 3).then(|| reference(1.9))
        };
        assert_eq!(lasting_violation(&mut { run }, &mut reference(4.0), || 4.0, seldom), None);
    }

    #[test]
    fn what_is_opened_in_the_time_of_a_run_is_told_where_it_takes_a_part_that_matters() {
        let told = |late_opens: Value, opening_seconds| {
            let mut finished = examples::finished(0.5);
            finished.metrics.insert("late_opens".into(), late_opens);
            opened_late(&finished, &TrialReference { opening_seconds, ..TrialReference::default() }, 2)
        };
        let warning = told(2.into(), 0.2).unwrap();
        assert!(warning.contains("opened 2 times") && warning.contains("about 0.400 s"), "{warning}");
        // What opens at once, what opened nothing, and a claim that is no number.
        assert_eq!((told(4.into(), 0.001), told(0.into(), 0.2), told("2".into(), 0.2)), (None, None, None));
    }

    #[test]
    fn an_interrupt_among_new_references_makes_no_run_invalid() {
        let outcome = |depends_on_reference, is_interrupted| {
            let violation = Violation { why: "too fast".into(), depends_on_reference };
            outcome_of(violation, is_interrupted)
        };
        let is_interrupted = |outcome: &Outcome| matches!(outcome, Outcome::Failed(error) if error.fault == Fault::Interrupted);
        assert!(is_interrupted(&outcome(true, true)));
        for other in [outcome(true, false), outcome(false, true), outcome(false, false)] {
            assert!(matches!(other, Outcome::Invalid(_)), "{other:?}");
        }
    }

    #[test]
    fn efficiency_refers_to_no_more_cores_than_a_quota_leaves() {
        let cores = |asked_for, quota| within_quota(asked_for, Some(Quota::Cores(quota)));
        assert_eq!((cores(8, 2.0), cores(8, 1.5), cores(1, 1.5), cores(4, 9.0)), (2, 2, 1, 4));
        assert_eq!((within_quota(8, Some(Quota::Unlimited)), within_quota(8, None)), (8, 8));
        let left = |cores, quota| left_by_quota(cores, Some(Quota::Cores(quota)));
        assert_eq!((left(8, 1.5), left(1, 1.5), left_by_quota(4, None)), (1.5, 1.0, 4.0));
    }
}
