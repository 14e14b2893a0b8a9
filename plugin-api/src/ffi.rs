//! The Rust ABI of a backend. This is the only module with types of the ABI crate.
//!
//! It is frozen: fields are only ever added at the end of the two modules below. Everything that may grow crosses as
//! JSON with a schema version. `ABI.md` says what each call means.

// Raw pointers cross here. The ABI crate's derive defines items in odd places and under odd names.
#![allow(unsafe_code, missing_docs, non_local_definitions, non_camel_case_types)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use abi_stable::library::RootModule;
use abi_stable::sabi_types::VersionStrings;
use abi_stable::std_types::{RSlice, RStr, RVec};
use abi_stable::{StableAbi, package_version_strings, prefix_type::PrefixTypeTrait};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::answer::excess;
use crate::result::{ResultWire, RunResult};
use crate::runner::{
    Availability, ErrorKind, HostServices, Progress, RunContext, RunnerError, Session, SetupContext,
    SetupRequest, WorkloadRunner,
};
use crate::spec::WorkloadSpec;
use crate::wire::{ContextWire, border, from_json, to_json};
use crate::workload::capi::panic_message;
use crate::workload::{Parameter, WorkloadHandle};

pub use crate::wire::Description;

/// What the export macro needs of the ABI crate.
pub mod abi {
    pub use abi_stable::library::{__call_root_module_loader, CheckTypeLayout, LibHeader, RootModuleResult};
}

/// What the export macro defines for a plugin.
pub trait Factory: 'static {
    /// Makes the runner.
    fn create() -> Box<dyn WorkloadRunner>;
}

/// A runner as the other side sees it.
pub type RunnerPointer = *mut ();

