use std::sync::Mutex;

use plugin_api::workload::WATERMARKS;
use plugin_api::{Batch, BatchBuilder, Parameter, Parameters, Workload, WorkloadSpec};

use super::*;
use crate::worker::closing_reference;

/// How many items each call of a map had, and what it cost. Tests may run side by side, each with another cost.
static CALLS: Mutex<Vec<(Cost, u64)>> = Mutex::new(Vec::new());

/// What a call takes of CPU time.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Cost {
    /// A millisecond, and its items next to nothing.
    Call,
    /// So many times 10 ns as the square of its items: each is the dearer, the more there are.
    Square,
    /// The same before a reduction that may be closed.
    ClosingSquare,
    /// A millisecond for each item.
    Item,
}

impl Cost {
    fn seconds(self, items: u64) -> f64 {
        match self {
            Self::Call => 1e-3,
            Self::Square | Self::ClosingSquare => 1e-8 * (items * items) as f64,
            Self::Item => 1e-3 * items as f64,
        }
    }
}

/// A map over whole batches. Each item is a number, which is its own time.
struct Counted(Cost);

fn number(item: &[u8]) -> Result<u64, WorkloadError> {
    let bytes: [u8; 8] = item.try_into().map_err(|_| WorkloadError::Operator("no number".into()))?;
    Ok(u64::from_le_bytes(bytes))
}

plugin_api::export_workloads!(name = "counted", workloads = [Counted]);

impl Workload for Counted {
    const NAME: &'static str = "counted";
    const DESCRIPTION: &'static str = "a map over whole batches, which counts its calls";

    fn parameters() -> Vec<Parameter> {
        vec![Parameter::choice("cost", "what its calls cost", &["call", "square", "closing", "item"])]
    }

    fn uses() -> Vec<&'static str> {
        vec![WATERMARKS]
    }

    fn open(_: &WorkloadSpec, parameters: &Parameters) -> Result<Self, WorkloadError> {
        Ok(Self(match parameters.choice("cost") {
            "square" => Cost::Square,
            "closing" => Cost::ClosingSquare,
            "item" => Cost::Item,
            _ => Cost::Call,
        }))
    }

    fn plan(&self) -> Plan {
        let plan = Plan::new().then(StageKind::Map, "count");
        if self.0 == Cost::ClosingSquare {
            plan.then(StageKind::KeyedReduce, "keep each number")
        } else {
            plan
        }
    }

    fn source(&self, index: u64, out: &mut BatchBuilder) -> Result<(), WorkloadError> {
        out.push(&index.to_le_bytes());
        Ok(())
    }

    fn apply(&self, _: usize, item: &[u8], out: &mut BatchBuilder) -> Result<(), WorkloadError> {
        out.push(item);
        Ok(())
    }

    fn apply_batch(&self, _: usize, batch: Batch<'_>, out: &mut BatchBuilder) -> Result<(), WorkloadError> {
        let (Self(cost), items, began) = (self, batch.len() as u64, cpu_time());
        CALLS.lock().unwrap().push((*cost, items));
        while cpu_time() - began < cost.seconds(items) {}
        batch.iter().for_each(|item| out.push(item));
        Ok(())
    }

    fn fold(&self, _: usize, accumulator: &mut Vec<u8>, item: &[u8]) -> Result<(), WorkloadError> {
        *accumulator = item.to_vec();
        Ok(())
    }

    fn emit(&self, _: usize, key: &[u8], _: &[u8], out: &mut BatchBuilder) -> Result<(), WorkloadError> {
        out.push(key);
        Ok(())
    }

    fn watermark(&self, index: u64) -> u64 {
        index
    }

    fn ends(&self, _: usize, item: &[u8]) -> Result<u64, WorkloadError> {
        number(item).map(|number| number + 1)
    }

    fn closes(&self, _: usize, key: &[u8], _: &[u8]) -> Result<u64, WorkloadError> {
        number(key).map(|number| number + 1)
    }

    fn close(
        &self,
        stage: usize,
        _: u64,
        key: &[u8],
        accumulator: &mut Vec<u8>,
        out: &mut BatchBuilder,
    ) -> Result<(), WorkloadError> {
        self.emit(stage, key, accumulator, out)?;
        accumulator.clear();
        Ok(())
    }

    fn oracle(&self, _: &mut dyn FnMut(&[u8])) {}
}

fn opened(cost: &str, total_items: u64, batch_size: u64) -> WorkloadHandle {
    let mut spec = WorkloadSpec { total_items, ..WorkloadSpec::new("counted") };
    spec.extra.insert("cost".into(), cost.into());
    spec.extra.insert("batch_size".into(), batch_size.into());
    spec.granted.extend((cost == "closing").then(|| WATERMARKS.into()));
    workload_library().open(&spec).unwrap()
}

