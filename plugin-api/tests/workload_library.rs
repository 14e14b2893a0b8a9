//! An exported workload library, called as a backend calls it and as a C program does.

// The allow-in-tests settings cover functions with `#[test]` only, not the helpers beside them; and what a caller that
// no compiler checks may pass is passed here on purpose.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unsafe_code)]

mod handles;
mod nulls;
mod samples;

use std::ptr::{null, null_mut};

use plugin_api::workload::capi::{MAX_PARTITIONS, RawBuffer, RawState, RawWorkload, status};
use plugin_api::workload::{Buffer, Outcome, WorkloadFunctions, WorkloadLibrary};
use plugin_api::{Batch, StageKind, State, WorkloadError, WorkloadHandle};
use proptest::prelude::*;

use handles::{encoded, spec, states_of_threads, status_of};

fn open(name: &str, total_items: u64) -> WorkloadHandle {
    samples::workload_library().open(&spec(name, total_items)).unwrap()
}

fn faulty(fault: &str) -> Result<WorkloadHandle, WorkloadError> {
    let mut spec = spec("faulty", 4);
    spec.extra.insert("fault".into(), fault.into());
    samples::workload_library().open(&spec)
}

/// Runs `workload` as an engine with `workers` workers would, each with states of its own.
struct Engine<'a> {
    workload: &'a WorkloadHandle,
    workers: u32,
    /// Of each stage that has states, one a worker.
    states: Vec<Vec<State>>,
}

impl<'a> Engine<'a> {
    fn new(workload: &'a WorkloadHandle, workers: u32) -> Self {
        let has_states = |stage: &usize| {
            matches!(workload.plan().kind(*stage), Some(StageKind::KeyedReduce | StageKind::Sink))
        };
        let new_states = |stage: usize| {
            let owners = if has_states(&stage) { 0..workers } else { 0..0 };
            owners.map(|_| workload.new_state(stage).unwrap()).collect()
        };
        let states = (0..workload.plan().stages.len()).map(new_states).collect();
        Self { workload, workers, states }
    }

    fn run(mut self, batch_size: u64) -> Outcome {
        let (total, end) = (self.workload.spec().total_items, self.workload.plan().end_of_chain(1));
        let mut batch = self.workload.buffer();
        for first in (0..total).step_by(batch_size as usize) {
            self.workload.source(first, batch_size.min(total - first), end, &mut batch).unwrap();
            self.deliver(end, &batch, first as usize);
        }
        for stage in end..self.workload.plan().sink() {
            self.flush(stage);
        }
        let sink = self.states.pop().unwrap();
        self.workload.outcome(&merged(self.workload.new_sink().unwrap(), sink)).unwrap()
    }

    /// Hands a batch to the keyed reduction or sink `stage`.
    fn deliver(&mut self, stage: usize, batch: &[u8], number: usize) {
        if stage == self.workload.plan().sink() {
            let owner = number % self.workers as usize;
            return self.states[stage][owner].fold(batch).unwrap();
        }
        let parts = self.workload.split(stage, batch, self.workers).unwrap();
        for (state, part) in self.states[stage].iter_mut().zip(&parts) {
            state.fold(part).unwrap();
        }
    }

    /// The input of `stage` has ended: what it holds goes on.
    fn flush(&mut self, stage: usize) {
        let end = self.workload.plan().end_of_chain(stage + 1);
        let (mut emitted, mut batch) = (self.workload.buffer(), self.workload.buffer());
        for mut state in std::mem::take(&mut self.states[stage]) {
            loop {
                state.emit(2, &mut emitted).unwrap();
                if emitted.item_count() == 0 {
                    break;
                }
                self.workload.run_stages(stage + 1, end, &emitted, &mut batch).unwrap();
                self.deliver(end, &batch, 0);
            }
        }
    }
}

