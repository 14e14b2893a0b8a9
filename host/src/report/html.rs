//! A comparison as one HTML page without fonts or requests. Its script adds sorting, filters and buttons; without a script the page is
//! complete too.
//!
//! The templates draw the charts as SVG. Crates that draw charts (plotters, poloto, charts-rs) write literal colours into a
//! picture of fixed width. These charts take their colours from the style sheet, for dark mode and print, and are as wide
//! as the window. Their text stays legible on a phone, and each mark links to its trials. This module computes positions
//! along an axis only.

mod anchor;
mod blocks;
mod environment;
mod graphs;
mod latency;
mod layout;
mod metg;
mod plot;
mod policy;
mod row_charts;
mod runs;
mod scaling;
mod summary;
mod trends;
mod trials;

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, UndefinedBehavior, Value, context};

pub(crate) use self::runs::{ListedRun, index_html, message_html};
pub(crate) use self::trends::trends_html;

use self::layout::Layout;
use super::error::ReportError;
use super::labels::{MAX_COMMAND, one_line};
use super::ranking;
use crate::compare::metg::model::Sweeps;
use crate::compare::model::Comparison;
use crate::first_seen::distinct;
use crate::text::printable;

/// The page. `generated_at` is the time for the reader; `command` makes the records and the page again. Without it the page has the
/// commands of the records.
pub fn html(
    comparison: &Comparison,
    generated_at: &str,
    command: Option<&str>,
) -> Result<String, ReportError> {
    html_with_sweeps(comparison, None, generated_at, command)
}

/// The page, with the METG of sweeps that are among the records.
pub(crate) fn html_with_sweeps(
    comparison: &Comparison,
    sweeps: Option<&Sweeps>,
    generated_at: &str,
    command: Option<&str>,
) -> Result<String, ReportError> {
    let layout = Layout::of(comparison);
    let of_sweeps = sweeps.iter().flat_map(|sweeps| &sweeps.commands);
    let page = context! {
        generated_at,
        commands => commands(command, comparison.commands.iter().chain(of_sweeps)),
        sentence => ranking::sentence(comparison),
        lead => summary::lead(comparison, &layout),
        machines => summary::machines(comparison),
        summary => summary::summary(comparison, &layout),
        speed => row_charts::speed(comparison, &layout),
        latency => latency::points(&layout),
        scaling => scaling::charts(&layout),
        blocks => blocks::charts(&layout),
        metg => sweeps.map(|sweeps| metg::parts(sweeps, &layout.labels)),
        costs => row_charts::costs(&layout),
        graphs => graphs::graphs(comparison, &layout),
        legend => layout.legend(layout.labels.iter().copied()),
        environment => environment::of_comparison(comparison, &layout, sweeps),
        trials => trials::trials(&layout),
    };
    render("page.html", page)
}

/// The page of METG sweeps, as [`html`] makes that of a comparison.
pub(crate) fn metg_html(
    sweeps: &Sweeps,
    generated_at: &str,
    command: Option<&str>,
) -> Result<String, ReportError> {
    let page = context! {
        generated_at,
        commands => commands(command, sweeps.commands.iter()),
        metg => metg::parts(sweeps, &[]),
        environment => environment::of_sweeps(sweeps),
    };
    render("metg.html", page)
}

/// What makes the page again, or else what repeats its runs.
fn commands<'a>(command: Option<&str>, of_records: impl Iterator<Item = &'a String>) -> Vec<String> {
    match command {
        Some(command) => vec![command.to_owned()],
        None => distinct(of_records.map(|command| one_line(command, MAX_COMMAND))),
    }
}

/// The page without control characters, for which HTML has no character references.
fn render(template: &str, page: Value) -> Result<String, ReportError> {
    Ok(printable(&environment()?.get_template(template)?.render(page)?))
}

fn environment() -> Result<Environment<'static>, ReportError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    let (style, script) = (include_str!("html/style.css"), include_str!("html/page.js"));
    environment.add_global("style", style);
    environment.add_global("script", script);
    environment.add_global("policy", policy::policy(script, style));
    // The engine escapes every value, because the names of the templates end with .html.
    environment.add_template("base.html", include_str!("html/base.html"))?;
    environment.add_template("charts.html", include_str!("html/charts.html"))?;
    environment.add_template("page.html", include_str!("html/page.html"))?;
    environment.add_template("metg.html", include_str!("html/metg.html"))?;
    environment.add_template("metg_parts.html", include_str!("html/metg_parts.html"))?;
    environment.add_template("runs.html", include_str!("html/runs.html"))?;
    environment.add_template("trends.html", include_str!("html/trends.html"))?;
    Ok(environment)
}

#[cfg(test)]
mod tests;
