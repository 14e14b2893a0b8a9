//! The C ABI of the standard workloads: any spec, batch, state and numbers through the real functions.
//!
//! An input is eight bytes of what is asked for, and then the bytes of a batch, a state or a spec.

use std::collections::BTreeMap;

use plugin_api::workload::capi::{RawBuffer, status};
use plugin_api::workload::{GRAPH, Outcome, WorkloadFunctions, WorkloadLibrary};
use plugin_api::{Batch, BatchBuilder, Buffer, StageKind, WorkloadError, WorkloadHandle, WorkloadSpec};
use serde_json::json;

/// Small enough to be run thousands of times a second.
const SPECS: [(&str, &str); 8] = [
    ("scheduler_comparison", r#"{"sleep_us":0}"#),
    ("null", "{}"),
    ("pipeline", r#"{"iters":3,"stages":3}"#),
    ("imbalance", r#"{"iters":3,"stages":2,"distribution":"pareto"}"#),
    ("word_count", r#"{"keys":50}"#),
    ("open_loop", r#"{"iters":3,"rate":10000000}"#),
    ("task_graph", r#"{"iters":3,"width":60}"#),
    ("group", r#"{"groups":50}"#),
];

/// How many items each of them has.
const ITEMS: u64 = 200;

/// How many bytes an open loop puts behind an item.
const STAMP: usize = 16;

/// What must hold for any bytes, of the library with these functions.
pub fn check(data: &[u8], functions: &'static WorkloadFunctions) {
    let Some((header, body)) = data.split_first_chunk::<8>() else { return };
    let [which, from, to, partitions, limit, first, count, cut] = *header;
    // SAFETY: the caller passes the functions of one library, which is never unloaded.
    #[allow(unsafe_code)]
    let library = unsafe { WorkloadLibrary::new(functions, "libstandard_workloads.so".as_ref(), "") };
    let (name, extra) = SPECS[usize::from(which) % SPECS.len()];
    let extra = serde_json::from_str::<serde_json::Value>(extra).unwrap();
    let spec = |granted: &[&str]| {
        let spec = json!({"name": name, "total_items": ITEMS, "use": granted, "extra": extra});
        WorkloadSpec::from_json(spec.to_string().as_bytes()).unwrap()
    };
    // A graph is run either in stages or by its tasks.
    let (spec, of_tasks) = (spec(&[]), spec(&[GRAPH]));
    let (workload, tasks) = (library.open(&spec).unwrap(), library.open(&of_tasks).unwrap());
    let case = Case { workload: &workload, tasks: &tasks, body, from: stage(from), to: stage(to) };
    if let Ok(batch) = Batch::parse(body) {
        assert_eq!(encoded(batch.iter()), body);
    }
    case.check_source(first, count);
    case.check_stages();
    case.check_split(partitions);
    case.check_sink(cut);
    case.check_reductions(limit, cut);
    case.check_description();
    case.check_start(first);
    case.check_graph(first, cut);
    open_raw(functions, body);
    // Nothing that was refused has done any harm.
    assert_eq!(workload.expected(), library.open(&spec).unwrap().expected());
}

/// Small numbers, and those at the end of what a number can be.
fn stage(byte: u8) -> usize {
    if byte < 0xf0 { usize::from(byte) } else { (u32::MAX - u32::from(0xff - byte)) as usize }
}

fn encoded<'a>(items: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    items.collect::<BatchBuilder>().encode(&mut out).unwrap();
    out
}

/// A failure that the ABI provides for: no panic was caught in the library, and it says why.
fn told(error: &WorkloadError) {
    let WorkloadError::Call { status, message } = error else { panic!("{error:?}") };
    assert!(![status::OK, status::PANIC, status::POISONED].contains(status), "{error:?}");
    assert!(!message.is_empty());
}

struct Case<'a> {
    workload: &'a WorkloadHandle,
    /// The same to run the tasks of a graph.
    tasks: &'a WorkloadHandle,
    body: &'a [u8],
    from: usize,
    to: usize,
}

impl Case<'_> {
    /// A slice of the source is what its items are one by one.
    fn check_source(&self, first: u8, count: u8) {
        let (mut whole, mut one) = (self.workload.buffer(), self.workload.buffer());
        // Numbers that wrap, too; but no more items than a moment makes.
        let first = if first == 0xff { u64::MAX } else { u64::from(first) };
        let count = if count == 0xff { u64::MAX } else { u64::from(count) };
        match self.workload.source(first, count, self.to, &mut whole) {
            Err(error) => told(&error),
            Ok(()) => {
                assert!(first.checked_add(count).is_some_and(|end| end <= ITEMS));
                let items = (first..first + count).flat_map(|index| {
                    self.workload.source(index, 1, self.to, &mut one).unwrap();
                    owned(&one)
                });
                let items: Vec<_> = items.collect();
                assert_eq!(self.contents(owned(&whole)), self.contents(items));
            }
        }
    }

    /// Fused stages do what they do one after the other, and the batch is left as good as it was.
    fn check_stages(&self) {
        let mut out = self.workload.buffer();
        match self.workload.run_stages(self.from, self.to, self.body, &mut out) {
            Err(error) => told(&error),
            Ok(()) => {
                let mut stepwise = self.body.to_vec();
                for stage in self.from..self.to {
                    let mut next = self.workload.buffer();
                    self.workload.run_stages(stage, stage + 1, &stepwise, &mut next).unwrap();
                    stepwise = next.to_vec();
                }
                assert_eq!(*out, *stepwise);
                Batch::parse(&out).unwrap();
            }
        }
    }

    /// Every item is in one partition, and in the same one if it is split again.
    fn check_split(&self, partitions: u8) {
        let partitions = match partitions {
            0xff => 1 << 16,
            0xfe => (1 << 16) + 1,
            few => u32::from(few),
        };
        match self.workload.split(self.from, self.body, partitions) {
            Err(error) => told(&error),
            Ok(parts) => {
                let mut all: Vec<_> = parts.iter().flat_map(|part| owned(part)).collect();
                let mut items = owned(self.body);
                all.sort();
                items.sort();
                assert_eq!(all, items);
                self.check_kept_parts(partitions, &parts);
                if let Some((at, part)) = parts.iter().enumerate().find(|(_, part)| part.len() > 12) {
                    let again = self.workload.split(self.from, part, partitions).unwrap();
                    assert_eq!(*again[at], **part);
                }
            }
        }
    }

    /// Parts that had other batches before are the same parts, also one that was taken out.
    fn check_kept_parts(&self, partitions: u32, parts: &[Buffer]) {
        let (mut kept, mut taken) = (self.workload.parts(partitions), self.workload.buffer());
        for batch in [self.body, parts.first().map_or(&[], |part| part), self.body] {
            if self.workload.split_into(self.from, batch, &mut kept).is_ok() {
                kept.swap(0, &mut taken);
                kept.swap(0, &mut taken);
                kept.swap(parts.len(), &mut taken);
            }
        }
        assert!(kept.iter().eq(parts.iter().map(|part| &**part)));
    }

    /// Any bytes are an item that is described, or one that cannot be read.
    fn check_description(&self) {
        if let Err(error) = self.workload.describe(self.from, self.body) {
            told(&error);
        }
        let mut made = self.workload.buffer();
        self.workload.source(0, 1, 1, &mut made).unwrap();
        assert!(owned(&made).iter().all(|item| self.workload.describe(0, item).unwrap().is_some()));
    }

    /// An open loop that starts before now makes all of its items at once; another loop has no start.
    fn check_start(&self, first: u8) {
        match self.workload.start(u64::from(first)) {
            Ok(is_told) => assert!(is_told && self.workload.plan().open_loop),
            Err(error) => told(&error),
        }
    }

    /// A row names points of the row before. A task is run, or its inputs are refused, whatever they are.
    fn check_graph(&self, point: u8, cut: u8) {
        let (step, point) = (self.from as u32, stage(point) as u32);
        assert!(self.workload.graph_row(step).is_err());
        match self.tasks.graph_row(step) {
            Err(error) => told(&error),
            Ok(row) => {
                let points = step.checked_sub(1).map(|step| self.tasks.graph_row(step).unwrap().points());
                let mut inputs = (0..row.width()).flat_map(|place| row.inputs(place));
                assert!(inputs.all(|input| points.as_ref().is_some_and(|points| points.contains(input))));
            }
        }
        let (one, other) = self.body.split_at(usize::from(cut).min(self.body.len()));
        let mut output = Vec::new();
        for (inputs, room) in [(&[][..], 64), (&[one][..], 64), (&[one, other][..], self.to)] {
            let room = room.min(1 << 16);
            match self.tasks.graph_task(step, point, inputs, room, &mut output) {
                Err(error) => told(&error),
                Ok(()) => assert!(output.len() <= room && self.tasks.plan().graph.is_some()),
            }
        }
    }

    /// States that merge hold what their parts held.
    fn check_sink(&self, cut: u8) {
        let mut sink = self.workload.new_sink().unwrap();
        match sink.fold(self.body) {
            Err(error) => told(&error),
            Ok(()) => {
                let state = sink.encode().unwrap();
                let whole = self.counted(&state).unwrap();
                let items = owned(self.body);
                assert_eq!(whole.count, items.len() as u64);
                let mut merged = self.workload.new_sink().unwrap();
                for part in in_two(&items, cut) {
                    let mut sink = self.workload.new_sink().unwrap();
                    sink.fold(&part).unwrap();
                    merged.merge(&sink.encode().unwrap()).unwrap();
                }
                assert_eq!(self.counted(&merged.encode().unwrap()).unwrap(), whole);
            }
        }
        self.check_sink_state();
    }

    /// The outcome but for the latencies, which no two sinks that read the clock have in common.
    fn counted(&self, state: &[u8]) -> Result<Outcome, WorkloadError> {
        Ok(Outcome { latency: None, ..self.workload.outcome(state)? })
    }

    /// Items without the stamps that an open loop puts behind them.
    fn contents(&self, mut items: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        if self.workload.plan().open_loop {
            items.iter_mut().for_each(|item| item.truncate(item.len() - STAMP));
        }
        items
    }

    fn check_sink_state(&self) {
        let mut sink = self.workload.new_sink().unwrap();
        match (self.workload.outcome(self.body), sink.merge(self.body)) {
            (Ok(outcome), Ok(())) => {
                let again = sink.encode().unwrap();
                assert_eq!(self.workload.outcome(&again).unwrap(), outcome);
                assert_eq!(outcome.checksum.len(), 32);
                // An empty sink that took the state in is that state: of equal counts there is one encoding.
                let mut other = self.workload.new_sink().unwrap();
                other.merge(&again).unwrap();
                assert_eq!(*other.encode().unwrap(), *again);
            }
            (Err(error), Err(_)) => told(&error),
            other => panic!("{other:?}"),
        }
    }

    fn check_reductions(&self, limit: u8, cut: u8) {
        let stages = self.workload.plan().stages.iter().enumerate();
        for (stage, _) in stages.filter(|(_, stage)| stage.kind == StageKind::KeyedReduce) {
            self.check_fold(stage, limit, cut);
            self.check_merge(stage, limit);
        }
        if let Err(error) = self.workload.new_state(self.from) {
            told(&error);
        }
    }

    fn check_fold(&self, stage: usize, limit: u8, cut: u8) {
        let mut state = self.workload.new_state(stage).unwrap();
        if let Err(error) = state.fold(self.body) {
            return told(&error);
        }
        let mut merged = self.workload.new_state(stage).unwrap();
        for part in in_two(&owned(self.body), cut) {
            let mut state = self.workload.new_state(stage).unwrap();
            state.fold(&part).unwrap();
            merged.merge(&state.encode().unwrap()).unwrap();
        }
        let counts = self.emitted(&mut state, limit);
        assert_eq!(counts, self.emitted(&mut merged, 1));
        if self.workload.spec().name != "word_count" {
            return;
        }
        // Each item counts once.
        let items: u64 =
            counts.iter().map(|(item, times)| u64::from_le_bytes(*item.first_chunk().unwrap()) * times).sum();
        assert_eq!(items, owned(self.body).len() as u64);
    }

    /// What is read as a state is the same when it was written and read again.
    fn check_merge(&self, stage: usize, limit: u8) {
        let mut state = self.workload.new_state(stage).unwrap();
        if let Err(error) = state.merge(self.body) {
            return told(&error);
        }
        let mut again = self.workload.new_state(stage).unwrap();
        again.merge(&state.encode().unwrap()).unwrap();
        assert_eq!(self.emitted(&mut state, limit), self.emitted(&mut again, 1));
    }

    /// Every item that a state emits, and how often.
    fn emitted(&self, state: &mut plugin_api::State, limit: u8) -> BTreeMap<Vec<u8>, u64> {
        let (mut out, mut items) = (self.workload.buffer(), BTreeMap::new());
        let limit = if limit == 0xff { u64::MAX } else { u64::from(limit) };
        if limit == 0 {
            told(&state.emit(limit, &mut out).unwrap_err());
        }
        loop {
            if let Err(error) = state.emit(limit.max(1), &mut out) {
                told(&error);
                return items;
            }
            let batch = owned(&out);
            if batch.is_empty() {
                return items;
            }
            assert!(batch.len() as u64 <= limit.max(1));
            batch.into_iter().for_each(|item| *items.entry(item).or_default() += 1);
        }
    }
}

fn owned(batch: &[u8]) -> Vec<Vec<u8>> {
    Batch::parse(batch).unwrap().iter().map(<[u8]>::to_vec).collect()
}

fn in_two(items: &[Vec<u8>], cut: u8) -> [Vec<u8>; 2] {
    let (first, second) = items.split_at(usize::from(cut).min(items.len()));
    [first, second].map(|items| encoded(items.iter().map(Vec::as_slice)))
}

/// Any bytes as a spec. What opens is closed again.
fn open_raw(functions: &'static WorkloadFunctions, spec: &[u8]) {
    // A schedule may be a table, of eight bytes for each of at most 50 million items: too slow to be made each time.
    if WorkloadSpec::from_json(spec).is_ok_and(|spec| (1_000_000..=50_000_000).contains(&spec.total_items)) {
        return;
    }
    let (mut opened, mut error) = (std::ptr::null(), RawBuffer::EMPTY);
    // SAFETY: the pointers are to live values, the buffer is this library's, and the workload is closed once.
    #[allow(unsafe_code)]
    unsafe {
        let code = (functions.open)(spec.as_ptr(), spec.len(), &raw mut opened, &raw mut error);
        match code {
            status::OK => (functions.close)(opened),
            status::SPEC => assert!(error.length > 0),
            other => panic!("open gave status {other}"),
        }
        (functions.buffer_free)(&raw mut error);
    }
}
