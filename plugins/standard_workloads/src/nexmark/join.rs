//! The queries that join people with the auctions that they open: q3 with those of one category, q8 with those of the window in
//! which they registered.
//!
//! A record is its key, then which side it is of, then that side's fields. An accumulator has both sides: first whether the
//! person is known and their fields, then those of every auction.

use plugin_api::{BatchBuilder, Parameter, Parameters, Plan, StageKind, WorkloadError};

use super::event::{Auction, Event, Person};
use super::generator::{Generator, text};
use super::query::Query;
use super::window::{Windows, window_parameter};
use crate::record::Column::{self, Number, Text};
use crate::record::{Done, entries, malformed, push, read, tell, words};

const PERSON: u64 = 0;
const AUCTION: u64 = 1;

/// A join whose person has `P` fields, each auction `A`.
struct Join<const P: usize, const A: usize>;

impl<const P: usize, const A: usize> Join<P, A> {
    const HEADER: usize = 8 * (1 + P);

    /// Adds a record, whose key has so many words.
    fn fold(accumulator: &mut Vec<u8>, record: &[u8], key_words: usize) -> Done {
        let Some([side, fields @ ..]) = words(record)?.get(key_words..) else {
            return Err(malformed(record));
        };
        let header = Self::header(accumulator)?;
        match u64::from_le_bytes(*side) {
            PERSON if fields.len() == P => {
                header[0] = 1;
                header[8..].copy_from_slice(fields.as_flattened());
            }
            AUCTION if fields.len() == A => accumulator.extend_from_slice(fields.as_flattened()),
            _ => return Err(malformed(record)),
        }
        Ok(())
    }

    fn merge(accumulator: &mut Vec<u8>, other: &[u8]) -> Done {
        let (theirs, auctions) = other.split_at_checked(Self::HEADER).ok_or_else(|| malformed(other))?;
        let header = Self::header(accumulator)?;
        if theirs[0] != 0 {
            header.copy_from_slice(theirs);
        }
        accumulator.extend_from_slice(auctions);
        Ok(())
    }

    /// The person's part of an accumulator, which is empty at first.
    fn header(accumulator: &mut Vec<u8>) -> Result<&mut [u8], WorkloadError> {
        if accumulator.is_empty() {
            accumulator.resize(Self::HEADER, 0);
        }
        let length = accumulator.len();
        accumulator.get_mut(..Self::HEADER).ok_or_else(|| malformed(&[0].repeat(length)))
    }

    /// The person's fields and each auction's, if the person is known.
    fn joined(accumulator: &[u8]) -> Result<impl Iterator<Item = ([u64; P], [u64; A])>, WorkloadError> {
        let (header, auctions) =
            words(accumulator)?.split_at_checked(1 + P).ok_or_else(|| malformed(accumulator))?;
        let person: [u64; P] = read(header[1..].as_flattened())?;
        let is_known = header[0] != [0; 8];
        Ok(entries(auctions)?.filter(move |_| is_known).map(move |auction| (person, auction)))
    }
}

const CATEGORY: u64 = 10;
const STATES: [&str; 3] = ["OR", "ID", "CA"];

/// q3: auctions of one category, with the people in three states who opened them.
pub(crate) struct LocalItems {
    states: [[u64; 1]; 3],
}

type LocalJoin = Join<5, 1>;

impl Query for LocalItems {
    const NAME: &'static str = "nexmark_q3";
    const DESCRIPTION: &'static str =
        "Nexmark: the auctions of a category whose sellers live in three states: a join that never ends";
    const ANSWER: &'static [Column] =
        &[Number("auction"), Text("name", 2), Text("city", 2), Text("state", 1)];
    const CLOSES: bool = false;

    fn open(_parameters: &Parameters) -> Result<Self, WorkloadError> {
        Ok(Self { states: STATES.map(|state| text(&[state])) })
    }

    fn plan() -> Plan {
        Plan::new().then(StageKind::FlatMap, "select").then(StageKind::KeyedReduce, "join")
    }

    fn apply(&self, _stage: usize, item: &[u8], out: &mut BatchBuilder) -> Done {
        match Event::decode(item)? {
            Event::Person(Person { id, name: [n, ame], city: [c, ity], state, .. })
                if self.states.contains(&state) =>
            {
                push(out, [id, PERSON, n, ame, c, ity, state[0]]);
            }
            Event::Auction(auction) if auction.category == CATEGORY => {
                push(out, [auction.seller, AUCTION, auction.id]);
            }
            _ => {}
        }
        Ok(())
    }

