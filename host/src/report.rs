//! Reports for people and for programs, one file per format. These modules only format: every value in a report is in
//! the [`Comparison`](crate::compare::model::Comparison) already.
//!
//! Names, reasons and commands come from plugins and from records of others. Every format shows them as plain text.

mod axis;
pub(crate) mod csv;
mod error;
pub(crate) mod export;
mod graph;
mod history;
pub(crate) mod html;
pub(crate) mod json;
mod labels;
mod latency;
pub(crate) mod markdown;
pub(crate) mod metg;
mod notes;
mod number;
mod parquet;
mod ranking;
pub(crate) mod text;
mod trends;

pub(crate) use csv::csv;
pub(crate) use error::ReportError;
pub(crate) use graph::svg;
pub(crate) use history::history;
pub(crate) use html::{ListedRun, html, html_with_sweeps, index_html, message_html, metg_html, trends_html};
pub(crate) use json::json;
pub(crate) use labels::conditions;
pub(crate) use markdown::markdown;
pub(crate) use number::{chosen_percent, duration, percent};
pub(crate) use parquet::parquet;
pub(crate) use text::{Palette, text};
pub(crate) use trends::trends;

#[cfg(test)]
mod examples;
