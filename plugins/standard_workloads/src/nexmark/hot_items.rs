//! q5: which auctions have the most bids in each sliding window.

use std::collections::{BTreeMap, HashMap};

use plugin_api::{BatchBuilder, Parameter, Parameters, Plan, StageKind, WorkloadError};

use super::event::Event;
use super::generator::Generator;
use super::window::{Windows, slide_parameter, window_parameter};
use super::{query::Query, ties};
use crate::record::Column::{self, Number};
use crate::record::{Done, add, entries, push, read, tell};

/// The first reduction counts bids by window and auction, and the second keeps the auctions with the most by window.
pub(crate) struct HotItems {
    windows: Windows,
}

const COUNT: usize = 2;

impl Query for HotItems {
    const NAME: &'static str = "nexmark_q5";
    const DESCRIPTION: &'static str =
        "Nexmark: the auctions with the most bids in each sliding window: two shuffles and much state";
    const ANSWER: &'static [Column] = &[Number("window_end"), Number("auction"), Number("count")];
    const CLOSES: bool = true;

    fn parameters() -> Vec<Parameter> {
        vec![window_parameter(), slide_parameter()]
    }

    fn open(parameters: &Parameters) -> Result<Self, WorkloadError> {
        Ok(Self { windows: Windows::sliding(parameters)? })
    }

    fn plan() -> Plan {
        let bids = Plan::new().then(StageKind::FlatMap, "bids by window");
        bids.then(StageKind::KeyedReduce, "count").then(StageKind::KeyedReduce, "most")
    }

    fn apply(&self, _stage: usize, item: &[u8], out: &mut BatchBuilder) -> Done {
        if let Event::Bid(bid) = Event::decode(item)? {
            self.windows.ends(bid.time).for_each(|end| push(out, [end, bid.auction]));
        }
        Ok(())
    }

    fn key_words(stage: usize) -> usize {
        if stage == COUNT { 2 } else { 1 }
    }

    fn fold(&self, stage: usize, accumulator: &mut Vec<u8>, record: &[u8]) -> Done {
        if stage == COUNT {
            let [_end, _auction] = read(record)?;
            return add(accumulator, [1]);
        }
        let [_end, auction, count] = read(record)?;
        ties::offer(accumulator, count, &auction.to_le_bytes());
        Ok(())
    }

    fn merge(&self, stage: usize, accumulator: &mut Vec<u8>, other: &[u8]) -> Done {
        if stage == COUNT { add::<1>(accumulator, read(other)?) } else { ties::merge(accumulator, other) }
    }

    fn emit(&self, stage: usize, key: &[u8], accumulator: &[u8], out: &mut BatchBuilder) -> Done {
        if stage == COUNT {
            let ([end, auction], [count]) = (read(key)?, read(accumulator)?);
            push(out, [end, auction, count]);
            return Ok(());
        }
        let ([end], (count, auctions)) = (read(key)?, ties::highest(accumulator)?);
        entries(auctions)?.for_each(|[auction]| push(out, [end, auction, count]));
        Ok(())
    }

    fn oracle(&self, stream: &Generator, sink: &mut dyn FnMut(&[u8])) {
        let mut open: BTreeMap<u64, HashMap<u64, u64>> = BTreeMap::new();
        let mut close = |end: u64, counts: HashMap<u64, u64>| {
            let most = counts.values().copied().max();
            let hottest = counts.into_iter().filter(|(_, count)| Some(*count) == most);
            hottest.for_each(|(auction, count)| tell(sink, [end, auction, count]));
        };
        for bid in stream.events().filter_map(|event| event.bid()) {
            while let Some(first) = open.first_entry().filter(|first| *first.key() <= bid.time) {
                let (end, counts) = first.remove_entry();
                close(end, counts);
            }
            let Windows { slide, overlap } = self.windows;
            // Every multiple of the slide after the bid and up to the length of a window later.
            let end = (bid.time / slide + 1) * slide;
            for end in (end..=bid.time + slide * overlap).step_by(slide as usize) {
                *open.entry(end).or_default().entry(bid.auction).or_default() += 1;
            }
        }
        open.into_iter().for_each(|(end, counts)| close(end, counts));
    }
}
