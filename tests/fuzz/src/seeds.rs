//! The seeds of the corpus. What the fuzzer found once is no seed, and stays as it is: those files are called `found-…`.
//!
//! Real plugins are megabytes, so the library here has only what inspection looks at, byte by byte.

use crossrun::internals::sandbox::frame;
use crossrun::internals::worker::{Finished, Folders, LibraryFile, Reply, Request, RunOrder, Work};
use plugin_api::{BatchBuilder, Progress, RunnerError, Session, WorkloadSpec, c_abi};
use serde_json::{Value, json};

/// Inputs, by target and name.
#[derive(Default)]
pub struct Seeds(pub Vec<(&'static str, String, Vec<u8>)>);

impl Seeds {
    /// All of them.
    pub fn all() -> Self {
        let mut seeds = Self::default();
        for add in [inspect, protocol, workloads, records, specs] {
            add(&mut seeds);
        }
        seeds
    }

    fn add(&mut self, target: &'static str, name: &str, bytes: &[u8]) {
        self.0.push((target, name.to_owned(), bytes.to_vec()));
    }
}

// ---- Files --------------------------------------------------------------------------------------------------------

const WORKLOADS: &str = "crossrun-plugin 1\nkind=workloads\nname=mine\nworkloads=a,b\nversion=1.2.3\ndescription=x=y\n\
    license=MIT\napi=1.0.0\nrustc=rustc 1.95.0\ntarget=x86_64-unknown-linux-gnu\nopt_level=3\ndebug_assertions=false\n\
    target_features=sse,sse2\nend\n";

fn inspect(seeds: &mut Seeds) {
    let runner = WORKLOADS.replace("kind=workloads", "kind=runner").replace("workloads=a,b\n", "");
    let header = [b"abi stable library for Rust     ".as_slice(), &[0, 0, 0, 0, 11, 0, 0, 0]].concat();
    let in_c = runner.replace("api=1.0.0\n", "api=1.0.0\nabi=c\n");
    let workloads = library("crossrun_workload_abi_version", WORKLOADS.as_bytes(), &[0; 40]);
    let runner = library("_1as_0lib_1header_0root_bmodule_bloader", runner.as_bytes(), &header);
    seeds.add("inspect", "metadata", WORKLOADS.as_bytes());
    seeds.add("inspect", "workloads", &workloads);
    seeds.add("inspect", "runner", &runner);
    seeds.add("inspect", "runner-with-hole", &[runner.as_slice(), b"+hole"].concat());
    for (name, length) in
        [("header", 64), ("segments", 150), ("symbols", 400), ("sections", runner.len() - 70)]
    {
        seeds.add("inspect", &format!("cut-in-{name}"), &runner[..length]);
    }
    // Where in the header of the file, how many bytes, and what they say instead.
    let lies: [(&str, usize, &[u8]); 8] = [
        ("32-bit", 4, &[1]),
        ("big-endian", 5, &[2]),
        ("program", 16, &[2, 0]),
        ("riscv", 18, &[243, 0]),
        ("far-sections", 40, &[0xff; 8]),
        ("no-section-count", 60, &[0, 0]),
        ("all-sections", 60, &[0xff, 0xff]),
        ("far-names", 62, &[0xfe, 0xff]),
    ];
    for (name, at, bytes) in lies {
        let mut changed = runner.clone();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        seeds.add("inspect", &format!("lies-{name}"), &changed);
    }
    // The size of a section, in its header at the end of the file: 1 the symbols, 2 their names, 3 the metadata.
    for (name, section) in [("symbols", 1), ("strings", 2), ("metadata", 3)] {
        let mut changed = [runner.as_slice(), b"+hole"].concat();
        let at = runner.len() - SECTIONS * 64 + section * 64 + 32;
        changed[at..at + 8].copy_from_slice(&(200_u64 << 20).to_le_bytes());
        seeds.add("inspect", &format!("lies-huge-{name}"), &changed);
    }
    // Libraries that are needed and paths to search, again and again: any place in the names of the symbols.
    let entries = |tag: u64| (1..40_u64).cycle().take(400).flat_map(move |at| [tag, at]);
    let dynamic: Vec<u8> = [1, 29].into_iter().flat_map(entries).flat_map(u64::to_le_bytes).collect();
    let (symbol, metadata) = ("crossrun_workload_abi_version", WORKLOADS.as_bytes());
    let parts = Parts { symbol, metadata, data: &[0; 40], address: None, dynamic: &dynamic };
    seeds.add("inspect", "many-needed", &elf(&parts));
    // The end of the table is beyond the last address.
    let mut table = [80, c_abi::ABI_VERSION].map(u32::to_le_bytes).concat();
    table.resize(80, 0);
    let (symbol, address) = (c_abi::SYMBOL, Some(u64::MAX - 40));
    let parts = Parts { symbol, metadata: in_c.as_bytes(), data: &table, address, dynamic: &[] };
    seeds.add("inspect", "table-at-the-last-address", &elf(&parts));
}

/// How many sections a library has, but for a dynamic one.
const SECTIONS: usize = 6;

/// Name, type, flags, place and size, link, size of an entry.
type Section = (u32, u32, u64, (u64, u64), u32, u64);

/// What a library is made of.
struct Parts<'a> {
    /// The one symbol, which is exported and stands for the data.
    symbol: &'a str,
    metadata: &'a [u8],
    data: &'a [u8],
    /// The address of the data, if it is not its place in the file.
    address: Option<u64>,
    /// The dynamic section. There is none if it is empty.
    dynamic: &'a [u8],
}

/// An ELF library with one exported symbol, at the start of `data`, and metadata.
fn library(symbol: &str, metadata: &[u8], data: &[u8]) -> Vec<u8> {
    elf(&Parts { symbol, metadata, data, address: None, dynamic: &[] })
}

fn elf(parts: &Parts<'_>) -> Vec<u8> {
    let strings = [b"\0".as_slice(), parts.symbol.as_bytes(), b"\0GLIBC_2.34\0"].concat();
    let is_dynamic = !parts.dynamic.is_empty();
    let last_name = if is_dynamic { b".dynamic\0".as_slice() } else { b"" };
    let names = [b"\0.dynsym\0.dynstr\0.crossrun\0.data\0.shstrtab\0".as_slice(), last_name].concat();
    let mut symbols = vec![0; 24];
    let mut file = vec![0; 64 + 56];
    let place = |file: &mut Vec<u8>, bytes: &[u8]| {
        file.resize(file.len().next_multiple_of(8), 0);
        file.extend_from_slice(bytes);
        ((file.len() - bytes.len()) as u64, bytes.len() as u64)
    };
    let data = place(&mut file, parts.data);
    let address_of_data = parts.address.unwrap_or(data.0);
    // Name, global object, default visibility, section 4, address, size.
    symbols.extend(
        [
            1_u32.to_le_bytes().as_slice(),
            &[0x11, 0, 4, 0],
            &address_of_data.to_le_bytes(),
            &data.1.to_le_bytes(),
        ]
        .concat(),
    );
    let symbols = place(&mut file, &symbols);
    let strings = place(&mut file, &strings);
    let metadata = place(&mut file, parts.metadata);
    let dynamic = place(&mut file, parts.dynamic);
    let names = place(&mut file, &names);
    file.resize(file.len().next_multiple_of(8), 0);
    let sections: [Section; SECTIONS + 1] = [
        (0, 0, 0, (0, 0), 0, 0),
        (1, 11, 2, symbols, 2, 24),
        (9, 3, 2, strings, 0, 0),
        (17, 1, 2, metadata, 0, 0),
        (27, 1, 3, data, 0, 0),
        (33, 3, 0, names, 0, 0),
        (43, 6, 3, dynamic, 2, 16),
    ];
    let sections = &sections[..SECTIONS + usize::from(is_dynamic)];
    let (table, end) = (file.len() as u64, file.len() + sections.len() * 64);
    for (name, kind, flags, (offset, size), link, entry) in sections.iter().copied() {
        let placed = if offset == data.0 { address_of_data } else { offset };
        let address = if flags == 0 { 0 } else { placed };
        for word in
            [u64::from(name) | u64::from(kind) << 32, flags, address, offset, size, u64::from(link), 8, entry]
        {
            file.extend_from_slice(&word.to_le_bytes());
        }
    }
    let header: [&[u8]; 13] = [
        b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0",
        &[3, 0, 62, 0, 1, 0, 0, 0],
        &[0; 8],
        &64_u64.to_le_bytes(),
        &table.to_le_bytes(),
        &[0; 4],
        &[64, 0, 56, 0, 1, 0, 64, 0, sections.len() as u8, 0, 5, 0],
        // One segment that is the whole file.
        &[1, 0, 0, 0, 4, 0, 0, 0],
        &[0; 8],
        &[0; 16],
        &(end as u64).to_le_bytes(),
        &(end as u64).to_le_bytes(),
        &4096_u64.to_le_bytes(),
    ];
    let header = header.concat();
    file[..header.len()].copy_from_slice(&header);
    file
}

// ---- Messages -----------------------------------------------------------------------------------------------------

fn protocol(seeds: &mut Seeds) {
    let library = LibraryFile { path: "libmine.so".into(), sha256: "ab12".into(), ..LibraryFile::default() };
    let folders = Folders { data_dir: "data".into(), log_dir: "log".into() };
    let mut spec = WorkloadSpec::new("word_count");
    spec.extra.insert("keys".into(), 50.into());
    let work = Work { spec, library };
    let order = RunOrder { work: work.clone(), folders, timeout_seconds: Some(600.0) };
    let requests = [
        ("hello", Request::Hello { version: 1, log_level: 3 }),
        ("probe", Request::Probe),
        ("open", Request::Open { session: Session::default() }),
        ("prepare", Request::Prepare(order.clone())),
        ("run", Request::Run(order)),
        ("judge", Request::Judge { work, sink_state: vec![0, 255] }),
    ];
    let metrics =
        json!({"nodes": 2, "warnings": ["slow"], "versions": {"engine": "9"}, "nested": [[[{"a": 1e300}]]]});
    let finished = Finished {
        backend: "mock".into(),
        scheduler_name: "fifo".into(),
        elapsed_time: Some(0.5),
        results_count: 500,
        duration_seconds: 0.5,
        begun_seconds: None,
        sink_state: vec![0],
        metrics: metrics.as_object().unwrap().clone(),
    };
    let error = RunnerError::new(plugin_api::ErrorKind::Engine, "it broke").with_remedy("mend it");
    let distribution =
        json!({"count": 1000, "mean_nanos": 1.5, "curve": [[0.0, 1], [0.5, 2], [0.99, 3], [1.0, 4]]});
    let latency = json!({"scheduled": distribution, "service": distribution, "lag": distribution});
    let outcome = json!({"type": "done", "answer": {"count": 1000, "checksum": "00ff", "latency": latency}});
    let replies = [
        ("done", Reply::Done { answer: true.into() }),
        ("finished", Reply::Finished(Box::new(finished))),
        ("failed", Reply::Failed { error, refused: None }),
        ("progress", Reply::Progress(Progress { done: 1, total: 2, message: "half".into() })),
        ("outcome", serde_json::from_value(outcome).unwrap()),
        ("log", Reply::Log { level: 2, target: "mock".into(), message: "slow".into() }),
    ];
    let requests = requests.map(|(name, request)| (name, serde_json::to_vec(&request).unwrap()));
    let replies = replies.map(|(name, reply)| (name, serde_json::to_vec(&reply).unwrap()));
    let mut stream = vec![4];
    for (name, message) in requests.iter().chain(&replies) {
        seeds.add("protocol", name, &[&[255], message.as_slice()].concat());
        let attachment: &[u8] = if matches!(*name, "judge" | "finished") { b"\0\xff" } else { b"" };
        frame::write(&mut stream, message, attachment).unwrap();
    }
    seeds.add("protocol", "frames", &stream);
    seeds.add("protocol", "frames-cut", &stream[..stream.len() - 5]);
    seeds.add("protocol", "frames-and-rubbish", &[&stream[..], b"printed by accident\n"].concat());
    seeds.add("protocol", "largest-frame", b"\x01xrn2\x00\x00\x00\x04\x00\x00\x00\x04x");
    seeds.add("protocol", "too-large-frame", b"\x01xrn2\x01\x00\x00\x04\x00\x00\x00\x00x");
    seeds.add("protocol", "too-large-attachment", b"\x01xrn2\x01\x00\x00\x00\x01\x00\x00\x04x");
    seeds.add(
        "protocol",
        "reports",
        b"\x02s\0\0\0\0e\x03\0\0\0k\x09\0\0\0l\x07\0\0\0n\x01\0\0\0x\0\0\0\0l\xff\xff\xff\xff",
    );
    let finished = |metrics: &str| {
        format!(
            "\u{7f}{{\"type\":\"finished\",\"backend\":\"mock\",\"scheduler_name\":\"\",\"elapsed_time\":1e308,\
             \"results_count\":18446744073709551615,\"duration_seconds\":-0.0,\"metrics\":{metrics}}}"
        )
    };
    seeds.add(
        "protocol",
        "finished-deep",
        finished(&format!("{{\"a\":{}{}}}", "[".repeat(120), "]".repeat(120))).as_bytes(),
    );
    seeds.add(
        "protocol",
        "finished-odd",
        finished("{\"nodes\":1e20,\"versions\":[],\"warnings\":{}}").as_bytes(),
    );
}

// ---- Batches and states -------------------------------------------------------------------------------------------

fn workloads(seeds: &mut Seeds) {
    let batch = |items: &[&[u8]]| {
        let mut out = Vec::new();
        items.iter().copied().collect::<BatchBuilder>().encode(&mut out).unwrap();
        out
    };
    // Which workload, from, to, partitions, limit, first, count, cut.
    let mut input =
        |name: &str, header: [u8; 8], body: &[u8]| seeds.add("workloads", name, &[&header, body].concat());
    let items: [&[u8]; 3] = [b"item_0", b"item_1", b"item_18446744073709551615"];
    input("text", [0, 1, 3, 2, 1, 0, 10, 1], &batch(&items));
    input("text-without-number", [0, 2, 3, 2, 1, 0, 0, 0], &batch(&[b"item_", b""]));
    input("null", [1, 1, 2, 2, 1, 5, 5, 1], &batch(&[&[7; 8], &[0; 8]]));
    input("pipeline", [2, 1, 5, 3, 1, 0, 3, 1], &batch(&[&[1; 16], &[0xff; 16], &[2; 16]]));
    input("pipeline-short-item", [2, 1, 5, 3, 1, 0, 3, 1], &batch(&[&[1; 15]]));
    input("imbalance", [3, 1, 4, 3, 1, 0, 3, 1], &batch(&[&[1; 16], &[0xff; 16]]));
    let records: [&[u8]; 4] = [b"\x01\0\0\0w1", b"\xff\xff\xff\xffw2", b"\x02\0\0\0w1", b"\x02\0\0\0w3"];
    input("words", [4, 1, 2, 3, 2, 0, 9, 2], &batch(&records));
    input("words-short", [4, 1, 2, 3, 2, 0, 9, 2], &batch(&[b"\x01\0\0\0", b"abc"]));
    let entry = |key: &[u8], rest: &[u8]| [&(key.len() as u32).to_le_bytes(), key, rest].concat();
    let most = [0xff; 16];
    input(
        "state",
        [4, 1, 1, 1, 1, 0, 0, 0],
        &batch(&[&entry(b"w1", &[1; 16]), &entry(b"w1", &most), &entry(b"", &most)]),
    );
    input("state-long-key", [4, 1, 1, 1, 1, 0, 0, 0], &batch(&[&[0xff, 0xff, 0xff, 0xff, 1]]));
    input("state-short-tally", [4, 1, 1, 1, 1, 0, 0, 0], &batch(&[&entry(b"w1", &[1; 15])]));
    let sink =
        |words: [u64; 3]| [b"crsink\x01\0".as_slice(), words.map(u64::to_le_bytes).as_flattened()].concat();
    input("sink", [1, 1, 1, 1, 1, 0, 0, 0], &sink([3, 4, 5]));
    input("sink-most", [1, 1, 1, 1, 1, 0, 0, 0], &sink([u64::MAX; 3]));
    input("open-loop", [5, 1, 3, 2, 1, 0, 9, 1], &batch(&[&[1; 32], &[0xff; 32], &[2; 47]]));
    let latencies = [1_u64, 1000, 3, 1, 500, 3, 1, 0, 3].map(u64::to_le_bytes);
    let timed = [sink([3, 4, 5]).as_slice(), latencies.as_flattened()].concat();
    input("open-loop-state", [5, 1, 3, 2, 1, 0, 9, 1], &timed);
    input("open-loop-state-elsewhere", [1, 1, 3, 2, 1, 0, 9, 1], &timed);
    let much = [u64::MAX, 1000, u64::MAX, 0, u64::MAX].map(u64::to_le_bytes);
    let much = [sink([3, 4, 5]).as_slice(), much.as_flattened()].concat();
    input("open-loop-state-lies", [5, 1, 3, 2, 1, 0, 9, 1], &much);
    input("empty", [1, 1, 1, 1, 1, 0, 0, 0], &batch(&[]));
    input("most-items", [1, 1, 2, 1, 1, 0, 0, 0], &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0]);
    input(
        "falling-offsets",
        [1, 1, 2, 1, 1, 0, 0, 0],
        &[2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 7],
    );
    input(
        "negative-offset",
        [1, 1, 2, 1, 1, 0, 0, 0],
        &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff],
    );
    input("largest-numbers", [4, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], &batch(&records));
    input("too-many-partitions", [4, 1, 0xfe, 0xfe, 0, 0xff, 1, 1], &batch(&records));
    input("spec", [0; 8], br#"{"schema":1,"name":"word_count","total_items":18446744073709551615,"parallelism":4,"extra":{"keys":9,"skew":4.0}}"#);
    let open_loop =
        r#"{"name":"open_loop","total_items":18446744073709551615,"extra":{"schedule":"poisson","rate":1}}"#;
    input("spec-open-loop", [0; 8], open_loop.as_bytes());
    input("spec-unknown", [0; 8], br#"{"name":"dance","extra":{"stages":64}}"#);
}

// ---- Records ------------------------------------------------------------------------------------------------------

fn record(backend: &str, block: u32, seconds: f64) -> Value {
    json!({
        "backend": backend, "workload": "null", "run_id": "r/null", "seed": 42, "nodes": 1, "parallelism": 2,
        "throughput": 10.0, "latency_p50": null, "latency_p95": null, "latency_p99": null, "success_rate": 1.0,
        "duration_seconds": seconds, "timestamp": "2026-02-21T03:58:47.134641+00:00", "config_hash": "ab",
        "backend_hash": "cd",
        "metadata": {"format_version": 1, "block": block, "verified": true, "total_items": 10,
            "results_count": 10, "expected_count": 10, "checksum": "0f", "expected_checksum": "0f",
            "system_profile": {"hostname": "m"},
            "plugin": {"path": format!("lib{backend}.so"), "sha256": "ef"}, "workload_library": {"sha256": "01"}},
    })
}

fn lines(records: impl IntoIterator<Item = Value>) -> String {
    records.into_iter().map(|record| format!("{record}\n")).collect()
}

fn records(seeds: &mut Seeds) {
    let both = |blocks: u32, second: f64| {
        (0..blocks).flat_map(move |block| {
            [
                record("a", block, 1.0 + f64::from(block) / 100.0),
                record("b", block, second * (1.0 + f64::from(block) / 50.0)),
            ]
        })
    };
    let paired = lines(both(7, 0.5));
    seeds.add("records", "paired", paired.as_bytes());
    seeds.add("records", "torn", &paired.as_bytes()[..900]);
    seeds.add(
        "records",
        "extreme-figures",
        lines([record("a", 0, 1e308), record("b", 0, 1e-308), record("b", 1, 5e-324)]).as_bytes(),
    );
    seeds.add("records", "extreme-pairs", lines(both(6, 1e300).chain(both(6, 1e-300))).as_bytes());
    let alone = |backend: &str, seconds| {
        let mut record = record(backend, 0, seconds);
        record["metadata"]["block"] = Value::Null;
        record
    };
    seeds.add(
        "records",
        "unpaired-extremes",
        lines([alone("a", 1e308), alone("b", 1e-308), alone("c", 1.0)]).as_bytes(),
    );
    let mut odd = record("\u{1b}[31m<b>|`\n", u32::MAX, 1.0);
    odd["seed"] = u64::MAX.into();
    odd["metadata"]["warnings"] = json!(["\u{1b}]0;x\u{7}", "<script>"]);
    odd["metadata"]["error"] = json!({"phase": "\u{1b}", "kind": "|", "message": "a\nb", "remedy": null});
    odd["metadata"]["versions"] = json!({"engine": {"deep": [1]}, "\u{202e}": -1});
    seeds.add("records", "odd-names", lines([odd, record("a", 0, 1.0)]).as_bytes());
    seeds.add(
        "records",
        "deep",
        format!("{{\"backend\":{}\n{}", "[".repeat(300), record("a", 0, 1.0)).as_bytes(),
    );
    let deep = |depth: usize| {
        serde_json::from_str::<Value>(&format!("{}{}", "[".repeat(depth), "]".repeat(depth))).unwrap()
    };
    let mut nested = record("a", 0, 1.0);
    nested["metadata"]["raw_metrics"] = json!({"a": deep(120)});
    seeds.add("records", "nested", lines([nested]).as_bytes());
    let numbers = r#"{"backend":"a","workload":"w","run_id":"r","seed":1e400,"nodes":4294967296,"parallelism":-1,"timestamp":"t"}"#;
    seeds.add(
        "records",
        "impossible-numbers",
        format!("{numbers}\n\n{{\"format_version\":99}}\n[]\nnull\n").as_bytes(),
    );
    let trial =
        json!({"format_version": 1, "kind": "warmup", "status": "verified", "record": record("a", 0, 1.0)});
    let other =
        json!({"format_version": 1, "kind": "measured", "status": "failed", "record": record("b", 0, 0.0)});
    seeds.add("records", "kinds", lines([trial, other]).as_bytes());
    let scaled = (1..4_u32).flat_map(|parallelism| {
        ["a", "b"].map(|backend| {
            let mut record = record(backend, 0, 1.0 / f64::from(parallelism));
            record["parallelism"] = (parallelism * parallelism).into();
            record["latency_p50"] = 1.5.into();
            record["metadata"]["resources"] = json!({"cpu_seconds": 1e300, "peak_memory_bytes": u64::MAX});
            record
        })
    });
    seeds.add("records", "scaled", lines(scaled).as_bytes());
}

// ---- Specs, plans, words ------------------------------------------------------------------------------------------

fn specs(seeds: &mut Seeds) {
    let spec = json!({"schema": 1, "name": "word_count", "total_items": 1000, "parallelism": 4, "scheduler_name": "fifo",
        "seed": u64::MAX, "extra": {"batch_size": 64, "skew": 1.2, "fusion": "off", "max_wait_seconds": 1e300}});
    let matrix = json!({"run": "r", "backends": [{"name": "a", "runs": "a"}, {"name": "b", "runs": "b"}],
        "workloads": [{"name": "null", "items": [10, 20], "extra": {"x": 1}}], "schedulers": ["default"],
        "parallelisms": [1, 2], "nodes": 1, "options": {}, "blocks": 3, "seed": 42,
        "warm_up": crossrun::internals::stats::WarmUp::default(), "aa": "a"});
    let library = json!({"path": "liba.so", "sha256": "ab", "version": "1.0.0", "build": {}});
    let plan = json!({"version": 1, "plan_hash": "ab", "rigor": "quick", "baseline": "a", "insist": false,
        "timeout_seconds": 600.0, "backends": {"a": {"name": "a", "library": library}}, "libraries": {"null": library},
        "machine": {}, "matrix": matrix});
    let parameter = json!({"name": "keys", "description": "how many", "domain": {"type": "integer", "min": 1, "max": 9}, "default": 3});
    let stages = json!({"stages": [{"kind": "source", "name": "s"}, {"kind": "keyed_reduce", "name": "k"}, {"kind": "sink", "name": "t"}]});
    let catalogue = json!([{"name": "w", "description": "d", "parameters": [parameter], "plan": stages}]);
    let mut many = matrix.clone();
    many["blocks"] = u32::MAX.into();
    let mut timeless = plan.clone();
    timeless["timeout_seconds"] = json!(-1.0);
    let mut endless = plan.clone();
    endless["timeout_seconds"] = json!(1e300);
    let all = [
        ("spec", spec),
        ("matrix", matrix),
        ("matrix-of-many-blocks", many),
        ("plan", plan),
        ("plan-without-time", timeless),
        ("plan-with-all-time", endless),
        ("parameter", parameter),
        (
            "number",
            json!({"name": "n", "description": "", "domain": {"type": "number", "min": -1e308, "max": 5e-324}, "default": -0.0}),
        ),
        (
            "choice",
            json!({"name": "n", "description": "", "domain": {"type": "choice", "options": ["x"]}, "default": "x"}),
        ),
        ("stages", stages),
        ("catalogue", catalogue),
        (
            "session",
            json!({"parallelism": 4, "nodes": 1, "options": {"a": 1}, "data_dir": "d", "log_dir": "l"}),
        ),
        ("setup-request", json!({"remove": false, "python": null})),
        ("availability", json!({"Unavailable": {"reason": "r", "remedy": "x"}})),
        ("error", json!({"kind": "unavailable", "message": "m", "remedy": "r"})),
        (
            "lock",
            json!({"version": 1, "plugins": [
            {"kind": "runner", "name": "a", "sha256": "ab", "size": 1, "source": "liba.so"},
            {"kind": "workloads", "name": "a", "sha256": "ab", "size": u64::MAX, "source": ""}]}),
        ),
        ("outcome", json!({"count": 1, "checksum": "2d06800538d394c22d06800538d394c2"})),
    ];
    all.iter().for_each(|(name, value)| seeds.add("specs", name, value.to_string().as_bytes()));
    let nested = format!("a={}{}", "[".repeat(126), "]".repeat(126));
    let typed = [
        ("count", "1_000e3"),
        ("count-too-large", "18446744073709551615e1"),
        ("duration", "1h 30m"),
        ("duration-long", "18446744073709551615"),
        ("duration-tiny", "1e-300"),
        ("extra", "a={\"b\":[1,2e99,\"\\u0000\"]}"),
        ("extra-nested", &nested),
        ("run-id", "20260221T035847.134641Z-1"),
    ];
    typed.iter().for_each(|(name, text)| seeds.add("specs", name, text.as_bytes()));
}
