//! The queries of auctions that end: q9 says which bid won each, and q4 what the winning bids of a category are on average.
//!
//! A bid counts from when its auction opens until before it expires, from the reserve on. Of these the highest wins, of equal ones
//! the earlier, and of those of one time the one with the lower number.

use std::cmp::Reverse;
use std::collections::VecDeque;

use plugin_api::{BatchBuilder, Parameters, Plan, StageKind, WorkloadError};

use super::event::{Auction, Bid, Event};
use super::generator::{AUCTIONS_IN_FLIGHT, FIRST_ID, Generator, last_auction};
use super::query::{NEVER, Query};
use crate::record::Column::{self, Number};
use crate::record::{Done, Words, add, malformed, push, read, tell, words};

/// The words of an accumulator: bids whose auction is not known yet, or an auction and the best bid so far, if there is one.
const BIDS: u64 = 0;
const AUCTION: u64 = 1;

/// Price, time, number and bidder of a bid.
const BID_WORDS: usize = 4;
/// Seller, category, reserve, and when the auction opens and expires.
const AUCTION_WORDS: usize = 5;

/// What an accumulator has.
struct Lot<'a> {
    auction: Option<[u64; AUCTION_WORDS]>,
    bids: &'a [[[u8; 8]; BID_WORDS]],
}

impl<'a> Lot<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, WorkloadError> {
        let refused = || malformed(bytes);
        let (kind, rest) = words(bytes)?.split_first().ok_or_else(refused)?;
        let (auction, bids): (_, Words<'_>) = match u64::from_le_bytes(*kind) {
            BIDS => (None, rest),
            AUCTION => {
                let (auction, bids) = rest.split_at_checked(AUCTION_WORDS).ok_or_else(refused)?;
                (Some(read(auction.as_flattened())?), bids)
            }
            _ => return Err(refused()),
        };
        match bids.as_chunks() {
            (bids, []) => Ok(Self { auction, bids }),
            _ => Err(refused()),
        }
    }

    /// The words of an auction, and then its best bid.
    fn write(auction: [u64; AUCTION_WORDS], best: Option<Offer>) -> Vec<u8> {
        let best = best.map(|Offer { price, time, number, bidder }| [price, time, number, bidder]);
        let all = [AUCTION].into_iter().chain(auction).chain(best.into_iter().flatten());
        all.flat_map(u64::to_le_bytes).collect()
    }

    fn offers(&self) -> impl Iterator<Item = Offer> {
        self.bids.iter().map(|words| {
            let [price, time, number, bidder] = words.map(u64::from_le_bytes);
            Offer { price, time, number, bidder }
        })
    }
}

/// A bid in its auction.
#[derive(Clone, Copy)]
struct Offer {
    price: u64,
    time: u64,
    number: u64,
    bidder: u64,
}

impl Offer {
    fn counts(self, [_, _, reserve, opens, expires]: [u64; AUCTION_WORDS]) -> bool {
        self.price >= reserve && (opens..expires).contains(&self.time)
    }

    fn rank(self) -> (u64, Reverse<u64>, Reverse<u64>) {
        (self.price, Reverse(self.time), Reverse(self.number))
    }
}

/// Pushes an auction or a bid by its auction: what follows the key is an accumulator.
fn select(item: &[u8], out: &mut BatchBuilder) -> Done {
    match Event::decode(item)? {
        Event::Auction(Auction { time, id, seller, category, reserve, expires, .. }) => {
            push(out, [id, AUCTION, seller, category, reserve, time, expires]);
        }
        Event::Bid(Bid { number, time, auction, bidder, price }) => {
            push(out, [auction, BIDS, price, time, number, bidder]);
        }
        Event::Person(_) => {}
    }
    Ok(())
}

/// Adds what an accumulator has, or a record after its key.
fn merge(accumulator: &mut Vec<u8>, other: &[u8]) -> Done {
    let theirs = Lot::read(other)?;
    if accumulator.is_empty() {
        accumulator.extend_from_slice(other);
        return Ok(());
    }
    let ours = Lot::read(accumulator)?;
    let Some(auction) = ours.auction.or(theirs.auction) else {
        accumulator.extend_from_slice(theirs.bids.as_flattened().as_flattened());
        return Ok(());
    };
    let counting = ours.offers().chain(theirs.offers()).filter(|offer| offer.counts(auction));
    let merged = Lot::write(auction, counting.max_by_key(|offer| offer.rank()));
    *accumulator = merged;
    Ok(())
}

