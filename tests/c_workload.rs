//! Workloads in C: what an author writes on top of the kit keeps the whole contract of a workload library.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crossrun::internals::worker::load;
use plugin_api::workload::capi::{MAX_PARTITIONS, status};
use plugin_api::workload::{Distribution, WorkloadLibrary};
use plugin_api::{Batch, BatchBuilder, Digest, State, WorkloadError, WorkloadHandle, WorkloadSpec};
use proptest::prelude::*;
use serde_json::json;

use crate::c_backend::{self, agrees_with_native, compiled, run, threaded};
use crate::session::judged;
use crate::support::{Place, plugin, repository};

const KIT: &str = "plugin-api/kit/crossrun_workload_kit.c";
const ARRIVING: &str = "tests/fixtures/c/arriving_workload.c";

/// An example that a reader of the repository finds, built with the kit.
fn built(name: &'static str) -> PathBuf {
    built_with(name, &format!("{name}_workload"), &[])
}

fn built_with(name: &str, library: &str, more: &[&str]) -> PathBuf {
    with_kit(&format!("plugin-api/examples/c/{name}_workload.c"), library, more)
}

fn with_kit(source: &str, library: &str, more: &[&str]) -> PathBuf {
    let kit = repository().join(KIT);
    compiled(source, library, &[&[kit.to_str().unwrap()], more].concat())
}

/// Open loops, one of which the kit refuses.
fn arriving() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| with_kit(ARRIVING, "arriving_workload", &[]))
}

fn numbers() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| built("minimal"))
}

fn sensors() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| built("sensors"))
}

fn place() -> Place {
    let place = Place::new();
    for file in [numbers(), sensors(), threaded()] {
        place.stage(file);
    }
    place.stage(&plugin("python_runner"));
    place
}

#[test]
fn every_backend_runs_them_verified() {
    let place = place();
    for backend in ["threaded", "python"] {
        for workload in ["even_multiples factor=7", "sensor_sums sensors=20"] {
            for how in
                ["--parallelism 1 batch_size=1 fusion=off", "--parallelism 3 batch_size=64 fusion=auto"]
            {
                agrees_with_native(&place, backend, &format!("--items 500 --workload {workload} {how}"));
            }
        }
    }
}

#[test]
fn an_open_loop_is_measured_on_every_backend() {
    let place = place();
    place.stage(arriving());
    for backend in ["native", "threaded", "python"] {
        for how in ["--parallelism 1 batch_size=1 fusion=off", "--parallelism 2 batch_size=8 fusion=auto"] {
            // All items are due within a moment, so that no machine is too busy to make them in time.
            let words = format!("--items 400 --workload arriving period_us=1 {how}");
            let record = run(&place, backend, &words).code(0).json();
            judged(&record).unwrap();
            for which in ["scheduled", "service", "generator_lag"] {
                assert_eq!(
                    record["metadata"]["open_loop"][which]["samples"], 200,
                    "{backend} {how}: {record}"
                );
            }
        }
    }
    run(&place, "native", "--workload reducing").code(2).says("an open loop cannot have one");
}

#[test]
fn an_author_writes_less_than_sixty_lines() {
    let text =
        std::fs::read_to_string(repository().join("plugin-api/examples/c/minimal_workload.c")).unwrap();
    assert!(text.lines().count() < 60, "{}", text.lines().count());
}

#[test]
fn it_is_listed_and_inspected_like_any_other_library() {
    let place = place();
    let entry = place.crossrun(&["workloads", "sensor_sums", "--json"]).code(0).json();
    assert!(entry.to_string().contains("how many sensors there are"), "{entry}");
    let file = place.plugins().join(numbers().file_name().unwrap());
    let described = place.crossrun(&["backends", "inspect", "--json", file.to_str().unwrap()]).code(0).json();
    assert_eq!((&described["kind"], &described["name"]), (&json!("workloads"), &json!("numbers")));
    assert_eq!(described["workloads"], json!(["even_multiples"]));
    assert_eq!(described["build"].get("abi"), None);
    run(&place, "native", "--workload sensor_sums sensors=0")
        .code(2)
        .says("a whole number from 1 to 1000000");
}

