//! The host of crossrun: finds plugins, runs workloads on them in processes of their own, and has the answers
//! verified by a judge that is not the backend.
//!
//! `ARCHITECTURE.md`, beside this crate's manifest, has the map and the rules that hold between the modules.

pub mod cli;
pub mod compare;
pub mod conformance;
pub mod discover;
pub mod dispatch;
pub mod doctor;
pub mod inspect;
pub mod isolate;
pub mod judge;
pub mod liar;
pub mod load;
pub mod metg;
pub mod plan;
pub mod protocol;
pub mod record;
pub mod registry;
pub mod report;
pub mod scaffold;
pub mod selftest;
pub mod session;
pub mod stats;
pub mod ui;
pub mod worker;
