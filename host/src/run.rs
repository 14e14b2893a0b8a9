//! Trials: which one is run (`trial`), how it ended (`outcome`), what happens meanwhile (`event`), and the one executor that
//! runs them. A session is a conversation with one worker; a backend is one before its engine runs, an engine one after.
//! The schedules stand beside the executor: blocks of a comparison, and sweeps. Prints nothing and writes no record.

pub(crate) mod backend;
mod blocks;
pub(crate) mod engine;
pub(crate) mod event;
pub(crate) mod executor;
pub(crate) mod judge;
mod machine_check;
pub(crate) mod outcome;
pub(crate) mod participants;
pub(crate) mod session;
pub(crate) mod sweep;
pub(crate) mod trial;
