//! Whatever a backend in C answers is an answer or an error.

// The allow-in-tests settings cover functions with `#[test]` only; and the backends here are called as those of another
// language are, through a table.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unsafe_code)]

mod abi_document;
#[allow(dead_code, unused_imports)]
mod samples;
mod silent;

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char};
use std::sync::{Arc, Mutex};

use abi_document::example;
use plugin_api::c_abi::{
    self, ABI_VERSION, BackendFunctions, BackendPointer, FAILED, ForeignBackend, Host, NO_DEADLINE,
    NamedOption, OK, Reply, Run, Session as RawSession, Setup,
};
use plugin_api::workload::WorkloadFunctions;
use plugin_api::workload::capi::RawBuffer;
use plugin_api::{
    Availability, ErrorKind, HostServices, Progress, RunContext, RunnerError, Session, SetupContext,
    SetupRequest, WorkloadRunner, WorkloadSpec,
};
use serde_json::{Value, json};
use silent::Silent;

/// A table whose functions are all absent but `run`.
fn functions(
    run: unsafe extern "C-unwind" fn(BackendPointer, *const Run, *mut Reply) -> i32,
) -> BackendFunctions {
    BackendFunctions {
        size: size_of::<BackendFunctions>() as u32,
        abi_version: ABI_VERSION,
        create: None,
        destroy: None,
        describe: None,
        is_available: None,
        setup: None,
        open: None,
        run: Some(run),
        close: None,
        prepare: None,
    }
}

fn made(functions: BackendFunctions) -> Result<ForeignBackend, RunnerError> {
    let functions: &'static _ = Box::leak(Box::new(functions));
    // SAFETY: a table that is never freed, of functions of this program.
    unsafe { ForeignBackend::create(functions, "mine", Arc::new(Silent), log::LevelFilter::Info) }
}

fn context() -> RunContext {
    let workload = samples::workload_library().open(&WorkloadSpec::new("word_count")).unwrap();
    RunContext::new(workload, Arc::new(Silent), "/data".into(), "/log".into(), None)
}

/// What a backend does with the reply of a run.
type Act = fn(*mut Reply) -> i32;

/// What `run` of a backend comes to that answers with `act`.
fn ran(act: Act) -> Result<plugin_api::RunResult, RunnerError> {
    static ACT: Mutex<Option<Act>> = Mutex::new(None);
    static ONE: Mutex<()> = Mutex::new(());
    unsafe extern "C-unwind" fn run(_: BackendPointer, _: *const Run, reply: *mut Reply) -> i32 {
        let act = ACT.lock().unwrap().unwrap();
        act(reply)
    }
    let _one = ONE.lock().unwrap();
    *ACT.lock().unwrap() = Some(act);
    made(functions(run)).unwrap().run(&WorkloadSpec::new("word_count"), &context())
}

/// The functions of a reply, as C calls them.
fn answer(reply: *mut Reply, json: &CStr) -> i32 {
    // SAFETY: the reply of a call that is under way.
    unsafe { ((*reply).answer)(reply, json.as_ptr()) }
}

fn sink(reply: *mut Reply, bytes: &[u8]) -> i32 {
    // SAFETY: as in `answer`.
    unsafe { ((*reply).sink)(reply, bytes.as_ptr(), bytes.len()) }
}

fn fail(reply: *mut Reply, kind: i32, message: &CStr, remedy: &CStr) -> i32 {
    // SAFETY: as in `answer`.
    unsafe { ((*reply).fail)(reply, kind, message.as_ptr(), remedy.as_ptr()) }
}

const RESULT: &CStr = c"{\"elapsed_time\": 0.5, \"results_count\": 5}";

#[test]
fn one_snprintf_makes_a_result() {
    let result = ran(|reply| {
        assert_eq!(sink(reply, b"state"), OK);
        answer(reply, RESULT)
    });
    let result = result.unwrap();
    assert_eq!((result.backend.as_str(), result.scheduler_name.as_str()), ("mine", "default"));
    assert_eq!((result.elapsed_time, result.results_count), (0.5, 5));
    assert_eq!((result.sink_state.as_slice(), result.metrics.len()), (b"state".as_slice(), 0));
}

#[test]
fn a_state_without_bytes_may_have_any_address() {
    let result = ran(|reply| {
        // SAFETY: as in `answer`; there are no bytes to be read.
        assert_eq!(unsafe { ((*reply).sink)(reply, std::ptr::null(), 0) }, OK);
        answer(reply, RESULT)
    });
    assert!(result.unwrap().sink_state.is_empty());
}