// ---- Called in this process -------------------------------------------------------------------------------------

fn library(file: &Path) -> WorkloadLibrary {
    load::workloads(&c_backend::file(file)).unwrap()
}

fn spec(name: &str, total_items: u64) -> WorkloadSpec {
    WorkloadSpec { total_items, ..WorkloadSpec::new(name) }
}

/// A map, then a keyed reduction, which is stage 2.
fn reduced(total_items: u64) -> WorkloadHandle {
    library(sensors()).open(&spec("sensor_sums", total_items)).unwrap()
}

/// A map and a filter.
fn chain(total_items: u64) -> WorkloadHandle {
    library(numbers()).open(&spec("even_multiples", total_items)).unwrap()
}

fn encoded(items: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    items.iter().copied().collect::<BatchBuilder>().encode(&mut out).unwrap();
    out
}

fn status_of<T>(result: Result<T, WorkloadError>) -> (i32, String) {
    match result {
        Err(WorkloadError::Call { status, message }) => (status, message),
        Err(other) => panic!("{other} did not come from the library"),
        Ok(_) => panic!("the call went well"),
    }
}

/// Every item that a state emits, sorted.
fn drained(mut state: State, limit: u64) -> Vec<Vec<u8>> {
    let (mut items, mut out) = (Vec::new(), reduced(0).buffer());
    loop {
        state.emit(limit, &mut out).unwrap();
        let batch = Batch::parse(&out).unwrap();
        if batch.is_empty() {
            items.sort();
            return items;
        }
        items.extend(batch.iter().map(<[u8]>::to_vec));
    }
}

