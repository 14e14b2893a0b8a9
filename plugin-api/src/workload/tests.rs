//! What outgrows a batch is an error of its own, wherever it happens, and leaves the workload usable. In these tests a
//! batch holds much less than elsewhere.

// The setting that allows these in tests covers functions with `#[test]` only, not the helpers beside them.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::error::Done;
use super::instance::Instance;
use super::open_loop::Stamp;
use super::sink::{SinkState, Times};
use super::*;
use crate::clock::monotonic_nanos;
use crate::spec::WorkloadSpec;

/// A workload that needs two words.
struct Needing;

impl Workload for Needing {
    const NAME: &'static str = "needing";
    const DESCRIPTION: &'static str = "needs what no backend of API 1.0 supports";

    fn needs() -> Vec<&'static str> {
        vec!["graph", "watermarks"]
    }

    fn open(_spec: &WorkloadSpec, _parameters: &Parameters) -> Result<Self, WorkloadError> {
        Ok(Self)
    }

    fn plan(&self) -> Plan {
        Plan::new()
    }

    fn source(&self, _index: u64, _out: &mut BatchBuilder) -> Done {
        Ok(())
    }

    fn apply(&self, _stage: usize, _item: &[u8], _out: &mut BatchBuilder) -> Done {
        Ok(())
    }

    fn oracle(&self, _sink: &mut dyn FnMut(&[u8])) {}
}

#[test]
fn a_workload_is_not_opened_without_each_word_that_it_needs() {
    let definitions = [Definition::of::<Needing>()];
    let opened = |granted: &[&str]| {
        let granted = granted.iter().map(|word| (*word).to_owned()).collect();
        Definition::open(&definitions, &WorkloadSpec { granted, ..WorkloadSpec::new("needing") })
    };
    let why = |granted: &[&str]| match opened(granted).err() {
        Some(WorkloadError::Spec(why)) => why,
        other => panic!("{other:?}"),
    };
    assert!(why(&[]).contains("needs graph"), "{}", why(&[]));
    assert!(why(&["graph"]).contains("needs watermarks"));
    assert!(opened(&["watermarks", "another", "graph"]).is_ok());
    assert_eq!(Definition::catalogue(&definitions).unwrap()[0].needs, ["graph", "watermarks"]);
}

/// What one item of [`Growing`] grows to: two of them fit into a batch, and three do not.
const GROWN: usize = 25_000;

/// A map that keeps what comes, another that makes each item larger, and a reduction by number.
struct Growing {
    total_items: u64,
    open_loop: bool,
}

impl Workload for Growing {
    const NAME: &'static str = "growing";
    const DESCRIPTION: &'static str = "items that grow";

    fn parameters() -> Vec<Parameter> {
        vec![Parameter::choice("loop", "of which kind", &["closed", "open"])]
    }

    fn open(spec: &WorkloadSpec, parameters: &Parameters) -> Result<Self, WorkloadError> {
        Ok(Self { total_items: spec.total_items, open_loop: parameters.choice("loop") == "open" })
    }

    fn plan(&self) -> Plan {
        let plan = Plan::new().then(StageKind::Map, "grow").then(StageKind::Map, "shrink");
        if self.open_loop { plan } else { plan.then(StageKind::KeyedReduce, "keep") }
    }

    fn due(&self, _index: u64) -> Option<Duration> {
        self.open_loop.then_some(Duration::ZERO)
    }

    fn source(&self, index: u64, out: &mut BatchBuilder) -> Done {
        out.push(&index.to_le_bytes());
        Ok(())
    }

    fn apply(&self, stage: usize, item: &[u8], out: &mut BatchBuilder) -> Done {
        match stage {
            1 => out.push_with(|bytes| {
                bytes.extend_from_slice(item);
                bytes.resize(bytes.len() + GROWN - item.len(), 0);
            }),
            _ => out.push(&item[..8]),
        }
        Ok(())
    }

    fn fold(&self, _: usize, accumulator: &mut Vec<u8>, _item: &[u8]) -> Done {
        accumulator.resize(GROWN, 0);
        Ok(())
    }

