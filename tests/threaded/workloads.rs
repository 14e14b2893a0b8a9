//! Workloads for the unit tests of backends that run on threads of the worker process, with oracles that share no code with
//! their operators. Each such backend includes this file and those beside it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use plugin_api::workload::GRAPH;
use plugin_api::{
    BatchBuilder, GraphShape, Parameter, Parameters, Plan, StageKind, Workload, WorkloadError, WorkloadSpec,
};

plugin_api::export_workloads!(
    name = "samples",
    workloads = [Chain, Tally, Totals, Observed, Lopsided, Windows, Line]
);

type Done = Result<(), WorkloadError>;

fn word(item: &[u8], at: usize) -> Result<u64, WorkloadError> {
    let bytes = item.get(at * 8..).and_then(<[u8]>::first_chunk::<8>);
    bytes.map(|bytes| u64::from_le_bytes(*bytes)).ok_or(WorkloadError::Malformed("an item is too short"))
}

fn words<const N: usize>(words: [u64; N]) -> Vec<u8> {
    words.into_iter().flat_map(u64::to_le_bytes).collect()
}

fn value(seed: u64, index: u64) -> u64 {
    (seed ^ index).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29).wrapping_mul(0xBF58_476D_1CE4_E5B9)
}

/// Maps, flat maps and filters, and nothing that holds state.
pub(super) struct Chain {
    seed: u64,
    items: u64,
}

impl Workload for Chain {
    const NAME: &'static str = "chain";
    const DESCRIPTION: &'static str = "map, flat_map, filter";

    fn open(spec: &WorkloadSpec, _: &Parameters) -> Result<Self, WorkloadError> {
        Ok(Self { seed: spec.seed, items: spec.total_items })
    }

    fn plan(&self) -> Plan {
        Plan::new()
            .then(StageKind::Map, "halve")
            .then(StageKind::FlatMap, "repeat")
            .then(StageKind::Filter, "keep even")
    }

    fn source(&self, index: u64, out: &mut BatchBuilder) -> Done {
        out.push(&words([value(self.seed, index)]));
        Ok(())
    }

    fn apply(&self, stage: usize, item: &[u8], out: &mut BatchBuilder) -> Done {
        let number = word(item, 0)?;
        match stage {
            1 => out.push(&words([number / 2])),
            2 => (0..number % 4).for_each(|copy| out.push(&words([number + copy, copy]))),
            _ if number % 2 == 0 => out.push(item),
            _ => {}
        }
        Ok(())
    }

    fn oracle(&self, sink: &mut dyn FnMut(&[u8])) {
        for half in (0..self.items).map(|index| value(self.seed, index) >> 1) {
            let copies = half & 3;
            for copy in (half & 1..copies).step_by(2) {
                sink(&words([half + copy, copy]));
            }
        }
    }
}

/// Counts keys: a reduction with nothing around it.
pub(super) struct Tally(Chain);

impl Workload for Tally {
    const NAME: &'static str = "tally";
    const DESCRIPTION: &'static str = "keyed_reduce";

    fn open(spec: &WorkloadSpec, parameters: &Parameters) -> Result<Self, WorkloadError> {
        Chain::open(spec, parameters).map(Self)
    }

    fn plan(&self) -> Plan {
        Plan::new().then(StageKind::KeyedReduce, "count")
    }

    fn source(&self, index: u64, out: &mut BatchBuilder) -> Done {
        out.push(&words([value(self.0.seed, index) % 29]));
        Ok(())
    }

    fn apply(&self, stage: usize, _: &[u8], _: &mut BatchBuilder) -> Done {
        Err(WorkloadError::Argument(format!("stage {stage} is no operator")))
    }

    fn fold(&self, _: usize, accumulator: &mut Vec<u8>, _: &[u8]) -> Done {
        let count = if accumulator.is_empty() { 0 } else { word(accumulator, 0)? };
        *accumulator = words([count + 1]);
        Ok(())
    }

    fn merge(&self, _: usize, accumulator: &mut Vec<u8>, other: &[u8]) -> Done {
        let count = if accumulator.is_empty() { 0 } else { word(accumulator, 0)? };
        *accumulator = words([count + word(other, 0)?]);
        Ok(())
    }