/// What a backend did, and words of the error that comes of it.
type Case = (fn(*mut Reply) -> i32, ErrorKind, &'static str);

#[test]
fn what_is_no_answer_is_an_error_that_says_what_it_was() {
    use ErrorKind::{Internal, Unsupported, Workload};
    let cases: [Case; 17] = [
        (|_| OK, Internal, "run did not answer"),
        (|reply| answer(reply, RESULT), Internal, "did not hand over the sink's state"),
        (|reply| sink(reply, b"x"), Internal, "run did not answer"),
        (|_| FAILED, Internal, "returned -1 and did not say why"),
        (|_| 77, Internal, "returned 77 and did not say why"),
        (
            |reply| {
                sink(reply, b"x");
                answer(reply, c"{\"results_count\": ")
            },
            Internal,
            "is not what was expected",
        ),
        (
            |reply| {
                sink(reply, b"x");
                answer(reply, c"{\"elapsed_time\": 1}")
            },
            Internal,
            "results_count",
        ),
        (
            |reply| {
                sink(reply, b"x");
                answer(reply, c"{\"schema\": 2, \"results_count\": 1}")
            },
            Internal,
            "schema is 2",
        ),
        (|reply| answer(reply, c"\"\xff\""), Internal, "not UTF-8"),
        (
            |reply| {
                answer(reply, RESULT);
                assert_eq!(answer(reply, RESULT), FAILED);
                sink(reply, b"x")
            },
            Internal,
            "gave its answer twice",
        ),
        (
            |reply| {
                sink(reply, b"x");
                sink(reply, b"x");
                answer(reply, RESULT)
            },
            Internal,
            "gave its sink's state twice",
        ),
        // SAFETY: as in `answer`; the bytes are not looked at.
        (|reply| unsafe { ((*reply).sink)(reply, b"x".as_ptr(), usize::MAX) }, Internal, "more than 64 MiB"),
        // SAFETY: the same.
        (|reply| unsafe { ((*reply).sink)(reply, std::ptr::null(), 8) }, Internal, "null pointer"),
        // SAFETY: the same.
        (|reply| unsafe { ((*reply).answer)(reply, std::ptr::null()) }, Internal, "null pointer"),
        (
            |reply| {
                fail(reply, 2, c"cannot \xff do", c"do without");
                fail(reply, 6, c"later", c"");
                // Whatever else it says: it has failed.
                answer(reply, RESULT)
            },
            Unsupported,
            "cannot \u{fffd} do; try: do without",
        ),
        (
            // SAFETY: as in `answer`.
            |reply| unsafe { ((*reply).fail)(reply, 99, std::ptr::null(), std::ptr::null()) },
            Internal,
            "did not say why",
        ),
        (
            // SAFETY: as in `answer`.
            |reply| unsafe { ((*reply).workload_failed)(reply, 4, std::ptr::null()) },
            Workload,
            "the workload failed with status 4",
        ),
    ];
    for (act, kind, words) in cases {
        let error = ran(act).unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.to_string().contains(words), "no {words:?} in: {error}");
    }
}

#[test]
fn a_reply_that_is_kept_beyond_its_call_takes_nothing() {
    static KEPT: Mutex<Option<usize>> = Mutex::new(None);
    ran(|reply| {
        *KEPT.lock().unwrap() = Some(reply as usize);
        OK
    })
    .unwrap_err();
    let reply = KEPT.lock().unwrap().unwrap() as *mut Reply;
    assert_eq!(answer(reply, RESULT), FAILED);
    // SAFETY: a null pointer is an error too.
    assert_eq!(unsafe { ((*reply).answer)(std::ptr::null_mut(), RESULT.as_ptr()) }, FAILED);
}

/// What was logged at level `warn`.
#[derive(Default)]
struct Warnings(Mutex<Vec<String>>);

impl HostServices for Warnings {
    fn log(&self, level: log::Level, target: &str, message: &str) {
        assert_eq!((level, target), (log::Level::Warn, "mine"));
        self.0.lock().unwrap().push(message.to_owned());
    }
    fn progress(&self, _progress: Progress) {}
    fn cancelled(&self) -> bool {
        false
    }
    fn clock_nanos(&self) -> u64 {
        7
    }
}

