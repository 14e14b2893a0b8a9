//! A comparison as people and programs read it: a file a format. Everything here formats and nothing computes: a
//! figure that a page shows stands in the [`Comparison`](crate::compare::model::Comparison).
//!
//! Names, reasons and commands come from plugins and from files of others. No format lets them be anything but text.

mod axis;
pub(crate) mod csv;
mod error;
mod figure;
mod history;
pub(crate) mod html;
pub(crate) mod json;
mod latency;
pub(crate) mod markdown;
pub(crate) mod metg;
pub(crate) mod text;
mod words;

pub(crate) use csv::csv;
pub(crate) use error::ReportError;
pub(crate) use figure::duration;
pub(crate) use history::history;
pub(crate) use html::{html, metg_html};
pub(crate) use json::json;
pub(crate) use markdown::markdown;
pub(crate) use text::{Palette, text};

#[cfg(test)]
mod examples;