fn calls_of(cost: Cost) -> Vec<u64> {
    let calls = CALLS.lock().unwrap();
    calls.iter().filter(|(of, _)| *of == cost).map(|(_, items)| *items).collect()
}

#[test]
fn calls_have_as_many_items_as_the_batches_of_a_run() {
    sample(&opened("call", 50_000, 5000), Duration::from_millis(1)).unwrap();
    let calls = calls_of(Cost::Call);
    // Slices are tried from one item on. What follows is whole calls, and the item that is first in each thread.
    let first = calls.iter().position(|items| *items == 5000).unwrap();
    let sampled = &calls[first..];
    assert!(sampled.iter().all(|items| [1, 5000].contains(items)), "{calls:?}");
    assert!(sampled.iter().filter(|items| **items == 5000).count() >= FEWEST_SLICES as usize, "{calls:?}");
}

#[test]
fn calls_have_fewer_items_than_a_batch_where_that_is_cheaper() {
    sample(&opened("square", 50_000, 1000), Duration::from_millis(1)).unwrap();
    let closing = opened("closing", 50_000, 1000);
    assert!(closing_reference::closes(&closing));
    closing_reference::sample(&closing, Duration::from_millis(1)).unwrap();
    for cost in [Cost::Square, Cost::ClosingSquare] {
        let calls = calls_of(cost);
        // Slices of a whole batch are tried in one call, and sampled in several.
        let tried = calls.iter().rposition(|items| *items == 1000).unwrap();
        let sampled = &calls[tried + 1..];
        assert!(sampled.iter().all(|items| *items <= 512), "{cost:?}: {calls:?}");
        assert!(sampled.iter().sum::<u64>() >= FEWEST_SLICES * 1000, "{cost:?}: {calls:?}");
    }
}

#[test]
fn slices_of_long_items_do_not_grow_to_a_batch() {
    let Cut { size, .. } = cut(&opened("item", 1_000_000, 100_000), 1_000_000).unwrap();
    let calls = calls_of(Cost::Item);
    assert!(size < 10_000 && calls.iter().sum::<u64>() < 20_000, "{size} of {calls:?}");
}

#[test]
fn a_slice_may_be_a_batch_of_a_run_or_whole_calls() {
    let all = |items, batch_size| {
        let sizes = Sizes::of(items, batch_size);
        let tried: Vec<_> =
            std::iter::successors(Some(1), |size| (*size < sizes.most).then(|| sizes.after(*size))).collect();
        (sizes.least, tried)
    };
    let powers = |last: u32| (0..=last).map(|power| 1_u64 << power).collect::<Vec<_>>();
    assert_eq!(all(0x10_0000, 1), (1, powers(16)));
    assert_eq!(all(160, 1), (1, vec![1, 2, 4, 8, 10]));
    // A part of the input is less than a batch, or no number of whole calls.
    assert_eq!(all(160, 20), (20, vec![1, 2, 4, 8, 16, 20]));
    assert_eq!(all(160, 5000).1.last(), Some(&160));
    let of_300 = [powers(8), vec![300, 600, 1024, 2048, 4096, 8192, 9216]].concat();
    assert_eq!(all(160_000, 300), (300, of_300));
    let of_3000 = [powers(11), vec![3000, 6000, 9000]].concat();
    assert_eq!(all(160_000, 3000), (3000, of_3000));
    assert_eq!(all(1, 1), (1, vec![1]));
}

#[test]
fn slices_of_the_whole_input_do_not_overlap() {
    let mut slices = spread(45_000, 10_000, 5);
    slices.sort_unstable();
    let whole = [(0, 10_000), (10_000, 10_000), (20_000, 10_000), (30_000, 10_000), (40_000, 5000)];
    assert_eq!(slices, whole);
}

#[test]
fn slices_are_spread_over_the_input_at_any_moment() {
    for number in [3, 16, 100] {
        let slices = spread(100_000, 10, number);
        let mut firsts: Vec<_> = slices.iter().map(|(first, _)| *first).collect();
        let early = &firsts[..firsts.len() / 2 + 1];
        assert!(early.iter().any(|first| *first < 40_000), "{number}: {early:?}");
        assert!(early.iter().any(|first| *first > 40_000), "{number}: {early:?}");
        firsts.sort_unstable();
        firsts.dedup();
        assert_eq!((firsts.len() as u64, firsts[0], *firsts.last().unwrap()), (number, 0, 99_990));
    }
}

#[test]
fn however_many_cores_there_are_none_has_a_turn_of_less_than_10_ms() {
    // Two cores would have 7.5 ms each.
    assert_eq!([0.015, 0.0].map(|seconds| cores_for(seconds).len()), [1, 1]);
    assert!(cores_for(0.1).len() <= 10);
}

