//! Programs that do one query each: threads over equal parts of the stream, without batches, stages or a library between.
//!
//! Each makes the bytes of every event, as a reader of a stream has them, and adds the bytes of each record of the answer to a
//! digest. Where records meet by a key, the threads deal them by key, and each then has the keys of one part.

#[path = "../../../standard_workloads/src/nexmark/event.rs"]
#[allow(dead_code, unused_imports)]
mod event;
#[path = "../../../standard_workloads/src/nexmark/generator.rs"]
#[allow(dead_code, unused_imports)]
mod generator;

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::hint::black_box;
use std::ops::Range;

use plugin_api::random::mix;
use plugin_api::workload::Digest;
use plugin_api::{Parameters, WorkloadSpec};

use event::{Auction, BID_PRICE, Bid, Event, Person};
use generator::{Generator, text};

/// Runs a query on the stream of a spec in so many threads.
pub(crate) type Program = fn(&WorkloadSpec, u64) -> Digest;

/// q1: bids with their prices in euros.
pub(crate) fn currency(spec: &WorkloadSpec, threads: u64) -> Digest {
    let stream = stream(spec);
    let digests = in_parts(spec, threads, |part| {
        let mut digest = Digest::default();
        events(&stream, part, |event, bytes| {
            if let Event::Bid(Bid { price, .. }) = event {
                bytes[BID_PRICE].copy_from_slice(&(price * 89 / 100).to_le_bytes());
                digest.fold_item(bytes);
            }
        });
        digest
    });
    merged(digests)
}

/// q2: auction and price of the bids for every 123rd auction.
pub(crate) fn selection(spec: &WorkloadSpec, threads: u64) -> Digest {
    let stream = stream(spec);
    let digests = in_parts(spec, threads, |part| {
        let mut digest = Digest::default();
        events(&stream, part, |event, _| {
            if let Event::Bid(Bid { auction, price, .. }) = event
                && auction % 123 == 0
            {
                add(&mut digest, [auction, price]);
            }
        });
        digest
    });
    merged(digests)
}

/// What the join of q3 gets, for each of its parts.
#[derive(Clone, Default)]
struct Sides {
    people: Vec<(u64, [u64; 5])>,
    /// Seller and auction.
    auctions: Vec<[u64; 2]>,
}

/// q3: the auctions of a category, with the people in three states who opened them.
pub(crate) fn local_items(spec: &WorkloadSpec, threads: u64) -> Digest {
    let stream = stream(spec);
    let states = ["OR", "ID", "CA"].map(|state| text::<1>(&[state]));
    let dealt = in_parts(spec, threads, |part| {
        let mut dealt = vec![Sides::default(); threads as usize];
        events(&stream, part, |event, _| match event {
            Event::Person(Person { id, name: [n, ame], city: [c, ity], state, .. })
                if states.contains(&state) =>
            {
                dealt[(id % threads) as usize].people.push((id, [n, ame, c, ity, state[0]]));
            }
            Event::Auction(Auction { id, seller, category: 10, .. }) => {
                dealt[(seller % threads) as usize].auctions.push([seller, id]);
            }
            _ => {}
        });
        dealt
    });
    let digests = on_each(threads, |part| {
        let mine = || dealt.iter().map(|dealt| &dealt[part]);
        let people: Map<u64, [u64; 5]> = mine().flat_map(|sides| sides.people.iter().copied()).collect();
        let mut digest = Digest::default();
        for [seller, auction] in mine().flat_map(|sides| &sides.auctions) {
            if let Some([n, ame, c, ity, state]) = people.get(seller) {
                add(&mut digest, [*auction, *n, *ame, *c, *ity, *state]);
            }
        }
        digest
    });
    merged(digests)
}

/// The length of the windows of q5 in slides, and of a slide in milliseconds.
const OVERLAP: u64 = 2;
const SLIDE: u64 = 5000;

/// q5: the auctions with the most bids in each sliding window.
pub(crate) fn hot_items(spec: &WorkloadSpec, threads: u64) -> Digest {
    let stream = stream(spec);
    let counted = in_parts(spec, threads, |part| {
        let mut counts = vec![Map::<(u64, u64), u64>::default(); threads as usize];
        events(&stream, part, |event, _| {
            if let Event::Bid(Bid { time, auction, .. }) = event {
                for window in time / SLIDE + 1..=time / SLIDE + OVERLAP {
                    *counts[(window % threads) as usize].entry((window, auction)).or_default() += 1;
                }
            }
        });
        counts
    });
    let digests = on_each(threads, |part| {
        let mut counts = Map::<(u64, u64), u64>::default();
        counted.iter().flat_map(|counted| &counted[part]).for_each(|(key, count)| {
            *counts.entry(*key).or_default() += count;
        });
        let mut most = Map::<u64, u64>::default();
        for ((window, _), count) in &counts {
            let highest = most.entry(*window).or_default();
            *highest = (*highest).max(*count);
        }
        let mut digest = Digest::default();
        for ((window, auction), count) in &counts {
            if most[window] == *count {
                add(&mut digest, [window * SLIDE, *auction, *count]);
            }
        }
        digest
    });
    merged(digests)
}

fn stream(spec: &WorkloadSpec) -> Generator {
    let parameters = Parameters::resolve(&Generator::parameters(), &spec.extra).unwrap();
    Generator::new(spec, &parameters)
}

/// Makes the events of a part in the order in which they come, each with its bytes.
fn events(stream: &Generator, part: Range<u64>, mut each: impl FnMut(Event, &mut Vec<u8>)) {
    let mut bytes = Vec::new();
    for index in part {
        let event = stream.event(stream.number(index));
        bytes.clear();
        stream.encode(&event, &mut bytes);
        each(event, black_box(&mut bytes));
    }
}

/// Runs a thread on each of so many equal parts of the stream.
fn in_parts<T: Send>(spec: &WorkloadSpec, threads: u64, run: impl Fn(Range<u64>) -> T + Sync) -> Vec<T> {
    let end = |part: u64| spec.total_items * part / threads;
    on_each(threads, |part| run(end(part as u64)..end(part as u64 + 1)))
}

fn on_each<T: Send>(threads: u64, run: impl Fn(usize) -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let run = &run;
        let threads: Vec<_> = (0..threads as usize).map(|part| scope.spawn(move || run(part))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn add<const N: usize>(digest: &mut Digest, words: [u64; N]) {
    digest.fold_item(words.map(u64::to_le_bytes).as_flattened());
}

fn merged(digests: Vec<Digest>) -> Digest {
    digests.into_iter().fold(Digest::default(), |mut whole, digest| {
        whole.merge(digest);
        whole
    })
}

type Map<K, V> = HashMap<K, V, BuildHasherDefault<WordHasher>>;

/// Mixes the words of a key.
#[derive(Default)]
struct WordHasher(u64);

impl Hasher for WordHasher {
    fn write(&mut self, _bytes: &[u8]) {
        unreachable!("keys are words");
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = mix(self.0 ^ word);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