    fn merge(&self, _: usize, accumulator: &mut Vec<u8>, other: &[u8]) -> Done {
        *accumulator = other.to_vec();
        Ok(())
    }

    fn emit(&self, _: usize, _: &[u8], accumulator: &[u8], out: &mut BatchBuilder) -> Done {
        out.push(accumulator);
        Ok(())
    }

    fn oracle(&self, sink: &mut dyn FnMut(&[u8])) {
        (0..self.total_items).for_each(|_| sink(&[0; GROWN]));
    }
}

fn opened(kind: &str) -> Arc<dyn Instance> {
    let mut spec = WorkloadSpec::new(Growing::NAME);
    spec.extra.insert("loop".into(), kind.into());
    Definition::open(&[Definition::of::<Growing>()], &spec).unwrap()
}

fn is_too_large<T>(result: Result<T, WorkloadError>) -> bool {
    match result {
        Err(WorkloadError::TooLarge { bytes }) => bytes > 2 * GROWN,
        Err(other) => panic!("{other}"),
        Ok(_) => false,
    }
}

#[test]
fn a_batch_that_outgrows_its_offsets_between_two_stages_is_an_error() {
    for workload in ["closed", "open"].map(opened) {
        assert_eq!(workload.source(0, 2, 3, BatchBuilder::new()).unwrap().len(), 2);
        assert!(is_too_large(workload.source(0, 3, 3, BatchBuilder::new())));
        assert!(is_too_large(workload.source(0, 3, 2, BatchBuilder::new())));
        let items = workload.source(0, 3, 1, BatchBuilder::new()).unwrap();
        assert!(is_too_large(workload.run_stages(1, 3, items.as_batch(), BatchBuilder::new())));
        assert_eq!(workload.source(0, 2, 3, BatchBuilder::new()).unwrap().len(), 2);
    }
}

#[test]
fn emitting_more_keys_than_fit_is_an_error_and_no_early_end() {
    let workload = opened("closed");
    let items = workload.source(0, 3, 1, BatchBuilder::new()).unwrap();
    let folded = || {
        let mut state = Arc::clone(&workload).new_state(3).unwrap();
        state.fold(items.as_batch()).unwrap();
        state
    };
    let mut state = folded();
    assert_eq!([2, 2, 2].map(|limit| state.emit(limit, BatchBuilder::new()).unwrap().len()), [2, 1, 0]);
    assert!(is_too_large(folded().emit(3, BatchBuilder::new())));
}

#[test]
fn a_keyed_state_that_does_not_fit_says_what_helps() {
    let workload = opened("closed");
    let items = workload.source(0, 3, 1, BatchBuilder::new()).unwrap();
    let mut state = Arc::clone(&workload).new_state(3).unwrap();
    state.fold(items.as_batch()).unwrap();
    let error = state.encode(&mut Vec::new()).unwrap_err();
    assert!(matches!(error, WorkloadError::StateTooLarge { bytes } if bytes > 2 * GROWN), "{error:?}");
    assert!(
        error.to_string().contains("more partitions") && !error.to_string().contains("batch_size"),
        "{error}"
    );
    state.emit(1, BatchBuilder::new()).unwrap();
    state.encode(&mut Vec::new()).unwrap();
}

#[test]
fn an_open_loop_starts_when_it_is_told_to() {
    let workload = opened("open");
    let made = || {
        let items = workload.source(0, 1, 1, BatchBuilder::new()).unwrap();
        let (_, stamp) = Stamp::split(items.as_batch().iter().next().unwrap()).unwrap();
        stamp.made.unwrap()
    };
    let now = monotonic_nanos();
    assert!(made() < now, "it started when the machine did");
    // A state that was made before the run is told of its start.
    let mut sink = workload.clone().new_state(workload.plan().sink()).unwrap();
    workload.start(0).unwrap();
    assert!(made() >= now);
    let started = monotonic_nanos();
    workload.start(started).unwrap();
    let items = workload.source(0, 1, 1, BatchBuilder::new()).unwrap();
    sink.fold(items.as_batch()).unwrap();
    let mut encoded = Vec::new();
    sink.encode(&mut encoded).unwrap();
    let outcome = Outcome::from(SinkState::decode(&encoded, Times::of(workload.plan())).unwrap());
    let latency = outcome.latency.unwrap();
    assert!(latency.scheduled.at(1.0).unwrap() <= monotonic_nanos() - started, "{latency:?}");
    assert!(matches!(opened("closed").start(0), Err(WorkloadError::Argument(_))));
}

