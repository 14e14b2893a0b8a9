//! Every backend comes to what the oracle comes to, on every standard workload, however it is run.
//!
//! A session, which is one backend at one parallelism, runs all of its points: an engine is started twice and no more. It
//! is a comparison that is gone on with from a plan of its own, as a comparison is the product of its options.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crossrun::internals::plan::{BackendChoice, Matrix, Plan, WorkloadChoice};
use crossrun::internals::plugin::sha256_of;
use crossrun::internals::record::{Library, SystemProfile};
use crossrun::internals::stats::WarmUp;
use serde_json::{Map, Value, json};

use crate::installed_engine::{FUSION, ITEMS, Installed};
use crate::pairwise::cover;
use crate::support::{Place, Ran};

/// The backends without an engine, and one whose engine is small.
const SMALL: [&str; 4] = ["native", "timely", "python", "sage"];
/// Those whose engines are large.
const LARGE: [&str; 3] = ["ray", "dask", "spark"];
const BATCH_SIZE: [u32; 2] = [1, 64];
const PARALLELISM: [u32; 2] = [1, 2];

/// What is known of a standard workload.
struct Workload {
    name: String,
    /// What makes it short.
    parameters: Map<String, Value>,
}

/// The standard workloads, as crossrun lists them: a new one takes part by itself.
fn workloads() -> Vec<Workload> {
    let listed = Place::new().crossrun(&["workloads", "--json"]).code(0).json();
    let workload = |entry: &Value| {
        let parameters = entry["parameters"].as_array().unwrap();
        let sleeps = parameters.iter().any(|parameter| parameter["name"] == "sleep_us");
        // A thousand items that sleep for 10 ms each show no more than a thousand that sleep for 100 µs.
        let parameters = sleeps.then(|| ("sleep_us".to_owned(), json!(100)));
        Workload {
            name: entry["name"].as_str().unwrap().into(),
            parameters: parameters.into_iter().collect(),
        }
    };
    listed.as_array().unwrap().iter().map(workload).collect()
}

/// One run: places in the lists of backends, workloads and so on.
#[derive(Clone, Copy)]
struct Row {
    backend: usize,
    workload: usize,
    items: usize,
    batch_size: usize,
    parallelism: usize,
    fusion: usize,
}

impl Row {
    /// `way` is batch size, parallelism and fusion together.
    fn new([backend, workload, items, way]: [usize; 4]) -> Self {
        Self { backend, workload, items, batch_size: way & 1, parallelism: way >> 1 & 1, fusion: way >> 2 }
    }

    fn settings(self) -> [usize; 6] {
        [self.backend, self.workload, self.items, self.batch_size, self.parallelism, self.fusion]
    }
}

/// How many ways there are to run the same items.
const WAYS: usize = BATCH_SIZE.len() * PARALLELISM.len() * FUSION.len();

/// Rows in which any two settings meet with any two of their values. Batch size, parallelism and fusion are one setting, so
/// that every backend and every workload is run in each way.
fn pairwise(backends: usize, workloads: usize) -> Vec<Row> {
    cover([backends, workloads, ITEMS.len(), WAYS]).into_iter().map(Row::new).collect()
}

/// All that there is.
fn product(backends: usize, workloads: usize) -> Vec<Row> {
    let pairs = (0..backends).flat_map(|backend| (0..workloads).map(move |workload| (backend, workload)));
    let shapes = (0..ITEMS.len()).flat_map(|items| (0..WAYS).map(move |way| (items, way)));
    let shapes: Vec<_> = shapes.collect();
    pairs
        .flat_map(|(backend, workload)| {
            shapes.iter().map(move |(items, way)| Row::new([backend, workload, *items, *way]))
        })
        .collect()
}

/// What came out of the same items: count and checksum, and the first that came to it.
type Answers = BTreeMap<(String, u64), (Value, String)>;

