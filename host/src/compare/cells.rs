//! What `diff` and `history` compare, each by its own rules.

use serde::Serialize;

/// One backend at one point.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Cell {
    pub backend: String,
    pub point: String,
    /// Null in records that have none.
    pub config_hash: Option<String>,
    pub seed: u64,
    /// What tells it from others of its backend and point, as ` (seed 42)`; empty if there are none.
    #[serde(skip)]
    pub distinction: String,
    /// The number of cores to which the backend was kept; absent if it could use all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cores: Option<usize>,
    /// Whether the trials are those of `run`, which are no part of a comparison; absent if not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_single: bool,
}
