//! The A/A comparison of the honest backend.

use serde::Serialize;

use super::trials::{Trials, computing};
use crate::plan::Purpose;
use crate::run::session::CallError;
use crate::stats::{Interval, PairedDifference, Verdict, median};
use crate::worker::cheat::Cheat;

/// The sizes of the comparisons, in items of about a hundred microseconds each.
const SIZES: [u64; 10] = [40, 50, 60, 70, 80, 90, 100, 110, 120, 130];

/// How many runs of a size are measured in a session; their median counts, as each takes milliseconds.
const RUNS: u32 = 3;

/// The result of the A/A comparison.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct AaComparison {
    /// The number of comparisons.
    pub cells: usize,
    /// The number of blocks of each comparison.
    pub blocks: u32,
    /// The number of verdicts that the backend is faster or slower than itself.
    pub false_verdicts: usize,
    /// The largest ratio of any estimate.
    pub largest_difference: f64,
    /// The number of runs that were not verified.
    pub rejected: usize,
    /// Why the first of these was not.
    #[serde(skip)]
    pub why_rejected: Option<String>,
    /// The interval at each size, in items.
    #[serde(skip)]
    pub intervals: Vec<(u64, Interval)>,
}

/// Compares the honest backend with itself, in blocks of new sessions whose order alternates.
pub(super) fn compare(trials: &mut Trials, blocks: u32) -> Result<AaComparison, CallError> {
    let mut rejected = Vec::new();
    let mut logarithms = vec![Vec::new(); SIZES.len()];
    for block in 0..blocks {
        let first = (block % 2) as usize;
        let mut times = [Vec::new(), Vec::new()];
        for turn in [first, 1 - first] {
            times[turn] = session(trials, block, &mut rejected)?;
            if trials.executor.is_interrupted() {
                return Err(CallError::interrupted("selftest"));
            }
        }
        let [one, other] = times;
        for ((cell, one), other) in logarithms.iter_mut().zip(one).zip(other) {
            cell.extend(one.zip(other).map(|(one, other)| (one / other).ln()));
        }
    }
    let cells = SIZES.iter().zip(&logarithms);
    let differences: Vec<_> =
        cells.filter_map(|(size, cell)| Some((*size, PairedDifference::new(cell)?))).collect();
    let verdicts = differences.iter().filter_map(|(_, difference)| Verdict::new(difference));
    let estimates = differences.iter().map(|(_, difference)| difference.estimate.abs().exp());
    let intervals =
        differences.iter().filter_map(|(size, difference)| Some((*size, difference.interval?.exp())));
    Ok(AaComparison {
        cells: differences.len(),
        blocks,
        false_verdicts: verdicts.filter(|verdict| verdict.is_difference()).count(),
        largest_difference: estimates.fold(1.0, f64::max),
        rejected: rejected.len(),
        why_rejected: rejected.into_iter().next(),
        intervals: intervals.collect(),
    })
}

/// The seconds of each size in one session; both sessions of a block have the same data.
fn session(
    trials: &mut Trials,
    block: u32,
    rejected: &mut Vec<String>,
) -> Result<Vec<Option<f64>>, CallError> {
    let mut engine = trials.open(Cheat::None, &computing(SIZES[0]))?;
    let mut times = Vec::new();
    for size in SIZES {
        let mut seconds = Vec::new();
        for number in 0..=RUNS {
            let purpose = Purpose::WarmUp(number);
            let spec = trials.with_data(&computing(size), &size.to_string(), block, purpose)?;
            let result = trials.run(&mut engine, &spec)?;
            match result.seconds() {
                Some(took) if number > 0 => seconds.push(took),
                Some(_) => {}
                None => rejected.extend(result.outcome.error().map(|error| error.message.clone())),
            }
        }
        times.push(median(&seconds));
    }
    engine.close(&mut |_| ());
    Ok(times)
}
