//! `task_graph`: tasks that need the outputs of other tasks, in one of Task Bench's patterns (Slaughter et al., "Task Bench: a
//! parameterized benchmark for evaluating parallel runtime performance", SC20).
//!
//! A graph is rows of points, one row a step. A task gets the outputs of the points of the row before that its edges name.
//! Its digest covers every byte of them, so an edge that is left out, taken twice or taken from another step, and a payload
//! that was changed, are another answer. The outputs that no task needs reach the sink.
//!
//! A backend that supports `graph` runs each task as soon as its inputs are there. For others the plan has three stages a step:
//! `scatter` sends an output along its edges, `gather` adds the hashes of a task's inputs, and `compute` is the task itself.

mod graph;
mod items;
mod output;
mod pattern;
mod tasks;
#[cfg(test)]
mod tests;
mod work;

use std::ops::Range;

use plugin_api::serde_json::{Map, Value};
use plugin_api::workload::GRAPH;
use plugin_api::{
    BatchBuilder, GraphShape, Parameter, Parameters, Plan, StageKind, Workload, WorkloadError, WorkloadSpec,
};

use crate::kernel::MAX_ITERS;
use crate::object::object;
use crate::record::Done;
use graph::Graph;
use items::{Gathered, Item};
use output::{HEADER, Header};
use pattern::{Pattern, Shape};
use tasks::Tasks;
use work::{Kernel, Work};

/// The most steps of a plan with stages for each step.
const MAX_STAGED_STEPS: u64 = 100;
/// The stage that runs the tasks of the first row.
const FIRST_COMPUTE: usize = 2;
/// And of a graph.
const MAX_STEPS: u64 = 1 << 24;
/// The form that every backend can run.
const STAGES: &str = "stages";
const MAX_WIDTH: u64 = 4096;
const MAX_BYTES: u64 = 16 << 20;

/// One graph: its tasks, and the plan in stages that runs them.
pub(crate) struct TaskGraph {
    tasks: Tasks,
    total_items: u64,
    /// Whether the user asked for stages, whatever the backend can do.
    stages_only: bool,
}

/// What a stage between source and sink does, for the tasks of which step.
#[derive(Clone, Copy)]
enum Role {
    /// Makes the tasks of the first row of the items of the source.
    Begin,
    /// Runs the tasks of this step.
    Compute(u64),
    /// Sends outputs to the tasks of this step.
    Scatter(u64),
    /// Adds up the inputs of the tasks of this step.
    Gather(u64),
    /// Leaves of each output the part that the sink takes.
    End,
}

impl TaskGraph {
    fn role(&self, stage: usize) -> Role {
        let (step, place) = (stage as u64 / 3, stage % 3);
        match place {
            0 if step == self.graph().steps() => Role::End,
            0 => Role::Scatter(step),
            1 if step == 0 => Role::Begin,
            1 => Role::Gather(step),
            _ => Role::Compute(step),
        }
    }

    fn graph(&self) -> &Graph {
        self.tasks.graph()
    }

    /// The tasks of the first row are spread over the items of the source, so that they are spread over its batches.
    fn begin(&self, index: u64, out: &mut BatchBuilder) {
        let (place, rest) = (index / self.graph().steps(), index % self.graph().steps());
        let point = self.graph().row(0).start + place;
        if rest == 0 && self.graph().row(0).contains(&point) {
            Item::Task { point, sum: 0 }.push(out);
        }
    }

    fn compute(&self, step: u64, item: &[u8], out: &mut BatchBuilder) -> Done {
        match Item::parse(item)? {
            Item::Task { point, sum } if self.graph().row(step).contains(&point) => {
                out.push_with(|bytes| {
                    Item::append_output_prefix(point, bytes);
                    self.tasks.run(step, point, sum, bytes);
                });
            }
            Item::Finished { .. } => out.push(item),
            _ => return Err(misplaced(item, "the tasks", step)),
        }
        Ok(())
    }

    fn scatter(&self, step: u64, item: &[u8], out: &mut BatchBuilder) -> Done {
        match Item::parse(item)? {
            Item::Output { header, bytes, .. } if step.checked_sub(1) == Some(header.step) => {
                let mut needed = false;
                self.graph().for_each_output(header.step, header.point, |target| {
                    needed = true;
                    Item::push_output(target, bytes, out);
                });
                if !needed {
                    Item::Finished { point: header.point, headers: &[header.encode()] }.push(out);
                }
                if header.point == self.graph().row(header.step).start {
                    self.send_tokens(step, out);
                }
            }
            Item::Finished { .. } => out.push(item),
            _ => return Err(misplaced(item, "the edges", step)),
        }
        Ok(())
    }

    /// A reduction has no key that nothing was sent to. So the first point of the row before sends to each task without inputs.
    fn send_tokens(&self, step: u64, out: &mut BatchBuilder) {
        for point in self.graph().row(step) {
            if !self.graph().has_inputs(step, point) {
                Item::Token { point }.push(out);
            }
        }
    }

