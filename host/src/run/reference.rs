//! The serial reference: the CPU time that a cell's work takes, which the judge's worker measures without any backend.

use std::collections::HashMap;

use plugin_api::WorkloadSpec;
use serde_json::json;

use super::session::{CallError, Fault};
use crate::text::with_remedy;
use crate::worker::protocol::{Reference, SerialSample};

/// Why there is no reference.
#[derive(Clone, Debug)]
pub(super) struct NoReference {
    why: String,
    /// Whether the judge may succeed in the next block, as where something else had the memory. The second time, the work takes too much.
    may_pass: bool,
}

impl From<CallError> for NoReference {
    fn from(error: CallError) -> Self {
        let may_pass = error.fault == Fault::OutOfMemory;
        Self { why: with_remedy(&error.message, error.remedy.as_deref()), may_pass }
    }
}

/// The reference of a trial.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TrialReference {
    /// By the sample of the trial's own block; `None` for an open loop, and for a workload that waits.
    pub sample: Option<SerialSample>,
    /// The least CPU seconds that the work takes, by the fastest sample so far.
    pub least_cpu_seconds: Option<f64>,
    /// The part of the operators in that; from 0 to 1.
    pub operator_share: f64,
    /// The part of the tasks of a graph that are on its longest path; 0 for other work.
    pub path_share: f64,
    /// The part of that work which they take at least.
    pub path_part: f64,
    /// The longest that the judge's worker took to load the library and open the workload, in seconds, where no engine was there.
    pub opening_seconds: f64,
    /// When the last item of an open loop is due, in seconds from the start.
    pub last_due_seconds: Option<f64>,
}

/// The references of all points.
#[derive(Debug, Default)]
pub(super) struct References(HashMap<String, State>);

#[derive(Debug)]
struct State {
    /// The block of the last reference.
    block: Option<u32>,
    /// When the last item is due, by the seed of the data: the schedules of an open loop differ as all other data do.
    last_due_seconds: HashMap<u64, f64>,
    /// Why there is no reference, if the judge failed at the first attempt. Only if that may pass, it is tried again once.
    reference: Result<TrialReference, NoReference>,
}

impl References {
    /// The reference of the point of `spec` in `block`; `None` if none was taken. Why there is none is said in every block. Of an open
    /// loop with data for which none was taken, as of a warm-up, nothing is known of when its last item is due.
    pub(super) fn of(
        &self,
        spec: &WorkloadSpec,
        block: Option<u32>,
    ) -> Option<Result<TrialReference, String>> {
        let is_of_block = |state: &&State| state.block == block || state.reference.is_err();
        let state = self.0.get(&point(spec)).filter(is_of_block)?;
        let last_due_seconds = state.last_due_seconds.get(&spec.seed).copied();
        let reference = state.reference.clone().map_err(|error| error.why);
        Some(reference.map(|reference| TrialReference { last_due_seconds, ..reference }))
    }

    /// Whether a reference of `spec` is still to be taken in `block`.
    pub(super) fn is_due(&self, spec: &WorkloadSpec, block: Option<u32>) -> bool {
        self.0.get(&point(spec)).is_none_or(|state| {
            let due = &state.last_due_seconds;
            let has_other_data = !due.is_empty() && !due.contains_key(&spec.seed);
            let is_wanted = state.reference.as_ref().err().is_none_or(|error| error.may_pass);
            is_wanted && (state.block != block || has_other_data)
        })
    }