fn pass(slices: &[(f64, u64)], rest: f64, keyed: bool) -> Pass {
    let slice = |(cpu_seconds, items): &(f64, u64)| Slice {
        items: *items,
        cpu_seconds: *cpu_seconds,
        source_seconds: cpu_seconds / 4.0,
        fold_seconds: cpu_seconds / 4.0,
    };
    Pass { slices: slices.iter().map(slice).collect(), rest, rest_operators: rest / 2.0, keyed }
}

#[test]
fn a_sample_of_equal_items_is_extrapolated_exactly_and_has_no_error() {
    let sample = summary(&[pass(&[(0.5, 10), (0.5, 10), (0.25, 5)], 0.0, false)], 1000, 1);
    assert!((sample.cpu_seconds - 50.0).abs() < 1e-9, "{sample:?}");
    assert!((sample.least_cpu_seconds - 50.0).abs() < 1e-6, "{sample:?}");
    assert_eq!((sample.items, sample.slices, sample.operator_share), (25, 3, 0.5));
}

#[test]
fn a_graph_without_tasks_takes_nothing_and_every_figure_is_a_number() {
    let sample = summary(&[pass(&[], 0.0, false)], 0, 1);
    let figures = (sample.cpu_seconds, sample.least_cpu_seconds, sample.operator_share);
    assert_eq!(figures, (0.0, 0.0, 0.0));
}

#[test]
fn items_that_differ_leave_room_below_the_estimate() {
    let slices: Vec<_> = (0..100).map(|number| (if number % 50 == 0 { 1.0 } else { 0.01 }, 1)).collect();
    let sample = summary(&[pass(&slices, 0.0, false)], 6000, 1);
    assert!(sample.least_cpu_seconds < 0.01 * sample.cpu_seconds, "{sample:?}");
    let few = summary(&[pass(&slices[..2], 0.0, false)], 6000, 1);
    assert_eq!(few.least_cpu_seconds, 0.0);
}

#[test]
fn of_several_passes_the_fastest_is_the_least() {
    let of = |seconds: f64| pass(&[(seconds, 1), (seconds, 1), (seconds, 1)], 0.5, false);
    let sample = summary(&[of(3.0), of(1.0), of(2.0)], 3, 2);
    assert_eq!((sample.cpu_seconds, sample.least_cpu_seconds), (6.5, 3.5));
}

/// The slices take 3 s, of which a quarter is the source and a quarter folds; the rest takes 1 s, of which half are operators.
fn four_seconds(keyed: bool) -> SerialSample {
    summary(&[pass(&[(1.0, 1), (1.0, 1), (1.0, 1)], 1.0, keyed)], 3, 1)
}

#[test]
fn keyed_reductions_count_for_a_fifth_in_what_the_work_takes_at_least() {
    let (keyed, other) = (four_seconds(true), four_seconds(false));
    assert_eq!((keyed.cpu_seconds, other.cpu_seconds, other.least_cpu_seconds), (4.0, 4.0, 4.0));
    // Four fifths of 0.75 s in the slices, and of 0.5 s in the rest, may be saved.
    assert!((keyed.least_cpu_seconds - (4.0 - 0.8 * 1.25)).abs() < 1e-9, "{keyed:?}");
}

#[test]
fn the_operators_are_all_that_is_neither_source_nor_reduction() {
    let of_operators = |sample: SerialSample| sample.least_cpu_seconds * sample.operator_share;
    for keyed in [true, false] {
        let sample = four_seconds(keyed);
        assert!((of_operators(sample) - 2.0).abs() < 1e-9, "{sample:?}");
    }
}

#[test]
fn a_fold_that_seems_longer_than_its_slice_leaves_a_fifth_of_it() {
    let slice = Slice { items: 1, cpu_seconds: 3.0, source_seconds: 0.0, fold_seconds: 5.0 };
    let whole = Pass { slices: vec![slice; 3], rest: 0.0, rest_operators: 0.0, keyed: true };
    let sample = summary(&[whole], 3, 1);
    assert!((sample.least_cpu_seconds - 1.8).abs() < 1e-9, "{sample:?}");
    // The parts are added up with rounding.
    assert!((sample.cpu_seconds - 9.0).abs() < 1e-9 && sample.operator_share < 1e-9, "{sample:?}");
}

#[test]
fn a_reduction_is_extrapolated_by_its_later_slices_and_emits_once() {
    let keyed = pass(&[(2.0, 10), (2.0, 10), (1.0, 10), (1.0, 10)], 0.5, true);
    assert_eq!(keyed.seconds(100), 6.0 + 60.0 * 0.1 + 0.5);
}
