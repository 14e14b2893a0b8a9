//! What the harness adds to a run, and what a report costs. `cargo bench --bench harness` prints the rows of docs/benchmarks.md.

// A benchmark that cannot be set up must stop.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use serde_json::Value;

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let plugins = staged(folder.path());
    per_trial(folder.path(), &plugins);
    report(folder.path());
}

/// The release plugins, alone in a folder.
fn staged(folder: &Path) -> std::path::PathBuf {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let arguments = ["build", "--quiet", "--release", "-p", "native_runner", "-p", "standard_workloads"];
    assert!(Command::new(env!("CARGO")).args(arguments).current_dir(repository).status().unwrap().success());
    let plugins = folder.join("plugins");
    std::fs::create_dir(&plugins).unwrap();
    let built = Path::new(env!("CARGO_BIN_EXE_crossrun")).parent().unwrap();
    for name in ["libnative_runner.so", "libstandard_workloads.so"] {
        std::fs::copy(built.join(name), plugins.join(name)).unwrap();
    }
    plugins
}

fn crossrun(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossrun"));
    command.env("CROSSRUN_DATA_DIR", folder.join("data")).current_dir(folder);
    command
}

/// From the end of one trial to the end of the next, less the run itself: dispatch, judge, usage, record, sync. Many cells of
/// no work in one session.
fn per_trial(folder: &Path, plugins: &Path) {
    let items = (1..=60).map(|count| count.to_string()).collect::<Vec<_>>().join(",");
    let started = Instant::now();
    let output = crossrun(folder)
        .args(["compare", "--backends", "native", "--workloads", "null", "--items", &items, "--blocks", "1"])
        .args(["--run-id", "trials", "--json", "--plugin-dir"])
        .arg(plugins)
        .output()
        .unwrap();
    let wall = started.elapsed().as_secs_f64();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read_to_string(folder.join("results/trials/trials.jsonl")).unwrap();
    let trials: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let runs: f64 = trials.iter().filter_map(|trial| trial["record"]["duration_seconds"].as_f64()).sum();
    let each = (wall - runs) / trials.len() as f64 * 1e3;
    println!(
        "the harness's own cost of a trial: {each:.2} ms over {} trials, start and report included (bar: 10 ms)",
        trials.len()
    );
}

/// A report of ten thousand records.
fn report(folder: &Path) {
    let text = std::fs::read_to_string(folder.join("results/trials/trials.jsonl")).unwrap();
    let measured: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|trial| trial["kind"] == "measured")
        .collect();
    let path = folder.join("many.jsonl");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
    for number in 0..10_000_usize {
        let mut trial = measured[number % 50].clone();
        trial["record"]["metadata"]["block"] = (number / 50 % 10).into();
        let backend = format!("backend{}", number / 500);
        trial["record"]["backend"] = backend.into();
        writeln!(file, "{trial}").unwrap();
    }
    drop(file);
    let started = Instant::now();
    let mut command = crossrun(folder);
    let child =
        command.args(["report", "--html", "many.html"]).arg(&path).stdout(std::process::Stdio::null());
    let mut child = child.spawn().unwrap();
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
        peak = peak.max(line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0));
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let seconds = started.elapsed().as_secs_f64();
    let size = std::fs::metadata(folder.join("many.html")).unwrap().len() as f64 / f64::from(1 << 20);
    println!(
        "a report of 10 000 records in 1000 cells: {seconds:.2} s, {} MiB of memory, {size:.2} MiB of HTML (bars: 2 s, 300 MiB, 3 MiB)",
        peak / 1024
    );
}
