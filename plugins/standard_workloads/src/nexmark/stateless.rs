//! The queries without state: q0 passes events on, q1 converts the prices of bids, q2 selects bids by their auction. Each does so little with
//! an event that the call for it is seen in the time of the query, so it is inlined.

use plugin_api::{BatchBuilder, Parameters, Plan, StageKind, WorkloadError};

use super::event::{BID_PRICE, Bid, Event};
use super::generator::Generator;
use super::query::Query;
use crate::record::Column::{self, Number};
use crate::record::{Done, push, tell};

/// Every event, read and written again.
pub(crate) struct PassThrough;

impl Query for PassThrough {
    const NAME: &'static str = "nexmark_q0";
    const DESCRIPTION: &'static str =
        "Nexmark: passes every event on, which is what making, reading and writing events costs";
    const ANSWER: &'static [Column] = &[];
    const CLOSES: bool = false;

    fn open(_parameters: &Parameters) -> Result<Self, WorkloadError> {
        Ok(Self)
    }

    fn plan() -> Plan {
        Plan::new().then(StageKind::Map, "pass on")
    }

    #[inline(always)]
    fn apply(&self, _stage: usize, item: &[u8], out: &mut BatchBuilder) -> Done {
        let event = Event::decode(item)?;
        out.push_with(|bytes| {
            let start = bytes.len();
            event.encode(bytes);
            let words = bytes.len() - start;
            bytes.extend_from_slice(&item[words..]);
        });
        Ok(())
    }

    fn oracle(&self, stream: &Generator, sink: &mut dyn FnMut(&[u8])) {
        let mut bytes = Vec::new();
        for event in stream.events() {
            bytes.clear();
            stream.encode(&event, &mut bytes);
            sink(&bytes);
        }
    }
}

/// How many euro cents 100 cents of a dollar are.
const EURO_CENTS: u64 = 89;

/// Bids with their prices in euros.
pub(crate) struct Currency;

impl Query for Currency {
    const NAME: &'static str = "nexmark_q1";
    const DESCRIPTION: &'static str = "Nexmark: converts the price of every bid from dollars to euros";
    const ANSWER: &'static [Column] = &[];
    const CLOSES: bool = false;

    fn open(_parameters: &Parameters) -> Result<Self, WorkloadError> {
        Ok(Self)
    }

    fn plan() -> Plan {
        Plan::new().then(StageKind::FlatMap, "bids in euros")
    }

    #[inline(always)]
    fn apply(&self, _stage: usize, item: &[u8], out: &mut BatchBuilder) -> Done {
        if let Event::Bid(Bid { price, .. }) = Event::decode(item)? {
            out.push_with(|bytes| {
                let start = bytes.len();
                bytes.extend_from_slice(item);
                let euros = price.wrapping_mul(EURO_CENTS) / 100;
                bytes[start..][BID_PRICE].copy_from_slice(&euros.to_le_bytes());
            });
        }
        Ok(())
    }

    fn oracle(&self, stream: &Generator, sink: &mut dyn FnMut(&[u8])) {
        let mut bytes = Vec::new();
        for bid in stream.events().filter_map(|event| event.bid()) {
            bytes.clear();
            let converted = Bid { price: bid.price * EURO_CENTS / 100, ..bid };
            stream.encode(&Event::Bid(converted), &mut bytes);
            sink(&bytes);
        }
    }
}

/// Bids for every 123rd auction are selected.
const SELECTED: u64 = 123;

/// Auction and price of the bids for some auctions.
pub(crate) struct Selection;

impl Query for Selection {
    const NAME: &'static str = "nexmark_q2";
    const DESCRIPTION: &'static str = "Nexmark: selects the bids for every 123rd auction, few of many";
    const ANSWER: &'static [Column] = &[Number("auction"), Number("price")];
    const CLOSES: bool = false;

    fn open(_parameters: &Parameters) -> Result<Self, WorkloadError> {
        Ok(Self)
    }

    fn plan() -> Plan {
        Plan::new().then(StageKind::FlatMap, "select")
    }

    #[inline(always)]
    fn apply(&self, _stage: usize, item: &[u8], out: &mut BatchBuilder) -> Done {
        if let Event::Bid(bid) = Event::decode(item)?
            && bid.auction.is_multiple_of(SELECTED)
        {
            push(out, [bid.auction, bid.price]);
        }
        Ok(())
    }

    fn oracle(&self, stream: &Generator, sink: &mut dyn FnMut(&[u8])) {
        let bids = stream.events().filter_map(|event| event.bid());
        bids.filter(|bid| bid.auction % SELECTED == 0).for_each(|bid| tell(sink, [bid.auction, bid.price]));
    }
}
