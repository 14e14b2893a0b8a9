//! What host and worker say to each other: types only. A message is one frame on the worker's channel: JSON, and attached to
//! it, where there is one, the state of a sink.
//!
//! The host sends a [`Request`] and reads messages until the one that answers it; progress and log records may come
//! before. While a call is under way, any further request means that it should stop.

use std::path::PathBuf;

use plugin_api::workload::{CatalogueEntry, Outcome};
use plugin_api::{Availability, Parameter, Progress, RunnerError, Session, SetupRequest, WorkloadSpec};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::plugin::PluginRef;
use crate::sandbox::frame::Frame;
use crate::worker::cheating_backend::Cheat;

/// The version of this protocol. Host and worker are one executable, so it only differs when the file was replaced
/// during a run.
pub const VERSION: u32 = 2;

/// What crosses the channel: JSON, and bytes attached to it.
pub(crate) trait Message: Serialize + DeserializeOwned {
    /// The bytes that are not in the JSON.
    fn attachment(&self) -> &[u8];

    /// Where those bytes belong; nothing for a message that has none.
    fn attachment_mut(&mut self) -> Option<&mut Vec<u8>>;

    /// The JSON of the message.
    fn json(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(self)
    }

    /// The message that a frame carries; nothing if it carries none.
    fn of_frame(frame: Frame) -> Option<Self> {
        let mut message: Self = serde_json::from_slice(&frame.message).ok()?;
        match message.attachment_mut() {
            Some(place) => *place = frame.attachment,
            None if !frame.attachment.is_empty() => return None,
            None => {}
        }
        Some(message)
    }
}

impl Message for Request {
    fn attachment(&self) -> &[u8] {
        match self {
            Self::Judge { sink_state, .. } => sink_state,
            _ => &[],
        }
    }

    fn attachment_mut(&mut self) -> Option<&mut Vec<u8>> {
        match self {
            Self::Judge { sink_state, .. } => Some(sink_state),
            _ => None,
        }
    }
}

impl Message for Reply {
    fn attachment(&self) -> &[u8] {
        match self {
            Self::Finished(finished) => &finished.sink_state,
            _ => &[],
        }
    }

    fn attachment_mut(&mut self) -> Option<&mut Vec<u8>> {
        match self {
            Self::Finished(finished) => Some(&mut finished.sink_state),
            _ => None,
        }
    }
}

/// A file that inspection found to be a plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LibraryFile {
    #[serde(with = "lossless")]
    pub path: PathBuf,
    /// Its SHA-256 in hex.
    pub sha256: String,
    /// Whether the bytes that were hashed are the ones to load: a sealed copy of the file.
    #[serde(default)]
    pub sealed: bool,
}

impl From<&PluginRef> for LibraryFile {
    fn from(plugin: &PluginRef) -> Self {
        let PluginRef { path, sha256, locked_by, .. } = plugin.clone();
        // A plugin is told paths as text. A sealed copy has a path that is text, whatever that of the file is.
        let sealed = locked_by.is_some() || path.to_str().is_none();
        Self { path, sha256, sealed }
    }
}

/// Folders that a plugin is told of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folders {
    /// The user's data.
    pub data_dir: PathBuf,
    /// The logs of this session; it exists.
    pub log_dir: PathBuf,
}

/// What the host asks for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Request {
    /// The first message: the host's version, and how much of the log it wants (0 to 5).
    Hello {
        version: u32,
        /// 0 (off) to 5 (trace).
        log_level: u32,
    },
    LoadRunner {
        library: LibraryFile,
    },
    /// Take the backend that cheats, which is part of this program, in place of a file's.
    Cheat {
        cheat: Cheat,
    },
    /// Let standard output lead to a file of its own, so that what is printed there can be told from the rest of the log.
    Redirect {
        /// The file, which is made.
        stdout: PathBuf,
    },
    /// Count what the worker's process has.
    Snapshot,
    /// Ask the runner whether it could start.
    Probe,
    /// Let the runner install or remove what it needs.
    Setup {
        request: SetupRequest,
        folders: Folders,
    },
    Open {
        session: Session,
    },
    Run {
        spec: WorkloadSpec,
        library: LibraryFile,
        /// Where the runner may write.
        folders: Folders,
        /// After how many seconds the host will end it.
        timeout_seconds: Option<f64>,
    },
    Close,
    /// List the workloads in a library.
    Catalogue {
        library: LibraryFile,
    },
    /// Compute what must come out.
    Expect {
        spec: WorkloadSpec,
        library: LibraryFile,
    },
    /// Run a workload in the plainest way that there is, without a backend.
    Serial {
        spec: WorkloadSpec,
        library: LibraryFile,
    },
    /// Give a workload's functions bytes that no backend would give them.
    Malformed {
        /// The workload, and from what seed the bytes are made.
        spec: WorkloadSpec,
        library: LibraryFile,
        /// How many times.
        rounds: u32,
    },
    /// Decode the state of a sink.
    Judge {
        spec: WorkloadSpec,
        library: LibraryFile,
        /// The merged state of its sinks.
        #[serde(skip)]
        sink_state: Vec<u8>,
    },
    /// Compute for a moment on every core.
    Canary {
        seconds: f64,
    },
    /// Time the calls of a stage, one after the other on each core.
    Time {
        spec: WorkloadSpec,
        library: LibraryFile,
        /// The stage, which is a map, a filter or a flat map.
        stage: usize,
        /// For how long in all.
        seconds: f64,
    },
    /// Stop what is under way.
    Cancel,
}

