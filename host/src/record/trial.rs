//! Makes the record of a trial: only a verified trial shows figures.

use std::path::PathBuf;

use plugin_api::workload::Outcome as Answer;
use plugin_api::{API_VERSION, WorkloadSpec};
use serde_json::{Map, Value};

use super::config::{Config, MAX_DEPTH, backend_hash};
use super::efficiency::{Efficiency, ReferenceSample};
use super::environment::SystemProfile;
use super::format::{Kind, Library, Metadata, Resources, TrialRecord, UnifiedRecord, VERSION, timestamp};
use super::latency::OpenLoop;
use super::nodes::nodes;
use crate::plan::Purpose;
use crate::run::executor::log_file;
use crate::run::participants::Participants;
use crate::run::session::Isolation;
use crate::run::trial::{TrialResult, TrialSpec};
use crate::text::word;
use crate::worker::is_deeper;

/// The conditions that all trials of a run have in common.
pub struct Conditions {
    pub participants: Participants,
    pub system_profile: SystemProfile,
    pub isolation: Isolation,
    /// Whether the measurement lock is held, and its file.
    pub locked: bool,
    pub lock_file: Option<String>,
    pub cores: Option<Vec<usize>>,
    /// The folder of the workers' logs.
    pub log_dir: PathBuf,
    pub command: Box<dyn Fn(&TrialSpec) -> String>,
    /// The command that repeats the whole comparison or sweep.
    pub full_command: Option<String>,
    /// Whether the data follow from a number that the user chose for a comparison or a sweep.
    pub data_seed_chosen: bool,
    /// How many sweeps the run has, if it has any.
    pub sweeps: Option<u64>,
}

impl Conditions {
    /// The log of a participant's worker; `None` if it is empty.
    fn log(&self, participant: &str) -> Option<String> {
        let log = log_file(&self.log_dir, participant);
        log.metadata().is_ok_and(|status| status.len() > 0).then(|| log.display().to_string())
    }
}

impl TrialRecord {
    /// The record of a trial. Only a verified trial shows figures; the metadata keeps what was observed of any other.
    pub fn new(conditions: &Conditions, trial: &TrialSpec, mut result: TrialResult) -> Self {
        let (status, error) = (result.outcome.status(), result.outcome.error().cloned());
        let verified = result.outcome.is_verified();
        let spec = &trial.cell.spec;
        let config = Config::new(spec, trial.nodes);
        let metrics = result.finished.as_ref().map(|finished| &finished.metrics);
        // Of a trial without an answer only the number that was asked for is known.
        let (nodes, warning) = metrics.map_or((trial.nodes, None), |metrics| nodes(metrics, trial.nodes));
        result.warnings.extend(warning);
        // Items are due by the clock of this machine. That of a machine of a cluster is another one, also of its only one.
        let open_loop = open_loop(&result, nodes <= 1 && !result.joins_cluster);
        let duration_seconds = finite(result.seconds()).filter(|_| verified);
        let rate = |count: u64| finite(duration_seconds.map(|seconds| count as f64 / seconds));
        let latency = open_loop.as_ref().filter(|_| verified).and_then(|it| it.scheduled.as_ref());
        let record = UnifiedRecord {
            backend: trial.backend.name.clone(),
            workload: spec.name.clone(),
            run_id: trial.cell.run_id.clone(),
            seed: spec.seed,
            nodes,
            parallelism: spec.parallelism,
            throughput: result.actual.as_ref().and_then(|actual| rate(actual.count)),
            latency_p50: latency.and_then(|it| it.p50),
            latency_p95: latency.and_then(|it| it.p95),
            latency_p99: latency.and_then(|it| it.p99),
            success_rate: Some(if verified { 1.0 } else { 0.0 }),
            duration_seconds,
            timestamp: timestamp(result.started),
            config_hash: Some(config.hash()),
            backend_hash: Some(backend_hash(&trial.backend.name)),
            other: Map::new(),
            metadata: Metadata {
                verified: Some(verified),
                input_throughput: rate(spec.total_items),
                open_loop,
                config: Some(config),
                error,
                ..metadata(conditions, trial, result)
            },
        };
        let kind = if trial.purpose == Purpose::Measured { Kind::Measured } else { Kind::Warmup };
        Self { format_version: VERSION, kind, status, record, chain: None }
    }
}

