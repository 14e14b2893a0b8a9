//! What the backends that run a workload on threads of the worker process share.
//!
//! A backend reads a spec into [`Settings`]. Its workers take numbered slices of the source from a [`Counter`], look
//! at [`Stop`] once a batch, and count what they have made in a [`Tally`]. The thread that called `run` waits for them
//! in [`Monitor::watch`], which reports the progress to the host and asks it whether to stop. Backends that run the tasks of a
//! graph by their dependencies share the edges and the way to the sink ([`graph`]).

mod buffer_pool;
mod counter;
pub mod graph;
mod monitor;
mod scheduler;
mod settings;
mod slices;
mod states;
mod stop;
#[cfg(test)]
mod tests;

pub use buffer_pool::BufferPool;
pub use counter::Counter;
pub use monitor::{Monitor, Tally, WorkerGuard};
pub use scheduler::{Choice, Scheduler};
pub use settings::Settings;
pub use slices::Slices;
pub use states::merged;
pub use stop::{Failure, Stop};
