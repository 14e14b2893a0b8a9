//! The timely backend compared with a program that is written for timely directly, as ratios in one run.
//!
//! `cargo bench -p timely_runner --bench direct` builds what it needs and prints a table. Both sides take turns.

// A benchmark that cannot be set up must stop.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod program;

use std::sync::Arc;

use crossrun::internals::worker::load;
use plugin_api::WorkloadSpec;
use plugin_api::workload::WATERMARKS;

use peers::in_process::{NoHost, context, library, timed};
use peers::{Engine, Pair, Point, heading, selected};

/// The queries of which something ends before the stream does. A run of the command line closes it, as the backend can.
const CLOSING: [&str; 2] = ["nexmark_q5", "nexmark_q8"];

const BAR: &str = "not wholly above 1.05";

fn main() {
    let engine = Engine::set_up("timely", env!("CARGO_MANIFEST_DIR"));
    heading();
    beside_direct(&engine);
    peaks(&engine);
}

/// The backend in this process, compared with the program.
fn beside_direct(engine: &Engine) {
    let file = library(engine.library("timely_runner"));
    let mut timely = load::runner(&file, Arc::new(NoHost), log::LevelFilter::Off).unwrap();
    let workloads = load::workloads(&library(engine.library("standard_workloads"))).unwrap();
    for (name, items, batch_size, rounds) in [
        ("scheduler_comparison", 2000, 1, 8),
        ("pipeline", 20_000, 100, 31),
        ("word_count", 1_000_000, 1000, 15),
        ("nexmark_q3", 2_000_000, 1000, 15),
        ("nexmark_q5", 1_000_000, 1000, 15),
        ("nexmark_q8", 2_000_000, 1000, 15),
    ] {
        let name_of_row = format!("{name}, {items} items, batch_size {batch_size}");
        if !selected(&name_of_row) {
            continue;
        }
        let workload = workloads.open(&spec(name, items, batch_size)).unwrap();
        let (spec, context) = (workload.spec().clone(), context(&workload));
        let mut backend = || timely.run(&spec, &context).unwrap().sink_state;
        let direct = || program::run(&workload, spec.parallelism as usize);
        let expected = workload.expected().unwrap();
        for sink in [backend(), direct()] {
            let outcome = workload.outcome(&sink).unwrap();
            assert_eq!((outcome.count, &outcome.checksum), (expected.count, &expected.checksum), "{name}");
        }
        let pair = Pair { with: || timed(&mut backend), without: || timed(direct) };
        pair.compare(&name_of_row, BAR, rounds);
    }
}

/// Ten times the items must not take more memory.
fn peaks(engine: &Engine) {
    for backend in ["native", "timely"] {
        let extra = r#"{"batch_size": 1000}"#;
        let counting = Point { workload: "word_count", items: 0, parallelism: 2, extra };
        engine.print_peaks(backend, [1_000_000, 10_000_000], counting);
    }
}

fn spec(name: &str, items: u64, batch_size: u64) -> WorkloadSpec {
    let mut spec = WorkloadSpec { total_items: items, ..WorkloadSpec::new(name) };
    spec.extra.insert("batch_size".into(), batch_size.into());
    if name == "scheduler_comparison" {
        spec.extra.insert("sleep_us".into(), 500.into());
    }
    if CLOSING.contains(&name) {
        spec.granted.push(WATERMARKS.into());
    }
    spec
}
