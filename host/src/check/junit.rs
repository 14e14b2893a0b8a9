//! Findings as JUnit XML, for CI systems.

use minijinja::Environment;
use serde::Serialize;

use super::finding::{CheckOutcome, Finding, Summary};

/// The suffix `.xml` makes the template engine escape every value.
const TEMPLATE: &str = "findings.xml";

#[derive(Serialize)]
struct View<'a> {
    name: String,
    seconds: String,
    summary: Summary,
    cases: Vec<Case<'a>>,
}

#[derive(Serialize)]
struct Case<'a> {
    group: &'a str,
    id: &'a str,
    seconds: String,
    /// The element for the outcome; nothing for a passed check.
    element: Option<&'static str>,
    reason: String,
    demands: &'a str,
    rule: &'a str,
    remedy: &'a str,
}

/// The document for the plugin `name`. A check that could not be run is an error, so that it does not count as a success.
///
/// # Errors
/// When the template cannot be rendered.
pub(crate) fn document(name: &str, findings: &[Finding]) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.add_template(TEMPLATE, include_str!("findings.xml"))?;
    let view = View {
        name: allowed(name),
        seconds: seconds(findings.iter().map(|finding| finding.seconds).sum()),
        summary: Summary::of(findings),
        cases: findings.iter().map(case).collect(),
    };
    environment.get_template(TEMPLATE)?.render(minijinja::value::Serde(view))
}

fn case(finding: &Finding) -> Case<'_> {
    let element = match finding.outcome {
        CheckOutcome::Passed { .. } => None,
        CheckOutcome::Failed { .. } => Some("failure"),
        CheckOutcome::Skipped { .. } => Some("skipped"),
        CheckOutcome::NotRun { .. } => Some("error"),
    };
    let remedy = match &finding.outcome {
        CheckOutcome::NotRun { remedy, .. } => remedy.as_deref().unwrap_or_default(),
        _ => finding.remedy,
    };
    Case {
        group: finding.id.split('.').next().unwrap_or_default(),
        id: finding.id,
        seconds: seconds(finding.seconds),
        element,
        reason: allowed(finding.outcome.reason()),
        demands: finding.demands,
        rule: finding.rule,
        remedy,
    }
}

fn seconds(seconds: f64) -> String {
    format!("{seconds:.3}")
}

/// Replaces characters that XML 1.0 does not allow. The template engine escapes the others.
fn allowed(text: &str) -> String {
    let fits = |c: char| match c {
        '\n' | '\t' => true,
        '\u{fffe}' | '\u{ffff}' => false,
        _ => !c.is_control(),
    };
    text.chars().map(|c| if fits(c) { c } else { '\u{fffd}' }).collect()
}