/// Adds a record.
fn fold(accumulator: &mut Vec<u8>, record: &[u8]) -> Done {
    merge(accumulator, record.get(8..).unwrap_or_default())
}

/// When the auction of an accumulator, or of a record after its key, expires. A bid whose auction is not known waits until no
/// auction can open any more at the time of the bid.
fn closes(accumulator: &[u8]) -> Result<u64, WorkloadError> {
    let lot = Lot::read(accumulator)?;
    Ok(match lot.auction {
        Some([.., expires]) => expires,
        None => lot.offers().map(|offer| offer.time.saturating_add(1)).min().unwrap_or(NEVER),
    })
}

/// Drops an auction that has ended at `time`, or the bids that wait for one no longer.
fn close(accumulator: &mut Vec<u8>, time: u64) -> Done {
    let lot = Lot::read(accumulator)?;
    let waiting = lot.offers().filter(|offer| lot.auction.is_none() && offer.time >= time);
    let words: Vec<_> =
        waiting.flat_map(|Offer { price, time, number, bidder }| [price, time, number, bidder]).collect();
    accumulator.clear();
    if !words.is_empty() {
        accumulator.extend([BIDS].into_iter().chain(words).flat_map(u64::to_le_bytes));
    }
    Ok(())
}

/// The auction, and the bid that won it, if there is one.
fn winner(accumulator: &[u8]) -> Result<Option<([u64; AUCTION_WORDS], Offer)>, WorkloadError> {
    let lot = Lot::read(accumulator)?;
    let Some(auction) = lot.auction else { return Ok(None) };
    // An auction that was the only record of its key has no bids that were not looked at.
    Ok(lot.offers().next().map(|best| (auction, best)))
}

/// The auctions with their winning bids, for the oracles: an auction has no bids any more when so many later ones have opened,
/// so only these are kept.
fn winners(stream: &Generator, tell: &mut dyn FnMut(Auction, Bid)) {
    let mut open: VecDeque<Option<Bid>> = VecDeque::new();
    let mut first = FIRST_ID;
    let mut close = |id: u64, best: Option<Bid>| {
        if let (Some(auction), Some(best)) = (stream.auction_of(id), best) {
            tell(auction, best);
        }
    };
    for bid in stream.events().filter_map(|event| event.bid()) {
        while first + AUCTIONS_IN_FLIGHT < FIRST_ID + last_auction(bid.number) {
            close(first, open.pop_front().flatten());
            first += 1;
        }
        let Some(auction) = stream.auction_of(bid.auction) else { continue };
        if bid.price < auction.reserve || bid.time < auction.time || bid.time >= auction.expires {
            continue;
        }
        let place = (bid.auction - first) as usize;
        if place >= open.len() {
            open.resize(place + 1, None);
        }
        // Bids come in order, so an equal one is later.
        if open[place].is_none_or(|best| best.price < bid.price) {
            open[place] = Some(bid);
        }
    }
    (first..).zip(open).for_each(|(id, best)| close(id, best));
}

/// q9: the winning bid of each auction.
pub(crate) struct WinningBids;