    /// Adds what the judge's worker measured in `block`, of which the first sample stays: all backends have the same, and a later one is
    /// taken while an engine is there, for the bounds alone. If it failed, what the work takes at least is known from before: or else a
    /// judge that fails once would leave all later runs without bounds.
    pub(super) fn add(
        &mut self,
        spec: &WorkloadSpec,
        block: Option<u32>,
        taken: Result<Reference, NoReference>,
    ) {
        let before = self.0.remove(&point(spec));
        let is_same_block = before.as_ref().is_some_and(|state| state.block == block);
        let same_block = before.as_ref().filter(|_| is_same_block);
        let mut last_due_seconds = same_block.map(|state| state.last_due_seconds.clone()).unwrap_or_default();
        let due = taken.as_ref().ok().and_then(|taken| taken.last_due_seconds);
        last_due_seconds.extend(due.map(|seconds| (spec.seed, seconds)));
        let was_tried = before.as_ref().is_some_and(|state| state.reference.is_err());
        let before = before.and_then(|state| state.reference.ok());
        // The efficiency needs a sample of the block.
        let sample = before.and_then(|known| known.sample).filter(|_| is_same_block);
        let reference = match taken {
            Ok(taken) => {
                // One that is taken again counts for the work alone: the engine beside it may have made it slow.
                let known = before.filter(|_| is_same_block).map(|known| known.opening_seconds);
                let opening_seconds = taken.opening_seconds.min(known.unwrap_or(f64::INFINITY));
                let known = before.unwrap_or_default().with(Reference { opening_seconds, ..taken });
                Ok(TrialReference { sample: sample.or(known.sample), ..known })
            }
            Err(why) => {
                let why = NoReference { may_pass: why.may_pass && !was_tried, ..why };
                before.map(|known| TrialReference { sample, ..known }).ok_or(why)
            }
        };
        self.0.insert(point(spec), State { block, last_due_seconds, reference });
    }
}

/// The work of a cell: not how it is scheduled, and not its seed.
pub(super) fn point(spec: &WorkloadSpec) -> String {
    let WorkloadSpec { name, total_items, extra, .. } = spec;
    json!([name, total_items, extra]).to_string()
}

impl TrialReference {
    /// That of a sweep's trial, all of whose work is in kernels. Opening the workload took the judge's worker so long.
    pub(super) fn of_kernels(cpu_seconds: f64, opening_seconds: f64) -> Self {
        Self { least_cpu_seconds: Some(cpu_seconds), operator_share: 1.0, opening_seconds, ..Self::default() }
    }

