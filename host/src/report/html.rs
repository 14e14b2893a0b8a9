//! A comparison as one page of HTML that needs nothing but itself: no script, no font, no request.
//!
//! The charts are SVG that the page's template writes. Crates that draw charts (plotters, poloto, charts-rs) write literal
//! colours into a picture of fixed width; these charts take their colours from the style sheet, for dark mode and
//! print, are as wide as the window with text that stays legible on a phone, and each mark is a link to the samples
//! behind it. What is left to compute is where a figure stands along an axis.

mod chart;
mod evidence;
mod latency;
mod layout;
mod metg;
mod rows;
mod scaling;
mod setting;
mod summary;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;

pub(crate) use self::metg::metg_html;

use self::layout::Layout;
use super::error::ReportError;
use crate::compare::model::Comparison;
use crate::text::printable;

/// The page. `generated_at` is when it was made, as it is to be read; `command` makes all of it again.
pub fn html(
    comparison: &Comparison,
    generated_at: &str,
    command: Option<&str>,
) -> Result<String, ReportError> {
    let layout = Layout::of(comparison);
    let view = View {
        style: include_str!("html/style.css"),
        generated_at,
        command,
        summary: summary::Summary::of(comparison, &layout),
        speed: rows::speed(comparison, &layout),
        latency: latency::loads(&layout),
        scaling: scaling::charts(&layout),
        costs: rows::costs(&layout),
        series: layout.series(),
        setting: setting::Setting::of(comparison, &layout),
        evidence: evidence::Evidence::of(&layout),
    };
    rendered("page.html", view)
}
/// The template with these values. HTML has no character reference for a control character, so none stays.
fn rendered(template: &str, view: impl Serialize) -> Result<String, ReportError> {
    Ok(printable(&environment()?.get_template(template)?.render(Serde(view))?))
}

fn environment() -> Result<Environment<'static>, ReportError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    // The names end with .html, which is what makes the engine escape every value.
    environment.add_template("charts.html", include_str!("html/charts.html"))?;
    environment.add_template("page.html", include_str!("html/page.html"))?;
    environment.add_template("metg.html", include_str!("html/metg.html"))?;
    Ok(environment)
}

#[derive(Serialize)]
struct View<'a> {
    style: &'static str,
    generated_at: &'a str,
    command: Option<&'a str>,
    summary: summary::Summary,
    speed: Vec<rows::Section>,
    latency: Vec<latency::Load>,
    scaling: Vec<scaling::Chart>,
    costs: Vec<rows::Section>,
    series: Vec<layout::Series>,
    setting: setting::Setting,
    evidence: evidence::Evidence,
}

#[cfg(test)]
mod tests;
