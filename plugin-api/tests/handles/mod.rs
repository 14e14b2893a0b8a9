//! What the tests of libraries of workloads share, in Rust and in C.

use plugin_api::{BatchBuilder, State, WorkloadError, WorkloadHandle, WorkloadSpec};

pub(crate) fn spec(name: &str, total_items: u64) -> WorkloadSpec {
    WorkloadSpec { total_items, ..WorkloadSpec::new(name) }
}

pub(crate) fn encoded(items: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    items.iter().copied().collect::<BatchBuilder>().encode(&mut out).unwrap();
    out
}

pub(crate) fn status_of<T>(result: Result<T, WorkloadError>) -> (i32, String) {
    match result {
        Err(WorkloadError::Call { status, message }) => (status, message),
        Err(other) => panic!("{other} did not come from the library"),
        Ok(_) => panic!("the call went well"),
    }
}

/// Of each of four threads that share `workload`, the state of its second stage after `each` items.
pub(crate) fn states_of_threads(workload: &WorkloadHandle, each: u64) -> Vec<State> {
    std::thread::scope(|scope| {
        let parts: Vec<_> = (0..4)
            .map(|part| {
                let workload = workload.clone();
                scope.spawn(move || {
                    let (mut out, mut state) = (workload.buffer(), workload.new_state(2).unwrap());
                    workload.source(part * each, each, 2, &mut out).unwrap();
                    state.fold(&out).unwrap();
                    state
                })
            })
            .collect();
        parts.into_iter().map(|part| part.join().unwrap()).collect()
    })
}
