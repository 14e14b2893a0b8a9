//! `crossrun metg --pattern`: sweeps whose tasks need the outputs of others.

use serde_json::{Map, Value, json};

use crate::app::command_line::CommandLine;
use crate::app::context::Context;
use crate::app::{Problem, parameters};
use crate::plan::defaults::{TASK_GRAPH, WITH_NARROW_ROWS, WITH_RADIX};
use crate::plan::{Variation, WorkloadChoice};

/// The keys of `extra` that a sweep over graphs sets, and `imbalance`: the time of one task is that of each.
pub(super) const SWEPT_KEYS: [&str; 7] =
    ["batch_size", "imbalance", "iters", "kernel", "output_bytes", "pattern", "radix"];

/// The largest number of steps that a plan of stages has.
const STEPS: u64 = 100;
/// The start and the end of a graph, where not all cores have a task, are a larger part of so few steps.
const QUICK_STEPS: u64 = 32;
/// In narrower rows most patterns are the same graph.
const LEAST_WIDTH: u64 = 8;
/// Where none is named; those of the workload.
const RADIX: u64 = 3;
const OUTPUT_BYTES: u64 = 64;

#[derive(clap::Args, Debug)]
pub(super) struct GraphArguments {
    /// Measure tasks that need the outputs of others: those of the workload task_graph with these patterns, each in rows of its own.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(super) pattern: Vec<String>,
    /// How many inputs a task has with the patterns nearest, spread and random_nearest [default: 3].
    #[arg(long, value_name = "COUNTS", value_delimiter = ',', requires = "pattern")]
    pub(super) radix: Vec<u64>,
    /// How many bytes the output of a task has [default: 64].
    #[arg(long, value_name = "COUNTS", value_delimiter = ',', requires = "pattern")]
    pub(super) output_bytes: Vec<u64>,
}

impl GraphArguments {
    pub(super) fn are_given(&self) -> bool {
        !self.pattern.is_empty()
    }

    /// The graphs of each pattern, as wide for all of them, on so many cores.
    pub(super) fn workloads(
        &self,
        options: &Map<String, Value>,
        cores: u32,
        quick: bool,
    ) -> Result<Vec<WorkloadChoice>, Problem> {
        if let Some(pattern) = self.pattern.iter().find(|name| WITH_NARROW_ROWS.contains(&name.as_str())) {
            let message = format!(
                "--pattern {pattern}: its first rows have fewer tasks than there are cores, so its efficiency says nothing of a backend"
            );
            return Err(Problem::usage(message).with_remedy("--pattern trivial,stencil_1d,fft"));
        }
        let width = self.width(options, cores)?;
        let steps = if quick { QUICK_STEPS } else { STEPS };
        let workload = |pattern: &String| WorkloadChoice {
            name: TASK_GRAPH.into(),
            items: vec![width * steps],
            extra: Map::from_iter([("batch_size".to_owned(), json!(1)), ("width".to_owned(), json!(width))]),
            vary: self.variations(pattern),
            ..WorkloadChoice::default()
        };
        Ok(self.pattern.iter().map(workload).collect())
    }

    /// Adds these options, as far as they are given.
    pub(super) fn add_to(&self, command: &mut CommandLine) {
        let Self { pattern, radix, output_bytes } = self;
        let numbers = |values: &[u64]| values.iter().map(u64::to_string).collect::<Vec<_>>();
        let lists = [
            ("pattern", pattern.clone()),
            ("radix", numbers(radix)),
            ("output-bytes", numbers(output_bytes)),
        ];
        for (option, values) in lists.into_iter().filter(|(_, values)| !values.is_empty()) {
            command.list(option, values);
        }
    }

    fn variations(&self, pattern: &str) -> Vec<Variation> {
        let variation = |key: &str, values: &[u64], default: u64| {
            let values = if values.is_empty() { &[default] } else { values };
            Variation { key: key.into(), values: values.iter().copied().map(Value::from).collect() }
        };
        let radix = WITH_RADIX.contains(&pattern).then(|| variation("radix", &self.radix, RADIX));
        let pattern = Variation { key: "pattern".into(), values: vec![pattern.into()] };
        let output_bytes = variation("output_bytes", &self.output_bytes, OUTPUT_BYTES);
        [pattern].into_iter().chain(radix).chain([output_bytes]).collect()
    }

    /// A multiple of the number of cores, so that no core lacks a task in any row.
    fn width(&self, options: &Map<String, Value>, cores: u32) -> Result<u64, Problem> {
        let cores = u64::from(cores.max(1));
        let least = self.radix.iter().copied().max().unwrap_or_default().max(LEAST_WIDTH);
        let Some(given) = options.get("width") else { return Ok(least.next_multiple_of(cores)) };
        let is_multiple = |width: &u64| *width > 0 && width.is_multiple_of(cores);
        given.as_u64().filter(is_multiple).ok_or_else(|| {
            let message = format!(
                "--extra width={given}: it must be a multiple of the {cores} cores, so that none lacks a task"
            );
            Problem::usage(message).with_remedy(format!("--extra width={}", least.next_multiple_of(cores)))
        })
    }
}

/// Refuses a value of these options that the workload cannot have.
pub(super) fn check(workloads: &[WorkloadChoice], context: &Context) -> Result<(), Problem> {
    let entries = parameters::entries(workloads, context)?;
    for (workload, entry) in workloads.iter().zip(&entries) {
        let own = parameters::declared(entry.as_ref());
        for variation in &workload.vary {
            if let Some(parameter) = own.iter().find(|parameter| parameter.name == variation.key) {
                let option = format!("--{}", variation.key.replace('_', "-"));
                parameters::check(variation, parameter, &workload.name, &option)?;
            }
        }
    }
    Ok(())
}
