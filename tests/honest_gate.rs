//! No honest run is invalid, also on a busy machine: the physical bounds must hold for every backend.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

use crossrun::internals::plan::{BackendChoice, Matrix};
use crossrun::internals::stats::WarmUp;
use serde_json::{Map, Value, json};

use crate::installed_engine::Installed;
use crate::session::{Point, run_matrix, run_name};

/// The backends without an engine, and one whose engine is small.
const SMALL: [&str; 4] = ["native", "timely", "python", "sage"];
/// Those whose engines are large.
const LARGE: [&str; 3] = ["ray", "dask", "spark"];
/// Workloads with a serial reference, so large that the work takes at least the 50 ms from which all bounds are checked: a fifth of the
/// reference, where all of it is a keyed reduction.
const WORK: [&str; 5] = [
    "--workload pipeline --items 1000 iters=10000 batch_size=20",
    "--workload imbalance --items 1000 iters=30000 batch_size=20",
    "--workload memory --items 60000 span_mib=4 batch_size=1200",
    "--workload word_count --items 2700000 batch_size=20000",
    "--workload null --items 15000000 batch_size=250000",
];
const PARALLELISM: [u32; 2] = [1, 2];
/// A probability above this is refuted by what was seen, with 95 % confidence.
const CONFIDENCE: f64 = 0.95;

/// What the machine does beside the runs.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Beside {
    Nothing,
    BusyLoops,
}

