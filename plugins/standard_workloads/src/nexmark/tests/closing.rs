//! Closing by watermarks: by the rules, any schedule gives the answer of the oracle; against them, none does.

use plugin_api::workload::{Outcome, capi::status};
use plugin_api::{StageKind, State, WorkloadError, WorkloadHandle};
use proptest::prelude::*;

use super::SHAPES;
use crate::conformance::{batch_of, items_of, open, run_stages, source, try_open};
use crate::random::{Stream, rnd};

/// How many keys are closed or emitted at once.
const KEYS: u64 = 7;

/// A keyed reduction, and the time at which it was closed.
struct Reduction {
    stage: usize,
    states: Vec<State>,
    closed: u64,
}

/// An engine with an owner for each partition.
pub(super) struct Engine<'a> {
    workload: &'a WorkloadHandle,
    /// From which the order of slices is drawn, and when what is closed.
    order: u64,
    draws: u64,
    partitions: u32,
    reductions: Vec<Reduction>,
    sink: State,
    /// The most bytes that the owners' states had after they were closed.
    most_bytes: usize,
}

impl<'a> Engine<'a> {
    pub(super) fn new(workload: &'a WorkloadHandle, order: u64, partitions: u32) -> Self {
        let plan = workload.plan();
        let keyed = (0..plan.sink()).filter(|stage| plan.kind(*stage) == Some(StageKind::KeyedReduce));
        let states = |stage| (0..partitions).map(|_| workload.new_state(stage).unwrap()).collect();
        let reductions = keyed.map(|stage| Reduction { stage, states: states(stage), closed: 0 }).collect();
        let sink = workload.new_sink().unwrap();
        Self { workload, order, draws: 0, partitions, reductions, sink, most_bytes: 0 }
    }

    fn draw(&mut self, below: u64) -> u64 {
        self.draws += 1;
        rnd(self.order, Stream::KEY, self.draws) % below.max(1)
    }

    /// Takes the slices between the cuts in any order in which so many are in flight, and closes after each.
    pub(super) fn run(mut self, cuts: &[u64], in_flight: usize) -> (Outcome, usize) {
        let (workload, total) = (self.workload, self.workload.spec().total_items);
        let mut cuts = cuts.to_vec();
        cuts.extend([0, total]);
        cuts.sort_unstable();
        let mut waiting: Vec<_> = cuts.windows(2).map(|pair| (pair[0], pair[1] - pair[0])).rev().collect();
        let mut begun: Vec<(u64, u64)> = Vec::new();
        let end = workload.plan().end_of_chain(1);
        while !waiting.is_empty() || !begun.is_empty() {
            while begun.len() < in_flight && !waiting.is_empty() {
                begun.extend(waiting.pop());
            }
            let place = self.draw(begun.len() as u64) as usize;
            let (first, count) = begun.swap_remove(place);
            self.deliver(end, &source(workload, first, count, end)).unwrap();
            let low = begun.iter().chain(waiting.last()).map(|(first, _)| *first).min().unwrap_or(total);
            self.close(workload.watermark(low).unwrap());
        }
        self.emit();
        (workload.outcome(&self.sink.encode().unwrap()).unwrap(), self.most_bytes)
    }

    /// Folds a batch into the owners' states, or what another state makes of its parts.
    fn deliver(&mut self, stage: usize, batch: &[u8]) -> Result<(), WorkloadError> {
        if stage == self.workload.plan().sink() {
            return self.sink.fold(batch);
        }
        for (place, part) in self.workload.split(stage, batch, self.partitions)?.iter().enumerate() {
            let is_combined = self.draw(2) == 0;
            let owner = &mut self.reductions.iter_mut().find(|own| own.stage == stage).unwrap().states[place];
            if is_combined {
                let mut alone = self.workload.new_state(stage)?;
                alone.fold(part)?;
                owner.merge(&alone.encode()?)?;
            } else {
                owner.fold(part)?;
            }
        }
        Ok(())
    }

