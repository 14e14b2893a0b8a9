//! The sage backend beside what one would write without crossrun, as ratios in one run: `cargo bench -p sage_runner`.

#![allow(missing_docs)]

use peers::engine::words;
use peers::{Engine, Pair, Point, heading};

const ROUNDS: usize = 8;

fn main() {
    let sage = Engine::set_up("sage", env!("CARGO_MANIFEST_DIR"));
    heading();
    let waiting =
        Point { workload: "scheduler_comparison", items: 200, parallelism: 4, extra: r#"{"batch_size": 1}"# };
    let pipeline =
        Point { workload: "pipeline", items: 20_000, parallelism: 2, extra: r#"{"batch_size": 100}"# };
    let null = Point { workload: "null", items: 200_000, parallelism: 2, extra: r#"{"batch_size": 1000}"# };
    for point in [waiting, pipeline, null] {
        sage.beside_script("handwritten.py", point, "not wholly above 1.05", ROUNDS);
    }
    let original = || {
        let mut command = sage.script("original.py");
        command.args(["200", "10", "4"]);
        words(command)[0].parse().unwrap_or(f64::NAN)
    };
    let pair = Pair { with: || sage.seconds(waiting), without: original };
    pair.compare("200 items of 10 ms, beside the original project's shape", "<= 0.1", 3);
    for backend in ["sage", "python"] {
        sage.print_peaks(backend, [100_000, 1_000_000], null);
    }
}
