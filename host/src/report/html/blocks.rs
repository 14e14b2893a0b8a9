//! Charts of the time of each block, in relation to the median of its row, so that a drift of a few percent is seen whatever the backend.

use minijinja::{Value, context};

use super::layout::{Group, Layout, PlacedPoint};
use super::plot::{CurvePoint, Plot, SMALL, label};
use crate::compare::model::Row;
use crate::report::axis::Scale;
use crate::report::labels::{self, name};
use crate::report::number;

/// In fewer blocks no drift is seen.
const FEWEST_BLOCKS: usize = 3;
/// How many charts a workload has, and all of them together. The tables of trials have the times of the others.
const MAX_CHARTS: usize = 3;
const MAX_ALL_CHARTS: usize = 12;
/// If the charts have more points together, they have no marks, each of which is some 150 bytes of the page.
const MAX_MARKS: usize = 400;
/// About how many ticks the axis of blocks has.
const TICKS: u32 = 8;

/// The rows of a point that have times, each with its id.
struct Timings<'a> {
    group: &'a Group<'a>,
    point: &'a PlacedPoint<'a>,
    rows: Vec<(&'a String, &'a Row, Vec<Timed>)>,
}

/// A chart for each of the first points of every workload.
pub(super) fn charts(layout: &Layout<'_>) -> Vec<Value> {
    let of_group = |group| {
        let group: &Group<'_> = group;
        group.points.iter().filter_map(move |point| timings(group, point)).take(MAX_CHARTS)
    };
    let timings: Vec<_> = layout.groups.iter().flat_map(of_group).take(MAX_ALL_CHARTS).collect();
    let points = timings.iter().flat_map(|it| &it.rows).map(|(_, _, times)| times.len());
    let has_marks = points.sum::<usize>() <= MAX_MARKS;
    timings.iter().filter_map(|timings| chart(timings, has_marks, layout)).collect()
}

fn timings<'a>(group: &'a Group<'a>, point: &'a PlacedPoint<'a>) -> Option<Timings<'a>> {
    let rows: Vec<_> = point.rows.iter().filter_map(|(id, row)| Some((id, *row, times(row)?))).collect();
    (!rows.is_empty()).then_some(Timings { group, point, rows })
}

/// A block, counted from 1, its seconds, and these in relation to the median.
#[derive(Clone, Copy)]
struct Timed {
    block: u32,
    seconds: f64,
    relative: f64,
}

fn chart(timings: &Timings<'_>, has_marks: bool, layout: &Layout<'_>) -> Option<Value> {
    let Timings { group, point, rows } = timings;
    let times = || rows.iter().flat_map(|(_, _, times)| times);
    let (first, last) = (times().map(|it| it.block).min()?, times().map(|it| it.block).max()?);
    let plot = Plot::over(SMALL, Scale::Linear, [first, last].map(f64::from), times().map(|it| it.relative))?;
    let curve = |(id, row, times): &(&String, &Row, Vec<Timed>)| {
        let points = times.iter().map(|timed| CurvePoint {
            x: timed.block.into(),
            y: timed.relative,
            range: None,
            title: has_marks.then(|| title(row, timed)),
            row: (*id).clone(),
        });
        plot.curve(layout.label_number(&row.label), points)
    };
    let ticks = (first..=last).step_by((last - first).div_ceil(TICKS).max(1) as usize);
    let workload = &group.workload;
    Some(context! {
        group => group.number,
        title => workload,
        description => format!("time of each block of {workload}"),
        fixed => labels::settings(point.point),
        over => "block",
        x_ticks => ticks.map(|block| label(plot.x(block.into()), block.to_string())).collect::<Vec<_>>(),
        y_ticks => plot.y_ticks(number::ratio),
        curves => rows.iter().map(curve).collect::<Vec<_>>(),
    })
}

/// The blocks of a row in order. None for an open loop, whose schedule decides the time; with too few blocks; and for records of
/// several runs, whose blocks have no order.
fn times(row: &Row) -> Option<Vec<Timed>> {
    let median = row.duration?.median;
    let timed = row.samples.iter().filter_map(|sample| {
        let (block, seconds) = (sample.block?.checked_add(1)?, sample.duration?);
        Some(Timed { block, seconds, relative: seconds / median })
    });
    let mut timed: Vec<_> = timed.filter(|it| it.relative.is_finite() && it.relative > 0.0).collect();
    timed.sort_by_key(|it| it.block);
    let is_one_run = timed.is_sorted_by(|one, next| one.block < next.block);
    (row.open_loop.is_none() && is_one_run && timed.len() >= FEWEST_BLOCKS).then_some(timed)
}

/// `native, block 3: 25.2 ms, 1.02× its median`.
fn title(row: &Row, timed: &Timed) -> String {
    let (seconds, relative) = (number::duration(timed.seconds), number::ratio(timed.relative));
    format!("{}, block {}: {seconds}, {relative} its median", name(&row.label), timed.block)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::examples;

    #[test]
    fn a_row_has_the_time_of_each_block_unless_its_blocks_have_no_order() {
        let row = examples::row("a", None);
        let found = times(&row).unwrap();
        assert_eq!(found.iter().map(|it| it.block).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);
        assert!((found[4].relative - 1.05).abs() < 1e-9, "{}", found[4].relative);
        let mut failed_once = row.clone();
        failed_once.samples[2].duration = None;
        assert_eq!(times(&failed_once).unwrap().len(), 6);
        let mut of_two_runs = row.clone();
        of_two_runs.samples[6].block = Some(2);
        assert!(times(&of_two_runs).is_none());
        let mut few = row;
        few.samples.truncate(2);
        assert!(times(&few).is_none());
    }

    #[test]
    fn a_page_has_charts_of_the_first_points_only() {
        let comparison = examples::large(1000);
        let layout = Layout::of(&comparison);
        assert_eq!(charts(&layout).len(), MAX_ALL_CHARTS);
        assert!(charts(&Layout::of(&examples::open_loop())).is_empty());
    }
}