    fn emit(&self, _: usize, key: &[u8], accumulator: &[u8], out: &mut BatchBuilder) -> Done {
        out.push(&[key, accumulator].concat());
        Ok(())
    }

    fn oracle(&self, sink: &mut dyn FnMut(&[u8])) {
        let mut counts = [0_u64; 29];
        (0..self.0.items).for_each(|index| counts[(value(self.0.seed, index) % 29) as usize] += 1);
        let counted = (0_u64..).zip(counts).filter(|(_, count)| *count > 0);
        counted.for_each(|(key, count)| sink(&words([key, count])));
    }
}

/// Two reductions one after the other, with chains before, between and after.
pub(super) struct Totals(Chain);

impl Workload for Totals {
    const NAME: &'static str = "totals";
    const DESCRIPTION: &'static str = "flat_map, keyed_reduce, map, filter, keyed_reduce, flat_map";

    fn open(spec: &WorkloadSpec, parameters: &Parameters) -> Result<Self, WorkloadError> {
        Chain::open(spec, parameters).map(Self)
    }

    fn plan(&self) -> Plan {
        Plan::new()
            .then(StageKind::FlatMap, "also a third")
            .then(StageKind::KeyedReduce, "sum by 211")
            .then(StageKind::Map, "key by 13")
            .then(StageKind::Filter, "drop key 5")
            .then(StageKind::KeyedReduce, "sum by 13")
            .then(StageKind::FlatMap, "twice")
    }

    fn source(&self, index: u64, out: &mut BatchBuilder) -> Done {
        self.0.source(index, out)
    }

    fn apply(&self, stage: usize, item: &[u8], out: &mut BatchBuilder) -> Done {
        let number = word(item, 0)?;
        match stage {
            1 => {
                out.push(&words([number % 211, number]));
                out.push(&words([number / 3 % 211, number / 3]));
            }
            3 => out.push(&words([number % 13, word(item, 1)?])),
            4 if number == 5 => {}
            4 => out.push(item),
            _ => {
                let total = word(item, 1)?;
                out.push(&words([number, total, 1]));
                out.push(&words([number, total, 2]));
            }
        }
        Ok(())
    }

    fn key<'a>(&self, _: usize, item: &'a [u8]) -> &'a [u8] {
        &item[..8]
    }

    fn fold(&self, _: usize, accumulator: &mut Vec<u8>, item: &[u8]) -> Done {
        self.merge(0, accumulator, &item[8..])
    }

    fn merge(&self, _: usize, accumulator: &mut Vec<u8>, other: &[u8]) -> Done {
        let sum = if accumulator.is_empty() { 0 } else { word(accumulator, 0)? };
        *accumulator = words([sum.wrapping_add(word(other, 0)?)]);
        Ok(())
    }

    fn emit(&self, stage: usize, key: &[u8], accumulator: &[u8], out: &mut BatchBuilder) -> Done {
        // Some keys of the first reduction emit nothing.
        if stage != 2 || word(key, 0)? % 7 != 0 {
            out.push(&[key, accumulator].concat());
        }
        Ok(())
    }

    fn oracle(&self, sink: &mut dyn FnMut(&[u8])) {
        let mut totals: BTreeMap<u64, u64> = BTreeMap::new();
        for index in 0..self.0.items {
            let number = value(self.0.seed, index);
            for number in [number, number / 3].into_iter().filter(|number| number % 211 % 7 != 0) {
                let total = totals.entry(number % 211 % 13).or_default();
                *total = total.wrapping_add(number);
            }
        }
        for (key, total) in totals.into_iter().filter(|(key, _)| *key != 5) {
            sink(&words([key, total, 1]));
            sink(&words([key, total, 2]));
        }
    }
}

