//! The messages between host and worker: types only. A message is one frame on the worker's channel: JSON, and for some
//! messages the state of a sink as an attachment.
//!
//! The host sends a [`Request`] and reads messages until one is the answer; progress and log records may come before it.
//! Requests are numbered, and an answer has the number of its request. While a call is under way, any further request cancels it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use plugin_api::workload::GRAPH;
use plugin_api::{GraphShape, Parameter, Progress, RunnerError, Session, SetupRequest, WorkloadSpec};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::plugin::PluginRef;
use crate::sandbox::frame::Frame;
use crate::worker::cheat::Cheat;

/// The version of this protocol. Host and worker are one executable, so that their versions differ only if the file was
/// replaced during a run.
pub const VERSION: u32 = 4;

/// A message on the channel: JSON, and an attachment.
pub(crate) trait Message: Serialize + DeserializeOwned {
    /// The bytes that are not in the JSON; `None` for a message without an attachment.
    fn attachment(&mut self) -> Option<&mut Vec<u8>>;

    /// The frame of this message, which belongs to the request `number`.
    fn into_frame(mut self, number: u64) -> io::Result<Frame> {
        let message = serde_json::to_vec(&Numbered { number, message: &self })?;
        let attachment = self.attachment().map(std::mem::take).unwrap_or_default();
        Ok(Frame { message, attachment })
    }

    /// The message in a frame; `None` if the frame has no message of this type.
    fn from_frame(frame: Frame) -> Option<Self> {
        let mut message: Self = serde_json::from_slice(&frame.message).ok()?;
        match message.attachment() {
            Some(attachment) => *attachment = frame.attachment,
            None if !frame.attachment.is_empty() => return None,
            None => {}
        }
        Some(message)
    }
}

#[derive(Serialize)]
struct Numbered<'a, M> {
    number: u64,
    #[serde(flatten)]
    message: &'a M,
}

/// The number of the request that the message in a frame belongs to; 0 for a frame without one.
pub(crate) fn number_of(frame: &Frame) -> u64 {
    #[derive(Deserialize)]
    struct Number {
        number: u64,
    }
    serde_json::from_slice(&frame.message).map_or(0, |Number { number }| number)
}

impl Message for Request {
    fn attachment(&mut self) -> Option<&mut Vec<u8>> {
        if let Self::Judge { sink_state, .. } = self { Some(sink_state) } else { None }
    }
}

impl Message for Reply {
    fn attachment(&mut self) -> Option<&mut Vec<u8>> {
        if let Self::Finished(finished) = self { Some(&mut finished.sink_state) } else { None }
    }
}

/// A file that inspection found to be a plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LibraryFile {
    #[serde(with = "lossless")]
    pub path: PathBuf,
    /// Its SHA-256 in hex.
    pub sha256: String,
    /// Whether a sealed copy of the file is hashed and loaded, instead of the file itself.
    #[serde(default)]
    pub sealed: bool,
}

impl From<&PluginRef> for LibraryFile {
    fn from(plugin: &PluginRef) -> Self {
        let PluginRef { path, sha256, locked_by, .. } = plugin.clone();
        // Plugins get paths as text. The path of a sealed copy is text, even if that of the file is not UTF-8.
        let sealed = locked_by.is_some() || path.to_str().is_none();
        Self { path, sha256, sealed }
    }
}

/// A workload, and the file of its library.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Work {
    pub spec: WorkloadSpec,
    pub library: LibraryFile,
}

impl Work {
    /// The same in stages: where a graph is to be run by its tasks, a workload refuses the functions of stages.
    pub(super) fn in_stages(&self) -> Self {
        let mut work = self.clone();
        work.spec.granted.retain(|word| word != GRAPH);
        work
    }
}

/// The folders for a plugin's files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folders {
    /// The user's data.
    pub data_dir: PathBuf,
    /// The logs of this session; it exists.
    pub log_dir: PathBuf,
}

/// A run that a runner is asked to prepare, or to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunOrder {
    #[serde(flatten)]
    pub work: Work,
    /// Where the runner may write.
    pub folders: Folders,
    /// After how many seconds the host cancels the call.
    pub timeout_seconds: Option<f64>,
}

