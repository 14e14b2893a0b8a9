//! An event of the stream, and its bytes: words, and then a text of letters that no query reads.

use plugin_api::WorkloadError;
use plugin_api::serde_json::{Map, Value};

use crate::record::Column::{Number, Text as Words};
use crate::record::{Column, describe, head};

/// Text in words, with zeros behind it.
pub(super) type Text<const N: usize> = [u64; N];

/// What happens in an auction house.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Event {
    Person(Person),
    Auction(Auction),
    Bid(Bid),
}

/// A person registers. In every event, `number` is its place in the stream, and `time` is in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Person {
    pub(super) number: u64,
    pub(super) time: u64,
    pub(super) id: u64,
    pub(super) name: Text<2>,
    pub(super) city: Text<2>,
    pub(super) state: Text<1>,
}

/// A person offers something for sale. Prices are in cents.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Auction {
    pub(super) number: u64,
    pub(super) time: u64,
    pub(super) id: u64,
    pub(super) seller: u64,
    pub(super) category: u64,
    pub(super) initial_bid: u64,
    pub(super) reserve: u64,
    pub(super) expires: u64,
}

/// A person bids in an auction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bid {
    pub(super) number: u64,
    pub(super) time: u64,
    pub(super) auction: u64,
    pub(super) bidder: u64,
    pub(super) price: u64,
}

/// The first word of an event says what it is.
const PERSON: u64 = 0;
const AUCTION: u64 = 1;
const BID: u64 = 2;

/// The place of a bid's price among its bytes.
pub(super) const BID_PRICE: std::ops::Range<usize> = 40..48;

impl Event {
    /// Appends its words.
    // Every event of a run goes through it: a call for each took a fiftieth of the whole.
    #[inline(always)]
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let mut append =
            |words: &[u64]| words.iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
        match self {
            Self::Person(Person { number, time, id, name: [n, ame], city: [c, ity], state: [state] }) => {
                append(&[PERSON, *number, *time, *id, *n, *ame, *c, *ity, *state]);
            }
            Self::Auction(Auction { number, time, id, seller, category, initial_bid, reserve, expires }) => {
                append(&[AUCTION, *number, *time, *id, *seller, *category, *initial_bid, *reserve, *expires]);
            }
            Self::Bid(Bid { number, time, auction, bidder, price }) => {
                append(&[BID, *number, *time, *auction, *bidder, *price]);
            }
        }
    }

    /// Reads an event from an item of the source, without its text.
    ///
    /// # Errors
    /// [`WorkloadError::Operator`] when the item is no event.
    // Most queries need a few of the words only: where this is inlined, the others are not read.
    #[inline(always)]
    pub(super) fn decode(item: &[u8]) -> Result<Self, WorkloadError> {
        let event = match head(item) {
            Some([PERSON]) => head(item).map(|[_, number, time, id, n, ame, c, ity, state]| {
                Self::Person(Person { number, time, id, name: [n, ame], city: [c, ity], state: [state] })
            }),
            Some([AUCTION]) => {
                head(item).map(|[_, number, time, id, seller, category, initial_bid, reserve, expires]| {
                    Self::Auction(Auction {
                        number,
                        time,
                        id,
                        seller,
                        category,
                        initial_bid,
                        reserve,
                        expires,
                    })
                })
            }
            Some([BID]) => head(item).map(|[_, number, time, auction, bidder, price]| {
                Self::Bid(Bid { number, time, auction, bidder, price })
            }),
            _ => None,
        };
        event.ok_or_else(|| no_event(item))
    }

    /// An event for people, with its text.
    pub(super) fn describe(item: &[u8]) -> Result<Map<String, Value>, WorkloadError> {
        let (event, columns): (&str, &[Column]) = match Self::decode(item)? {
            Self::Person(_) => (
                "person",
                &[
                    Number("number"),
                    Number("time"),
                    Number("id"),
                    Words("name", 2),
                    Words("city", 2),
                    Words("state", 1),
                ],
            ),
            Self::Auction(_) => (
                "auction",
                &[
                    Number("number"),
                    Number("time"),
                    Number("id"),
                    Number("seller"),
                    Number("category"),
                    Number("initial_bid"),
                    Number("reserve"),
                    Number("expires"),
                ],
            ),
            Self::Bid(_) => (
                "bid",
                &[Number("number"), Number("time"), Number("auction"), Number("bidder"), Number("price")],
            ),
        };
        let (mut fields, text) = describe(columns, item.get(8..).unwrap_or_default())?;
        fields.insert("event".into(), event.into());
        fields.insert("text".into(), String::from_utf8_lossy(text).into());
        Ok(fields)
    }

    /// The bid, if it is one.
    pub(super) fn bid(&self) -> Option<Bid> {
        if let Self::Bid(bid) = self { Some(*bid) } else { None }
    }

    /// The auction, if it is one.
    pub(super) fn auction(&self) -> Option<Auction> {
        if let Self::Auction(auction) = self { Some(*auction) } else { None }
    }
}

#[cold]
fn no_event(item: &[u8]) -> WorkloadError {
    WorkloadError::Operator(format!("no event has these {} bytes", item.len()))
}
