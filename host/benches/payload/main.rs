//! How fast each backend moves items of each size, beside the memory of the machine: the workload `payload` with as many bytes a run
//! at each size.
//!
//! `cargo bench --bench payload -- [--backends NAMES] [--svg FILE]` prints a table and writes the chart. Sizes take turns in each round,
//! and every round has new engines and data. The backends are those that are set up in the data folder.

// A benchmark that cannot be set up must stop.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod chart;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crossrun::internals::stats::median;
use serde_json::Value;

const SIZES: [usize; 5] = [8, 128, 2 << 10, 32 << 10, 1 << 20];
/// Bytes of the items of a run, and of a batch, which has one item at least.
const RUN: usize = 64 << 20;
const BATCH: usize = 256 << 10;
const THREADS: usize = 2;
const ROUNDS: usize = 3;

/// The line above the others: items that are copied from one place in memory to another.
const MEMCPY: &str = "memcpy";

/// Bytes a second in each round, by name and size.
type Rates = BTreeMap<String, BTreeMap<usize, Vec<f64>>>;

fn main() {
    let option = |name: &str| std::env::args().skip_while(|argument| argument != name).nth(1);
    let crossrun = built();
    let folder = tempfile::tempdir().unwrap();
    let mut rates = Rates::new();
    for round in 0..ROUNDS {
        for size in SIZES {
            let mut add = |name: &str, rate: f64| {
                rates.entry(name.to_owned()).or_default().entry(size).or_default().push(rate);
            };
            add(MEMCPY, copied(size));
            let compared = compared(&crossrun, folder.path(), option("--backends"), size);
            compared.into_iter().for_each(|(backend, rate)| add(&backend, rate));
            eprintln!("round {round} of {size} B is done");
        }
    }
    let medians = |(name, by_size): (String, BTreeMap<usize, Vec<f64>>)| {
        (name, by_size.into_iter().map(|(size, rates)| (size, median(&rates).unwrap())).collect())
    };
    let mut curves: Vec<(String, BTreeMap<usize, f64>)> = rates.into_iter().map(medians).collect();
    curves.sort_by(|(_, one), (_, two)| fastest(two).total_cmp(&fastest(one)));
    print(&curves);
    if let Some(file) = option("--svg") {
        std::fs::write(&file, chart::svg(&curves)).unwrap();
        println!("the chart is in {file}");
    }
}

/// The program, with all plugins beside it.
fn built() -> PathBuf {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let build = ["build", "--quiet", "--release", "--locked"];
    assert!(Command::new(env!("CARGO")).args(build).current_dir(repository).status().unwrap().success());
    env!("CARGO_BIN_EXE_crossrun").into()
}

/// Bytes a second of threads that copy items of this size, one after the other, as many bytes as a run has.
fn copied(size: usize) -> f64 {
    let each = RUN / THREADS;
    let mut memory: Vec<_> = (0..THREADS).map(|_| (vec![1_u8; each], vec![2_u8; each])).collect();
    let started = Instant::now();
    std::thread::scope(|scope| {
        for (from, to) in &mut memory {
            scope.spawn(move || {
                for (from, to) in from.chunks_exact(size).zip(to.chunks_exact_mut(size)) {
                    std::hint::black_box(to).copy_from_slice(std::hint::black_box(from));
                }
            });
        }
    });
    (each * THREADS) as f64 / started.elapsed().as_secs_f64()
}

/// Bytes a second of each backend with items of this size, of those whose answer was verified.
fn compared(crossrun: &Path, folder: &Path, backends: Option<String>, size: usize) -> Vec<(String, f64)> {
    let run = tempfile::tempdir_in(folder).unwrap();
    let mut command = Command::new(crossrun);
    command.args(["compare", "--workloads", "payload", "--blocks", "1", "--run-id", "payload"]);
    command.args(["--items", &(RUN / size).to_string(), "--parallelism", &THREADS.to_string()]);
    command.args([
        "--extra",
        &format!("bytes={size}"),
        "--extra",
        &format!("batch_size={}", (BATCH / size).max(1)),
    ]);
    command.args(backends.iter().flat_map(|names| ["--backends", names.as_str()]));
    command.current_dir(run.path()).stdout(Stdio::null()).status().unwrap();
    let report = std::fs::read(run.path().join("results/payload/report.json")).unwrap();
    let comparison: Value = serde_json::from_slice(&report).unwrap();
    let rows = comparison["points"][0]["rows"].as_array().unwrap();
    let rate = |row: &Value| {
        let name = row["backend"].as_str()?.to_owned();
        let Some(items) = row["input_rate"]["median"].as_f64() else {
            eprintln!("{name} has no verified answer with items of {size} B: {}", row["failures"]);
            return None;
        };
        Some((name, items * size as f64))
    };
    rows.iter().filter_map(rate).collect()
}

fn fastest(curve: &BTreeMap<usize, f64>) -> f64 {
    curve.values().copied().fold(0.0, f64::max)
}

/// The table of docs/benchmarks.md.
fn print(curves: &[(String, BTreeMap<usize, f64>)]) {
    let names: Vec<_> = curves.iter().map(|(name, _)| name.as_str()).collect();
    println!("| bytes of an item | {} |", names.join(" | "));
    println!("|---|{}", "---|".repeat(names.len()));
    for size in SIZES {
        let cell = |(_, by_size): &(String, BTreeMap<usize, f64>)| {
            by_size.get(&size).map_or_else(|| "–".to_owned(), |rate| rate_text(*rate))
        };
        println!("| {} | {} |", size_text(size), curves.iter().map(cell).collect::<Vec<_>>().join(" | "));
    }
}

/// A size of an item, for people.
fn size_text(size: usize) -> String {
    match size {
        size if size >= 1 << 20 => format!("{} MiB", size >> 20),
        size if size >= 1 << 10 => format!("{} KiB", size >> 10),
        size => format!("{size} B"),
    }
}

/// Bytes a second, for people, with three digits.
fn rate_text(rate: f64) -> String {
    let (value, unit) = match rate {
        rate if rate >= 1e9 => (rate / 1e9, "GB/s"),
        rate if rate >= 1e6 => (rate / 1e6, "MB/s"),
        rate => (rate / 1e3, "kB/s"),
    };
    let digits = if value >= 100.0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    format!("{value:.digits$} {unit}")
}
