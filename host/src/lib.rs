//! The host of crossrun: finds plugins, runs workloads on them in processes of their own, and has the answers
//! verified by a judge that is not the backend.
//!
//! `docs/architecture.md` has the map and the rules that hold between the modules.

// Everything but `main` is private: its documentation is read with --document-private-items, and says what a name and a
// type do not.
#![allow(missing_docs, rustdoc::private_intra_doc_links)]

mod app;
mod atomic_file;
mod check;
mod cli;
mod compare;
mod control_group;
mod doctor;
mod first_seen;
#[doc(hidden)]
pub mod internals;
mod metg;
mod named_file;
mod other_process;
mod path_walk;
mod plan;
mod plugin;
mod record;
mod regular_file;
mod report;
mod resource_limit;
mod run;
mod sandbox;
mod scaffold;
mod serve;
mod shell;
mod slowdown;
mod stats;
mod text;
mod to_disk;
mod unfinished;
mod worker;

pub use cli::main;
