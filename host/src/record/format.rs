//! The records, as the files have them.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::config::Config;
use super::efficiency::ReferenceSample;
use super::environment::SystemProfile;
use super::latency::OpenLoop;
use crate::plugin::PluginRef;
use crate::run::outcome::Status;
use crate::run::session::CallError;
use crate::run::task_graph::TaskGraph;
use crate::run::trial::{Granularity, Phases};
use crate::sandbox::{CpuSource, MemorySource};
use crate::worker::protocol::MachineCheck;

/// The version of the format. New keys do not change it: readers keep what they do not know.
pub(crate) const VERSION: u32 = 1;

/// The columns of the CSV table: the keys of a [`UnifiedRecord`] without its metadata, in the same order.
pub(crate) const COLUMNS: [&str; 15] = [
    "backend",
    "workload",
    "run_id",
    "seed",
    "nodes",
    "parallelism",
    "throughput",
    "latency_p50",
    "latency_p95",
    "latency_p99",
    "success_rate",
    "duration_seconds",
    "timestamp",
    "config_hash",
    "backend_hash",
];

/// The original project's unified record. An absent figure is `null`, never left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnifiedRecord {
    pub backend: String,
    pub workload: String,
    /// The run and the point in it: the same for every backend of that point.
    pub run_id: String,
    /// The seed of the run. The data of a repeated trial may have its own: [`Metadata::data_seed`].
    pub seed: u64,
    /// How many machines executed work.
    pub nodes: u32,
    /// How many operator calls could be in flight.
    pub parallelism: u32,
    /// Output items per second.
    pub throughput: Option<f64>,
    /// Median latency in milliseconds.
    pub latency_p50: Option<f64>,
    /// 95th percentile of latency in milliseconds.
    pub latency_p95: Option<f64>,
    /// 99th percentile of latency in milliseconds.
    pub latency_p99: Option<f64>,
    /// 1 for a verified answer, 0 for anything else.
    pub success_rate: Option<f64>,
    /// Seconds around the run, by the worker's monotonic clock.
    pub duration_seconds: Option<f64>,
    /// When the trial started: ISO 8601, UTC, microseconds.
    pub timestamp: String,
    /// [`Config::hash`] of what was configured.
    pub config_hash: Option<String>,
    /// [`backend_hash`](super::config::backend_hash) of the backend's name.
    pub backend_hash: Option<String>,
    /// Everything else.
    #[serde(default)]
    pub metadata: Metadata,
    /// Keys that another writer added.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// The metadata of a record. Any object can be read, by `read`: a key of another type than here counts as absent, and keys that are not
/// listed here are kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Metadata {
    /// [`VERSION`] of the writer; absent in the original project's records.
    pub format_version: Option<u64>,
    /// The scheduler that was used, or the one that was asked for if nothing ran.
    pub scheduler_name: Option<String>,
    /// How many items reached the sink, as the judge counted.
    pub results_count: Option<u64>,
    /// How many items must reach it, as the oracle computed.
    pub expected_count: Option<u64>,
    /// The answer's checksum, as the judge read it.
    pub checksum: Option<String>,
    /// The checksum that it must have, as the oracle computed.
    pub expected_checksum: Option<String>,
    /// Whether count and checksum are what they must be and no claim contradicts a clock.
    pub verified: Option<bool>,
    /// Input items per second of `duration_seconds`.
    pub input_throughput: Option<f64>,
    /// The latencies of an open loop; absent in a closed loop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_loop: Option<OpenLoop>,
    /// Seconds of the run, as the backend claims.
    pub reported_elapsed: Option<f64>,
    /// Seconds of the run, by the worker's clock, also of a trial that is not verified.
    pub worker_elapsed: Option<f64>,
    /// Seconds from request to reply, by the host's clock.
    pub host_elapsed: Option<f64>,
    /// How many items the source emits.
    pub total_items: Option<u64>,
    /// The graph of tasks that the workload is, and how it was run; absent for other workloads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub graph: Option<TaskGraph>,
    /// Options of workload and backend.
    pub extra: Map<String, Value>,
    /// The seed of this trial's data.
    pub data_seed: Option<u64>,
    /// Whether that seed follows from a number that the user chose; absent if it was drawn, or is the seed of the run.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub data_seed_chosen: bool,
    /// Which repetition this is, from 0; null outside a comparison.
    pub block: Option<u32>,
    /// The configuration whose hash is `config_hash`.
    pub config: Option<Config>,
    pub plugin: Option<Library>,
    pub workload_library: Option<Library>,
    /// Versions: `crossrun`, `plugin_api`, and what the backend reports.
    pub versions: Map<String, Value>,
    pub system_profile: Option<SystemProfile>,
    /// The metrics that the backend reports, unchanged.
    pub raw_metrics: Map<String, Value>,
    pub command: Option<String>,
    /// The command that repeats the whole comparison or sweep of the trial; absent for a single run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full_command: Option<String>,
    /// The readings of the machine check since the session before, in the first measured trial of a session; and the one after
    /// the last session of a block, in its last trial.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub machine_checks: Vec<MachineCheck>,
    /// How the worker was isolated: `process` or `none`.
    pub isolation: Option<String>,
    /// Whether the measurement lock was held, so that no other measurement with the same file ran at the same time.
    pub locked: Option<bool>,
    /// The file of that lock; absent if it was not held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lock_file: Option<String>,
    /// The cores that the backend's whole process tree was kept to; null if it could use all cores that crossrun could.
    pub cores: Option<Vec<usize>>,
    /// The point of a METG sweep; null for any other trial.
    pub metg: Option<Granularity>,
    /// How many METG sweeps the run has; absent for any other trial, and in records of versions that did not say so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sweeps: Option<u64>,
    /// Warnings for the user.
    pub warnings: Vec<String>,
    /// The log with the worker's output.
    pub log: Option<String>,
    /// How long the phases around the run took.
    pub phases: Phases,
    /// The resources that the backend's processes used during the run.
    pub resources: Resources,
    /// CPU seconds that the work takes when it is run serially without a backend; absent where that was not measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference_cpu_seconds: Option<f64>,
    /// How that was sampled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<ReferenceSample>,
    /// `reference_cpu_seconds / (efficiency_cores * duration_seconds)`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub efficiency: Option<f64>,
    /// `(efficiency_cores * duration_seconds - reference_cpu_seconds) / total_items`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overhead_seconds_per_item: Option<f64>,
    /// The number of cores that the backend was given, or else the parallelism, as far as the machine has so many and a quota leaves
    /// them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub efficiency_cores: Option<u32>,
    /// Why the trial is not verified, if it is not.
    pub error: Option<CallError>,
    /// The hash that chains a line of measured trials to the line before it. Set when the line is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain: Option<String>,
    /// Keys that another writer added.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A library that took part.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Library {
    /// Its path. In a path that is not UTF-8, the invalid bytes are replaced.
    pub path: String,
    /// The bytes of the path in hex, if it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_bytes: Option<String>,
    /// SHA-256 of the file, in hex.
    pub sha256: String,
    pub version: Option<String>,
    /// How it was built, by its metadata: compiler, target, optimisation.
    pub build: Map<String, Value>,
    /// The lock file that lists it, if one was in force: then the bytes with this hash ran.
    pub locked_by: Option<String>,
}

