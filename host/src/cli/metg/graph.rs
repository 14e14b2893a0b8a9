//! `crossrun metg --pattern` and `--workload`: sweeps whose tasks need the outputs of others.

use plugin_api::workload::CatalogueEntry;
use plugin_api::{GraphShape, Parameter, Parameters, WorkloadSpec};
use serde_json::{Map, Value, json};

use crate::app::command_line::CommandLine;
use crate::app::context::Context;
use crate::app::{Problem, options, parameters};
use crate::cli::compare::vary::{Varied, argument};
use crate::first_seen::distinct;
use crate::metg::{ITERATIONS, MOST_ITERATIONS};
use crate::plan::defaults::{TASK_GRAPH, WITH_RADIX};
use crate::plan::{Variation, WorkloadChoice};
use crate::run::judge::Judge;
use crate::shell;
use crate::text::json_text;

/// The keys that a sweep over graphs sets, or that have options of their own.
const SWEPT_KEYS: [&str; 5] = ["batch_size", ITERATIONS, OUTPUT_BYTES, PATTERN, RADIX];
/// Those of the default workload besides: the time of one task is that of each.
const KERNEL_KEYS: [&str; 2] = ["imbalance", "kernel"];

const PATTERN: &str = "pattern";
const RADIX: &str = "radix";
const OUTPUT_BYTES: &str = "output_bytes";
const WIDTH: &str = "width";
const ITEMS: &str = "items";
const PARALLELISM: &str = "parallelism";
/// What all graphs of a run have in common.
const SIZES: [&str; 3] = [WIDTH, ITEMS, PARALLELISM];
/// The parameters that the workload of a sweep must have.
const NEEDED: [(&str, &str); 2] =
    [(WIDTH, "the number of tasks of a row"), (ITERATIONS, "the length of the kernel")];

/// The default number of steps: the largest that a plan of stages has.
const STEPS: u64 = 100;
/// The smallest number: the start and the end of a graph, where not all cores have a task, are a larger part of so few steps.
const QUICK_STEPS: u64 = 32;
/// The largest number that the default workload has: what it says of more has an option of `run` as its remedy.
const MOST_STEPS: u64 = 1 << 24;
/// A graph that is too large to be read is judged by its first steps.
const FIRST_STEPS: u64 = 4;
/// In narrower rows most patterns are the same graph.
const LEAST_WIDTH: u64 = 8;

#[derive(clap::Args, Debug)]
pub(super) struct GraphArguments {
    /// Measure the tasks of this workload, whose description has a graph of tasks, such as task_graph [default: task_graph if
    /// --pattern is given].
    #[arg(long, value_name = "NAME")]
    workload: Option<String>,
    /// Measure tasks that need the outputs of others, in these patterns, each in rows of its own.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pattern: Vec<String>,
    /// How many inputs a task has with the patterns nearest, spread and random_nearest [default: 3].
    #[arg(long, value_name = "COUNTS", value_delimiter = ',', value_parser = options::natural, allow_negative_numbers = true)]
    radix: Vec<u64>,
    /// How many bytes the output of a task has [default: 64].
    #[arg(long, value_name = "COUNTS", value_delimiter = ',', value_parser = options::natural, allow_negative_numbers = true)]
    output_bytes: Vec<u64>,
    /// How many steps each graph has: with more, the start of a run matters less. Backends that run stages have at most 100 [default:
    /// 100, or 32 with --quick].
    #[arg(long, value_name = "COUNT", value_parser = steps, allow_negative_numbers = true)]
    steps: Option<u64>,
    /// Measure the graphs for each value of another parameter of the workload, each in rows of its own. A value is JSON if it parses as
    /// JSON, else a string. Repeatable: every combination is measured.
    #[arg(long, value_name = "KEY=VALUES", value_parser = options::variation)]
    vary: Vec<Variation>,
}

/// The number of steps. That it is not too large is checked with the others.
fn steps(text: &str) -> Result<u64, String> {
    let steps = options::count(text).ok().filter(|steps| *steps >= QUICK_STEPS);
    steps.ok_or_else(|| format!("{text:?} is not a whole number from {QUICK_STEPS} to {MOST_STEPS}"))
}

