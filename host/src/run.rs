//! Trials: their specification (`trial`), outcome (`outcome`) and events (`event`), and the one executor that runs them. A
//! session is the exchange with one worker; a `Backend` is loaded in it, and an `Engine` is a backend that was started. The
//! schedules use the executor: blocks of a comparison, and sweeps. Prints nothing and writes no record.

pub(crate) mod backend;
mod blocks;
pub(crate) mod bounds;
pub(crate) mod data_seeds;
pub(crate) mod engine;
pub(crate) mod event;
pub(crate) mod executor;
mod expected_answers;
pub(crate) mod judge;
pub(crate) mod machine_check;
pub(crate) mod outcome;
pub(crate) mod participants;
mod pause;
pub(crate) mod reference;
mod reports;
pub(crate) mod session;
pub(crate) mod shared_files;
pub(crate) mod sweep;
pub(crate) mod task_graph;
mod task_reference;
pub(crate) mod trial;
mod work_check;
mod wrong_answers;
