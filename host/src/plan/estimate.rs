//! How long a plan takes.

use super::{Block, Cell, Session};
use crate::stats::WarmUp;

/// What is known of how long parts take.
pub(crate) trait Costs {
    /// Seconds to start, check and stop the engine of a session.
    fn session_seconds(&self, session: &Session) -> f64;

    /// Seconds of one run of a cell, with what the harness adds to it.
    fn run_seconds(&self, session: &Session, cell: &Cell) -> f64;
}

/// From the fewest warm-ups to the most.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Estimate {
    /// Seconds if every cell settles as soon as it can.
    pub least_seconds: f64,
    /// Seconds if none ever settles.
    pub most_seconds: f64,
}

/// How long the blocks take. Give it those that remain, for the time left.
pub(crate) fn estimate(blocks: &[Block], warm_up: &WarmUp, costs: &impl Costs) -> Estimate {
    let mut estimate = Estimate::default();
    for session in blocks.iter().flat_map(|block| &block.sessions) {
        let runs: f64 = session.cells.iter().map(|cell| costs.run_seconds(session, cell)).sum();
        let seconds = |warm_ups: u32| costs.session_seconds(session) + runs * (1.0 + f64::from(warm_ups));
        estimate.least_seconds += seconds(warm_up.fewest());
        estimate.most_seconds += seconds(warm_up.most);
    }
    estimate
}
