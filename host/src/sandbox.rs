//! Runs a worker in a process tree of its own, of which nothing is left afterwards.
//!
//! ```text
//! this process ── __supervise ── __init (PID 1 of a namespace) ── worker ── its descendants
//! ```
//!
//! The supervisor leads a session of its own and notices when this process dies in any way. Where the system allows it, the
//! rest of the tree runs in a PID namespace, which the kernel kills as a whole. Otherwise the supervisor is the subreaper of
//! everything that the worker starts, and finds it by parentage and by a marker in the environment. Each tree has a private
//! temporary folder, which the supervisor or this process removes. This process and the worker exchange messages through a
//! channel of their own.
//!
//! `linux` implements that. The modules beside it are portable: the command, the channel and its frames, limits, and how a
//! worker exited. On other systems, `process_group` starts a worker in a process group.

pub(crate) mod affinity;
mod channel;
mod command;
pub(crate) mod core_list;
pub(crate) mod events;
mod exit_reason;
mod failure;
pub(crate) mod frame;
pub(crate) mod interrupt;
pub(crate) mod limits;
mod machine;
mod process;
pub(crate) mod signal_mask;
mod standstill;
mod status;
pub(crate) mod stop;
mod system;
mod teardown;
mod temporary;
mod usage;
mod wait;

#[cfg(all(target_os = "linux", not(crossrun_portable)))]
mod linux;
#[cfg(not(all(target_os = "linux", not(crossrun_portable))))]
mod process_group;

pub(crate) use affinity::Cores;
pub(crate) use command::Command;
pub(crate) use exit_reason::ExitReason;
pub(crate) use failure::Failure;
pub(crate) use interrupt::Interrupt;
pub(crate) use limits::{Bytes, Excess, Limits};
pub(crate) use process::Sandbox;
pub(crate) use standstill::with_waits;
pub(crate) use stop::Deadline;
pub(crate) use system::{end_with_host, hidden_command};
pub(crate) use teardown::Teardown;
pub(crate) use usage::{CpuSource, MemorySource, Usage};