/// The encoding of all `states` merged into `whole`.
fn merged(mut whole: State, states: Vec<State>) -> Vec<u8> {
    for mut state in states {
        whole.merge(&state.encode().unwrap()).unwrap();
    }
    whole.encode().unwrap().to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_cut_and_any_number_of_workers_give_what_the_oracle_says(
        name in prop::sample::select(vec!["even_triples", "word_count", "count_of_counts"]),
        total_items in 0_u64..200, batch_size in 1_u64..64, workers in 1_u32..6,
    ) {
        let workload = open(name, total_items);
        let outcome = Engine::new(&workload, workers).run(batch_size);
        prop_assert_eq!(outcome, workload.expected().unwrap());
    }

    #[test]
    fn stages_one_by_one_give_what_they_give_together(total_items in 0_u64..50) {
        let workload = open("even_triples", total_items);
        let (mut fused, mut batch, mut next) = (workload.buffer(), workload.buffer(), workload.buffer());
        workload.source(0, total_items, 4, &mut fused).unwrap();
        workload.source(0, total_items, 1, &mut batch).unwrap();
        for stage in 1..4 {
            workload.run_stages(stage, stage + 1, &batch, &mut next).unwrap();
            std::mem::swap(&mut batch, &mut next);
        }
        prop_assert_eq!(&*fused, &*batch);
    }

    #[test]
    fn states_merge_to_what_one_state_folds(lines in prop::collection::vec("[a-c]{1,2}", 0..30), cut in 0_usize..30) {
        let workload = open("word_count", 0);
        let items: Vec<_> = lines.iter().map(String::as_bytes).collect();
        let (left, right) = items.split_at(cut.min(items.len()));
        let fold = |items: &[&[u8]]| {
            let mut state = workload.new_state(2).unwrap();
            state.fold(&encoded(items)).unwrap();
            state
        };
        let mut whole = workload.new_state(2).unwrap();
        for mut part in [fold(left), fold(right)] {
            whole.merge(&part.encode().unwrap()).unwrap();
        }
        prop_assert_eq!(drained(whole), drained(fold(&items)));
    }

    #[test]
    fn no_bytes_crash_the_library(bytes: Vec<u8>, stage in 0_u32..8, to in 0_u32..8) {
        let workload = open("word_count", 10);
        let mut out = workload.buffer();
        let _ = workload.run_stages(stage as usize, to as usize, &bytes, &mut out);
        let _ = workload.split(stage as usize, &bytes, to);
        prop_assert!(workload.outcome(&bytes).is_err());
        for mut state in [2, 4].map(|stage| workload.new_state(stage).unwrap()) {
            let _ = state.fold(&bytes);
            let _ = state.merge(&bytes);
            state.encode().unwrap();
        }
    }
}

proptest! {
    #[test]
    fn a_state_with_one_byte_changed_is_merged_or_refused(at: prop::sample::Index, to: u8) {
        let workload = open("word_count", 10);
        let (mut batch, mut state) = (workload.buffer(), workload.new_state(2).unwrap());
        workload.source(0, 10, 2, &mut batch).unwrap();
        state.fold(&batch).unwrap();
        let mut encoded = state.encode().unwrap().to_vec();
        let at = at.index(encoded.len());
        encoded[at] = to;
        let mut other = workload.new_state(2).unwrap();
        if let Err(error) = other.merge(&encoded) {
            let (code, _) = status_of::<()>(Err(error));
            prop_assert!([status::MALFORMED, status::OPERATOR].contains(&code));
        }
    }
}

/// Every item that a state emits, sorted.
fn drained(mut state: State) -> Vec<Vec<u8>> {
    let mut out = open("word_count", 0).buffer();
    state.emit(u64::MAX, &mut out).unwrap();
    let mut items: Vec<_> = Batch::parse(&out).unwrap().iter().map(<[u8]>::to_vec).collect();
    items.sort();
    items
}

#[test]
fn the_catalogue_lists_every_workload_with_parameters_and_plan() {
    let entries = samples::workload_library().catalogue().unwrap();
    let names: Vec<_> = entries.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["even_triples", "word_count", "count_of_counts", "faulty"]);
    assert_eq!(entries[0].parameters[0].name, "copies");
    assert_eq!(entries[1].plan.kind(2), Some(StageKind::KeyedReduce));
}

#[test]
fn what_cannot_be_opened_is_the_specs_fault_and_says_why() {
    let library = samples::workload_library();
    let unknown = library.open(&spec("wordcount", 1)).unwrap_err();
    assert!(unknown.is_invalid_spec());
    assert!(unknown.to_string().contains("even_triples, word_count"), "{unknown}");
    let mut outside = spec("even_triples", 1);
    outside.extra.insert("copies".into(), 17.into());
    let (code, message) = status_of(library.open(&outside));
    assert_eq!(code, status::SPEC);
    assert!(message.contains("extra.copies is 17"), "{message}");
    assert_eq!(status_of(faulty("no_plan")).0, status::SPEC);
}

