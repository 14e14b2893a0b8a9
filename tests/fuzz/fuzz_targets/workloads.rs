#![no_main]

#[path = "memory.rs"]
mod memory;

use plugin_api::workload::WorkloadFunctions;
use standard_workloads::__crossrun_workloads as library;

#[global_allocator]
static MEMORY: memory::Bounded = memory::Bounded;

/// The functions that the library exports.
static FUNCTIONS: WorkloadFunctions = WorkloadFunctions {
    size: size_of::<WorkloadFunctions>(),
    catalogue: library::crossrun_workload_catalogue,
    open: library::crossrun_workload_open,
    share: library::share,
    close: library::close,
    plan: library::plan,
    source: library::source,
    run_stages: library::run_stages,
    split: library::split,
    state_new: library::state_new,
    state_fold: library::state_fold,
    state_merge: library::state_merge,
    state_encode: library::state_encode,
    state_emit: library::state_emit,
    state_free: library::state_free,
    outcome: library::outcome,
    expected: library::expected,
    buffer_free: library::buffer_free,
    describe: Some(library::describe),
    start: Some(library::start),
    graph_edges: Some(library::graph_edges),
    graph_task: Some(library::graph_task),
    watermark: Some(library::watermark),
    state_close: Some(library::state_close),
    keys: Some(library::keys),
};

libfuzzer_sys::fuzz_target!(|data: &[u8]| memory::bounded(64, || crossrun_fuzz::workloads::check(
    data, &FUNCTIONS
)));