impl Query for WinningBids {
    const NAME: &'static str = "nexmark_q9";
    const DESCRIPTION: &'static str =
        "Nexmark: the winning bid of each auction: a join whose state waits for its other side";
    const ANSWER: &'static [Column] = &[
        Number("auction"),
        Number("seller"),
        Number("category"),
        Number("number"),
        Number("time"),
        Number("bidder"),
        Number("price"),
    ];
    const CLOSES: bool = true;

    fn open(_parameters: &Parameters) -> Result<Self, WorkloadError> {
        Ok(Self)
    }

    fn plan() -> Plan {
        Plan::new().then(StageKind::FlatMap, "auctions and bids").then(StageKind::KeyedReduce, "winning bid")
    }

    fn apply(&self, _stage: usize, item: &[u8], out: &mut BatchBuilder) -> Done {
        select(item, out)
    }

    fn fold(&self, _stage: usize, accumulator: &mut Vec<u8>, record: &[u8]) -> Done {
        fold(accumulator, record)
    }

    fn merge(&self, _stage: usize, accumulator: &mut Vec<u8>, other: &[u8]) -> Done {
        merge(accumulator, other)
    }

    fn emit(&self, _stage: usize, key: &[u8], accumulator: &[u8], out: &mut BatchBuilder) -> Done {
        let [id] = read(key)?;
        if let Some(([seller, category, ..], best)) = winner(accumulator)? {
            let Offer { price, time, number, bidder } = best;
            push(out, [id, seller, category, number, time, bidder, price]);
        }
        Ok(())
    }

    fn ends(&self, _stage: usize, record: &[u8]) -> Result<u64, WorkloadError> {
        closes(record.get(8..).unwrap_or_default())
    }

    fn closes(&self, _stage: usize, _key: &[u8], accumulator: &[u8]) -> Result<u64, WorkloadError> {
        closes(accumulator)
    }

    fn drop_ended(&self, accumulator: &mut Vec<u8>, time: u64) -> Done {
        close(accumulator, time)
    }

    fn oracle(&self, stream: &Generator, sink: &mut dyn FnMut(&[u8])) {
        winners(stream, &mut |Auction { id, seller, category, .. },
                              Bid { number, time, bidder, price, .. }| {
            tell(sink, [id, seller, category, number, time, bidder, price]);
        });
    }
}

/// q4: the number and the sum of the winning bids of each category, which is their mean.
pub(crate) struct CategoryPrices;

const WINNING: usize = 2;

impl Query for CategoryPrices {
    const NAME: &'static str = "nexmark_q4";
    const DESCRIPTION: &'static str = "Nexmark: the mean winning bid of each category: a join, then few keys";
    const ANSWER: &'static [Column] = &[Number("category"), Number("count"), Number("sum")];
    const CLOSES: bool = true;

    fn open(_parameters: &Parameters) -> Result<Self, WorkloadError> {
        Ok(Self)
    }

    fn plan() -> Plan {
        WinningBids::plan().then(StageKind::KeyedReduce, "mean price")
    }

    fn apply(&self, _stage: usize, item: &[u8], out: &mut BatchBuilder) -> Done {
        select(item, out)
    }

    fn fold(&self, stage: usize, accumulator: &mut Vec<u8>, record: &[u8]) -> Done {
        if stage == WINNING {
            return fold(accumulator, record);
        }
        let [_category, price] = read(record)?;
        add(accumulator, [1, price])
    }

    fn merge(&self, stage: usize, accumulator: &mut Vec<u8>, other: &[u8]) -> Done {
        if stage == WINNING { merge(accumulator, other) } else { add::<2>(accumulator, read(other)?) }
    }

    fn emit(&self, stage: usize, key: &[u8], accumulator: &[u8], out: &mut BatchBuilder) -> Done {
        let [key] = read(key)?;
        if stage != WINNING {
            let [count, sum] = read(accumulator)?;
            push(out, [key, count, sum]);
        } else if let Some(([_, category, ..], best)) = winner(accumulator)? {
            push(out, [category, best.price]);
        }
        Ok(())
    }

    /// The mean of a category never ends.
    fn ends(&self, stage: usize, record: &[u8]) -> Result<u64, WorkloadError> {
        if stage == WINNING { WinningBids.ends(stage, record) } else { Ok(NEVER) }
    }

    fn closes(&self, stage: usize, _key: &[u8], accumulator: &[u8]) -> Result<u64, WorkloadError> {
        if stage == WINNING { closes(accumulator) } else { Ok(NEVER) }
    }

    fn drop_ended(&self, accumulator: &mut Vec<u8>, time: u64) -> Done {
        close(accumulator, time)
    }

    fn oracle(&self, stream: &Generator, sink: &mut dyn FnMut(&[u8])) {
        let mut prices: Vec<(u64, u64, u64)> = Vec::new();
        winners(stream, &mut |auction, bid| match prices
            .iter_mut()
            .find(|(category, ..)| *category == auction.category)
        {
            Some((_, count, sum)) => (*count, *sum) = (*count + 1, *sum + bid.price),
            None => prices.push((auction.category, 1, bid.price)),
        });
        prices.into_iter().for_each(|(category, count, sum)| tell(sink, [category, count, sum]));
    }
}
