//! The C ABI of a workload library: what `export_workloads!` exports, called from Rust, C and Python alike.
//!
//! `ABI.md` documents each function for callers in other languages. Every function catches panics. After a panic the
//! handle is *poisoned* and refuses all later calls. No function keeps a pointer after it has returned.

// The functions here take raw pointers from callers in any language.
#![allow(unsafe_code)]

mod arguments;
mod buffer;
mod functions;
mod graph;
mod guard;
mod handles;
mod library;
mod state;
pub mod status;
mod workload;

pub use buffer::{RawBuffer, buffer_free};
pub use graph::{graph_edges, graph_task};
pub(crate) use guard::panic_message;
pub use handles::{RawState, RawWorkload};
pub use library::{ABI_VERSION, catalogue, open};
pub use state::{state_close, state_emit, state_encode, state_fold, state_free, state_merge, state_new};
pub use workload::{
    MAX_PARTITIONS, close, describe, expected, keys, outcome, plan, run_stages, share, source, split, start,
    watermark,
};
