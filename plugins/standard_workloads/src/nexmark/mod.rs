//! The queries of Nexmark, the benchmark of stream engines, on one stream of events. `docs/nexmark.md` says what each means.
//!
//! All queries share the source (`generator`), and their stages exchange records of words (`record`). A window is a part of the
//! key of a keyed reduction, and an end of something is a time that follows from its events (`Query::closes`).

mod arrivals;
mod event;
mod generator;
mod highest_bid;
mod hot_items;
mod join;
mod query;
mod sessions;
mod stateless;
#[cfg(test)]
mod tests;
mod ties;
mod window;
mod winning_bids;

use query::Nexmark;

pub(crate) type Q0 = Nexmark<stateless::PassThrough>;
pub(crate) type Q1 = Nexmark<stateless::Currency>;
pub(crate) type Q2 = Nexmark<stateless::Selection>;
pub(crate) type Q3 = Nexmark<join::LocalItems>;
pub(crate) type Q4 = Nexmark<winning_bids::CategoryPrices>;
pub(crate) type Q5 = Nexmark<hot_items::HotItems>;
pub(crate) type Q7 = Nexmark<highest_bid::HighestBid>;
pub(crate) type Q8 = Nexmark<join::NewUsers>;
pub(crate) type Q9 = Nexmark<winning_bids::WinningBids>;
pub(crate) type Q11 = Nexmark<sessions::Sessions>;
