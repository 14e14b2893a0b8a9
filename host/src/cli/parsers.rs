//! The parsers of what users type and of what a run left behind, for `tests/fuzz`: no part of the library's interface.

pub use super::compare::plan_file::PlanFile;
pub use super::options::{count, duration, extra, max_wait, parallelism, run_id};