/// What [`Observed`] saw of one run.
#[derive(Default)]
pub(crate) struct Probe {
    running: AtomicU32,
    /// The most operators that ran at once.
    pub(crate) peak: AtomicU32,
    /// Each item that the source made, and the thread that asked for it.
    pub(crate) sources: Mutex<Vec<(u64, String)>>,
    finished: AtomicU64,
    /// The most items that had left the source and not the last operator.
    pub(crate) peak_lead: AtomicU64,
    /// How many batches [`Lopsided`] has made and not folded, and the most that there were.
    under_way: AtomicI64,
    pub(crate) peak_under_way: AtomicI64,
    /// How many items had left the source when one had slept.
    pub(crate) sources_when_slept: AtomicU64,
    /// How many keys [`Windows`] has closed while its input went on, and how many it emitted at the end, of its first reduction.
    pub(crate) closed: AtomicU64,
    pub(crate) emitted: AtomicU64,
    /// How many windows it has closed, of its second reduction, and the most that had ended and were not closed when an item was made.
    windows_closed: AtomicU64,
    pub(crate) peak_waiting: AtomicU64,
    /// Whether the item that is held may go on.
    pub(crate) is_released: AtomicBool,
}

static PROBES: Mutex<Vec<Arc<Probe>>> = Mutex::new(Vec::new());

impl Probe {
    /// A new probe, and the number by which a spec names it.
    pub(crate) fn register() -> (usize, Arc<Self>) {
        let mut probes = PROBES.lock().unwrap();
        probes.push(Arc::default());
        (probes.len() - 1, Arc::clone(&probes[probes.len() - 1]))
    }

    /// The thread of each call of the source.
    pub(crate) fn threads(&self) -> Vec<String> {
        self.sources.lock().unwrap().iter().map(|(_, thread)| thread.clone()).collect()
    }

    fn during<T>(&self, body: impl FnOnce() -> T) -> T {
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.peak.fetch_max(running, Ordering::SeqCst);
        let done = body();
        self.running.fetch_sub(1, Ordering::SeqCst);
        done
    }
}

/// It ends a wait for what would never come: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(300);

