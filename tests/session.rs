//! Many runs in one session of a backend, so that its engine is started once: a comparison that is resumed from a plan
//! of its own, as a comparison is the product of its options.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use crossrun::internals::plan::{BackendChoice, Matrix, Plan, WorkloadChoice};
use crossrun::internals::plugin::sha256_of;
use crossrun::internals::record::{Library, SystemProfile};
use crossrun::internals::stats::WarmUp;
use serde_json::{Map, Value, json};

use crate::installed_engine::Installed;
use crate::support::{Place, Ran};

/// One run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) workload: String,
    pub(crate) items: u64,
    pub(crate) parallelism: u32,
    pub(crate) extra: Map<String, Value>,
}

impl Point {
    /// The run with the options of `run` in `words`, where `key=value` is an extra.
    pub(crate) fn of(words: &str) -> Self {
        let mut point = Self { workload: String::new(), items: 10, parallelism: 1, extra: Map::new() };
        let mut words = words.split_whitespace();
        while let Some(word) = words.next() {
            match (word, word.split_once('=')) {
                (_, Some((key, value))) => {
                    let value = serde_json::from_str(value).unwrap_or_else(|_| json!(value));
                    point.extra.insert(key.into(), value);
                }
                ("--workload", _) => point.workload = words.next().unwrap().into(),
                ("--items", _) => point.items = words.next().unwrap().parse().unwrap(),
                ("--parallelism", _) => point.parallelism = words.next().unwrap().parse().unwrap(),
                _ => panic!("{word} cannot differ within a session"),
            }
        }
        point
    }

    /// The same in a matrix.
    pub(crate) fn choice(&self) -> WorkloadChoice {
        WorkloadChoice {
            name: self.workload.clone(),
            items: vec![self.items],
            extra: self.extra.clone(),
            row_width: (self.workload == "task_graph").then_some(64),
            ..WorkloadChoice::default()
        }
    }

    fn is_of(&self, record: &Value) -> bool {
        let metadata = &record["metadata"];
        // A graph runs whole steps, if there are items for one.
        let width = metadata["graph"]["width"].as_u64().filter(|width| *width <= self.items);
        let items = width.map_or(self.items, |width| self.items - self.items % width);
        record["workload"] == self.workload
            && metadata["total_items"] == items
            && self.extra.iter().all(|(key, value)| metadata["extra"][key] == *value)
    }
}

/// Runs what `lines` say on the backend's engine, and demands that each is verified and that nothing is left. All that is
/// wrong is told at once.
pub(crate) fn verified(engine: &Installed, lines: &[String]) -> Vec<Value> {
    let points: Vec<_> = lines.iter().map(|words| Point::of(words)).collect();
    let records = records(engine, engine.name, &points);
    let wrong: Vec<_> = records.iter().filter_map(|record| judged(record).err()).collect();
    assert!(wrong.is_empty(), "{} of {} runs:\n{}", wrong.len(), lines.len(), wrong.join("\n"));
    assert!(
        were_prepared(engine.name, &records),
        "every run of {} opened its workload after the clock had begun",
        engine.name
    );
    records
}

/// Whether not all of many runs opened their workload late, of a backend that counts that. An engine may give a task to a process that
/// had none when the run was prepared.
fn were_prepared(backend: &str, records: &[Value]) -> bool {
    const MANY: usize = 10;
    // Those in Rust, of which no process is new in a run.
    const UNCOUNTED: [&str; 2] = ["native", "timely"];
    // Without an item nothing is opened.
    let with_items: Vec<_> = records.iter().filter(|record| record["metadata"]["total_items"] != 0).collect();
    let late = with_items.iter().filter_map(|it| it["metadata"]["raw_metrics"]["late_opens"].as_u64());
    let late: Vec<_> = late.collect();
    let is_counted = !UNCOUNTED.contains(&backend) && !with_items.is_empty();
    assert_eq!(!late.is_empty(), is_counted, "late_opens of {backend}: {late:?}");
    late.len() < MANY || late.contains(&0)
}

/// Runs `points`, each once, in a session for each parallelism that they have, and gives their records in the same order.
pub(crate) fn records(engine: &Installed, backend: &str, points: &[Point]) -> Vec<Value> {
    let parallelisms: BTreeSet<_> = points.iter().map(|point| point.parallelism).collect();
    let of_session = |parallelism| {
        let own: Vec<_> = points.iter().filter(|point| point.parallelism == parallelism).collect();
        (parallelism, session(engine, backend, parallelism, &own))
    };
    let records: BTreeMap<_, _> = parallelisms.into_iter().map(of_session).collect();
    let record = |point: &Point| {
        let found = records[&point.parallelism].iter().find(|record| point.is_of(record));
        found.unwrap_or_else(|| panic!("{backend} has no record of {point:?}")).clone()
    };
    points.iter().map(record).collect()
}

