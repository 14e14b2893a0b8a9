//! How fast each backend moves items of each size, beside the memory of the machine: the workload `payload` with as many bytes a run
//! at each size, but no more items than [`MOST_ITEMS`].
//!
//! `cargo bench --bench payload -- [--backends NAMES] [--svg FILE]` has a budget of ten minutes. It prints each figure when it is
//! measured, so that little is lost if it is stopped, then a table, and writes the chart. How far it is goes to standard error. The
//! backends are those that are set up in the data folder, one after the other. The engine of each is started once, for all sizes.

// A benchmark that cannot be set up must stop.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod chart;
mod engine;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crossrun::internals::stats::median;
use crossrun::internals::worker::{LibraryFile, Work, load};
use peers::in_process::library;
use plugin_api::WorkloadSpec;
use plugin_api::workload::WorkloadLibrary;
use serde_json::{Value, json};

use engine::{Case, Engine};

const SIZES: [usize; 5] = [8, 128, 2 << 10, 32 << 10, 1 << 20];
/// Bytes of the items of a run.
const RUN: usize = 64 << 20;
/// But a run has no more items than these: with small items it would take minutes, as backends hold an entry for each item.
const MOST_ITEMS: usize = 1 << 20;
/// Bytes of the items of a batch, which has one item at least.
const BATCH: usize = 256 << 10;
const THREADS: u32 = 2;
/// Runs with data of their own, after one that warms up.
const ROUNDS: u64 = 3;
/// The time of all engines together. A backend and size that has used up its share has no further round, but always one.
const BUDGET: Duration = Duration::from_secs(600);

/// The line above the others: items that are copied from one place in memory to another.
const MEMCPY: &str = "memcpy";

/// Bytes a second, by the size of an item.
type Curve = BTreeMap<usize, f64>;

