//! A runner behind its border: what the host calls reaches the author's trait, and what the trait says comes back.

// The allow-in-tests settings cover functions with `#[test]` only, not the runner and the helpers beside them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod samples;

use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use plugin_api::ffi::{Factory, ForeignRunner, runner_module};
use plugin_api::{
    Availability, ErrorKind, HostServices, Parameter, Progress, RunContext, RunResult, RunnerError, Session,
    SetupContext, SetupRequest, WorkloadRunner, WorkloadSpec,
};
use serde_json::{Value, json};

/// What the plugin's logger handed over. A library has one logger, so all tests of this file share it.
static LOG: Mutex<Vec<(log::Level, String, String)>> = Mutex::new(Vec::new());

/// A host that writes down what it hears.
#[derive(Default)]
struct Recorder {
    progress: Mutex<Vec<Progress>>,
    cancelled: AtomicBool,
    panics: AtomicBool,
}

impl HostServices for Recorder {
    fn log(&self, level: log::Level, target: &str, message: &str) {
        let record = (level, target.to_owned(), message.to_owned());
        LOG.lock().unwrap_or_else(PoisonError::into_inner).push(record);
    }

    fn progress(&self, progress: Progress) {
        self.progress.lock().unwrap().push(progress);
    }

    fn cancelled(&self) -> bool {
        assert!(!self.panics.load(Ordering::Relaxed), "the host itself gave up");
        self.cancelled.load(Ordering::Relaxed)
    }

    fn clock_nanos(&self) -> u64 {
        123_456_789
    }
}

/// Runs the workload in one thread, and does what `extra.does` says.
#[derive(Default)]
struct Mock {
    session: Option<Session>,
    /// The seeds of the runs that it prepared.
    prepared: Vec<u64>,
}

impl WorkloadRunner for Mock {
    fn backend_name(&self) -> &str {
        "mock"
    }

    fn is_available(&self) -> Availability {
        // Only so that both answers can be asked for.
        let missing = self.session.as_ref().and_then(|session| session.options.get("missing"));
        match missing.and_then(Value::as_str) {
            Some(reason) => Availability::Unavailable { reason: reason.into(), remedy: "mend it".into() },
            None => Availability::Available,
        }
    }

    fn options(&self) -> Vec<Parameter> {
        vec![Parameter::choice("does", "what it does", &["run", "panic"])]
    }

    fn open(&mut self, session: &Session) -> Result<(), RunnerError> {
        self.session = Some(session.clone());
        Ok(())
    }

    fn prepare(&mut self, spec: &WorkloadSpec, context: &RunContext) -> Result<(), RunnerError> {
        context.progress(0, context.workload().plan().sink() as u64);
        self.prepared.push(spec.seed);
        if spec.seed == 13 { Err(RunnerError::engine("it cannot be prepared")) } else { Ok(()) }
    }

    fn run(&mut self, spec: &WorkloadSpec, context: &RunContext) -> Result<RunResult, RunnerError> {
        match spec.extra.get("does").and_then(Value::as_str).unwrap_or("run") {
            "run" => run(spec, context),
            "panic" => panic!("the engine gave up"),
            "log" => log(spec),
            "report" => Ok(report(spec, context).with_metric("prepared", json!(self.prepared))),
            "fail" => {
                let kind = serde_json::from_value(spec.extra["kind"].clone()).unwrap();
                Err(RunnerError::new(kind, "it failed").with_remedy("do this"))
            }
            other => panic!("{other} is nothing to do"),
        }
    }

    fn close(&mut self) -> Result<(), RunnerError> {
        let closed = self.session.take();
        closed.map(drop).ok_or_else(|| RunnerError::engine("it is not open"))
    }

    fn setup(&mut self, request: &SetupRequest, context: &SetupContext) -> Result<(), RunnerError> {
        let SetupRequest { remove, python } = request;
        context.progress(
            1,
            0,
            format!("{remove} {python:?} {:?} {:?}", context.data_dir(), context.log_dir()),
        );
        if context.cancelled() { Err(RunnerError::cancelled()) } else { Ok(()) }
    }
}