/// What a worker says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Reply {
    Hello {
        version: u32,
    },
    /// To [`Request::LoadRunner`].
    Loaded {
        /// What the runner calls itself.
        name: String,
        /// What it reads from `extra`.
        options: Vec<Parameter>,
    },
    /// To [`Request::Probe`].
    Probed {
        /// Whether it could start.
        availability: Availability,
    },
    /// To [`Request::Redirect`], [`Request::Setup`], [`Request::Open`], [`Request::Malformed`] and [`Request::Close`].
    Done,
    Snapshot(ResourceSnapshot),
    /// To [`Request::Run`].
    Finished(Box<Finished>),
    Catalogue {
        /// The library's workloads.
        entries: Vec<CatalogueEntry>,
    },
    /// To [`Request::Expect`], [`Request::Serial`] and [`Request::Judge`].
    Outcome {
        /// Count and checksum.
        outcome: Outcome,
    },
    Canary(Canary),
    /// To [`Request::Time`].
    Timed {
        cores: Vec<CallTime>,
    },
    /// To any request that failed.
    Failed {
        error: RunnerError,
        /// That the file itself was refused, rather than what it was asked to do, and for what.
        refused: Option<Refusal>,
    },
    /// How far the call under way is.
    Progress(Progress),
    /// A log record of the worker or the plugin.
    Log {
        /// 1 (error) to 5 (trace).
        level: u32,
        target: String,
        message: String,
    },
}

/// For what a file was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// It was built against an ABI that this host does not speak.
    Abi,
    /// Anything else: it cannot be opened, is another file than was inspected, or is no plugin.
    Other,
}

/// What the worker's process has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceSnapshot {
    /// How many threads; null where the system does not say.
    pub threads: Option<u64>,
    /// What is in its folder for temporary files.
    pub temporary: Vec<String>,
}

/// How fast the machine computes right now, and what disturbs it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Canary {
    /// Nanoseconds for one iteration of the busy kernel, on the slowest core.
    pub nanos_per_iteration: f64,
    /// The share of processor time that the hypervisor took away; null where the system does not say.
    pub steal_share: Option<f64>,
    /// How often the canary's threads lost their core to another.
    pub preemptions: u64,
    /// The share of the last ten seconds in which some task waited for a processor; null where the system does not say.
    pub pressure: Option<f64>,
}

/// How long calls take on one core.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallTime {
    /// The median, in seconds: what a call takes when nothing comes between.
    pub median: f64,
    /// The mean, in seconds: with what came between.
    pub mean: f64,
}

/// What a run came to, by the runner's word and the worker's clock.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Finished {
    /// The backend's name, by the runner's word.
    pub backend: String,
    /// The scheduler that was used, by the runner's word.
    pub scheduler_name: String,
    /// Seconds by the runner's word; nothing if that was no number.
    pub elapsed_time: Option<f64>,
    /// Items by the runner's word.
    pub results_count: u64,
    /// Seconds around the runner's `run`, by the worker's monotonic clock.
    pub duration_seconds: f64,
    /// The merged state of the sinks.
    #[serde(skip)]
    pub sink_state: Vec<u8>,
    /// Whatever the runner wants recorded.
    pub metrics: Map<String, Value>,
}

/// A path as text, or as its bytes in hex where it is no UTF-8: JSON has no other strings.
mod lossless {
    use std::ffi::OsString;
    use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
    use std::path::{Path, PathBuf};

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Wire {
        Text(String),
        Bytes { hex: String },
    }

    pub(super) fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
        let wire = match path.to_str() {
            Some(text) => Wire::Text(text.to_owned()),
            None => Wire::Bytes { hex: hex::encode(path.as_os_str().as_bytes()) },
        };
        wire.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
        Ok(match Wire::deserialize(deserializer)? {
            Wire::Text(text) => text.into(),
            Wire::Bytes { hex } => OsString::from_vec(hex::decode(hex).map_err(D::Error::custom)?).into(),
        })
    }
}
