//! The API for authors of crossrun backends and workloads.
//!
//! A **backend** implements [`WorkloadRunner`] and exports it with [`export_runner!`]. It only
//! schedules and moves: it maps the stages of a [`Plan`] to an engine's own primitives and carries opaque
//! batches between them.
//!
//! A **workload** implements [`Workload`] and exports it with [`export_workloads!`]. It has the source,
//! all operators, the keyed states and the sink. Every backend calls the same compiled library.
//!
//! `ABI.md`, beside this crate's manifest, is the contract between the two sides.

#[doc(hidden)]
mod answer;
pub mod c_abi;
pub mod clock;
pub mod data_dir;
mod error;
pub mod export;
#[doc(hidden)]
pub mod ffi;
mod json_error;
pub mod metadata;
#[doc(hidden)]
pub mod random;
pub mod result;
pub mod runner;
pub mod spec;
mod wire;
pub mod workload;

pub use clock::monotonic_nanos;
pub use data_dir::data_dir;
pub use result::RunResult;
pub use runner::{
    Availability, ErrorKind, HostServices, Progress, RunContext, RunnerError, Session, SetupContext,
    SetupRequest, WorkloadRunner,
};
/// JSON, of which specs and descriptions of items are made.
pub use serde_json;
pub use spec::{Fusion, WorkloadSpec};
pub use workload::{
    Batch, BatchBuilder, Buffer, Digest, GraphRow, GraphShape, Parameter, Parameters, Plan, Stage, StageKind,
    State, Workload, WorkloadError, WorkloadHandle,
};

/// The version of the contract, which is the version of this crate. A host loads every plugin that has the same major
/// version.
pub const API_VERSION: &str = env!("CARGO_PKG_VERSION");