#[test]
fn a_slice_or_a_stage_that_does_not_exist_is_an_argument_error() {
    let workload = open("word_count", 10);
    let (mut out, batch) = (workload.buffer(), encoded(&[b"a"]));
    for (first, count, to) in [(10, 1, 1), (0, 11, 1), (u64::MAX, 1, 1), (0, 1, 0), (0, 1, 3)] {
        let (code, message) = status_of(workload.source(first, count, to, &mut out));
        assert_eq!(code, status::ARGUMENT, "{first} {count} {to}: {message}");
    }
    for (from, to) in [(0, 1), (1, 3), (2, 3), (3, 2)] {
        assert_eq!(status_of(workload.run_stages(from, to, &batch, &mut out)).0, status::ARGUMENT);
    }
    for partitions in [0, MAX_PARTITIONS + 1] {
        assert_eq!(status_of(workload.split(2, &batch, partitions)).0, status::ARGUMENT);
    }
    assert_eq!(status_of(workload.split(1, &batch, 1)).0, status::ARGUMENT);
    assert_eq!(status_of(workload.new_state(3)).0, status::ARGUMENT);
    let mut sink = workload.new_sink().unwrap();
    assert_eq!(status_of(sink.emit(1, &mut out)).0, status::ARGUMENT);
    assert_eq!(status_of(workload.new_state(2).unwrap().emit(0, &mut out)).0, status::ARGUMENT);
}

#[test]
fn an_operator_that_fails_or_breaks_its_kind_is_told_and_can_be_called_again() {
    for (fault, word) in [("map_fails", "the map said no"), ("map_drops", "made 0 items of 4")] {
        let workload = faulty(fault).unwrap();
        for _ in 0..2 {
            let (code, message) = status_of(workload.source(0, 4, 2, &mut workload.buffer()));
            assert_eq!(code, status::OPERATOR);
            assert!(message.contains(word), "{message}");
        }
    }
}

#[test]
#[ignore = "needs 3 GiB of memory"]
fn a_batch_between_two_stages_that_outgrows_its_offsets_is_a_status_and_poisons_nothing() {
    let workload = faulty("map_grows").unwrap();
    let mut out = workload.buffer();
    for _ in 0..2 {
        let (code, message) = status_of(workload.source(0, 1, 3, &mut out));
        assert_eq!(code, status::TOO_LARGE, "{message}");
        assert!(message.contains("smaller batch_size"), "{message}");
    }
    let (code, message) = status_of(workload.run_stages(1, 3, &encoded(&[&[0; 8]]), &mut out));
    assert_eq!(code, status::TOO_LARGE, "{message}");
}

#[test]
fn a_panic_poisons_the_handle_in_which_it_happened_and_no_other() {
    let workload = faulty("map_panics").unwrap();
    let mut out = workload.buffer();
    let (code, message) = status_of(workload.source(0, 4, 2, &mut out));
    assert_eq!((code, message.as_str()), (status::PANIC, "the workload panicked: the map gave up"));
    let (code, message) = status_of(workload.source(0, 4, 1, &mut out));
    let later = "the workload panicked in an earlier call: the map gave up";
    assert_eq!((code, message.as_str()), (status::POISONED, later));

    let workload = faulty("fold_panics").unwrap();
    let (mut state, batch) = (workload.new_state(2).unwrap(), encoded(&[&[0; 8]]));
    assert_eq!(status_of(state.fold(&batch)).0, status::PANIC);
    assert_eq!(status_of(state.encode()).0, status::POISONED);
    workload.source(0, 4, 2, &mut out).unwrap();
    workload.new_state(2).unwrap().encode().unwrap();

    assert_eq!(status_of(faulty("open_panics")).0, status::PANIC);
    faulty("none").unwrap();
}

#[test]
fn a_state_outlives_its_workload_and_threads_share_one() {
    let workload = open("word_count", 100);
    let sums = states_of_threads(&workload, 25);
    let whole = workload.new_state(2).unwrap();
    drop(workload);
    let encoded = merged(whole, sums);
    let mut whole = open("word_count", 100).new_state(2).unwrap();
    whole.merge(&encoded).unwrap();
    assert!(drained(whole).contains(&b"be=60".to_vec()));
}

// ---- As a C program calls it ------------------------------------------------------------------------------------

