//! What the operator sends to itself on other workers.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// An output on its way to one worker.
#[derive(Serialize, Deserialize)]
pub(super) struct Message {
    pub(super) worker: usize,
    /// The place of the task that made it, in its row.
    pub(super) place: u32,
    pub(super) output: Output,
}

/// What a task made: all tasks of this process that need it share it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(from = "Vec<u8>", into = "Vec<u8>")]
pub(super) struct Output(pub(super) Arc<Vec<u8>>);

impl From<Vec<u8>> for Output {
    fn from(output: Vec<u8>) -> Self {
        Self(Arc::new(output))
    }
}

impl From<Output> for Vec<u8> {
    fn from(output: Output) -> Self {
        Arc::unwrap_or_clone(output.0)
    }
}
