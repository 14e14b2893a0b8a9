//! The loaded side: safe calls into a workload library.

// These modules are the other side of the border: they call functions that were found by name.
#![allow(unsafe_code)]

mod buffer;
mod library;
mod opened;
mod state;
mod table;

pub use buffer::{Buffer, Parts, item_count};
pub use library::{WorkloadLibrary, abi_is_compatible};
pub use opened::WorkloadHandle;
pub use state::State;
pub use table::WorkloadFunctions;