/// The latencies of an open loop. If another machine may have taken part, it has no figures.
fn open_loop(result: &TrialResult, shared_clock: bool) -> Option<OpenLoop> {
    let latency = result.actual.as_ref()?.latency.as_ref()?;
    Some(OpenLoop::new(latency, shared_clock))
}

/// The metadata that do not depend on the outcome.
fn metadata(conditions: &Conditions, trial: &TrialSpec, result: TrialResult) -> Metadata {
    let efficiency = Efficiency::of(&result, trial.cell.spec.total_items, trial.granularity);
    let usage = result.usage;
    let Participants { backends, libraries } = &conditions.participants;
    let WorkloadSpec { name, scheduler_name: asked_for, total_items, extra, .. } = trial.cell.spec.clone();
    let participant = &trial.backend.name;
    let claims = result.finished.as_ref();
    let (reported_elapsed, worker_elapsed) =
        (claims.and_then(|it| it.elapsed_time), claims.map(|it| it.duration_seconds));
    let scheduler_name = claims.map(|it| it.scheduler_name.clone()).unwrap_or(asked_for);
    let mut metrics = result.finished.map(|finished| finished.metrics).unwrap_or_default();
    let mut warnings = result.warnings;
    warnings.extend(remove_deep(&mut metrics));
    let memory = usage.and_then(|usage| usage.used.memory);
    let (results_count, checksum) = count_and_checksum(result.actual);
    let (expected_count, expected_checksum) = count_and_checksum(result.expected);
    Metadata {
        format_version: Some(VERSION.into()),
        scheduler_name: Some(scheduler_name),
        results_count,
        expected_count,
        checksum,
        expected_checksum,
        reported_elapsed: finite(reported_elapsed),
        worker_elapsed: finite(worker_elapsed),
        host_elapsed: finite(result.host_elapsed),
        total_items: Some(total_items),
        graph: result.graph,
        extra,
        data_seed: Some(trial.data_seed),
        data_seed_chosen: conditions.data_seed_chosen,
        block: trial.block,
        plugin: backends.get(participant).map(|it| Library::from(&it.plugin)),
        workload_library: libraries.get(&name).map(Library::from),
        versions: versions(&metrics),
        system_profile: Some(conditions.system_profile.clone()),
        raw_metrics: metrics,
        command: Some((conditions.command)(trial)),
        full_command: conditions.full_command.clone(),
        machine_checks: result.machine_checks,
        isolation: Some(word(conditions.isolation)),
        locked: Some(conditions.locked),
        lock_file: conditions.lock_file.clone(),
        cores: conditions.cores.clone(),
        metg: trial.granularity,
        sweeps: conditions.sweeps,
        warnings,
        log: conditions.log(participant),
        phases: result.phases,
        resources: Resources {
            cpu_seconds: usage.map(|usage| usage.used.cpu_seconds),
            peak_memory_bytes: usage.map(|usage| usage.used.peak_memory_bytes),
            memory_bytes: memory.map(|memory| memory.bytes),
            memory_source: memory.map(|memory| memory.source),
            cpu_source: usage.map(|usage| usage.used.cpu_source),
            cpu_seconds_between_runs: usage.and_then(|usage| usage.cpu_between_runs),
            cpu_seconds_preparing: usage.and_then(|usage| usage.cpu_preparing),
        },
        reference_cpu_seconds: efficiency.reference_cpu_seconds,
        reference: result.reference.and_then(|it| ReferenceSample::new(&it, result.work_checked)),
        efficiency: efficiency.efficiency,
        overhead_seconds_per_item: efficiency.overhead_seconds_per_item,
        efficiency_cores: efficiency.cores,
        ..Metadata::default()
    }
}

