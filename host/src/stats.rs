//! Statistics of paired measurements. Pure. Each formula names its source, and `docs/method.md` says what each is for.

mod dependence;
mod e_divisive;
mod fieller;
mod groups;
mod holm;
mod isotonic;
mod lower_tail;
pub(crate) mod means;
mod median_interval;
pub(crate) mod paired;
mod percentile;
mod rank_sum;
mod selection;
pub(crate) mod signed_rank;
mod student;
mod ties;
mod trend;
mod variation;
mod verdict;
pub(crate) mod warm_up;

#[cfg(test)]
pub(crate) mod random;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod simulation;

pub(crate) use e_divisive::{ChangePoint, change_points};
pub(crate) use fieller::MeanRatio;
pub(crate) use groups::ValueGroup;
pub(crate) use holm::holm;
pub(crate) use isotonic::isotonic;
pub(crate) use lower_tail::CONFIDENCE;
pub(crate) use means::{common_geometric_means, median};
pub(crate) use median_interval::median_interval;
pub(crate) use paired::{MARGIN, PairedDifference, interval_of};
pub(crate) use percentile::{compared_quantile, samples_needed};
pub(crate) use rank_sum::Shift;
pub(crate) use signed_rank::{Interval, MIN_BLOCKS, ratio_of};
pub(crate) use variation::Variation;
pub(crate) use verdict::{MAX_MORE_BLOCKS, Verdict, more_blocks_beside};
pub(crate) use warm_up::WarmUp;
