//! Which kernels are run, and how many tasks of each: decided from what came of those before.

use super::{FIRST_EFFICIENCY, LAST_EFFICIENCY, MeasuredLoad};
use crate::plan::Purpose;
use crate::stats::WarmUp;

/// A core gets at least so many tasks: with fewer, one that is left over at the end would weigh.
const LEAST_A_CORE: u64 = 8;
/// However short a task is, there are no more than this.
const MOST_TASKS: u64 = 20_000_000;
/// How many times the kernel is doubled when the first was not long enough.
const DOUBLINGS: u32 = 6;

/// So many tasks of so long a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    /// Iterations of the kernel in each task.
    pub iterations: u64,
    pub tasks: u64,
}

/// Whatever runs tasks: a backend, or one that a test makes up.
pub(crate) trait LoadRunner {
    /// Why it cannot go on.
    type Error;

    /// Runs the load and tells how many seconds that took; nothing if there is no verified answer, which ends the sweep.
    fn run(&mut self, load: Load, purpose: Purpose) -> Result<Option<f64>, Self::Error>;
}

/// One sweep over kernels: each has twice the iterations of the next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sweep {
    pub cores: u32,
    /// Seconds of one iteration of the kernel, by the block's reference.
    pub seconds_per_iteration: f64,
    /// About how long a point is to take; one with the least number of tasks may take longer.
    pub point_seconds: f64,
    /// No kernel is shorter.
    pub finest_seconds: f64,
    /// No kernel is longer.
    pub coarsest_seconds: f64,
    pub warm_up: WarmUp,
}

impl Sweep {
    /// Warms up, starts where nearly all time goes into kernels, and halves them until nearly none does. Every kernel is
    /// measured once.
    pub(crate) fn run<B: LoadRunner>(&self, bench: &mut B) -> Result<(), B::Error> {
        let Some(warm) = self.warm_up(bench)? else { return Ok(()) };
        let first = self.first_rung(&warm);
        let mut expected = self.seconds_a_task(&warm, first);
        let mut lowest = None;
        for rung in first..=self.highest().min(first + DOUBLINGS) {
            let Some(point) = self.measure(bench, rung, expected)? else { return Ok(()) };
            lowest.get_or_insert(point);
            if point.efficiency() >= FIRST_EFFICIENCY {
                break;
            }
            expected = self.seconds_a_task(&point, rung + 1);
        }
        let Some(mut last) = lowest else { return Ok(()) };
        for rung in (self.lowest()..first).rev() {
            if last.efficiency() <= LAST_EFFICIENCY {
                break;
            }
            let expected = self.seconds_a_task(&last, rung);
            let Some(point) = self.measure(bench, rung, expected)? else { return Ok(()) };
            last = point;
        }
        Ok(())
    }

    /// Runs the finest kernel until that has settled. The first runs are short: nothing is known of the engine yet.
    fn warm_up<B: LoadRunner>(&self, bench: &mut B) -> Result<Option<MeasuredLoad>, B::Error> {
        let iterations = iterations(self.lowest());
        let (mut each, mut tasks, mut last) = (Vec::new(), self.least_tasks(), None);
        for number in 0.. {
            if self.warm_up.is_over(&each) {
                break;
            }
            let Some(seconds) = bench.run(Load { iterations, tasks }, Purpose::WarmUp(number))? else {
                return Ok(None);
            };
            last = Some(self.measured(self.lowest(), tasks, seconds));
            each.push(seconds / tasks as f64);
            tasks = self.tasks(seconds / tasks as f64);
        }
        // Without any warm-up nothing is known: then a task costs nothing, and the sweep finds its way up.
        Ok(Some(last.unwrap_or_else(|| self.measured(self.lowest(), self.cores.into(), 0.0))))
    }

    fn measure<B: LoadRunner>(
        &self,
        bench: &mut B,
        rung: u32,
        expected: f64,
    ) -> Result<Option<MeasuredLoad>, B::Error> {
        let tasks = self.tasks(expected);
        let seconds = bench.run(Load { iterations: iterations(rung), tasks }, Purpose::Measured)?;
        Ok(seconds.map(|seconds| self.measured(rung, tasks, seconds)))
    }

    fn measured(&self, rung: u32, tasks: u64, seconds: f64) -> MeasuredLoad {
        MeasuredLoad { kernel_seconds: self.kernel_seconds(rung), tasks, seconds, cores: self.cores }
    }

    /// The shortest kernel that is long enough for [`FIRST_EFFICIENCY`], if a task costs what it cost so far.
    fn first_rung(&self, warm: &MeasuredLoad) -> u32 {
        let wanted = warm.overhead().max(0.0) * FIRST_EFFICIENCY / (1.0 - FIRST_EFFICIENCY);
        let enough = |rung: &u32| self.kernel_seconds(*rung) >= wanted;
        (self.lowest()..self.highest()).find(enough).unwrap_or(self.highest())
    }

    /// What one more task would add to a run if only the kernel changed. Half the kernel saves half at most.
    fn seconds_a_task(&self, known: &MeasuredLoad, rung: u32) -> f64 {
        let each = known.seconds / known.tasks as f64;
        let change = (self.kernel_seconds(rung) - known.kernel_seconds) / f64::from(self.cores);
        (each + change).max(each / 2.0)
    }

    /// How many tasks fill a point; the same number for every core.
    fn tasks(&self, seconds_a_task: f64) -> u64 {
        let wanted = (self.point_seconds / seconds_a_task).ceil();
        // A quotient that is no number or too large becomes the most.
        let wanted = if wanted < MOST_TASKS as f64 { wanted as u64 } else { MOST_TASKS };
        wanted.max(self.least_tasks()).next_multiple_of(self.cores.max(1).into())
    }

    fn least_tasks(&self) -> u64 {
        LEAST_A_CORE * u64::from(self.cores.max(1))
    }

    fn kernel_seconds(&self, rung: u32) -> f64 {
        iterations(rung) as f64 * self.seconds_per_iteration
    }

    /// The rung of the longest kernel that may be run.
    fn highest(&self) -> u32 {
        (0..u64::BITS - 1).rev().find(|rung| self.kernel_seconds(*rung) <= self.coarsest_seconds).unwrap_or(0)
    }

    /// The rung of the shortest kernel that may be run.
    fn lowest(&self) -> u32 {
        let highest = self.highest();
        (0..highest).find(|rung| self.kernel_seconds(*rung) >= self.finest_seconds).unwrap_or(highest)
    }
}

fn iterations(rung: u32) -> u64 {
    1 << rung
}
