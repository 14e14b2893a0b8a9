//! Estimates how long a plan takes.

use super::{Block, Session};
use crate::stats::WarmUp;

/// A duration with the fewest warm-ups, and one with the most.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Estimate {
    /// Seconds if every cell needs the fewest warm-ups.
    pub least_seconds: f64,
    /// Seconds if every cell needs the most.
    pub most_seconds: f64,
}

/// How long the blocks take, if a session takes `session` seconds beside its runs, and a run `run` seconds.
pub(crate) fn estimate(blocks: &[Block], warm_up: &WarmUp, session: f64, run: f64) -> Estimate {
    let mut estimate = Estimate::default();
    for Session { cells, .. } in blocks.iter().flat_map(|block| &block.sessions) {
        let seconds = |warm_ups: u32| session + run * cells.len() as f64 * (1.0 + f64::from(warm_ups));
        estimate.least_seconds += seconds(warm_up.min_runs());
        estimate.most_seconds += seconds(warm_up.max_runs(run));
    }
    estimate
}
