//! For benchmarks that compare a backend with a program written for its engine without crossrun, as ratios in one run.
//!
//! [`pair`] measures two things in turns. [`engine`] is for backends whose engine is set up in an environment of its own,
//! and which are compared with a script. [`in_process`] is for plugins that the benchmark itself loads.

// A benchmark that cannot be set up must stop.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod engine;
pub mod in_process;
pub mod pair;

pub use engine::{Engine, Point};
pub use pair::{Pair, heading, selected};
