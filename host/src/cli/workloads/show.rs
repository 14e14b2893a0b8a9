//! `crossrun workloads show`: prints items of a workload, so that its answer can be checked with other programs.

use std::path::{Path, PathBuf};

use plugin_api::WorkloadSpec;
use serde_json::{Map, Value, json};

use crate::app::context::{self, Context};
use crate::app::ui::Ui;
use crate::app::{Exit, GlobalArguments, Problem, options, parameters, records, reports};
use crate::first_seen::distinct;
use crate::plan::defaults::TASK_GRAPH;
use crate::report::svg;
use crate::run::backend::{read_in_trials, without_effect};
use crate::run::executor::MOST_SERIAL_ITEMS;
use crate::run::judge::Judge;
use crate::run::session::{CallError, Fault};
use crate::shell;
use crate::text::json_text;
use crate::worker::protocol::{Folders, ShownGraph, ShownItems};

#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    /// The workload.
    name: String,
    /// The number of items that the source emits.
    #[arg(long, value_name = "COUNT", default_value = "20", value_parser = options::count, allow_negative_numbers = true)]
    items: u64,
    /// Show the items that leave this stage. The source is stage 0.
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = 0,
        conflicts_with = "expected",
        value_parser = options::stage,
        allow_negative_numbers = true
    )]
    stage: usize,
    /// Show the items that must reach the sink. They are compared with the serial oracle first.
    #[arg(long)]
    expected: bool,
    /// The seed of the workload's data.
    #[arg(long, default_value_t = 42, value_parser = options::natural, allow_negative_numbers = true)]
    seed: u64,
    /// A parameter of the workload; the value is JSON, or else text.
    #[arg(long, value_name = "KEY=VALUE", value_parser = options::extra)]
    extra: Vec<(String, Value)>,
    /// Print CSV, with a column for each key.
    #[arg(long)]
    csv: bool,
    /// Draw the graph of the tasks of a workload such as task_graph, a row for each step. The FILE `-` is standard output.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["stage", "expected", "csv"])]
    svg: Option<PathBuf>,
}

pub(super) fn run(global: &GlobalArguments, arguments: &Arguments, ui: &mut Ui) -> Result<Exit, Problem> {
    if arguments.csv && ui.json() {
        return Err(Problem::usage("--csv and --json are two formats").with_remedy("one of the two"));
    }
    if arguments.svg.is_some() && ui.json() {
        return Err(Problem::usage("--svg and --json are two formats").with_remedy("one of the two"));
    }
    if arguments.items > MOST_SERIAL_ITEMS {
        let message = format!("--items {}: at most {MOST_SERIAL_ITEMS} items are shown", arguments.items);
        return Err(Problem::usage(message).with_remedy(format!("--items {MOST_SERIAL_ITEMS}")));
    }
    let context = Context::new(global, ui)?;
    let folders = context.folders(&format!("workloads-{}", std::process::id()))?;
    if let Some(file) = &arguments.svg {
        let graph = of_judge(&context, arguments, &folders, ui, |judge, spec| judge.show_graph(spec));
        context.tidy(&folders);
        return draw(&graph?, arguments, file, ui);
    }
    let stage = Some(arguments.stage).filter(|_| !arguments.expected);
    let shown = of_judge(&context, arguments, &folders, ui, |judge, spec| judge.show(spec, stage));
    context.tidy(&folders);
    let ShownItems { stage, stage_name, items } = shown?;
    if items.is_empty() && !ui.json() {
        return Ok(Exit::Done);
    }
    if ui.json() {
        ui.result(&json!({"stage": stage, "stage_name": stage_name, "items": items}).to_string());
    } else if arguments.csv {
        ui.result(&csv(&items).map_err(|error| Problem::unexpected(&error))?);
    } else {
        let lines = items.into_iter().map(|item| format!("{}\n", Value::Object(item)));
        ui.result(&lines.collect::<String>());
    }
    Ok(Exit::Done)
}

fn draw(graph: &ShownGraph, arguments: &Arguments, file: &Path, ui: &mut Ui) -> Result<Exit, Problem> {
    if graph.tasks.is_empty() {
        let message = format!("{} has no graph: its items do not say to which task they go", arguments.name);
        return Err(
            Problem::usage(message).with_remedy(format!("crossrun workloads show {TASK_GRAPH} --svg -"))
        );
    }
    records::check_output(file)?;
    reports::write(file, &svg(graph), ui)?;
    Ok(Exit::Done)
}

fn of_judge<T>(
    context: &Context,
    arguments: &Arguments,
    folders: &Folders,
    ui: &mut Ui,
    ask: impl FnOnce(&mut Judge, &WorkloadSpec) -> Result<T, CallError>,
) -> Result<T, Problem> {
    let found = context.workload(&arguments.name);
    let again = |name: &str| context.in_folders(format!("crossrun workloads show {name}"));
    let (name, library) = found.map_err(|problem| problem.with_name("--workload", again))?;
    let spec = WorkloadSpec {
        name,
        total_items: arguments.items,
        seed: arguments.seed,
        extra: parameters::extra(&arguments.extra)?,
        ..WorkloadSpec::default()
    };
    let mut judge = context.judge(&library, folders)?;
    let entry = context::entry(&mut judge, &spec.name)?;
    parameters::check_extra_of(&spec.extra, &entry)?;
    let known = read_in_trials(entry.parameters.iter());
    without_effect(&spec.extra, known, "the workload reads").iter().for_each(|warning| ui.warning(warning));
    let answer = ask(&mut judge, &spec).map_err(|error| {
        // This command has no option for the isolation.
        let check = || format!("crossrun backends check {}", shell::quote(&library.path));
        let is_crash = error.fault == Fault::Crashed;
        let problem = Problem::from(error);
        if is_crash { problem.with_remedy(check()) } else { problem }
    });
    judge.end();
    answer
}

/// A line for each item. The text of a string, and the JSON of any other value.
fn csv(items: &[Map<String, Value>]) -> Result<String, csv::Error> {
    let columns = distinct(items.iter().flat_map(Map::keys));
    let cell = |value: Option<&Value>| value.map_or_else(String::new, json_text);
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(&columns)?;
    for item in items {
        writer.write_record(columns.iter().map(|column| cell(item.get(column.as_str()))))?;
    }
    let bytes = writer.into_inner().map_err(|error| error.into_error())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