    fn end(item: &[u8], out: &mut BatchBuilder) -> Done {
        match Item::parse(item)? {
            Item::Output { header, .. } => out.push(&header.encode()),
            Item::Finished { headers, .. } => headers.iter().for_each(|header| out.push(header)),
            _ => return Err(WorkloadError::Operator("the sink of task_graph takes outputs alone".into())),
        }
        Ok(())
    }

    /// Adds to a task's accumulator an output that was sent to it, which must be one of the row before.
    fn gather(&self, step: u64, accumulator: &mut Vec<u8>, item: &[u8]) -> Done {
        let input = match Item::parse(item)? {
            Item::Output { header, bytes, .. } => {
                self.tasks.check_input(step, header.point, &header, bytes)?;
                Gathered::of_input(output::hash(bytes))
            }
            Item::Token { .. } => Gathered::of_input(0),
            Item::Finished { headers, .. } => Gathered { inputs: 0, sum: 0, finished: headers },
            Item::Task { .. } => return Err(misplaced(item, "the inputs", step)),
        };
        input.add_to(accumulator)
    }
}

fn misplaced(item: &[u8], what: &str, step: u64) -> WorkloadError {
    let length = item.len();
    WorkloadError::Operator(format!(
        "an item of {length} bytes is none of {what} of step {step} of the graph"
    ))
}

/// How many steps and points: no more tasks than items.
fn size(items: u64, width: u64, in_stages: bool) -> Result<(u64, u64), WorkloadError> {
    let (max_steps, how) = if in_stages { (MAX_STAGED_STEPS, " in stages") } else { (MAX_STEPS, "") };
    let steps = (items / width).max(1);
    if steps <= max_steps {
        return Ok((steps, width.min(items).max(1)));
    }
    let most = max_steps * width;
    let wider = items / (max_steps + 1) + 1;
    let wider = if wider <= MAX_WIDTH { format!(" or --extra width={wider}") } else { String::new() };
    Err(WorkloadError::Spec(format!(
        "{items} items are {steps} steps of width {width}, but task_graph has at most {max_steps}{how}; try: --items {most}{wider}"
    )))
}

impl Workload for TaskGraph {
    const NAME: &'static str = "task_graph";
    const DESCRIPTION: &'static str = "Runs tasks that need the outputs of others, in one of Task Bench's patterns: dependencies, payload, imbalance";

    fn parameters() -> Vec<Parameter> {
        let width = "how many tasks a step has at most; the steps are the items divided by it, rounded down, at least 1";
        let radix = "how many inputs a task has with nearest and spread, and among how many neighbours they are with random_nearest";
        let output = "how many bytes an output has of which a task is made; the first 24 are its step, point and digest";
        let form = "by the tasks' dependencies where the backend can, or in stages on every backend";
        let imbalance = "how much the iterations differ: evenly from 1 - x/2 to 1 + x/2 times iters";
        vec![
            Parameter::choice("pattern", "which tasks of the step before a task needs", &Shape::names()),
            Parameter::integer("width", width, 64, 1, MAX_WIDTH),
            Parameter::integer("radix", radix, 3, 0, 1024),
            Parameter::number(
                "fraction_connected",
                "the share of these that random_nearest connects",
                0.25,
                0.0,
                1.0,
            ),
            Parameter::choice(
                "kernel",
                "what a task does: computes, nothing, or goes through memory",
                &Kernel::NAMES,
            ),
            Parameter::integer(
                "iters",
                "iterations of the kernel, which with memory are passes",
                1000,
                0,
                MAX_ITERS,
            ),
            Parameter::integer(
                "span_bytes",
                "how much memory the kernel memory goes through",
                1 << 20,
                8,
                64 << 20,
            ),
            Parameter::integer("output_bytes", output, 64, HEADER as u64, MAX_BYTES),
            Parameter::number("imbalance", imbalance, 0.0, 0.0, 2.0),
            Parameter::choice("form", form, &[GRAPH, STAGES]),
        ]
    }

