//! What a library says of its workloads.

use serde::{Deserialize, Serialize};

use super::parameter::Parameter;
use super::plan::Plan;

/// What a library says of one of its workloads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CatalogueEntry {
    /// What `--workload` takes.
    pub name: String,
    /// What it shows.
    pub description: String,
    /// What it reads from `extra`.
    pub parameters: Vec<Parameter>,
    /// Its plan with all parameters at their defaults.
    pub plan: Plan,
}