fn count_and_checksum(answer: Option<Answer>) -> (Option<u64>, Option<String>) {
    answer.map(|Answer { count, checksum, .. }| (count, checksum)).unzip()
}

/// JSON has no infinity and no NaN, so that such a figure is absent.
fn finite(figure: Option<f64>) -> Option<f64> {
    figure.filter(|figure| figure.is_finite())
}

/// Removes metrics that are nested so deeply that no reader could parse the record, and returns a warning.
fn remove_deep(metrics: &mut Map<String, Value>) -> Option<String> {
    let before = metrics.len();
    metrics.retain(|_, metric| !is_deeper(metric, MAX_DEPTH));
    let left_out = before - metrics.len();
    let message = format!("metrics that are nested deeper than {MAX_DEPTH} levels are left out: {left_out}");
    (left_out > 0).then_some(message)
}

/// The versions that the backend reports. The host's come last, so that no backend can replace them.
fn versions(metrics: &Map<String, Value>) -> Map<String, Value> {
    let mut versions = metrics.get("versions").and_then(Value::as_object).cloned().unwrap_or_default();
    versions.insert("crossrun".into(), env!("CARGO_PKG_VERSION").into());
    versions.insert("plugin_api".into(), API_VERSION.into());
    versions
}

/// Trials for tests.
#[cfg(test)]
pub(crate) mod examples {
    use std::time::{Duration, UNIX_EPOCH};

    use serde_json::json;

    use super::*;
    use crate::plan::{BackendChoice, Cell};
    use crate::run::outcome::Outcome;
    use crate::run::session::{CallError, Fault};
    use crate::run::trial::{Phases, RunUsage};
    use crate::sandbox::Usage;
    use crate::worker::protocol::Finished;

    /// A trial to record.
    #[derive(Clone)]
    pub(crate) struct Example {
        pub(crate) trial: TrialSpec,
        pub(crate) result: TrialResult,
        pub(crate) plugin: Option<Library>,
        pub(crate) workload_library: Option<Library>,
        pub(crate) system_profile: SystemProfile,
        pub(crate) locked: bool,
        pub(crate) command: String,
        pub(crate) log: Option<String>,
    }

    impl Example {
        pub(crate) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
            change(&mut self);
            self
        }

        /// The report of the worker.
        pub(crate) fn finished(&mut self) -> &mut Finished {
            self.result.finished.as_mut().unwrap()
        }

