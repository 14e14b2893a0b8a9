//! The geometric means of ratios over several points.

use std::collections::{BTreeMap, BTreeSet};

use super::input::run_of;
use super::model::{Geomean, Point, Ratio, RatioInterval, Rigor, Row};
use super::trial::BlockId;
use crate::plan::defaults::SLEEPING;
use crate::run::session::NEGOTIATION;
use crate::stats::{Interval, PairedDifference, common_geometric_means};

/// One for each of `backends`, over the points where every backend finished every trial, and no row is in doubt; without a ratio for a
/// backend that failed or is in doubt at any point, or whose ratios are of rows that must not be mixed. Single runs of a backend that has
/// blocks at any point do not count. Points that only sleep are left out, as all backends sleep equally long. Open loops are not among the
/// points: their ratios are not about throughput.
pub(super) fn geomeans(points: &[&Point], backends: &[&str], rigor: Rigor) -> Vec<Geomean> {
    let (sleeping, working): (Vec<&Point>, Vec<&Point>) =
        points.iter().copied().partition(|point| point.workload == SLEEPING);
    let counts = |name: &&&str| working.iter().flat_map(|point| counted(point, name)).any(is_paired);
    let in_blocks: BTreeSet<&str> = backends.iter().filter(counts).copied().collect();
    let ratio = |point: &Point, name: &str| {
        whole_ratio(point, name).filter(|ratio| ratio.paired || !in_blocks.contains(name))
    };
    let estimates =
        |point: &&Point| backends.iter().map(|name| Some(ratio(point, name)?.estimate)).collect::<Vec<_>>();
    let ratios: Vec<_> = working.iter().map(estimates).collect();
    let means = common_geometric_means(&ratios, backends.len());
    let covered: Vec<&Point> = working
        .iter()
        .copied()
        .zip(&ratios)
        .filter(|(_, ratios)| ratios.iter().all(Option::is_some))
        .map(|(point, _)| point)
        .collect();
    let geomean = |(name, mean): (&&str, Option<f64>)| {
        let unsound = working.iter().any(|point| is_unsound(point, name));
        let mixed = !unsound && is_mixed(&covered, name);
        let ratio = mean.filter(|_| !unsound && !mixed);
        Geomean {
            backend: (*name).to_owned(),
            ratio,
            interval: ratio
                .filter(|_| rigor != Rigor::Quick)
                .and_then(|ratio| interval(&covered, name, ratio)),
            covered: covered.len() as u32,
            points: ratios.len() as u32,
            left_out: sleeping.iter().map(|point| point.id.clone()).collect(),
            mixed,
        }
    };
    backends.iter().zip(means).map(geomean).collect()
}

/// Whether a trial of a backend went wrong at a point, or its trials cannot be right together: by failing where it is slow a backend
/// would leave those points out of its mean. What it says beforehand that it does not support is no failure, unless it does support it
/// in some blocks.
fn is_unsound(point: &Point, backend: &str) -> bool {
    let ran = |row: &Row| row.counts.with_result() > 0;
    let failed = |row: &Row| row.failures.iter().any(|group| group.phase != NEGOTIATION || ran(row));
    point.rows.iter().any(|row| row.backend == backend && (failed(row) || !row.doubts.is_empty()))
}

/// The ratio of a backend at a point where neither it nor the baseline failed even once, or is in doubt.
fn whole_ratio(point: &Point, backend: &str) -> Option<Ratio> {
    let (row, baseline) = with_baseline(point, backend)?;
    let whole = |row: &Row| row.doubts.is_empty() && row.counts.trials == row.counts.with_result();
    row.ratio.filter(|_| whole(row) && whole(baseline))
}

/// Whether the ratios of a backend are of several rows at a point, as of two builds of its plugin or on two numbers of cores; or, at
/// another point, of another machine, another number of cores, or another file of its plugin or of the baseline's. A mean of them would
/// be that of none.
fn is_mixed(points: &[&Point], backend: &str) -> bool {
    let file = |row: &Row| row.plugin.as_ref().map(|plugin| plugin.sha256.clone());
    let of_point = |point: &&Point| {
        let (row, baseline) = with_baseline(point, backend)?;
        Some((row.machine, row.cores, file(row), file(baseline)))
    };
    let distinct: BTreeSet<_> = points.iter().filter_map(of_point).collect();
    distinct.len() > 1 || points.iter().any(|point| counted(point, backend).len() > 1)
}

/// The rows of a backend that have a ratio: those of blocks, or without any the single runs.
fn counted<'a>(point: &'a Point, backend: &str) -> Vec<&'a Row> {
    let with_ratio = point.rows.iter().filter(|row| row.backend == backend && row.ratio.is_some());
    let (of_blocks, single): (Vec<_>, Vec<_>) = with_ratio.partition(|row| is_paired(row));
    if of_blocks.is_empty() { single } else { of_blocks }
}

