//! The C ABI of a backend, `include/crossrun.h`, on the side of the host.
//!
//! `ABI.md` says what each call means. Each struct begins with its size. A field beyond that size is absent, so that all
//! minor versions of one major version work together.

// Raw pointers cross here. The header documents the fields.
#![allow(unsafe_code, missing_docs)]

mod arguments;
mod host;
mod reply;
mod text;
mod types;

use std::sync::Arc;
use std::time::Instant;

use serde::Deserialize;
use serde_json::{Map, Value};

pub use arguments::stage_kind;
pub use reply::error_kind;
pub use types::*;

use self::arguments::{RunCall, SessionCall, SetupCall};
use self::reply::{Answer, Replies};
use crate::result::{ResultWire, RunResult};
use crate::runner::{
    Availability, HostServices, RunContext, RunnerError, Session as OpenSession, SetupContext, SetupRequest,
    WorkloadRunner,
};
use crate::spec::WorkloadSpec;
use crate::wire::{border, from_json};
use crate::workload::Parameter;

/// The one symbol that a backend exports: a [`BackendFunctions`].
pub const SYMBOL: &str = "crossrun_backend";
/// A smaller table has no `run`, and cannot be used.
pub const LEAST_SIZE: u32 = (std::mem::offset_of!(BackendFunctions, run) + size_of::<usize>()) as u32;

/// Whether this side can call a backend that was built with `version`.
pub fn is_compatible(version: u32) -> bool {
    version >> 16 == ABI_VERSION >> 16
}

/// A backend behind the C ABI, which implements the same trait as a backend in Rust.
pub struct ForeignBackend {
    functions: BackendFunctions,
    run: unsafe extern "C-unwind" fn(BackendPointer, *const Run, *mut Reply) -> i32,
    backend: BackendPointer,
    host: &'static Host,
    replies: Replies,
    name: String,
    options: Vec<Parameter>,
    supports: Vec<String>,
}

// SAFETY: by the contract a backend may be called from any thread, one at a time. All other fields are never freed.
unsafe impl Send for ForeignBackend {}

impl ForeignBackend {
    /// Makes the backend of a loaded library whose metadata has this `name`.
    ///
    /// # Errors
    /// When this side cannot call such a table, or the backend cannot be made or described.
    ///
    /// # Safety
    /// `table` must be the address of the symbol [`SYMBOL`] of a library that keeps `ABI.md` and is never unloaded.
    pub unsafe fn create(
        table: *const BackendFunctions,
        name: &str,
        services: Arc<dyn HostServices>,
        log_level: log::LevelFilter,
    ) -> Result<Self, RunnerError> {
        // SAFETY: handed on from the caller.
        let functions = unsafe { read_table(table) }?;
        let run = functions.run.ok_or_else(|| border("has no function `run` in it"))?;
        let host = host::leak(services, name, log_level);
        let (backend, replies) = (std::ptr::null_mut(), Replies::new(host));
        let (name, options, supports) = (name.to_owned(), Vec::new(), Vec::new());
        let mut made = Self { functions, run, backend, host, replies, name, options, supports };
        made.make()?;
        made.describe()?;
        Ok(made)
    }

    fn make(&mut self) -> Result<(), RunnerError> {
        let Some(create) = self.functions.create else { return Ok(()) };
        let mut backend = std::ptr::null_mut();
        // SAFETY: the host is never freed, the reply is valid during the call, and `backend` takes one write.
        let made = self.replies.of("create", |reply| unsafe { create(self.host, &raw mut backend, reply) });
        if made.is_err() {
            // No backend was made, so there is none to destroy.
            self.functions.destroy = None;
        }
        self.backend = backend;
        nothing(made?)
    }

    fn describe(&mut self) -> Result<(), RunnerError> {
        let Answer { json: Some(json), .. } = self.call("describe", self.functions.describe)? else {
            return Ok(());
        };
        let Described { name, options, supports } = from_json(&json)?;
        self.name = name.unwrap_or_else(|| self.name.clone());
        self.options = options;
        self.supports = supports;
        Ok(())
    }

    /// Calls a function without arguments. If it is absent, the answer is empty.
    fn call(
        &self,
        name: &'static str,
        function: Option<unsafe extern "C-unwind" fn(BackendPointer, *mut Reply) -> i32>,
    ) -> Result<Answer, RunnerError> {
        let Some(function) = function else { return Ok(Answer::default()) };
        // SAFETY: the backend is alive, and the reply is valid during the call.
        self.replies.of(name, |reply| unsafe { function(self.backend, reply) })
    }

    /// Calls a function with `arguments`. If it is absent, the answer is empty.
    fn call_with<T>(
        &self,
        name: &'static str,
        function: unsafe extern "C-unwind" fn(BackendPointer, *const T, *mut Reply) -> i32,
        arguments: &T,
    ) -> Result<Answer, RunnerError> {
        // SAFETY: the backend is alive; the arguments, what they point to, and the reply are valid during the call.
        self.replies.of(name, |reply| unsafe { function(self.backend, arguments, reply) })
    }
}