/// A request of the host. Its text names the type of the answer, if it has one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Request {
    /// The first message.
    Hello {
        version: u32,
        /// The highest level of log records to send: 0 (off) to 5 (trace).
        log_level: u32,
    },
    /// Load a runner. The answer is [`Loaded`].
    LoadRunner {
        library: LibraryFile,
    },
    /// Use the cheating backend, which is part of this program.
    Cheat {
        cheat: Cheat,
    },
    /// Redirect standard output to a file of its own, separate from the log.
    Redirect {
        /// The file, which is created.
        stdout: PathBuf,
    },
    /// Take a [`ResourceSnapshot`] of the worker's process.
    Snapshot,
    /// Ask the runner for its [`Availability`](plugin_api::Availability).
    Probe,
    /// Let the runner install or remove what it needs.
    Setup {
        request: SetupRequest,
        folders: Folders,
    },
    Open {
        session: Session,
    },
    /// Open the workload, and let the runner prepare its run.
    Prepare(RunOrder),
    Run(RunOrder),
    Close,
    /// List the workloads in a library. The answer is a list of [`CatalogueEntry`](plugin_api::workload::CatalogueEntry).
    Catalogue {
        library: LibraryFile,
    },
    /// Compute the expected [`Outcome`](plugin_api::workload::Outcome).
    Expect(Work),
    /// Give what is [`Planned`] of the workload.
    Plan(Work),
    /// Run a workload serially, without a backend, to its [`Outcome`](plugin_api::workload::Outcome).
    Serial(Work),
    /// Runs a workload serially, and closes what has ended while the input goes on.
    Closing(Work),
    /// Run a workload serially and describe the items that leave a stage. The answer is [`ShownItems`].
    Show {
        #[serde(flatten)]
        work: Work,
        /// The stage; null for the items that must reach the sink.
        stage: Option<usize>,
    },
    /// Find the graph of a workload's tasks: by its edges, or of a plan without a graph by the items of a serial run. The answer is
    /// [`ShownGraph`].
    ShowGraph(Work),
    /// Call a workload's functions with malformed input.
    Malformed {
        /// The workload, and the seed of the input.
        #[serde(flatten)]
        work: Work,
        rounds: u32,
    },
    /// Decode the state of a sink to the [`Outcome`](plugin_api::workload::Outcome).
    Judge {
        #[serde(flatten)]
        work: Work,
        /// The merged state of its sinks.
        #[serde(skip)]
        sink_state: Vec<u8>,
    },
    /// Compute for a moment on every core. The answer is a [`MachineCheck`].
    CheckMachine {
        seconds: f64,
    },
    /// Time calls of a stage on each core, one core after the other. The answer is a [`CallTime`] for each.
    Time {
        #[serde(flatten)]
        work: Work,
        /// The stage, which is a map, a filter or a flat map.
        stage: usize,
        /// The duration for all cores together.
        seconds: f64,
    },
    /// Run a sample of a workload serially, on each core in turn. The answer is a [`Reference`].
    Reference {
        #[serde(flatten)]
        work: Work,
        /// The duration of the sample; with 0 nothing is run.
        seconds: f64,
    },
    /// Stop the call that is under way.
    Cancel,
}

/// A message of a worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Reply {
    /// To [`Request::Hello`]. Its form stays, as a worker of another version gives it too.
    Hello { version: u32 },
    /// To any request but [`Request::Hello`] and [`Request::Run`].
    Done {
        /// What the request asked for, of the type that it names; null where it names none.
        answer: Value,
    },
    /// To [`Request::Run`].
    Finished(Box<Finished>),
    /// To any request that failed.
    Failed {
        error: RunnerError,
        /// Set if the file itself was refused.
        refused: Option<Refusal>,
    },
    /// The progress of the call that is under way.
    Progress(Progress),
    /// A log record of the worker or the plugin.
    Log {
        /// 1 (error) to 5 (trace).
        level: u32,
        target: String,
        message: String,
    },
}

/// Why a file was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// It was built against an ABI that this host does not speak.
    Abi,
    /// It is not the file that was inspected, or is gone.
    Changed,
    /// The dynamic linker refused the file, or it is not a plugin.
    Other,
}

/// What a runner says of itself when it is loaded.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Loaded {
    /// The name that it reports.
    pub reported_name: String,
    /// The keys of `extra` that it reads.
    pub options: Vec<Parameter>,
    /// The words of what it can do beyond the stages of API 1.0.
    #[serde(default)]
    pub supports: Vec<String>,
    /// How long loading took, by the host's clock.
    #[serde(skip)]
    pub took: Duration,
}

impl Reply {
    pub(crate) fn done(answer: impl Serialize) -> Self {
        Self::Done { answer: serde_json::to_value(answer).unwrap_or_default() }
    }
}

/// The items that leave a stage, as objects for people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ShownItems {
    pub stage: usize,
    pub stage_name: String,
    /// One object for each; only the key `hex`, with the item's bytes, if the workload does not describe its items.
    pub items: Vec<Map<String, Value>>,
}

/// What the host must know of the plan of an opened workload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Planned {
    /// `None` for a workload that is no graph of tasks.
    pub graph: Option<PlannedGraph>,
    /// Whether it is an open loop with keyed reductions: their results are due before the input ends, by watermarks.
    pub has_due_results: bool,
}

