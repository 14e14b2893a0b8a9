//! The dask backend beside what one would write without crossrun, as ratios in one run: `cargo bench -p dask_runner`.

#![allow(missing_docs)]

use peers::{Engine, Point, heading};

const ROUNDS: usize = 8;
const GRAPH_ROUNDS: usize = 12;

fn main() {
    let dask = Engine::set_up("dask", env!("CARGO_MANIFEST_DIR"));
    heading();
    let point = |workload, items, extra| Point { workload, items, parallelism: 2, extra };
    for point in [
        point("scheduler_comparison", 2000, r#"{"batch_size": 1, "sleep_us": 500}"#),
        point("pipeline", 20_000, r#"{"batch_size": 100}"#),
        point("word_count", 1_000_000, r#"{"batch_size": 1000}"#),
    ] {
        dask.beside_script("handwritten.py", point, "not wholly above 1.05", ROUNDS);
    }
    let graph =
        point("task_graph", 800, r#"{"batch_size": 1, "iters": 1000, "pattern": "stencil_1d", "width": 8}"#);
    dask.beside_script("graph.py", graph, "not wholly above 1.05", GRAPH_ROUNDS);
    for (workload, extra) in
        [("null", r#"{"batch_size": 1000}"#), ("word_count", r#"{"batch_size": 1000, "keys": 1000}"#)]
    {
        dask.print_peaks("dask", [100_000, 1_000_000], point(workload, 0, extra));
    }
}
