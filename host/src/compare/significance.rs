//! Which differences are called, once the whole table is seen.

use std::collections::HashMap;

use super::model::{Counts, Point, Ratio, Rigor, Row, Verdict, Withheld};
use crate::stats::{CONFIDENCE, holm};

/// Withholds the verdicts beside failures, and the differences that noise or the size of the table could have made.
pub(super) fn judge(points: &mut [Point], rigor: Rigor) {
    for point in &mut *points {
        withhold_beside_failures(point);
        let Some(factor) = point.noise_floor.as_ref().map(|floor| floor.factor) else { continue };
        for ratio in point.rows.iter_mut().filter_map(|row| row.ratio.as_mut()) {
            if ratio.estimate.max(1.0 / ratio.estimate) <= factor {
                withhold(ratio, Withheld::BelowNoiseFloor);
            }
        }
    }
    if rigor == Rigor::Publish {
        judge_together(points);
    }
}

/// The blocks that both rows finished are no fair sample of what they do if other blocks failed, and a backend that is
/// sometimes wrong is not faster at being right.
fn withhold_beside_failures(point: &mut Point) {
    let failing: HashMap<String, Withheld> =
        point.rows.iter().filter_map(|row| Some((row.label.clone(), failures(&row.counts)?))).collect();
    for row in &mut point.rows {
        let own = failing.get(&row.label).copied();
        let beside = row.compared_with.as_ref().filter(|label| failing.contains_key(*label));
        let why = own.or(beside.map(|_| Withheld::BaselineFailures));
        let (Some(why), Some(ratio)) = (why, row.ratio.as_mut()) else { continue };
        if ratio.verdict.take().is_some() {
            ratio.withheld = Some(why);
        }
    }
}

fn failures(counts: &Counts) -> Option<Withheld> {
    if counts.wrong > 0 {
        return Some(Withheld::WrongAnswers);
    }
    (counts.failed + counts.invalid > 0).then_some(Withheld::Failures)
}

/// Only a difference is withheld: that two are equivalent was not found by looking for a difference.
fn withhold(ratio: &mut Ratio, why: Withheld) {
    if ratio.verdict.is_some_and(Verdict::is_difference) {
        ratio.verdict = Some(Verdict::Inconclusive { more_blocks: None });
        ratio.withheld = Some(why);
    }
}

/// Holm over all ratios that have a verdict, but for that of the baseline beside itself: it is no question about a
/// backend. The p-values are those against the margin, as the verdicts claim a difference of more than that: with those
/// of equal speeds, a table of differences just within the margin would nearly always have one called.
fn judge_together(points: &mut [Point]) {
    let mut ratios: Vec<&mut Ratio> = points.iter_mut().flat_map(asked).collect();
    let p_values: Vec<f64> = ratios.iter().filter_map(|ratio| ratio.margin_p_value).collect();
    for (ratio, adjusted) in ratios.iter_mut().zip(holm(&p_values)) {
        ratio.adjusted_p_value = Some(adjusted);
        if adjusted > 1.0 - CONFIDENCE {
            withhold(ratio, Withheld::Holm);
        }
    }
}

fn asked(point: &mut Point) -> Vec<&mut Ratio> {
    let sha256 = |row: &Row| row.plugin.as_ref().map(|plugin| plugin.sha256.clone());
    let baselines: Vec<_> = point.rows.iter().filter(|row| row.is_baseline).map(sha256).collect();
    let is_twin = |row: &Row| sha256(row).is_some() && baselines.contains(&sha256(row));
    let rows = point.rows.iter_mut().filter(|row| !is_twin(row));
    rows.filter_map(|row| row.ratio.as_mut()).filter(|ratio| ratio.verdict.is_some()).collect()
}
