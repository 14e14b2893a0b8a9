//! An opened workload behind its C ABI: calls on batches become calls of the author's trait.

use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Map, Value};

use super::author::Workload;
use super::batch::{Batch, BatchBuilder};
use super::catalogue::CatalogueEntry;
use super::closing::{NEVER, WATERMARKS, check_granted};
use super::digest::Digest;
use super::error::{Done, WorkloadError};
use super::graph::{GRAPH, GraphRow};
use super::keyed::partition_of;
use super::open_loop::{RunClock, Stamp};
use super::outcome::Outcome;
use super::parameter::Parameters;
use super::plan::{GraphShape, Plan, StageKind};
use super::reduction::{How, Reduction};
use super::sink::{Sink, Times};
use super::stage_state::StageState;
use crate::clock::monotonic_nanos;
use crate::spec::{MAX_BATCH_SIZE, WorkloadSpec};

/// A batch that a call made.
pub(super) type Made = Result<BatchBuilder, WorkloadError>;

thread_local! {
    /// Memory for the batches between two stages of a call.
    static BETWEEN: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A thread keeps no more memory than this for the batches between two stages.
const KEPT_BYTES: usize = 1 << 20;

/// An opened workload, with its author's type erased.
pub(super) trait Instance: Send + Sync {
    fn plan(&self) -> &Plan;
    /// Both give a batch in the memory of `out`, which is empty, or in other memory.
    fn source(&self, first: u64, count: u64, to: usize, out: BatchBuilder) -> Made;
    fn run_stages(&self, from: usize, to: usize, batch: Batch<'_>, out: BatchBuilder) -> Made;
    fn split(&self, stage: usize, batch: Batch<'_>, parts: &mut [BatchBuilder]) -> Done;
    fn keys(&self, stage: usize, batch: Batch<'_>, out: BatchBuilder) -> Made;
    fn new_state(self: Arc<Self>, stage: usize) -> Result<Box<dyn StageState>, WorkloadError>;
    fn expected(&self) -> Outcome;
    fn describe(&self, stage: usize, item: &[u8]) -> Result<Option<Map<String, Value>>, WorkloadError>;
    fn start(&self, nanos: u64) -> Done;
    fn watermark(&self, number: u64) -> Result<u64, WorkloadError>;
    fn graph_edges(&self, step: u32, first: u32, count: u32, out: &mut Vec<u8>) -> Done;
    fn graph_task(
        &self,
        step: u32,
        point: u32,
        inputs: &[&[u8]],
        output: &mut [u8],
    ) -> Result<usize, WorkloadError>;
}

/// One workload of a library, with its author's type erased. [`export_workloads!`](crate::export_workloads)
/// makes these.
#[derive(Clone, Copy)]
pub struct Definition {
    name: &'static str,
    entry: fn() -> Result<CatalogueEntry, WorkloadError>,
    open: fn(&WorkloadSpec) -> Result<Arc<dyn Instance>, WorkloadError>,
}

impl Definition {
    /// The definition of `W`.
    pub const fn of<W: Workload>() -> Self {
        Self { name: W::NAME, entry: catalogue_entry::<W>, open: open::<W> }
    }

    pub(super) fn catalogue(definitions: &[Self]) -> Result<Vec<CatalogueEntry>, WorkloadError> {
        definitions.iter().map(|definition| (definition.entry)()).collect()
    }

    pub(super) fn open(
        definitions: &[Self],
        spec: &WorkloadSpec,
    ) -> Result<Arc<dyn Instance>, WorkloadError> {
        let Some(definition) = definitions.iter().find(|definition| definition.name == spec.name) else {
            let known: Vec<_> = definitions.iter().map(|definition| definition.name).collect();
            return Err(WorkloadError::Unknown { name: spec.name.clone(), known: known.join(", ") });
        };
        (definition.open)(spec)
    }
}

fn catalogue_entry<W: Workload>() -> Result<CatalogueEntry, WorkloadError> {
    let parameters = W::parameters();
    let defaults = Parameters::resolve(&parameters, &serde_json::Map::new())?;
    let granted = W::needs().into_iter().map(str::to_owned).collect();
    // Without items, so that a workload makes nothing large to be listed.
    let spec = WorkloadSpec { granted, total_items: 0, ..WorkloadSpec::new(W::NAME) };
    let workload = W::open(&spec, &defaults)?;
    let needs = spec.granted;
    let (name, description) = (W::NAME.into(), W::DESCRIPTION.into());
    let uses = W::uses().into_iter().map(str::to_owned).collect();
    Ok(CatalogueEntry { name, description, parameters, plan: plan_of(&workload), needs, uses })
}

fn open<W: Workload>(spec: &WorkloadSpec) -> Result<Arc<dyn Instance>, WorkloadError> {
    if let Some(word) = W::needs().into_iter().find(|word| !spec.is_granted(word)) {
        let why =
            format!("workload {:?} needs {word}, which the host or the backend does not support", W::NAME);
        return Err(WorkloadError::Spec(why));
    }
    let parameters = Parameters::resolve(&W::parameters(), &spec.extra)?;
    let workload = W::open(spec, &parameters)?;
    let plan = plan_of(&workload);
    if !plan.is_well_formed() {
        let why = format!("the plan of workload {:?} is not a source, stages and a sink", W::NAME);
        return Err(WorkloadError::Spec(why));
    }
    let knows_graph = W::needs().contains(&GRAPH) || W::uses().contains(&GRAPH);
    if plan.graph.is_some() && !knows_graph {
        let why = format!(
            "workload {:?} has a graph, but does not know the word of its backend: add {GRAPH:?} to needs(), or to uses() if its \
             stages do the same",
            W::NAME
        );
        return Err(WorkloadError::Spec(why));
    }
    let started = || Arc::new(AtomicU64::new(spec.start_nanos.unwrap_or_else(monotonic_nanos)));
    let started = plan.open_loop.then(started);
    let by_watermarks = spec.is_granted(WATERMARKS);
    let knows_watermarks = W::uses().contains(&WATERMARKS) || W::needs().contains(&WATERMARKS);
    if plan.has_due_results() && !(by_watermarks && knows_watermarks) {
        let why = format!(
            "workload {:?} is an open loop with a keyed reduction: when its results are due follows from watermarks, {}",
            W::NAME,
            if knows_watermarks {
                "which the host or the backend does not support"
            } else {
                "which it does not use"
            }
        );
        return Err(WorkloadError::Spec(why));
    }
    let by_tasks = plan.graph.is_some() && spec.is_granted(GRAPH);
    let workload = Arc::new(workload);
    Ok(Arc::new(Opened { workload, plan, total_items: spec.total_items, by_tasks, by_watermarks, started }))
}

/// The stages of a workload, and whether its items have a time at which they are due.
fn plan_of<W: Workload>(workload: &W) -> Plan {
    Plan { open_loop: workload.due(0).is_some(), ..workload.plan() }
}

struct Opened<W> {
    workload: Arc<W>,
    plan: Plan,
    total_items: u64,
    /// Whether the tasks of a graph are to be run by their dependencies, and not the stages.
    by_tasks: bool,
    /// Whether what has ended may be closed before the input ends.
    by_watermarks: bool,
    /// In an open loop: when the run started, in nanoseconds of the machine's monotonic clock. The sinks share it.
    started: Option<Arc<AtomicU64>>,
}

impl<W: Workload> Opened<W> {
    /// The clock of the run, in an open loop.
    fn clock(&self) -> Option<RunClock> {
        self.started.as_ref().map(|nanos| RunClock::of(nanos.load(Ordering::Relaxed)))
    }

    /// Applies one stage to a whole batch, and checks that the stage made as many items as its kind allows.
    fn apply(&self, stage: usize, batch: Batch<'_>, out: &mut BatchBuilder) -> Done {
        out.clear();
        // Most stages make about as many bytes as they get. To grow the vectors step by step would cost as much as the
        // stages themselves.
        out.reserve(batch.len(), batch.byte_count());
        if self.started.is_some() {
            self.apply_to_stamped(stage, batch, out)?;
        } else {
            self.workload.apply_batch(stage, batch, out)?;
            out.check_fits()?;
        }
        let (before, after) = (batch.len(), out.len());
        match self.plan.kind(stage) {
            Some(StageKind::Map) if after != before => Err(changed_count("map", stage, before, after)),
            Some(StageKind::Filter) if after > before => Err(changed_count("filter", stage, before, after)),
            _ => Ok(()),
        }
    }

    /// All items that are made from an item get its stamp.
    fn apply_to_stamped(&self, stage: usize, batch: Batch<'_>, out: &mut BatchBuilder) -> Done {
        if self.plan.kind(stage) == Some(StageKind::Map) {
            return self.map_stamped(stage, batch, out);
        }
        let mut made = BatchBuilder::new();
        for item in batch.iter() {
            let (content, stamp) = Stamp::split(item)?;
            made.clear();
            self.workload.apply(stage, content, &mut made)?;
            stamp.push_all(&made, out)?;
        }
        Ok(())
    }

    /// A map makes one item of each, so that a whole batch keeps its stamps.
    fn map_stamped(&self, stage: usize, batch: Batch<'_>, out: &mut BatchBuilder) -> Done {
        let (mut contents, mut made) = (BatchBuilder::new(), BatchBuilder::new());
        contents.reserve(batch.len(), batch.byte_count());
        let mut stamps = Vec::with_capacity(batch.len());
        for item in batch.iter() {
            let (content, stamp) = Stamp::split(item)?;
            contents.push(content);
            stamps.push(stamp);
        }
        self.workload.apply_batch(stage, contents.as_batch(), &mut made)?;
        made.check_fits()?;
        if made.len() != stamps.len() {
            return Err(changed_count("map", stage, stamps.len(), made.len()));
        }
        made.as_batch().iter().zip(stamps).for_each(|(item, stamp)| stamp.push(item, out));
        out.check_fits()
    }

    /// Makes the items with these numbers.
    fn make(&self, mut numbers: Range<u64>, items: &mut BatchBuilder) -> Done {
        if let Some(clock) = self.clock() {
            return numbers.try_for_each(|number| self.make_due(number, clock, items));
        }
        numbers.try_for_each(|number| {
            self.workload.source(number, items)?;
            items.check_fits()
        })
    }

    /// Makes an item of an open loop: waits until it is due, and stamps it.
    fn make_due(&self, number: u64, clock: RunClock, items: &mut BatchBuilder) -> Done {
        let Some(due) = self.workload.due(number) else {
            self.workload.source(number, items)?;
            return items.check_fits();
        };
        let stamp = clock.await_due(due);
        let mut made = BatchBuilder::new();
        self.workload.source(number, &mut made)?;
        stamp.push_all(&made, items)
    }

    /// Applies the stages `from..to`, which must be stateless, to the batch that `first` makes in the empty one that it is given.
    /// Batches are made in the memory of `out` and in other memory in turn, so that the last one is in that of `out`.
    fn chain(
        &self,
        from: usize,
        to: usize,
        out: BatchBuilder,
        first: impl FnOnce(&mut BatchBuilder) -> Done,
    ) -> Made {
        let mut current = out;
        if from == to {
            return first(&mut current).map(|()| current);
        }
        let mut next = BatchBuilder::within(BETWEEN.take());
        if (to - from) % 2 == 1 {
            std::mem::swap(&mut current, &mut next);
        }
        first(&mut current)?;
        for stage in from..to {
            self.apply(stage, current.as_batch(), &mut next)?;
            std::mem::swap(&mut current, &mut next);
        }
        let memory = Some(next.into_memory()).filter(|memory| memory.capacity() <= KEPT_BYTES);
        BETWEEN.set(memory.unwrap_or_default());
        Ok(current)
    }

    /// A record says how a graph was run. So a backend that says that it runs the tasks cannot run the stages.
    fn check_in_stages(&self) -> Done {
        if !self.by_tasks || !self.plan.has_stages() {
            return Ok(());
        }
        let why = "the backend supports graph, but ran the stages: with `graph` in `use` it runs the tasks";
        Err(WorkloadError::Argument(why.into()))
    }

    fn check_chain(&self, from: usize, to: usize) -> Done {
        self.check_in_stages()?;
        if from >= 1 && from <= to && to <= self.plan.end_of_chain(from) {
            return Ok(());
        }
        Err(WorkloadError::Argument(format!(
            "stages {from}..{to} are not a chain of maps, filters and flat maps"
        )))
    }

    /// The graph, if it has this step and is to be run by its tasks.
    fn graph_with(&self, step: u32) -> Result<GraphShape, WorkloadError> {
        match self.plan.graph {
            Some(_) if !self.by_tasks => {
                Err(WorkloadError::Argument("the graph is to run in stages: `use` has no `graph`".into()))
            }
            Some(graph) if u64::from(step) < graph.steps => Ok(graph),
            _ => Err(WorkloadError::Argument(format!("this workload has no graph with a step {step}"))),
        }
    }

    /// The points of a row. A row without any would never be done, and backends rely on the largest width.
    fn row(&self, step: u32) -> Result<Range<u32>, WorkloadError> {
        let GraphShape { width, .. } = self.graph_with(step)?;
        let row = self.workload.graph_row(step);
        let count = row.end.saturating_sub(row.start);
        if (1..=width).contains(&u64::from(count)) {
            return Ok(row);
        }
        let first = row.start;
        Err(WorkloadError::Operator(format!(
            "step {step} of the graph has {count} points from {first} on, but a row has 1 to {width}"
        )))
    }

    /// The key of an item, of which the author does not see the stamp.
    fn key<'a>(&self, stage: usize, item: &'a [u8]) -> Result<&'a [u8], WorkloadError> {
        let content = if self.started.is_some() { Stamp::split(item)?.0 } else { item };
        Ok(self.workload.key(stage, content))
    }

    fn check_stage(&self, stage: usize, kind: StageKind) -> Done {
        self.check_in_stages()?;
        if self.plan.kind(stage) == Some(kind) {
            return Ok(());
        }
        Err(WorkloadError::Argument(format!("stage {stage} is no {kind:?} of this workload")))
    }
}

fn changed_count(kind: &str, stage: usize, before: usize, after: usize) -> WorkloadError {
    WorkloadError::Operator(format!("stage {stage} is a {kind}, but made {after} items of {before}"))
}

impl<W: Workload> Instance for Opened<W> {
    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn source(&self, first: u64, count: u64, to: usize, out: BatchBuilder) -> Made {
        self.check_chain(1, to)?;
        let end = first.checked_add(count).filter(|end| *end <= self.total_items);
        let Some(end) = end else {
            let total = self.total_items;
            let why = format!("the source has {total} items, so it has no {count} from number {first} on");
            return Err(WorkloadError::Argument(why));
        };
        self.chain(1, to, out, |items| {
            // No more memory is reserved than for the largest batch, whatever the caller's count is.
            let expected = count.min(MAX_BATCH_SIZE) as usize;
            items.reserve(expected, expected * size_of::<u64>());
            self.make(first..end, items)?;
            let made = items.len();
            if made as u64 == count { Ok(()) } else { Err(changed_count("source", 0, count as usize, made)) }
        })
    }

    fn run_stages(&self, from: usize, to: usize, batch: Batch<'_>, mut out: BatchBuilder) -> Made {
        self.check_chain(from, to)?;
        if from == to {
            out.reserve(batch.len(), batch.byte_count());
            batch.iter().for_each(|item| out.push(item));
            return Ok(out);
        }
        self.chain(from + 1, to, out, |first| self.apply(from, batch, first))
    }

    fn split(&self, stage: usize, batch: Batch<'_>, parts: &mut [BatchBuilder]) -> Done {
        self.check_stage(stage, StageKind::KeyedReduce)?;
        let partitions = u32::try_from(parts.len()).unwrap_or(u32::MAX);
        let (items, bytes) = (batch.len() / parts.len().max(1), batch.byte_count() / parts.len().max(1));
        parts.iter_mut().for_each(|part| part.reserve(items, bytes));
        for item in batch.iter() {
            let partition = partition_of(self.key(stage, item)?, partitions);
            if let Some(part) = parts.get_mut(partition as usize) {
                part.push(item);
            }
        }
        Ok(())
    }

    fn keys(&self, stage: usize, batch: Batch<'_>, mut out: BatchBuilder) -> Made {
        self.check_stage(stage, StageKind::KeyedReduce)?;
        out.reserve(batch.len(), 0);
        for item in batch.iter() {
            out.push(self.key(stage, item)?);
        }
        Ok(out)
    }

    fn new_state(self: Arc<Self>, stage: usize) -> Result<Box<dyn StageState>, WorkloadError> {
        if stage == self.plan.sink() {
            return Ok(Box::new(Sink::new(Times::of(&self.plan), self.started.clone())?));
        }
        self.check_stage(stage, StageKind::KeyedReduce)?;
        let how = How {
            closes: self.by_watermarks,
            open_loop_of: self.started.is_some().then_some(self.total_items),
        };
        Ok(Box::new(Reduction::new(Arc::clone(&self.workload), stage, how)))
    }

    fn expected(&self) -> Outcome {
        let mut digest = Digest::default();
        self.workload.oracle(&mut |item| digest.fold_item(item));
        let waiting = self.workload.waiting().as_secs_f64();
        Outcome { waiting_seconds: Some(waiting).filter(|seconds| *seconds > 0.0), ..digest.into() }
    }

    fn describe(&self, stage: usize, item: &[u8]) -> Result<Option<Map<String, Value>>, WorkloadError> {
        if stage >= self.plan.sink() {
            return Err(WorkloadError::Argument(format!("no item leaves stage {stage} of this workload")));
        }
        if self.started.is_none() {
            return self.workload.describe(stage, item);
        }
        let (content, stamp) = Stamp::split(item)?;
        let described = self.workload.describe(stage, content)?;
        Ok(described.map(|item| item.into_iter().chain(stamp.described()).collect()))
    }

    fn start(&self, nanos: u64) -> Done {
        let not_open_loop =
            || WorkloadError::Argument("the workload is no open loop, and has no start".into());
        self.started.as_ref().ok_or_else(not_open_loop)?.store(nanos, Ordering::Relaxed);
        Ok(())
    }

    fn watermark(&self, number: u64) -> Result<u64, WorkloadError> {
        check_granted(self.by_watermarks)?;
        Ok(if number < self.total_items { self.workload.watermark(number) } else { NEVER })
    }

    fn graph_edges(&self, step: u32, first: u32, count: u32, out: &mut Vec<u8>) -> Done {
        let row = self.row(step)?;
        let before = step.checked_sub(1).map_or(Ok(0..0), |before| self.row(before))?;
        let first = row.start.saturating_add(first).min(row.end);
        let (mut offsets, mut inputs) = (vec![0], Vec::new());
        for point in first..first.saturating_add(count).min(row.end) {
            let begin = inputs.len();
            self.workload.graph_inputs(step, point, &mut inputs);
            // A task that waits for an output that nobody makes would never run.
            if let Some(from) = inputs.iter().skip(begin).find(|from| !before.contains(*from)) {
                return Err(WorkloadError::Operator(format!(
                    "point {point} of step {step} needs point {from}, which the step before does not have"
                )));
            }
            let end =
                u32::try_from(inputs.len()).map_err(|_| WorkloadError::TooLarge { bytes: inputs.len() })?;
            offsets.push(end);
        }
        GraphRow::encode(&row, &offsets, &inputs, out);
        Ok(())
    }

    fn graph_task(
        &self,
        step: u32,
        point: u32,
        inputs: &[&[u8]],
        output: &mut [u8],
    ) -> Result<usize, WorkloadError> {
        if !self.row(step)?.contains(&point) {
            return Err(WorkloadError::Argument(format!("step {step} of the graph has no point {point}")));
        }
        let (needed, room) = (self.graph_with(step)?.output_bytes, output.len());
        // The author may rely on the size.
        let Some(output) = output.get_mut(..usize::try_from(needed).unwrap_or(usize::MAX)) else {
            let why = format!("the output of a task needs {needed} bytes, but there are {room}");
            return Err(WorkloadError::Argument(why));
        };
        let length = self.workload.graph_task(step, point, inputs, output)?;
        if length as u64 <= needed {
            return Ok(length);
        }
        Err(WorkloadError::Operator(format!(
            "an output has {length} bytes, but the graph says that it has at most {needed}"
        )))
    }
}