        pub(crate) fn record(self) -> TrialRecord {
            let command = self.command;
            let conditions = Conditions {
                participants: Participants::default(),
                system_profile: self.system_profile,
                isolation: Isolation::Process,
                locked: self.locked,
                lock_file: None,
                cores: None,
                log_dir: PathBuf::new(),
                command: Box::new(move |_| command.clone()),
                full_command: None,
                data_seed_chosen: false,
                sweeps: None,
            };
            let mut record = TrialRecord::new(&conditions, &self.trial, self.result);
            let metadata = &mut record.record.metadata;
            metadata.plugin = self.plugin;
            metadata.workload_library = self.workload_library;
            metadata.log = self.log;
            record
        }
    }

    pub(crate) fn finished(duration_seconds: f64) -> Finished {
        Finished {
            backend: "native".into(),
            scheduler_name: "fifo".into(),
            elapsed_time: Some(0.25),
            results_count: 500,
            duration_seconds,
            begun_seconds: None,
            sink_state: Default::default(),
            metrics: Map::from_iter([("versions".to_owned(), json!({"engine": "9", "crossrun": "forged"}))]),
        }
    }

    pub(crate) fn error(phase: &'static str, fault: Fault, message: &str) -> CallError {
        CallError { phase: phase.into(), fault, message: message.into(), remedy: None }
    }

    pub(crate) fn example(outcome: Outcome) -> Example {
        let mut spec = WorkloadSpec::new("pipeline");
        spec.total_items = 1000;
        spec.parallelism = 4;
        spec.extra.extend([("iters".to_owned(), json!(250)), ("batch_size".to_owned(), json!(16))]);
        let answer = Answer { count: 500, checksum: "00ff".into(), waiting_seconds: None, latency: None };
        // Enough samples for the 95th percentile, and too few for the 99th.
        let latency = Some(crate::record::latency::examples::latency(500, [1.5, 2.5, 3.5]));
        let started = UNIX_EPOCH + Duration::from_micros(1_771_646_327_134_641);
        Example {
            trial: TrialSpec {
                backend: BackendChoice::new("native"),
                cell: Cell { point: "pipeline".into(), run_id: "20260221-035847".into(), spec },
                nodes: 1,
                block: Some(3),
                purpose: Purpose::Measured,
                data_seed: 17_216_961_135_462_248_174,
                granularity: None,
            },
            result: TrialResult {
                expected: Some(answer.clone()),
                actual: Some(Answer { latency, ..answer }),
                finished: Some(finished(0.5)),
                host_elapsed: Some(0.75),
                phases: Phases {
                    load_seconds: Some(0.125),
                    open_seconds: Some(0.0625),
                    prepare_seconds: None,
                    close_seconds: Some(0.5),
                    pause_seconds: None,
                },
                usage: Some(RunUsage {
                    used: Usage { cpu_seconds: 1.25, peak_memory_bytes: 1 << 20, ..Usage::default() },
                    ..RunUsage::default()
                }),
                warnings: vec!["one".into()],
                ..TrialResult::new(started, outcome)
            },
            plugin: Some(Library {
                version: Some("1.2.3".into()),
                build: Map::from_iter([("opt_level".to_owned(), json!("3"))]),
                ..Library::new("plugins/libnative_runner.so".as_ref(), "ab12")
            }),
            workload_library: Some(Library::new("plugins/libstandard_workloads.so".as_ref(), "cd34")),
            system_profile: SystemProfile { hostname: Some("machine".into()), ..SystemProfile::default() },
            locked: true,
            command: "crossrun run --workload pipeline".into(),
            log: Some("logs/native.log".into()),
        }
    }

    /// The record with versions that do not change with those of the project.
    fn recorded(example: Example) -> TrialRecord {
        let mut trial = example.record();
        trial.record.metadata.versions.insert("crossrun".into(), "0.1.0".into());
        trial.record.metadata.versions.insert("plugin_api".into(), "1.0.0".into());
        trial
    }

    pub(crate) fn verified() -> TrialRecord {
        recorded(example(Outcome::Verified))
    }

    pub(crate) fn wrong() -> TrialRecord {
        let why = "499 items reached the sink, but 500 must";
        let outcome = Outcome::Wrong(error("judge", Fault::WrongAnswer, why));
        let answer = Answer { count: 499, checksum: "00fe".into(), waiting_seconds: None, latency: None };
        recorded(example(outcome).with(|example| example.result.actual = Some(answer)))
    }

    pub(crate) fn failed() -> TrialRecord {
        let error = CallError {
            remedy: Some("crossrun run --isolation none".into()),
            ..error("open", Fault::Crashed, "the worker was ended by SIGSEGV")
        };
        let example = example(Outcome::Verified);
        let started = example.result.started;
        recorded(Example { result: TrialResult::new(started, Outcome::Failed(error)), ..example })
    }
}

#[cfg(test)]
mod tests {
    use super::examples::{error, example};
    use super::*;
    use crate::run::outcome::Outcome;
    use crate::run::session::Fault;