impl From<&PluginRef> for Library {
    fn from(plugin: &PluginRef) -> Self {
        Self {
            version: Some(plugin.metadata.version.clone()),
            build: plugin.metadata.build(),
            locked_by: plugin.locked_by.as_ref().map(|path| path.to_string_lossy().into_owned()),
            ..Self::new(&plugin.path, &plugin.sha256)
        }
    }
}

impl Library {
    /// A library of which only the file is known.
    pub fn new(path: &Path, sha256: impl Into<String>) -> Self {
        let path_bytes = path.to_str().is_none().then(|| hex::encode(path.as_os_str().as_bytes()));
        let path = path.to_string_lossy().into_owned();
        Self { path, path_bytes, sha256: sha256.into(), ..Self::default() }
    }

    /// Its path, with its original bytes.
    pub(crate) fn file(&self) -> PathBuf {
        let bytes = self.path_bytes.as_ref().and_then(|bytes| hex::decode(bytes).ok());
        bytes.map_or_else(|| PathBuf::from(&self.path), |bytes| PathBuf::from(OsString::from_vec(bytes)))
    }
}

/// The resources that the processes of a backend used during a run, daemons included; null where they were not observed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// CPU seconds, user and system together.
    pub cpu_seconds: Option<f64>,
    /// The sum of the processes' peaks of resident memory, in bytes.
    pub peak_memory_bytes: Option<u64>,
    /// The same with the pages that processes share counted once, as [`Resources::memory_source`] says; read after the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Whether shared pages could be counted once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_source: Option<MemorySource>,
    /// How the CPU time was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_source: Option<CpuSource>,
    /// CPU seconds from the end of the run before, in the same session, to the start of this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_seconds_between_runs: Option<f64>,
    /// CPU seconds while the run was prepared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_seconds_preparing: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Runs to reach a steady state; no figure of it is used.
    Warmup,
    Measured,
}

/// A line of `trials.jsonl`. The record is nested, so that its keys stay exactly those of a [`UnifiedRecord`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrialRecord {
    pub format_version: u32,
    pub kind: Kind,
    pub status: Status,
    pub record: UnifiedRecord,
    /// The hash that chains the line to the line before it. Set when the line is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<String>,
}

/// A time as records have it: `2026-02-21T03:58:47.134641+00:00`. Of a clock before the year -9999 or after 9999, the first or the last
/// moment that can be written: the order of times stays.
pub(crate) fn timestamp(at: SystemTime) -> String {
    let outside = if at < SystemTime::UNIX_EPOCH { Timestamp::MIN } else { Timestamp::MAX };
    let at = Timestamp::try_from(at).unwrap_or(outside);
    at.strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00").to_string()
}

