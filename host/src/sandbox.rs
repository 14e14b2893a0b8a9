//! Runs a worker in a process tree of its own, of which nothing is left afterwards.
//!
//! ```text
//! this process ── __supervise ── __init (PID 1 of a namespace) ── worker ── whatever it starts
//! ```
//!
//! The supervisor leads a session of its own and notices when this process dies, however that happens. Where the
//! system allows it, everything below stands in a PID namespace, which the kernel empties as a whole; elsewhere the
//! supervisor is the subreaper of all that the worker starts, and finds it by parentage and by a marker in the
//! environment. Each tree has a private temporary folder, which goes with it, whoever of the two is left to remove it.
//! Messages do not pass through either: this process and the worker share a channel of their own.
//!
//! All of that is Linux's, and stands in `linux`. What is beside it is the portable half: what runs, the channel and its
//! frames, limits, and how a worker died. Without `linux`, `elsewhere` starts a worker in a process group of its own.

pub(crate) mod affinity;
mod channel;
mod command;
mod death;
mod ending;
pub(crate) mod events;
mod failure;
pub(crate) mod frame;
pub(crate) mod interrupt;
pub(crate) mod limits;
mod machine;
mod process;
mod status;
mod system;
mod usage;
mod wait;

#[cfg(not(all(target_os = "linux", not(crossrun_portable))))]
mod elsewhere;
#[cfg(all(target_os = "linux", not(crossrun_portable)))]
mod linux;

pub(crate) use affinity::Cores;
pub(crate) use command::Command;
pub(crate) use death::Death;
pub(crate) use ending::Ending;
pub(crate) use failure::Failure;
pub(crate) use interrupt::Interrupt;
pub(crate) use limits::{Bytes, Excess, Limits};
pub(crate) use process::Sandbox;
pub(crate) use system::hidden_command;
pub(crate) use usage::Usage;
