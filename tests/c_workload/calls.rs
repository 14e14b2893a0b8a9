//! Their functions, called in this process: each call of the contract, and bytes that are none of it.

use std::path::Path;
use std::ptr::null;

use crossrun::internals::worker::load;
use plugin_api::workload::WorkloadLibrary;
use plugin_api::workload::capi::{MAX_PARTITIONS, RawBuffer, RawWorkload, status};
use plugin_api::{Batch, Digest, State, WorkloadHandle};
use proptest::prelude::*;
use serde_json::json;

use super::handles::{encoded, spec, states_of_threads, status_of};
use super::libraries::{built_with, empty, numbers, sensors};
use super::nulls;
use crate::c_backend;
use crate::fuzz_corpus::resolved;
use crate::support::plugin;

pub(super) fn library(file: &Path) -> WorkloadLibrary {
    load::workloads(&c_backend::file(file)).unwrap()
}

/// A map, then a keyed reduction, which is stage 2.
fn reduced(total_items: u64) -> WorkloadHandle {
    library(sensors()).open(&spec("sensor_sums", total_items)).unwrap()
}

/// A map and a filter.
fn chain(total_items: u64) -> WorkloadHandle {
    library(numbers()).open(&spec("even_multiples", total_items)).unwrap()
}

/// Every item that a state emits, sorted.
fn drained(mut state: State, limit: u64) -> Vec<Vec<u8>> {
    let (mut items, mut out) = (Vec::new(), reduced(0).buffer());
    loop {
        state.emit(limit, &mut out).unwrap();
        let batch = Batch::parse(&out).unwrap();
        if batch.is_empty() {
            items.sort();
            return items;
        }
        items.extend(batch.iter().map(<[u8]>::to_vec));
    }
}

