//! The workload side: what an author implements, and the handle through which a backend calls it.

mod author;
mod batch;
pub mod capi;
mod catalogue;
mod closing;
mod digest;
mod error;
mod graph;
mod handle;
mod instance;
mod keyed;
mod latency;
mod open_loop;
mod outcome;
mod parameter;
mod plan;
mod reduction;
mod results_due;
mod sink;
mod stage_state;
#[cfg(test)]
mod tests;

pub use author::Workload;
pub use batch::{Batch, BatchBuilder};
pub use catalogue::CatalogueEntry;
pub use closing::WATERMARKS;
pub use digest::Digest;
pub use error::WorkloadError;
pub use graph::{GRAPH, GraphRow};
pub use handle::{
    Buffer, Parts, State, WorkloadFunctions, WorkloadHandle, WorkloadLibrary, abi_is_compatible, item_count,
};
pub use instance::Definition;
pub use latency::{Distribution, Latency};
pub use outcome::Outcome;
pub use parameter::{Domain, Parameter, Parameters};
pub use plan::{GraphShape, Plan, Stage, StageKind};
