//! The spark backend beside what one would write without crossrun, as ratios in one run: `cargo bench -p spark_runner`.

#![allow(missing_docs)]

use peers::{Engine, Point, heading};

const ROUNDS: usize = 8;

fn main() {
    let spark = Engine::set_up("spark", env!("CARGO_MANIFEST_DIR"));
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
        Point { workload: "word_count", items: 1_000_000, parallelism: 2, extra: r#"{"batch_size": 1000}"# };
    let query =
        |workload| Point { workload, items: 1_000_000, parallelism: 2, extra: r#"{"batch_size": 1000}"# };
    for point in [waiting, pipeline, counting, query("nexmark_q3"), query("nexmark_q5")] {
        spark.beside_script("handwritten.py", point, "not wholly above 1.05", ROUNDS);
    }
    let null = Point { workload: "null", items: 1_000_000, parallelism: 2, extra: r#"{"batch_size": 1000}"# };
    spark.print_peaks("spark", [100_000, 1_000_000], null);
}
