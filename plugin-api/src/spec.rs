//! The spec of a run: a workload and its settings, without a backend.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{ErrorKind, RunnerError};
use crate::json_error::explain;

/// The schema of the JSON in which a spec crosses the border.
const SCHEMA: u32 = 1;

/// The largest `extra.batch_size`.
pub const MAX_BATCH_SIZE: u64 = 1 << 20;

/// The description of one run, for any backend.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkloadSpec {
    /// The workload's name, as its library lists it.
    pub name: String,
    /// How many items the source emits.
    pub total_items: u64,
    /// The most operator calls at once, over all stages together. At least 1.
    pub parallelism: u32,
    /// A hint: `default`, `fifo`, `load_aware`, or a name that the engine knows.
    pub scheduler_name: String,
    /// The seed of the workload's data.
    pub seed: u64,
    /// Parameters of the workload and options of the backend, as any JSON.
    pub extra: Map<String, Value>,
    /// In an open loop: when the run starts, by [`monotonic_nanos`](crate::monotonic_nanos) of this machine. The host
    /// sets it when it requests the run, so that all processes that take part have the same start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_nanos: Option<u64>,
    /// The words of what the workload needs and the backend supports, which the host writes. See
    /// [`Workload::needs`](crate::Workload::needs).
    #[serde(rename = "use", skip_serializing_if = "Vec::is_empty")]
    pub granted: Vec<String>,
    /// Fields of a later version, which are passed on as they came.
    #[serde(flatten, with = "later_fields")]
    pub later: Map<String, Value>,
}

impl Default for WorkloadSpec {
    fn default() -> Self {
        Self {
            name: String::new(),
            total_items: 10,
            parallelism: 2,
            scheduler_name: "default".into(),
            seed: 42,
            extra: Map::new(),
            start_nanos: None,
            granted: Vec::new(),
            later: Map::new(),
        }
    }
}

/// Whether an engine may run several stages in one task or message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fusion {
    /// As the engine does by default.
    Auto,
    /// One task or message for each stage of each batch, in order to measure the scheduler.
    Off,
}

impl WorkloadSpec {
    /// The defaults of a spec, for the workload `name`.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Whether this word is among those that are [granted](Self::granted).
    pub fn is_granted(&self, word: &str) -> bool {
        self.granted.iter().any(|granted| granted == word)
    }

    /// `extra.batch_size`: how many items a batch has at most. The default is 1.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSpec`] when it is not a whole number from 1 to [`MAX_BATCH_SIZE`].
    pub fn batch_size(&self) -> Result<u64, RunnerError> {
        let Some(value) = self.extra.get("batch_size") else { return Ok(1) };
        value.as_u64().filter(|size| (1..=MAX_BATCH_SIZE).contains(size)).ok_or_else(|| {
            RunnerError::new(
                ErrorKind::InvalidSpec,
                format!("extra.batch_size is {value}, but must be a whole number from 1 to {MAX_BATCH_SIZE}"),
            )
            .with_remedy("--extra batch_size=1024")
        })
    }

    /// `extra.fusion`. The default is `auto`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSpec`] when it is neither `auto` nor `off`.
    pub fn fusion(&self) -> Result<Fusion, RunnerError> {
        match self.extra.get("fusion").map(|value| (value.as_str(), value)) {
            None | Some((Some("auto"), _)) => Ok(Fusion::Auto),
            Some((Some("off"), _)) => Ok(Fusion::Off),
            Some((_, value)) => Err(RunnerError::new(
                ErrorKind::InvalidSpec,
                format!("extra.fusion is {value}, but must be \"auto\" or \"off\""),
            )
            .with_remedy("--extra fusion=auto, or --extra fusion=off")),
        }
    }

