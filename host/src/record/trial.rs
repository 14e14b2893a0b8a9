//! From what is known of a trial to its record: which figures it may show, and which it must withhold.

use std::time::SystemTime;

use plugin_api::workload::Outcome;
use plugin_api::{API_VERSION, WorkloadSpec};
use serde_json::{Map, Value};

use super::config::{Config, MAX_DEPTH, backend_hash, is_deeper};
use super::environment::SystemProfile;
use super::format::{
    Failure, Granularity, Kind, Library, Metadata, Phases, Resources, Status, TrialRecord, UnifiedRecord,
    VERSION, timestamp,
};
use super::latency::OpenLoop;

/// What is known of a trial before it starts.
#[derive(Clone, Debug)]
pub struct Conditions {
    /// The backend's name in lower case.
    pub backend: String,
    /// The run and the point in it.
    pub run_id: String,
    /// What was configured. Its seed is the run's.
    pub spec: WorkloadSpec,
    /// The seed of this trial's data: the run's, or one drawn from it for this block.
    pub data_seed: u64,
    /// Which repetition this is, from 0, in a comparison.
    pub block: Option<u32>,
    /// How many machines are asked for.
    pub nodes: u32,
    /// What the trial is for.
    pub kind: Kind,
    /// When it starts.
    pub started: SystemTime,
    /// The backend's library; nothing if there is none to load.
    pub plugin: Option<Library>,
    /// The workload's library.
    pub workload_library: Option<Library>,
    /// The machine.
    pub system_profile: SystemProfile,
    /// The command that runs it again.
    pub command: String,
    /// How the worker is isolated.
    pub isolation: String,
    /// Whether the measurement lock is held.
    pub locked: bool,
    /// The cores that the backend is kept to, if it is.
    pub cores: Option<Vec<usize>>,
    /// How large the tasks are, in a METG sweep.
    pub metg: Option<Granularity>,
    /// Where the worker's output goes.
    pub log: Option<String>,
}

/// What a trial came to.
#[derive(Clone, Debug)]
pub struct Observation {
    /// How it ended.
    pub conclusion: Conclusion,
    /// The scheduler that was used, by the backend's word.
    pub scheduler_name: Option<String>,
    /// What must come out.
    pub expected: Option<Outcome>,
    /// What did, by the judge's word.
    pub actual: Option<Outcome>,
    /// Seconds of the run, by the worker's clock.
    pub duration_seconds: Option<f64>,
    /// Seconds from request to reply, by the host's clock.
    pub host_elapsed: Option<f64>,
    /// Seconds of the run, by the backend's word.
    pub reported_elapsed: Option<f64>,
    /// How long the phases around the run took.
    pub phases: Phases,
    /// What the backend's processes used during the run.
    pub resources: Resources,
    /// What the backend wants recorded. `nodes` and `versions` are read.
    pub metrics: Map<String, Value>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// How a trial ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conclusion {
    /// The answer is right and no claim contradicts a clock.
    Verified,
    /// The answer is wrong: in what.
    Wrong(String),
    /// The answer is right, but the measurement cannot be: why.
    Invalid(String),
    /// There is no answer.
    Failed(Failure),
}

impl Observation {
    /// What is known of a trial that failed before it came to anything.
    pub fn failed(failure: Failure) -> Self {
        Self {
            conclusion: Conclusion::Failed(failure),
            scheduler_name: None,
            expected: None,
            actual: None,
            duration_seconds: None,
            host_elapsed: None,
            reported_elapsed: None,
            phases: Phases::default(),
            resources: Resources::default(),
            metrics: Map::new(),
            warnings: Vec::new(),
        }
    }
}

impl TrialRecord {
    /// The record of a trial. Only a verified one shows figures; of the others, the metadata keeps what was observed.
    pub fn new(conditions: &Conditions, observation: Observation) -> Self {
        let (status, failure) = judged(&observation.conclusion);
        let verified = status == Status::Verified;
        let config = Config::new(&conditions.spec, conditions.nodes);
        let nodes = reported_nodes(&observation.metrics).unwrap_or(conditions.nodes);
        let open_loop = open_loop(&observation, nodes);
        let figures = if verified {
            Figures::of(conditions, &observation, open_loop.as_ref())
        } else {
            Figures::default()
        };
        let [p50, p95, p99] = figures.latency;
        let record = UnifiedRecord {
            backend: conditions.backend.clone(),
            workload: conditions.spec.name.clone(),
            run_id: conditions.run_id.clone(),
            seed: conditions.spec.seed,
            nodes,
            parallelism: conditions.spec.parallelism,
            throughput: figures.throughput,
            latency_p50: p50,
            latency_p95: p95,
            latency_p99: p99,
            success_rate: Some(if verified { 1.0 } else { 0.0 }),
            duration_seconds: figures.duration_seconds,
            timestamp: timestamp(conditions.started),
            config_hash: Some(config.hash()),
            backend_hash: Some(backend_hash(&conditions.backend)),
            other: Map::new(),
            metadata: Metadata {
                verified: Some(verified),
                input_throughput: figures.input_throughput,
                open_loop,
                config: Some(config),
                error: failure,
                ..metadata(conditions, observation)
            },
        };
        Self { format_version: VERSION, kind: conditions.kind, status, record }
    }
}

