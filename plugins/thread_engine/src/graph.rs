//! What backends share that run the tasks of a graph by their dependencies.

mod outputs;
mod targets;

pub use outputs::{Finished, UnneededOutputs};
pub use targets::{Targets, read_row};