/// Waits until `condition` holds, or `limit` is over.
fn wait(limit: Duration, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() && started.elapsed() < limit {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Two maps that report what happens to them, sleep, fail or panic. Numbers of items in parameters start at 1; 0 is none.
pub(super) struct Observed {
    probe: Arc<Probe>,
    items: u64,
    sleep: Duration,
    /// The one item that sleeps, which it does until the source has made all; or 0 when all do.
    sleep_at: u64,
    /// The one item that waits until the probe is released.
    hold_at: u64,
    /// An item is not done before so many operators were seen at once.
    crowd: u32,
    fail_at: u64,
    panic_at: u64,
    /// In an open loop: when the last item is due, in milliseconds. All others are due at the start.
    last_due_ms: u64,
}

impl Observed {
    fn work(&self, number: u64) -> Done {
        wait(PATIENCE, || self.probe.peak.load(Ordering::SeqCst) >= self.crowd);
        if number == self.hold_at {
            wait(PATIENCE, || self.probe.is_released.load(Ordering::SeqCst));
        }
        let made = || self.probe.sources.lock().unwrap().len() as u64;
        if self.sleep_at == 0 {
            std::thread::sleep(self.sleep);
        } else if self.sleep_at == number {
            wait(self.sleep, || made() >= self.items);
            self.probe.sources_when_slept.store(made(), Ordering::SeqCst);
        }
        assert!(number != self.panic_at, "item {number} panicked");
        if number == self.fail_at {
            return Err(WorkloadError::Operator(format!("item {number} failed")));
        }
        Ok(())
    }
}

impl Workload for Observed {
    const NAME: &'static str = "observed";
    const DESCRIPTION: &'static str = "map, map";

    fn parameters() -> Vec<Parameter> {
        let names =
            ["probe", "sleep_us", "sleep_at", "hold_at", "crowd", "fail_at", "panic_at", "last_due_ms"];
        names.map(|name| Parameter::integer(name, "see the type", 0, 0, u64::MAX)).into()
    }

    fn open(spec: &WorkloadSpec, parameters: &Parameters) -> Result<Self, WorkloadError> {
        let probe = Arc::clone(&PROBES.lock().unwrap()[parameters.integer("probe") as usize]);
        let [sleep, sleep_at, hold_at, fail_at, panic_at] =
            ["sleep_us", "sleep_at", "hold_at", "fail_at", "panic_at"].map(|name| parameters.integer(name));
        let (sleep, crowd) = (Duration::from_micros(sleep), parameters.integer("crowd") as u32);
        let (items, last_due_ms) = (spec.total_items, parameters.integer("last_due_ms"));
        Ok(Self { probe, items, sleep, sleep_at, hold_at, crowd, fail_at, panic_at, last_due_ms })
    }

    fn due(&self, index: u64) -> Option<Duration> {
        let is_last = index + 1 == self.items;
        let due = Duration::from_millis(if is_last { self.last_due_ms } else { 0 });
        (self.last_due_ms > 0).then_some(due)
    }

    fn plan(&self) -> Plan {
        Plan::new().then(StageKind::Map, "work").then(StageKind::Map, "finish")
    }

    fn source(&self, index: u64, out: &mut BatchBuilder) -> Done {
        self.probe.during(|| {
            let thread = std::thread::current().name().unwrap_or_default().to_owned();
            let mut sources = self.probe.sources.lock().unwrap();
            sources.push((index, thread));
            let lead = sources.len() as u64 - self.probe.finished.load(Ordering::SeqCst);
            self.probe.peak_lead.fetch_max(lead, Ordering::SeqCst);
            out.push(&words([index + 1]));
            Ok(())
        })
    }

    fn apply(&self, stage: usize, item: &[u8], out: &mut BatchBuilder) -> Done {
        self.probe.during(|| {
            match stage {
                1 => self.work(word(item, 0)?)?,
                _ => {
                    self.probe.finished.fetch_add(1, Ordering::SeqCst);
                }
            }
            out.push(item);
            Ok(())
        })
    }

    fn oracle(&self, sink: &mut dyn FnMut(&[u8])) {
        (1..=self.items).for_each(|number| sink(&words([number])));
    }
}

/// All items have one key, so that one worker folds them all, and folding a batch takes longer than making it.
pub(super) struct Lopsided {
    probe: Arc<Probe>,
    items: u64,
    batch: u64,
    fail_at: u64,
}

impl Workload for Lopsided {
    const NAME: &'static str = "lopsided";
    const DESCRIPTION: &'static str = "keyed_reduce";

    fn parameters() -> Vec<Parameter> {
        ["probe", "fail_at"].map(|name| Parameter::integer(name, "see the type", 0, 0, u64::MAX)).into()
    }

    fn open(spec: &WorkloadSpec, parameters: &Parameters) -> Result<Self, WorkloadError> {
        let probe = Arc::clone(&PROBES.lock().unwrap()[parameters.integer("probe") as usize]);
        let batch = spec.batch_size().unwrap();
        Ok(Self { probe, items: spec.total_items, batch, fail_at: parameters.integer("fail_at") })
    }

    fn plan(&self) -> Plan {
        Plan::new().then(StageKind::KeyedReduce, "count")
    }

    fn source(&self, index: u64, out: &mut BatchBuilder) -> Done {
        if index.is_multiple_of(self.batch) {
            let under_way = self.probe.under_way.fetch_add(1, Ordering::SeqCst) + 1;
            self.probe.peak_under_way.fetch_max(under_way, Ordering::SeqCst);
        }
        out.push(&words([index]));
        Ok(())
    }

    fn apply(&self, stage: usize, _: &[u8], _: &mut BatchBuilder) -> Done {
        Err(WorkloadError::Argument(format!("stage {stage} is no operator")))
    }

    fn key<'a>(&self, _: usize, item: &'a [u8]) -> &'a [u8] {
        &item[..0]
    }

    fn fold(&self, _: usize, accumulator: &mut Vec<u8>, item: &[u8]) -> Done {
        let (index, count) = (word(item, 0)?, if accumulator.is_empty() { 0 } else { word(accumulator, 0)? });
        if index + 1 == self.fail_at {
            return Err(WorkloadError::Operator(format!("folding item {index} failed")));
        }
        if index.is_multiple_of(self.batch) {
            std::thread::sleep(Duration::from_millis(2));
            self.probe.under_way.fetch_sub(1, Ordering::SeqCst);
        }
        *accumulator = words([count + 1]);
        Ok(())
    }

    fn merge(&self, _: usize, accumulator: &mut Vec<u8>, other: &[u8]) -> Done {
        let count = if accumulator.is_empty() { 0 } else { word(accumulator, 0)? };
        *accumulator = words([count + word(other, 0)?]);
        Ok(())
    }

    fn emit(&self, _: usize, _: &[u8], accumulator: &[u8], out: &mut BatchBuilder) -> Done {
        out.push(accumulator);
        Ok(())
    }

    fn oracle(&self, sink: &mut dyn FnMut(&[u8])) {
        if self.items > 0 {
            sink(&words([self.items]));
        }
    }
}