/// What only a verified trial shows.
#[derive(Default)]
struct Figures {
    throughput: Option<f64>,
    input_throughput: Option<f64>,
    duration_seconds: Option<f64>,
    /// The 50th, 95th and 99th percentile, in milliseconds.
    latency: [Option<f64>; 3],
}

impl Figures {
    fn of(conditions: &Conditions, observation: &Observation, open_loop: Option<&OpenLoop>) -> Self {
        let duration_seconds = finite(observation.duration_seconds);
        let rate = |count: u64| finite(duration_seconds.map(|seconds| count as f64 / seconds));
        let latency = open_loop.and_then(|open_loop| open_loop.scheduled.as_ref());
        let latency = latency.map_or([None; 3], |latency| [latency.p50, latency.p95, latency.p99]);
        Self {
            throughput: observation.actual.as_ref().and_then(|actual| rate(actual.count)),
            input_throughput: rate(conditions.spec.total_items),
            duration_seconds,
            latency,
        }
    }
}

/// How long items took, of which nothing can be said if more than one machine took part.
fn open_loop(observation: &Observation, nodes: u32) -> Option<OpenLoop> {
    let latency = observation.actual.as_ref()?.latency.as_ref()?;
    Some(OpenLoop::new(latency, nodes <= 1))
}

/// The parts of the metadata that hold whatever the verdict.
fn metadata(conditions: &Conditions, observation: Observation) -> Metadata {
    let Observation {
        scheduler_name, expected, actual, mut metrics, mut warnings, phases, resources, ..
    } = observation;
    warnings.extend(without_deep(&mut metrics));
    let (results_count, checksum) = parts(actual);
    let (expected_count, expected_checksum) = parts(expected);
    let WorkloadSpec { scheduler_name: asked_for, total_items, extra, .. } = conditions.spec.clone();
    let Conditions { plugin, workload_library, system_profile, command, isolation, log, cores, .. } =
        conditions.clone();
    Metadata {
        format_version: Some(VERSION),
        scheduler_name: Some(scheduler_name.unwrap_or(asked_for)),
        results_count,
        expected_count,
        checksum,
        expected_checksum,
        reported_elapsed: finite(observation.reported_elapsed),
        worker_elapsed: finite(observation.duration_seconds),
        host_elapsed: finite(observation.host_elapsed),
        total_items: Some(total_items),
        extra,
        data_seed: Some(conditions.data_seed),
        block: conditions.block,
        plugin,
        workload_library,
        versions: versions(&metrics),
        system_profile: Some(system_profile),
        raw_metrics: metrics,
        command: Some(command),
        isolation: Some(isolation),
        locked: Some(conditions.locked),
        cores,
        metg: conditions.metg,
        warnings,
        log,
        phases,
        resources,
        ..Metadata::default()
    }
}

fn judged(conclusion: &Conclusion) -> (Status, Option<Failure>) {
    let by_judge = |kind: &str, message: &String| {
        Some(Failure { phase: "judge".into(), kind: kind.into(), message: message.clone(), remedy: None })
    };
    match conclusion {
        Conclusion::Verified => (Status::Verified, None),
        Conclusion::Wrong(why) => (Status::Wrong, by_judge("wrong_answer", why)),
        Conclusion::Invalid(why) => (Status::Invalid, by_judge("invalid_measurement", why)),
        Conclusion::Failed(failure) => (Status::Failed, Some(failure.clone())),
    }
}

fn parts(outcome: Option<Outcome>) -> (Option<u64>, Option<String>) {
    outcome.map(|Outcome { count, checksum, .. }| (count, checksum)).unzip()
}

/// JSON has no infinity and no NaN: a figure that is none is absent.
fn finite(figure: Option<f64>) -> Option<f64> {
    figure.filter(|figure| figure.is_finite())
}

/// Takes out what is nested so deeply that nobody could read the record, and says so.
fn without_deep(metrics: &mut Map<String, Value>) -> Option<String> {
    let before = metrics.len();
    metrics.retain(|_, metric| !is_deeper(metric, MAX_DEPTH));
    let left_out = before - metrics.len();
    let message = format!("metrics that are nested deeper than {MAX_DEPTH} levels are left out: {left_out}");
    (left_out > 0).then_some(message)
}

