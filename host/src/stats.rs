//! Statistics of paired measurements. Pure; the source of each formula is named where it stands, and `METHODOLOGY.md`,
//! beside this crate's manifest, says what each is for.

mod holm;
mod isotonic;
mod means;
mod percentile;
mod rank_sum;
mod signed_rank;
mod verdict;
mod warm_up;

#[cfg(test)]
mod reference;
#[cfg(test)]
mod simulation;

pub use holm::holm;
pub use isotonic::isotonic;
pub use means::{Coverage, common_geometric_means, geometric_mean, median};
pub use percentile::samples_needed;
pub use rank_sum::Shift;
pub use signed_rank::{CONFIDENCE, Interval, MIN_BLOCKS, PairedDifference};
pub use verdict::{MARGIN, Verdict};
pub use warm_up::WarmUp;
