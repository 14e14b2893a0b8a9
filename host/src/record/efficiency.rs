//! How well a run used its cores: the serial reference beside the time that the cores had.

use serde::{Deserialize, Serialize};

use crate::run::reference::TrialReference;
use crate::run::trial::{Granularity, TrialResult};
use crate::worker::protocol::SerialSample;

/// The figures of a trial; null where there is no reference, and of a trial that is not verified.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Efficiency {
    pub(super) reference_cpu_seconds: Option<f64>,
    pub(super) efficiency: Option<f64>,
    pub(super) overhead_seconds_per_item: Option<f64>,
    pub(super) cores: Option<u32>,
}

impl Efficiency {
    pub(super) fn of(result: &TrialResult, items: u64, granularity: Option<Granularity>) -> Self {
        // A sweep times the kernel once in each block, and all its work is in kernels.
        let kernels = granularity.map(|granularity| granularity.kernel_seconds * items as f64);
        let sample = result.reference.and_then(|reference| reference.sample);
        let reference = sample.map(|sample| seconds_on(&sample, result.cores)).or(kernels);
        Self::new(reference, result.cores, result.seconds(), items)
    }

    fn new(reference: Option<f64>, cores: u32, seconds: Option<f64>, items: u64) -> Self {
        let reference = reference.filter(|seconds| seconds.is_finite() && *seconds > 0.0);
        let given = seconds.map(|seconds| f64::from(cores) * seconds).filter(|given| *given > 0.0);
        let both = reference.zip(given);
        Self {
            reference_cpu_seconds: reference,
            efficiency: both.map(|(reference, given)| reference / given),
            overhead_seconds_per_item: both
                .filter(|_| items > 0)
                .map(|(reference, given)| (given - reference) / items as f64),
            cores: (cores > 0).then_some(cores),
        }
    }
}

/// The CPU seconds of the work on so many cores, where some are slow: on those that are not, and on as many of the slow ones as the others
/// are too few for. Cores that work side by side add up their speeds.
fn seconds_on(sample: &SerialSample, cores: u32) -> f64 {
    let SerialSample { cpu_seconds, fast_cpu_seconds, .. } = *sample;
    let (fast, slow, cores) = (sample.fast_cores as f64, sample.slow_cores as f64, f64::from(cores));
    if slow == 0.0 || cores == 0.0 || fast_cpu_seconds <= 0.0 {
        return cpu_seconds;
    }
    // All had an equal part of the sample.
    let on_fast = fast_cpu_seconds.min(cpu_seconds);
    let on_slow = ((fast + slow) * cpu_seconds - fast * on_fast) / slow;
    let (of_fast, of_slow) = (cores.min(fast), (cores - fast).clamp(0.0, slow));
    (of_fast + of_slow) / (of_fast / on_fast + of_slow / on_slow)
}

/// How the serial reference of a trial was sampled, and whether the run was compared with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReferenceSample {
    /// The number of items that were run, of several passes together.
    pub items: u64,
    /// The number of slices that they were run in.
    pub slices: u64,
    /// The number of cores that had a turn.
    pub cores: u64,
    /// CPU seconds that the work takes at least, by the fastest reference so far.
    pub least_cpu_seconds: f64,
    /// The part of the operators in that, from 0 to 1.
    pub operator_share: f64,
    /// The part of the tasks of a graph that are on its longest path; absent for other work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_share: Option<f64>,
    /// Whether the run was compared with it.
    pub bounds: Bounds,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Bounds {
    #[serde(rename = "checked")]
    Checked,
    /// Other machines take part, and what they do is not seen.
    #[default]
    #[serde(rename = "not checked")]
    NotChecked,
}

impl ReferenceSample {
    pub(super) fn new(reference: &TrialReference, checked: bool) -> Option<Self> {
        let sample = reference.sample?;
        Some(Self {
            items: sample.items,
            slices: sample.slices,
            cores: sample.cores,
            least_cpu_seconds: reference.least_cpu_seconds.unwrap_or_default(),
            operator_share: reference.operator_share,
            path_share: Some(reference.path_share).filter(|share| *share > 0.0),
            bounds: if checked { Bounds::Checked } else { Bounds::NotChecked },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_is_divided_by_what_the_cores_had() {
        let Efficiency { efficiency, overhead_seconds_per_item, .. } =
            Efficiency::new(Some(1.5), 2, Some(1.0), 100);
        assert_eq!((efficiency, overhead_seconds_per_item), (Some(0.75), Some(0.005)));
    }

    #[test]
    fn a_run_on_few_cores_is_compared_with_the_fast_ones() {
        // Of four cores two are half as fast.
        let mixed = SerialSample {
            cpu_seconds: 1.5,
            fast_cpu_seconds: 1.0,
            fast_cores: 2,
            slow_cores: 2,
            ..SerialSample::default()
        };
        for (cores, seconds) in [(1, 1.0), (2, 1.0), (3, 3.0 / 2.5), (4, 4.0 / 3.0), (0, 1.5)] {
            assert!((seconds_on(&mixed, cores) - seconds).abs() < 1e-9, "{cores}");
        }
        let alike = SerialSample { cpu_seconds: 1.5, ..SerialSample::default() };
        assert_eq!(seconds_on(&alike, 4), 1.5);
        // By chance the fast ones took longer.
        let by_chance = SerialSample { fast_cpu_seconds: 1.6, ..mixed };
        assert!((seconds_on(&by_chance, 4) - 1.5).abs() < 1e-9);
    }

    #[test]
    fn without_reference_duration_or_items_there_is_no_figure() {
        for (reference, seconds) in [(None, Some(1.0)), (Some(0.0), Some(1.0)), (Some(1.0), None)] {
            let figures = Efficiency::new(reference, 2, seconds, 100);
            assert_eq!((figures.efficiency, figures.overhead_seconds_per_item), (None, None));
        }
        assert_eq!(Efficiency::new(Some(1.0), 2, Some(1.0), 0).overhead_seconds_per_item, None);
    }
}