/// The graph of tasks in a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PlannedGraph {
    pub shape: GraphShape,
    /// Whether a backend that does not run graphs by their tasks can run it in stages.
    pub has_stages: bool,
}

/// The graph of a workload's tasks, by its edges or as its items describe it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ShownGraph {
    /// Step and point of each, in order.
    pub tasks: Vec<(u64, u64)>,
    pub edges: Vec<Edge>,
}

/// From a task to one of the next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Edge {
    pub step: u64,
    pub from: u64,
    pub to: u64,
    /// How often the output is needed.
    pub count: u64,
}

/// The resources of the worker's process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ResourceSnapshot {
    /// The number of threads; null where the system does not say.
    pub threads: Option<u64>,
    /// The names in its folder for temporary files.
    pub temporary: Vec<String>,
    /// How many references to workloads the backend has not given back.
    pub references: u64,
}

/// How fast the machine computes right now, and what makes it noisy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MachineCheck {
    /// Nanoseconds for one iteration of the kernel, on the slowest core.
    pub nanos_per_iteration: f64,
    /// The share of processor time that the hypervisor took away; null where the system does not say.
    pub steal_share: Option<f64>,
    /// How often the check's threads lost their core to another thread.
    pub preemptions: u64,
    /// The share of the last ten seconds in which some task waited for a processor; null where the system does not say.
    pub pressure: Option<f64>,
    /// Whether the last session of a block had just ended; absent before a session.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub after_session: bool,
    /// Whether a session was postponed for it; absent until that is known, and in records of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postponed: Option<bool>,
}

/// How long calls take on one core.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct CallTime {
    /// The median, in seconds: the time of a call without interruptions.
    pub median: f64,
    /// The mean, in seconds: with interruptions.
    pub mean: f64,
}

/// What a workload's library alone takes for a cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reference {
    /// Null for an open loop, and where none was asked for.
    pub sample: Option<SerialSample>,
    /// The seconds of loading the library and opening the workload.
    pub opening_seconds: f64,
    /// When the last item of an open loop is due, in seconds from the start; null in a closed loop.
    pub last_due_seconds: Option<f64>,
}

/// The CPU time of a cell's work, from a sample that was run serially.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SerialSample {
    /// The CPU seconds of the whole input.
    pub cpu_seconds: f64,
    /// What the whole input takes at least: the fastest of several passes, less three standard errors of the sample. A keyed reduction
    /// counts for a fifth, as an engine that partitions before it reduces takes less for it.
    pub least_cpu_seconds: f64,
    /// The part of the operators in that, without source, reductions and sink; from 0 to 1.
    pub operator_share: f64,
    /// The part of the tasks of a graph that are on its longest path: no two of them run at once. 0 for other work.
    #[serde(default)]
    pub path_share: f64,
    /// How long the shortest tasks of a graph are, in relation to all: those on its longest path may be as short. 0 for other work.
    #[serde(default)]
    pub shortest_task: f64,
    /// The CPU seconds of the whole input on the cores that are not slow; 0 where all are alike.
    #[serde(default)]
    pub fast_cpu_seconds: f64,
    /// How many cores these are, where others are slow.
    #[serde(default)]
    pub fast_cores: u64,
    /// How many cores are slow.
    #[serde(default)]
    pub slow_cores: u64,
    /// The number of items that were run; more than the input has if that was run several times.
    pub items: u64,
    /// The number of slices that they were run in.
    pub slices: u64,
    /// The number of cores that had a turn.
    pub cores: u64,
}

/// The result of a run: the runner's claims, and the time by the worker's clock.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Finished {
    /// The claimed name of the backend.
    pub backend: String,
    /// The scheduler that the runner claims to have used.
    pub scheduler_name: String,
    /// The claimed seconds; null if that was not a number.
    pub elapsed_time: Option<f64>,
    /// The claimed number of items.
    pub results_count: u64,
    /// Seconds around the runner's `run`, by the worker's monotonic clock; of an open loop also those before the call.
    pub duration_seconds: f64,
    /// Seconds from the start of an open loop to the call of `run`, 0 if the call came first; absent in a closed loop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun_seconds: Option<f64>,
    /// The merged state of the sinks.
    #[serde(skip)]
    pub sink_state: Vec<u8>,
    /// Values that the runner wants in the record.
    pub metrics: Map<String, Value>,
}

/// A path by its bytes: JSON requires UTF-8 of a text, which a path need not be.
mod lossless {
    use std::ffi::OsString;
    use std::path::{Path, PathBuf};

    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(super) fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
        path.as_os_str().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
        OsString::deserialize(deserializer).map(PathBuf::from)
    }
}
