//! Withholds verdicts that noise, the number of comparisons, or rows that cannot be right may explain.

use std::collections::HashMap;

use super::model::{Counts, Point, Ratio, RatioInterval, Rigor, Row, Verdict, Withheld};
use crate::stats::{CONFIDENCE, MARGIN, holm, more_blocks_beside};

/// Withholds the verdicts of rows with failures or doubts, those below the noise floor and, for publication, those that are not
/// significant after Holm.
pub(super) fn withhold_verdicts(points: &mut [Point], rigor: Rigor) {
    for point in &mut *points {
        withhold_beside(point, |row| failures(&row.counts), Withheld::BaselineFailures);
        withhold_beside(point, doubts, Withheld::BaselineDoubts);
        let Some(factor) = point.noise_floor.as_ref().map(|floor| floor.factor) else { continue };
        for ratio in point.rows.iter_mut().filter_map(|row| row.ratio.as_mut()) {
            let difference = ratio.estimate.max(1.0 / ratio.estimate);
            if difference <= factor && needs_less_noise(ratio, difference) {
                withhold(ratio, Withheld::BelowNoiseFloor);
            }
        }
    }
    if rigor == Rigor::Publish {
        correct_for_all_comparisons(points);
    }
}

/// Withholds the verdicts of the rows that `fault` says something of, and `of_baseline` where it says so of their baselines. The
/// blocks without a failure may be the easy ones, and a backend that is sometimes wrong is not faster. The reason is kept where there
/// would be no verdict, too, as with few blocks: then the ratio says nothing either.
fn withhold_beside(point: &mut Point, fault: impl Fn(&Row) -> Option<Withheld>, of_baseline: Withheld) {
    let faults: HashMap<String, Withheld> =
        point.rows.iter().filter_map(|row| Some((row.label.clone(), fault(row)?))).collect();
    for row in &mut point.rows {
        let own = faults.get(&row.label).copied();
        let baseline = row.compared_with.as_ref().filter(|label| faults.contains_key(*label));
        let why = own.or(baseline.map(|_| of_baseline));
        let (Some(why), Some(ratio)) = (why, row.ratio.as_mut()) else { continue };
        ratio.verdict = None;
        ratio.withheld = ratio.withheld.or(Some(why));
    }
}

fn failures(counts: &Counts) -> Option<Withheld> {
    if counts.wrong > 0 {
        return Some(Withheld::WrongAnswers);
    }
    (counts.failed + counts.invalid > 0).then_some(Withheld::Failures)
}

fn doubts(row: &Row) -> Option<Withheld> {
    (!row.doubts.is_empty()).then_some(Withheld::Doubts)
}

/// Whether a difference below the noise floor has no verdict for its noise. Equivalence is no finding of a difference, and what lies
/// within the margin may turn out to be that. Of what lies beyond it, a narrower interval would only show a difference within noise.
fn needs_less_noise(ratio: &Ratio, difference: f64) -> bool {
    match ratio.verdict {
        Some(Verdict::Inconclusive { .. }) => difference > MARGIN,
        verdict => verdict.is_some_and(Verdict::is_difference),
    }
}

fn withhold(ratio: &mut Ratio, why: Withheld) {
    ratio.verdict = Some(Verdict::Inconclusive { more_blocks: None });
    ratio.withheld = Some(why);
}

/// Holm over all ratios with a verdict, except those of A/A comparisons, which test no hypothesis about a backend. The
/// p-values are those of the margin, because the verdicts claim a difference of more than that: with those of equal speeds, many
/// a table of differences just within the margin would have a false verdict.
fn correct_for_all_comparisons(points: &mut [Point]) {
    let mut ratios: Vec<&mut Ratio> = points.iter_mut().flat_map(tested).collect();
    let p_values: Vec<f64> = ratios.iter().filter_map(|ratio| ratio.margin_p_value).collect();
    for (ratio, adjusted) in ratios.iter_mut().zip(holm(&p_values)) {
        ratio.adjusted_p_value = Some(adjusted);
        // Equivalence is not withheld: it is no finding of a difference.
        if adjusted > 1.0 - CONFIDENCE && ratio.verdict.is_some_and(Verdict::is_difference) {
            withhold(ratio, Withheld::Holm);
        }
        if let (Some(Verdict::Inconclusive { .. }), None) = (ratio.verdict, ratio.withheld) {
            ratio.verdict = Some(Verdict::Inconclusive { more_blocks: more_blocks(ratio, &p_values) });
        }
    }
    withhold_of_second_names(points, &p_values);
}

