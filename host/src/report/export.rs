//! The rows of a report for programs that keep figures over time, one file for each format. `docs/exports.md` says which rows
//! have figures, and in which units.

mod bencher;
mod comparison;
mod github;
mod junit;
mod openmetrics;
mod row;
mod sweeps;

pub(crate) use bencher::bencher;
pub(crate) use github::github;
pub(crate) use junit::junit;
pub(crate) use openmetrics::openmetrics;
pub(crate) use row::{ExportedRow, State};

#[cfg(test)]
mod tests;