    #[test]
    fn a_trial_that_is_not_verified_has_no_figures_and_keeps_what_was_observed() {
        let wrong = Outcome::Wrong(error("judge", Fault::WrongAnswer, "a"));
        let invalid = Outcome::Invalid(error("judge", Fault::LateSource, "b"));
        for (outcome, kind) in [(wrong, "wrong_answer"), (invalid, "invalid_measurement")] {
            let status = outcome.status();
            let trial = example(outcome).record();
            let UnifiedRecord { metadata, .. } = &trial.record;
            assert_eq!(trial.status, status);
            assert_eq!((trial.record.throughput, trial.record.duration_seconds), (None, None));
            assert_eq!((trial.record.latency_p50, metadata.input_throughput), (None, None));
            assert_eq!((trial.record.success_rate, metadata.verified), (Some(0.0), Some(false)));
            assert_eq!((metadata.worker_elapsed, metadata.host_elapsed), (Some(0.5), Some(0.75)));
            assert_eq!(metadata.results_count, Some(500));
            assert_eq!(metadata.error.as_ref().unwrap().fault.label(), kind);
        }
    }

    #[test]
    fn a_figure_that_is_not_finite_is_absent() {
        for (duration, throughput) in
            [(f64::NAN, None), (f64::INFINITY, None), (0.0, None), (0.5, Some(1000.0))]
        {
            let mut example = example(Outcome::Verified);
            example.finished().duration_seconds = duration;
            example.finished().elapsed_time = Some(f64::NAN);
            let TrialRecord { record, .. } = example.record();
            assert_eq!(record.throughput, throughput, "{duration}");
            assert_eq!(record.metadata.reported_elapsed, None);
        }
    }

    #[test]
    fn metrics_that_would_make_the_record_unreadable_are_left_out_with_a_warning() {
        let nested = |depth: usize| (0..depth).fold(Value::from(1), |value, _| vec![value].into());
        let mut example = example(Outcome::Verified);
        example.finished().metrics.insert("deep".into(), nested(120));
        example.finished().metrics.insert("shallow".into(), nested(MAX_DEPTH));
        let trial = example.record();
        let line = serde_json::to_string(&trial).unwrap();
        assert_eq!(serde_json::from_str::<TrialRecord>(&line).unwrap(), trial);
        let metadata = trial.record.metadata;
        assert!(!metadata.raw_metrics.contains_key("deep") && metadata.raw_metrics.contains_key("shallow"));
        assert!(metadata.warnings.iter().any(|warning| warning.contains("deeper than 64")));
    }

    #[test]
    fn nodes_are_the_reported_ones_and_the_configuration_has_those_that_were_asked_for() {
        let asked = || example(Outcome::Verified).with(|example| example.trial.nodes = 3);
        let TrialRecord { record, .. } = asked().record();
        assert_eq!((record.nodes, record.metadata.config.unwrap().nodes), (1, 3));
        assert!(record.metadata.warnings.iter().any(|warning| warning.contains("asked for 3 nodes")));
        let failed = asked().with(|example| example.result.finished = None);
        let TrialRecord { record, .. } = failed.record();
        assert_eq!((record.nodes, record.metadata.warnings), (3, vec!["one".to_owned()]));

        let mut example = example(Outcome::Verified);
        example.finished().metrics.insert("nodes".into(), 3.into());
        let TrialRecord { record, .. } = example.record();
        assert_eq!(record.nodes, 3);
        assert_eq!(record.config_hash, examples::verified().record.config_hash);
        assert_eq!(record.config_hash, record.metadata.config.map(|config| config.hash()));
    }

    #[test]
    fn an_open_loop_on_a_cluster_that_the_user_names_has_no_latency() {
        for joins_cluster in [false, true] {
            let of_cluster =
                example(Outcome::Verified).with(|example| example.result.joins_cluster = joins_cluster);
            let TrialRecord { record, .. } = of_cluster.record();
            let is_shared = record.metadata.open_loop.map(|open_loop| open_loop.shared_clock);
            assert_eq!((is_shared, record.latency_p50.is_some()), (Some(!joins_cluster), !joins_cluster));
        }
    }

    #[test]
    fn a_backend_cannot_replace_the_versions_of_the_host() {
        let versions = example(Outcome::Verified).record().record.metadata.versions;
        assert_eq!(versions["crossrun"], env!("CARGO_PKG_VERSION"));
        assert_eq!(versions["engine"], "9");
    }
}
