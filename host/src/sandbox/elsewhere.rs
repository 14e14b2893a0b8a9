//! The half of the sandbox for a system of which nothing is known but that it has process groups.

pub(super) mod affinity;
pub(super) mod memory;
pub(super) mod tree;
