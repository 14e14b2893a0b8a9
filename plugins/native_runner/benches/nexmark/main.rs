//! The native backend compared with programs that do one query of Nexmark and nothing else, as ratios in one run.
//!
//! `cargo bench -p native_runner --bench nexmark` builds what it needs and prints a table. Both sides take turns.

// A benchmark that cannot be set up must stop.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod straight;

// The stream's own source: the programs make the same events, without a library between.
#[path = "../../../standard_workloads/src/random.rs"]
#[allow(dead_code, unused_imports)]
mod random;
#[path = "../../../standard_workloads/src/record.rs"]
#[allow(dead_code, unused_imports)]
mod record;

use std::sync::Arc;

use crossrun::internals::worker::load;
use plugin_api::WorkloadSpec;
use plugin_api::workload::{Digest, WATERMARKS};

use peers::in_process::{NoHost, context, library, timed};
use peers::{Engine, Pair, heading, selected};
use straight::Program;

const THREADS: u32 = 2;
const BATCH_SIZE: u64 = 1000;
const ROUNDS: usize = 15;
/// A rate of 0.9 of the program's.
const BAR: &str = "<= 1.11";

/// A query, its program, its number of events, whether something of it ends before the stream does, and the bar.
const QUERIES: [(&str, Program, u64, bool, &str); 4] = [
    ("nexmark_q1", straight::currency, 4_000_000, false, BAR),
    ("nexmark_q2", straight::selection, 4_000_000, false, BAR),
    ("nexmark_q3", straight::local_items, 4_000_000, false, ""),
    ("nexmark_q5", straight::hot_items, 2_000_000, true, ""),
];

fn main() {
    let engine = Engine::set_up("native", env!("CARGO_MANIFEST_DIR"));
    heading();
    let file = library(engine.library("native_runner"));
    let mut native = load::runner(&file, Arc::new(NoHost), log::LevelFilter::Off).unwrap();
    let workloads = load::workloads(&library(engine.library("standard_workloads"))).unwrap();
    for (name, program, items, closes, bar) in QUERIES {
        let row = format!("{name}, {items} items, parallelism {THREADS}, batch_size {BATCH_SIZE}");
        if !selected(&row) {
            continue;
        }
        let workload = workloads.open(&spec(name, items, closes)).unwrap();
        let (spec, context) = (workload.spec().clone(), context(&workload));
        let mut backend = || Digest::decode(&native.run(&spec, &context).unwrap().sink_state).unwrap();
        let straight = || program(&spec, THREADS.into());
        let expected = workload.expected().unwrap();
        for digest in [backend(), straight()] {
            assert_eq!(
                (digest.count(), digest.checksum()),
                (expected.count, expected.checksum.clone()),
                "{name}"
            );
        }
        Pair { with: || timed(&mut backend), without: || timed(straight) }.compare(&row, bar, ROUNDS);
    }
}

fn spec(name: &str, items: u64, closes: bool) -> WorkloadSpec {
    let mut spec = WorkloadSpec { total_items: items, parallelism: THREADS, ..WorkloadSpec::new(name) };
    spec.extra.insert("batch_size".into(), BATCH_SIZE.into());
    if closes {
        // A run of the command line closes what has ended, as the backend can.
        spec.granted.push(WATERMARKS.into());
    }
    spec
}
