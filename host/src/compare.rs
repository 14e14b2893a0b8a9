//! Compares records: which rows are comparable, their ratios, and the confidence of those. Pure: no clock, no files, no
//! printing. `docs/method.md` says why each rule is as it is.
//!
//! `group` groups the records into points and rows, `row` summarizes each row, `comparability` and `ratio` compare it with
//! the baseline, and `significance` withholds verdicts that the table as a whole does not support.

use crate::stats::{MARGIN, common_geometric_means};

mod comparability;
mod group;
pub(crate) mod history;
mod input;
mod label;
mod machine;
pub(crate) mod metg;
pub(crate) mod model;
mod point;
mod ratio;
mod row;
mod significance;
mod trial;
mod warning;

#[cfg(test)]
mod tests;

use group::Table;
pub use input::{Input, Options};
use model::{Comparison, Geomean, Point, Row, VERSION};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no record is of the baseline `{wanted}`; there are records of {}", present.join(", "))]
pub struct NoBaseline {
    wanted: String,
    present: Vec<String>,
}

/// Compares the records. Without records the comparison is empty.
pub fn compare(inputs: &[Input], options: &Options) -> Result<Comparison, NoBaseline> {
    let table = Table::new(inputs);
    let baseline = baseline(&table, options)?;
    let mut points: Vec<Point> =
        table.points.iter().map(|point| point::compared(point, &table, baseline, options)).collect();
    significance::withhold_verdicts(&mut points, options.rigor);
    Ok(Comparison {
        version: VERSION,
        rigor: options.rigor,
        baseline: baseline.map(str::to_owned),
        margin: MARGIN,
        geomeans: geomeans(&table, &points, baseline),
        noise_floor: points
            .iter()
            .filter_map(|point| point.noise_floor.as_ref())
            .map(|floor| floor.factor)
            .max_by(f64::total_cmp),
        machines: table.machines.iter().map(|profile| (*profile).clone()).collect(),
        warnings: warning::warnings(&table, &points),
        without_chain: Vec::new(),
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

/// One for each backend except the baseline, over the points where every backend finished every trial.
fn geomeans(table: &Table<'_>, points: &[Point], baseline: Option<&str>) -> Vec<Geomean> {
    let others: Vec<_> = table.backends.iter().filter(|name| Some(**name) != baseline).collect();
    // Ratios of latencies do not count: they are not about throughput.
    let closed = points.iter().filter(|point| point.rows.iter().all(|row| row.compared_latency.is_none()));
    let ratios: Vec<Vec<_>> =
        closed.map(|point| others.iter().map(|name| whole_ratio(point, name)).collect()).collect();
    let (means, coverage) = common_geometric_means(&ratios, others.len());
    let geomean = |(name, ratio): (&&str, Option<f64>)| Geomean {
        backend: (*name).to_owned(),
        ratio,
        covered: coverage.covered as u32,
        points: coverage.rows as u32,
    };
    others.into_iter().zip(means).map(geomean).collect()
}

/// The ratio of a backend at a point where neither it nor the baseline failed even once.
fn whole_ratio(point: &Point, backend: &str) -> Option<f64> {
    let row = point.rows.iter().find(|row| row.backend == backend && row.ratio.is_some())?;
    let beside = point.rows.iter().find(|other| Some(&other.label) == row.compared_with.as_ref())?;
    let whole = |row: &Row| row.counts.trials == row.counts.verified + row.counts.unverified;
    (whole(row) && whole(beside)).then_some(row.ratio?.estimate)
}
