//! Open loops of the kit: stamps, when items are made, and the histograms of a sink.

use plugin_api::workload::Distribution;
use plugin_api::workload::capi::status;
use plugin_api::{Batch, WorkloadHandle};
use proptest::prelude::*;
use serde_json::json;

use super::calls::library;
use super::handles::{encoded, spec, status_of};
use super::libraries::arriving;

fn arrivals(total_items: u64, period_us: u64) -> WorkloadHandle {
    let mut spec = spec("arriving", total_items);
    spec.extra.insert("period_us".into(), period_us.into());
    library(arriving()).open(&spec).unwrap()
}

/// An item with the stamp that the contract describes.
fn stamped(content: u64, due: u64, made: u64, awaited: bool) -> [u8; 24] {
    let words = [content, due, made | u64::from(awaited) << 63].map(u64::to_le_bytes);
    words.concat().try_into().unwrap()
}

#[test]
fn an_item_is_made_when_it_is_due_and_keeps_its_stamp() {
    let workload = arrivals(10, 2000);
    assert!(workload.plan().open_loop && workload.start(plugin_api::monotonic_nanos()).unwrap());
    let (mut source, mut out) = (workload.buffer(), workload.buffer());
    workload.source(4, 1, 1, &mut source).unwrap();
    let item: [u8; 24] = Batch::parse(&source).unwrap().iter().next().unwrap().try_into().unwrap();
    let [content, due, made] = [0, 8, 16].map(|at| u64::from_le_bytes(*item[at..].first_chunk().unwrap()));
    let awaited = made >> 63 == 1;
    let made = made & !(1 << 63);
    // On a busy machine it is asked for when it was due already.
    assert!((content, due) == (4, 8_000_000) && made >= due, "{content} {due} {made} {awaited}");
    workload.run_stages(1, 3, &source, &mut out).unwrap();
    assert_eq!(Batch::parse(&out).unwrap().iter().collect::<Vec<_>>(), [stamped(12, due, made, awaited)]);
    let described = workload.describe(2, &item).unwrap().unwrap();
    assert_eq!(json!(described), json!({"is_odd": 0, "due_nanos": due, "made_nanos": made}));
    // What a reduction made of many items has no time at which it was made.
    let result = workload.describe(2, &stamped(3, 5, u64::MAX >> 1, false)).unwrap().unwrap();
    assert_eq!(json!(result), json!({"is_odd": 1, "due_nanos": 5}));
    // Once the start has passed, nothing is awaited.
    workload.start(0).unwrap();
    workload.source(4, 1, 1, &mut source).unwrap();
    assert_eq!(Batch::parse(&source).unwrap().iter().next().unwrap()[23] >> 7, 0);
}

#[test]
fn a_loop_that_started_with_the_machine_awaits_nothing() {
    let mut spec = spec("arriving", 2);
    spec.extra.insert("period_us".into(), 1000.into());
    spec.start_nanos = Some(0);
    let workload = library(arriving()).open(&spec).unwrap();
    let mut out = workload.buffer();
    workload.source(1, 1, 1, &mut out).unwrap();
    assert_eq!(Batch::parse(&out).unwrap().iter().next().unwrap()[23] >> 7, 0);
}

#[test]
fn what_is_no_open_loop_or_has_no_stamp_is_refused() {
    let (workload, closed) = (arrivals(10, 1), library(arriving()).open(&spec("closed", 10)).unwrap());
    let mut out = workload.buffer();
    let (code, message) = status_of(closed.start(0));
    assert!(code == status::ARGUMENT && message.contains("no open loop"), "{message}");
    let batch = encoded(&[b"fifteen bytes .."[..15].as_ref()]);
    let refused = [
        status_of(workload.run_stages(1, 2, &batch, &mut out)),
        status_of(workload.new_sink().unwrap().fold(&batch)),
        status_of(workload.describe(1, b"short")),
    ];
    for (code, message) in refused {
        assert_eq!((code, message.as_str()), (status::MALFORMED, "an item of an open loop has no stamp"));
    }
    // States of the one and the other kind are not merged.
    let states = [&closed, &workload].map(|workload| workload.new_sink().unwrap().encode().unwrap());
    assert_eq!(status_of(workload.new_sink().unwrap().merge(&states[0])).0, status::MALFORMED);
    assert_eq!(status_of(closed.new_sink().unwrap().merge(&states[1])).0, status::MALFORMED);
    assert_eq!(closed.outcome(&states[0]).unwrap().latency, None);
}

