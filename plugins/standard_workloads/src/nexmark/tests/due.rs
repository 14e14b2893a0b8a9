//! Open loops: when a result is due follows from its end, whoever closes it, and when.

use plugin_api::workload::WorkloadHandle;

use super::closing::{Engine, every};
use crate::conformance::{batch_of, items_of, open, source};
use crate::record::read;

/// Queries with results that say when they end, in this word.
const SHAPES: [(&str, &str, usize); 4] = [
    ("nexmark_q5", r#"{"window_ms":400,"slide_ms":100,"arrivals":"constant","arrival_rate":10000000}"#, 0),
    ("nexmark_q7", r#"{"window_ms":100,"arrivals":"constant","arrival_rate":10000000}"#, 0),
    ("nexmark_q8", r#"{"window_ms":500,"arrivals":"constant","arrival_rate":10000000}"#, 0),
    ("nexmark_q11", r#"{"gap_ms":20,"arrivals":"constant","arrival_rate":10000000}"#, 2),
];
const EVENTS: u64 = 3050;

/// The results of a serial run that closes after each `step` items, or only emits at the end; with their stamps.
fn results(workload: &WorkloadHandle, step: u64) -> Vec<Vec<u8>> {
    let plan = workload.plan();
    let (mut stage, mut batches) = (plan.end_of_chain(1), Vec::new());
    for first in (0..EVENTS).step_by(step as usize) {
        let until = (first + step).min(EVENTS);
        let time = workload.watermark(until).unwrap();
        batches.push((source(workload, first, until - first, stage), time));
    }
    while stage < plan.sink() {
        let mut state = workload.new_state(stage).unwrap();
        let (mut made, mut out) = (Vec::new(), workload.buffer());
        for (place, (batch, time)) in batches.iter().enumerate() {
            state.fold(batch).unwrap();
            // What was closed at one time may be several batches.
            if batches.get(place + 1).is_some_and(|(_, next)| next == time) {
                continue;
            }
            while {
                state.close(*time, 9, &mut out).unwrap();
                out.item_count() > 0
            } {
                made.push((out.to_vec(), *time));
            }
        }
        while {
            state.emit(9, &mut out).unwrap();
            out.item_count() > 0
        } {
            made.push((out.to_vec(), u64::MAX));
        }
        batches = made;
        stage += 1;
    }
    let mut items: Vec<_> = batches.iter().flat_map(|(batch, _)| items_of(batch)).collect();
    items.sort_unstable();
    items
}

/// When what ends at `end` is due: with the item before the first whose watermark reaches it, or with the last one.
fn due(workload: &WorkloadHandle, end: u64) -> u64 {
    let first = (0..EVENTS).find(|number| workload.watermark(*number).unwrap() >= end).unwrap_or(EVENTS);
    (first.saturating_sub(1) as f64 / 1e7 * 1e9) as u64
}

#[test]
fn a_result_is_due_by_its_end_whenever_it_is_closed() {
    for (name, extra, place) in SHAPES {
        let workload = open(name, extra, EVENTS);
        let at_the_end = results(&workload, EVENTS);
        for step in [1, 77, 1000] {
            assert_eq!(results(&workload, step), at_the_end, "{name}, closed after each {step}");
        }
        let mut times = Vec::new();
        for item in &at_the_end {
            let (content, stamp) = item.split_at(item.len() - 16);
            let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
            let end = word(&content[8 * place..8 * place + 8]);
            assert_eq!(word(&stamp[..8]), due(&workload, end), "{name}: {content:?}");
            times.push(end);
        }
        times.sort_unstable();
        times.dedup();
        assert!(times.len() > 2, "{name}: all end at {times:?}");
        let described = workload.describe(workload.plan().sink() - 1, &at_the_end[0]).unwrap().unwrap();
        assert!(
            described.contains_key("due_nanos") && !described.contains_key("made_nanos"),
            "{described:?}"
        );
    }
}

#[test]
fn an_open_loop_has_the_answer_and_one_latency_for_each_result() {
    let open_loop = r#""arrivals":"poisson","arrival_rate":10000000"#;
    for (name, extra) in [
        ("nexmark_q0", ""),
        ("nexmark_q1", ""),
        ("nexmark_q4", ""),
        ("nexmark_q5", r#","window_ms":400,"slide_ms":100"#),
        ("nexmark_q9", ""),
        ("nexmark_q11", r#","gap_ms":20"#),
    ] {
        let workload = open(name, &format!("{{{open_loop}{extra}}}"), EVENTS);
        let (outcome, _) = Engine::new(&workload, 1, 3).run(&every(50, EVENTS), 3);
        let expected = workload.expected().unwrap();
        assert_eq!((outcome.count, &outcome.checksum), (expected.count, &expected.checksum), "{name}");
        let latency = outcome.latency.unwrap();
        let of_items = if workload.plan().has_reduction() { 0 } else { outcome.count };
        assert_eq!(
            [latency.scheduled.count, latency.service.count, latency.lag.count],
            [outcome.count, of_items, of_items],
            "{name}"
        );
    }
}

#[test]
fn a_state_of_two_sessions_gives_each_its_own_time() {
    let extra = r#"{"gap_ms":10,"disorder":1,"arrivals":"constant","arrival_rate":1000}"#;
    let workload = open("nexmark_q11", extra, 1000);
    let mut state = workload.new_state(2).unwrap();
    let stamped = |words: [u64; 2]| [words.map(u64::to_le_bytes).as_flattened(), &[0; 16]].concat();
    state.fold(&batch_of(&[stamped([7, 100]), stamped([7, 130])])).unwrap();
    let mut out = workload.buffer();
    state.close(500, 10, &mut out).unwrap();
    let items = items_of(&out);
    let found: Vec<[u64; 6]> = items.iter().map(|item| read(item).unwrap()).collect();
    // Event 110 is the first at time 110, so what ends there is due with event 109, 109 ms after the start.
    let not_made = u64::MAX >> 1;
    assert_eq!(found, [[7, 100, 110, 1, 109_000_000, not_made], [7, 130, 140, 1, 139_000_000, not_made]]);
}

#[test]
fn a_join_that_never_ends_is_no_open_loop() {
    let opened = crate::conformance::try_open("nexmark_q3", r#"{"arrivals":"poisson"}"#, 10, 1);
    let why = opened.unwrap_err().to_string();
    assert!(why.ends_with("must be one of on_demand; try: --extra arrivals=\"on_demand\""), "{why}");
    let spec = r#"{"schema":1,"name":"nexmark_q5","extra":{"arrivals":"poisson"}}"#;
    let spec = plugin_api::WorkloadSpec::from_json(spec.as_bytes()).unwrap();
    let why = crate::workload_library().open(&spec).unwrap_err().to_string();
    assert!(why.contains("which the host or the backend does not support"), "{why}");
}
