//! Chooses the kernels and their numbers of tasks from the results so far.

use super::{FIRST_EFFICIENCY, LAST_EFFICIENCY, MeasuredLoad};
use crate::plan::Purpose;
use crate::stats::WarmUp;

/// With fewer tasks per core, a remaining task at the end would affect the result.
const MIN_TASKS_PER_CORE: u64 = 8;
/// The maximum number of tasks, even of very short ones.
const MAX_TASKS: u64 = 20_000_000;
/// How many times the kernel is doubled if the first was not long enough.
const MAX_DOUBLINGS: u32 = 6;

/// A number of tasks, and the length of their kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    /// Of the kernel in each task.
    pub iterations: u64,
    pub tasks: u64,
    /// Whether the sweep runs no longer kernel, whatever comes of this one.
    pub is_longest: bool,
    /// Whether the sweep runs no shorter kernel.
    pub is_shortest: bool,
}

/// Runs loads: a backend, or a simulated one in tests.
pub(crate) trait LoadRunner {
    /// Why the sweep cannot continue.
    type Error;

    /// Runs the load and returns the duration in seconds. None without a verified answer, which ends the sweep.
    fn run(&mut self, load: Load, purpose: Purpose) -> Result<Option<f64>, Self::Error>;
}

/// The kernels that a sweep may run, and the time for each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Range {
    /// The approximate duration of a point. A point with the minimum number of tasks may take longer.
    pub point_seconds: f64,
    /// The shortest kernel.
    pub finest_seconds: f64,
    /// The longest kernel.
    pub coarsest_seconds: f64,
}

/// One sweep over kernels, each with twice the iterations of the next shorter one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sweep {
    pub cores: u32,
    /// Seconds of one iteration of the kernel in the reference of the block.
    pub seconds_per_iteration: f64,
    /// Seconds of what a task does beside its kernel in that reference, such as making its output.
    pub other_seconds: f64,
    /// The number of tasks of each point, where the points do not choose it by the time that a task takes.
    pub tasks: Option<u64>,
    pub range: Range,
    pub warm_up: WarmUp,
}

impl Sweep {
    /// Warms up, starts at a kernel with [`FIRST_EFFICIENCY`], and halves it down to [`LAST_EFFICIENCY`]. Every kernel is
    /// measured once.
    pub(crate) fn run<R: LoadRunner>(&self, runner: &mut R) -> Result<(), R::Error> {
        let Some(warm) = self.warm_up(runner)? else { return Ok(()) };
        let first = self.first_exponent(&warm);
        let mut expected = self.seconds_per_task(&warm, first);
        let mut lowest = None;
        let highest = self.highest().min(first + MAX_DOUBLINGS);
        for exponent in first..=highest {
            let load = self.load(exponent, expected, exponent == highest);
            let Some(point) = self.measure(runner, exponent, load)? else { return Ok(()) };
            lowest.get_or_insert(point);
            if point.efficiency() >= FIRST_EFFICIENCY {
                break;
            }
            expected = self.seconds_per_task(&point, exponent + 1);
        }
        let Some(mut last) = lowest else { return Ok(()) };
        for exponent in (self.lowest()..first).rev() {
            if last.efficiency() <= LAST_EFFICIENCY {
                break;
            }
            let load = self.load(exponent, self.seconds_per_task(&last, exponent), false);
            let Some(point) = self.measure(runner, exponent, load)? else { return Ok(()) };
            last = point;
        }
        Ok(())
    }

