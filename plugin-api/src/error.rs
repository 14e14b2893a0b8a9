//! Why a call of a backend failed.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What kind of failure an error is. More kinds may follow: match with a wildcard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The spec or an option in `extra` is not valid.
    InvalidSpec,
    /// The spec is valid, but this backend cannot run it.
    Unsupported,
    /// The engine is not installed or cannot be started.
    Unavailable,
    /// The installation or removal failed.
    Setup,
    /// The engine failed.
    Engine,
    /// The workload itself failed in an operator, the source or the sink.
    Workload,
    /// The run stopped because the host asked it to.
    Cancelled,
    /// Code of the plugin panicked.
    Panic,
    /// Any other error.
    #[serde(other)]
    Internal,
}

/// An error: what happened, and what the user can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub struct RunnerError {
    /// What kind of failure it is.
    pub kind: ErrorKind,
    /// What happened and where, in one line.
    pub message: String,
    /// A command or a setting that solves the problem, if there is one.
    #[serde(default)]
    pub remedy: Option<String>,
}

impl RunnerError {
    /// An error without a remedy.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), remedy: None }
    }

    /// Adds the remedy, preferably a command to paste.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// A failure of the engine.
    pub fn engine(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Engine, message)
    }

    /// What a run returns when `RunContext::cancelled` returned true.
    pub fn cancelled() -> Self {
        Self::new(ErrorKind::Cancelled, "the run was cancelled by the host")
    }
}

impl fmt::Display for RunnerError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)?;
        match &self.remedy {
            Some(remedy) => write!(formatter, "; try: {remedy}"),
            None => Ok(()),
        }
    }
}

impl From<std::io::Error> for RunnerError {
    fn from(error: std::io::Error) -> Self {
        Self::new(ErrorKind::Internal, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_to_do() {
        let error = RunnerError::new(ErrorKind::Unavailable, "no engine").with_remedy("crossrun setup x");
        assert_eq!(error.to_string(), "no engine; try: crossrun setup x");
    }

    #[test]
    fn kinds_of_a_later_version_are_read_as_internal() {
        let json = r#"{"kind":"of_a_later_version","message":"m"}"#;
        let error: RunnerError = serde_json::from_str(json).unwrap();
        assert_eq!(error, RunnerError::new(ErrorKind::Internal, "m"));
    }
}
