//! Watermarks of the kit: what closes and when, what comes too late, and when results are due.

use std::collections::BTreeMap;

use plugin_api::workload::WATERMARKS;
use plugin_api::workload::capi::status;
use plugin_api::{Batch, Digest, State, WorkloadHandle, WorkloadSpec, monotonic_nanos};
use proptest::prelude::*;

use super::calls::library;
use super::handles::{encoded, spec, status_of};
use super::libraries::{faulty_windows, windows};

/// Windows of ten, of a stage that counts (2) and one that keeps counts above one (3).
fn opened(name: &str, total_items: u64, granted: &[&str]) -> WorkloadHandle {
    let mut spec = granting(granted, name, total_items);
    spec.extra.insert("window".into(), 10.into());
    library(windows()).open(&spec).unwrap()
}

fn granting(words: &[&str], name: &str, total_items: u64) -> WorkloadSpec {
    let granted = words.iter().map(|word| (*word).to_owned()).collect();
    WorkloadSpec { granted, ..spec(name, total_items) }
}

fn reading(sensor: u64, time: u64) -> Vec<u8> {
    [sensor, time].map(u64::to_le_bytes).concat()
}

/// What is closed at `time`, `limit` keys at once, sorted; and when the next part ends.
fn closed(workload: &WorkloadHandle, state: &mut State, time: u64, limit: u64) -> (Vec<Vec<u8>>, u64) {
    let (mut items, mut out) = (Vec::new(), workload.buffer());
    loop {
        let next = state.close(time, limit, &mut out).unwrap();
        let batch = Batch::parse(&out).unwrap();
        if batch.is_empty() {
            items.sort();
            return (items, next);
        }
        items.extend(batch.iter().map(<[u8]>::to_vec));
    }
}

#[test]
fn what_is_closed_is_the_answer_and_nothing_is_left_at_the_end() {
    let workload = opened("windows", 500, &[WATERMARKS]);
    for limit in [1, 3, u64::MAX] {
        let (mut state, mut batch) = (workload.new_state(2).unwrap(), workload.buffer());
        let mut digest = Digest::default();
        for first in (0..500).step_by(20) {
            workload.source(first, 20, 2, &mut batch).unwrap();
            state.fold(&batch).unwrap();
            let time = workload.watermark(first + 20).unwrap();
            let (items, next) = closed(&workload, &mut state, time, limit);
            assert!(next > time || time == u64::MAX, "{next} after {time}");
            let items: Vec<_> = items.iter().map(Vec::as_slice).collect();
            workload.run_stages(3, 4, &encoded(&items), &mut batch).unwrap();
            Batch::parse(&batch).unwrap().iter().for_each(|item| digest.fold_item(item));
        }
        state.emit(1, &mut batch).unwrap();
        assert_eq!(batch.item_count(), 0);
        let expected = workload.expected().unwrap();
        assert_eq!((expected.count, expected.checksum), (digest.count(), digest.checksum()));
    }
}

#[test]
fn what_ended_when_a_state_was_closed_is_refused() {
    let workload = opened("windows", 0, &[WATERMARKS]);
    let (mut state, mut other) = (workload.new_state(2).unwrap(), workload.new_state(2).unwrap());
    state.fold(&encoded(&[&reading(1, 5), &reading(2, 25)])).unwrap();
    let early = state.encode().unwrap().to_vec();
    let (items, next) = closed(&workload, &mut state, 10, 9);
    assert_eq!((items, next), (vec![[10_u64, 1, 1].map(u64::to_le_bytes).concat()], 30));
    let late =
        (status::OPERATOR, "what ended at time 10 came after the state was closed at time 10".to_owned());
    // An encoding does not have the time.
    let mut copy = workload.new_state(2).unwrap();
    copy.merge(&state.encode().unwrap()).unwrap();
    copy.fold(&encoded(&[&reading(1, 9)])).unwrap();
    assert_eq!(status_of(state.fold(&encoded(&[&reading(1, 9)]))), late);
    assert_eq!(closed(&workload, &mut other, 10, 1), (Vec::new(), u64::MAX));
    assert_eq!(status_of(other.merge(&early)), late);
}

