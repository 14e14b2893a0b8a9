//! The catalogue of a library of workloads.

use serde::{Deserialize, Serialize};

use super::parameter::Parameter;
use super::plan::Plan;

/// One workload in the catalogue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CatalogueEntry {
    /// The name for `--workload`.
    pub name: String,
    /// What it does or shows.
    pub description: String,
    /// The parameters that it reads from `extra`.
    pub parameters: Vec<Parameter>,
    /// Its plan with all parameters at their defaults.
    pub plan: Plan,
    /// The words of what a backend must support to run it, beyond the stages of its plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// The words of what it makes use of on a backend that supports it, and does without elsewhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uses: Vec<String>,
}