/// A workload opened through the C functions, closed again on drop.
struct Opened {
    functions: WorkloadFunctions,
    workload: *const RawWorkload,
}

impl Opened {
    fn new(json: &[u8]) -> Result<Self, (i32, String)> {
        let (functions, mut workload, mut error) = (samples::functions(), null(), RawBuffer::EMPTY);
        // SAFETY: all pointers are to live values, and the buffer is empty.
        let code = unsafe { (functions.open)(json.as_ptr(), json.len(), &mut workload, &mut error) };
        let message = take(&functions, &mut error);
        if code == status::OK { Ok(Self { functions, workload }) } else { Err((code, message)) }
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        // SAFETY: it was opened and is closed once.
        unsafe { (self.functions.close)(self.workload) };
    }
}

/// What a buffer holds, as text; the buffer is freed.
fn take(functions: &WorkloadFunctions, buffer: &mut RawBuffer) -> String {
    let text = if buffer.length == 0 {
        String::new()
    } else {
        // SAFETY: the library left that many bytes there.
        let bytes = unsafe { std::slice::from_raw_parts(buffer.data, buffer.length) };
        String::from_utf8_lossy(bytes).into_owned()
    };
    // SAFETY: a buffer of this library; freeing twice is allowed.
    unsafe {
        (functions.buffer_free)(buffer);
        (functions.buffer_free)(buffer);
    }
    assert!(buffer.data.is_null() && buffer.length == 0 && buffer.capacity == 0);
    text
}

const WORD_COUNT: &[u8] = br#"{"name":"word_count","total_items":9}"#;

#[test]
fn null_where_something_is_needed_is_an_argument_error() {
    nulls::are_refused(&samples::functions(), WORD_COUNT);
    let Opened { functions: f, workload } = &Opened::new(WORD_COUNT).unwrap();
    let (workload, mut out, mut state) = (*workload, RawBuffer::EMPTY, null_mut::<RawState>());
    let (task, watermark, close) = (f.graph_task.unwrap(), f.watermark.unwrap(), f.state_close.unwrap());
    let (mut time, mut room, mut output) = (0_u64, 1_usize, [0_u8]);
    let batch = encoded(&[]);
    let (input, length) = (batch.as_ptr(), batch.len());
    // SAFETY: each pointer is good or null, which is what every function must bear.
    let codes = unsafe {
        (f.state_new)(workload, 2, &mut state, &mut out);
        [
            task(workload, 0, 0, 0, null(), null(), output.as_mut_ptr(), null_mut(), &mut out),
            task(workload, 0, 0, 1, &input, null(), output.as_mut_ptr(), &mut room, &mut out),
            task(workload, 0, 0, 1, &null(), &length, output.as_mut_ptr(), &mut room, &mut out),
            watermark(null(), 0, &mut time, &mut out),
            watermark(workload, 0, null_mut(), &mut out),
            watermark(workload, 0, &mut time, null_mut()),
            close(null_mut(), 1, 1, &mut time, &mut out),
            close(state, 1, 1, null_mut(), &mut out),
            close(state, 1, 1, &mut time, null_mut()),
        ]
    };
    assert_eq!(codes, [status::ARGUMENT; 9]);
    assert!(take(f, &mut out).contains("time is null"));
    // SAFETY: it was made above, and is freed once.
    unsafe { (f.state_free)(state) };
}