#[test]
fn a_sinks_checksum_is_that_of_the_contract_for_items_of_any_length() {
    let bytes: Vec<u8> = (0..5000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let lengths = (0..1100).chain([1500, 2047, 2048, 2049, 4096, 4999]);
    let workload = chain(0);
    for length in lengths {
        let (mut sink, mut digest) = (workload.new_sink().unwrap(), Digest::default());
        digest.fold_item(&bytes[..length]);
        sink.fold(&encoded(&[&bytes[..length]])).unwrap();
        let outcome = workload.outcome(&sink.encode().unwrap()).unwrap();
        assert_eq!((outcome.count, outcome.checksum), (1, digest.checksum()), "{length} bytes");
    }
}

#[test]
fn merged_states_equal_one_state_and_the_oracle() {
    let workload = reduced(2000);
    let mut batch = workload.buffer();
    let mut parts: Vec<State> = (0..3).map(|_| workload.new_state(2).unwrap()).collect();
    let mut whole = workload.new_state(2).unwrap();
    for (number, first) in (0..2000).step_by(100).enumerate() {
        workload.source(first, 100, 2, &mut batch).unwrap();
        whole.fold(&batch).unwrap();
        parts[number % 3].fold(&batch).unwrap();
    }
    let mut merged = workload.new_state(2).unwrap();
    for part in &mut parts {
        merged.merge(&part.encode().unwrap()).unwrap();
    }
    let (one, other) = (drained(whole, 7), drained(merged, u64::MAX));
    assert_eq!(one, other);
    let mut digest = Digest::default();
    one.iter().for_each(|item| digest.fold_item(item));
    let expected = workload.expected().unwrap();
    assert_eq!((expected.count, expected.checksum), (digest.count(), digest.checksum()));
}

#[test]
fn a_state_that_emits_can_take_in_more() {
    let workload = reduced(1000);
    let (mut batch, mut state, mut out) =
        (workload.buffer(), workload.new_state(2).unwrap(), workload.buffer());
    workload.source(0, 1000, 2, &mut batch).unwrap();
    state.fold(&batch).unwrap();
    let all = drained(state, 1000).len();
    let mut state = workload.new_state(2).unwrap();
    state.fold(&batch).unwrap();
    state.emit(10, &mut out).unwrap();
    assert_eq!(out.item_count(), 10);
    state.fold(&batch).unwrap();
    assert_eq!(drained(state, 3).len(), all);
}

#[test]
fn what_has_no_bytes_is_no_null_pointer_for_the_author() {
    let workload = library(empty()).open(&spec("empty", 3)).unwrap();
    let (mut state, mut batch) = (workload.new_state(2).unwrap(), workload.buffer());
    workload.source(0, 3, 2, &mut batch).unwrap();
    state.fold(&batch).unwrap();
    assert_eq!(drained(state, 1), [Vec::<u8>::new()]);
}

#[test]
fn one_key_goes_to_one_partition_and_nothing_is_lost() {
    let workload = reduced(3000);
    let mut batch = workload.buffer();
    workload.source(0, 3000, 2, &mut batch).unwrap();
    for partitions in [1, 2, 7, 64] {
        let parts = workload.split(2, &batch, partitions).unwrap();
        let mut owner = std::collections::HashMap::new();
        let mut count = 0;
        for (number, part) in parts.iter().enumerate() {
            for item in Batch::parse(part).unwrap().iter() {
                assert_eq!(*owner.entry(item[..8].to_vec()).or_insert(number), number);
                count += 1;
            }
        }
        assert_eq!(count, 3000);
        assert!(partitions < 64 || parts.iter().filter(|part| part.item_count() > 0).count() > 30);
    }
}

#[test]
fn the_key_of_each_item_is_given_in_the_order_of_the_items() {
    let workload = reduced(300);
    let (mut batch, mut keys) = (workload.buffer(), workload.buffer());
    workload.source(0, 300, 2, &mut batch).unwrap();
    workload.keys(2, &batch, &mut keys).unwrap();
    let items = Batch::parse(&batch).unwrap();
    assert!(Batch::parse(&keys).unwrap().iter().eq(items.iter().map(|item| &item[..8])));
    assert_eq!(status_of(workload.keys(1, &batch, &mut keys)).0, status::ARGUMENT);
    assert_eq!(status_of(workload.keys(2, b"rubbish", &mut keys)).0, status::MALFORMED);
}

#[test]
fn an_invalid_call_returns_a_status_and_a_reason() {
    let (workload, mut out, batch) = (reduced(10), reduced(10).buffer(), encoded(&[&[0; 8]]));
    for (first, count, to) in
        [(10, 1, 1), (0, 11, 1), (u64::MAX, 1, 1), (0, 1, 0), (0, 1, 3), (0, 1, u32::MAX as usize)]
    {
        assert_eq!(
            status_of(workload.source(first, count, to, &mut out)).0,
            status::ARGUMENT,
            "{first} {count} {to}"
        );
    }
    for (from, to) in [(0, 1), (1, 3), (2, 3), (3, 2), (9, 9)] {
        assert_eq!(status_of(workload.run_stages(from, to, &batch, &mut out)).0, status::ARGUMENT);
    }
    for partitions in [0, MAX_PARTITIONS + 1] {
        assert_eq!(status_of(workload.split(2, &batch, partitions)).0, status::ARGUMENT);
    }
    assert_eq!(status_of(workload.split(1, &batch, 1)).0, status::ARGUMENT);
    for stage in [0, 1, 4, usize::MAX] {
        assert_eq!(status_of(workload.new_state(stage)).0, status::ARGUMENT);
    }
    assert_eq!(status_of(workload.new_sink().unwrap().emit(1, &mut out)).0, status::ARGUMENT);
    assert_eq!(status_of(workload.new_state(2).unwrap().emit(0, &mut out)).0, status::ARGUMENT);
    let odd = encoded(&[b"odd"]);
    let (code, message) = status_of(workload.run_stages(1, 2, &odd, &mut out));
    assert_eq!((code, message.as_str()), (status::OPERATOR, "an item is not 8 bytes"));
    // And it can be called again.
    workload.run_stages(1, 2, &batch, &mut out).unwrap();
}

/// Two readings fit into a batch, or the entries of two sensors, or five items of the source.
#[test]
fn an_item_too_large_for_a_batch_has_its_own_status_and_a_remedy() {
    let file = built_with("sensors", "small_batches_workload", &["-DCROSSRUN_KIT_BATCH_BYTES=40"]);
    let workload = library(&file).open(&spec("sensor_sums", 10)).unwrap();
    let mut out = workload.buffer();
    let refused = |result, what: &str| {
        let (code, message) = status_of::<()>(result);
        assert_eq!(code, status::TOO_LARGE, "{message}");
        assert!(message.contains(what), "{message}");
    };
    workload.source(0, 5, 1, &mut out).unwrap();
    let made = out.to_vec();
    refused(workload.run_stages(1, 2, &made, &mut out), "smaller batch_size");
    refused(workload.source(0, 6, 1, &mut out), "smaller batch_size");
    refused(workload.source(0, 3, 2, &mut out), "smaller batch_size");
    workload.source(0, 2, 2, &mut out).unwrap();
    assert_eq!(out.item_count(), 2);

    let readings: Vec<_> = (0..3_u8).map(|sensor| encoded(&[&[sensor; 16]])).collect();
    let folded = || {
        let mut state = workload.new_state(2).unwrap();
        readings.iter().for_each(|reading| state.fold(reading).unwrap());
        state
    };
    refused(folded().encode().map(drop), "more partitions");
    refused(folded().emit(3, &mut out), "smaller batch_size");
    let mut state = folded();
    state.emit(1, &mut out).unwrap();
    state.encode().unwrap();
}

#[test]
fn null_where_something_is_needed_is_an_argument_error() {
    nulls::are_refused(&resolved(sensors()), br#"{"name":"sensor_sums","total_items":9}"#);
}

#[test]
fn a_spec_is_read_as_json_and_nothing_else() {
    let library = library(sensors());
    let open = |extra: serde_json::Value| {
        let mut spec = spec("sensor_sums", 1);
        spec.extra = extra.as_object().unwrap().clone();
        library.open(&spec)
    };
    open(json!({"sensors": 1_000_000, "other": {"deep": [1, "\u{1F600}\n\"", {"sensors": 0}]}})).unwrap();
    for bad in
        [json!(0), json!(1_000_001), json!(-1), json!(1.0), json!("1"), json!(null), json!([1]), json!(true)]
    {
        let (code, message) = status_of(open(json!({ "sensors": bad })));
        assert_eq!(code, status::SPEC);
        assert!(
            message.contains(&format!("extra.sensors is {bad}, but must be a whole number")),
            "{message}"
        );
    }
    let (code, message) = status_of(library.open(&spec("sensor_\"sums", 1)));
    assert_eq!(code, status::SPEC);
    assert!(message.contains("it has sensor_sums"), "{message}");
}

#[test]
#[allow(unsafe_code)]
fn a_field_that_a_spec_has_twice_is_refused_as_a_library_in_rust_does() {
    for file in [sensors(), &plugin("standard_workloads")] {
        let f = resolved(file);
        for (name, value) in [
            ("name", "\"null\""),
            ("total_items", "1"),
            ("parallelism", "1"),
            ("scheduler_name", "\"default\""),
            ("seed", "1"),
            ("extra", "{}"),
            ("start_nanos", "1"),
            ("use", "[]"),
        ] {
            let spec = format!("{{\"{name}\":{value},\"{name}\":{value}}}");
            let (mut opened, mut error) = (null::<RawWorkload>(), RawBuffer::EMPTY);
            // SAFETY: all pointers are good, and the message is read before its buffer is freed.
            let (code, message) = unsafe {
                let code = (f.open)(spec.as_ptr(), spec.len(), &mut opened, &mut error);
                let message = std::slice::from_raw_parts(error.data, error.length).to_vec();
                (f.buffer_free)(&mut error);
                (code, String::from_utf8(message).unwrap())
            };
            assert_eq!(code, status::SPEC, "{message}");
            let says = format!("the spec is not valid: it has `{name}` twice");
            assert!(message.starts_with(&says), "{}: {message}", file.display());
        }
    }
}

#[test]
fn a_state_outlives_its_workload_and_threads_share_one() {
    let workload = reduced(400);
    let states = states_of_threads(&workload, 100);
    drop(workload);
    let mut whole = reduced(400).new_state(2).unwrap();
    for mut state in states {
        whole.merge(&state.encode().unwrap()).unwrap();
    }
    assert_eq!(drained(whole, 9).len() as u64, reduced(400).expected().unwrap().count);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn random_bytes_do_not_crash_it(bytes: Vec<u8>, stage in 0_usize..6, to in 0_usize..6) {
        let workload = reduced(10);
        let mut out = workload.buffer();
        let _ = workload.run_stages(stage, to, &bytes, &mut out);
        let _ = workload.split(stage, &bytes, to as u32);
        let _ = workload.keys(stage, &bytes, &mut out);
        prop_assert!(workload.outcome(&bytes).is_err());
        for mut state in [2, 3].map(|stage| workload.new_state(stage).unwrap()) {
            let _ = state.fold(&bytes);
            let _ = state.merge(&bytes);
            state.encode().unwrap();
        }
    }

    #[test]
    fn a_state_or_batch_with_one_byte_changed_is_taken_or_refused(at: prop::sample::Index, to: u8) {
        let workload = reduced(10);
        let (mut batch, mut state) = (workload.buffer(), workload.new_state(2).unwrap());
        workload.source(0, 10, 2, &mut batch).unwrap();
        state.fold(&batch).unwrap();
        for mut changed in [state.encode().unwrap().to_vec(), batch.to_vec()] {
            let at = at.index(changed.len());
            changed[at] = to;
            let mut other = workload.new_state(2).unwrap();
            for result in [other.merge(&changed), other.fold(&changed)] {
                if let Err(error) = result {
                    let (code, _) = status_of::<()>(Err(error));
                    prop_assert!([status::MALFORMED, status::OPERATOR].contains(&code));
                }
            }
        }
    }

    #[test]
    fn any_items_are_split_and_joined_as_they_are(items: Vec<Vec<u8>>, from in 1_usize..2) {
        let workload = chain(0);
        let items: Vec<_> = items.iter().map(Vec::as_slice).collect();
        let mut out = workload.buffer();
        workload.run_stages(from, from, &encoded(&items), &mut out).unwrap();
        prop_assert!(Batch::parse(&out).unwrap().iter().eq(items.iter().copied()));
    }
}
