//! METG for people: the table and the curves.

mod chart;
mod labels;
mod markdown;
mod text;

#[cfg(test)]
pub(super) mod examples;

pub(crate) use markdown::markdown;
pub(crate) use text::text;

pub(super) use labels::{
    TableLine, TableRow, column, columns, cores, failures, lines, setting, setting_value, value,
};