fn is_paired(row: &Row) -> bool {
    row.ratio.is_some_and(|ratio| ratio.paired)
}

/// The first of these rows, and the row that it is compared with.
fn with_baseline<'a>(point: &'a Point, backend: &str) -> Option<(&'a Row, &'a Row)> {
    let row = counted(point, backend).into_iter().next()?;
    let baseline = point.compared_with(row)?;
    Some((row, baseline))
}

/// The interval of the geometric mean `ratio`: that of the signed ranks, as for a single ratio, over the blocks, each with the
/// mean of its logarithms at all points. Only blocks that have every point count.
fn interval(points: &[&Point], backend: &str, ratio: f64) -> Option<RatioInterval> {
    let mut sums: BTreeMap<BlockId<'_>, (usize, f64)> = BTreeMap::new();
    for point in points {
        let (row, baseline) = with_baseline(point, backend)?;
        let others: BTreeMap<_, _> = seconds(baseline).collect();
        for (block, seconds) in seconds(row) {
            let Some(baseline) = others.get(&block) else { continue };
            let (count, sum) = sums.entry(block).or_default();
            (*count, *sum) = (*count + 1, *sum + (baseline / seconds).ln());
        }
    }
    let whole = sums.into_values().filter(|(count, _)| *count == points.len());
    let means: Vec<_> = whole.map(|(count, sum)| sum / count as f64).collect();
    let Interval { low, high, confidence } = PairedDifference::new(&means)?.interval?.exp();
    // The mean of medians is not the median of means. The interval has both.
    Some(Interval { low: low.min(ratio), high: high.max(ratio), confidence })
}