#[test]
fn a_sinks_latencies_are_those_of_the_items_also_when_sinks_are_merged() {
    let workload = arrivals(10, 1);
    // The delay of the source is made less due, whenever the item arrives.
    let delays: Vec<_> = (1..=1000_u64).map(|number| number * 1_000_000).collect();
    let mut sinks = delays.chunks(300).map(|delays| {
        let items: Vec<_> = delays.iter().map(|delay| stamped(*delay, 5, 5 + delay, true)).collect();
        let mut sink = workload.new_sink().unwrap();
        sink.fold(&encoded(&items.iter().map(<[u8; 24]>::as_slice).collect::<Vec<_>>())).unwrap();
        sink
    });
    let mut whole = sinks.next().unwrap();
    sinks.for_each(|mut sink| whole.merge(&sink.encode().unwrap()).unwrap());
    let outcome = workload.outcome(&whole.encode().unwrap()).unwrap();
    let latency = outcome.latency.unwrap();
    let lag = &latency.lag;
    assert_eq!([lag.count, latency.scheduled.count, latency.service.count, outcome.count], [1000; 4]);
    for (quantile, millis) in
        [(0.0, 1.0), (0.5, 500.0), (0.9, 900.0), (0.95, 950.0), (0.99, 990.0), (0.999, 999.0), (1.0, 1000.0)]
    {
        let value = lag.at(quantile).unwrap() as f64 / 1e6;
        assert!((value / millis - 1.0).abs() < 0.002, "{quantile}: {value} ms");
    }
    assert!((lag.mean_nanos / 500_500_000.0 - 1.0).abs() < 0.001, "{}", lag.mean_nanos);
    assert!(lag.curve.is_sorted_by(|one, other| one.0 < other.0 && one.1 <= other.1), "{:?}", lag.curve);
    let empty = workload.outcome(&workload.new_sink().unwrap().encode().unwrap()).unwrap();
    assert_eq!(empty.latency.unwrap().scheduled, Distribution::default());
}

#[test]
fn times_beyond_a_day_count_as_a_day() {
    let workload = arrivals(10, 1);
    let mut sink = workload.new_sink().unwrap();
    // The largest time stands for none.
    sink.fold(&encoded(&[&stamped(0, 0, (u64::MAX >> 1) - 1, true)])).unwrap();
    let lag = workload.outcome(&sink.encode().unwrap()).unwrap().latency.unwrap().lag;
    let day = 24.0 * 3600.0 * 1e9;
    assert!((lag.at(1.0).unwrap() as f64 / day - 1.0).abs() < 0.001, "{lag:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_sinks_state_of_any_bytes_is_the_state_that_it_is_read_as_or_refused(
        delays in prop::collection::vec(0_u64..1 << 50, 0..6), at: prop::sample::Index, to: u8, words: Vec<u64>
    ) {
        let workload = arrivals(10, 1);
        let mut sink = workload.new_sink().unwrap();
        let items: Vec<_> = delays.iter().map(|delay| stamped(1, 0, *delay, true)).collect();
        sink.fold(&encoded(&items.iter().map(<[u8; 24]>::as_slice).collect::<Vec<_>>())).unwrap();
        let state = sink.encode().unwrap().to_vec();
        let mut changed = state.clone();
        changed[at.index(state.len())] = to;
        let other = [&state[..32], &words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>()].concat();
        for bytes in [state, changed, other] {
            let mut merged = workload.new_sink().unwrap();
            match (workload.outcome(&bytes), merged.merge(&bytes)) {
                (Ok(outcome), Ok(())) => {
                    prop_assert_eq!(workload.outcome(&merged.encode().unwrap()).unwrap(), outcome);
                }
                (Err(one), Err(other)) => prop_assert_eq!(status_of::<()>(Err(one)), status_of::<()>(Err(other))),
                other => panic!("{other:?}"),
            }
        }
    }
}