impl GraphArguments {
    pub(super) fn are_given(&self) -> bool {
        self.workload.is_some() || !self.pattern.is_empty()
    }

    /// The workload as the user names it.
    fn workload(&self) -> &str {
        self.workload.as_deref().unwrap_or(TASK_GRAPH)
    }

    /// The keys of `extra` that a sweep over these graphs sets.
    pub(super) fn swept_keys(&self) -> Vec<&'static str> {
        let own = KERNEL_KEYS.iter().filter(|_| self.workload().eq_ignore_ascii_case(TASK_GRAPH));
        SWEPT_KEYS.iter().chain(own).copied().collect()
    }

    /// Refuses options that say nothing of tasks that are independent of each other, and graphs that are too long.
    pub(super) fn check_given(&self) -> Result<(), Problem> {
        if let Some(steps) = self.steps.filter(|steps| *steps > MOST_STEPS) {
            let message = format!("--steps {steps}: a graph has at most {MOST_STEPS} steps");
            return Err(Problem::usage(message).with_remedy(format!("--steps {STEPS}")));
        }
        let given = [
            ("--radix", !self.radix.is_empty()),
            ("--output-bytes", !self.output_bytes.is_empty()),
            ("--steps", self.steps.is_some()),
            ("--vary", !self.vary.is_empty()),
        ];
        match given.iter().find(|(_, given)| *given && !self.are_given()) {
            Some((option, _)) => Err(Problem::usage(format!(
                "{option} is for tasks that need each other: it needs --pattern or --workload"
            ))
            .with_remedy("--pattern stencil_1d")),
            None => Ok(()),
        }
    }

    /// The graphs of each pattern, as wide for all of them, on so many cores.
    pub(super) fn workloads(
        &self,
        options: &Map<String, Value>,
        cores: u32,
        quick: bool,
        context: &Context,
    ) -> Result<Vec<WorkloadChoice>, Problem> {
        let entry = described(self.workload(), context)?;
        self.check_varied(&entry, options)?;
        let width = self.width(options, cores)?;
        check_value(&entry, "--extra width", WIDTH, vec![width.into()])?;
        let steps = self.steps.unwrap_or(if quick { QUICK_STEPS } else { STEPS });
        let workload = |pattern: Option<&String>| WorkloadChoice {
            name: entry.name.clone(),
            items: vec![width.saturating_mul(steps)],
            extra: Map::from_iter([("batch_size".to_owned(), json!(1)), (WIDTH.to_owned(), json!(width))]),
            vary: self.variations(pattern, &entry),
            ..WorkloadChoice::default()
        };
        let workloads: Vec<_> = match self.pattern.as_slice() {
            [] => vec![workload(None)],
            patterns => patterns.iter().map(|pattern| workload(Some(pattern))).collect(),
        };
        check_rows(&workloads, options, width, context)?;
        Ok(workloads)
    }

    /// Adds these options, as far as they are given.
    pub(super) fn add_to(&self, command: &mut CommandLine) {
        let Self { workload, pattern, radix, output_bytes, steps, vary } = self;
        command
            .options("workload", workload)
            .list("pattern", pattern)
            .list("radix", radix)
            .list("output-bytes", output_bytes)
            .options("steps", steps)
            .options("vary", vary.iter().map(argument));
    }

    /// Refuses what the workload does not read, and values that it cannot have.
    fn check_varied(&self, entry: &CatalogueEntry, extra: &Map<String, Value>) -> Result<(), Problem> {
        let numbers = |values: &[u64]| values.iter().copied().map(Value::from).collect();
        let patterns = self.pattern.iter().map(|name| name.as_str().into()).collect();
        check_value(entry, "--pattern", PATTERN, patterns)?;
        check_value(entry, "--radix", RADIX, numbers(&self.radix))?;
        check_value(entry, "--output-bytes", OUTPUT_BYTES, numbers(&self.output_bytes))?;
        let sets = |key: &&str| self.swept_keys().contains(key) || SIZES.contains(key);
        if let Some(Variation { key, values }) = self.vary.iter().find(|it| sets(&it.key.as_str())) {
            let message = format!("--vary {key} is not allowed: a sweep sets it, or an option of its own");
            return Err(Problem::usage(message).with_remedy(instead("--vary", key, values)));
        }
        let Varied { options, .. } = Varied::of(&[], &[], extra, &self.vary)?;
        options
            .into_iter()
            .try_for_each(|it| check_value(entry, &format!("--vary {}", it.key), &it.key, it.values))
    }

    /// What the graphs with `pattern` have: what the options name, or else the workload's defaults.
    fn variations(&self, pattern: Option<&String>, entry: &CatalogueEntry) -> Vec<Variation> {
        let or_default = |key: &str, values: Vec<Value>| {
            let parameter = entry.parameters.iter().find(|parameter| parameter.name == key)?;
            let values = if values.is_empty() { vec![parameter.default.clone()] } else { values };
            Some(Variation { key: key.into(), values })
        };
        let numbers = |values: &[u64]| values.iter().copied().map(Value::from).collect();
        let pattern = or_default(PATTERN, pattern.map(|name| name.as_str().into()).into_iter().collect());
        let of_pattern = pattern.as_ref().and_then(|it| it.values.first()).and_then(Value::as_str);
        let has_radix = entry.name != TASK_GRAPH || of_pattern.is_some_and(|it| WITH_RADIX.contains(&it));
        let radix = or_default(RADIX, numbers(&self.radix)).filter(|_| has_radix);
        let output_bytes = or_default(OUTPUT_BYTES, numbers(&self.output_bytes));
        pattern.into_iter().chain(radix).chain(output_bytes).chain(self.vary.iter().cloned()).collect()
    }

    /// A multiple of the number of cores, so that no core lacks a task in any row.
    fn width(&self, options: &Map<String, Value>, cores: u32) -> Result<u64, Problem> {
        let cores = u64::from(cores.max(1));
        let least = self.radix.iter().copied().max().unwrap_or_default().max(LEAST_WIDTH);
        let least = least.checked_next_multiple_of(cores).unwrap_or(least);
        let Some(given) = options.get(WIDTH) else { return Ok(least) };
        let is_multiple = |width: &u64| *width > 0 && width.is_multiple_of(cores);
        given.as_u64().filter(is_multiple).ok_or_else(|| {
            let message = format!(
                "--extra width={given}: it must be a multiple of the {cores} cores, so that none lacks a task"
            );
            Problem::usage(message).with_remedy(format!("--extra width={least}"))
        })
    }
}