#[test]
fn the_state_of_a_sink_has_the_times_of_its_plan_or_is_refused() {
    let empty = |kind: &str| {
        let (workload, mut state) = (opened(kind), Vec::new());
        let sink = workload.plan().sink();
        workload.new_state(sink).unwrap().encode(&mut state).unwrap();
        state
    };
    let mut one_item = Digest::default();
    one_item.fold_item(b"an item");
    // Each histogram has the number of its values, each with how often it was seen.
    let with = |words: &[u64]| {
        let words = words.iter().flat_map(|word| word.to_le_bytes());
        one_item.encode().into_iter().chain(words).collect::<Vec<_>>()
    };
    for (what, state, expected) in [
        ("an empty one of a closed loop", empty("closed"), vec![Times::None]),
        ("an empty one of an open loop", empty("open"), vec![Times::OfSource, Times::OfResults]),
        ("no times", with(&[]), vec![Times::None]),
        ("a time since the item was due", with(&[1, 5, 1, 0, 0]), vec![Times::OfResults]),
        ("all times", with(&[1, 5, 1, 1, 4, 1, 1, 1, 1]), vec![Times::OfSource]),
        ("times of more items", with(&[1, 5, 2, 1, 4, 2, 1, 1, 2]), vec![]),
        ("an item without its lag", with(&[1, 5, 1, 1, 4, 1, 0]), vec![]),
    ] {
        let mut read = vec![Times::None, Times::OfSource, Times::OfResults];
        read.retain(|times| SinkState::decode(&state, *times).is_ok());
        assert_eq!(read, expected, "{what}");
    }
}

#[test]
fn a_sink_has_the_times_of_its_plan() {
    for (kind, times) in [("closed", Times::None), ("open", Times::OfSource)] {
        assert_eq!(Times::of(opened(kind).plan()), times);
    }
    let windows = Plan { open_loop: true, ..opened("closed").plan().clone() };
    assert_eq!(Times::of(&windows), Times::OfResults);
    let stamped = [b"an item".as_slice(), &Stamp::of_result(7).encode()].concat();
    let workload = opened("open");
    let mut sink = Arc::clone(&workload).new_state(workload.plan().sink()).unwrap();
    let result = BatchBuilder::from_iter([stamped.as_slice()]);
    assert!(matches!(sink.fold(result.as_batch()), Err(WorkloadError::Malformed(_))));
}

/// A map over whole batches, which counts its calls, and a filter over items.
struct Batched {
    calls: AtomicUsize,
    is_open_loop: bool,
    loses_one: bool,
}

impl Workload for Batched {
    const NAME: &'static str = "batched";
    const DESCRIPTION: &'static str = "a map over whole batches";

    fn open(spec: &WorkloadSpec, _parameters: &Parameters) -> Result<Self, WorkloadError> {
        let (is_open_loop, loses_one) = (spec.seed == 1, spec.seed == 2);
        Ok(Self { calls: AtomicUsize::new(0), is_open_loop, loses_one })
    }

    fn plan(&self) -> Plan {
        Plan::new().then(StageKind::Map, "call number").then(StageKind::Filter, "all")
    }

    fn due(&self, _index: u64) -> Option<Duration> {
        self.is_open_loop.then_some(Duration::ZERO)
    }

    fn source(&self, index: u64, out: &mut BatchBuilder) -> Done {
        out.push(&index.to_le_bytes());
        Ok(())
    }