    /// The reference after another sample. The fastest sample counts from then on: one that was taken under load is too long.
    #[must_use]
    pub(super) fn with(self, taken: Reference) -> Self {
        let least = taken.sample.map(|sample| sample.least_cpu_seconds);
        let is_faster = least.is_some_and(|least| self.least_cpu_seconds.is_none_or(|before| least < before));
        Self {
            sample: taken.sample,
            least_cpu_seconds: if is_faster { least } else { self.least_cpu_seconds },
            operator_share: match taken.sample {
                Some(sample) if is_faster => sample.operator_share,
                _ => self.operator_share,
            },
            path_share: taken.sample.map_or(self.path_share, |sample| sample.path_share),
            path_part: taken.sample.map_or(self.path_part, |sample| sample.path_share * sample.shortest_task),
            opening_seconds: self.opening_seconds.max(taken.opening_seconds),
            last_due_seconds: taken.last_due_seconds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(cpu_seconds: f64) -> Reference {
        let sample = SerialSample { cpu_seconds, least_cpu_seconds: cpu_seconds, ..SerialSample::default() };
        Reference { sample: Some(sample), ..Reference::default() }
    }

    fn failure(fault: Fault) -> NoReference {
        let remedy = Some("less work".to_owned());
        CallError { remedy, ..CallError::new(fault, "reference", "planted") }.into()
    }

    #[test]
    fn a_block_has_its_own_sample_and_the_fastest_counts() {
        let (mut references, spec) = (References::default(), WorkloadSpec::new("null"));
        for (block, seconds, least) in [(0, 2.0, 2.0), (1, 1.0, 1.0), (2, 3.0, 1.0)] {
            assert!(references.is_due(&spec, Some(block)));
            references.add(&spec, Some(block), Ok(taken(seconds)));
            assert!(!references.is_due(&spec, Some(block)));
            let reference = references.of(&spec, Some(block)).unwrap().unwrap();
            assert_eq!(reference.sample.unwrap().cpu_seconds, seconds);
            assert_eq!(reference.least_cpu_seconds, Some(least));
        }
        assert_eq!(references.of(&spec, Some(9)), None);
        assert_eq!(references.of(&WorkloadSpec { total_items: 7, ..spec.clone() }, Some(2)), None);
        assert!(references.of(&WorkloadSpec { seed: 9, parallelism: 9, ..spec }, Some(2)).is_some());
    }

    #[test]
    fn the_sample_of_a_block_is_its_first_and_a_faster_one_counts_for_the_bounds() {
        let (mut references, spec) = (References::default(), WorkloadSpec::new("null"));
        // The second and the third are taken beside an engine, as a run broke a bound by the first.
        for (seconds, opening_seconds) in [(2.0, 0.25), (1.5, 9.0), (3.0, 0.125)] {
            references.add(&spec, Some(0), Ok(Reference { opening_seconds, ..taken(seconds) }));
        }
        let reference = references.of(&spec, Some(0)).unwrap().unwrap();
        assert_eq!(reference.sample.unwrap().cpu_seconds, 2.0);
        assert_eq!(reference.least_cpu_seconds, Some(1.5));
        assert_eq!(reference.opening_seconds, 0.25);
        // That of the next block is taken before its engines start.
        references.add(&spec, Some(1), Ok(Reference { opening_seconds: 0.5, ..taken(2.0) }));
        assert_eq!(references.of(&spec, Some(1)).unwrap().unwrap().opening_seconds, 0.5);
    }

    #[test]
    fn the_end_of_an_open_loop_is_that_of_its_own_data() {
        let mut references = References::default();
        let seeded = |seed| WorkloadSpec { seed, ..WorkloadSpec::new("open_loop") };
        let due = |seconds| Ok(Reference { last_due_seconds: Some(seconds), ..Reference::default() });
        let end = |references: &References, seed| {
            references.of(&seeded(seed), Some(0)).unwrap().unwrap().last_due_seconds
        };
        references.add(&seeded(1), Some(0), due(0.125));
        assert!(references.is_due(&seeded(2), Some(0)));
        assert_eq!((end(&references, 1), end(&references, 2)), (Some(0.125), None));
        references.add(&seeded(2), Some(0), due(0.1));
        assert!(!references.is_due(&seeded(1), Some(0)) && !references.is_due(&seeded(2), Some(0)));
        assert_eq!((end(&references, 1), end(&references, 2)), (Some(0.125), Some(0.1)));
        assert!(references.is_due(&seeded(1), Some(1)));
    }

    #[test]
    fn a_failure_is_not_repeated() {
        let (mut references, spec) = (References::default(), WorkloadSpec::new("null"));
        references.add(&spec, Some(0), Err(failure(Fault::Crashed)));
        assert!(!references.is_due(&spec, Some(1)));
        // And it is not silent in later blocks.
        let why = with_remedy("planted", Some("less work"));
        assert_eq!(references.of(&spec, Some(1)), Some(Err(why)));
    }

    #[test]
    fn a_lack_of_memory_is_told_with_its_remedy_and_tried_again_once_in_the_next_block() {
        let spec = WorkloadSpec::new("null");
        let lacks = || Err(failure(Fault::OutOfMemory));
        let why = with_remedy("planted", Some("less work"));
        for (second, is_taken) in [(Ok(taken(2.0)), true), (lacks(), false)] {
            let mut references = References::default();
            references.add(&spec, Some(0), lacks());
            assert_eq!(references.of(&spec, Some(0)), Some(Err(why.clone())));
            assert!(!references.is_due(&spec, Some(0)) && references.is_due(&spec, Some(1)));
            references.add(&spec, Some(1), second);
            let reference = references.of(&spec, Some(1)).unwrap();
            assert_eq!(reference.is_ok(), is_taken);
            // Each further attempt would take all of the memory once more.
            assert_eq!(references.is_due(&spec, Some(2)), is_taken);
            assert!(is_taken || references.of(&spec, Some(2)) == Some(Err(why.clone())));
        }
    }

    #[test]
    fn a_judge_that_fails_later_leaves_the_bounds_and_is_asked_again_in_the_next_block() {
        let (mut references, spec) = (References::default(), WorkloadSpec::new("null"));
        references.add(&spec, Some(0), Ok(taken(2.0)));
        let of = |references: &References, block| {
            let reference = references.of(&spec, Some(block)).unwrap().unwrap();
            (reference.least_cpu_seconds, reference.sample.map(|sample| sample.cpu_seconds))
        };
        references.add(&spec, Some(0), Err(failure(Fault::Crashed)));
        assert_eq!(of(&references, 0), (Some(2.0), Some(2.0)));
        references.add(&spec, Some(1), Err(failure(Fault::Crashed)));
        assert_eq!(of(&references, 1), (Some(2.0), None));
        assert!(references.is_due(&spec, Some(2)));
    }
}