fn reported_nodes(metrics: &Map<String, Value>) -> Option<u32> {
    metrics.get("nodes")?.as_u64()?.try_into().ok()
}

/// The host's versions last, so that no backend can speak for the host.
fn versions(metrics: &Map<String, Value>) -> Map<String, Value> {
    let mut versions = metrics.get("versions").and_then(Value::as_object).cloned().unwrap_or_default();
    versions.insert("crossrun".into(), env!("CARGO_PKG_VERSION").into());
    versions.insert("plugin_api".into(), API_VERSION.into());
    versions
}

/// Trials for the tests of this module and its neighbours.
#[cfg(test)]
pub(super) mod examples {
    use std::time::{Duration, UNIX_EPOCH};

    use serde_json::json;

    use super::*;

    pub(crate) fn conditions() -> Conditions {
        let mut spec = WorkloadSpec::new("pipeline");
        spec.total_items = 1000;
        spec.parallelism = 4;
        spec.extra.extend([("iters".to_owned(), json!(250)), ("batch_size".to_owned(), json!(16))]);
        Conditions {
            backend: "native".into(),
            run_id: "20260221-035847".into(),
            spec,
            data_seed: 17_216_961_135_462_248_174,
            block: Some(3),
            nodes: 1,
            kind: Kind::Measured,
            started: UNIX_EPOCH + Duration::from_micros(1_771_646_327_134_641),
            plugin: Some(Library {
                version: Some("1.2.3".into()),
                build: Map::from_iter([("opt_level".to_owned(), json!("3"))]),
                ..Library::new("plugins/libnative_runner.so".as_ref(), "ab12")
            }),
            workload_library: Some(Library::new("plugins/libstandard_workloads.so".as_ref(), "cd34")),
            system_profile: SystemProfile { hostname: Some("machine".into()), ..SystemProfile::default() },
            command: "crossrun run --workload pipeline".into(),
            isolation: "process".into(),
            locked: true,
            cores: None,
            metg: None,
            log: Some("logs/native.log".into()),
        }
    }

    pub(crate) fn observation(conclusion: Conclusion) -> Observation {
        let outcome = Outcome { count: 500, checksum: "00ff".into(), waiting_seconds: None, latency: None };
        // Enough samples for the 95th percentile, and too few for the 99th.
        let latency = Some(crate::record::latency::examples::latency(500, [1.5, 2.5, 3.5]));
        Observation {
            conclusion,
            scheduler_name: Some("fifo".into()),
            expected: Some(outcome.clone()),
            actual: Some(Outcome { latency, ..outcome }),
            duration_seconds: Some(0.5),
            host_elapsed: Some(0.75),
            reported_elapsed: Some(0.25),
            phases: Phases {
                load_seconds: Some(0.125),
                open_seconds: Some(0.0625),
                close_seconds: Some(0.5),
            },
            resources: Resources { cpu_seconds: Some(1.25), peak_memory_bytes: Some(1 << 20) },
            metrics: Map::from_iter([("versions".to_owned(), json!({"engine": "9", "crossrun": "forged"}))]),
            warnings: vec!["one".into()],
        }
    }

    /// The record under versions that do not change with the project's.
    fn recorded(observation: Observation) -> TrialRecord {
        let mut trial = TrialRecord::new(&conditions(), observation);
        trial.record.metadata.versions.insert("crossrun".into(), "0.1.0".into());
        trial.record.metadata.versions.insert("plugin_api".into(), "1.0.0".into());
        trial
    }

    pub(crate) fn verified() -> TrialRecord {
        recorded(observation(Conclusion::Verified))
    }

    pub(crate) fn wrong() -> TrialRecord {
        let mut observation =
            observation(Conclusion::Wrong("499 items reached the sink, but 500 must".into()));
        observation.actual =
            Some(Outcome { count: 499, checksum: "00fe".into(), waiting_seconds: None, latency: None });
        recorded(observation)
    }

