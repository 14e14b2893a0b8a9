//! Compares records: which rows are comparable, their ratios, and the confidence of those. Pure: no clock, no files, no
//! printing. `docs/method.md` says why each rule is as it is.
//!
//! `group` groups the records into points and rows, `row` summarizes each row, `comparability` and `ratio` compare it with
//! the baseline, `doubt` finds rows whose trials cannot all be right, and `significance` withholds verdicts that the table as a
//! whole does not support.

use crate::shell;
use crate::stats::MARGIN;
use crate::text::nearest;

pub(crate) mod cells;
mod comparability;
mod conditions;
mod copies;
mod doubt;
mod geomean;
mod group;
pub(crate) mod history;
mod input;
mod label;
pub(crate) mod metg;
pub(crate) mod model;
mod point;
mod ratio;
mod row;
mod significance;
pub(crate) mod trends;
mod trial;
mod versions;
mod warning;

#[cfg(test)]
mod tests;

pub(crate) use copies::join_copies;
use group::Table;
pub(crate) use input::mark_runs;
pub use input::{Input, Options};
use model::{Comparison, Point, VERSION};
pub(crate) use trial::without_copies;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no record is of the baseline `{wanted}`; {}", records_of(.present))]
pub struct NoBaseline {
    wanted: String,
    present: Vec<String>,
}

impl NoBaseline {
    /// The name that may be meant, or else one that can be.
    pub(crate) fn remedy(&self) -> Option<String> {
        let near = nearest(&self.wanted.to_lowercase(), &self.present);
        let name = near.or_else(|| self.present.first().cloned())?;
        Some(format!("--baseline {}", shell::quote(name)))
    }
}

fn records_of(backends: &[String]) -> String {
    if backends.is_empty() {
        "there are no records".into()
    } else {
        format!("there are records of {}", backends.join(", "))
    }
}

/// Compares the records. Without records the comparison is empty.
pub fn compare(inputs: &[Input], options: &Options) -> Result<Comparison, NoBaseline> {
    let table = Table::new(inputs);
    let baseline = baseline(&table, options)?;
    let mut points: Vec<Point> =
        table.points.iter().map(|point| point::compared(point, &table, baseline, options)).collect();
    let others: Vec<_> = table.backends.iter().copied().filter(|name| Some(*name) != baseline).collect();
    significance::withhold_verdicts(&mut points, options.rigor);
    let closed = points.iter().zip(&table.points).filter(|(_, group)| !group.is_open_loop());
    let closed: Vec<_> = closed.map(|(point, _)| point).collect();
    Ok(Comparison {
        version: VERSION,
        rigor: options.rigor,
        baseline: baseline.map(str::to_owned),
        margin: MARGIN,
        geomeans: geomean::geomeans(&closed, &others, options.rigor),
        noise_floor: points
            .iter()
            .filter_map(|point| point.noise_floor.as_ref())
            .map(|floor| floor.factor)
            .max_by(f64::total_cmp),
        commands: conditions::commands(conditions::trials(&table)),
        machine_checks: conditions::machine_checks(conditions::trials(&table)),
        machines: table.machines.profiles.iter().map(|profile| (*profile).clone()).collect(),
        warnings: warning::warnings(&table, &points),
        without_chain: Vec::new(),
        graphs: std::collections::BTreeMap::new(),
        points,
    })
}

fn baseline<'a>(table: &Table<'a>, options: &Options) -> Result<Option<&'a str>, NoBaseline> {
    match &options.baseline {
        None => Ok(table.backends.first().copied()),
        Some(wanted) => {
            let found = table.backends.iter().find(|name| name.eq_ignore_ascii_case(wanted));
            found.copied().map(Some).ok_or_else(|| NoBaseline {
                wanted: wanted.clone(),
                present: table.backends.iter().map(|name| (*name).to_owned()).collect(),
            })
        }
    }
}