/// Copies the fields of a table that both sides know.
///
/// # Safety
/// As [`ForeignBackend::create`].
unsafe fn read_table(table: *const BackendFunctions) -> Result<BackendFunctions, RunnerError> {
    let mut functions = BackendFunctions::NONE;
    // SAFETY: every table begins with these two fields.
    let (size, version) = unsafe { ((*table).size, (*table).abi_version) };
    if !is_compatible(version) || size < LEAST_SIZE {
        return Err(border(&format!("is a table of {size} bytes, version {}", words(version))));
    }
    let length = (size as usize).min(size_of::<BackendFunctions>());
    // A part of a pointer at the end is no function.
    let length = length - length % size_of::<usize>();
    // SAFETY: by the contract the table has `size` bytes, and no more than the size of ours are copied. Fields beyond them
    // keep their defaults. The fields are integers and pointers to functions, which may be null.
    unsafe {
        std::ptr::copy_nonoverlapping(table.cast::<u8>(), (&raw mut functions).cast::<u8>(), length);
    }
    Ok(functions)
}

/// A version in text.
pub fn words(version: u32) -> String {
    format!("{}.{}", version >> 16, version & 0xffff)
}

/// An empty answer.
fn nothing(Answer { json, .. }: Answer) -> Result<(), RunnerError> {
    json.map_or(Ok(()), |json| from_json(&json))
}

/// The description of a backend in C. Its name may be left out, as the metadata has it.
#[derive(Deserialize)]
struct Described {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    options: Vec<Parameter>,
    #[serde(default)]
    supports: Vec<String>,
}

/// The result of a run. What the host knows by itself may be left out.
#[derive(Deserialize)]
struct Claimed {
    #[serde(default)]
    schema: Option<u32>,
    #[serde(default)]
    backend: Option<String>,
    #[serde(default)]
    scheduler_name: Option<String>,
    #[serde(default)]
    elapsed_time: Option<f64>,
    results_count: u64,
    #[serde(default)]
    metrics: Map<String, Value>,
}

impl Drop for ForeignBackend {
    fn drop(&mut self) {
        if let Some(destroy) = self.functions.destroy {
            // SAFETY: the backend is alive, and is not used afterwards.
            unsafe { destroy(self.backend) };
        }
    }
}

impl WorkloadRunner for ForeignBackend {
    fn backend_name(&self) -> &str {
        &self.name
    }

    fn options(&self) -> Vec<Parameter> {
        self.options.clone()
    }

    fn supports(&self) -> Vec<String> {
        self.supports.clone()
    }

    fn is_available(&self) -> Availability {
        let answered = self.call("is_available", self.functions.is_available);
        let availability = answered.and_then(|answer| match answer.json {
            None => Ok(Availability::Available),
            Some(json) => from_json(&json),
        });
        availability.unwrap_or_else(|error| Availability::Unavailable {
            reason: error.message,
            remedy: error.remedy.unwrap_or_default(),
        })
    }

    fn setup(&mut self, request: &SetupRequest, context: &SetupContext) -> Result<(), RunnerError> {
        let Some(setup) = self.functions.setup else { return Ok(()) };
        let arguments = SetupCall::new(request, context)?;
        nothing(self.call_with("setup", setup, &arguments.raw(self.host))?)
    }

    fn open(&mut self, session: &OpenSession) -> Result<(), RunnerError> {
        let Some(open) = self.functions.open else { return session.demand_one_node(self.backend_name()) };
        let arguments = SessionCall::new(session)?;
        nothing(self.call_with("open", open, &arguments.raw(self.host))?)
    }

    fn prepare(&mut self, spec: &WorkloadSpec, context: &RunContext) -> Result<(), RunnerError> {
        let Some(prepare) = self.functions.prepare else { return Ok(()) };
        let arguments = RunCall::new(spec, context)?;
        nothing(self.call_with("prepare", prepare, &arguments.raw(spec, context, self.host))?)
    }

    fn run(&mut self, spec: &WorkloadSpec, context: &RunContext) -> Result<RunResult, RunnerError> {
        let arguments = RunCall::new(spec, context)?;
        let started = Instant::now();
        let Answer { json, sink } =
            self.call_with("run", self.run, &arguments.raw(spec, context, self.host))?;
        let took = started.elapsed();
        let json = json.ok_or_else(|| border("is missing: the backend's run did not answer"))?;
        let sink =
            sink.ok_or_else(|| border("is missing: the backend's run did not hand over the sink's state"))?;
        let Claimed { schema, backend, scheduler_name, elapsed_time, results_count, metrics } =
            from_json(&json)?;
        let wire = ResultWire {
            schema: schema.unwrap_or(ResultWire::SCHEMA),
            backend: backend.unwrap_or_else(|| self.name.clone()),
            // A backend that names no scheduler did not use the one that was asked for.
            scheduler_name: scheduler_name.unwrap_or_else(|| "default".to_owned()),
            // A backend without a clock of its own claims the time of the call.
            elapsed_time: elapsed_time.or(Some(took.as_secs_f64())),
            results_count,
            metrics,
        };
        wire.join(sink)
    }

    fn close(&mut self) -> Result<(), RunnerError> {
        nothing(self.call("close", self.functions.close)?)
    }
}