/// A time of a record without the parts of a second and the zone: `2026-02-21T03:58:47`.
pub(crate) fn to_the_second(time: &str) -> &str {
    time.get(..19).unwrap_or(time)
}

/// What a line holds. The metadata of most lines are those of [`Metadata`]. A line with others is read again, which takes longer, without
/// those members of its metadata whose type is another.
pub(super) fn read<T: DeserializeOwned>(line: &[u8]) -> serde_json::Result<Box<T>> {
    serde_json::from_slice(line).or_else(|error| {
        let tolerant = if error.is_data() { without_unfit(line) } else { None };
        tolerant.ok_or(error)
    })
}

fn without_unfit<T: DeserializeOwned>(line: &[u8]) -> Option<Box<T>> {
    let mut line: Value = serde_json::from_slice(line).ok()?;
    let metadata = match line.get_mut("record") {
        Some(record) => record.get_mut("metadata"),
        None => line.get_mut("metadata"),
    };
    let metadata = metadata?;
    let fit = fitting(metadata.clone());
    if *metadata == fit {
        return None;
    }
    *metadata = fit;
    serde_json::from_value(line).ok()
}

/// The members of an object whose type is the one in [`Metadata`].
fn fitting(value: Value) -> Value {
    let Value::Object(object) = value else { return Value::Object(Map::new()) };
    let fits = |(key, value): &(String, Value)| {
        let alone = Map::from_iter([(key.clone(), value.clone())]);
        Metadata::deserialize(Value::Object(alone)).is_ok()
    };
    object.into_iter().filter(fits).collect()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use serde_json::json;

    use super::*;
    use crate::record::trial::examples;

    /// One line each: verified, wrong, failed. Records of this format must stay readable for good.
    const FORMAT_1: &str = include_str!("../../../tests/fixtures/format_1/trials.jsonl");

    fn every_example() -> [TrialRecord; 3] {
        [examples::verified(), examples::wrong(), examples::failed()]
    }

    #[test]
    fn format_1_is_written_byte_for_byte_and_read_back_with_and_without_its_later_keys() {
        let written = every_example().map(|trial| serde_json::to_string(&trial).unwrap() + "\n");
        assert_eq!(written.concat(), FORMAT_1);
        // Records from before plugins could be locked do not have the key.
        let without_lock = FORMAT_1.replace(",\"locked_by\":null", "");
        assert_ne!(without_lock, FORMAT_1);
        for text in [FORMAT_1, &without_lock] {
            let read = text.lines().map(|line| serde_json::from_str::<TrialRecord>(line).unwrap());
            assert!(read.eq(every_example()));
        }
    }

    #[test]
    fn a_timestamp_has_microseconds_and_an_offset() {
        let at = |nanos| timestamp(UNIX_EPOCH + Duration::from_nanos(nanos));
        assert_eq!(at(1_771_646_327_134_641_999), "2026-02-21T03:58:47.134641+00:00");
        assert_eq!(at(0), "1970-01-01T00:00:00.000000+00:00");
        assert_eq!([to_the_second(&at(0)), to_the_second("ü")], ["1970-01-01T00:00:00", "ü"]);
    }

    fn with_metadata(metadata: Value) -> UnifiedRecord {
        let mut record = serde_json::to_value(examples::verified().record).unwrap();
        record["metadata"] = metadata;
        *read(record.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn metadata_takes_any_object_and_keeps_unknown_keys() {
        let metadata = with_metadata(json!({
            "results_count": 7, "checksum": 5, "extra": null, "phases": [], "block": -1, "theirs": {"a": [1]},
        }))
        .metadata;
        let expected = Metadata {
            results_count: Some(7),
            other: Map::from_iter([("theirs".to_owned(), json!({"a": [1]}))]),
            ..Metadata::default()
        };
        assert_eq!(metadata, expected);
        for nothing in [json!(null), json!({}), json!([1])] {
            assert_eq!(with_metadata(nothing).metadata, Metadata::default());
        }
        // The same in a line that has more than the record.
        let mut trial = serde_json::to_value(examples::verified()).unwrap();
        trial["record"]["metadata"] = json!({"results_count": 7, "checksum": 5});
        let trial: TrialRecord = *read(trial.to_string().as_bytes()).unwrap();
        assert_eq!(trial.record.metadata, Metadata { results_count: Some(7), ..Metadata::default() });
        // What is wrong beside the metadata stays an error.
        assert!(
            read::<TrialRecord>(br#"{"format_version":1,"record":{"metadata":{"checksum":5}}}"#).is_err()
        );
        assert!(read::<UnifiedRecord>(b"{").is_err());
    }

    #[test]
    fn unknown_keys_of_a_record_are_kept() {
        let mut record = serde_json::to_value(examples::verified().record).unwrap();
        record["cluster"] = json!("theirs");
        let read: UnifiedRecord = serde_json::from_value(record.clone()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), record);
    }
}
