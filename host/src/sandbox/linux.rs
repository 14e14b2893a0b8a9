//! The Linux half: a supervisor for each worker's tree, a PID namespace where the system allows one, and what watches it.

pub(super) mod affinity;
mod arguments;
mod containment;
pub(super) mod hidden;
mod init;
mod logs;
pub(super) mod memory;
mod namespace;
mod processes;
mod scratch;
mod supervise;
pub(super) mod tree;
mod usage;
mod watch;