/// What gives `key` these values in place of `option`, which may not: an option of its own, or nothing but the sweep.
pub(super) fn instead<'v>(option: &str, key: &str, values: impl IntoIterator<Item = &'v Value>) -> String {
    let values: Vec<_> = values.into_iter().map(json_text).collect();
    match key {
        PATTERN | RADIX | OUTPUT_BYTES => {
            format!("--{} {}", key.replace('_', "-"), shell::quote(values.join(",")))
        }
        WIDTH => "--extra width=COUNT, for all graphs".to_owned(),
        ITEMS => "--steps COUNT".to_owned(),
        PARALLELISM => "--cores COUNT".to_owned(),
        _ => format!("leave {option} {key} out"),
    }
}

/// What the library of a workload says of it, if the workload can be swept.
fn described(name: &str, context: &Context) -> Result<CatalogueEntry, Problem> {
    let (name, _) = context.workload(name)?;
    let choice = WorkloadChoice { name: name.clone(), ..WorkloadChoice::default() };
    let entry = parameters::entries(&[choice], context)?.pop().flatten();
    let lacking = entry.as_ref().map_or_else(|| Some("its library does not list it".into()), lacking);
    match entry.filter(|_| lacking.is_none()) {
        Some(entry) => Ok(entry),
        None => {
            let message = format!("--workload {name}: {}", lacking.unwrap_or_default());
            Err(Problem::usage(message).with_remedy("crossrun metg --pattern stencil_1d"))
        }
    }
}

