//! A comparison as people and programs read it: a file a format. Everything here formats and nothing computes: a
//! figure that a page shows stands in the [`Comparison`](crate::compare::model::Comparison).
//!
//! Names, reasons and commands come from plugins and from files of others. No format lets them be anything but text.

mod axis;
mod csv;
mod figure;
pub mod granularity;
mod history;
mod html;
mod json;
mod latency;
mod markdown;
mod text;
mod words;

pub use csv::csv;
pub use figure::duration;
pub use history::history;
pub use html::{Page, SweepsPage, html, sweeps_html};
pub use json::json;
pub use markdown::markdown;
pub use text::{Palette, text};

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