    pub(crate) fn failed() -> TrialRecord {
        recorded(Observation::failed(Failure {
            phase: "open".into(),
            kind: "crashed".into(),
            message: "the worker was ended by SIGSEGV".into(),
            remedy: Some("crossrun run --isolation none".into()),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verified_trial_shows_its_figures() {
        let TrialRecord { status, record, .. } = examples::verified();
        assert_eq!(status, Status::Verified);
        assert_eq!((record.throughput, record.duration_seconds), (Some(1000.0), Some(0.5)));
        assert_eq!((record.latency_p50, record.latency_p99), (Some(1.5), None));
        assert_eq!((record.success_rate, record.metadata.input_throughput), (Some(1.0), Some(2000.0)));
        assert_eq!(record.metadata.error, None);
    }

    #[test]
    fn any_other_withholds_them_and_keeps_what_was_observed() {
        let wrong = Conclusion::Wrong("a".into());
        let invalid = Conclusion::Invalid("b".into());
        for (conclusion, status, kind) in
            [(wrong, Status::Wrong, "wrong_answer"), (invalid, Status::Invalid, "invalid_measurement")]
        {
            let trial = TrialRecord::new(&examples::conditions(), examples::observation(conclusion));
            let UnifiedRecord { metadata, .. } = &trial.record;
            assert_eq!(trial.status, status);
            assert_eq!((trial.record.throughput, trial.record.duration_seconds), (None, None));
            assert_eq!((trial.record.latency_p50, metadata.input_throughput), (None, None));
            assert_eq!((trial.record.success_rate, metadata.verified), (Some(0.0), Some(false)));
            assert_eq!((metadata.worker_elapsed, metadata.host_elapsed), (Some(0.5), Some(0.75)));
            assert_eq!(metadata.results_count, Some(500));
            assert_eq!(metadata.error.as_ref().unwrap().kind, kind);
        }
    }

    #[test]
    fn a_failure_is_a_row_that_says_why() {
        let TrialRecord { status, record, .. } = examples::failed();
        assert_eq!((status, record.success_rate, record.throughput), (Status::Failed, Some(0.0), None));
        assert_eq!(record.metadata.results_count, None);
        assert_eq!(record.metadata.error.unwrap().phase, "open");
    }

    #[test]
    fn a_figure_that_is_no_number_is_absent() {
        for (duration, throughput) in
            [(f64::NAN, None), (f64::INFINITY, None), (0.0, None), (0.5, Some(1000.0))]
        {
            let mut observation = examples::observation(Conclusion::Verified);
            observation.duration_seconds = Some(duration);
            observation.reported_elapsed = Some(f64::NAN);
            let TrialRecord { record, .. } = TrialRecord::new(&examples::conditions(), observation);
            assert_eq!(record.throughput, throughput, "{duration}");
            assert_eq!(record.metadata.reported_elapsed, None);
        }
    }

    #[test]
    fn metrics_that_would_make_the_record_unreadable_are_left_out_and_told_of() {
        let nested = |depth: usize| (0..depth).fold(Value::from(1), |value, _| vec![value].into());
        let mut observation = examples::observation(Conclusion::Verified);
        observation.metrics.insert("deep".into(), nested(120));
        observation.metrics.insert("shallow".into(), nested(MAX_DEPTH));
        let trial = TrialRecord::new(&examples::conditions(), observation);
        let line = serde_json::to_string(&trial).unwrap();
        assert_eq!(serde_json::from_str::<TrialRecord>(&line).unwrap(), trial);
        let metadata = trial.record.metadata;
        assert!(!metadata.raw_metrics.contains_key("deep") && metadata.raw_metrics.contains_key("shallow"));
        assert!(metadata.warnings.iter().any(|warning| warning.contains("deeper than 64")));
    }

    #[test]
    fn nodes_are_what_the_engine_reports_but_the_configuration_is_what_was_asked_for() {
        let mut observation = examples::observation(Conclusion::Verified);
        observation.metrics.insert("nodes".into(), 3.into());
        let TrialRecord { record, .. } = TrialRecord::new(&examples::conditions(), observation);
        assert_eq!(record.nodes, 3);
        assert_eq!(record.metadata.config.as_ref().unwrap().nodes, 1);
        assert_eq!(record.config_hash, examples::verified().record.config_hash);
        assert_eq!(record.config_hash, record.metadata.config.map(|config| config.hash()));
    }

    #[test]
    fn blocks_share_seed_and_hash_and_keep_the_seed_of_their_data() {
        let one = TrialRecord::new(&examples::conditions(), examples::observation(Conclusion::Verified));
        let conditions = Conditions { data_seed: 7, block: Some(4), ..examples::conditions() };
        let two = TrialRecord::new(&conditions, examples::observation(Conclusion::Verified));
        assert_eq!((one.record.seed, &one.record.config_hash), (two.record.seed, &two.record.config_hash));
        assert_ne!(one.record.metadata.data_seed, two.record.metadata.data_seed);
    }

    #[test]
    fn a_backend_cannot_speak_for_the_host() {
        let trial = TrialRecord::new(&examples::conditions(), examples::observation(Conclusion::Verified));
        let versions = trial.record.metadata.versions;
        assert_eq!(versions["crossrun"], env!("CARGO_PKG_VERSION"));
        assert_eq!(versions["engine"], "9");
    }
}
