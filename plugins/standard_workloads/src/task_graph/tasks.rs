//! The tasks of a graph: what each makes of its inputs, and the answer of all.

use plugin_api::{GraphShape, WorkloadError};

use super::graph::Graph;
use super::output::{self, HEADER, Header};
use super::work::Work;
use crate::record::Done;

pub(super) struct Tasks {
    graph: Graph,
    work: Work,
    seed: u64,
    output_bytes: usize,
}

impl Tasks {
    pub(super) fn new(graph: Graph, work: Work, seed: u64, output_bytes: usize) -> Self {
        Self { graph, work, seed, output_bytes }
    }

    pub(super) fn graph(&self) -> &Graph {
        &self.graph
    }

    pub(super) fn shape(&self) -> GraphShape {
        let output_bytes = self.output_bytes as u64;
        GraphShape {
            steps: self.graph.steps(),
            width: self.graph.width(),
            output_bytes,
            whole_rows: true,
            ..GraphShape::default()
        }
    }

    /// How many bytes the output of a task has. What no task needs has no payload.
    fn length(&self, step: u64, point: u64) -> usize {
        if self.graph.has_outputs(step, point) { self.output_bytes } else { HEADER }
    }

    /// Runs a task of which the hashes of all inputs have this sum, and appends its output.
    pub(super) fn run(&self, step: u64, point: u64, sum: u64, out: &mut Vec<u8>) {
        self.header(step, point, sum).append_output(self.length(step, point), out);
    }

    /// Runs a task on its inputs, in the order of its edges, and writes its output to the beginning of `out`. Returns the length.
    pub(super) fn run_on(
        &self,
        step: u64,
        point: u64,
        inputs: &[&[u8]],
        out: &mut [u8],
    ) -> Result<usize, WorkloadError> {
        let sum = self.sum_of(step, point, inputs)?;
        let length = self.length(step, point);
        let Some(output) = out.get_mut(..length) else {
            return Err(WorkloadError::Argument(format!(
                "an output of {length} bytes does not fit into {}",
                out.len()
            )));
        };
        self.header(step, point, sum).write_output(output);
        Ok(length)
    }

    /// The sum of the hashes of the inputs, each of which must be the output of the point that its edge names.
    fn sum_of(&self, step: u64, point: u64, inputs: &[&[u8]]) -> Result<u64, WorkloadError> {
        let (mut given, mut sum, mut edges) = (inputs.iter(), Ok(0_u64), 0);
        self.graph.for_each_input(step, point, |from| {
            edges += 1;
            if let (Ok(before), Some(input)) = (&sum, given.next()) {
                let checked =
                    Header::of(input).and_then(|header| self.check_input(step, from, &header, input));
                sum = checked.map(|()| before.wrapping_add(output::hash(input)));
            }
        });
        if edges == inputs.len() {
            return sum;
        }
        let count = inputs.len();
        Err(WorkloadError::Operator(format!(
            "the task of step {step} at point {point} needs {edges} inputs; it was given {count}"
        )))
    }

    fn header(&self, step: u64, point: u64, sum: u64) -> Header {
        let start = output::start(self.seed, step, point, sum);
        let result = self.work.run(start, self.iters(step, point));
        Header { step, point, digest: output::digest(start, result) }
    }

    fn iters(&self, step: u64, point: u64) -> u64 {
        self.work.iters(step * self.graph.width() + point)
    }

    /// Refuses what is not an output of the row before `step`, or not that of the point `from`.
    pub(super) fn check_input(&self, step: u64, from: u64, header: &Header, bytes: &[u8]) -> Done {
        if (header.step.wrapping_add(1), header.point, bytes.len()) == (step, from, self.output_bytes) {
            return Ok(());
        }
        let (Header { step: other, point, .. }, length, wanted) = (header, bytes.len(), self.output_bytes);
        let before = step.wrapping_sub(1);
        Err(WorkloadError::Operator(format!(
            "a task of step {step} needs the output of step {before}, point {from}, of {wanted} bytes; it was given one of step \
             {other}, point {point}, of {length} bytes"
        )))
    }

    /// Passes the header of each output that no task needs to `sink`. It goes along the inputs of each task, where the operators
    /// go along the outputs, and runs no kernel.
    pub(super) fn answer(&self, sink: &mut dyn FnMut(&[u8])) {
        let (mut before, mut bytes) = (Vec::new(), Vec::new());
        for step in 0..self.graph.steps() {
            let row = self.graph.row(step);
            let first_before = self.graph.row(step.saturating_sub(1)).start;
            let mut hashes = Vec::with_capacity(before.len());
            for point in row {
                let mut sum = 0_u64;
                self.graph.for_each_input(step, point, |from| {
                    sum = sum.wrapping_add(
                        before.get((from - first_before) as usize).copied().unwrap_or_default(),
                    );
                });
                let start = output::start(self.seed, step, point, sum);
                let result = self.work.result(start, self.iters(step, point));
                let header = Header { step, point, digest: output::digest(start, result) };
                if self.graph.has_outputs(step, point) {
                    bytes.clear();
                    header.append_output(self.output_bytes, &mut bytes);
                    hashes.push(output::hash(&bytes));
                } else {
                    hashes.push(0);
                    sink(&header.encode());
                }
            }
            before = hashes;
        }
    }
}
