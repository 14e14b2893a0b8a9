//! The JSON of the calls between host and plugin, which both ABIs share. `ABI.md` has an example of each object.

use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{ErrorKind, RunnerError};
use crate::json_error::explain;
use crate::runner::{RunContext, SetupContext};
use crate::workload::Parameter;

/// The description of a runner, which it gives once it is made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// What `backend_name` returns.
    pub name: String,
    /// What the backend reads from `extra`.
    #[serde(default)]
    pub options: Vec<Parameter>,
    /// The words of what it can do beyond the stages of API 1.0.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub supports: Vec<String>,
}

/// What a call gets beside its request.
#[derive(Serialize, Deserialize)]
pub(crate) struct ContextWire {
    pub(crate) data_dir: PathBuf,
    pub(crate) log_dir: PathBuf,
    #[serde(default)]
    pub(crate) remaining_seconds: Option<f64>,
    #[serde(default)]
    pub(crate) library_path: PathBuf,
    #[serde(default)]
    pub(crate) library_sha256: String,
}

impl ContextWire {
    pub(crate) fn of_run(context: &RunContext) -> Self {
        Self {
            data_dir: context.data_dir().into(),
            log_dir: context.log_dir().into(),
            remaining_seconds: context.remaining().map(|remaining| remaining.as_secs_f64()),
            library_path: context.workload().library_path().into(),
            library_sha256: context.workload().library_sha256().into(),
        }
    }

    pub(crate) fn of_setup(context: &SetupContext) -> Self {
        let (data_dir, log_dir) = (context.data_dir().into(), context.log_dir().into());
        let (library_path, library_sha256) = (PathBuf::new(), String::new());
        Self { data_dir, log_dir, remaining_seconds: None, library_path, library_sha256 }
    }
}

pub(crate) fn to_json(value: &impl Serialize) -> Result<Vec<u8>, RunnerError> {
    serde_json::to_vec(value).map_err(|error| border(&format!("cannot be sent across the border: {error}")))
}

pub(crate) fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, RunnerError> {
    let not_expected = |error| border(&format!("is not what was expected: {}", explain(&error, bytes)));
    serde_json::from_slice(bytes).map_err(not_expected)
}

pub(crate) fn border(why: &str) -> RunnerError {
    RunnerError::new(ErrorKind::Internal, format!("a message between host and plugin {why}"))
}