/// What the description of a workload lacks of a graph whose tasks can be made shorter and counted.
fn lacking(entry: &CatalogueEntry) -> Option<String> {
    let Some(GraphShape { whole_rows, kernel_stage, .. }) = entry.plan.graph else {
        return Some("its description has no graph of tasks".into());
    };
    if !whole_rows {
        return Some(
            "its description does not say that its graph has whole_rows, so its tasks are not counted".into(),
        );
    }
    if kernel_stage.is_none() {
        return Some(
            "its description does not say which stage runs the kernel of a task (kernel_stage)".into(),
        );
    }
    let find = |name: &str| entry.parameters.iter().find(|it| it.name == name);
    match NEEDED.iter().find(|(name, _)| find(name).is_none()) {
        Some((name, meaning)) => Some(format!("it has no parameter {name}, {meaning}")),
        None => find(ITERATIONS).and_then(lacking_iterations),
    }
}

/// What the parameter for the length of the kernel lacks: a sweep asks for one iteration and for many, and its reference for none.
fn lacking_iterations(parameter: &Parameter) -> Option<String> {
    let takes = |iterations: u64| {
        let extra = Map::from_iter([(parameter.name.clone(), iterations.into())]);
        Parameters::resolve(std::slice::from_ref(parameter), &extra).is_ok()
    };
    if takes(0) && takes(MOST_ITERATIONS) {
        return None;
    }
    let (name, domain) = (&parameter.name, &parameter.domain);
    Some(format!("its parameter {name} is {domain}, but a sweep needs one from 0 to {MOST_ITERATIONS}"))
}

/// Refuses values of an option that the workload cannot have.
fn check_value(entry: &CatalogueEntry, option: &str, key: &str, values: Vec<Value>) -> Result<(), Problem> {
    if values.is_empty() {
        return Ok(());
    }
    match entry.parameters.iter().find(|parameter| parameter.name == key) {
        Some(parameter) => {
            let variation = Variation { key: key.into(), values };
            parameters::check(&variation, parameter, &entry.name, option)
        }
        None => {
            let names = entry.parameters.iter().map(|parameter| parameter.name.as_str());
            let message = format!("{option}: {} has no parameter {key}", entry.name);
            let read = distinct(names).join(", ");
            Err(Problem::usage(format!("{message}; it reads {read}"))
                .with_remedy(format!("crossrun workloads {}", entry.name)))
        }
    }
}

/// Refuses graphs that do not have a task for each item: where a row has fewer tasks, cores lack one, and the time of a task would
/// be that of too many.
fn check_rows(
    workloads: &[WorkloadChoice],
    options: &Map<String, Value>,
    width: u64,
    context: &Context,
) -> Result<(), Problem> {
    let Some(first) = workloads.first() else { return Ok(()) };
    let (name, library) = context.workload(&first.name)?;
    let folders = context.folders(&format!("metg-{}", std::process::id()))?;
    let mut judge = context.judge(&library, &folders)?;
    let specs = workloads.iter().flat_map(|workload| {
        let spec = |extra| WorkloadSpec {
            name: name.clone(),
            total_items: workload.items.first().copied().unwrap_or_default(),
            extra,
            ..WorkloadSpec::default()
        };
        workload.combinations(options).into_iter().map(spec).collect::<Vec<_>>()
    });
    let checked = specs.into_iter().try_for_each(|spec| check_tasks(&mut judge, spec, width));
    judge.end();
    context.tidy(&folders);
    checked
}

fn check_tasks(judge: &mut Judge, spec: WorkloadSpec, width: u64) -> Result<(), Problem> {
    let (items, pattern) = (spec.total_items, spec.extra.get(PATTERN).cloned());
    let few = WorkloadSpec { total_items: width.saturating_mul(FIRST_STEPS), ..spec.clone() };
    let (graph, items) = match judge.show_graph(&spec) {
        Ok(graph) => (graph, items),
        Err(_) => (judge.show_graph(&few)?, few.total_items),
    };
    let tasks = graph.tasks.len() as u64;
    if tasks == items {
        return Ok(());
    }
    let graph = match pattern.as_ref().and_then(Value::as_str) {
        Some(pattern) => format!("--pattern {pattern}"),
        None => format!("--workload {}", spec.name),
    };
    let message = format!(
        "{graph}: the graph of {items} items has {tasks} tasks, so some rows have fewer tasks than others, and its efficiency \
         says nothing of a backend"
    );
    Err(Problem::usage(message).with_remedy("crossrun metg --pattern trivial,stencil_1d,fft"))
}