    fn fold(&self, stage: usize, accumulator: &mut Vec<u8>, record: &[u8]) -> Done {
        LocalJoin::fold(accumulator, record, Self::key_words(stage))
    }

    fn merge(&self, _stage: usize, accumulator: &mut Vec<u8>, other: &[u8]) -> Done {
        LocalJoin::merge(accumulator, other)
    }

    fn emit(&self, _stage: usize, _key: &[u8], accumulator: &[u8], out: &mut BatchBuilder) -> Done {
        for ([n, ame, c, ity, state], [auction]) in LocalJoin::joined(accumulator)? {
            push(out, [auction, n, ame, c, ity, state]);
        }
        Ok(())
    }

    /// A seller's number says where in the stream they register.
    fn oracle(&self, stream: &Generator, sink: &mut dyn FnMut(&[u8])) {
        let auctions = stream.events().filter_map(|event| event.auction());
        for Auction { id, seller, .. } in auctions.filter(|auction| auction.category == CATEGORY) {
            if let Some(Person { name, city, state, .. }) = stream.person_of(seller)
                && STATES.iter().any(|local| text(&[local]) == state)
            {
                tell(sink, [id, name[0], name[1], city[0], city[1], state[0]]);
            }
        }
    }
}

/// q8: people who opened auctions in the window in which they registered.
pub(crate) struct NewUsers {
    windows: Windows,
}

type NewUsersJoin = Join<2, 2>;

impl Query for NewUsers {
    const NAME: &'static str = "nexmark_q8";
    const DESCRIPTION: &'static str =
        "Nexmark: who opened auctions in the window in which they registered: a join by windows";
    const ANSWER: &'static [Column] =
        &[Number("window_end"), Number("person"), Text("name", 2), Number("auction"), Number("reserve")];
    const CLOSES: bool = true;

    fn parameters() -> Vec<Parameter> {
        vec![window_parameter()]
    }

    fn open(parameters: &Parameters) -> Result<Self, WorkloadError> {
        Ok(Self { windows: Windows::tumbling(parameters) })
    }

    fn plan() -> Plan {
        Plan::new().then(StageKind::FlatMap, "by window").then(StageKind::KeyedReduce, "join")
    }

    fn apply(&self, _stage: usize, item: &[u8], out: &mut BatchBuilder) -> Done {
        match Event::decode(item)? {
            Event::Person(Person { time, id, name: [n, ame], .. }) => {
                push(out, [self.windows.end(time), id, PERSON, n, ame]);
            }
            Event::Auction(Auction { time, seller, id, reserve, .. }) => {
                push(out, [self.windows.end(time), seller, AUCTION, id, reserve]);
            }
            Event::Bid(_) => {}
        }
        Ok(())
    }

    fn key_words(_stage: usize) -> usize {
        2
    }

    fn fold(&self, stage: usize, accumulator: &mut Vec<u8>, record: &[u8]) -> Done {
        NewUsersJoin::fold(accumulator, record, Self::key_words(stage))
    }

    fn merge(&self, _stage: usize, accumulator: &mut Vec<u8>, other: &[u8]) -> Done {
        NewUsersJoin::merge(accumulator, other)
    }

    fn emit(&self, _stage: usize, key: &[u8], accumulator: &[u8], out: &mut BatchBuilder) -> Done {
        let [end, person] = read(key)?;
        for ([n, ame], [auction, reserve]) in NewUsersJoin::joined(accumulator)? {
            push(out, [end, person, n, ame, auction, reserve]);
        }
        Ok(())
    }

    fn oracle(&self, stream: &Generator, sink: &mut dyn FnMut(&[u8])) {
        let window = |time: u64| time / self.windows.slide;
        for auction in stream.events().filter_map(|event| event.auction()) {
            let seller = stream.person_of(auction.seller);
            if let Some(person) = seller.filter(|seller| window(seller.time) == window(auction.time)) {
                let end = (window(auction.time) + 1) * self.windows.slide;
                let [n, ame] = person.name;
                tell(sink, [end, person.id, n, ame, auction.id, auction.reserve]);
            }
        }
    }
}
