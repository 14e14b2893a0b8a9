//! What a task of a sweep takes, timed without an engine. Sweeps choose kernels by it, and runs of sweeps are checked by it.

use std::time::Duration;

use plugin_api::WorkloadSpec;

use super::executor::Executor;
use super::session::CallError;
use crate::metg::{self, ITERATIONS, MOST_ITERATIONS};
use crate::worker::protocol::PlannedGraph;

/// The stage of a workload without a graph in which an item runs the kernel.
const KERNEL_STAGE: usize = 1;
/// The kernel of the reference: so long that the call around it, some 50 ns, is a thousandth of its time.
const REFERENCE_ITERATIONS: u64 = 1 << 16;
/// A graph of so many steps can be run in stages.
const FEW_STEPS: u64 = 4;
/// A kernel is told from the rest of a task where the task takes so many times as long as the rest.
const LARGE_KERNEL: f64 = 10.0;
/// How long the reference is timed.
const REFERENCE: Duration = Duration::from_millis(200);
/// If the mean of the calls exceeds their median by this factor, other work interrupted them.
const BUSY: f64 = 1.10;

/// What a task takes with nothing but the workload's library at work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TaskReference {
    /// Seconds of one iteration of the kernel.
    pub(crate) seconds_per_iteration: f64,
    /// Seconds of what the task does beside its kernel: 0 where that is only the kernel.
    pub(super) other_seconds: f64,
    /// Whether other work ran meanwhile.
    pub(super) is_busy: bool,
}

impl TaskReference {
    pub(crate) fn seconds(&self, iterations: u64) -> f64 {
        self.other_seconds + iterations as f64 * self.seconds_per_iteration
    }
}

impl Executor {
    /// What a task of `spec` takes now. Of a task graph the output is part of it, and its inputs are not.
    pub(crate) fn task_reference(&mut self, spec: &WorkloadSpec) -> Result<TaskReference, CallError> {
        self.time_opening(spec)?;
        let unexpected = || CallError::unexpected("reference");
        let Some(PlannedGraph { shape, .. }) = self.graph(spec) else {
            let (kernels, is_busy) = self.call(spec, KERNEL_STAGE, REFERENCE_ITERATIONS)?;
            let seconds = metg::seconds_per_iteration(&kernels, REFERENCE_ITERATIONS);
            let seconds_per_iteration = seconds.ok_or_else(unexpected)?;
            return Ok(TaskReference { seconds_per_iteration, other_seconds: 0.0, is_busy });
        };
        // A graph of so many steps that it has no stages has the tasks of one with fewer.
        let few = WorkloadSpec { total_items: shape.width.saturating_mul(FEW_STEPS), ..spec.clone() };
        let (spec, stage) = match shape.kernel_stage {
            Some(stage) => (spec, stage),
            None => {
                let of_few = self.graph(&few).and_then(|graph| graph.shape.kernel_stage);
                (&few, of_few.ok_or_else(unexpected)?)
            }
        };
        let (others, _) = self.call(spec, stage, 0)?;
        let mut iterations = REFERENCE_ITERATIONS;
        // A difference of two times says little of a small part of them.
        let is_small = |(whole, other): (&f64, &f64)| *whole < LARGE_KERNEL * other;
        let (whole, is_busy) = loop {
            let (whole, is_busy) = self.call(spec, stage, iterations)?;
            if iterations >= MOST_ITERATIONS || !whole.iter().zip(&others).any(is_small) {
                break (whole, is_busy);
            }
            iterations = (4 * iterations).min(MOST_ITERATIONS);
        };
        let kernels: Vec<_> = whole.iter().zip(&others).map(|(whole, other)| whole - other).collect();
        let seconds_per_iteration =
            metg::seconds_per_iteration(&kernels, iterations).ok_or_else(unexpected)?;
        let other_seconds = metg::seconds_per_iteration(&others, 1).ok_or_else(unexpected)?;
        Ok(TaskReference { seconds_per_iteration, other_seconds, is_busy })
    }

    /// Times how long the judge's worker takes to open the workload: the processes of an engine do so at each point of a sweep.
    fn time_opening(&mut self, spec: &WorkloadSpec) -> Result<(), CallError> {
        let timeout = self.setting.timeout;
        let opened = self.ask(&spec.name, |judge| judge.reference(spec, Duration::ZERO, timeout))?;
        self.opening_seconds = self.opening_seconds.max(opened.opening_seconds);
        Ok(())
    }

    /// The median seconds of a call with so many iterations on each core, and whether other work ran meanwhile.
    fn call(
        &mut self,
        spec: &WorkloadSpec,
        stage: usize,
        iterations: u64,
    ) -> Result<(Vec<f64>, bool), CallError> {
        let mut spec = spec.clone();
        spec.extra.insert(ITERATIONS.into(), iterations.into());
        let calls = self.judge(&spec.name)?.time(&spec, stage, REFERENCE)?;
        let is_busy = calls.iter().any(|call| call.mean > call.median * BUSY);
        Ok((calls.iter().map(|call| call.median).collect(), is_busy))
    }
}