/// The whole workload, which must be a chain, in one batch.
fn run(spec: &WorkloadSpec, context: &RunContext) -> Result<RunResult, RunnerError> {
    let (workload, started) = (context.workload(), Instant::now());
    let (mut batch, mut sink) = (workload.buffer(), workload.new_sink()?);
    workload.source(0, spec.total_items, workload.plan().sink(), &mut batch)?;
    sink.fold(&batch)?;
    context.progress(spec.total_items, spec.total_items);
    if context.cancelled() {
        return Err(RunnerError::cancelled());
    }
    let elapsed = started.elapsed().as_secs_f64();
    let result = RunResult::new("mock", spec, elapsed, batch.item_count(), sink.encode()?.to_vec());
    Ok(result.with_metric("nodes", 1))
}

fn log(spec: &WorkloadSpec) -> Result<RunResult, RunnerError> {
    log::warn!(target: "mock", "seed {}", spec.seed);
    log::debug!(target: "mock", "finer than seed {}", spec.seed);
    Err(RunnerError::engine("it only logs"))
}

/// What the runner was told.
fn report(spec: &WorkloadSpec, context: &RunContext) -> RunResult {
    let workload = context.workload();
    RunResult::new("mock", spec, 0.0, 0, Vec::new())
        .with_metric("clock", context.clock_nanos())
        .with_metric("remaining", context.remaining().map(|remaining| remaining.as_secs_f64()))
        .with_metric("data_dir", context.data_dir().to_string_lossy())
        .with_metric("log_dir", context.log_dir().to_string_lossy())
        .with_metric("library", json!([workload.library_path(), workload.library_sha256()]))
        .with_metric("stages", workload.plan().stages.len())
        .with_metric("spec", json!(workload.spec()))
}

struct MockFactory;

impl Factory for MockFactory {
    fn create() -> Box<dyn WorkloadRunner> {
        Box::new(Mock::default())
    }
}

fn load<F: Factory>(host: &Arc<Recorder>) -> Result<ForeignRunner, RunnerError> {
    ForeignRunner::create(runner_module::<F>(), Arc::clone(host) as _, log::LevelFilter::Info)
}

fn mock() -> (ForeignRunner, Arc<Recorder>) {
    let host = Arc::new(Recorder::default());
    (load::<MockFactory>(&host).unwrap(), host)
}

fn spec(extra: Value) -> WorkloadSpec {
    let Value::Object(extra) = extra else { panic!("extra is an object") };
    WorkloadSpec { total_items: 100, extra, ..WorkloadSpec::new("even_triples") }
}

fn context(spec: &WorkloadSpec, host: &Arc<Recorder>, deadline: Option<Instant>) -> RunContext {
    let workload = samples::workload_library().open(spec).unwrap();
    RunContext::new(workload, Arc::clone(host) as _, "/data".into(), "/log".into(), deadline)
}

/// One run that `extra` describes.
fn run_with(
    runner: &mut ForeignRunner,
    host: &Arc<Recorder>,
    extra: Value,
) -> Result<RunResult, RunnerError> {
    let spec = spec(extra);
    runner.run(&spec, &context(&spec, host, None))
}

#[test]
fn a_session_from_open_to_close_gives_the_verified_answer() {
    let (mut runner, host) = mock();
    assert_eq!(runner.backend_name(), "mock");
    assert_eq!(runner.options()[0].name, "does");
    runner.open(&Session { parallelism: 2, nodes: 1, ..Session::default() }).unwrap();
    for copies in 0..3 {
        let spec = spec(json!({ "copies": copies }));
        let context = context(&spec, &host, None);
        let result = runner.run(&spec, &context).unwrap();
        let outcome = context.workload().outcome(&result.sink_state).unwrap();
        assert_eq!(outcome, context.workload().expected().unwrap());
        assert_eq!((result.backend.as_str(), result.results_count), ("mock", 50 * copies));
        assert_eq!(result.metrics["nodes"], 1);
    }
    runner.close().unwrap();
    assert_eq!(runner.close().unwrap_err(), RunnerError::engine("it is not open"));
}

