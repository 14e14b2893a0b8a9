//! Graphs of tasks of another author: only their descriptions say that they are graphs, and their parameters are their own.

use std::hint::black_box;
use std::ops::Range;

use plugin_api::workload::GRAPH;
use plugin_api::{
    BatchBuilder, GraphShape, Parameter, Parameters, Plan, StageKind, Workload, WorkloadError, WorkloadSpec,
};

plugin_api::export_workloads!(name = "graph_workloads", workloads = [Rotating, Growing, Short]);

/// The length of an output: its digest.
const OUTPUT: usize = 8;
/// The stage that runs the kernel of one task.
const KERNEL_STAGE: usize = 1;

/// A graph of `steps` rows. The task at a point needs one output of the row before.
struct Graph {
    steps: u64,
    width: u64,
    iters: u64,
    shift: u64,
    seed: u64,
    /// Whether each row but the last ones has one point more than the row before.
    grows: bool,
}

impl Graph {
    fn open(spec: &WorkloadSpec, parameters: &Parameters, grows: bool) -> Self {
        let width = parameters.integer("width").max(1);
        Self {
            steps: spec.total_items / width,
            width,
            iters: parameters.integer("iters"),
            shift: parameters.integer("shift"),
            seed: spec.seed,
            grows,
        }
    }

    fn plan(&self) -> Plan {
        let shape = GraphShape {
            steps: self.steps,
            width: self.width,
            output_bytes: OUTPUT as u64,
            whole_rows: true,
            kernel_stage: Some(KERNEL_STAGE),
            ..GraphShape::default()
        };
        Plan::new().then(StageKind::Map, "kernel").with_graph(shape)
    }

    fn row(&self, step: u64) -> u64 {
        if self.grows { self.width.min(step + 1) } else { self.width }
    }

    fn input(&self, step: u64, point: u64) -> Option<u64> {
        let before = step.checked_sub(1)?;
        Some((point + self.shift) % self.row(before))
    }

    fn digest(&self, step: u64, point: u64, input: u64) -> u64 {
        let start = self.seed ^ step.rotate_left(40) ^ point.rotate_left(20) ^ input;
        kernel(start, self.iters)
    }

    fn is_needed(&self, step: u64, point: u64) -> bool {
        let next = step + 1;
        next < self.steps && (0..self.row(next)).any(|to| self.input(next, to) == Some(point))
    }

    fn oracle(&self, sink: &mut dyn FnMut(&[u8])) {
        let mut before = Vec::new();
        for step in 0..self.steps {
            let digest = |point| {
                let input = self.input(step, point).and_then(|from| before.get(from as usize).copied());
                self.digest(step, point, input.unwrap_or_default())
            };
            let row: Vec<u64> = (0..self.row(step)).map(digest).collect();
            for (digest, point) in row.iter().zip(0..) {
                if !self.is_needed(step, point) {
                    sink(&digest.to_le_bytes());
                }
            }
            before = row;
        }
    }
}

fn kernel(start: u64, iters: u64) -> u64 {
    (0..iters).fold(start, |number, _| black_box(number).wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1))
}

macro_rules! workload {
    ($type:ident, $name:literal, $grows:literal, $least:literal, $most:literal) => {
        struct $type(Graph);

        impl Workload for $type {
            const NAME: &'static str = $name;
            const DESCRIPTION: &'static str = "Each task needs one output of the step before";

            fn parameters() -> Vec<Parameter> {
                vec![
                    Parameter::integer("width", "tasks of a row", 8, 1, 64),
                    Parameter::integer("iters", "iterations of the kernel", 1000, $least, $most),
                    Parameter::integer("shift", "by how many points the input is away", 0, 0, 7),
                ]
            }

            fn uses() -> Vec<&'static str> {
                vec![GRAPH]
            }

            fn open(spec: &WorkloadSpec, parameters: &Parameters) -> Result<Self, WorkloadError> {
                Ok(Self(Graph::open(spec, parameters, $grows)))
            }

            fn plan(&self) -> Plan {
                self.0.plan()
            }

            fn source(&self, index: u64, out: &mut BatchBuilder) -> Result<(), WorkloadError> {
                out.push(&index.to_le_bytes());
                Ok(())
            }

            fn apply(&self, _stage: usize, item: &[u8], out: &mut BatchBuilder) -> Result<(), WorkloadError> {
                let bytes = item.try_into().map_err(|_| WorkloadError::Operator("no number".into()))?;
                out.push(&kernel(u64::from_le_bytes(bytes), self.0.iters).to_le_bytes());
                Ok(())
            }

            fn graph_row(&self, step: u32) -> Range<u32> {
                0..self.0.row(step.into()) as u32
            }

            fn graph_inputs(&self, step: u32, point: u32, inputs: &mut Vec<u32>) {
                inputs.extend(self.0.input(step.into(), point.into()).map(|from| from as u32));
            }

            fn graph_task(
                &self,
                step: u32,
                point: u32,
                inputs: &[&[u8]],
                output: &mut [u8],
            ) -> Result<usize, WorkloadError> {
                let digest_of = |input: &&[u8]| {
                    let bytes = (*input).try_into();
                    bytes.map(u64::from_le_bytes).map_err(|_| WorkloadError::Operator("no output".into()))
                };
                let input = inputs.first().map_or(Ok(0), digest_of)?;
                let digest = self.0.digest(step.into(), point.into(), input);
                let Some(room) = output.get_mut(..OUTPUT) else {
                    return Err(WorkloadError::Argument("an output has 8 bytes".into()));
                };
                room.copy_from_slice(&digest.to_le_bytes());
                Ok(OUTPUT)
            }

            fn oracle(&self, sink: &mut dyn FnMut(&[u8])) {
                self.0.oracle(sink);
            }
        }
    };
}

workload!(Rotating, "rotating_graph", false, 0, 1_000_000_000);
workload!(Growing, "growing_graph", true, 0, 1_000_000_000);
// Its kernels cannot be as short and as long as those of a sweep.
workload!(Short, "short_graph", false, 1, 1_000_000);