fn main() {
    let option = |name: &str| std::env::args().skip_while(|argument| argument != name).nth(1);
    let crossrun = built();
    let (backends, workloads) = plugins(&crossrun, option("--backends").as_deref());
    let loaded = load::workloads(&workloads).unwrap();
    let cases = SIZES.map(|size| (size, cases(&loaded, &workloads, size)));
    let memory = SIZES.map(|size| (size, shown(MEMCPY, size, &copies(size))));
    let mut curves = vec![(MEMCPY.to_owned(), Curve::from(memory))];
    let folder = tempfile::tempdir().unwrap();
    let mut progress = Progress { begun: Instant::now(), all: backends.len() * SIZES.len(), done: 0 };
    for (name, file) in backends {
        let logs = folder.path().join(&name);
        std::fs::create_dir(&logs).unwrap();
        let (mut engine, mut curve): (Option<Engine>, Curve) = (None, Curve::new());
        // The smallest items come last: they are most likely to take too long, which ends the engine.
        for (size, cases) in cases.iter().rev() {
            let started = engine.take().map_or_else(|| Engine::start(&name, file.clone(), &logs), Ok);
            let measured = started.and_then(|mut engine| {
                let rates = rounds(&mut engine, *size, cases, progress.share())?;
                Ok((engine, rates))
            });
            match measured {
                Ok((still, rates)) => {
                    curve.insert(*size, shown(&name, *size, &rates));
                    engine = Some(still);
                }
                Err(why) => println!("{name}, {}: no figure: {why}", size_text(*size)),
            }
            progress.step();
        }
        if let Some(engine) = engine {
            engine.stop();
        }
        curves.push((name, curve));
    }
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

/// The backends that are set up, or those of them that are in the list `chosen`; and the library of the workload.
fn plugins(crossrun: &Path, chosen: Option<&str>) -> (Vec<(String, LibraryFile)>, LibraryFile) {
    let output = Command::new(crossrun).args(["backends", "--json"]).output().unwrap();
    let rows: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let file = |row: &Value| library(text(row, "path").into());
    let is_chosen = |name: &str| chosen.is_none_or(|names| names.split(',').any(|chosen| chosen == name));
    let mut backends = Vec::new();
    for row in rows.iter().filter(|row| row["kind"] == "runner" && is_chosen(&text(row, "name"))) {
        if row["status"] == "available" {
            backends.push((text(row, "name"), file(row)));
        } else {
            eprintln!("{} is not measured: {}", text(row, "name"), text(row, "reason"));
        }
    }
    let workloads = rows.iter().find(|row| row["name"] == "standard_workloads").unwrap();
    (backends, file(workloads))
}

fn items(size: usize) -> usize {
    (RUN / size).min(MOST_ITEMS)
}

/// The warm-up and the rounds with items of this size.
fn cases(loaded: &WorkloadLibrary, file: &LibraryFile, size: usize) -> Vec<Case> {
    let extra = json!({"bytes": size, "batch_size": (BATCH / size).max(1)});
    let case = |seed| {
        let spec = WorkloadSpec {
            total_items: items(size) as u64,
            parallelism: THREADS,
            seed,
            extra: extra.as_object().unwrap().clone(),
            ..WorkloadSpec::new("payload")
        };
        let workload = loaded.open(&spec).unwrap();
        let expected = workload.expected().unwrap();
        Case { work: Work { spec, library: file.clone() }, workload, expected }
    };
    (0..=ROUNDS).map(case).collect()
}

/// Bytes a second of each round of an engine, which may take about the time `share` together.
fn rounds(engine: &mut Engine, size: usize, cases: &[Case], share: Duration) -> Result<Vec<f64>, String> {
    let (begun, bytes, mut rates) = (Instant::now(), (items(size) * size) as f64, Vec::new());
    let (warm_up, measured) = cases.split_first().unwrap();
    engine.run(warm_up)?;
    for case in measured {
        let round = Instant::now();
        rates.push(bytes / engine.run(case)?);
        if begun.elapsed() + round.elapsed() > share {
            break;
        }
    }
    Ok(rates)
}

/// Bytes a second of each round of [`copied`], after one that warms up.
fn copies(size: usize) -> Vec<f64> {
    (0..=ROUNDS).map(|_| copied(size)).skip(1).collect()
}

/// Bytes a second of threads that copy items of this size, one after the other, [`RUN`] bytes in all.
fn copied(size: usize) -> f64 {
    let each = RUN / THREADS as usize;
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
    RUN as f64 / started.elapsed().as_secs_f64()
}

/// How many pairs of a backend and a size are measured.
struct Progress {
    begun: Instant,
    all: usize,
    done: usize,
}

impl Progress {
    /// The time that the next pair may take.
    fn share(&self) -> Duration {
        BUDGET.saturating_sub(self.begun.elapsed()) / (self.all - self.done) as u32
    }

    fn step(&mut self) {
        self.done += 1;
        let (elapsed, left) = (self.begun.elapsed(), (self.all - self.done) as u32);
        eprintln!(
            "{} of {} are measured after {} s; about {} s are left",
            self.done,
            self.all,
            elapsed.as_secs(),
            (elapsed * left / self.done as u32).as_secs()
        );
    }
}

/// Prints the rates of the rounds, and returns their median.
fn shown(name: &str, size: usize, rates: &[f64]) -> f64 {
    let rate = median(rates).unwrap();
    let each: Vec<_> = rates.iter().map(|rate| rate_text(*rate)).collect();
    println!("{name}, {}: {} ({})", size_text(size), rate_text(rate), each.join(", "));
    rate
}

fn fastest(curve: &Curve) -> f64 {
    curve.values().copied().fold(0.0, f64::max)
}

/// The table of docs/benchmarks.md.
fn print(curves: &[(String, Curve)]) {
    let names: Vec<_> = curves.iter().map(|(name, _)| name.as_str()).collect();
    println!("| bytes of an item | of a run | {} |", names.join(" | "));
    println!("|---|---|{}", "---|".repeat(names.len()));
    for size in SIZES {
        let cell = |(_, by_size): &(String, Curve)| {
            by_size.get(&size).map_or_else(|| "–".to_owned(), |rate| rate_text(*rate))
        };
        let cells: Vec<_> = curves.iter().map(cell).collect();
        println!("| {} | {} | {} |", size_text(size), size_text(items(size) * size), cells.join(" | "));
    }
}

/// A number of bytes, for people.
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
