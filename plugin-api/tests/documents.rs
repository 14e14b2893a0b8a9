//! `ABI.md` and the C header say what the code does.

// The allow-in-tests settings cover functions with `#[test]` only; and the runner of the examples is called as another
// host would call it, through its module.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unsafe_code)]

mod abi_document;
mod samples;
mod silent;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use abi_document::{block, example, example_names, first_column, table, with_unknown_field};
use abi_stable::StableAbi;
use abi_stable::prefix_type::PrefixTypeTrait;
use abi_stable::std_types::{RSlice, RStr, RVec};
use abi_stable::type_layout::TypeLayout;
use plugin_api::ffi::{
    Created, Factory, ForeignRunner, Host, HostFunctions, HostFunctionsRef, HostPointer, LogRecord, OK,
    OpenArguments, ProgressRecord, Reply, RunArguments, RunnerModule, RunnerModuleRef, RunnerPointer,
    SetupArguments, runner_module,
};
use plugin_api::workload::capi::{ABI_VERSION, MAX_PARTITIONS, status};
use plugin_api::workload::{CatalogueEntry, Outcome, Plan};
use plugin_api::{
    Availability, Batch, BatchBuilder, Buffer, Digest, ErrorKind, Parameter, RunContext, RunResult,
    RunnerError, Session, SetupContext, SetupRequest, WorkloadHandle, WorkloadRunner, WorkloadSpec,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use silent::Silent;

const HEADER: &str = include_str!("../include/crossrun_workloads.h");

macro_rules! functions {
    (
        $($(#[$doc:meta])* $name:ident($($argument:ident: $type:ty),* $(,)?) -> $result:ty;)*
        @since 1.1:
        $($(#[$later_doc:meta])* $later:ident($($later_argument:ident: $later_type:ty),* $(,)?) -> $later_result:ty;)*
    ) => {
        /// Every function of the C ABI: name, arguments and result, as Rust has them.
        const FUNCTIONS: &[(&str, &[(&str, &str)], &str)] = &[
            ("abi_version", &[], "u32"),
            ("catalogue", &[("out", "*mut RawBuffer")], "i32"),
            ("open", &[
                ("spec", "*const u8"), ("length", "usize"), ("opened", "*mut *const RawWorkload"),
                ("error", "*mut RawBuffer"),
            ], "i32"),
            $((stringify!($name), &[$((stringify!($argument), stringify!($type))),*], stringify!($result)),)*
            $((
                stringify!($later),
                &[$((stringify!($later_argument), stringify!($later_type))),*],
                stringify!($later_result),
            ),)*
        ];
    };
}

plugin_api::__workload_functions!(functions);

// ---- Lists ------------------------------------------------------------------------------------------------------

#[test]
fn the_document_lists_every_function_in_the_order_of_the_table() {
    let documented = first_column("function | does");
    let exported: Vec<_> = FUNCTIONS.iter().map(|(name, _, _)| *name).collect();
    assert_eq!(documented, exported);
}

#[test]
fn the_header_declares_every_function_with_its_signature() {
    let declared: Vec<_> = declarations().collect();
    let exported: Vec<_> = FUNCTIONS.iter().map(c_declaration).collect();
    assert_eq!(declared, exported);
}

/// The function declarations of the header, in one line each.
fn declarations() -> impl Iterator<Item = String> {
    HEADER.split(';').filter_map(|statement| {
        let start =
            ["\nint32_t ", "\nuint32_t ", "\nvoid "].iter().find_map(|start| statement.rfind(start))?;
        let declaration = statement[start..].split_whitespace().collect::<Vec<_>>().join(" ");
        Some(declaration.replace("( ", "("))
    })
}

fn c_declaration((name, arguments, result): &(&str, &[(&str, &str)], &str)) -> String {
    let arguments: Vec<_> = arguments
        .iter()
        .map(|(name, of)| match c_type(&of.replace("* ", "*")) {
            pointer if pointer.ends_with('*') => format!("{pointer}{name}"),
            value => format!("{value} {name}"),
        })
        .collect();
    let arguments = if arguments.is_empty() { "void".into() } else { arguments.join(", ") };
    format!("{} crossrun_workload_{name}({arguments})", c_type(result))
}

fn c_type(rust: &str) -> &'static str {
    match rust {
        "()" => "void",
        "i32" => "int32_t",
        "u32" => "uint32_t",
        "u64" => "uint64_t",
        "usize" => "size_t",
        "*const u8" => "const uint8_t *",
        "*const *const u8" => "const uint8_t *const *",
        "*mut u8" => "uint8_t *",
        "*const usize" => "const size_t *",
        "*mut usize" => "size_t *",
        "*mut u64" => "uint64_t *",
        "*mut RawBuffer" => "crossrun_buffer *",
        "*const RawWorkload" => "const crossrun_workload *",
        "*mut *const RawWorkload" => "const crossrun_workload **",
        "*mut RawState" => "crossrun_state *",
        "*mut *mut RawState" => "crossrun_state **",
        other => panic!("{other} has no type in C"),
    }
}

#[test]
fn statuses_are_the_same_in_the_document_the_header_and_the_code() {
    let codes = [
        ("OK", status::OK),
        ("ARGUMENT", status::ARGUMENT),
        ("MALFORMED", status::MALFORMED),
        ("SPEC", status::SPEC),
        ("OPERATOR", status::OPERATOR),
        ("PANIC", status::PANIC),
        ("POISONED", status::POISONED),
        ("TOO_LARGE", status::TOO_LARGE),
        ("JUDGE_ONLY", status::JUDGE_ONLY),
    ];
    let documented = table("status | name | meaning");
    assert_eq!(documented.len(), codes.len());
    for ((name, code), row) in codes.iter().zip(&documented) {
        assert_eq!((&row[0], row[1].as_str()), (&code.to_string(), *name));
        assert!(HEADER.contains(&format!("\n    CROSSRUN_{name} = {code}")), "{name} in the header");
    }
    assert_eq!(HEADER.matches("\n    CROSSRUN_").count(), codes.len());
}

#[test]
fn versions_and_limits_are_the_same_everywhere() {
    let versions = table("what | now | stands in | changes when | a reader");
    assert_eq!(versions[0][1], plugin_api::API_VERSION);
    assert_eq!(versions[2][1], format!("{ABI_VERSION:#010x}"));
    assert!(HEADER.contains(&format!("CROSSRUN_WORKLOAD_ABI_VERSION UINT32_C({ABI_VERSION:#010x})")));
    assert!(HEADER.contains(&format!("CROSSRUN_MAX_PARTITIONS UINT32_C({MAX_PARTITIONS})")));
}

#[test]
fn error_kinds_are_those_of_the_code() {
    for kind in first_column("kind | meaning") {
        let read: ErrorKind = serde_json::from_value(json!(kind)).unwrap();
        assert_eq!(json!(read), json!(kind));
    }
    assert_eq!(first_column("kind | meaning").len(), 9);
}

/// The functions of a module, by the layout of a reference to it.
fn module_functions(reference: &'static TypeLayout) -> Vec<&'static str> {
    let module = reference.phantom_fields().get(0).unwrap().layout();
    assert!(module.is_prefix_kind(), "{} can grow at its end", module.name());
    module.get_fields().unwrap().iter().map(|field| field.name()).collect()
}

#[test]
fn the_modules_functions_are_listed_in_their_order() {
    let runner = first_column("function | trait method | given | answers with | when");
    assert_eq!(runner, module_functions(<RunnerModuleRef as StableAbi>::LAYOUT));
    let host = first_column("function | in Rust | meaning");
    assert_eq!(host, module_functions(<HostFunctionsRef as StableAbi>::LAYOUT));
}

#[test]
fn the_example_of_the_metadata_has_every_key_once() {
    let text = block("text metadata");
    let keys: Vec<_> = text.lines().filter_map(|line| line.split_once('=')).map(|(key, _)| key).collect();
    assert_eq!(keys, first_column("key | meaning"));
}

// ---- Examples ---------------------------------------------------------------------------------------------------

#[test]
fn the_bytes_of_the_example_are_the_batch_that_it_says() {
    let digits: String = block("hex batch").split_whitespace().collect();
    let bytes: Vec<_> =
        (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect();
    let items = [b"to".as_slice(), b"", b"be!"];
    assert_eq!(bytes.len(), 29);
    assert!(Batch::parse(&bytes).unwrap().iter().eq(items));
    let mut encoded = Vec::new();
    items.into_iter().collect::<BatchBuilder>().encode(&mut encoded).unwrap();
    assert_eq!(encoded, bytes);
}

/// The example is read, and what is written of it has the same fields.
fn assert_round_trip<T: DeserializeOwned + Serialize>(name: &str) {
    let example = example(name);
    let read: T = serde_json::from_value(example.clone()).unwrap();
    assert_eq!(json!(read), example, "{name}");
}

#[test]
fn examples_of_a_workload_librarys_json_are_what_is_read_and_written() {
    assert_round_trip::<WorkloadSpec>("spec");
    assert_round_trip::<Vec<CatalogueEntry>>("catalogue");
    assert_round_trip::<Plan>("plan");
    assert_round_trip::<Outcome>("outcome");
    let mut digest = Digest::default();
    digest.fold_item(b"");
    assert_eq!(json!(Outcome::from(digest)), example("outcome"));
    let entry = with_unknown_field(example("catalogue")[0].clone());
    serde_json::from_value::<CatalogueEntry>(entry).unwrap();
}

#[test]
fn no_example_is_left_untested() {
    let tested = [
        "spec",
        "catalogue",
        "plan",
        "outcome",
        "description",
        "availability",
        "session",
        "setup_request",
        "context",
        "result",
        "error",
    ];
    assert_eq!(example_names(), tested);
}

fn bytes(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).unwrap()
}

fn reply(status: u32, json: Vec<u8>) -> Reply {
    Reply { status, json: json.into(), bytes: RVec::new() }
}

/// A plugin that is nothing but the examples: it answers with them, and writes down what it is given.
mod plugin_of_examples {
    use super::*;

    pub(super) static GIVEN: Mutex<Vec<(&str, Value)>> = Mutex::new(Vec::new());

    pub(super) fn module() -> RunnerModuleRef {
        RunnerModule {
            create,
            destroy,
            describe,
            is_available,
            setup,
            open,
            run,
            close,
            query_extension,
            prepare,
        }
        .leak_into_prefix()
    }

    fn given(name: &'static str, json: &RSlice<'_, u8>) {
        GIVEN.lock().unwrap().push((name, serde_json::from_slice(json).unwrap()));
    }

    fn answer(name: &str) -> Reply {
        reply(OK, bytes(&with_unknown_field(example(name))))
    }

    extern "C" fn create(_host: Host) -> Created {
        static RUNNER: u8 = 0;
        Created { runner: (&raw const RUNNER).cast_mut().cast(), reply: reply(OK, Vec::new()) }
    }

    extern "C" fn destroy(_runner: RunnerPointer) {}

    extern "C" fn describe(_runner: RunnerPointer) -> Reply {
        answer("description")
    }

    extern "C" fn is_available(_runner: RunnerPointer) -> Reply {
        reply(OK, bytes(&example("availability")))
    }

    extern "C" fn setup(_runner: RunnerPointer, arguments: SetupArguments<'_>) -> Reply {
        given("setup_request", &arguments.request);
        reply(OK, Vec::new())
    }

    extern "C" fn open(_runner: RunnerPointer, arguments: OpenArguments<'_>) -> Reply {
        given("session", &arguments.session);
        reply(OK, Vec::new())
    }

    extern "C" fn run(_runner: RunnerPointer, arguments: RunArguments<'_>) -> Reply {
        given("spec", &arguments.spec);
        given("context", &arguments.context);
        Reply { bytes: vec![1, 2, 3].into(), ..answer("result") }
    }

    extern "C" fn prepare(_runner: RunnerPointer, arguments: RunArguments<'_>) -> Reply {
        given("spec", &arguments.spec);
        reply(OK, Vec::new())
    }

    extern "C" fn close(_runner: RunnerPointer) -> Reply {
        reply(plugin_api::ffi::ERROR, bytes(&with_unknown_field(example("error"))))
    }

    extern "C" fn query_extension(_runner: RunnerPointer, _name: RStr<'_>) -> *const () {
        std::ptr::null()
    }
}

fn read<T: DeserializeOwned>(name: &str) -> T {
    serde_json::from_value(example(name)).unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// A workload that was opened, for a run that does not use it.
fn workload() -> WorkloadHandle {
    samples::workload_library().open(&WorkloadSpec::new("word_count")).unwrap()
}

#[test]
fn a_host_reads_a_runners_examples_and_sends_its_own() {
    let module = plugin_of_examples::module();
    let mut runner = ForeignRunner::create(module, Arc::new(Silent), log::LevelFilter::Off).unwrap();
    let description =
        json!({"name": runner.backend_name(), "options": runner.options(), "supports": runner.supports()});
    assert_eq!(description, example("description"));
    assert_eq!(json!(runner.is_available()), example("availability"));
    assert_eq!(json!(Availability::Available), json!("Available"));
    let context = example("context");
    let [data_dir, log_dir] = ["data_dir", "log_dir"].map(|key| PathBuf::from(text(&context[key])));
    let setup = SetupContext::new(Arc::new(Silent), data_dir.clone(), log_dir.clone());
    runner.setup(&read("setup_request"), &setup).unwrap();
    runner.open(&read("session")).unwrap();
    let run = RunContext::new(workload(), Arc::new(Silent), data_dir, log_dir, None);
    let result = runner.run(&read("spec"), &run).unwrap();
    assert_eq!((result.results_count, result.elapsed_time, result.sink_state), (5, 0.25, vec![1, 2, 3]));
    assert_eq!(Value::Object(result.metrics), example("result")["metrics"]);
    assert_eq!(json!(runner.close().unwrap_err()), example("error"));

    let given = plugin_of_examples::GIVEN.lock().unwrap();
    for (name, sent) in given.iter().filter(|(name, _)| *name != "context") {
        assert_eq!(*sent, example(name), "{name}");
    }
    // The library that is linked here has other values, but must have the same fields.
    let (_, sent) = given.iter().find(|(name, _)| *name == "context").unwrap();
    assert!(sent.as_object().unwrap().keys().eq(context.as_object().unwrap().keys()));
    assert_eq!(sent["remaining_seconds"], Value::Null);
}

/// A runner that checks what it is given against the examples.
struct Reader;

impl WorkloadRunner for Reader {
    fn backend_name(&self) -> &str {
        "mine"
    }

    fn is_available(&self) -> Availability {
        serde_json::from_value(example("availability")).unwrap()
    }

    fn options(&self) -> Vec<Parameter> {
        serde_json::from_value(example("description")["options"].clone()).unwrap()
    }

    fn supports(&self) -> Vec<String> {
        serde_json::from_value(example("description")["supports"].clone()).unwrap()
    }

    fn setup(&mut self, request: &SetupRequest, context: &SetupContext) -> Result<(), RunnerError> {
        assert_eq!(json!(request), example("setup_request"));
        assert_eq!(json!(context.data_dir()), example("context")["data_dir"]);
        Ok(())
    }

    fn open(&mut self, session: &Session) -> Result<(), RunnerError> {
        assert_eq!(json!(session), example("session"));
        Ok(())
    }

    fn run(&mut self, spec: &WorkloadSpec, context: &RunContext) -> Result<RunResult, RunnerError> {
        // What is not known is kept.
        assert_eq!(json!(spec), with_unknown_field(example("spec")));
        let (expected, workload) = (example("context"), context.workload());
        assert_eq!(json!(context.log_dir()), expected["log_dir"]);
        assert_eq!(json!(workload.library_path()), expected["library_path"]);
        assert_eq!(json!(workload.library_sha256()), expected["library_sha256"]);
        let remaining = context.remaining().unwrap().as_secs_f64();
        assert!((500.0..=600.0).contains(&remaining), "{remaining}");
        Ok(RunResult::new("mine", spec, 0.25, 5, vec![1]).with_metric("nodes", 1))
    }

    fn close(&mut self) -> Result<(), RunnerError> {
        Err(serde_json::from_value(example("error")).unwrap())
    }
}

struct ReaderFactory;

impl Factory for ReaderFactory {
    fn create() -> Box<dyn WorkloadRunner> {
        Box::new(Reader)
    }
}

/// A host that has only the functions that every host has, and hears nothing.
fn silent_host() -> Host {
    extern "C" fn log(_data: HostPointer, _record: LogRecord<'_>) {}
    extern "C" fn progress(_data: HostPointer, _record: ProgressRecord<'_>) {}
    extern "C" fn cancelled(_data: HostPointer) -> bool {
        false
    }
    extern "C" fn clock_nanos(_data: HostPointer) -> u64 {
        0
    }
    let functions = HostFunctions { log, progress, cancelled, clock_nanos }.leak_into_prefix();
    Host { functions, data: std::ptr::null(), log_level: 0 }
}

fn answered(reply: Reply, status: u32) -> Value {
    assert_eq!(reply.status, status, "{}", String::from_utf8_lossy(&reply.json));
    if reply.json.is_empty() { Value::Null } else { serde_json::from_slice(&reply.json).unwrap() }
}

#[test]
fn a_runner_reads_a_hosts_examples_and_answers_with_its_own() {
    let module = runner_module::<ReaderFactory>();
    let Created { runner, reply } = module.create()(silent_host());
    assert_eq!(answered(reply, OK), Value::Null);
    assert_eq!(answered(module.describe()(runner), OK), example("description"));
    assert_eq!(answered(module.is_available()(runner), OK), example("availability"));

    let given = |name| bytes(&with_unknown_field(example(name)));
    let (request, context, session, spec) =
        (given("setup_request"), given("context"), given("session"), given("spec"));
    let setup = SetupArguments { request: request.as_slice().into(), context: context.as_slice().into() };
    assert_eq!(answered(module.setup()(runner, setup), OK), Value::Null);
    let open = OpenArguments { session: session.as_slice().into() };
    assert_eq!(answered(module.open()(runner, open), OK), Value::Null);
    with_raw_workload(|workload_functions, workload| {
        let (spec, context) = (spec.as_slice().into(), context.as_slice().into());
        let reply = module.run()(runner, RunArguments { spec, context, workload_functions, workload });
        assert_eq!(reply.bytes.as_slice(), [1]);
        assert_eq!(answered(reply, OK), example("result"));
    });
    assert_eq!(answered(module.close()(runner), plugin_api::ffi::ERROR), example("error"));
    assert!(module.query_extension().unwrap()(runner, "anything".into()).is_null());
    module.destroy()(runner);
}

/// Calls `body` with the function table and a workload, as another host has them.
fn with_raw_workload(body: impl FnOnce(*const (), *const ())) {
    let functions: &'static _ = Box::leak(Box::new(samples::functions()));
    let (json, mut workload) = (br#"{"name":"word_count"}"#, std::ptr::null());
    let mut error = plugin_api::workload::capi::RawBuffer::EMPTY;
    // SAFETY: the pointers are to live values; what was opened is closed after its last use, and the buffer freed.
    unsafe {
        assert_eq!((functions.open)(json.as_ptr(), json.len(), &mut workload, &mut error), status::OK);
        body((&raw const *functions).cast(), workload.cast());
        (functions.close)(workload);
        (functions.buffer_free)(&mut error);
    }
}

#[test]
fn a_buffers_item_count_is_the_first_word_of_a_batch() {
    let workload = workload();
    let mut buffer: Buffer = workload.buffer();
    assert_eq!(buffer.item_count(), 0);
    workload.source(0, 10, 2, &mut buffer).unwrap();
    assert_eq!(buffer.item_count(), 20);
}