#[test]
fn a_sinks_checksum_is_that_of_the_contract_for_items_of_any_length() {
    let bytes: Vec<u8> = (0..5000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let lengths = (0..1100).chain([1500, 2047, 2048, 2049, 4096, 4999]);
    let workload = chain(0);
    for length in lengths {
        let (mut sink, mut digest) = (workload.new_sink().unwrap(), Digest::default());
        digest.fold_item(&bytes[..length]);
        sink.fold(&encoded(&[&bytes[..length]])).unwrap();
        let outcome = workload.outcome(&sink.encode().unwrap()).unwrap();
        assert_eq!((outcome.count, outcome.checksum), (1, digest.checksum()), "{length} bytes");
    }
}

#[test]
fn merged_states_equal_one_state_and_the_oracle() {
    let workload = reduced(2000);
    let mut batch = workload.buffer();
    let mut parts: Vec<State> = (0..3).map(|_| workload.new_state(2).unwrap()).collect();
    let mut whole = workload.new_state(2).unwrap();
    for (number, first) in (0..2000).step_by(100).enumerate() {
        workload.source(first, 100, 2, &mut batch).unwrap();
        whole.fold(&batch).unwrap();
        parts[number % 3].fold(&batch).unwrap();
    }
    let mut merged = workload.new_state(2).unwrap();
    for part in &mut parts {
        merged.merge(&part.encode().unwrap()).unwrap();
    }
    let (one, other) = (drained(whole, 7), drained(merged, u64::MAX));
    assert_eq!(one, other);
    let mut digest = Digest::default();
    one.iter().for_each(|item| digest.fold_item(item));
    let expected = workload.expected().unwrap();
    assert_eq!((expected.count, expected.checksum), (digest.count(), digest.checksum()));
}

#[test]
fn a_state_that_emits_can_take_in_more() {
    let workload = reduced(1000);
    let (mut batch, mut state, mut out) =
        (workload.buffer(), workload.new_state(2).unwrap(), workload.buffer());
    workload.source(0, 1000, 2, &mut batch).unwrap();
    state.fold(&batch).unwrap();
    let all = drained(state, 1000).len();
    let mut state = workload.new_state(2).unwrap();
    state.fold(&batch).unwrap();
    state.emit(10, &mut out).unwrap();
    assert_eq!(out.item_count(), 10);
    state.fold(&batch).unwrap();
    assert_eq!(drained(state, 3).len(), all);
}

#[test]
fn one_key_goes_to_one_partition_and_nothing_is_lost() {
    let workload = reduced(3000);
    let mut batch = workload.buffer();
    workload.source(0, 3000, 2, &mut batch).unwrap();
    for partitions in [1, 2, 7, 64] {
        let parts = workload.split(2, &batch, partitions).unwrap();
        let mut owner = std::collections::HashMap::new();
        let mut count = 0;
        for (number, part) in parts.iter().enumerate() {
            for item in Batch::parse(part).unwrap().iter() {
                assert_eq!(*owner.entry(item[..8].to_vec()).or_insert(number), number);
                count += 1;
            }
        }
        assert_eq!(count, 3000);
        assert!(partitions < 64 || parts.iter().filter(|part| part.item_count() > 0).count() > 30);
    }
}

#[test]
fn an_invalid_call_returns_a_status_and_a_reason() {
    let (workload, mut out, batch) = (reduced(10), reduced(10).buffer(), encoded(&[&[0; 8]]));
    for (first, count, to) in
        [(10, 1, 1), (0, 11, 1), (u64::MAX, 1, 1), (0, 1, 0), (0, 1, 3), (0, 1, u32::MAX as usize)]
    {
        assert_eq!(
            status_of(workload.source(first, count, to, &mut out)).0,
            status::ARGUMENT,
            "{first} {count} {to}"
        );
    }
    for (from, to) in [(0, 1), (1, 3), (2, 3), (3, 2), (9, 9)] {
        assert_eq!(status_of(workload.run_stages(from, to, &batch, &mut out)).0, status::ARGUMENT);
    }
    for partitions in [0, MAX_PARTITIONS + 1] {
        assert_eq!(status_of(workload.split(2, &batch, partitions)).0, status::ARGUMENT);
    }
    assert_eq!(status_of(workload.split(1, &batch, 1)).0, status::ARGUMENT);
    for stage in [0, 1, 4, usize::MAX] {
        assert_eq!(status_of(workload.new_state(stage)).0, status::ARGUMENT);
    }
    assert_eq!(status_of(workload.new_sink().unwrap().emit(1, &mut out)).0, status::ARGUMENT);
    assert_eq!(status_of(workload.new_state(2).unwrap().emit(0, &mut out)).0, status::ARGUMENT);
    let odd = encoded(&[b"odd"]);
    let (code, message) = status_of(workload.run_stages(1, 2, &odd, &mut out));
    assert_eq!((code, message.as_str()), (status::OPERATOR, "an item is not 8 bytes"));
    // And it can be called again.
    workload.run_stages(1, 2, &batch, &mut out).unwrap();
}

/// Two readings fit into a batch, or the entries of two sensors, or five items of the source.
#[test]
fn an_item_too_large_for_a_batch_has_its_own_status_and_a_remedy() {
    let file = built_with("sensors", "small_batches_workload", &["-DCROSSRUN_KIT_BATCH_BYTES=40"]);
    let workload = library(&file).open(&spec("sensor_sums", 10)).unwrap();
    let mut out = workload.buffer();
    let refused = |result, what: &str| {
        let (code, message) = status_of::<()>(result);
        assert_eq!(code, status::TOO_LARGE, "{message}");
        assert!(message.contains(what), "{message}");
    };
    workload.source(0, 5, 1, &mut out).unwrap();
    let made = out.to_vec();
    refused(workload.run_stages(1, 2, &made, &mut out), "smaller batch_size");
    refused(workload.source(0, 6, 1, &mut out), "smaller batch_size");
    refused(workload.source(0, 3, 2, &mut out), "smaller batch_size");
    workload.source(0, 2, 2, &mut out).unwrap();
    assert_eq!(out.item_count(), 2);

    let readings: Vec<_> = (0..3_u8).map(|sensor| encoded(&[&[sensor; 16]])).collect();
    let folded = || {
        let mut state = workload.new_state(2).unwrap();
        readings.iter().for_each(|reading| state.fold(reading).unwrap());
        state
    };
    refused(folded().encode().map(drop), "more partitions");
    refused(folded().emit(3, &mut out), "smaller batch_size");
    let mut state = folded();
    state.emit(1, &mut out).unwrap();
    state.encode().unwrap();
}

#[test]
fn a_spec_is_read_as_json_and_nothing_else() {
    let library = library(sensors());
    let open = |extra: serde_json::Value| {
        let mut spec = spec("sensor_sums", 1);
        spec.extra = extra.as_object().unwrap().clone();
        library.open(&spec)
    };
    open(json!({"sensors": 1_000_000, "other": {"deep": [1, "\u{1F600}\n\"", {"sensors": 0}]}})).unwrap();
    for bad in
        [json!(0), json!(1_000_001), json!(-1), json!(1.0), json!("1"), json!(null), json!([1]), json!(true)]
    {
        let (code, message) = status_of(open(json!({ "sensors": bad })));
        assert_eq!(code, status::SPEC);
        assert!(
            message.contains(&format!("extra.sensors is {bad}, but must be a whole number")),
            "{message}"
        );
    }
    let (code, message) = status_of(library.open(&spec("sensor_\"sums", 1)));
    assert_eq!(code, status::SPEC);
    assert!(message.contains("it has sensor_sums"), "{message}");
}

#[test]
fn a_state_outlives_its_workload_and_threads_share_one() {
    let workload = reduced(400);
    let states: Vec<State> = std::thread::scope(|scope| {
        let parts: Vec<_> = (0..4)
            .map(|part| {
                let workload = workload.clone();
                scope.spawn(move || {
                    let (mut out, mut state) = (workload.buffer(), workload.new_state(2).unwrap());
                    workload.source(part * 100, 100, 2, &mut out).unwrap();
                    state.fold(&out).unwrap();
                    state
                })
            })
            .collect();
        parts.into_iter().map(|part| part.join().unwrap()).collect()
    });
    drop(workload);
    let mut whole = reduced(400).new_state(2).unwrap();
    for mut state in states {
        whole.merge(&state.encode().unwrap()).unwrap();
    }
    assert_eq!(drained(whole, 9).len() as u64, reduced(400).expected().unwrap().count);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn random_bytes_do_not_crash_it(bytes: Vec<u8>, stage in 0_usize..6, to in 0_usize..6) {
        let workload = reduced(10);
        let mut out = workload.buffer();
        let _ = workload.run_stages(stage, to, &bytes, &mut out);
        let _ = workload.split(stage, &bytes, to as u32);
        prop_assert!(workload.outcome(&bytes).is_err());
        for mut state in [2, 3].map(|stage| workload.new_state(stage).unwrap()) {
            let _ = state.fold(&bytes);
            let _ = state.merge(&bytes);
            state.encode().unwrap();
        }
    }

    #[test]
    fn a_state_or_batch_with_one_byte_changed_is_taken_or_refused(at: prop::sample::Index, to: u8) {
        let workload = reduced(10);
        let (mut batch, mut state) = (workload.buffer(), workload.new_state(2).unwrap());
        workload.source(0, 10, 2, &mut batch).unwrap();
        state.fold(&batch).unwrap();
        for mut changed in [state.encode().unwrap().to_vec(), batch.to_vec()] {
            let at = at.index(changed.len());
            changed[at] = to;
            let mut other = workload.new_state(2).unwrap();
            for result in [other.merge(&changed), other.fold(&changed)] {
                if let Err(error) = result {
                    let (code, _) = status_of::<()>(Err(error));
                    prop_assert!([status::MALFORMED, status::OPERATOR].contains(&code));
                }
            }
        }
    }

    #[test]
    fn any_items_are_split_and_joined_as_they_are(items: Vec<Vec<u8>>, from in 1_usize..2) {
        let workload = chain(0);
        let items: Vec<_> = items.iter().map(Vec::as_slice).collect();
        let mut out = workload.buffer();
        workload.run_stages(from, from, &encoded(&items), &mut out).unwrap();
        prop_assert!(Batch::parse(&out).unwrap().iter().eq(items.iter().copied()));
    }
}

// ---- Open loops -------------------------------------------------------------------------------------------------

fn arrivals(total_items: u64, period_us: u64) -> WorkloadHandle {
    let mut spec = spec("arriving", total_items);
    spec.extra.insert("period_us".into(), period_us.into());
    library(arriving()).open(&spec).unwrap()
}

/// An item with the stamp that the contract describes.
fn stamped(content: u64, due: u64, made: u64, awaited: bool) -> [u8; 24] {
    let words = [content, due, made | u64::from(awaited) << 63].map(u64::to_le_bytes);
    words.concat().try_into().unwrap()
}

#[test]
fn an_item_is_made_when_it_is_due_and_keeps_its_stamp() {
    let workload = arrivals(10, 2000);
    assert!(workload.plan().open_loop && workload.start(plugin_api::monotonic_nanos()).unwrap());
    let (mut source, mut out) = (workload.buffer(), workload.buffer());
    workload.source(4, 1, 1, &mut source).unwrap();
    let item: [u8; 24] = Batch::parse(&source).unwrap().iter().next().unwrap().try_into().unwrap();
    let [content, due, made] = [0, 8, 16].map(|at| u64::from_le_bytes(*item[at..].first_chunk().unwrap()));
    let awaited = made >> 63 == 1;
    let made = made & !(1 << 63);
    // On a busy machine it is asked for when it was due already.
    assert!((content, due) == (4, 8_000_000) && made >= due, "{content} {due} {made} {awaited}");
    workload.run_stages(1, 3, &source, &mut out).unwrap();
    assert_eq!(Batch::parse(&out).unwrap().iter().collect::<Vec<_>>(), [stamped(12, due, made, awaited)]);
    let described = workload.describe(2, &item).unwrap().unwrap();
    assert_eq!(json!(described), json!({"is_odd": 0, "due_nanos": due, "made_nanos": made}));
    // Once the start has passed, nothing is awaited.
    workload.start(0).unwrap();
    workload.source(4, 1, 1, &mut source).unwrap();
    assert_eq!(Batch::parse(&source).unwrap().iter().next().unwrap()[23] >> 7, 0);
}

#[test]
fn what_is_no_open_loop_or_has_no_stamp_is_refused() {
    let (workload, closed) = (arrivals(10, 1), library(arriving()).open(&spec("closed", 10)).unwrap());
    let mut out = workload.buffer();
    let (code, message) = status_of(closed.start(0));
    assert!(code == status::ARGUMENT && message.contains("no open loop"), "{message}");
    let batch = encoded(&[b"fifteen bytes .."[..15].as_ref()]);
    let refused = [
        status_of(workload.run_stages(1, 2, &batch, &mut out)),
        status_of(workload.new_sink().unwrap().fold(&batch)),
        status_of(workload.describe(1, b"short")),
    ];
    for (code, message) in refused {
        assert_eq!((code, message.as_str()), (status::MALFORMED, "an item of an open loop has no stamp"));
    }
    // States of the one and the other kind are not merged.
    let states = [&closed, &workload].map(|workload| workload.new_sink().unwrap().encode().unwrap());
    assert_eq!(status_of(workload.new_sink().unwrap().merge(&states[0])).0, status::MALFORMED);
    assert_eq!(status_of(closed.new_sink().unwrap().merge(&states[1])).0, status::MALFORMED);
    assert_eq!(closed.outcome(&states[0]).unwrap().latency, None);
}

#[test]
fn a_sinks_latencies_are_those_of_the_items_also_when_sinks_are_merged() {
    let workload = arrivals(10, 1);
    // The delay of the source is made less due, whenever the item arrives.
    let delays: Vec<_> = (1..=1000_u64).map(|number| number * 1_000_000).collect();
    let mut sinks = delays.chunks(300).map(|delays| {
        let items: Vec<_> = delays.iter().map(|delay| stamped(*delay, 5, 5 + delay, true)).collect();
        let mut sink = workload.new_sink().unwrap();
        sink.fold(&encoded(&items.iter().map(<[u8; 24]>::as_slice).collect::<Vec<_>>())).unwrap();
        sink
    });
    let mut whole = sinks.next().unwrap();
    sinks.for_each(|mut sink| whole.merge(&sink.encode().unwrap()).unwrap());
    let outcome = workload.outcome(&whole.encode().unwrap()).unwrap();
    let latency = outcome.latency.unwrap();
    let lag = &latency.lag;
    assert_eq!([lag.count, latency.scheduled.count, latency.service.count, outcome.count], [1000; 4]);
    for (quantile, millis) in
        [(0.0, 1.0), (0.5, 500.0), (0.9, 900.0), (0.95, 950.0), (0.99, 990.0), (0.999, 999.0), (1.0, 1000.0)]
    {
        let value = lag.at(quantile).unwrap() as f64 / 1e6;
        assert!((value / millis - 1.0).abs() < 0.002, "{quantile}: {value} ms");
    }
    assert!((lag.mean_nanos / 500_500_000.0 - 1.0).abs() < 0.001, "{}", lag.mean_nanos);
    assert!(lag.curve.is_sorted_by(|one, other| one.0 < other.0 && one.1 <= other.1), "{:?}", lag.curve);
    let empty = workload.outcome(&workload.new_sink().unwrap().encode().unwrap()).unwrap();
    assert_eq!(empty.latency.unwrap().scheduled, Distribution::default());
}

#[test]
fn times_beyond_a_day_count_as_a_day() {
    let workload = arrivals(10, 1);
    let mut sink = workload.new_sink().unwrap();
    sink.fold(&encoded(&[&stamped(0, 0, u64::MAX >> 1, true)])).unwrap();
    let lag = workload.outcome(&sink.encode().unwrap()).unwrap().latency.unwrap().lag;
    let day = 24.0 * 3600.0 * 1e9;
    assert!((lag.at(1.0).unwrap() as f64 / day - 1.0).abs() < 0.001, "{lag:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_sinks_state_of_any_bytes_is_the_state_that_it_is_read_as_or_refused(
        delays in prop::collection::vec(0_u64..1 << 50, 0..6), at: prop::sample::Index, to: u8, words: Vec<u64>
    ) {
        let workload = arrivals(10, 1);
        let mut sink = workload.new_sink().unwrap();
        let items: Vec<_> = delays.iter().map(|delay| stamped(1, 0, *delay, true)).collect();
        sink.fold(&encoded(&items.iter().map(<[u8; 24]>::as_slice).collect::<Vec<_>>())).unwrap();
        let state = sink.encode().unwrap().to_vec();
        let mut changed = state.clone();
        changed[at.index(state.len())] = to;
        let other = [&state[..32], &words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>()].concat();
        for bytes in [state, changed, other] {
            let mut merged = workload.new_sink().unwrap();
            match (workload.outcome(&bytes), merged.merge(&bytes)) {
                (Ok(outcome), Ok(())) => {
                    prop_assert_eq!(workload.outcome(&merged.encode().unwrap()).unwrap(), outcome);
                }
                (Err(one), Err(other)) => prop_assert_eq!(status_of::<()>(Err(one)), status_of::<()>(Err(other))),
                other => panic!("{other:?}"),
            }
        }
    }
}

/// A program in C that calls the library through its exported functions, under the sanitizers where the compiler has
/// them: what leaks or reads beyond its bytes ends it.
#[test]
fn a_caller_in_c_finds_no_leak_and_no_stray_access() {
    let folder = tempfile::tempdir().unwrap();
    let sanitized = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
    let has_sanitizers = |options: &[&str]| {
        let probe = folder.path().join("probe.c");
        std::fs::write(&probe, "int main(void) { return 0; }\n").unwrap();
        let program = folder.path().join("probe");
        let output = Command::new("cc").args(options).arg(&probe).arg("-o").arg(&program).output().unwrap();
        output.status.success() && Command::new(&program).status().unwrap().success()
    };
    let options: &[&str] = if has_sanitizers(&sanitized) { &sanitized } else { &["-O1"] };
    let build = |arguments: &[&str], to: &str| {
        let to = folder.path().join(to);
        let mut command = Command::new("cc");
        command.args(["-std=c11", "-Wall", "-Wextra", "-Werror"]).args(options).args(arguments);
        command.arg("-I").arg(repository().join("plugin-api/include")).arg("-o").arg(&to).arg("-ldl");
        let output = command.current_dir(repository()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        to
    };
    let program = build(&["tests/fixtures/c/run_workload.c"], "run_workload");
    for (name, workload, extra, code) in [
        ("minimal", "even_multiples", r#"{"factor": 9}"#, 0),
        ("sensors", "sensor_sums", r#"{"sensors": 50}"#, 0),
        ("sensors", "sensor_sums", r#"{"sensors": "many"}"#, 2),
        ("sensors", "sensor_sums", r#"{"sensors": 5"#, 2),
        ("sensors", "nosuch", "{}", 2),
        ("arriving", "arriving", r#"{"period_us": 1}"#, 0),
        ("arriving", "reducing", "{}", 2),
        ("grid", "cheapest_way", r#"{"width": 40}"#, 0),
        ("grid", "cheapest_way", r#"{"width": 0}"#, 2),
    ] {
        let example = format!("plugin-api/examples/c/{name}_workload.c");
        let source = if name == "arriving" { ARRIVING } else { &example };
        let library = build(&["-shared", "-fPIC", source, KIT], &format!("lib{name}.so"));
        let mut command = Command::new(&program);
        command.arg(&library).args([workload, "3000", "64", extra]).args((name == "grid").then_some("graph"));
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("Sanitizer"), "{said}");
        assert_eq!(output.status.code(), Some(code), "{workload} {extra}: {said}");
    }
}

/// The library of the example without a part of its definition.
fn without(part: &str, name: &str) -> PathBuf {
    let text = std::fs::read_to_string(repository().join(format!("plugin-api/examples/c/{name}_workload.c")))
        .unwrap();
    assert!(text.contains(part), "{part}");
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("lacking.c");
    std::fs::write(&source, text.replace(part, "")).unwrap();
    let kit = repository().join(KIT);
    let include = format!("-I{}", repository().join("plugin-api/include").display());
    let arguments = [kit.to_str().unwrap(), &include, "-Wno-unused-function"];
    let library =
        format!("lacking_{}", part.trim_matches(|c: char| !c.is_ascii_alphanumeric()).replace(' ', ""));
    compiled(source.to_str().unwrap(), &library.replace('=', "_"), &arguments)
}

#[test]
fn a_workload_that_lacks_a_function_is_refused_with_its_name() {
    for (part, example, workload, says) in [
        (
            ".source = source, ",
            "minimal",
            "even_multiples",
            "lacks the function source, which every workload needs",
        ),
        (
            ", .oracle = oracle",
            "minimal",
            "even_multiples",
            "lacks the function oracle, which every workload needs",
        ),
        (
            ".apply = apply, ",
            "minimal",
            "even_multiples",
            "lacks the function apply, which its stage \"multiply\" needs",
        ),
        (
            ".merge = add, ",
            "sensors",
            "sensor_sums",
            "lacks the function merge, which its stage \"sum\" needs",
        ),
        (".inputs = inputs, ", "grid", "cheapest_way", "lacks the function inputs, which its graph needs"),
        (", .needs = \"graph\"", "grid", "cheapest_way", "add .needs = \"graph\""),
    ] {
        let place = Place::new();
        place.stage(&without(part, example));
        run(&place, "native", &format!("--workload {workload}")).code(2).says(says);
    }
}
