//! q11: how many bids each person made in each session, which ends when they do not bid for a time.

use std::collections::HashMap;

use plugin_api::{BatchBuilder, Parameter, Parameters, Plan, StageKind, WorkloadError};

use super::event::Event;
use super::generator::Generator;
use super::query::Query;
use super::window::gap_parameter;
use crate::record::Column::{self, Number};
use crate::record::{Done, entries, head, malformed, push, read, tell, words};

/// An accumulator has the sessions of a person so far, in order of time: the times of the first and of the last bid, and how many
/// there are. Bids less than a gap apart are in one session, so a bid between two can join them.
pub(crate) struct Sessions {
    gap: u64,
}

const SESSION_WORDS: usize = 3;
const SESSION: usize = 8 * SESSION_WORDS;

impl Sessions {
    /// Adds a session to those of the accumulator, and joins it with all that are less than a gap away.
    fn add(&self, accumulator: &mut Vec<u8>, session: [u64; SESSION_WORDS]) -> Done {
        let [first, last, _] = session;
        let sessions = words(accumulator)?.as_chunks::<SESSION_WORDS>().0;
        let far_before = |[_, ends, _]: [u64; SESSION_WORDS]| ends.saturating_add(self.gap) <= first;
        let start = sessions.partition_point(|other| far_before(other.map(u64::from_le_bytes)));
        let near = |[starts, _, _]: [u64; SESSION_WORDS]| starts < last.saturating_add(self.gap);
        let count = sessions[start..].partition_point(|other| near(other.map(u64::from_le_bytes)));
        let joined = sessions[start..start + count].iter().fold(session, |[first, last, count], other| {
            let [starts, ends, more] = other.map(u64::from_le_bytes);
            [first.min(starts), last.max(ends), count.wrapping_add(more)]
        });
        let place = start * SESSION..(start + count) * SESSION;
        accumulator.splice(place, joined.into_iter().flat_map(u64::to_le_bytes));
        Ok(())
    }
}

impl Query for Sessions {
    const NAME: &'static str = "nexmark_q11";
    const DESCRIPTION: &'static str =
        "Nexmark: how often each person bid in each session: state that grows and joins";
    const ANSWER: &'static [Column] = &[Number("bidder"), Number("start"), Number("end"), Number("count")];
    const CLOSES: bool = true;

    fn parameters() -> Vec<Parameter> {
        vec![gap_parameter()]
    }

    fn open(parameters: &Parameters) -> Result<Self, WorkloadError> {
        Ok(Self { gap: parameters.integer("gap_ms") })
    }

    fn plan() -> Plan {
        Plan::new().then(StageKind::FlatMap, "bids").then(StageKind::KeyedReduce, "sessions")
    }

    fn apply(&self, _stage: usize, item: &[u8], out: &mut BatchBuilder) -> Done {
        if let Event::Bid(bid) = Event::decode(item)? {
            push(out, [bid.bidder, bid.time]);
        }
        Ok(())
    }

    fn fold(&self, _stage: usize, accumulator: &mut Vec<u8>, record: &[u8]) -> Done {
        let [_bidder, time] = read(record)?;
        self.add(accumulator, [time, time, 1])
    }

    fn merge(&self, _stage: usize, accumulator: &mut Vec<u8>, other: &[u8]) -> Done {
        entries(words(other)?)?.try_for_each(|session| self.add(accumulator, session))
    }

    fn emit(&self, _stage: usize, key: &[u8], accumulator: &[u8], out: &mut BatchBuilder) -> Done {
        let [bidder] = read(key)?;
        for [first, last, count] in entries(words(accumulator)?)? {
            push(out, [bidder, first, last.wrapping_add(self.gap), count]);
        }
        Ok(())
    }

    fn ends(&self, _stage: usize, record: &[u8]) -> Result<u64, WorkloadError> {
        let [_bidder, time] = read(record)?;
        Ok(time.saturating_add(self.gap))
    }

    fn closes(&self, _stage: usize, _key: &[u8], accumulator: &[u8]) -> Result<u64, WorkloadError> {
        let [_, last, _] = head::<SESSION_WORDS>(accumulator).ok_or_else(|| malformed(accumulator))?;
        Ok(last.saturating_add(self.gap))
    }

    fn close(
        &self,
        stage: usize,
        time: u64,
        key: &[u8],
        accumulator: &mut Vec<u8>,
        out: &mut BatchBuilder,
    ) -> Done {
        let sessions = entries(words(accumulator)?)?;
        let has_ended = |[_, last, _]: &[u64; SESSION_WORDS]| last.saturating_add(self.gap) <= time;
        let ended = sessions.take_while(has_ended).count() * SESSION;
        self.emit(stage, key, &accumulator[..ended], out)?;
        accumulator.drain(..ended);
        Ok(())
    }

    fn oracle(&self, stream: &Generator, sink: &mut dyn FnMut(&[u8])) {
        let mut open: HashMap<u64, (u64, u64, u64)> = HashMap::new();
        let mut close = |bidder: u64, (first, last, count): (u64, u64, u64)| {
            tell(sink, [bidder, first, last + self.gap, count]);
        };
        let mut swept = 0;
        for bid in stream.events().filter_map(|event| event.bid()) {
            let has_ended = |last: u64| last + self.gap <= bid.time;
            // Once in a gap all sessions that have ended are closed, so that there are never more than those of two gaps.
            if bid.time / self.gap != swept {
                swept = bid.time / self.gap;
                for (bidder, session) in open.extract_if(|_, (_, last, _)| has_ended(*last)) {
                    close(bidder, session);
                }
            }
            let session = open.entry(bid.bidder).or_insert((bid.time, bid.time, 0));
            if has_ended(session.1) {
                close(bid.bidder, *session);
                *session = (bid.time, bid.time, 0);
            }
            *session = (session.0, bid.time, session.2 + 1);
        }
        open.into_iter().for_each(|(bidder, session)| close(bidder, session));
    }
}