#[test]
fn a_late_answer_does_not_reach_a_later_call_and_is_reported_once() {
    /// During a later run, another thread calls every function of the reply of the run before.
    unsafe extern "C-unwind" fn run(_: BackendPointer, _: *const Run, reply: *mut Reply) -> i32 {
        static KEPT: Mutex<Option<usize>> = Mutex::new(None);
        if let Some(kept) = KEPT.lock().unwrap().replace(reply as usize) {
            let late = std::thread::spawn(move || {
                let kept = kept as *mut Reply;
                // SAFETY: a reply is never freed.
                let failed = unsafe { ((*kept).workload_failed)(kept, 4, std::ptr::null()) };
                [
                    failed,
                    fail(kept, 5, c"late", c""),
                    sink(kept, b"late"),
                    answer(kept, c"{\"results_count\": 9}"),
                ]
            });
            assert_eq!(late.join().unwrap(), [FAILED; 4]);
        }
        sink(reply, b"state");
        answer(reply, RESULT)
    }
    let warnings = Arc::new(Warnings::default());
    let functions: &'static _ = Box::leak(Box::new(functions(run)));
    // SAFETY: a table that is never freed, of functions of this program.
    let made = unsafe { ForeignBackend::create(functions, "mine", warnings.clone(), log::LevelFilter::Warn) };
    let mut backend = made.unwrap();
    for _ in 0..3 {
        let result = backend.run(&WorkloadSpec::new("word_count"), &context()).unwrap();
        assert_eq!((result.sink_state.as_slice(), result.results_count), (b"state".as_slice(), 5));
    }
    let told = warnings.0.lock().unwrap();
    assert!(told.len() == 1 && told[0].contains("run used its reply after it had returned"), "{told:?}");
}

unsafe extern "C-unwind" fn never(_: BackendPointer, _: *const Run, _: *mut Reply) -> i32 {
    FAILED
}

#[test]
fn what_is_absent_is_what_the_trait_does_without() {
    let mut backend = made(functions(never)).unwrap();
    assert_eq!((backend.backend_name(), backend.options().len()), ("mine", 0));
    assert_eq!(backend.is_available(), Availability::Available);
    backend.open(&Session::default()).unwrap();
    let setup = SetupContext::new(Arc::new(Silent), "/data".into(), "/log".into());
    backend.setup(&SetupRequest::default(), &setup).unwrap();
    backend.close().unwrap();
}

#[test]
fn a_table_is_as_large_as_it_says() {
    unsafe extern "C-unwind" fn close(_: BackendPointer, reply: *mut Reply) -> i32 {
        fail(reply, 5, c"it was called", c"")
    }
    let with_close = BackendFunctions { close: Some(close), ..functions(never) };
    assert!(made(with_close).unwrap().close().is_err());
    // What lies beyond the size is not there, whatever it is.
    for part in [0, 1, 7] {
        let smaller = BackendFunctions { size: c_abi::LEAST_SIZE + part, ..with_close };
        made(smaller).unwrap().close().unwrap();
    }
    let larger = BackendFunctions { size: 4096, abi_version: ABI_VERSION + 3, ..with_close };
    assert!(made(larger).unwrap().close().is_err());
    for (size, version, run) in [
        (c_abi::LEAST_SIZE - 1, ABI_VERSION, true),
        (72, 2 << 16, true),
        (72, 0, true),
        (72, ABI_VERSION, false),
    ] {
        let mut bad = BackendFunctions { size, abi_version: version, ..functions(never) };
        bad.run = bad.run.filter(|_| run);
        assert!(made(bad).is_err(), "{size} {version}");
    }
}