/// Runs `work` beside as many busy loops as there are cores.
fn beside<T>(beside: Beside, work: impl FnOnce() -> T) -> T {
    let over = AtomicBool::new(false);
    let cores = std::thread::available_parallelism().unwrap().get();
    let loops = if beside == Beside::BusyLoops { cores } else { 0 };
    std::thread::scope(|scope| {
        for _ in 0..loops {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        // A panic of the work must end the loops too, or the scope waits for ever.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        over.store(true, Ordering::Relaxed);
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// The records of all runs, warm-ups included, which are checked as well: `runs` of each cell in each of `blocks`.
fn records(backend: &'static str, blocks: u32, runs: u32) -> Vec<Value> {
    let engine = Installed::new(backend);
    let workloads = WORK.map(|words| Point::of(words).choice());
    let matrix = Matrix {
        run: run_name(backend),
        backends: vec![BackendChoice::new(backend)],
        workloads: workloads.into(),
        schedulers: vec!["default".into()],
        parallelisms: PARALLELISM.into(),
        nodes: 1,
        options: Map::new(),
        blocks,
        seed: 42,
        data_seed: None,
        warm_up: WarmUp { least: runs - 1, most: runs - 1, ..WarmUp::default() },
        aa: None,
    };
    let (ran, records) = run_matrix(&engine, backend, &matrix, "trials.jsonl");
    assert!(!records.is_empty(), "{}", ran.explain());
    records.into_iter().map(|record| record["record"].clone()).collect()
}

/// What is wrong with the number of runs of a backend: a comparison that was ended early says nothing of those that it did not make.
fn missing(backend: &str, runs: usize, expected: usize) -> Option<String> {
    (runs < expected).then(|| format!("{backend}: {runs} of {expected} runs"))
}

/// Whether a run is invalid by what it says of the time and the CPU time, and all else that is wrong with its record.
fn fault(record: &Value) -> Result<Option<String>, String> {
    let metadata = &record["metadata"];
    let error = &metadata["error"];
    let error_line = || format!("{} {}: {error}", record["backend"], record["run_id"]);
    match error["kind"].as_str() {
        Some("invalid_measurement") => Ok(Some(error_line())),
        None if metadata["reference"]["bounds"] == "checked" => Ok(None),
        _ => Err(format!("{}; its reference is {}", error_line(), metadata["reference"])),
    }
}

/// The largest probability of an event that is not refuted by `seen` of `runs` (Clopper and Pearson, 1934; one-sided).
fn upper_bound(seen: usize, runs: usize) -> f64 {
    let at_most_seen = |probability: f64| {
        let odds = probability / (1.0 - probability);
        let none = (1.0 - probability).powi(runs as i32);
        let terms = (0..seen).scan(none, |term, k| {
            *term *= odds * (runs - k) as f64 / (k + 1) as f64;
            Some(*term)
        });
        none + terms.sum::<f64>()
    };
    let halve = |(low, high): (f64, f64), _| {
        let middle = f64::midpoint(low, high);
        if at_most_seen(middle) > 1.0 - CONFIDENCE { (middle, high) } else { (low, middle) }
    };
    (0..60).fold((0.0, 1.0), halve).1
}

/// Runs every backend, prints what became of its runs, and fails if one is not verified.
fn gate(backends: &[&'static str], load: Beside, blocks: u32, runs: u32) {
    let mut all_faults = Vec::new();
    for backend in backends.iter().copied() {
        let records = beside(load, || records(backend, blocks, runs));
        let mut invalid = Vec::new();
        for record in &records {
            match fault(record) {
                Ok(found) => invalid.extend(found),
                Err(other) => all_faults.push(other),
            }
        }
        let smallest = |key: &str| {
            let values = records.iter().filter_map(|record| record["metadata"][key].as_f64());
            values.fold(f64::INFINITY, f64::min)
        };
        let said = format!(
            "{backend} beside {load:?}: {} runs, {} invalid, upper bound {:.2} %; the shortest work takes {:.3} s",
            records.len(),
            invalid.len(),
            100.0 * upper_bound(invalid.len(), records.len()),
            smallest("reference_cpu_seconds"),
        );
        // Past the capture of the test harness, so that it is visible where nothing fails, and what is wrong before the last backend ends.
        let mut stderr = std::io::stderr().lock();
        for line in [said].iter().chain(&invalid) {
            writeln!(stderr, "{line}").unwrap();
        }
        drop(stderr);
        all_faults.extend(invalid);
        let expected = blocks as usize * runs as usize * WORK.len() * PARALLELISM.len();
        all_faults.extend(missing(backend, records.len(), expected));
    }
    assert!(all_faults.is_empty(), "{}", all_faults.join("\n"));
}

#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn an_honest_run_of_a_backend_is_not_invalid() {
    gate(&SMALL, Beside::Nothing, 1, 2);
}

#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn an_honest_run_of_a_backend_on_a_busy_machine_is_not_invalid() {
    gate(&SMALL, Beside::BusyLoops, 1, 2);
}

/// The backends, blocks and runs of a cell in a block that the environment asks for.
fn asked() -> (Vec<&'static str>, u32, u32) {
    let variable = |name: &str| std::env::var(name).ok();
    let all = SMALL.into_iter().chain(LARGE);
    let only = variable("CROSSRUN_TEST_HONEST_BACKENDS");
    let asked = |name: &&str| only.as_ref().is_none_or(|only| only.split(',').any(|only| only == *name));
    let runs: u32 =
        variable("CROSSRUN_TEST_HONEST_RUNS").map_or(200, |runs| runs.parse().expect("a number of runs"));
    let (blocks, cells) = (3, (WORK.len() * PARALLELISM.len()) as u32);
    // At least three runs of a cell: by fewer warm-ups none can be said to show no trend.
    (all.filter(asked).collect(), blocks, runs.div_ceil(blocks * cells).max(3))
}

#[test]
#[ignore = "hundreds of runs of every backend: .ci/run --full"]
fn of_hundreds_of_honest_runs_none_is_invalid() {
    let (backends, blocks, runs) = asked();
    gate(&backends, Beside::Nothing, blocks, runs);
}

#[test]
#[ignore = "hundreds of runs of every backend: .ci/run --full"]
fn of_hundreds_of_honest_runs_on_a_busy_machine_none_is_invalid() {
    let (backends, blocks, runs) = asked();
    gate(&backends, Beside::BusyLoops, blocks, runs);
}

#[test]
fn the_gate_finds_an_invalid_run_and_a_run_that_was_not_checked() {
    let record = |error: Value, bounds: &str| json!({"backend": "native", "run_id": "a", "metadata": {"error": error, "reference": {"bounds": bounds}}});
    let error = |kind: &str| json!({"kind": kind, "message": "the run took 0.1 s"});
    assert_eq!(fault(&record(Value::Null, "checked")), Ok(None));
    assert!(fault(&record(Value::Null, "not checked")).is_err());
    assert!(fault(&record(error("crashed"), "checked")).is_err());
    let invalid = fault(&record(error("invalid_measurement"), "checked")).unwrap();
    assert!(invalid.unwrap().contains("the run took 0.1 s"));
    assert_eq!(missing("native", 216, 216), None);
    assert!(missing("native", 208, 216).unwrap().contains("208 of 216"));
}

#[test]
fn the_upper_bound_is_that_of_clopper_and_pearson() {
    // 0 of n: 1 - 0.05^(1/n). 1 of 1: everything. 2 of 10: the quantile 0.95 of Beta(3, 8), 0.507.
    for (seen, runs, bound) in [(0, 200, 0.014_867), (0, 1, 0.95), (1, 1, 1.0), (2, 10, 0.506_901)] {
        assert!(
            (upper_bound(seen, runs) - bound).abs() < 1e-4,
            "{seen} of {runs}: {}",
            upper_bound(seen, runs)
        );
    }
}