/// The seconds of the trials that have a block.
fn seconds(row: &Row) -> impl Iterator<Item = (BlockId<'_>, f64)> {
    row.samples.iter().filter_map(|sample| {
        let block = (sample.run_started.as_deref(), run_of(&sample.run_id), sample.block?);
        Some((block, sample.duration?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::model::{Counts, Doubt, Library, Sample, Source, Status};

    /// A row with these seconds, block by block.
    fn row(backend: &str, point: &str, seconds: &[f64], ratio: Option<f64>) -> Row {
        let sample = |(block, seconds): (usize, &f64)| Sample {
            source: Source::default(),
            status: Status::Verified,
            run_id: format!("run/{point}"),
            run_started: None,
            block: Some(block as u32),
            timestamp: String::new(),
            duration: Some(*seconds),
            command: None,
            log: None,
            warnings: Vec::new(),
        };
        let trials = seconds.len() as u32;
        Row {
            backend: backend.into(),
            label: backend.into(),
            compared_with: ratio.map(|_| "native".into()),
            counts: Counts { trials, verified: trials, ..Counts::default() },
            ratio: ratio.map(|estimate| Ratio { estimate, paired: true, ..Ratio::default() }),
            samples: seconds.iter().enumerate().map(sample).collect(),
            ..Row::default()
        }
    }

    /// A point where `other` is faster than the baseline by these factors.
    fn point(workload: &str, factors: &[f64], ratio: f64) -> Point {
        let seconds: Vec<_> = factors.iter().map(|factor| 1.0 / factor).collect();
        let rows = vec![
            row("native", workload, &vec![1.0; factors.len()], None),
            row("other", workload, &seconds, Some(ratio)),
        ];
        Point { id: workload.into(), workload: workload.into(), rows, ..Point::default() }
    }

    const NEAR_TWO: [f64; 7] = [1.94, 1.96, 1.98, 2.0, 2.02, 2.04, 2.06];
    const NEAR_EIGHT: [f64; 7] = [8.3, 7.9, 8.1, 8.0, 7.8, 8.2, 7.7];

    #[test]
    fn the_interval_is_over_the_blocks_and_points_that_only_sleep_are_left_out() {
        let points = [
            point("pipeline", &NEAR_TWO, 2.0),
            point("word_count", &NEAR_EIGHT, 8.0),
            point(SLEEPING, &[100.0; 7], 100.0),
        ];
        let [mean] = geomeans(&points.each_ref(), &["other"], Rigor::Standard).try_into().unwrap();
        assert!((mean.ratio.unwrap() - 4.0).abs() < 1e-12);
        assert_eq!((mean.covered, mean.points, mean.left_out), (2, 2, vec![SLEEPING.to_owned()]));
        let interval = mean.interval.unwrap();
        assert!(3.8 < interval.low && interval.low < 4.0, "{interval:?}");
        assert!(4.0 < interval.high && interval.high < 4.2, "{interval:?}");
        assert!(interval.confidence > 0.95);
        // With one point it is that of its ratio.
        let [one] = geomeans(&[&points[0]], &["other"], Rigor::Standard).try_into().unwrap();
        let logarithms: Vec<_> = NEAR_TWO.iter().map(|factor: &f64| factor.ln()).collect();
        let alone = PairedDifference::new(&logarithms).unwrap().interval.unwrap().exp();
        assert!((one.interval.unwrap().low - alone.low).abs() < 1e-9);
    }

    #[test]
    fn single_runs_beside_blocks_do_not_count() {
        let mut both = point("pipeline", &NEAR_TWO, 2.0);
        let single = Row {
            compared_with: Some("native".into()),
            ratio: Some(Ratio { estimate: 9.0, ..Ratio::default() }),
            ..row("other", "pipeline", &[0.2], None)
        };
        both.rows.insert(1, single);
        let [mean] = geomeans(&[&both], &["other"], Rigor::Standard).try_into().unwrap();
        assert!((mean.ratio.unwrap() - 2.0).abs() < 1e-12 && mean.interval.is_some(), "{mean:?}");
    }

    #[test]
    fn a_point_of_single_runs_is_not_covered_beside_points_of_blocks() {
        let mut points = [point("pipeline", &NEAR_TWO, 2.0), point("word_count", &NEAR_EIGHT, 8.0)];
        let single = |point: &mut Point| point.rows[1].ratio.as_mut().unwrap().paired = false;
        let mean = |points: &[Point; 2]| {
            let [mean] = geomeans(&points.each_ref(), &["other"], Rigor::Standard).try_into().unwrap();
            (mean.ratio.map(|ratio| (ratio * 1e9).round() / 1e9), mean.covered, mean.points, mean.mixed)
        };
        single(&mut points[1]);
        assert_eq!(mean(&points), (Some(2.0), 1, 2, false));
        // They count for a backend that has nothing else.
        single(&mut points[0]);
        assert_eq!(mean(&points), (Some(4.0), 2, 2, false));
    }

    #[test]
    fn a_point_with_a_row_in_doubt_is_not_covered() {
        let mut points = [point("pipeline", &NEAR_TWO, 2.0), point("word_count", &NEAR_EIGHT, 8.0)];
        for row in 0..2 {
            points[1].rows[row].doubts = vec![Doubt::CpuTime { part: 0.5 }];
            let [mean] = geomeans(&points.each_ref(), &["other"], Rigor::Standard).try_into().unwrap();
            // A backend in doubt has no mean at all.
            let ratio = (row == 0).then_some(2.0);
            assert_eq!((mean.ratio, mean.covered, mean.points), (ratio, 1, 2));
            points[1].rows[row].doubts.clear();
        }
    }

    #[test]
    fn without_enough_blocks_or_in_a_quick_comparison_there_is_no_interval() {
        let few = [point("pipeline", &NEAR_TWO[..5], 2.0)];
        assert_eq!(geomeans(&few.each_ref(), &["other"], Rigor::Standard)[0].interval, None);
        let quick = [point("pipeline", &NEAR_TWO, 2.0)];
        let [mean] = geomeans(&quick.each_ref(), &["other"], Rigor::Quick).try_into().unwrap();
        assert_eq!((mean.interval, mean.ratio), (None, Some(2.0)));
    }

    #[test]
    fn ratios_of_several_builds_machines_or_rows_have_no_mean() {
        let both = || [point("pipeline", &NEAR_TWO, 2.0), point("word_count", &NEAR_EIGHT, 8.0)];
        let mean = |points: &[Point; 2]| {
            let [mean] = geomeans(&points.each_ref(), &["other"], Rigor::Standard).try_into().unwrap();
            (mean.ratio.is_some(), mean.mixed, mean.covered)
        };
        assert_eq!(mean(&both()), (true, false, 2));
        let newer = || Some(Library { sha256: "newer".into(), ..Library::default() });
        // The plugin of the row or of its baseline, the machine, and the number of cores, at one point only.
        let changes: [fn(&mut Row, Option<Library>); 3] =
            [|row, newer| row.plugin = newer, |row, _| row.machine = Some(1), |row, _| row.cores = Some(1)];
        for (change, places) in changes.into_iter().zip([&[0, 1][..], &[1], &[1]]) {
            for place in places {
                let mut points = both();
                change(&mut points[1].rows[*place], newer());
                assert_eq!(mean(&points), (false, true, 2));
            }
        }
        // Two builds at each of the points.
        let mut points = both();
        for point in &mut points {
            let mut again = point.rows[1].clone();
            again.label = "other (plugin newer)".into();
            point.rows.push(again);
        }
        assert_eq!(mean(&points), (false, true, 2));
        // Single runs beside blocks do not count.
        points.iter_mut().for_each(|point| point.rows[2].ratio.as_mut().unwrap().paired = false);
        assert_eq!(mean(&points), (true, false, 2));
    }
}