#[test]
fn closing_needs_the_word_a_reduction_and_a_limit() {
    let workload = opened("windows", 10, &[WATERMARKS]);
    let mut out = workload.buffer();
    assert_eq!([0, 3, 4, 9, 10].map(|number| workload.watermark(number).unwrap()), [0, 0, 4, 8, u64::MAX]);
    let mut refused = |workload: &WorkloadHandle, stage: usize, limit: u64| {
        status_of(workload.new_state(stage).unwrap().close(1, limit, &mut out))
    };
    let argument = |message: &str| (status::ARGUMENT, message.to_owned());
    assert_eq!(refused(&workload, 4, 1), argument("a sink closes nothing"));
    assert_eq!(refused(&workload, 2, 0), argument("close needs a limit of at least 1"));
    for granted in [[].as_slice(), ["another"].as_slice()] {
        let workload = opened("windows", 10, granted);
        let says = argument("reductions are to emit at the end: `use` has no `watermarks`");
        assert_eq!(status_of(workload.watermark(0)), says);
        assert_eq!(refused(&workload, 2, 1), says);
    }
    let unopened = status_of(library(windows()).open(&spec("arriving_windows", 10)));
    let says = "workload \"arriving_windows\" is an open loop with a keyed reduction: when its results are due follows from watermarks, \
                which the host or the backend does not support";
    assert_eq!(unopened, (status::SPEC, says.to_owned()));
    let unopened = status_of(library(faulty_windows()).open(&granting(&[WATERMARKS], "lacking", 10)));
    let says = "workload \"lacking\" lacks the function closes, which its watermarks need";
    assert_eq!(unopened, (status::SPEC, says.to_owned()));
}

#[test]
fn a_result_is_due_with_the_item_before_the_first_whose_watermark_reaches_its_end() {
    let workload = opened("arriving_windows", 40, &[WATERMARKS]);
    // All items have been due for long.
    workload.start(0).unwrap();
    let (mut batch, mut out) = (workload.buffer(), workload.buffer());
    workload.source(0, 40, 2, &mut batch).unwrap();
    let items = Batch::parse(&batch).unwrap();
    // A map of whole batches keeps the stamp of each item.
    assert!(items.iter().zip(0_u64..).all(|(item, index)| item[16..24] == (1000 * index).to_le_bytes()));
    let parts = workload.split(2, &batch, 3).unwrap();
    workload.keys(2, &batch, &mut out).unwrap();
    assert!(Batch::parse(&out).unwrap().iter().eq(items.iter().map(|item| &item[..8])));
    let mut whole = workload.new_state(2).unwrap();
    let mut results = Vec::new();
    for part in &parts {
        let mut state = workload.new_state(2).unwrap();
        state.fold(part).unwrap();
        results.extend(closed(&workload, &mut state, 20, 1).0);
        whole.merge(&state.encode().unwrap()).unwrap();
    }
    loop {
        whole.emit(2, &mut out).unwrap();
        let batch = Batch::parse(&out).unwrap();
        if batch.is_empty() {
            break;
        }
        results.extend(batch.iter().map(<[u8]>::to_vec));
    }
    // The watermarks are 0, 4, 8 and so on, each of four items, up to 36.
    let due: BTreeMap<u64, u64> = [(10, 11), (20, 19), (30, 31), (40, 39)].into();
    for result in &results {
        let words = [0, 24, 32].map(|at| u64::from_le_bytes(*result[at..].first_chunk().unwrap()));
        assert_eq!(words, [words[0], 1000 * due[&words[0]], u64::MAX >> 1]);
    }
    let mut sink = workload.new_sink().unwrap();
    let results: Vec<_> = results.iter().map(Vec::as_slice).collect();
    workload.run_stages(3, 4, &encoded(&results), &mut out).unwrap();
    workload.start(monotonic_nanos()).unwrap();
    sink.fold(&out).unwrap();
    let outcome = workload.outcome(&sink.encode().unwrap()).unwrap();
    let expected = workload.expected().unwrap();
    assert_eq!((outcome.count, outcome.checksum), (expected.count, expected.checksum));
    let latency = outcome.latency.unwrap();
    assert_eq!([latency.scheduled.count, latency.service.count, latency.lag.count], [expected.count, 0, 0]);
    // Behind a reduction no sink gets what a source made: neither beside results nor alone.
    let says = "a sink has other times than its plan, or none where its plan has some";
    for mut sink in [sink, workload.new_sink().unwrap()] {
        assert_eq!(status_of(sink.fold(&batch)), (status::MALFORMED, says.to_owned()));
        assert_eq!(status_of(workload.outcome(&sink.encode().unwrap())).0, status::MALFORMED);
    }
    let says = "an item of an open loop has no stamp";
    let short = encoded(&[b"short"]);
    let refused = [
        status_of(workload.new_state(2).unwrap().fold(&short)),
        status_of(workload.split(2, &short, 3)),
        status_of(workload.keys(2, &short, &mut out)),
    ];
    assert!(refused.iter().all(|refused| *refused == (status::MALFORMED, says.to_owned())), "{refused:?}");
}