#[test]
fn availability_comes_back_with_its_reason_and_remedy() {
    let (mut runner, _host) = mock();
    assert_eq!(runner.is_available(), Availability::Available);
    let Value::Object(options) = json!({"missing": "no engine"}) else { unreachable!() };
    runner.open(&Session { options, ..Session::default() }).unwrap();
    let (reason, remedy) = ("no engine".into(), "mend it".into());
    assert_eq!(runner.is_available(), Availability::Unavailable { reason, remedy });
}

#[test]
fn a_run_is_told_all_that_the_host_knows() {
    let (mut runner, host) = mock();
    let spec = spec(json!({"does": "report"}));
    let deadline = Instant::now() + Duration::from_secs(1000);
    let metrics = runner.run(&spec, &context(&spec, &host, Some(deadline))).unwrap().metrics;
    let remaining = metrics["remaining"].as_f64().unwrap();
    assert!((900.0..=1000.0).contains(&remaining), "{remaining}");
    assert_eq!(metrics["clock"], 123_456_789);
    assert_eq!((&metrics["data_dir"], &metrics["log_dir"]), (&json!("/data"), &json!("/log")));
    assert_eq!(metrics["library"], json!(["linked", "linked"]));
    assert_eq!(metrics["stages"], 5);
    assert_eq!(metrics["spec"], json!(spec));
    let forever = run_with(&mut runner, &host, json!({"does": "report"})).unwrap();
    assert_eq!(forever.metrics["remaining"], Value::Null);
}

#[test]
fn a_run_is_prepared_with_its_spec_and_its_workload() {
    let (mut runner, host) = mock();
    let spec = |seed| WorkloadSpec { seed, ..spec(json!({"does": "report"})) };
    for seed in [1, 2] {
        runner.prepare(&spec(seed), &context(&spec(seed), &host, None)).unwrap();
    }
    assert_eq!(host.progress.lock().unwrap()[0], Progress { done: 0, total: 4, message: String::new() });
    let metrics = runner.run(&spec(2), &context(&spec(2), &host, None)).unwrap().metrics;
    assert_eq!(metrics["prepared"], json!([1, 2]));
    let error = runner.prepare(&spec(13), &context(&spec(13), &host, None)).unwrap_err();
    assert_eq!(error, RunnerError::engine("it cannot be prepared"));
}

#[test]
fn a_set_up_is_told_what_to_do_and_where_and_says_how_far_it_is() {
    let (mut runner, host) = mock();
    let context = SetupContext::new(Arc::clone(&host) as _, "/data".into(), "/log".into());
    let request = SetupRequest { remove: true, python: Some("/python".into()) };
    runner.setup(&request, &context).unwrap();
    let message = r#"true Some("/python") "/data" "/log""#.to_owned();
    assert_eq!(*host.progress.lock().unwrap(), [Progress { done: 1, total: 0, message }]);
    host.cancelled.store(true, Ordering::Relaxed);
    assert_eq!(runner.setup(&request, &context).unwrap_err().kind, ErrorKind::Cancelled);
}

#[test]
fn progress_and_cancelling_pass_the_border_during_a_run() {
    let (mut runner, host) = mock();
    host.cancelled.store(true, Ordering::Relaxed);
    assert_eq!(run_with(&mut runner, &host, json!({})).unwrap_err(), RunnerError::cancelled());
    let message = String::new();
    assert_eq!(*host.progress.lock().unwrap(), [Progress { done: 100, total: 100, message }]);
}

#[test]
fn a_host_that_panics_is_one_that_wants_to_stop() {
    let (mut runner, host) = mock();
    host.panics.store(true, Ordering::Relaxed);
    assert_eq!(run_with(&mut runner, &host, json!({})).unwrap_err().kind, ErrorKind::Cancelled);
}

#[test]
fn records_of_the_plugins_own_logger_reach_the_host_up_to_its_level() {
    let (mut runner, host) = mock();
    let spec = WorkloadSpec { seed: 4711, ..spec(json!({"does": "log"})) };
    runner.run(&spec, &context(&spec, &host, None)).unwrap_err();
    let log = LOG.lock().unwrap();
    let heard: Vec<_> = log.iter().filter(|(_, _, message)| message.contains("seed 4711")).collect();
    assert_eq!(heard, [&(log::Level::Warn, "mock".to_owned(), "seed 4711".to_owned())]);
}