/// A name for a run. Engines are in one folder of data, and a run's logs are there under its name: two tests must not have one
/// name.
pub(crate) fn run_name(backend: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("{backend}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Runs a matrix of the backend, and gives the lines of `file`, which is one of the run's files of records.
pub(crate) fn run_matrix(
    engine: &Installed,
    backend: &str,
    matrix: &Matrix,
    file: &str,
) -> (Ran, Vec<Value>) {
    let folder = engine.place.path().join("results").join(&matrix.run);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("plan.json"), plan_file(&engine.place, backend, matrix).to_string()).unwrap();
    let ran = Ran::of(engine.command(&["compare", "--resume", &matrix.run, "--no-lock"]));
    let records = engine.place.records_if_any(&matrix.run, file).unwrap_or_default();
    fs::remove_dir_all(folder).unwrap();
    // Those that stayed empty are gone already.
    let _ = fs::remove_dir_all(engine.data().join("logs").join(&matrix.run));
    (ran, records)
}

fn session(engine: &Installed, backend: &str, parallelism: u32, points: &[&Point]) -> Vec<Value> {
    let matrix = Matrix {
        run: run_name(backend),
        backends: vec![BackendChoice::new(backend)],
        workloads: points.iter().map(|point| point.choice()).collect(),
        schedulers: vec!["default".into()],
        parallelisms: vec![parallelism],
        nodes: 1,
        options: Map::new(),
        blocks: 1,
        seed: 42,
        // The same point has the same data on every backend.
        data_seed: Some(42),
        // Nothing is measured, so nothing need be warm.
        warm_up: WarmUp { least: 0, most: 0, ..WarmUp::default() },
        aa: None,
    };
    let (ran, records) = run_matrix(engine, backend, &matrix, "unified_results.jsonl");
    // Which runs failed, and why, is in their rows; without rows there is only this.
    assert_eq!(records.len(), points.len(), "{}", ran.explain());
    engine.left_nothing(&ran);
    records
}

/// What `compare` would have written when it began.
fn plan_file(place: &Place, backend: &str, matrix: &Matrix) -> Value {
    let library = |path: &Path| Library::new(path, sha256_of(path).unwrap());
    let runner = library(&place.plugins().join(format!("lib{backend}_runner.so")));
    let workloads =
        ["standard_workloads", "samples"].map(|name| place.plugins().join(format!("lib{name}.so")));
    let workloads = library(workloads.iter().find(|path| path.exists()).unwrap());
    let libraries: Map<_, _> =
        matrix.workloads.iter().map(|workload| (workload.name.clone(), json!(workloads))).collect();
    json!({
        "version": 1,
        "plan_hash": Plan::new(matrix).unwrap().hash(),
        "rigor": "standard",
        "baseline": backend,
        "insist": false,
        "timeout_seconds": 600.0,
        "backends": {backend: {"name": backend, "library": runner}},
        "libraries": libraries,
        "machine": SystemProfile::collect(),
        "matrix": matrix,
    })
}

/// Messages that tell how busy this machine is, and nothing of the answer, begin like that: the source of an open loop did not keep to its
/// schedule, or a process waited for a core before the clock of the run, or after it.
const OF_THE_MACHINE: [&str; 2] = ["the source was late by itself", "the worker's clock shows "];

/// Whether a run with this metadata is invalid only because this machine is busy. Its answer must be right all the same.
pub(crate) fn is_of_the_machine(metadata: &Value) -> bool {
    let error = &metadata["error"];
    let message = error["message"].as_str().unwrap_or_default();
    error["kind"] == "invalid_measurement" && OF_THE_MACHINE.iter().any(|start| message.starts_with(start))
}

/// Whether a command with this exit code and this standard error measured nothing valid only because this machine is busy.
pub(crate) fn was_spoilt_by_the_machine(code: Option<i32>, stderr: &str) -> bool {
    code == Some(6) && OF_THE_MACHINE.iter().any(|words| stderr.contains(words))
}

/// Runs what must have a valid measurement, some times if this machine spoils it: it may do so now and then, and a fault always does.
pub(crate) fn unspoilt(run: impl Fn() -> Ran) -> Ran {
    for _ in 0..4 {
        let ran = run();
        if !was_spoilt_by_the_machine(ran.output.status.code(), &ran.stderr()) {
            return ran;
        }
    }
    run()
}

/// Why a record is not as expected, if it is not. A point that a backend cannot express is reported here too.
pub(crate) fn judged(record: &Value) -> Result<(), String> {
    let metadata = &record["metadata"];
    let told = |why: &str| format!("{} {}: {why}", record["backend"], record["run_id"]);
    if !is_of_the_machine(metadata) && (metadata["verified"] != true || record["success_rate"] != 1.0) {
        return Err(told(&metadata["error"].to_string()));
    }
    let [count, checksum] = ["results_count", "checksum"].map(|key| metadata[key].clone());
    if count.is_null() || count != metadata["expected_count"] || checksum != metadata["expected_checksum"] {
        return Err(told(&format!("came to {count} with {checksum}, which is not what was expected")));
    }
    let about_processes = metadata["warnings"].to_string();
    if about_processes.contains("left") || about_processes.contains("closing") {
        return Err(told(&about_processes));
    }
    Ok(())
}
