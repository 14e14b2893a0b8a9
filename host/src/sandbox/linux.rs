//! The Linux backend of the sandbox: a supervisor for each worker's process tree, a PID namespace where the system allows one,
//! and the enforcement of limits.

use std::fs::File;
use std::process::ExitCode;

pub(super) mod affinity;
mod arguments;
mod cpu_clock;
mod descendants;
mod ending;
mod exited;
mod init;
mod logs;
pub(super) mod memory;
mod namespace;
mod out_of_memory;
mod processes;
mod resident;
mod scratch;
pub(super) mod sender;
mod shared_memory;
pub(super) mod signal_tree;
mod supervise;
pub(super) mod tree;
mod usage;
mod watch;

/// The hidden command `name`, which this executable runs when it starts itself.
pub(crate) fn hidden_command(name: &str) -> Option<fn() -> ExitCode> {
    match name {
        arguments::SUPERVISE => Some(supervise::main),
        arguments::INIT => Some(init::main),
        _ => None,
    }
}

/// Nothing to do: the supervisor ends the tree when the host is gone.
pub(crate) fn end_with_host(_channel: &File) {}
