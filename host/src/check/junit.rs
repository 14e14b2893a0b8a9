//! Findings as JUnit XML, for CI systems.

use minijinja::value::Serde;
use minijinja::{Environment, Value, context};

use super::finding::{CheckOutcome, Finding, Summary};
use crate::text::printable;

/// The suffix `.xml` makes the template engine escape every value.
const TEMPLATE: &str = "findings.xml";

/// The document for the plugin `name`. A check that could not be run is an error, so that it does not count as a success.
///
/// # Errors
/// When the template cannot be rendered.
pub(crate) fn document(name: &str, findings: &[Finding]) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.add_template(TEMPLATE, include_str!("findings.xml"))?;
    environment.get_template(TEMPLATE)?.render(context! {
        name => allowed(name),
        seconds => seconds(findings.iter().map(|finding| finding.seconds).sum()),
        summary => Serde(Summary::of(findings)),
        cases => findings.iter().map(case).collect::<Vec<_>>(),
    })
}

fn case(finding: &Finding) -> Value {
    // The element for the outcome; nothing for a passed check.
    let element = match finding.outcome {
        CheckOutcome::Passed { .. } => None,
        CheckOutcome::Failed { .. } => Some("failure"),
        CheckOutcome::Skipped { .. } => Some("skipped"),
        CheckOutcome::NotRun { .. } => Some("error"),
    };
    let remedy = match &finding.outcome {
        CheckOutcome::NotRun { remedy, .. } => remedy.as_deref().unwrap_or_default(),
        _ => &finding.remedy,
    };
    let Finding { id, demands, rule, .. } = *finding;
    context! {
        group => id.split('.').next(),
        id,
        seconds => seconds(finding.seconds),
        element,
        reason => allowed(finding.outcome.reason()),
        demands,
        rule,
        remedy,
    }
}

fn seconds(seconds: f64) -> String {
    format!("{seconds:.3}")
}

/// Replaces characters that XML 1.0 does not allow. The template engine escapes the others.
fn allowed(text: &str) -> String {
    printable(text).replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}
