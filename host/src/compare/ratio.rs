//! The ratio of the speeds of two rows.

use std::collections::HashMap;

use super::group::Group;
use super::model::{BlockGroup, NoInterval, NoRatio, Ratio, Rigor};
use super::trial::{Repetition, Trial};
use crate::stats::{
    Interval, MIN_BLOCKS, MeanRatio, PairedDifference, ValueGroup, Verdict, interval_of, median, ratio_of,
};

/// The speed of `row` over that of `baseline`.
pub(super) fn ratio(row: &Group<'_>, baseline: &Group<'_>, rigor: Rigor) -> Result<Ratio, NoRatio> {
    if baseline.successes().next().is_none() {
        return Err(NoRatio::BaselineFailed);
    }
    if row.successes().next().is_none() {
        return Err(NoRatio::Failed);
    }
    let is_compared = |group: &Group<'_>| group.compared().next().is_some();
    if !is_compared(row) || !is_compared(baseline) {
        return Err(NoRatio::NoLatency);
    }
    if !(has_blocks(row) && has_blocks(baseline)) {
        return unpaired(row, baseline).ok_or(NoRatio::Failed);
    }
    let pairs = pairs(row, &by_repetition(baseline));
    let difference = PairedDifference::new(&logarithms(&pairs)).ok_or(NoRatio::NoCommonBlock)?;
    // A mean of percentiles is no percentile.
    let mean_ratio = if row.is_open_loop() { None } else { MeanRatio::new(&pairs, difference.widening) };
    Ok(of_pairs(&difference, mean_ratio, rigor))
}

/// The interval of the ratio alone, over the blocks that both finished. None where [`ratio`] has none.
pub(super) fn interval(row: &Group<'_>, baseline: &ByRepetition<'_>) -> Option<Interval> {
    Some(interval_of(&logarithms(&pairs(row, baseline)))?.exp())
}

fn logarithms(pairs: &[(f64, f64)]) -> Vec<f64> {
    pairs.iter().map(|(baseline, this)| (baseline / this).ln()).collect()
}

/// The seconds of each trial of a row. All backends of a block have the same data: trials on other data are of two runs with one id,
/// whose records were put together into one file.
type ByRepetition<'a> = HashMap<(Repetition<'a>, Option<u64>), f64>;

pub(super) fn by_repetition<'a>(group: &Group<'a>) -> ByRepetition<'a> {
    let key = |trial: &Trial<'a>| (trial.repetition(), trial.metadata().data_seed);
    group.compared().map(|(trial, seconds)| (key(trial), seconds)).collect()
}

/// The seconds of the baseline and of the row for each block that both finished, in the order in which the blocks were run: the
/// records may be in any order, and those of several runs have blocks of the same numbers.
fn pairs(row: &Group<'_>, baseline: &ByRepetition<'_>) -> Vec<(f64, f64)> {
    let mut pairs: Vec<_> = row
        .compared()
        .filter_map(|(trial, seconds)| {
            let baseline = baseline.get(&(trial.repetition(), trial.metadata().data_seed))?;
            Some((trial.place()?, (*baseline, seconds)))
        })
        .collect();
    pairs.sort_by_key(|(place, _)| *place);
    pairs.into_iter().map(|(_, pair)| pair).collect()
}

fn has_blocks(group: &Group<'_>) -> bool {
    group.successes().any(|(trial, _)| trial.metadata().block.is_some())
}

fn of_pairs(difference: &PairedDifference, mean_ratio: Option<MeanRatio>, rigor: Rigor) -> Ratio {
    let no_interval = match (rigor, &difference.interval) {
        (Rigor::Quick, _) => Some(NoInterval::Quick),
        (_, None) if difference.blocks < MIN_BLOCKS => Some(NoInterval::TooFewBlocks),
        (_, None) => Some(NoInterval::Tied),
        (_, Some(_)) => None,
    };
    let has_verdict = no_interval.is_none();
    let group = |it: ValueGroup| BlockGroup { blocks: it.count as u32, ratio: ratio_of(it.median) };
    Ratio {
        estimate: ratio_of(difference.estimate),
        paired: true,
        blocks: difference.blocks as u32,
        interval: difference.interval.map(Interval::exp).filter(|_| has_verdict),
        no_interval,
        p_value: has_verdict.then_some(difference.p_value),
        margin_p_value: has_verdict.then_some(difference.margin_p_value),
        mean_ratio: mean_ratio.map(|it| MeanRatio { interval: it.interval.filter(|_| has_verdict), ..it }),
        autocorrelation: difference.autocorrelation,
        widened: Some(difference.widening).filter(|factor| has_verdict && *factor > 1.0),
        groups: difference.groups.filter(|_| has_verdict).map(|groups| groups.map(group)),
        verdict: Verdict::new(difference).filter(|_| has_verdict),
        ..Ratio::default()
    }
}

/// The ratio of the medians. Without blocks the common variation is unknown, so there is no interval and no verdict.
fn unpaired(row: &Group<'_>, baseline: &Group<'_>) -> Option<Ratio> {
    let seconds =
        |group: &Group<'_>| median(&group.compared().map(|(_, seconds)| seconds).collect::<Vec<_>>());
    Some(Ratio {
        // The quotient of the least and the greatest time may lie beyond all numbers.
        estimate: (seconds(baseline)? / seconds(row)?).clamp(f64::MIN_POSITIVE, f64::MAX),
        no_interval: Some(NoInterval::Unpaired),
        ..Ratio::default()
    })
}