/// The functions of a runner plugin.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = RunnerModuleRef, prefix_fields = RunnerModulePrefix)))]
pub struct RunnerModule {
    pub create: extern "C" fn(Host) -> Created,
    pub destroy: extern "C" fn(RunnerPointer),
    pub describe: extern "C" fn(RunnerPointer) -> Reply,
    pub is_available: extern "C" fn(RunnerPointer) -> Reply,
    pub setup: extern "C" fn(RunnerPointer, SetupArguments<'_>) -> Reply,
    pub open: extern "C" fn(RunnerPointer, OpenArguments<'_>) -> Reply,
    pub run: extern "C" fn(RunnerPointer, RunArguments<'_>) -> Reply,
    #[sabi(last_prefix_field)]
    pub close: extern "C" fn(RunnerPointer) -> Reply,
    /// For later extensions: the pointer for a name that both sides know, else null.
    pub query_extension: extern "C" fn(RunnerPointer, RStr<'_>) -> *const (),
    pub prepare: extern "C" fn(RunnerPointer, RunArguments<'_>) -> Reply,
}

impl RootModule for RunnerModuleRef {
    abi_stable::declare_root_module_statics! {RunnerModuleRef}
    const BASE_NAME: &'static str = "crossrun_runner";
    const NAME: &'static str = "crossrun_runner";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}

/// What the host does for a plugin.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = HostFunctionsRef, prefix_fields = HostFunctionsPrefix)))]
pub struct HostFunctions {
    pub log: extern "C" fn(HostPointer, LogRecord<'_>),
    pub progress: extern "C" fn(HostPointer, ProgressRecord<'_>),
    #[sabi(last_prefix_field)]
    pub cancelled: extern "C" fn(HostPointer) -> bool,
    pub clock_nanos: extern "C" fn(HostPointer) -> u64,
}

/// The host's own data for its functions.
pub type HostPointer = *const ();

/// The host as a plugin sees it. It lives as long as the process.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct Host {
    pub functions: HostFunctionsRef,
    pub data: HostPointer,
    /// 0 (off) to 5 (trace): the host drops finer log records.
    pub log_level: u32,
}

#[repr(C)]
#[derive(StableAbi)]
pub struct LogRecord<'a> {
    /// 1 (error) to 5 (trace).
    pub level: u32,
    pub target: RStr<'a>,
    pub message: RStr<'a>,
}

#[repr(C)]
#[derive(StableAbi)]
pub struct ProgressRecord<'a> {
    pub done: u64,
    pub total: u64,
    pub message: RStr<'a>,
}

#[repr(C)]
#[derive(StableAbi)]
pub struct Created {
    /// Null if it failed.
    pub runner: RunnerPointer,
    pub reply: Reply,
}

#[repr(C)]
#[derive(StableAbi)]
pub struct SetupArguments<'a> {
    pub request: RSlice<'a, u8>,
    pub context: RSlice<'a, u8>,
}

#[repr(C)]
#[derive(StableAbi)]
pub struct OpenArguments<'a> {
    pub session: RSlice<'a, u8>,
}

#[repr(C)]
#[derive(StableAbi)]
pub struct RunArguments<'a> {
    pub spec: RSlice<'a, u8>,
    pub context: RSlice<'a, u8>,
    /// The function table and the opened workload, of the C ABI.
    pub workload_functions: *const (),
    pub workload: *const (),
}

/// The answer to any call.
#[repr(C)]
#[derive(StableAbi)]
pub struct Reply {
    /// [`OK`] or [`ERROR`].
    pub status: u32,
    /// The answer or the error as JSON; empty if the call has no answer.
    pub json: RVec<u8>,
    /// The state of the sink, after a run.
    pub bytes: RVec<u8>,
}

/// The call succeeded; `json` has the answer.
pub const OK: u32 = 0;
/// The call failed; `json` has the error.
pub const ERROR: u32 = 1;

// ---- The plugin's side ------------------------------------------------------------------------------------------

struct Instance {
    runner: Box<dyn WorkloadRunner>,
    host: Arc<RemoteHost>,
    panicked: Option<String>,
}

/// The root module of a plugin: what [`export_runner!`](crate::export_runner) exports.
pub fn runner_module<F: Factory>() -> RunnerModuleRef {
    RunnerModule {
        create: create::<F>,
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

extern "C" fn create<F: Factory>(host: Host) -> Created {
    let mut runner = std::ptr::null_mut();
    let reply = caught(&mut None, || {
        let host = Arc::new(RemoteHost(host));
        forward_log(&host);
        let instance = Instance { runner: F::create(), host, panicked: None };
        runner = Box::into_raw(Box::new(instance)).cast();
        Ok(())
    });
    Created { runner, reply }
}

extern "C" fn destroy(runner: RunnerPointer) {
    // SAFETY: the pointer came from `create`, and the host gives it up with this call.
    let instance = unsafe { Box::from_raw(runner.cast::<Instance>()) };
    let _ = catch_unwind(AssertUnwindSafe(|| drop(instance)));
}

extern "C" fn describe(runner: RunnerPointer) -> Reply {
    call(runner, |instance| {
        let Instance { runner, .. } = instance;
        let (options, supports) = (runner.options(), runner.supports());
        Ok(Description { name: runner.backend_name().to_owned(), options, supports })
    })
}

extern "C" fn is_available(runner: RunnerPointer) -> Reply {
    let mut answer = Availability::Available;
    let reply = call(runner, |instance| {
        answer = instance.runner.is_available();
        Ok(())
    });
    // The usual answer is empty, so that this call needs no allocation.
    if reply.status != OK || answer.is_available() { reply } else { reply_of(to_json(&answer)) }
}

extern "C" fn setup(runner: RunnerPointer, arguments: SetupArguments<'_>) -> Reply {
    call(runner, |Instance { runner, host, .. }| {
        let request: SetupRequest = from_json(&arguments.request)?;
        let ContextWire { data_dir, log_dir, .. } = from_json(&arguments.context)?;
        runner.setup(&request, &SetupContext::new(host.clone(), data_dir, log_dir))
    })
}

extern "C" fn open(runner: RunnerPointer, arguments: OpenArguments<'_>) -> Reply {
    call(runner, |instance| {
        let session: Session = from_json(&arguments.session)?;
        instance.runner.open(&session)
    })
}

extern "C" fn run(runner: RunnerPointer, arguments: RunArguments<'_>) -> Reply {
    let mut sink = Vec::new();
    let mut reply = call(runner, |instance| {
        let (spec, context) = run_of(&arguments, &instance.host)?;
        let (wire, bytes) = ResultWire::split(instance.runner.run(&spec, &context)?);
        sink = bytes;
        Ok(wire)
    });
    reply.bytes = sink.into();
    reply
}

extern "C" fn prepare(runner: RunnerPointer, arguments: RunArguments<'_>) -> Reply {
    call(runner, |instance| {
        let (spec, context) = run_of(&arguments, &instance.host)?;
        instance.runner.prepare(&spec, &context)
    })
}

/// The spec and the context in the arguments of `prepare` or `run`.
fn run_of(
    arguments: &RunArguments<'_>,
    host: &Arc<RemoteHost>,
) -> Result<(WorkloadSpec, RunContext), RunnerError> {
    let spec = WorkloadSpec::from_json(&arguments.spec)?;
    let wire: ContextWire = from_json(&arguments.context)?;
    let RunArguments { workload_functions, workload, .. } = arguments;
    // SAFETY: the host passes the table and the workload of a handle that it keeps during this call.
    let workload = unsafe {
        WorkloadHandle::from_raw(
            workload_functions.cast(),
            workload.cast(),
            &wire.library_path,
            &wire.library_sha256,
            &spec,
        )
    }?;
    let remaining = wire.remaining_seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let deadline = remaining.and_then(|remaining| Instant::now().checked_add(remaining));
    Ok((spec, RunContext::new(workload, host.clone(), wire.data_dir, wire.log_dir, deadline)))
}

extern "C" fn close(runner: RunnerPointer) -> Reply {
    call(runner, |instance| instance.runner.close())
}

extern "C" fn query_extension(_runner: RunnerPointer, _name: RStr<'_>) -> *const () {
    std::ptr::null()
}

/// Calls into the runner; its answer, error or panic becomes the reply.
fn call<T: Serialize>(
    runner: RunnerPointer,
    body: impl FnOnce(&mut Instance) -> Result<T, RunnerError>,
) -> Reply {
    // SAFETY: the pointer came from `create`, is not destroyed yet, and the host calls from one thread at a time.
    let Some(instance) = (unsafe { runner.cast::<Instance>().as_mut() }) else {
        return reply_of(Err(border("names no runner")));
    };
    if let Some(reason) = &instance.panicked {
        let message = format!("the backend panicked in an earlier call: {reason}");
        return reply_of(Err(RunnerError::new(ErrorKind::Panic, message)));
    }
    let mut panicked = None;
    let reply = caught(&mut panicked, || body(instance));
    instance.panicked = panicked;
    reply
}

/// Runs `body` inside a panic guard: no panic may cross the border.
fn caught<T: Serialize>(
    panicked: &mut Option<String>,
    body: impl FnOnce() -> Result<T, RunnerError>,
) -> Reply {
    let done = catch_unwind(AssertUnwindSafe(|| body().and_then(|answer| answer_json(&answer))));
    reply_of(done.unwrap_or_else(|payload| {
        let reason = panic_message(&*payload);
        *panicked = Some(reason.to_owned());
        let message = format!("the backend panicked: {reason}");
        Err(RunnerError::new(ErrorKind::Panic, message))
    }))
}

/// `()` has no JSON: the answer is empty.
fn answer_json<T: Serialize>(answer: &T) -> Result<Vec<u8>, RunnerError> {
    if size_of::<T>() == 0 { Ok(Vec::new()) } else { to_json(answer) }
}

fn reply_of(answer: Result<Vec<u8>, RunnerError>) -> Reply {
    let (status, json) = match answer {
        Ok(json) => (OK, json),
        // An error is strings only, so it always has JSON.
        Err(error) => (ERROR, to_json(&error).unwrap_or_default()),
    };
    Reply { status, json: json.into(), bytes: RVec::new() }
}

/// The host across the border.
struct RemoteHost(Host);

// SAFETY: the host's functions may be called from any thread, by the contract of `ABI.md`.
unsafe impl Send for RemoteHost {}
// SAFETY: the same.
unsafe impl Sync for RemoteHost {}

impl HostServices for RemoteHost {
    fn log(&self, level: log::Level, target: &str, message: &str) {
        let record = LogRecord { level: level as u32, target: target.into(), message: message.into() };
        (self.0.functions.log())(self.0.data, record);
    }

    fn progress(&self, Progress { done, total, message }: Progress) {
        let record = ProgressRecord { done, total, message: message.as_str().into() };
        (self.0.functions.progress())(self.0.data, record);
    }

    fn cancelled(&self) -> bool {
        (self.0.functions.cancelled())(self.0.data)
    }

    fn clock_nanos(&self) -> u64 {
        match self.0.functions.clock_nanos() {
            Some(clock_nanos) => clock_nanos(self.0.data),
            None => own_clock_nanos(),
        }
    }
}

/// The clock that is used if the host has none.
fn own_clock_nanos() -> u64 {
    static ORIGIN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    ORIGIN.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

/// Forwards this library's own `log` records: its statics are not the host's.
fn forward_log(host: &Arc<RemoteHost>) {
    let levels = log::LevelFilter::iter();
    let level =
        levels.take(host.0.log_level.saturating_add(1) as usize).last().unwrap_or(log::LevelFilter::Off);
    // A second runner of the same library keeps the logger of the first: both have the same host.
    if log::set_boxed_logger(Box::new(ForwardLog(host.clone()))).is_ok() {
        log::set_max_level(level);
    }
}

struct ForwardLog(Arc<RemoteHost>);

impl log::Log for ForwardLog {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            self.0.log(record.level(), record.target(), &record.args().to_string());
        }
    }

    fn flush(&self) {}
}

// ---- The host's side --------------------------------------------------------------------------------------------

/// A runner that another library made, as the trait that its author implemented.
pub struct ForeignRunner {
    module: RunnerModuleRef,
    runner: RunnerPointer,
    description: Description,
}

// SAFETY: `WorkloadRunner: Send` on the other side, so the runner may move between threads.
unsafe impl Send for ForeignRunner {}

impl ForeignRunner {
    /// Makes the runner of a loaded module. The services are never freed, as threads of a plugin may live longer than
    /// its runner.
    ///
    /// # Errors
    /// When the plugin cannot make or describe its runner.
    pub fn create(
        module: RunnerModuleRef,
        host: Arc<dyn HostServices>,
        log_level: log::LevelFilter,
    ) -> Result<Self, RunnerError> {
        let host = Host {
            functions: host_functions(),
            data: std::ptr::from_ref(Box::leak(Box::new(host))).cast(),
            log_level: log_level as u32,
        };
        let Created { runner, reply } = (module.create())(host);
        answer::<()>(reply)?;
        if runner.is_null() {
            return Err(border("has no runner in it"));
        }
        let description = Description { name: String::new(), options: Vec::new(), supports: Vec::new() };
        let mut foreign = Self { module, runner, description };
        foreign.description = answer((module.describe())(runner))?;
        Ok(foreign)
    }
}

impl Drop for ForeignRunner {
    fn drop(&mut self) {
        (self.module.destroy())(self.runner);
    }
}

impl WorkloadRunner for ForeignRunner {
    fn backend_name(&self) -> &str {
        &self.description.name
    }

    fn options(&self) -> Vec<Parameter> {
        self.description.options.clone()
    }

    fn supports(&self) -> Vec<String> {
        self.description.supports.clone()
    }

    fn is_available(&self) -> Availability {
        let reply = (self.module.is_available())(self.runner);
        if reply.status == OK && reply.json.is_empty() {
            return Availability::Available;
        }
        answer(reply).unwrap_or_else(|error: RunnerError| Availability::Unavailable {
            reason: error.message,
            remedy: error.remedy.unwrap_or_default(),
        })
    }

    fn setup(&mut self, request: &SetupRequest, context: &SetupContext) -> Result<(), RunnerError> {
        let request = to_json(request)?;
        let context = to_json(&ContextWire::of_setup(context))?;
        let arguments =
            SetupArguments { request: request.as_slice().into(), context: context.as_slice().into() };
        answer((self.module.setup())(self.runner, arguments))
    }

    fn open(&mut self, session: &Session) -> Result<(), RunnerError> {
        let session = to_json(session)?;
        answer((self.module.open())(self.runner, OpenArguments { session: session.as_slice().into() }))
    }

    fn prepare(&mut self, spec: &WorkloadSpec, context: &RunContext) -> Result<(), RunnerError> {
        match self.module.prepare() {
            Some(prepare) => answer(with_run(spec, context, |run| prepare(self.runner, run))?),
            None => Ok(()),
        }
    }

    fn run(&mut self, spec: &WorkloadSpec, context: &RunContext) -> Result<RunResult, RunnerError> {
        let mut reply = with_run(spec, context, |run| (self.module.run())(self.runner, run))?;
        let sink = std::mem::take(&mut reply.bytes).into_vec();
        answer::<ResultWire>(reply)?.join(sink)
    }

    fn close(&mut self) -> Result<(), RunnerError> {
        answer((self.module.close())(self.runner))
    }
}

/// Calls with the arguments of `prepare` or `run`.
fn with_run(
    spec: &WorkloadSpec,
    context: &RunContext,
    call: impl FnOnce(RunArguments<'_>) -> Reply,
) -> Result<Reply, RunnerError> {
    let (spec, wire) = (spec.to_json(), to_json(&ContextWire::of_run(context))?);
    let (functions, workload) = context.workload().as_raw();
    Ok(call(RunArguments {
        spec: spec.as_slice().into(),
        context: wire.as_slice().into(),
        workload_functions: functions.cast(),
        workload: workload.cast(),
    }))
}

/// The answer in a reply, or its error.
fn answer<T: DeserializeOwned>(reply: Reply) -> Result<T, RunnerError> {
    if let Some(excess) = excess(reply.json.len()) {
        return Err(border(&format!("is too large: it has {excess}")));
    }
    match reply.status {
        OK if reply.json.is_empty() => from_json(b"null"),
        OK => from_json(&reply.json),
        _ => Err(from_json(&reply.json)?),
    }
}

/// The functions through which a plugin reaches an `Arc<dyn HostServices>`.
fn host_functions() -> HostFunctionsRef {
    HostFunctions {
        log: host_log,
        progress: host_progress,
        cancelled: host_cancelled,
        clock_nanos: host_clock,
    }
    .leak_into_prefix()
}

/// # Safety
/// `data` is what [`ForeignRunner::create`] handed out.
unsafe fn services(data: HostPointer) -> &'static dyn HostServices {
    // SAFETY: by this function's contract a leaked box with an `Arc<dyn HostServices>`.
    unsafe { &**data.cast::<Arc<dyn HostServices>>() }
}

extern "C" fn host_log(data: HostPointer, record: LogRecord<'_>) {
    let level = log::Level::iter().nth(record.level.saturating_sub(1) as usize).unwrap_or(log::Level::Trace);
    // SAFETY: a plugin passes back what it was given.
    let host = unsafe { services(data) };
    let _ = catch_unwind(AssertUnwindSafe(|| host.log(level, &record.target, &record.message)));
}

extern "C" fn host_progress(data: HostPointer, record: ProgressRecord<'_>) {
    let ProgressRecord { done, total, message } = record;
    // SAFETY: as in `host_log`.
    let host = unsafe { services(data) };
    let _ =
        catch_unwind(AssertUnwindSafe(|| host.progress(Progress { done, total, message: message.into() })));
}

extern "C" fn host_cancelled(data: HostPointer) -> bool {
    // SAFETY: as in `host_log`.
    let host = unsafe { services(data) };
    catch_unwind(AssertUnwindSafe(|| host.cancelled())).unwrap_or(true)
}

extern "C" fn host_clock(data: HostPointer) -> u64 {
    // SAFETY: as in `host_log`.
    let host = unsafe { services(data) };
    catch_unwind(AssertUnwindSafe(|| host.clock_nanos())).unwrap_or_default()
}