#[test]
fn what_create_made_is_handed_to_every_call_and_destroyed_once() {
    static CALLS: Mutex<Vec<(&str, usize)>> = Mutex::new(Vec::new());
    fn note(name: &'static str, backend: BackendPointer) {
        CALLS.lock().unwrap().push((name, backend as usize));
    }
    unsafe extern "C-unwind" fn create(
        host: *const Host,
        backend: *mut BackendPointer,
        _: *mut Reply,
    ) -> i32 {
        // SAFETY: the host lives for the life of the process; `backend` takes one write.
        unsafe {
            assert_eq!(((*host).clock_nanos)(host), 7);
            assert_eq!(((*host).cancelled)(host), 0);
            assert_eq!((*host).log_level, 3);
            ((*host).log)(host, 1, std::ptr::null(), c"said".as_ptr());
            ((*host).progress)(host, 1, 2, std::ptr::null());
            *backend = 5 as BackendPointer;
        }
        OK
    }
    unsafe extern "C-unwind" fn destroy(backend: BackendPointer) {
        note("destroy", backend);
    }
    unsafe extern "C-unwind" fn describe(backend: BackendPointer, reply: *mut Reply) -> i32 {
        note("describe", backend);
        let mut description = example("description");
        description.as_object_mut().unwrap().remove("name");
        let json = description.to_string();
        answer(reply, &std::ffi::CString::new(json).unwrap())
    }
    unsafe extern "C-unwind" fn is_available(backend: BackendPointer, reply: *mut Reply) -> i32 {
        note("is_available", backend);
        fail(reply, 3, c"the engine is not installed", c"crossrun setup mine")
    }
    let table = BackendFunctions {
        create: Some(create),
        destroy: Some(destroy),
        describe: Some(describe),
        is_available: Some(is_available),
        ..functions(never)
    };
    let backend = made(table).unwrap();
    let (name, options, supports) = (backend.backend_name(), backend.options(), backend.supports());
    assert_eq!(json!({"name": name, "options": options, "supports": supports}), example("description"));
    assert_eq!(json!(backend.is_available()), example("availability"));
    drop(backend);
    assert_eq!(*CALLS.lock().unwrap(), [("describe", 5), ("is_available", 5), ("destroy", 5)]);
}

#[test]
fn a_run_is_prepared_if_the_backend_prepares_runs() {
    unsafe extern "C-unwind" fn prepare(_: BackendPointer, run: *const Run, reply: *mut Reply) -> i32 {
        // SAFETY: the host's arguments are good during the call.
        if unsafe { (*run).seed } == 13 { fail(reply, 5, c"it cannot be prepared", c"") } else { OK }
    }
    let prepared = |table: BackendFunctions, seed| {
        let spec = WorkloadSpec { seed, ..WorkloadSpec::new("even_triples") };
        let workload = samples::workload_library().open(&spec).unwrap();
        let context = RunContext::new(workload, Arc::new(Silent), "/data".into(), "/log".into(), None);
        made(table).unwrap().prepare(&spec, &context)
    };
    let table = BackendFunctions { prepare: Some(prepare), ..functions(never) };
    prepared(table, 1).unwrap();
    assert_eq!(prepared(table, 13).unwrap_err().message, "it cannot be prepared");
    prepared(functions(never), 13).unwrap();
    // The table of API 1.0 ends before.
    let size = std::mem::offset_of!(BackendFunctions, prepare) as u32;
    prepared(BackendFunctions { size, ..table }, 13).unwrap();
}

#[test]
fn a_backend_that_cannot_be_made_is_not_destroyed() {
    unsafe extern "C-unwind" fn create(_: *const Host, _: *mut BackendPointer, reply: *mut Reply) -> i32 {
        fail(reply, 5, c"no engine", c"")
    }
    unsafe extern "C-unwind" fn destroy(_: BackendPointer) {
        panic!("there is none");
    }
    let table = BackendFunctions { create: Some(create), destroy: Some(destroy), ..functions(never) };
    assert_eq!(made(table).err().unwrap().message, "no engine");
}

/// Text of the other side.
fn text(text: *const c_char) -> String {
    // SAFETY: the host passes text that ends with a NUL.
    unsafe { CStr::from_ptr(text) }.to_str().unwrap().to_owned()
}

fn options(options: *const NamedOption, count: u32) -> BTreeMap<String, String> {
    // SAFETY: the host passes as many options as it says.
    let options = unsafe { std::slice::from_raw_parts(options, count as usize) };
    options.iter().map(|option| (text(option.name), text(option.value))).collect()
}

