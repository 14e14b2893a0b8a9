//! What comes out is what the oracle says, in batches of any size and in whatever order they come to the sink.

use plugin_api::{State, WorkloadHandle, WorkloadSpec};

/// Runs it serially, as `ABI.md` says under "Running a plan", and gives the encoded state of the sink.
fn run(workload: &WorkloadHandle, batch_size: u64) -> Vec<u8> {
    let (plan, total) = (workload.plan(), workload.spec().total_items);
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

fn open(total_items: u64, seed: u64) -> WorkloadHandle {
    let spec = WorkloadSpec {
        total_items,
        seed,
        ..WorkloadSpec::new("{{name}}")
    };
    crate::workload_library().open(&spec).unwrap()
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
    assert_eq!(entries[0].name, "{{name}}");
    assert!(entries[0].plan.is_well_formed());
}
