//! What comes out is what the oracle says, in batches of any size and in whatever order they come to the sink.

use std::collections::{BTreeMap, BTreeSet};

use plugin_api::workload::{GRAPH, WorkloadLibrary};
use plugin_api::{BatchBuilder, GraphShape, State, WorkloadHandle, WorkloadSpec};

const NAME: &str = "{{name}}";

/// Runs it serially, as `ABI.md` says under "Running a plan", and gives the encoded state of the sink.
fn run(workload: &WorkloadHandle, batch_size: u64) -> Vec<u8> {
    let (plan, total) = (workload.plan(), workload.spec().total_items);
    if let Some(graph) = plan.graph.filter(|_| workload.spec().is_granted(GRAPH)) {
        return run_graph(workload, graph);
    }
    let (mut emitted, mut batch) = (workload.buffer(), workload.buffer());
    let mut end = plan.end_of_chain(1);
    // Two states for each stage that has one, which are merged: no engine is bound to have all in one place.
    let mut states = two_states(workload, end);
    for (number, first) in (0..total).step_by(batch_size as usize).enumerate() {
        workload
            .source(first, batch_size.min(total - first), end, &mut batch)
            .unwrap();
        states[number % 2].fold(&batch).unwrap();
    }
    while end < plan.sink() {
        let (from, mut reduced) = (end + 1, merged(states));
        end = plan.end_of_chain(from);
        states = two_states(workload, end);
        for number in 0.. {
            reduced.emit(batch_size, &mut emitted).unwrap();
            if emitted.item_count() == 0 {
                break;
            }
            workload
                .run_stages(from, end, &emitted, &mut batch)
                .unwrap();
            states[number % 2].fold(&batch).unwrap();
        }
    }
    merged(states).encode().unwrap().to_vec()
}

fn two_states(workload: &WorkloadHandle, stage: usize) -> [State; 2] {
    [(); 2].map(|()| workload.new_state(stage).unwrap())
}

fn merged([mut one, mut other]: [State; 2]) -> State {
    other.merge(&one.encode().unwrap()).unwrap();
    other
}

/// Runs its tasks, one row after the other. An output that no task of the next row needs is an item of the sink.
fn run_graph(workload: &WorkloadHandle, graph: GraphShape) -> Vec<u8> {
    let (mut sink, most) = (workload.new_sink().unwrap(), graph.output_bytes as usize);
    let mut before: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
    for step in 0..graph.steps as u32 {
        let row = workload.graph_row(step).unwrap();
        let mut outputs = BTreeMap::new();
        for (place, point) in (0..).zip(row.points()) {
            let inputs = row.inputs(place).iter();
            let inputs: Vec<_> = inputs.map(|from| before[from].as_slice()).collect();
            let mut output = Vec::new();
            workload
                .graph_task(step, point, &inputs, most, &mut output)
                .unwrap();
            outputs.insert(point, output);
        }
        let inputs = (0..row.width()).flat_map(|place| row.inputs(place));
        let needed: BTreeSet<_> = inputs.collect();
        before.retain(|point, _| !needed.contains(point));
        fold_outputs(&mut sink, &before);
        before = outputs;
    }
    fold_outputs(&mut sink, &before);
    sink.encode().unwrap().to_vec()
}

fn fold_outputs(sink: &mut State, outputs: &BTreeMap<u32, Vec<u8>>) {
    let (items, mut batch) = (outputs.values().map(Vec::as_slice), Vec::new());
    let items: BatchBuilder = items.collect();
    items.encode(&mut batch).unwrap();
    sink.fold(&batch).unwrap();
}

fn open(total_items: u64, seed: u64) -> WorkloadHandle {
    let library = crate::workload_library();
    let spec = WorkloadSpec {
        total_items,
        seed,
        granted: granted(&library),
        ..WorkloadSpec::new(NAME)
    };
    library.open(&spec).unwrap()
}

/// The words of a backend that supports all that it needs or uses. But if it has stages beside a graph, these are run.
fn granted(library: &WorkloadLibrary) -> Vec<String> {
    let mut entries = library.catalogue().unwrap().into_iter();
    let entry = entries.find(|entry| entry.name == NAME).unwrap();
    let has_stages = entry.plan.has_stages();
    let is_granted = |word: &String| word != GRAPH || !has_stages;
    let uses = entry.uses.into_iter().filter(is_granted);
    entry.needs.into_iter().chain(uses).collect()
}

#[test]
fn every_size_comes_to_what_the_oracle_comes_to() {
    for (total_items, batch_size) in [(0, 1), (1, 1), (97, 1), (97, 10), (1000, 64), (1000, 4096)] {
        let workload = open(total_items, 42);
        let outcome = workload.outcome(&run(&workload, batch_size)).unwrap();
        let expected = workload.expected().unwrap();
        assert_eq!(
            (outcome.count, outcome.checksum),
            (expected.count, expected.checksum),
            "{total_items} items by {batch_size}"
        );
    }
}

#[test]
fn another_seed_is_other_data() {
    let checksum = |seed| open(1000, seed).expected().unwrap().checksum;
    assert_eq!(checksum(1), checksum(1));
    assert_ne!(checksum(1), checksum(2));
}

#[test]
fn the_catalogue_tells_what_it_is() {
    let entries = crate::workload_library().catalogue().unwrap();
    assert_eq!(entries[0].name, NAME);
    assert!(entries[0].plan.is_well_formed());
}