#[test]
fn what_is_kept_though_it_ended_and_a_batch_with_an_item_too_few_are_errors() {
    let open = |name: &str| library(faulty_windows()).open(&granting(&[WATERMARKS], name, 10)).unwrap();
    let (keeping, dropping) = (open("keeping"), open("dropping"));
    let (mut state, mut out) = (keeping.new_state(2).unwrap(), keeping.buffer());
    state.fold(&encoded(&[&reading(1, 5)])).unwrap();
    let says = "stage 2 was closed at time 20, but kept what ended at time 16";
    assert_eq!(status_of(state.close(20, 1, &mut out)), (status::OPERATOR, says.to_owned()));
    let says = "stage 1 is a map, but made 4 items of 5";
    assert_eq!(status_of(dropping.source(0, 5, 2, &mut out)), (status::OPERATOR, says.to_owned()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever is folded and closed in whatever order, beside a table of counts by the end of a window and the sensor.
    #[test]
    fn a_state_closes_what_a_table_of_counts_does(
        steps in prop::collection::vec((0_u8..6, 0_u64..90, 0_u64..300, 1_u64..5), 0..400)
    ) {
        let workload = opened("windows", 0, &[WATERMARKS]);
        let (mut state, mut out) = (workload.new_state(2).unwrap(), workload.buffer());
        let (mut counts, mut closed_at) = (BTreeMap::<(u64, u64), u64>::new(), 0);
        let items = |counts: BTreeMap<(u64, u64), u64>| {
            let item = |((end, sensor), count): ((u64, u64), u64)| [end, sensor, count].map(u64::to_le_bytes).concat();
            let mut items: Vec<Vec<u8>> = counts.into_iter().map(item).collect();
            items.sort();
            items
        };
        for (step, sensor, time, limit) in steps {
            if step > 0 {
                let time = time.max(closed_at);
                state.fold(&encoded(&[&reading(sensor, time)])).unwrap();
                *counts.entry(((time / 10 + 1) * 10, sensor)).or_default() += 1;
                continue;
            }
            closed_at = closed_at.max(time);
            let open = counts.split_off(&(time + 1, 0));
            let ended = items(std::mem::replace(&mut counts, open));
            let next = counts.keys().next().map_or(u64::MAX, |(end, _)| *end);
            prop_assert_eq!(closed(&workload, &mut state, time, limit), (ended, next));
        }
        let mut copy = workload.new_state(2).unwrap();
        copy.merge(&state.encode().unwrap()).unwrap();
        let counts = items(counts);
        for mut state in [state, copy] {
            let mut left = Vec::new();
            loop {
                state.emit(7, &mut out).unwrap();
                let batch = Batch::parse(&out).unwrap();
                if batch.is_empty() {
                    break;
                }
                left.extend(batch.iter().map(<[u8]>::to_vec));
            }
            left.sort();
            prop_assert_eq!(&left, &counts);
        }
    }
}
