//! METG as people read it: the table, and the curves behind it.

mod chart;
mod markdown;
mod text;
mod words;

#[cfg(test)]
pub(super) mod examples;

pub(crate) use markdown::markdown;
pub(crate) use text::text;

pub(super) use words::{Line, failures, failures_of, of_cores, value};