#[test]
fn the_fields_of_an_argument_say_what_its_json_says() {
    static GIVEN: Mutex<Vec<Value>> = Mutex::new(Vec::new());
    unsafe extern "C-unwind" fn setup(_: BackendPointer, setup: *const Setup, _: *mut Reply) -> i32 {
        // SAFETY: the host's arguments are good during the call.
        let setup = unsafe { &*setup };
        assert_eq!((setup.size as usize, setup.remove), (size_of::<Setup>(), 0));
        let given = json!({"python": text(setup.python), "remove": setup.remove != 0});
        assert_eq!(given, serde_json::from_str::<Value>(&text(setup.request)).unwrap());
        assert_eq!((text(setup.data_dir), text(setup.log_dir)), ("/data".into(), "/log".into()));
        GIVEN.lock().unwrap().push(given);
        OK
    }
    unsafe extern "C-unwind" fn open(_: BackendPointer, session: *const RawSession, _: *mut Reply) -> i32 {
        // SAFETY: as in `setup`.
        let session = unsafe { &*session };
        let given: Value = serde_json::from_str(&text(session.session)).unwrap();
        assert_eq!((given["parallelism"].clone(), given["nodes"].clone()), (json!(4), json!(1)));
        assert_eq!((session.parallelism, session.nodes), (4, 1));
        assert_eq!(options(session.options, session.option_count)["batch_size"], "64");
        assert_eq!(given["data_dir"], text(session.data_dir));
        assert_eq!(given["log_dir"], text(session.log_dir));
        GIVEN.lock().unwrap().push(given);
        OK
    }
    unsafe extern "C-unwind" fn run(_: BackendPointer, run: *const Run, reply: *mut Reply) -> i32 {
        // SAFETY: as in `setup`.
        let run = unsafe { &*run };
        let given: Value = serde_json::from_str(&text(run.spec)).unwrap();
        let numbers = json!([run.parallelism, run.total_items, run.batch_size, run.seed]);
        assert_eq!(numbers, json!([4, 1000, 64, 42]));
        assert_eq!((run.fusion_off, run.open_loop, run.remaining_nanos), (1, 0, NO_DEADLINE));
        assert_eq!(text(run.workload_name), "word_count");
        assert_eq!(text(run.scheduler_name), "fifo");
        let options = options(run.options, run.option_count);
        assert_eq!((options["skew"].as_str(), options["fusion"].as_str()), ("1.2", "off"));
        // SAFETY: as many stages as it says.
        let stages = unsafe { std::slice::from_raw_parts(run.stages, run.stage_count as usize) };
        assert_eq!(stages, [0, 3, 4, 1, 5]);
        let context: Value = serde_json::from_str(&text(run.context)).unwrap();
        let keys = ["data_dir", "log_dir", "library_path", "library_sha256"].map(|key| context[key].clone());
        assert_eq!(
            keys,
            [run.data_dir, run.log_dir, run.library_path, run.library_sha256].map(|it| json!(text(it)))
        );
        // SAFETY: the host passes the functions of the workload and the workload.
        let functions = unsafe { &*run.functions };
        assert_eq!(functions.size, size_of::<WorkloadFunctions>());
        let mut plan = RawBuffer::EMPTY;
        // SAFETY: as above; the buffer is freed once.
        unsafe {
            assert_eq!((functions.plan)(run.workload, &raw mut plan), 0);
            (functions.buffer_free)(&raw mut plan);
        }
        GIVEN.lock().unwrap().push(given);
        sink(reply, b"x");
        answer(reply, RESULT)
    }
    let table = BackendFunctions { setup: Some(setup), open: Some(open), ..functions(run) };
    let mut backend = made(table).unwrap();
    let setup = SetupContext::new(Arc::new(Silent), "/data".into(), "/log".into());
    backend.setup(&serde_json::from_value(example("setup_request")).unwrap(), &setup).unwrap();
    backend.open(&serde_json::from_value(example("session")).unwrap()).unwrap();
    let mut spec: WorkloadSpec = serde_json::from_value(example("spec")).unwrap();
    spec.extra.insert("fusion".into(), "off".into());
    backend.run(&spec, &context()).unwrap();
    let given = GIVEN.lock().unwrap();
    assert_eq!(given.as_slice(), [example("setup_request"), example("session"), json!(spec)]);
}

#[test]
fn an_option_that_is_not_valid_is_told_before_the_backend_is_asked() {
    let mut spec = WorkloadSpec::new("word_count");
    spec.extra.insert("batch_size".into(), 0.into());
    let error = made(functions(never)).unwrap().run(&spec, &context()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidSpec);
    let named = WorkloadSpec { scheduler_name: "a\0b".into(), ..WorkloadSpec::new("word_count") };
    let error = made(functions(never)).unwrap().run(&named, &context()).unwrap_err();
    assert!(error.message.contains("the scheduler's name has a NUL"), "{error}");
}