    /// Runs the shortest kernel until its duration is stable. The first runs have few tasks, because the speed of the engine
    /// is unknown.
    fn warm_up<R: LoadRunner>(&self, runner: &mut R) -> Result<Option<MeasuredLoad>, R::Error> {
        let iterations = iterations(self.lowest());
        let is_longest = self.lowest() == self.highest();
        let (mut each, mut tasks, mut last) = (Vec::new(), self.min_tasks(), None);
        let mut total = 0.0;
        for number in 0.. {
            // The rule adds up what it is given, which is the time of a task here: runs of different length are compared.
            let is_long = total >= self.warm_up.seconds && number >= self.warm_up.min_runs();
            if is_long || self.warm_up.is_over(&each) {
                break;
            }
            let load = Load { iterations, tasks, is_longest, is_shortest: true };
            let Some(seconds) = runner.run(load, Purpose::WarmUp(number))? else {
                return Ok(None);
            };
            last = Some(self.measured(self.lowest(), tasks, seconds));
            total += seconds;
            each.push(seconds / tasks as f64);
            tasks = self.tasks(seconds / tasks as f64);
        }
        // Without a warm-up, assume no overhead. The sweep then doubles the kernel as needed.
        Ok(Some(last.unwrap_or_else(|| self.measured(self.lowest(), self.cores.into(), 0.0))))
    }

    fn measure<R: LoadRunner>(
        &self,
        runner: &mut R,
        exponent: u32,
        load: Load,
    ) -> Result<Option<MeasuredLoad>, R::Error> {
        let seconds = runner.run(load, Purpose::Measured)?;
        Ok(seconds.map(|seconds| self.measured(exponent, load.tasks, seconds)))
    }

    /// The load of a kernel of whose tasks each takes about so many seconds.
    fn load(&self, exponent: u32, seconds_per_task: f64, is_longest: bool) -> Load {
        let is_shortest = exponent == self.lowest();
        Load {
            iterations: iterations(exponent),
            tasks: self.tasks(seconds_per_task),
            is_longest,
            is_shortest,
        }
    }

    fn measured(&self, exponent: u32, tasks: u64, seconds: f64) -> MeasuredLoad {
        MeasuredLoad { kernel_seconds: self.kernel_seconds(exponent), tasks, seconds, cores: self.cores }
    }

    /// The shortest kernel with [`FIRST_EFFICIENCY`] at the overhead so far.
    fn first_exponent(&self, warm: &MeasuredLoad) -> u32 {
        let wanted = warm.overhead().max(0.0) * FIRST_EFFICIENCY / (1.0 - FIRST_EFFICIENCY);
        let enough = |exponent: &u32| self.kernel_seconds(*exponent) >= wanted;
        (self.lowest()..self.highest()).find(enough).unwrap_or(self.highest())
    }

    /// The estimated seconds of a task with another kernel. Half the kernel saves at most half.
    fn seconds_per_task(&self, known: &MeasuredLoad, exponent: u32) -> f64 {
        let each = known.seconds / known.tasks as f64;
        let change = (self.kernel_seconds(exponent) - known.kernel_seconds) / f64::from(self.cores);
        (each + change).max(each / 2.0)
    }

    /// The number of tasks of a point, a multiple of the number of cores.
    fn tasks(&self, seconds_per_task: f64) -> u64 {
        if let Some(tasks) = self.tasks {
            return tasks;
        }
        let wanted = (self.range.point_seconds / seconds_per_task).ceil();
        // NaN and too large numbers become the maximum.
        let wanted = if wanted < MAX_TASKS as f64 { wanted as u64 } else { MAX_TASKS };
        wanted.max(self.min_tasks()).next_multiple_of(self.cores.max(1).into())
    }

    fn min_tasks(&self) -> u64 {
        self.tasks.unwrap_or(MIN_TASKS_PER_CORE * u64::from(self.cores.max(1)))
    }

    fn kernel_seconds(&self, exponent: u32) -> f64 {
        self.other_seconds + iterations(exponent) as f64 * self.seconds_per_iteration
    }

    /// The exponent of the longest kernel.
    fn highest(&self) -> u32 {
        (0..u64::BITS - 1)
            .rev()
            .find(|exponent| self.kernel_seconds(*exponent) <= self.range.coarsest_seconds)
            .unwrap_or(0)
    }

    /// The exponent of the shortest kernel.
    fn lowest(&self) -> u32 {
        let highest = self.highest();
        (0..highest)
            .find(|exponent| self.kernel_seconds(*exponent) >= self.range.finest_seconds)
            .unwrap_or(highest)
    }
}

/// Kernels differ in the exponent of their iterations.
fn iterations(exponent: u32) -> u64 {
    1 << exponent
}
