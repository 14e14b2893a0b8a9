//! The ray backend beside what one would write without crossrun, as ratios in one run: `cargo bench -p ray_runner`.

#![allow(missing_docs)]

use peers::engine::words;
use peers::{Engine, Pair, Point, heading};

const ROUNDS: usize = 8;
/// For what takes a fraction of a second, of which noise is a larger part.
const MORE_ROUNDS: usize = 20;
const GRAPH_ROUNDS: usize = 12;

fn main() {
    let ray = Engine::set_up("ray", env!("CARGO_MANIFEST_DIR"));
    heading();
    let waiting = Point {
        workload: "scheduler_comparison",
        items: 2000,
        parallelism: 2,
        extra: r#"{"batch_size": 1, "sleep_us": 500}"#,
    };
    let pipeline =
        Point { workload: "pipeline", items: 20_000, parallelism: 2, extra: r#"{"batch_size": 100}"# };
    let counting =
        Point { workload: "word_count", items: 1_000_000, parallelism: 2, extra: r#"{"batch_size": 10000}"# };
    for (point, rounds) in [(waiting, ROUNDS), (pipeline, MORE_ROUNDS), (counting, MORE_ROUNDS)] {
        ray.beside_script("handwritten.py", point, "not wholly above 1.05", rounds);
    }
    let graph = Point {
        workload: "task_graph",
        items: 800,
        parallelism: 2,
        extra: r#"{"batch_size": 1, "iters": 1000, "pattern": "stencil_1d", "width": 8}"#,
    };
    ray.beside_script("graph.py", graph, "not wholly above 1.05", GRAPH_ROUNDS);
    // The workload of two stages: a map that waits, here for nothing, and a filter.
    let two_stages = [
        (r#"{"batch_size": 1, "sleep_us": 0}"#, "<= 0.25"),
        (r#"{"batch_size": 1, "sleep_us": 0, "fusion": "off"}"#, "< 1"),
    ];
    for (extra, bar) in two_stages {
        let original = || {
            let mut command = ray.script("original.py");
            command.args(["2000", "2"]);
            words(command)[0].parse().unwrap_or(f64::NAN)
        };
        let point = Point { extra, ..waiting };
        let name = format!("2000 items of no work, {extra}, beside the original project's runner");
        Pair { with: || ray.seconds(point), without: original }.compare(&name, bar, ROUNDS);
    }
    let null = Point { workload: "null", items: 0, parallelism: 2, extra: r#"{"batch_size": 1000}"# };
    ray.print_peaks("ray", [100_000, 1_000_000], null);
}