/// How many numbers a window has, and how many of them come in another order.
const WINDOW: u64 = 50;
const DISORDER: u64 = 10;

/// The sums of numbers by window and key, and then of each window how many keys it has and their sum. A number is its own time.
pub(super) struct Windows {
    probe: Arc<Probe>,
    seed: u64,
    items: u64,
    /// Whether it is an open loop. All items are due at the start, and each takes longer than a worker may keep others from working.
    open_loop: bool,
}

impl Windows {
    /// The end of the window of a number, its key, and its value.
    fn record(&self, number: u64) -> [u64; 3] {
        let value = value(self.seed, number);
        [(number / WINDOW + 1) * WINDOW, value % 5, value % 1000]
    }
}

impl Workload for Windows {
    const NAME: &'static str = "windows";
    const DESCRIPTION: &'static str = "keyed_reduce, map, keyed_reduce; closes";

    fn parameters() -> Vec<Parameter> {
        ["probe", "open_loop"].map(|name| Parameter::integer(name, "see the type", 0, 0, u64::MAX)).into()
    }

    fn uses() -> Vec<&'static str> {
        vec![plugin_api::workload::WATERMARKS]
    }

    fn open(spec: &WorkloadSpec, parameters: &Parameters) -> Result<Self, WorkloadError> {
        let probe = Arc::clone(&PROBES.lock().unwrap()[parameters.integer("probe") as usize]);
        let open_loop = parameters.integer("open_loop") > 0;
        Ok(Self { probe, seed: spec.seed, items: spec.total_items, open_loop })
    }

    fn due(&self, _: u64) -> Option<Duration> {
        self.open_loop.then_some(Duration::ZERO)
    }

    fn plan(&self) -> Plan {
        Plan::new()
            .then(StageKind::KeyedReduce, "sum by window and key")
            .then(StageKind::Map, "keep the window")
            .then(StageKind::KeyedReduce, "count by window")
    }

    fn source(&self, index: u64, out: &mut BatchBuilder) -> Done {
        let ended = self.watermark(index) / WINDOW;
        let waiting = ended.saturating_sub(self.probe.windows_closed.load(Ordering::SeqCst));
        self.probe.peak_waiting.fetch_max(waiting, Ordering::SeqCst);
        if self.open_loop {
            std::thread::sleep(Duration::from_micros(150));
        }
        let first = index - index % DISORDER;
        let is_whole = first + DISORDER <= self.items;
        let number = if is_whole { first + DISORDER - 1 - index % DISORDER } else { index };
        out.push(&words(self.record(number)));
        Ok(())
    }

    fn apply(&self, _: usize, item: &[u8], out: &mut BatchBuilder) -> Done {
        out.push(&words([word(item, 0)?, 1, word(item, 2)?]));
        Ok(())
    }

    fn key<'a>(&self, stage: usize, item: &'a [u8]) -> &'a [u8] {
        &item[..if stage == 1 { 16 } else { 8 }]
    }

    fn fold(&self, stage: usize, accumulator: &mut Vec<u8>, item: &[u8]) -> Done {
        let count = if stage == 1 { 1 } else { word(item, 1)? };
        self.merge(stage, accumulator, &words([count, word(item, 2)?]))
    }

    fn merge(&self, _: usize, accumulator: &mut Vec<u8>, other: &[u8]) -> Done {
        let [count, sum] =
            if accumulator.is_empty() { [0, 0] } else { [word(accumulator, 0)?, word(accumulator, 1)?] };
        *accumulator = words([count + word(other, 0)?, sum + word(other, 1)?]);
        Ok(())
    }

    fn emit(&self, stage: usize, key: &[u8], accumulator: &[u8], out: &mut BatchBuilder) -> Done {
        if stage == 1 {
            self.probe.emitted.fetch_add(1, Ordering::SeqCst);
            out.push(&words([word(key, 0)?, word(key, 1)?, word(accumulator, 1)?]));
        } else {
            out.push(&[key, accumulator].concat());
        }
        Ok(())
    }

    fn watermark(&self, index: u64) -> u64 {
        index - index % DISORDER
    }

    fn ends(&self, _: usize, item: &[u8]) -> Result<u64, WorkloadError> {
        word(item, 0)
    }

    fn closes(&self, _: usize, key: &[u8], _: &[u8]) -> Result<u64, WorkloadError> {
        word(key, 0)
    }

    fn close(
        &self,
        stage: usize,
        _: u64,
        key: &[u8],
        accumulator: &mut Vec<u8>,
        out: &mut BatchBuilder,
    ) -> Done {
        self.emit(stage, key, accumulator, out)?;
        if stage == 1 {
            self.probe.emitted.fetch_sub(1, Ordering::SeqCst);
            self.probe.closed.fetch_add(1, Ordering::SeqCst);
        } else {
            self.probe.windows_closed.fetch_add(1, Ordering::SeqCst);
        }
        accumulator.clear();
        Ok(())
    }

    fn oracle(&self, sink: &mut dyn FnMut(&[u8])) {
        for first in (0..self.items).step_by(WINDOW as usize) {
            let mut sums: BTreeMap<u64, u64> = BTreeMap::new();
            for number in first..self.items.min(first + WINDOW) {
                let [_, key, value] = self.record(number);
                *sums.entry(key).or_default() += value;
            }
            sink(&words([first + WINDOW, sums.len() as u64, sums.values().sum()]));
        }
    }
}