    /// Closes each reduction at a time up to that of the one before.
    fn close(&mut self, watermark: u64) {
        let mut time = watermark;
        for place in 0..self.reductions.len() {
            let closed = self.reductions[place].closed;
            if self.draw(3) == 0 {
                time = closed + self.draw(time.saturating_sub(closed));
            }
            if time <= closed {
                break;
            }
            self.reductions[place].closed = time;
            for partition in 0..self.partitions as usize {
                self.close_state(place, partition, time).unwrap();
            }
        }
        let states = self.reductions.iter_mut().flat_map(|reduction| &mut reduction.states);
        let bytes = states.map(|state| state.encode().unwrap().len()).sum();
        self.most_bytes = self.most_bytes.max(bytes);
    }

    fn close_state(&mut self, place: usize, partition: usize, time: u64) -> Result<(), WorkloadError> {
        let (workload, stage) = (self.workload, self.reductions[place].stage);
        let mut out = workload.buffer();
        loop {
            let state = &mut self.reductions[place].states[partition];
            let next = state.close(time, KEYS, &mut out)?;
            if out.item_count() == 0 {
                assert!(next > time.min(u64::MAX - 1), "what ends at {next} was left at {time}");
                let mut copy = workload.new_state(stage)?;
                copy.merge(&state.encode()?)?;
                assert!(copy.close(next - 1, KEYS, &mut out)? >= next);
                assert_eq!(out.item_count(), 0, "something closed before {next}");
                return Ok(());
            }
            self.pass_on(stage, &out)?;
        }
    }

    fn pass_on(&mut self, stage: usize, batch: &[u8]) -> Result<(), WorkloadError> {
        let end = self.workload.plan().end_of_chain(stage + 1);
        self.deliver(end, &run_stages(self.workload, stage + 1, end, batch))
    }

    fn emit(&mut self) {
        let mut out = self.workload.buffer();
        for place in 0..self.reductions.len() {
            let stage = self.reductions[place].stage;
            for mut state in std::mem::take(&mut self.reductions[place].states) {
                loop {
                    state.emit(KEYS, &mut out).unwrap();
                    if out.item_count() == 0 {
                        break;
                    }
                    self.pass_on(stage, &out).unwrap();
                }
            }
        }
    }
}

/// The shapes of the queries that close.
fn closing() -> Vec<(&'static str, &'static str)> {
    let catalogue = crate::workload_library().catalogue().unwrap();
    let closes = |name: &str| {
        catalogue.iter().any(|entry| entry.name == name && entry.uses == [plugin_api::workload::WATERMARKS])
    };
    SHAPES.into_iter().filter(|(name, _)| closes(name)).collect()
}

