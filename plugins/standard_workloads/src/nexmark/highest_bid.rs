//! q7: the highest bids of each tumbling window.

use plugin_api::{BatchBuilder, Parameter, Parameters, Plan, StageKind, WorkloadError};

use super::event::{Bid, Event};
use super::generator::Generator;
use super::window::{Windows, window_parameter};
use super::{query::Query, ties};
use crate::record::Column::{self, Number};
use crate::record::{Done, entries, push, read, tell};

/// All bids with the highest price of a window are kept: none of them is better.
pub(crate) struct HighestBid {
    windows: Windows,
}

impl Query for HighestBid {
    const NAME: &'static str = "nexmark_q7";
    const DESCRIPTION: &'static str = "Nexmark: the highest bids of each window: a reduction with few keys";
    const ANSWER: &'static [Column] = &[
        Number("window_end"),
        Number("price"),
        Number("number"),
        Number("time"),
        Number("auction"),
        Number("bidder"),
    ];
    const CLOSES: bool = true;

    fn parameters() -> Vec<Parameter> {
        vec![window_parameter()]
    }

    fn open(parameters: &Parameters) -> Result<Self, WorkloadError> {
        Ok(Self { windows: Windows::tumbling(parameters) })
    }

    fn plan() -> Plan {
        Plan::new().then(StageKind::FlatMap, "bids by window").then(StageKind::KeyedReduce, "highest")
    }

    fn apply(&self, _stage: usize, item: &[u8], out: &mut BatchBuilder) -> Done {
        if let Event::Bid(Bid { number, time, auction, bidder, price }) = Event::decode(item)? {
            push(out, [self.windows.end(time), price, number, time, auction, bidder]);
        }
        Ok(())
    }

    fn fold(&self, _stage: usize, accumulator: &mut Vec<u8>, record: &[u8]) -> Done {
        let [_end, price, _, _, _, _] = read(record)?;
        ties::offer(accumulator, price, &record[16..]);
        Ok(())
    }

    fn merge(&self, _stage: usize, accumulator: &mut Vec<u8>, other: &[u8]) -> Done {
        ties::merge(accumulator, other)
    }

    fn emit(&self, _stage: usize, key: &[u8], accumulator: &[u8], out: &mut BatchBuilder) -> Done {
        let ([end], (price, bids)) = (read(key)?, ties::highest(accumulator)?);
        for [number, time, auction, bidder] in entries(bids)? {
            push(out, [end, price, number, time, auction, bidder]);
        }
        Ok(())
    }

    fn oracle(&self, stream: &Generator, sink: &mut dyn FnMut(&[u8])) {
        let length = self.windows.slide;
        let (mut window, mut highest) = (0, Vec::<Bid>::new());
        let mut close = |window: u64, bids: &[Bid]| {
            for Bid { number, time, auction, bidder, price } in bids.iter().copied() {
                tell(sink, [(window + 1) * length, price, number, time, auction, bidder]);
            }
        };
        for bid in stream.events().filter_map(|event| event.bid()) {
            if bid.time / length != window {
                close(window, &highest);
                highest.clear();
                window = bid.time / length;
            }
            if highest.first().is_some_and(|other| other.price < bid.price) {
                highest.clear();
            }
            if highest.first().is_none_or(|other| other.price == bid.price) {
                highest.push(bid);
            }
        }
        close(window, &highest);
    }
}
