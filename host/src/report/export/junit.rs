//! JUnit XML, for CI systems: a row is a test case.

use minijinja::{Environment, Value, context};

use super::row::{ExportedRow, State};
use crate::first_seen::grouped;
use crate::report::error::ReportError;
use crate::text::in_xml;

/// The suffix `.xml` makes the template engine escape every value.
const TEMPLATE: &str = "junit.xml";

/// A test suite for each workload. A row with a trial that is not right is a failure, and a row without figures is skipped.
pub(crate) fn junit(rows: &[ExportedRow]) -> Result<String, ReportError> {
    let suite = |(group, rows): (&str, Vec<&ExportedRow>)| {
        context! {
            name => in_xml(group),
            failures => count(&rows, |state| matches!(state, State::Failed(_))),
            skipped => count(&rows, |state| matches!(state, State::WithoutFigures(_))),
            cases => rows.iter().map(|row| case(row)).collect::<Vec<_>>(),
        }
    };
    let all: Vec<_> = rows.iter().collect();
    let groups = grouped(rows.iter().map(|row| (row.group.as_str(), row)));
    let mut environment = Environment::new();
    environment.add_template(TEMPLATE, include_str!("junit.xml"))?;
    let document = environment.get_template(TEMPLATE)?.render(context! {
        tests => rows.len(),
        failures => count(&all, |state| matches!(state, State::Failed(_))),
        suites => groups.into_iter().map(suite).collect::<Vec<_>>(),
    })?;
    Ok(document + "\n")
}

fn count(rows: &[&ExportedRow], is: fn(&State) -> bool) -> usize {
    rows.iter().filter(|row| is(&row.state)).count()
}

fn case(row: &ExportedRow) -> Value {
    let seconds = row.figures.iter().find(|figure| figure.of == "duration");
    let seconds = seconds.map(|figure| figure.value.to_string());
    let (element, kind, message, lines) = match &row.state {
        State::Verified => (None, "", "", Vec::new()),
        State::WithoutFigures(reason) => (Some("skipped"), "", reason.as_str(), Vec::new()),
        State::Failed(reasons) => {
            let lines = reasons.iter().map(|reason| in_xml(&reason.message)).collect();
            let first = reasons.first();
            let kind = first.map_or("", |reason| &reason.kind);
            (Some("failure"), kind, first.map_or("", |reason| &reason.message), lines)
        }
    };
    context! {
        name => in_xml(&row.name),
        group => in_xml(&row.group),
        seconds,
        element,
        kind => in_xml(kind),
        message => in_xml(message),
        lines,
        remark => in_xml(&row.remark),
    }
}