#[test]
fn a_workload_lives_until_the_last_reference_is_closed() {
    let opened = Opened::new(WORD_COUNT).unwrap();
    let (f, mut out) = (&opened.functions, RawBuffer::EMPTY);
    // SAFETY: the workload is referred to twice, closed once here and once by `opened`.
    let code = unsafe {
        (f.share)(opened.workload);
        (f.close)(opened.workload);
        (f.plan)(opened.workload, &mut out)
    };
    assert_eq!(code, status::OK);
    assert!(take(f, &mut out).contains(r#""kind":"keyed_reduce""#));
}

/// The size of a buffer's memory in its capacity. The other bit says that its bytes do not begin where the memory does.
const SIZE: usize = usize::MAX >> 1;

#[test]
fn a_buffer_keeps_its_memory_from_call_to_call() {
    let opened = Opened::new(WORD_COUNT).unwrap();
    let (f, mut out) = (&opened.functions, RawBuffer::EMPTY);
    // SAFETY: the pointers are good for the calls.
    let mut source = |count| unsafe { (f.source)(opened.workload, 0, count, 2, &mut out) };
    assert_eq!(source(9), status::OK);
    assert_eq!(source(1), status::OK);
    let (data, capacity) = (out.data, out.capacity & SIZE);
    // SAFETY: as above.
    assert_eq!(unsafe { (f.source)(opened.workload, 0, 9, 2, &mut out) }, status::OK);
    assert!(out.data.addr().abs_diff(data.addr()) < capacity, "{out:?}, and before {data:?}");
    assert_eq!(out.capacity & SIZE, capacity);
    take(f, &mut out);
}

#[test]
fn a_spec_that_is_no_json_or_of_a_later_schema_is_refused() {
    for (json, word) in [
        (b"{".as_slice(), "not valid"),
        (br#"{"schema":2,"name":"word_count"}"#, "schema is 2"),
        (br#"{"name":"word_count","parallelism":0}"#, "parallelism"),
    ] {
        let (code, message) = Opened::new(json).err().expect("it was opened");
        assert_eq!(code, status::SPEC);
        assert!(message.contains(word), "{message}");
    }
    assert!(Opened::new(br#"{"schema":1,"name":"word_count","of_a_later_version":0}"#).is_ok());
}

#[test]
fn the_key_of_each_item_is_given_in_the_order_of_the_items() {
    let workload = open("word_count", 50);
    let (mut batch, mut keys) = (workload.buffer(), workload.buffer());
    workload.source(0, 50, 2, &mut batch).unwrap();
    workload.keys(2, &batch, &mut keys).unwrap();
    // The key of a word is the word.
    assert_eq!(*keys, *batch);
    workload.keys(2, &encoded(&[]), &mut keys).unwrap();
    assert_eq!(keys.item_count(), 0);
    for stage in [0, 1, 4, usize::MAX] {
        assert_eq!(status_of(workload.keys(stage, &batch, &mut keys)).0, status::ARGUMENT, "{stage}");
    }
    assert_eq!(status_of(workload.keys(2, b"rubbish", &mut keys)).0, status::MALFORMED);
    let functions = WorkloadFunctions { keys: None, ..samples::functions() };
    // SAFETY: the functions are those of this test, which is never unloaded; the table is never freed.
    let earlier =
        unsafe { WorkloadLibrary::new(Box::leak(Box::new(functions)), "linked".as_ref(), "linked") };
    let without = earlier.open(&spec("word_count", 50)).unwrap().keys(2, &batch, &mut keys).unwrap_err();
    assert!(without.to_string().contains("gives no keys"), "{without}");
}

#[test]
fn an_item_is_described_as_it_leaves_a_stage() {
    let workload = open("even_triples", 9);
    let described = workload.describe(1, &6_u64.to_le_bytes()).unwrap().unwrap();
    assert_eq!(serde_json::Value::Object(described), serde_json::json!({"number": 6}));
    assert_eq!(open("word_count", 9).describe(0, b"to be").unwrap(), None);
    let (status, message) = status_of(workload.describe(4, b"no stage"));
    assert_eq!((status, message.as_str()), (status::ARGUMENT, "no item leaves stage 4 of this workload"));
    assert_eq!(status_of(workload.describe(0, b"short")).0, status::OPERATOR);
}

#[test]
fn a_batch_is_made_in_the_memory_of_the_buffer_that_is_passed_again() {
    let workload = open("word_count", 100);
    let (mut batch, mut emitted, mut parts) = (workload.buffer(), workload.buffer(), workload.parts(2));
    let mut state = workload.new_state(2).unwrap();
    let mut fill = |batch: &mut Buffer, emitted: &mut Buffer| {
        workload.source(0, 100, 2, batch).unwrap();
        state.fold(&encoded(&[b"a", b"b"])).unwrap();
        state.emit(2, emitted).unwrap();
        workload.split_into(2, batch, &mut parts).unwrap();
        let split = workload.split(2, batch, 2).unwrap();
        assert!(parts.iter().eq(split.iter().map(|part| &**part)));
        (batch.as_ptr(), emitted.as_ptr(), parts.iter().map(<[u8]>::as_ptr).collect::<Vec<_>>())
    };
    let first = fill(&mut batch, &mut emitted);
    assert_eq!(fill(&mut batch, &mut emitted), first);
}

#[test]
fn a_part_is_taken_for_a_buffer_whose_memory_the_next_split_uses() {
    let workload = open("word_count", 100);
    let (mut batch, mut taken) = (workload.buffer(), workload.buffer());
    workload.source(0, 100, 2, &mut batch).unwrap();
    let expected = workload.split(2, &batch, 2).unwrap();
    let mut parts = workload.parts(2);
    workload.split_into(2, &batch, &mut parts).unwrap();
    assert_eq!((parts.item_count(0), parts.item_count(2)), (expected[0].item_count(), 0));
    // One that has room: its memory is what is given for the part.
    workload.source(0, 100, 2, &mut taken).unwrap();
    let given = taken.as_ptr_range();
    parts.swap(0, &mut taken);
    assert_eq!(*taken, *expected[0]);
    parts.swap(2, &mut batch);
    workload.split_into(2, &batch, &mut parts).unwrap();
    assert!(given.contains(&parts.iter().next().unwrap().as_ptr()));
    assert!(parts.iter().eq(expected.iter().map(|part| &**part)) && *taken == *expected[0]);
}

/// The workloads of this test in a library that frees its buffers by a function of its own.
mod counting {
    use std::cell::Cell;

    use plugin_api::workload::WorkloadFunctions;
    use plugin_api::workload::capi::{self, RawBuffer};

    thread_local! {
        /// How many buffers with memory it has freed on this thread.
        pub(crate) static FREED: Cell<usize> = const { Cell::new(0) };
    }

    unsafe extern "C-unwind" fn buffer_free(buffer: *mut RawBuffer) {
        // SAFETY: the pointer is null or valid for the call, by the contract of the function.
        if unsafe { buffer.as_ref() }.is_some_and(|buffer| buffer.capacity > 0) {
            FREED.set(FREED.get() + 1);
        }
        // SAFETY: handed on from the caller.
        unsafe { capi::buffer_free(buffer) }
    }

    pub(crate) fn functions() -> &'static WorkloadFunctions {
        Box::leak(Box::new(WorkloadFunctions { buffer_free, ..super::samples::functions() }))
    }
}

#[test]
fn a_buffer_is_given_back_to_its_library_before_another_library_gets_it() {
    // SAFETY: the functions are those of this test, which is never unloaded.
    let library = unsafe { WorkloadLibrary::new(counting::functions(), "linked".as_ref(), "linked") };
    let (ours, theirs) = (open("word_count", 9), library.open(&spec("word_count", 9)).unwrap());
    type Fill<'a> = &'a dyn Fn(&mut Buffer);
    let calls: [(&str, Fill<'_>); 4] = [
        ("source", &|out| ours.source(0, 9, 2, out).unwrap()),
        ("run_stages", &|out| ours.run_stages(1, 2, &encoded(&[b"a"]), out).unwrap()),
        ("state_emit", &|out| ours.new_state(2).unwrap().emit(1, out).unwrap()),
        ("swap", &|out| ours.parts(1).swap(0, out)),
    ];
    for (name, fill) in calls {
        let mut buffer = theirs.buffer();
        theirs.source(0, 9, 2, &mut buffer).unwrap();
        let before = counting::FREED.get();
        fill(&mut buffer);
        assert_eq!(counting::FREED.get() - before, 1, "{name} got memory of another library");
        drop(buffer);
        assert_eq!(counting::FREED.get() - before, 1, "{name}: memory went back to another library");
    }
}

#[test]
fn an_output_that_is_longer_than_its_room_is_no_output() {
    unsafe extern "C-unwind" fn graph_task(
        _: *const RawWorkload,
        _: u32,
        _: u32,
        _: usize,
        _: *const *const u8,
        _: *const usize,
        _: *mut u8,
        output_length: *mut usize,
        _: *mut RawBuffer,
    ) -> i32 {
        // SAFETY: the caller's pointer is valid for the call.
        unsafe { *output_length += 1 };
        status::OK
    }
    let functions = WorkloadFunctions { graph_task: Some(graph_task), ..samples::functions() };
    // SAFETY: the functions are those of this test, which is never unloaded; the table is never freed.
    let library =
        unsafe { WorkloadLibrary::new(Box::leak(Box::new(functions)), "linked".as_ref(), "linked") };
    let workload = library.open(&spec("word_count", 9)).unwrap();
    let refused = workload.graph_task(0, 0, &[], 16, &mut Vec::new()).unwrap_err();
    assert!(refused.to_string().contains("more bytes than its room"), "{refused}");
}
