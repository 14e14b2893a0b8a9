//! The arguments of a call of a backend in C: the JSON that every backend gets, and the same values in structs, so that
//! no backend in C needs to parse JSON.

use std::ffi::{CString, c_char};
use std::path::Path;

use serde_json::{Map, Value};

use super::text::owned;
use super::types::{Host, NO_DEADLINE, NamedOption, Run, Session as RawSession, Setup};
use crate::error::RunnerError;
use crate::runner::{RunContext, Session, SetupContext, SetupRequest};
use crate::spec::{Fusion, WorkloadSpec};
use crate::wire::{ContextWire, to_json};
use crate::workload::{GRAPH, GraphShape, Plan, StageKind};

/// The kinds of `CROSSRUN_STAGE_`.
pub fn stage_kind(kind: StageKind) -> u32 {
    match kind {
        StageKind::Source => 0,
        StageKind::Map => 1,
        StageKind::Filter => 2,
        StageKind::FlatMap => 3,
        StageKind::KeyedReduce => 4,
        StageKind::Sink => 5,
    }
}

/// The entries of an `extra`, and the texts that they point to.
struct Options {
    raw: Vec<NamedOption>,
    _texts: Vec<(CString, CString)>,
}

impl Options {
    fn of(extra: &Map<String, Value>) -> Result<Self, RunnerError> {
        let texts =
            extra.iter().map(|(name, value)| Ok((owned(name.as_str(), "an option's name")?, plain(value)?)));
        let texts = texts.collect::<Result<Vec<_>, RunnerError>>()?;
        let raw = texts
            .iter()
            .map(|(name, value)| NamedOption { name: name.as_ptr(), value: value.as_ptr() })
            .collect();
        Ok(Self { raw, _texts: texts })
    }

    fn count(&self) -> u32 {
        self.raw.len() as u32
    }
}

/// The text of a JSON string; the JSON of any other value.
fn plain(value: &Value) -> Result<CString, RunnerError> {
    match value {
        Value::String(text) => owned(text.as_str(), "an option"),
        other => owned(other.to_string(), "an option"),
    }
}

fn path(path: &Path) -> Result<CString, RunnerError> {
    owned(path.as_os_str().as_encoded_bytes(), "a path")
}

/// The arguments of one `setup`. They own what the struct points to.
pub(super) struct SetupCall {
    remove: bool,
    python: Option<CString>,
    data_dir: CString,
    log_dir: CString,
    request: CString,
    context: CString,
}

impl SetupCall {
    pub(super) fn new(request: &SetupRequest, context: &SetupContext) -> Result<Self, RunnerError> {
        Ok(Self {
            remove: request.remove,
            python: request.python.as_deref().map(path).transpose()?,
            data_dir: path(context.data_dir())?,
            log_dir: path(context.log_dir())?,
            request: owned(to_json(request)?, "the request")?,
            context: owned(to_json(&ContextWire::of_setup(context))?, "the context")?,
        })
    }

    pub(super) fn raw(&self, host: &'static Host) -> Setup {
        Setup {
            size: size_of::<Setup>() as u32,
            remove: self.remove.into(),
            python: self.python.as_ref().map_or(std::ptr::null(), |python| python.as_ptr()),
            data_dir: self.data_dir.as_ptr(),
            log_dir: self.log_dir.as_ptr(),
            request: self.request.as_ptr(),
            context: self.context.as_ptr(),
            host,
        }
    }
}

/// The arguments of one `open`.
pub(super) struct SessionCall {
    parallelism: u32,
    nodes: u32,
    options: Options,
    data_dir: CString,
    log_dir: CString,
    session: CString,
}

impl SessionCall {
    pub(super) fn new(session: &Session) -> Result<Self, RunnerError> {
        Ok(Self {
            parallelism: session.parallelism,
            nodes: session.nodes,
            options: Options::of(&session.options)?,
            data_dir: path(&session.data_dir)?,
            log_dir: path(&session.log_dir)?,
            session: owned(to_json(session)?, "the session")?,
        })
    }

