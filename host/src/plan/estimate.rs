//! Estimates how long a plan takes.

use super::{Block, Session};
use crate::stats::WarmUp;

/// How many seconds the blocks take with the fewest warm-ups of every cell, and with the most, if a session takes `session` seconds
/// beside its runs, and a run `run` seconds.
pub(crate) fn estimate(blocks: &[Block], warm_up: &WarmUp, session: f64, run: f64) -> (f64, f64) {
    let (mut least, mut most) = (0.0, 0.0);
    for Session { cells, .. } in blocks.iter().flat_map(|block| &block.sessions) {
        let seconds = |warm_ups: u32| session + run * cells.len() as f64 * (1.0 + f64::from(warm_ups));
        least += seconds(warm_up.min_runs());
        most += seconds(warm_up.max_runs(run));
    }
    (least, most)
}
