//! The worker: loads plugins and does what it is asked, one request at a time.
//!
//! It runs in a process of its own behind a channel (`serve`), or inside the caller ([`Worker`]) where isolation is
//! switched off. What it holds between requests stands in `state`, and what it does for each of them in `handle`.

mod bounds;
pub(crate) mod cheat;
mod cheating_backend;
mod closing_check;
mod closing_reference;
mod exit_guard;
mod graph_reference;
mod handle;
pub(crate) mod load;
mod machine_check;
mod malformed;
pub(crate) mod protocol;
mod rate_limit;
mod reference;
mod serial;
mod serial_path;
mod serial_reference;
mod serve;
mod show;
mod snapshot;
mod state;
mod work_reference;

pub(crate) use bounds::{is_deeper, reply as within_limits};
pub(crate) use exit_guard::{disarm, end_forked_process};
pub(crate) use serve::{COMMAND, in_process, main};

pub(crate) use state::Worker;