    fn apply(&self, _stage: usize, item: &[u8], out: &mut BatchBuilder) -> Done {
        out.push(item);
        Ok(())
    }

    fn apply_batch(&self, stage: usize, batch: Batch<'_>, out: &mut BatchBuilder) -> Done {
        let call = self.calls.fetch_add(1, Ordering::Relaxed) as u8;
        for item in batch.iter().skip(usize::from(self.loses_one && stage == 1)) {
            out.push(&[&[call], item].concat());
        }
        Ok(())
    }

    fn oracle(&self, _sink: &mut dyn FnMut(&[u8])) {}
}

fn batched(seed: u64) -> Arc<dyn Instance> {
    let spec = WorkloadSpec { seed, ..WorkloadSpec::new("batched") };
    Definition::open(&[Definition::of::<Batched>()], &spec).unwrap()
}

#[test]
fn a_stage_is_applied_to_a_whole_batch() {
    let made = batched(0).source(3, 2, 3, BatchBuilder::new()).unwrap();
    let items: Vec<_> = made.as_batch().iter().map(|item| item[..3].to_vec()).collect();
    assert_eq!(items, [[1, 0, 3], [1, 0, 4]]);
    let lost = batched(2).source(3, 2, 3, BatchBuilder::new()).unwrap_err().to_string();
    assert!(lost.contains("is a map, but made 1 items of 2"), "{lost}");
}

#[test]
fn a_map_over_a_whole_batch_of_an_open_loop_keeps_the_times_of_each_item() {
    let workload = batched(1);
    let source = workload.source(3, 2, 1, BatchBuilder::new()).unwrap();
    let made = workload.run_stages(1, 3, source.as_batch(), BatchBuilder::new()).unwrap();
    for (number, (item, before)) in (3..).zip(made.as_batch().iter().zip(source.as_batch().iter())) {
        let ((content, stamp), (_, of_source)) = (Stamp::split(item).unwrap(), Stamp::split(before).unwrap());
        // The filter has gone through `apply`, item by item.
        assert_eq!((content[0], content[1], content.len(), stamp), (0, number, 9, of_source));
    }
    assert_eq!(made.len(), 2);
}

/// A graph of two rows of two tasks, with a fault of its author.
struct Rows {
    fault: String,
}

impl Workload for Rows {
    const NAME: &'static str = "rows";
    const DESCRIPTION: &'static str = "a graph of tasks";

    fn parameters() -> Vec<Parameter> {
        let faults = ["none", "no_points", "many_points", "stray_input", "input_of_first", "long_output"];
        vec![Parameter::choice("fault", "what is wrong", &faults)]
    }

    fn needs() -> Vec<&'static str> {
        vec![GRAPH]
    }

    fn open(_spec: &WorkloadSpec, parameters: &Parameters) -> Result<Self, WorkloadError> {
        Ok(Self { fault: parameters.choice("fault").into() })
    }

    fn plan(&self) -> Plan {
        Plan::new().with_graph(GraphShape { steps: 2, width: 2, output_bytes: 4, ..GraphShape::default() })
    }

    fn source(&self, _index: u64, _out: &mut BatchBuilder) -> Done {
        Ok(())
    }

    fn apply(&self, _stage: usize, _item: &[u8], _out: &mut BatchBuilder) -> Done {
        Ok(())
    }

    fn graph_row(&self, step: u32) -> Range<u32> {
        match (self.fault.as_str(), step) {
            ("no_points", 1) => 7..7,
            ("many_points", 1) => 7..10,
            _ => 7..9,
        }
    }

    fn graph_inputs(&self, step: u32, _point: u32, inputs: &mut Vec<u32>) {
        match (self.fault.as_str(), step) {
            ("stray_input", 1) => inputs.extend([7, 9]),
            ("input_of_first", 0) => inputs.push(7),
            (_, 0) => {}
            _ => inputs.extend([7, 8]),
        }
    }

    /// Relies on the size of the output.
    fn graph_task(
        &self,
        _step: u32,
        point: u32,
        _inputs: &[&[u8]],
        output: &mut [u8],
    ) -> Result<usize, WorkloadError> {
        output.copy_from_slice(&point.to_le_bytes());
        Ok(if self.fault == "long_output" { 5 } else { 4 })
    }

    fn oracle(&self, _sink: &mut dyn FnMut(&[u8])) {}
}

