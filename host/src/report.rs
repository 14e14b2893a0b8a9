//! A comparison as people and programs read it: a file a format. Everything here formats and nothing computes: a
//! figure that a page shows stands in the [`Comparison`](crate::compare::model::Comparison).
//!
//! Names, reasons and commands come from plugins and from files of others. No format lets them be anything but text.

mod axis;
pub(crate) mod csv;
mod figure;
pub(crate) mod granularity;
mod history;
pub(crate) mod html;
pub(crate) mod json;
mod latency;
pub(crate) mod markdown;
pub(crate) mod text;
mod words;

pub(crate) use csv::csv;
pub(crate) use figure::duration;
pub(crate) use history::history;
pub(crate) use html::{Page, SweepsPage, html, sweeps_html};
pub(crate) use json::json;
pub(crate) use markdown::markdown;
pub(crate) use text::{Palette, text};

/// Why a report could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A comparison cannot be put into JSON.
    #[error("cannot put the comparison into JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A comparison cannot be put into CSV.
    #[error("cannot put the comparison into CSV: {0}")]
    Csv(#[from] ::csv::Error),
    /// The page's template failed, which is a fault of this program.
    #[error("cannot fill in the page: {0:#}")]
    Page(#[from] minijinja::Error),
}

#[cfg(test)]
mod examples;