    fn uses() -> Vec<&'static str> {
        vec![GRAPH]
    }

    fn open(spec: &WorkloadSpec, parameters: &Parameters) -> Result<Self, WorkloadError> {
        let stages_only = parameters.choice("form") == STAGES;
        let in_stages = stages_only || !spec.is_granted(GRAPH);
        let (steps, width) = size(spec.total_items, parameters.integer("width"), in_stages)?;
        let pattern = Pattern::of(parameters);
        let graph = Graph::new(pattern, steps, width);
        let work = Work::of(parameters, spec.seed);
        let tasks = Tasks::new(graph, work, spec.seed, parameters.integer("output_bytes") as usize);
        Ok(Self { tasks, total_items: spec.total_items, stages_only })
    }

    fn plan(&self) -> Plan {
        let steps = if self.total_items == 0 { 0 } else { self.graph().steps() };
        let has_stages = self.graph().steps() <= MAX_STAGED_STEPS;
        let shape = GraphShape {
            steps,
            stages_only: self.stages_only,
            kernel_stage: has_stages.then_some(FIRST_COMPUTE),
            ..self.tasks.shape()
        };
        if !has_stages {
            // No backend was to run them: only where `graph` is granted can there be so many.
            return Plan::new().with_graph(shape);
        }
        let first = Plan::new().then(StageKind::FlatMap, "begin").then(StageKind::Map, "compute 0");
        let steps = (1..self.graph().steps()).fold(first, |plan, step| {
            plan.then(StageKind::FlatMap, format!("scatter {step}"))
                .then(StageKind::KeyedReduce, format!("gather {step}"))
                .then(StageKind::Map, format!("compute {step}"))
        });
        steps.then(StageKind::FlatMap, "end").with_graph(shape)
    }

    #[inline]
    fn source(&self, index: u64, out: &mut BatchBuilder) -> Done {
        out.push(&index.to_le_bytes());
        Ok(())
    }

    fn apply(&self, stage: usize, item: &[u8], out: &mut BatchBuilder) -> Done {
        match self.role(stage) {
            Role::Begin => {
                let index = item.try_into().map_err(|_| misplaced(item, "the tasks", 0))?;
                self.begin(u64::from_le_bytes(index), out);
                Ok(())
            }
            Role::Compute(step) => self.compute(step, item, out),
            Role::Scatter(step) => self.scatter(step, item, out),
            Role::End => Self::end(item, out),
            Role::Gather(_) => {
                Err(WorkloadError::Argument(format!("stage {stage} of task_graph takes no single items")))
            }
        }
    }

    fn key<'a>(&self, _stage: usize, item: &'a [u8]) -> &'a [u8] {
        Item::key(item)
    }

    fn fold(&self, stage: usize, accumulator: &mut Vec<u8>, item: &[u8]) -> Done {
        match self.role(stage) {
            Role::Gather(step) => self.gather(step, accumulator, item),
            _ => Err(WorkloadError::Argument(format!("stage {stage} of task_graph reduces nothing"))),
        }
    }

    fn merge(&self, _stage: usize, accumulator: &mut Vec<u8>, other: &[u8]) -> Done {
        Gathered::parse(other)?.add_to(accumulator)
    }

    fn emit(&self, _stage: usize, key: &[u8], accumulator: &[u8], out: &mut BatchBuilder) -> Done {
        let point =
            key.try_into().map_err(|_| WorkloadError::Malformed("a key of task_graph has 8 bytes"))?;
        let (point, Gathered { inputs, sum, finished }) =
            (u64::from_le_bytes(point), Gathered::parse(accumulator)?);
        if inputs > 0 {
            Item::Task { point, sum }.push(out);
        }
        if !finished.is_empty() {
            // The order in which they came is that of the engine.
            let mut headers = finished.to_vec();
            headers.sort_unstable();
            Item::Finished { point, headers: &headers }.push(out);
        }
        Ok(())
    }

    fn graph_row(&self, step: u32) -> Range<u32> {
        let row = self.graph().row(step.into());
        row.start as u32..row.end as u32
    }

    fn graph_inputs(&self, step: u32, point: u32, inputs: &mut Vec<u32>) {
        self.graph().for_each_input(step.into(), point.into(), |from| inputs.push(from as u32));
    }

    fn graph_task(
        &self,
        step: u32,
        point: u32,
        inputs: &[&[u8]],
        output: &mut [u8],
    ) -> Result<usize, WorkloadError> {
        self.tasks.run_on(step.into(), point.into(), inputs, output)
    }

    fn describe(&self, stage: usize, item: &[u8]) -> Result<Option<Map<String, Value>>, WorkloadError> {
        let described = match item {
            // Of a plan without stages, outputs leave stage 0.
            index if stage == 0 && index.len() != HEADER => {
                let index = index.try_into().map_err(|_| misplaced(item, "the items", 0))?;
                object([("index", u64::from_le_bytes(index).into())])
            }
            header if header.len() == HEADER => {
                let Header { step, point, digest } = Header::of(header)?;
                object([("step", step.into()), ("point", point.into()), ("digest", digest.into())])
            }
            item => {
                let mut described = Item::parse(item)?.describe();
                // An output on its way to a task of the next step.
                if matches!(self.role(stage), Role::Scatter(_)) && described.contains_key("digest") {
                    let to = Item::key(item).try_into().map_err(|_| misplaced(item, "the edges", 0))?;
                    described.insert("to".into(), u64::from_le_bytes(to).into());
                }
                described
            }
        };
        Ok(Some(described))
    }

    fn oracle(&self, sink: &mut dyn FnMut(&[u8])) {
        if self.total_items > 0 {
            self.tasks.answer(sink);
        }
    }
}
