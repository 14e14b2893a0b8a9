//! Every backend has the answer of the oracle on every standard workload, in every way to run it.
//!
//! A session, which is one backend at one parallelism, runs all of its points: an engine is started twice and no more. Six
//! workloads, which have all kinds of stages, are run in every way; each of the others runs once on each backend, in ways that
//! take turns.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::installed_engine::{FUSION, ITEMS, Installed};
use crate::pairwise::cover;
use crate::session::{Point, judged, records};
use crate::support::Place;

/// The backends without an engine, and one whose engine is small.
const SMALL: [&str; 4] = ["native", "timely", "python", "sage"];
/// Those whose engines are large.
const LARGE: [&str; 3] = ["ray", "dask", "spark"];
const BATCH_SIZE: [u32; 2] = [1, 64];
/// The workloads that are run in every way.
const IN_EVERY_WAY: [&str; 6] =
    ["scheduler_comparison", "null", "pipeline", "imbalance", "word_count", "open_loop"];
/// The most of `ITEMS`.
const MOST: usize = ITEMS.len() - 1;
const PARALLELISM: [u32; 2] = [1, 2];

/// What is known of a standard workload.
struct Workload {
    name: String,
    /// What makes it short.
    parameters: Map<String, Value>,
}

/// The standard workloads, as crossrun lists them: a new one takes part by itself. Those that are run in every way come first, with
/// how many they are.
fn workloads() -> (Vec<Workload>, usize) {
    let listed = Place::new().crossrun(&["workloads", "--json"]).code(0).json();
    let workload = |entry: &Value| {
        let names: Vec<_> = entry["parameters"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
        // A thousand items that sleep for 10 ms each show no more than a thousand that sleep for 100 µs. A table of 64 MiB would be
        // made by every process of an engine. All of a thousand events are in one window but for short ones.
        let shorter =
            [("sleep_us", 100), ("span_mib", 1), ("window_ms", 100), ("slide_ms", 50), ("gap_ms", 20)];
        let parameters = shorter.into_iter().filter(|(name, _)| names.iter().any(|one| *one == name));
        Workload {
            name: entry["name"].as_str().unwrap().into(),
            parameters: parameters.map(|(name, value)| (name.to_owned(), json!(value))).collect(),
        }
    };
    let mut workloads: Vec<_> = listed.as_array().unwrap().iter().map(workload).collect();
    let is_other = |workload: &Workload| !IN_EVERY_WAY.contains(&workload.name.as_str());
    workloads.sort_by_key(is_other);
    (workloads, IN_EVERY_WAY.len())
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

    fn point(self, workloads: &[Workload]) -> Point {
        let Workload { name, parameters } = &workloads[self.workload];
        let mut extra = parameters.clone();
        extra.insert("batch_size".into(), BATCH_SIZE[self.batch_size].into());
        extra.insert("fusion".into(), FUSION[self.fusion].into());
        let (items, parallelism) = (ITEMS[self.items].into(), PARALLELISM[self.parallelism]);
        Point { workload: name.clone(), items, parallelism, extra }
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

/// Each of these workloads once on each backend.
fn once(backends: usize, workloads: std::ops::Range<usize>) -> Vec<Row> {
    let turn = |backend, workload| Row::new([backend, workload, MOST, (3 * backend + workload) % WAYS]);
    (0..backends).flat_map(|backend| workloads.clone().map(move |workload| turn(backend, workload))).collect()
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

/// What came out of the same items (of a workload, so many, from a seed): count and checksum, and the first that came to it.
type Answers = BTreeMap<(String, u64, u64), (Value, String)>;

/// Runs the rows session by session, and asserts that each is verified and that backends agree. All faults are reported
/// at once.
fn check(backends: &[&'static str], rows: &[Row], workloads: &[Workload]) {
    let (mut answers, mut wrong) = (Answers::new(), Vec::new());
    for (number, backend) in backends.iter().copied().enumerate() {
        let own: Vec<_> = rows.iter().filter(|row| row.backend == number).collect();
        let points: Vec<_> = own.into_iter().map(|row| row.point(workloads)).collect();
        let records = records(&Installed::new(backend), backend, &points);
        wrong.extend(records.iter().filter_map(|record| agrees(record, &mut answers).err()));
    }
    assert!(wrong.is_empty(), "{} of {} runs:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

/// Why a record is not as it must be, or not what another backend came to.
fn agrees(record: &Value, answers: &mut Answers) -> Result<(), String> {
    let metadata = &record["metadata"];
    // The contract lets a backend refuse an open loop, in all ways of running it or in some.
    if record["workload"] == "open_loop" && metadata["error"]["kind"] == "unsupported" {
        return Ok(());
    }
    judged(record)?;
    let number = |key: &str| metadata[key].as_u64().unwrap();
    let workload = record["workload"].as_str().unwrap().to_owned();
    let items = (workload, number("total_items"), number("data_seed"));
    let answer = json!([metadata["results_count"], metadata["checksum"]]);
    let (first, of) = answers.entry(items).or_insert((answer.clone(), record["backend"].to_string()));
    let other = || format!("{} {}: {answer} is not the {first} of {of}", record["backend"], record["run_id"]);
    if *first == answer { Ok(()) } else { Err(other()) }
}

#[test]
fn every_backend_has_the_answer_of_the_oracle() {
    check_pairs(&SMALL);
}

#[test]
#[cfg_attr(not(all_engines), ignore = "installs Ray, Dask and Spark: CROSSRUN_TEST_ENGINES=all")]
fn every_backend_with_a_large_engine_has_the_answer_of_the_oracle() {
    check_pairs(&LARGE);
}

fn check_pairs(backends: &[&'static str]) {
    let (workloads, paired) = workloads();
    let mut rows = pairwise(backends.len(), paired);
    rows.extend(once(backends.len(), paired..workloads.len()));
    check(backends, &rows, &workloads);
}

#[test]
#[ignore = "more than a thousand runs: .ci/run --full"]
fn every_backend_has_the_answer_of_the_oracle_in_every_shape() {
    let (workloads, paired) = workloads();
    let backends = [SMALL.as_slice(), &LARGE].concat();
    let mut rows = product(backends.len(), paired);
    rows.extend(once(backends.len(), paired..workloads.len()));
    check(&backends, &rows, &workloads);
}

#[test]
fn more_nodes_than_there_are_are_refused_with_the_reason() {
    refuses_more_machines(&SMALL);
}

#[test]
#[cfg_attr(not(all_engines), ignore = "installs Ray, Dask and Spark: CROSSRUN_TEST_ENGINES=all")]
fn more_nodes_than_there_are_are_refused_by_large_engines_too() {
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
    let (_, workloads) = workloads();
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