/// A graph of tasks with one task in each row, which needs the output of the one before and adds 1 to it.
pub(super) struct Line {
    steps: u64,
}

impl Workload for Line {
    const NAME: &'static str = "line";
    const DESCRIPTION: &'static str = "a graph of tasks";

    fn needs() -> Vec<&'static str> {
        vec![GRAPH]
    }

    fn open(spec: &WorkloadSpec, _: &Parameters) -> Result<Self, WorkloadError> {
        Ok(Self { steps: spec.total_items })
    }

    fn plan(&self) -> Plan {
        let shape = GraphShape { steps: self.steps, width: 1, output_bytes: 8, ..GraphShape::default() };
        Plan::new().with_graph(shape)
    }

    fn source(&self, _: u64, _: &mut BatchBuilder) -> Done {
        Err(WorkloadError::Argument("a graph of tasks has no source".into()))
    }

    fn apply(&self, stage: usize, _: &[u8], _: &mut BatchBuilder) -> Done {
        Err(WorkloadError::Argument(format!("stage {stage} is no operator")))
    }

    fn graph_row(&self, _: u32) -> Range<u32> {
        0..1
    }

    fn graph_inputs(&self, step: u32, _: u32, inputs: &mut Vec<u32>) {
        inputs.extend((step > 0).then_some(0));
    }

    fn graph_task(
        &self,
        _: u32,
        _: u32,
        inputs: &[&[u8]],
        output: &mut [u8],
    ) -> Result<usize, WorkloadError> {
        let before = inputs.first().map_or(Ok(0), |input| word(input, 0))?;
        output.copy_from_slice(&words([before + 1]));
        Ok(8)
    }

    fn oracle(&self, sink: &mut dyn FnMut(&[u8])) {
        if self.steps > 0 {
            sink(&words([self.steps]));
        }
    }
}