/// The second name of an A/A comparison is not one of the tests. Its difference counts only if it would in the place of the first name,
/// or, of the baseline, which has no ratio, as one test more: two names of one file with different verdicts would look like a finding.
fn withhold_of_second_names(points: &mut [Point], p_values: &[f64]) {
    for point in points {
        let tested =
            |row: &Row| row.ratio.as_ref().filter(|ratio| ratio.adjusted_p_value.is_some())?.margin_p_value;
        let firsts: HashMap<_, f64> =
            point.rows.iter().filter_map(|row| Some((compared_file(row)?, tested(row)?))).collect();
        for row in &mut point.rows {
            let first = compared_file(row).and_then(|file| firsts.get(&file)).copied();
            let Some(ratio) = row.ratio.as_mut().filter(|ratio| ratio.adjusted_p_value.is_none()) else {
                continue;
            };
            let adjusted = ratio.margin_p_value.and_then(|own| adjusted_in_place(own, first, p_values));
            let is_significant = adjusted.is_some_and(|adjusted| adjusted <= 1.0 - CONFIDENCE);
            if !is_significant && ratio.verdict.is_some_and(Verdict::is_difference) {
                withhold(ratio, Withheld::Holm);
            }
        }
    }
}

/// The plugin file of a row, and what it is compared with.
fn compared_file(row: &Row) -> Option<(String, Option<String>)> {
    Some((row.plugin.as_ref()?.sha256.clone(), row.compared_with.clone()))
}

/// `own` after Holm in a table where it stands in the place of `first`, or else beside all.
fn adjusted_in_place(own: f64, first: Option<f64>, p_values: &[f64]) -> Option<f64> {
    let mut table = p_values.to_vec();
    if let Some(place) = first.and_then(|first| table.iter().position(|it| it.total_cmp(&first).is_eq())) {
        table.remove(place);
    }
    table.push(own);
    holm(&table).last().copied()
}

/// How many more blocks a difference needs so that it is significant beside all others. Its p-value is multiplied by how many are not
/// smaller, itself included.
fn more_blocks(ratio: &Ratio, p_values: &[f64]) -> Option<u32> {
    let RatioInterval { low, high, confidence } = ratio.interval?;
    let own = ratio.margin_p_value?;
    let not_smaller = p_values.iter().filter(|other| **other >= own).count();
    let logarithms = RatioInterval { low: low.ln(), high: high.ln(), confidence };
    more_blocks_beside(ratio.estimate.ln(), logarithms, ratio.blocks as usize, not_smaller)
}

/// Without those of a second name of a file that is the baseline, or is compared with the same baseline already.
fn tested(point: &mut Point) -> Vec<&mut Ratio> {
    let mut seen: Vec<(String, String, Option<String>)> = Vec::new();
    let mut is_again = |row: &Row| {
        let Some(plugin) = &row.plugin else { return false };
        // Baselines come first.
        let known = seen.iter().any(|(backend, sha256, with)| {
            *sha256 == plugin.sha256
                && (with.is_none() || (*backend != row.backend && *with == row.compared_with))
        });
        seen.push((row.backend.clone(), plugin.sha256.clone(), row.compared_with.clone()));
        known
    };
    let rows: Vec<_> = point.rows.iter_mut().filter(|row| !is_again(row)).collect();
    let ratios = rows.into_iter().filter_map(|row| row.ratio.as_mut());
    ratios.filter(|ratio| ratio.verdict.is_some()).collect()
}