    pub(super) fn raw(&self, host: &'static Host) -> RawSession {
        RawSession {
            size: size_of::<RawSession>() as u32,
            parallelism: self.parallelism,
            nodes: self.nodes,
            option_count: self.options.count(),
            options: self.options.raw.as_ptr(),
            data_dir: self.data_dir.as_ptr(),
            log_dir: self.log_dir.as_ptr(),
            session: self.session.as_ptr(),
            host,
        }
    }
}

/// The arguments of one `run`.
pub(super) struct RunCall {
    batch_size: u64,
    fusion_off: bool,
    options: Options,
    stages: Vec<u32>,
    workload_name: CString,
    scheduler_name: CString,
    library_path: CString,
    library_sha256: CString,
    data_dir: CString,
    log_dir: CString,
    spec: CString,
    context: CString,
}

impl RunCall {
    pub(super) fn new(spec: &WorkloadSpec, context: &RunContext) -> Result<Self, RunnerError> {
        let workload = context.workload();
        let Plan { stages, .. } = workload.plan();
        Ok(Self {
            batch_size: spec.batch_size()?,
            fusion_off: spec.fusion()? == Fusion::Off,
            options: Options::of(&spec.extra)?,
            stages: stages.iter().map(|stage| stage_kind(stage.kind)).collect(),
            workload_name: owned(spec.name.as_str(), "the workload's name")?,
            scheduler_name: owned(spec.scheduler_name.as_str(), "the scheduler's name")?,
            library_path: path(workload.library_path())?,
            library_sha256: owned(workload.library_sha256(), "a hash")?,
            data_dir: path(context.data_dir())?,
            log_dir: path(context.log_dir())?,
            spec: owned(spec.to_json(), "the spec")?,
            context: owned(to_json(&ContextWire::of_run(context))?, "the context")?,
        })
    }

    pub(super) fn raw(&self, spec: &WorkloadSpec, context: &RunContext, host: &'static Host) -> Run {
        let workload = context.workload();
        let (functions, opened) = workload.as_raw();
        let graph = workload.plan().graph.filter(|_| spec.is_granted(GRAPH));
        let of_graph = |what: fn(GraphShape) -> u64| graph.map_or(0, what);
        let text = |text: &CString| -> *const c_char { text.as_ptr() };
        Run {
            size: size_of::<Run>() as u32,
            parallelism: spec.parallelism,
            total_items: spec.total_items,
            batch_size: self.batch_size,
            seed: spec.seed,
            remaining_nanos: remaining_nanos(context),
            fusion_off: self.fusion_off.into(),
            open_loop: workload.plan().open_loop.into(),
            stage_count: self.stages.len() as u32,
            option_count: self.options.count(),
            stages: self.stages.as_ptr(),
            options: self.options.raw.as_ptr(),
            workload_name: text(&self.workload_name),
            scheduler_name: text(&self.scheduler_name),
            functions: functions.cast(),
            workload: opened.cast(),
            library_path: text(&self.library_path),
            library_sha256: text(&self.library_sha256),
            data_dir: text(&self.data_dir),
            log_dir: text(&self.log_dir),
            spec: text(&self.spec),
            context: text(&self.context),
            host,
            start_nanos: spec.start_nanos.unwrap_or(0),
            graph_steps: of_graph(|graph| graph.steps),
            graph_width: of_graph(|graph| graph.width),
            graph_output_bytes: of_graph(|graph| graph.output_bytes),
        }
    }
}

fn remaining_nanos(context: &RunContext) -> u64 {
    let remaining = context.remaining().map(|remaining| u64::try_from(remaining.as_nanos()));
    remaining.map_or(NO_DEADLINE, |nanos| nanos.unwrap_or(NO_DEADLINE))
}