    /// This spec as a JSON object, which `ABI.md` describes.
    pub fn to_json(&self) -> Vec<u8> {
        // Strings, integers and JSON values always serialise.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads what [`WorkloadSpec::to_json`] wrote. Absent fields take their defaults and unknown fields are kept, so that
    /// hosts and plugins of different minor versions work together.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSpec`] when the bytes are not such an object, or the parallelism is 0.
    pub fn from_json(bytes: &[u8]) -> Result<Self, RunnerError> {
        let invalid =
            |why: String| RunnerError::new(ErrorKind::InvalidSpec, format!("the spec is not valid: {why}"));
        let spec: Self = serde_json::from_slice(bytes).map_err(|error| invalid(explain(&error, bytes)))?;
        if spec.parallelism == 0 {
            return Err(invalid("parallelism is 0, but must be at least 1".into()));
        }
        Ok(spec)
    }
}

/// The fields of a later version, with the schema beside them.
mod later_fields {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use serde_json::{Map, Value};

    use super::SCHEMA;

    const KEY: &str = "schema";

    pub(super) fn serialize<S: Serializer>(later: &Map<String, Value>, to: S) -> Result<S::Ok, S::Error> {
        let mut fields = later.clone();
        fields.insert(KEY.into(), SCHEMA.into());
        fields.serialize(to)
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Map<String, Value>, D::Error> {
        let mut fields = Map::deserialize(from)?;
        match fields.remove(KEY) {
            Some(schema) if schema != SCHEMA => {
                Err(D::Error::custom(format!("its schema is {schema}, this side reads {SCHEMA}")))
            }
            _ => Ok(fields),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_the_original_project() {
        let spec = WorkloadSpec::new("null");
        assert_eq!((spec.total_items, spec.parallelism, spec.seed), (10, 2, 42));
        assert_eq!(spec.scheduler_name, "default");
        assert!(spec.extra.is_empty());
    }

    #[test]
    fn extra_is_not_shared_between_specs() {
        let mut one = WorkloadSpec::new("null");
        let two = one.clone();
        one.extra.insert("batch_size".into(), 7.into());
        assert!(two.extra.is_empty());
        assert!(WorkloadSpec::new("null").extra.is_empty());
    }

    #[test]
    fn json_round_trips_and_keeps_what_it_does_not_know() {
        let mut spec = WorkloadSpec::new("pipeline");
        spec.extra.insert("iters".into(), 5.into());
        assert_eq!(WorkloadSpec::from_json(&spec.to_json()).unwrap(), spec);
        let sparse = br#"{"schema":1,"name":"null","of_a_later_version":[1]}"#;
        let read = WorkloadSpec::from_json(sparse).unwrap();
        let kept = read.later.clone();
        assert_eq!(WorkloadSpec { later: Map::new(), ..read.clone() }, WorkloadSpec::new("null"));
        assert_eq!(Value::Object(kept), serde_json::json!({"of_a_later_version": [1]}));
        // It goes on as it came: to the processes of an engine, and back.
        let written: Value = serde_json::from_slice(&read.to_json()).unwrap();
        assert_eq!(written["of_a_later_version"], serde_json::json!([1]));
        assert_eq!(WorkloadSpec::from_json(&read.to_json()).unwrap(), read);
    }

    #[test]
    fn a_spec_that_cannot_be_run_is_refused_with_the_reason() {
        let zero = WorkloadSpec::from_json(br#"{"parallelism":0}"#).unwrap_err();
        assert!(zero.message.contains("parallelism is 0"), "{zero}");
        let later = WorkloadSpec::from_json(br#"{"schema":2}"#).unwrap_err();
        assert!(later.message.contains("schema is 2"), "{later}");
        assert!(WorkloadSpec::from_json(b"[").is_err());
    }

    #[test]
    fn common_options_are_checked() {
        let mut spec = WorkloadSpec::new("null");
        assert_eq!(spec.batch_size().unwrap(), 1);
        assert_eq!(spec.fusion().unwrap(), Fusion::Auto);
        for bad in [0.into(), Value::from(-1), 1.5.into(), "x".into(), (MAX_BATCH_SIZE + 1).into()] {
            spec.extra.insert("batch_size".into(), bad);
            assert_eq!(spec.batch_size().unwrap_err().kind, ErrorKind::InvalidSpec);
        }
        spec.extra.insert("fusion".into(), "of".into());
        assert!(spec.fusion().unwrap_err().message.contains("\"of\""));
    }
}