/// Runs the rows session by session, and demands that each is verified and that backends agree. All that is wrong is told
/// at once.
fn check(backends: &[&'static str], rows: &[Row], workloads: &[Workload]) {
    let (mut answers, mut wrong) = (Answers::new(), Vec::new());
    for (number, backend) in backends.iter().copied().enumerate() {
        let engine = Installed::new(backend);
        for (place, parallelism) in PARALLELISM.into_iter().enumerate() {
            let own: Vec<_> =
                rows.iter().filter(|row| row.backend == number && row.parallelism == place).collect();
            let records = session(&engine, backend, parallelism, &own, workloads);
            assert_eq!(records.len(), own.len(), "{backend} at parallelism {parallelism}");
            wrong.extend(records.iter().filter_map(|record| judged(record, &mut answers).err()));
        }
    }
    assert!(wrong.is_empty(), "{} of {} runs:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

/// Why a record is not as it must be, if it is not: what any backend cannot express would be told here too.
fn judged(record: &Value, answers: &mut Answers) -> Result<(), String> {
    let metadata = &record["metadata"];
    let told = |why: &str| format!("{} {}: {why}", record["backend"], record["run_id"]);
    // Whether a source kept to its schedule is a matter of how busy this machine is. Its answer must be right all the same.
    let is_late = metadata["error"]["kind"] == "invalid_measurement"
        && metadata["error"]["message"].as_str().unwrap().starts_with("the source was late by itself");
    if !is_late && (metadata["verified"] != true || record["success_rate"] != 1.0) {
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
    let items = (record["workload"].as_str().unwrap().to_owned(), metadata["total_items"].as_u64().unwrap());
    let (answer, who) = (json!([count, checksum]), record["backend"].to_string());
    let (first, of) = answers.entry(items).or_insert((answer.clone(), who));
    if *first == answer { Ok(()) } else { Err(told(&format!("{answer} is not the {first} of {of}"))) }
}

/// Runs `rows` in one session of the backend, and gives their records.
fn session(
    engine: &Installed,
    backend: &str,
    parallelism: u32,
    rows: &[&Row],
    workloads: &[Workload],
) -> Vec<Value> {
    let run = format!("{backend}-{parallelism}");
    let points = rows.iter().map(|row| {
        let Workload { name, parameters } = &workloads[row.workload];
        let mut extra = parameters.clone();
        extra.insert("batch_size".into(), BATCH_SIZE[row.batch_size].into());
        extra.insert("fusion".into(), FUSION[row.fusion].into());
        WorkloadChoice { name: name.clone(), items: vec![ITEMS[row.items].into()], extra }
    });
    let matrix = Matrix {
        run: run.clone(),
        backends: vec![BackendChoice::new(backend)],
        workloads: points.collect(),
        schedulers: vec!["default".into()],
        parallelisms: vec![parallelism],
        nodes: 1,
        options: Map::new(),
        blocks: 1,
        seed: 42,
        // Nothing is measured, so nothing need be warm.
        warm_up: WarmUp { least: 0, most: 0, ..WarmUp::default() },
        aa: None,
    };
    let folder = engine.place.path().join("results").join(&run);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("plan.json"), plan_file(&engine.place, backend, &matrix).to_string()).unwrap();
    let ran = Ran::of(engine.command(&["compare", "--resume", &run, "--no-lock"]));
    // Which runs failed, and why, is in their rows; without rows there is only this.
    let records = engine.place.records(&run, "unified_results.jsonl");
    assert!(!records.is_empty(), "{}", ran.explain());
    engine.left_nothing(&ran);
    records
}

/// What `compare` would have written when it began.
fn plan_file(place: &Place, backend: &str, matrix: &Matrix) -> Value {
    let library = |path: &Path| Library::new(path, sha256_of(path).unwrap());
    let runner = library(&place.plugins().join(format!("lib{backend}_runner.so")));
    let standard = library(&place.plugins().join("libstandard_workloads.so"));
    let libraries: Map<_, _> =
        matrix.workloads.iter().map(|workload| (workload.name.clone(), json!(standard))).collect();
    json!({
        "version": 1,
        "plan_hash": Plan::new(matrix).unwrap().hash(),
        "rigor": "standard",
        "baseline": backend,
        "insist": false,
        "timeout_seconds": 300.0,
        "backends": {backend: {"name": backend, "library": runner}},
        "libraries": libraries,
        "machine": SystemProfile::collect(),
        "matrix": matrix,
    })
}

#[test]
fn every_backend_comes_to_what_the_oracle_comes_to() {
    let workloads = workloads();
    check(&SMALL, &pairwise(SMALL.len(), workloads.len()), &workloads);
}

#[test]
#[cfg_attr(not(all_engines), ignore = "installs Ray, Dask and Spark: CROSSRUN_TEST_ENGINES=all")]
fn every_backend_with_a_large_engine_comes_to_what_the_oracle_comes_to() {
    let workloads = workloads();
    check(&LARGE, &pairwise(LARGE.len(), workloads.len()), &workloads);
}

#[test]
#[ignore = "more than a thousand runs: .ci/run --full"]
fn every_backend_comes_to_what_the_oracle_comes_to_in_every_shape_that_there_is() {
    let workloads = workloads();
    let backends = [SMALL.as_slice(), &LARGE].concat();
    check(&backends, &product(backends.len(), workloads.len()), &workloads);
}

#[test]
fn more_machines_than_there_are_are_refused_with_the_reason() {
    refuses_more_machines(&SMALL);
}

#[test]
#[cfg_attr(not(all_engines), ignore = "installs Ray, Dask and Spark: CROSSRUN_TEST_ENGINES=all")]
fn more_machines_than_there_are_are_refused_by_large_engines_too() {
    refuses_more_machines(&LARGE);
}

fn refuses_more_machines(backends: &[&'static str]) {
    for backend in backends.iter().copied() {
        let engine = Installed::new(backend);
        // These can never have more; the others could, on a cluster.
        let is_alone = ["native", "timely", "python"].contains(&backend);
        let code = if is_alone { 4 } else { 3 };
        let ran = engine.run("--workload null --nodes 2").code(code).says("2 nodes").says("--nodes 1");
        if is_alone {
            let record = ran.json();
            assert_eq!(record["metadata"]["error"]["kind"], "unsupported", "{record}");
            assert_eq!(record["success_rate"], 0.0);
        }
        engine.left_nothing(&ran);
    }
}

#[test]
fn the_rows_cover_every_pair() {
    let workloads = workloads().len();
    assert!(workloads >= 5);
    for backends in [SMALL.len(), LARGE.len()] {
        let rows: Vec<_> = pairwise(backends, workloads).into_iter().map(Row::settings).collect();
        let all: Vec<_> = product(backends, workloads).into_iter().map(Row::settings).collect();
        assert_eq!(all.len(), backends * workloads * 4 * 2 * 2 * 2);
        for (one, two) in (0..6).flat_map(|one| (one + 1..6).map(move |two| (one, two))) {
            for wanted in &all {
                let met = rows.iter().any(|row| row[one] == wanted[one] && row[two] == wanted[two]);
                assert!(met, "no row has {} at {one} and {} at {two}", wanted[one], wanted[two]);
            }
        }
        assert!(rows.len() <= 60, "{}", rows.len());
    }
}