#[test]
fn every_query_with_a_reduction_closes_but_q3() {
    let mut names: Vec<_> = closing().into_iter().map(|(name, _)| name).collect();
    names.dedup();
    assert_eq!(names, [4, 5, 7, 8, 9, 11].map(|query| format!("nexmark_q{query}")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn owners_that_close_by_the_rules_give_the_answer(
        shape in prop::sample::select(closing()),
        (events, cuts) in (0_u64..4000).prop_flat_map(|events| {
            (Just(events), prop::collection::vec(0..=events, 0..60))
        }),
        seed: u64, order: u64, in_flight in 1_usize..8, partitions in 1_u32..5,
    ) {
        let (name, extra) = shape;
        let workload = try_open(name, extra, events, seed).unwrap();
        let (outcome, _) = Engine::new(&workload, order, partitions).run(&cuts, in_flight);
        prop_assert_eq!(outcome, workload.expected().unwrap());
    }
}

pub(super) fn every(step: u64, items: u64) -> Vec<u64> {
    (0..items).step_by(step as usize).collect()
}

#[test]
fn a_state_has_what_is_open_however_long_the_stream() {
    // Of q11 later, when as many people take part as ever do.
    for (name, extra, short) in [
        ("nexmark_q4", "{}", 15_000),
        ("nexmark_q5", r#"{"window_ms":1000,"slide_ms":500}"#, 15_000),
        ("nexmark_q7", r#"{"window_ms":1000}"#, 15_000),
        ("nexmark_q8", r#"{"window_ms":1000}"#, 15_000),
        ("nexmark_q9", "{}", 15_000),
        ("nexmark_q11", r#"{"gap_ms":100}"#, 30_000),
    ] {
        let [short, long] = [short, 2 * short].map(|events| {
            let workload = open(name, extra, events);
            let (outcome, bytes) = Engine::new(&workload, 1, 2).run(&every(200, events), 1);
            assert_eq!(outcome, workload.expected().unwrap(), "{name}");
            bytes
        });
        // A few bids of one price are much in a state of one window.
        assert!(long <= short * 3 / 2 + 300, "{name}: {short} bytes, and {long} of twice as many events");
    }
}

/// Queries and parameters with enough of what several workers have a part of.
const SHARED: [(&str, &str); 5] = [
    ("nexmark_q5", r#"{"window_ms":1000,"slide_ms":500}"#),
    ("nexmark_q7", r#"{"window_ms":500}"#),
    ("nexmark_q8", r#"{"window_ms":500}"#),
    ("nexmark_q9", "{}"),
    ("nexmark_q11", r#"{"gap_ms":200}"#),
];

/// The answer if workers that take slices in order each close their own part of every key, and not an owner. With one worker
/// this is right.
fn closed_by_parts(workload: &WorkloadHandle, workers: u64, order: u64) -> Outcome {
    let (total, end) = (workload.spec().total_items, workload.plan().end_of_chain(1));
    let mut engines: Vec<_> = (0..workers).map(|_| Engine::new(workload, order, 1)).collect();
    for (turn, first) in (0..).zip(every(100, total)) {
        let engine = &mut engines[(rnd(order, Stream::DATA, turn) % workers) as usize];
        let count = 100.min(total - first);
        engine.deliver(end, &source(workload, first, count, end)).unwrap();
        engine.close(workload.watermark(first + count).unwrap());
    }
    let mut sink = workload.new_sink().unwrap();
    for mut engine in engines {
        engine.emit();
        sink.merge(&engine.sink.encode().unwrap()).unwrap();
    }
    workload.outcome(&sink.encode().unwrap()).unwrap()
}

#[test]
fn workers_that_close_their_own_parts_are_wrong_for_every_seed() {
    for (name, extra) in SHARED {
        for seed in 0..5 {
            let workload = try_open(name, extra, 6000, seed).unwrap();
            let expected = workload.expected().unwrap();
            assert_eq!(closed_by_parts(&workload, 1, seed), expected, "{name}, one worker");
            assert_ne!(closed_by_parts(&workload, 3, seed), expected, "{name}, seed {seed}");
        }
    }
}

fn is_refused<T>(result: Result<T, WorkloadError>, part: &str) -> bool {
    let message = result.err().map(|error| error.to_string()).unwrap_or_default();
    message.contains(part)
}

#[test]
fn a_later_reduction_that_closes_by_the_source_refuses_what_comes_to_it() {
    let workload = open("nexmark_q5", r#"{"window_ms":1000,"slide_ms":500}"#, 5000);
    let mut engine = Engine::new(&workload, 0, 1);
    engine.deliver(2, &source(&workload, 0, 3000, 2)).unwrap();
    let watermark = workload.watermark(3000).unwrap();
    engine.close_state(1, 0, watermark).unwrap();
    assert!(is_refused(engine.close_state(0, 0, watermark), "came after the state was closed"));
}

fn record(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// For each query a record that ends at a time, and one that does not.
#[test]
fn what_ended_before_a_closed_time_is_refused_and_what_is_open_is_not() {
    for (name, extra, late, open_still) in [
        ("nexmark_q5", "{}", vec![100, 9], vec![101, 9]),
        ("nexmark_q7", "{}", vec![100, 5, 1, 1, 1, 1], vec![101, 5, 1, 1, 1, 1]),
        ("nexmark_q8", "{}", vec![100, 7, 0, 1, 1], vec![101, 7, 0, 1, 1]),
        ("nexmark_q9", "{}", vec![9, 0, 5, 99, 1, 1], vec![9, 0, 5, 100, 1, 1]),
        ("nexmark_q9", "{}", vec![9, 1, 500, 12, 1, 20, 100], vec![9, 1, 500, 12, 1, 20, 101]),
        ("nexmark_q11", r#"{"gap_ms":10}"#, vec![7, 90], vec![7, 91]),
    ] {
        let workload = open(name, extra, 0);
        let mut out = workload.buffer();
        let mut state = |time| {
            let mut state = workload.new_state(2).unwrap();
            assert_eq!(state.close(time, 1, &mut out).unwrap(), u64::MAX);
            state
        };
        let [late, open_still] = [late, open_still].map(|words| batch_of(&[record(&words)]));
        let refused = state(100).fold(&late);
        let code = refused.as_ref().err().map(|error| match error {
            WorkloadError::Call { status, .. } => *status,
            other => panic!("{other}"),
        });
        assert_eq!(code, Some(status::OPERATOR), "{name}");
        let mut part = workload.new_state(2).unwrap();
        part.fold(&late).unwrap();
        assert!(is_refused(state(100).merge(&part.encode().unwrap()), "closed at time 100"), "{name}");
        state(100).fold(&open_still).unwrap();
        // Without closing, and closed earlier, it is in time.
        state(99).fold(&late).unwrap();
    }
}

#[test]
fn sessions_of_a_person_close_one_after_the_other_and_then_the_person_is_forgotten() {
    let workload = open("nexmark_q11", r#"{"gap_ms":10}"#, 0);
    let mut state = workload.new_state(2).unwrap();
    state.fold(&batch_of(&[record(&[7, 100]), record(&[7, 130]), record(&[8, 105])])).unwrap();
    let mut out = workload.buffer();
    let mut closed = |state: &mut State, time| {
        let mut items = Vec::new();
        loop {
            let next = state.close(time, 1, &mut out).unwrap();
            if out.item_count() == 0 {
                return (items, next);
            }
            items.extend(items_of(&out));
        }
    };
    assert_eq!(closed(&mut state, 109), (vec![], 110));
    assert_eq!(closed(&mut state, 114), (vec![record(&[7, 100, 110, 1])], 115));
    assert_eq!(closed(&mut state, 139), (vec![record(&[8, 105, 115, 1])], 140));
    // A bid in time goes on with what is open.
    state.fold(&batch_of(&[record(&[7, 139])])).unwrap();
    assert_eq!(closed(&mut state, 148), (vec![], 149));
    assert_eq!(closed(&mut state, 149), (vec![record(&[7, 130, 149, 2])], u64::MAX));
    let empty = workload.new_state(2).unwrap().encode().unwrap().len();
    assert_eq!(state.encode().unwrap().len(), empty, "a key without sessions is kept");
}

#[test]
fn bids_for_an_auction_that_can_open_no_more_are_dropped() {
    let workload = open("nexmark_q9", "{}", 0);
    let mut state = workload.new_state(2).unwrap();
    // Price, time, number and bidder of a bid.
    state.fold(&batch_of(&[record(&[9, 0, 1000, 40, 1, 1]), record(&[9, 0, 1000, 50, 2, 2])])).unwrap();
    let mut out = workload.buffer();
    assert_eq!(state.close(50, 10, &mut out).unwrap(), 51);
    assert_eq!(out.item_count(), 0);
    state.fold(&batch_of(&[record(&[9, 1, 500, 12, 1000, 50, 60])])).unwrap();
    assert_eq!(state.close(59, 10, &mut out).unwrap(), 60);
    assert_eq!(state.close(60, 10, &mut out).unwrap(), u64::MAX);
    assert_eq!(items_of(&out), [record(&[9, 500, 12, 2, 50, 2, 1000])]);
    // The auction is forgotten, and a bid that is too late for it waits in vain.
    state.fold(&batch_of(&[record(&[9, 0, 5000, 70, 3, 3])])).unwrap();
    assert_eq!(state.close(71, 10, &mut out).unwrap(), u64::MAX);
    assert_eq!(out.item_count(), 0);
}

#[test]
fn without_the_word_nothing_closes() {
    let spec = plugin_api::WorkloadSpec { total_items: 10, ..plugin_api::WorkloadSpec::new("nexmark_q5") };
    let workload = crate::workload_library().open(&spec).unwrap();
    let mut out = workload.buffer();
    assert!(is_refused(workload.watermark(0), "`use` has no `watermarks`"));
    assert!(is_refused(workload.new_state(2).unwrap().close(1, 1, &mut out), "`use` has no `watermarks`"));
    let granted = open("nexmark_q5", "{}", 10);
    assert_eq!(granted.watermark(10).unwrap(), u64::MAX);
    assert!(is_refused(granted.new_sink().unwrap().close(1, 1, &mut out), "a sink closes nothing"));
    assert!(is_refused(granted.new_state(2).unwrap().close(1, 0, &mut out), "limit of at least 1"));
}
