//! The cost of each part of the foundation, compared with doing the same without it, as ratios in one run.
//!
//! `cargo bench --bench foundation` prints the table of docs/benchmarks.md. Both sides of a pair take turns, and the table has
//! medians: machines are noisy, so a single time means little.

// A benchmark that cannot be set up must stop.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod bare;
#[path = "../../../tests/hostile/empty_runner/src/runner.rs"]
mod empty_runner;
mod setting;

use std::time::{Duration, Instant};

use crossrun::internals::run::{Isolation, Launch, WorkerSession};
use crossrun::internals::sandbox::Interrupt;
use crossrun::internals::worker::{Request, VERSION};
use plugin_api::{WorkloadRunner, WorkloadSpec};
use serde_json::json;

use peers::in_process::context;
use peers::{Pair, heading};
use setting::Setting;

fn main() {
    if bare::is_echo() {
        return bare::echo();
    }
    let setting = Setting::new();
    heading();
    border(&setting);
    round_trip();
    listing(&setting);
    native(&setting);
    balance(&setting);
    memory(&setting);
}

/// Both sides of a pair run once before they are measured, so that files are read and memory is allocated.
fn compare<A, B>(name: &str, bar: &str, rounds: usize, mut pair: Pair<A, B>)
where
    A: FnMut() -> f64,
    B: FnMut() -> f64,
{
    let _ = ((pair.with)(), (pair.without)());
    pair.compare(name, bar, rounds);
}

/// Calls across the ABI, beside the same calls on a plain `dyn` object.
fn border(setting: &Setting) {
    let foreign = setting.runner("empty_runner");
    let mut plain: Box<dyn WorkloadRunner> = Box::new(empty_runner::Empty);
    let spec = WorkloadSpec { total_items: 0, ..WorkloadSpec::new("null") };
    let context = context(&setting.workload(&spec));
    const CALLS: u32 = 10_000;
    compare(
        "is_available across the ABI, beside a dyn object",
        "",
        31,
        Pair {
            with: || timed(CALLS, || assert!(foreign.is_available().is_available())),
            without: || timed(CALLS, || assert!(std::hint::black_box(&plain).is_available().is_available())),
        },
    );
    let mut foreign = setting.runner("empty_runner");
    compare(
        "run of an empty workload across the ABI, beside a dyn object",
        "",
        31,
        Pair {
            with: || timed(1000, || drop(foreign.run(&spec, &context).unwrap())),
            without: || timed(1000, || drop(std::hint::black_box(&mut plain).run(&spec, &context).unwrap())),
        },
    );
}

/// A request to a worker and its answer, beside one byte there and back through two pipes.
fn round_trip() {
    let launch = Launch {
        isolation: Isolation::Process,
        executable: env!("CARGO_BIN_EXE_crossrun").into(),
        log_level: log::LevelFilter::Off,
        limits: crossrun::internals::sandbox::Limits::default(),
        deadlines: crossrun::internals::run::Deadlines::default(),
        interrupt: Interrupt::never(),
        cores: None,
    };
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut session = WorkerSession::start(&launch, log.path(), false).unwrap();
    let mut pipe = bare::PingPong::start();
    let limit = Some(Duration::from_secs(5));
    compare(
        "round trip through a worker, beside a bare pipe ping-pong",
        "<= 3",
        31,
        Pair {
            with: || {
                timed(1000, || {
                    let hello = Request::Hello { version: VERSION, log_level: 0 };
                    drop(session.call("start", hello, limit, &mut |_| ()).unwrap());
                })
            },
            without: || timed(1000, || pipe.round_trip()),
        },
    );
    session.end();
}

/// `crossrun backends` with three plugins, beside starting the program for nothing.
fn listing(setting: &Setting) {
    let run = |arguments: &[&str]| {
        let started = Instant::now();
        assert!(setting.crossrun(arguments).output().unwrap().status.success());
        started.elapsed().as_secs_f64()
    };
    compare(
        "`crossrun backends` with three plugins, beside `--version`",
        "< 30 ms",
        31,
        Pair { with: || run(&["backends"]), without: || run(&["--version"]) },
    );
}

/// The native backend, beside a bare loop over the same kernels on as many threads.
fn native(setting: &Setting) {
    const THREADS: u32 = 2;
    for (workload, batch_size, items, bar) in [
        ("null", 1_u64, 300_000_u64, ""),
        ("null", 1024, 20_000_000, "<= 1.11"),
        ("pipeline", 1, 30_000, ""),
        ("pipeline", 1024, 60_000, "<= 1.11"),
    ] {
        let mut spec =
            WorkloadSpec { total_items: items, parallelism: THREADS, ..WorkloadSpec::new(workload) };
        spec.extra.insert("batch_size".into(), json!(batch_size));
        let handle = setting.workload(&spec);
        let context = context(&handle);
        let expected = handle.expected().unwrap();
        let mut native = setting.runner("native_runner");
        let name = format!("native, {workload}, batch size {batch_size}, beside a bare loop");
        compare(
            &name,
            bar,
            15,
            Pair {
                with: || {
                    let started = Instant::now();
                    let result = native.run(&spec, &context).unwrap();
                    let elapsed = started.elapsed().as_secs_f64();
                    assert_eq!(handle.outcome(&result.sink_state).unwrap(), expected);
                    elapsed
                },
                without: || {
                    let started = Instant::now();
                    let state = bare::bare_loop(&handle, items, batch_size, THREADS);
                    let elapsed = started.elapsed().as_secs_f64();
                    assert_eq!(handle.outcome(&state).unwrap(), expected);
                    elapsed
                },
            },
        );
    }
}

/// Handing out by what is outstanding, beside handing out in order, where one item in a hundred is fifty times the work.
fn balance(setting: &Setting) {
    let run = |scheduler: &str| {
        let mut spec = WorkloadSpec { total_items: 2000, ..WorkloadSpec::new("imbalance") };
        spec.scheduler_name = scheduler.into();
        spec.extra.insert("iters".into(), json!(10_000));
        spec.extra.insert("distribution".into(), json!("bimodal"));
        let context = context(&setting.workload(&spec));
        let mut native = setting.runner("native_runner");
        move || {
            let started = Instant::now();
            drop(native.run(&spec, &context).unwrap());
            started.elapsed().as_secs_f64()
        }
    };
    let name = "native, imbalance (bimodal), load_aware beside fifo";
    compare(name, "< 1", 15, Pair { with: run("load_aware"), without: run("fifo") });
}

/// The most memory of any process in a run of a hundred million items.
fn memory(setting: &Setting) {
    let run = "run --backend native --workload null --items 1e8 --extra batch_size=1024 --json";
    let mut command = setting.crossrun(&run.split(' ').collect::<Vec<_>>());
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut peak = 0;
    let status = loop {
        peak = peak.max(bare::largest_process(child.id()));
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    assert!(status.success());
    println!(
        "{:<58} {:>8} MiB {:>12} {:>7}  < 64 MiB",
        "peak of any process, 1e8 null items, batch size 1024",
        peak / 1024,
        "",
        ""
    );
}

/// Seconds for one of `calls` calls.
fn timed(calls: u32, mut call: impl FnMut()) -> f64 {
    let started = Instant::now();
    for _ in 0..calls {
        call();
    }
    started.elapsed().as_secs_f64() / f64::from(calls)
}