fn rows(fault: &str) -> Arc<dyn Instance> {
    let mut spec = WorkloadSpec { granted: vec![GRAPH.into()], ..WorkloadSpec::new("rows") };
    spec.extra.insert("fault".into(), fault.into());
    Definition::open(&[Definition::of::<Rows>()], &spec).unwrap()
}

/// It would be run in stages that it does not have.
struct Unknowing;

impl Workload for Unknowing {
    const NAME: &'static str = "unknowing";
    const DESCRIPTION: &'static str = "a graph of tasks";

    fn open(_spec: &WorkloadSpec, _parameters: &Parameters) -> Result<Self, WorkloadError> {
        Ok(Self)
    }

    fn plan(&self) -> Plan {
        Plan::new().with_graph(GraphShape { steps: 2, width: 2, output_bytes: 4, ..GraphShape::default() })
    }

    fn source(&self, _index: u64, _out: &mut BatchBuilder) -> Done {
        Ok(())
    }

    fn apply(&self, _stage: usize, _item: &[u8], _out: &mut BatchBuilder) -> Done {
        Ok(())
    }

    fn oracle(&self, _sink: &mut dyn FnMut(&[u8])) {}
}

#[test]
fn a_graph_that_no_backend_is_asked_for_is_refused() {
    let opened = Definition::open(&[Definition::of::<Unknowing>()], &WorkloadSpec::new("unknowing"));
    let Err(WorkloadError::Spec(why)) = opened else { panic!("it is not refused") };
    assert!(why.contains("add \"graph\" to needs()"), "{why}");
}

#[test]
fn a_row_without_tasks_a_wider_one_and_an_edge_from_nowhere_are_refused() {
    let edges = |fault: &str, step| {
        let mut out = Vec::new();
        rows(fault).graph_edges(step, 0, u32::MAX, &mut out).map(|()| out)
    };
    let words: Vec<_> = [7_u32, 2, 0, 2, 4, 7, 8, 7, 8].iter().flat_map(|word| word.to_le_bytes()).collect();
    assert_eq!(edges("none", 1), Ok(words));
    for (fault, step, expected) in [
        ("no_points", 1, "step 1 of the graph has 0 points from 7 on, but a row has 1 to 2"),
        ("many_points", 1, "step 1 of the graph has 3 points from 7 on, but a row has 1 to 2"),
        ("stray_input", 1, "point 7 of step 1 needs point 9, which the step before does not have"),
        ("input_of_first", 0, "point 7 of step 0 needs point 7, which the step before does not have"),
    ] {
        assert_eq!(edges(fault, step), Err(WorkloadError::Operator(expected.into())), "{fault}");
    }
}

#[test]
fn a_task_gets_the_room_that_the_graph_promises_or_is_not_run() {
    let run = |fault: &str, room: usize| {
        let mut output = vec![0; room];
        rows(fault).graph_task(0, 8, &[], &mut output).map(|length| output[..length].to_vec())
    };
    for room in [4, 5, 4096] {
        assert_eq!(run("none", room), Ok(8_u32.to_le_bytes().to_vec()), "{room}");
    }
    for room in [0, 3] {
        let expected = format!("the output of a task needs 4 bytes, but there are {room}");
        assert_eq!(run("none", room), Err(WorkloadError::Argument(expected)));
    }
    let expected = "an output has 5 bytes, but the graph says that it has at most 4";
    assert_eq!(run("long_output", 4), Err(WorkloadError::Operator(expected.into())));
    let nowhere = rows("none").graph_task(0, 9, &[], &mut [0; 4]);
    assert_eq!(nowhere, Err(WorkloadError::Argument("step 0 of the graph has no point 9".into())));
}