#[test]
fn an_error_of_each_kind_comes_back_as_it_was() {
    let (mut runner, host) = mock();
    let kinds = [
        "invalid_spec",
        "unsupported",
        "unavailable",
        "setup",
        "engine",
        "workload",
        "cancelled",
        "internal",
    ];
    for kind in kinds {
        let error = run_with(&mut runner, &host, json!({"does": "fail", "kind": kind})).unwrap_err();
        assert_eq!(json!(error), json!({"kind": kind, "message": "it failed", "remedy": "do this"}));
    }
}

#[test]
fn a_failure_of_the_workload_is_not_taken_for_one_of_the_engine() {
    let (mut runner, host) = mock();
    let mut spec = spec(json!({"fault": "map_fails"}));
    spec.name = "faulty".into();
    // Its plan has a keyed reduction, so the mock asks for stages that are no chain.
    let error = runner.run(&spec, &context(&spec, &host, None)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Workload);
    assert!(error.message.contains("not a chain"), "{error}");
}

#[test]
fn a_panic_becomes_an_error_and_the_runner_is_of_no_more_use() {
    let (mut runner, host) = mock();
    let (mut other, _) = mock();
    let error = run_with(&mut runner, &host, json!({"does": "panic"})).unwrap_err();
    let message = "the backend panicked: the engine gave up";
    assert_eq!(error, RunnerError::new(ErrorKind::Panic, message));
    let after =
        [runner.open(&Session::default()), runner.close(), run_with(&mut runner, &host, json!({})).map(drop)];
    for later in after {
        let error = later.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Panic);
        assert_eq!(error.message, "the backend panicked in an earlier call: the engine gave up");
    }
    assert!(!runner.is_available().is_available());
    run_with(&mut other, &host, json!({})).unwrap();
}

#[test]
fn a_runner_that_cannot_be_made_is_an_error() {
    struct Broken;
    impl Factory for Broken {
        fn create() -> Box<dyn WorkloadRunner> {
            panic!("no runner today")
        }
    }
    let error = load::<Broken>(&Arc::default()).err().unwrap();
    assert_eq!(error, RunnerError::new(ErrorKind::Panic, "the backend panicked: no runner today"));
}

#[test]
fn a_runner_is_dropped_once_even_if_it_panics_then() {
    static DROPPED: AtomicUsize = AtomicUsize::new(0);
    struct Last(Mock);
    impl Drop for Last {
        fn drop(&mut self) {
            DROPPED.fetch_add(1, Ordering::Relaxed);
            panic!("not even this");
        }
    }
    impl WorkloadRunner for Last {
        fn backend_name(&self) -> &str {
            "last"
        }
        fn is_available(&self) -> Availability {
            self.0.is_available()
        }
        fn run(&mut self, spec: &WorkloadSpec, context: &RunContext) -> Result<RunResult, RunnerError> {
            self.0.run(spec, context)
        }
    }
    struct LastFactory;
    impl Factory for LastFactory {
        fn create() -> Box<dyn WorkloadRunner> {
            Box::new(Last(Mock::default()))
        }
    }
    let mut runner = load::<LastFactory>(&Arc::default()).unwrap();
    // What an author left out has a default.
    assert!(runner.options().is_empty());
    runner.open(&Session::default()).unwrap();
    runner.close().unwrap();
    drop(runner);
    assert_eq!(DROPPED.load(Ordering::Relaxed), 1);
}

#[test]
fn a_path_that_is_no_text_is_an_error_and_no_panic() {
    let (mut runner, _host) = mock();
    let data_dir = PathBuf::from(std::ffi::OsString::from_vec(vec![b'/', 0xff]));
    let error = runner.open(&Session { data_dir, ..Session::default() }).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Internal);
    assert!(error.message.contains("UTF-8"), "{error}");
}
