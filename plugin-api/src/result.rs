//! What a backend returns from a run.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{ErrorKind, RunnerError};
use crate::spec::WorkloadSpec;

/// What a runner returns: the sink's merged state, and its own claims.
///
/// The host does not trust it: a judge in another process decodes [`RunResult::sink_state`], and the host compares
/// [`RunResult::elapsed_time`] with its own clock.
#[derive(Clone, Debug, PartialEq)]
pub struct RunResult {
    /// The backend's name.
    pub backend: String,
    /// The scheduler that was used, which need not be the one that was asked for.
    pub scheduler_name: String,
    /// The backend's own measurement of its run, in seconds.
    pub elapsed_time: f64,
    /// How many items the backend says reached the sink.
    pub results_count: u64,
    /// The merged state of all sinks, as [`State::encode`](crate::State::encode) wrote it.
    pub sink_state: Vec<u8>,
    /// Anything that the backend wants to be recorded. The host reads `nodes` (a number) and `warnings` (a list of
    /// strings).
    pub metrics: Map<String, Value>,
}

impl RunResult {
    /// A result of `spec` on `backend` with no metrics.
    pub fn new(
        backend: impl Into<String>,
        spec: &WorkloadSpec,
        elapsed_time: f64,
        results_count: u64,
        sink_state: Vec<u8>,
    ) -> Self {
        Self {
            backend: backend.into(),
            scheduler_name: spec.scheduler_name.clone(),
            elapsed_time,
            results_count,
            sink_state,
            metrics: Map::new(),
        }
    }

    /// Adds one metric.
    #[must_use]
    pub fn with_metric(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.metrics.insert(name.into(), value.into());
        self
    }

    /// Adds a warning to those that the host shows and records.
    #[must_use]
    pub fn with_warning(mut self, warning: impl Into<String>) -> Self {
        let mut warnings = match self.metrics.remove("warnings") {
            Some(Value::Array(warnings)) => warnings,
            _ => Vec::new(),
        };
        warnings.push(Value::String(warning.into()));
        self.with_metric("warnings", warnings)
    }

    /// Sets the scheduler that was used, and adds a warning if `spec` asks for another one.
    #[must_use]
    pub fn with_scheduler(mut self, used: &str, spec: &WorkloadSpec) -> Self {
        self.scheduler_name = used.into();
        if spec.scheduler_name == used {
            return self;
        }
        let (backend, asked) = (&self.backend, &spec.scheduler_name);
        let warning = format!("scheduler {asked:?} is unknown to {backend}; it ran as {used:?}");
        self.with_warning(warning)
    }

    /// Results per second of the claimed time, or nothing when that time is zero or not a number.
    pub fn throughput(&self) -> Option<f64> {
        let rate = self.results_count as f64 / self.elapsed_time;
        rate.is_finite().then_some(rate)
    }

    /// One line for people.
    pub fn summary(&self) -> String {
        let Self { backend, scheduler_name, elapsed_time, results_count, .. } = self;
        let rate = self.throughput().map_or_else(String::new, |rate| format!(" ({rate:.1} results/s)"));
        format!(
            "[{backend}] scheduler={scheduler_name} results={results_count} elapsed={elapsed_time:.3}s{rate}"
        )
    }
}

/// The JSON part of a result; the sink's state crosses beside it as bytes.
#[derive(Serialize, Deserialize)]
pub(crate) struct ResultWire {
    pub(crate) schema: u32,
    pub(crate) backend: String,
    pub(crate) scheduler_name: String,
    /// `null` if the claim was not a finite number.
    pub(crate) elapsed_time: Option<f64>,
    pub(crate) results_count: u64,
    #[serde(default)]
    pub(crate) metrics: Map<String, Value>,
}

impl ResultWire {
    pub(crate) const SCHEMA: u32 = 1;

    pub(crate) fn split(result: RunResult) -> (Self, Vec<u8>) {
        let RunResult { backend, scheduler_name, elapsed_time, results_count, sink_state, metrics } = result;
        let elapsed_time = elapsed_time.is_finite().then_some(elapsed_time);
        (
            Self { schema: Self::SCHEMA, backend, scheduler_name, elapsed_time, results_count, metrics },
            sink_state,
        )
    }

    pub(crate) fn join(self, sink_state: Vec<u8>) -> Result<RunResult, RunnerError> {
        let Self { schema, backend, scheduler_name, elapsed_time, results_count, metrics } = self;
        if schema != Self::SCHEMA {
            let why = format!("the result's schema is {schema}, this side reads {}", Self::SCHEMA);
            return Err(RunnerError::new(ErrorKind::Internal, why));
        }
        let elapsed_time = elapsed_time.unwrap_or(f64::NAN);
        Ok(RunResult { backend, scheduler_name, elapsed_time, results_count, sink_state, metrics })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_is_one_line_with_every_figure() {
        let spec = WorkloadSpec::new("null");
        let result = RunResult::new("native", &spec, 2.5, 500, Vec::new());
        assert_eq!(
            result.summary(),
            "[native] scheduler=default results=500 elapsed=2.500s (200.0 results/s)"
        );
    }

    #[test]
    fn a_rate_without_a_time_is_left_out() {
        let spec = WorkloadSpec::new("null");
        for elapsed in [0.0, f64::NAN] {
            let result = RunResult::new("native", &spec, elapsed, 0, Vec::new());
            assert_eq!(result.throughput(), None);
            assert!(!result.summary().contains("results/s"));
        }
    }

    #[test]
    fn a_scheduler_that_was_not_used_is_not_claimed() {
        let spec = WorkloadSpec { scheduler_name: "fifo".into(), ..WorkloadSpec::new("null") };
        let result = RunResult::new("x", &spec, 1.0, 0, Vec::new()).with_scheduler("default", &spec);
        assert_eq!(result.scheduler_name, "default");
        let warning = "scheduler \"fifo\" is unknown to x; it ran as \"default\"";
        assert_eq!(result.metrics["warnings"], serde_json::json!([warning]));
        let warned = RunResult::new("x", &spec, 1.0, 0, Vec::new()).with_warning("spilled");
        let result = warned.with_scheduler("default", &spec);
        assert_eq!(result.metrics["warnings"], serde_json::json!(["spilled", warning]));
        let spec = WorkloadSpec::new("null");
        let result = RunResult::new("x", &spec, 1.0, 0, Vec::new()).with_scheduler("default", &spec);
        assert!(result.metrics.is_empty());
    }

    #[test]
    fn a_claim_that_is_not_a_number_survives_the_border() {
        let spec = WorkloadSpec::new("null");
        let (wire, sink) = ResultWire::split(RunResult::new("x", &spec, f64::NAN, 1, vec![1]));
        let json = serde_json::to_vec(&wire).unwrap();
        let wire: ResultWire = serde_json::from_slice(&json).unwrap();
        let back = wire.join(sink).unwrap();
        assert!(back.elapsed_time.is_nan());
        assert_eq!(back.sink_state, [1]);
    }

    #[test]
    fn a_result_of_another_schema_is_not_guessed_at() {
        let (mut wire, sink) =
            ResultWire::split(RunResult::new("x", &WorkloadSpec::new("null"), 1.0, 1, Vec::new()));
        wire.schema = 2;
        assert_eq!(wire.join(sink).unwrap_err().message, "the result's schema is 2, this side reads 1");
    }
}
