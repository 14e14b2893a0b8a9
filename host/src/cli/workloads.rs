//! `crossrun workloads`: lists the workloads, or describes one.

mod show;

use comfy_table::Table;
use plugin_api::workload::CatalogueEntry;
use plugin_api::{Parameter, Plan, StageKind};
use serde_json::json;

use crate::app::context::Context;
use crate::app::ui::Ui;
use crate::app::{Exit, GlobalArguments, Problem};
use crate::cli::new::{self, WorkloadLanguage};
use crate::plugin::inspect::Inspected;
use crate::text::{json_text, lines, single_line, table, word};
use crate::worker::protocol::Folders;

#[derive(clap::Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Arguments {
    /// Show only this workload, with its parameters and its plan.
    name: Option<String>,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Create a project for a new workload, which builds, runs on every backend, and has a test.
    New(new::Arguments<WorkloadLanguage>),
    /// Show items of a workload: what its source makes, what a stage makes of that, or what must come out.
    Show(show::Arguments),
}

pub(super) fn run(global: &GlobalArguments, arguments: &Arguments, ui: &mut Ui) -> Result<Exit, Problem> {
    match &arguments.verb {
        Some(Verb::New(arguments)) => return new::workload(global, arguments, ui),
        Some(Verb::Show(arguments)) => return show::run(global, arguments, ui),
        None => {}
    }
    let context = Context::new(global, ui)?;
    let folders = context.folders(&format!("workloads-{}", std::process::id()))?;
    let text = match &arguments.name {
        Some(name) => one(&context, name, &folders, ui),
        None => Ok(all(&context, &folders, ui)),
    };
    context.tidy(&folders);
    ui.result(&text?);
    Ok(Exit::Done)
}

fn one(context: &Context, name: &str, folders: &Folders, ui: &Ui) -> Result<String, Problem> {
    let library = context.workload_library(name);
    let again = |name: &str| context.in_folders(format!("crossrun workloads {name}"));
    let library = library.map_err(|problem| problem.with_name("--workload", again))?;
    let mut judge = context.judge(&library, folders)?;
    let entry = crate::app::context::entry(&mut judge, name);
    judge.end();
    let entry = entry?;
    Ok(if ui.json() { json!(entry).to_string() } else { page(&entry) })
}

fn all(context: &Context, folders: &Folders, ui: &mut Ui) -> String {
    let mut entries = Vec::new();
    for library in context.inventory.libraries.items() {
        // A workload of the same name in an earlier folder shadows this one.
        let is_visible = |name: &str| {
            context.inventory.workloads.get(name).is_ok_and(|leads: &Inspected| leads.path == library.path)
        };
        // A library that fails must not hide the others.
        match context.identify(library).and_then(|library| context.catalogue(&library, folders)) {
            Ok(found) => entries.extend(found.into_iter().filter(|entry| is_visible(&entry.name))),
            Err(problem) => ui.warning(&problem.line()),
        }
    }
    entries.sort_by(|one: &CatalogueEntry, other| one.name.cmp(&other.name));
    if ui.json() { json!(entries).to_string() } else { overview(&entries) }
}

fn overview(entries: &[CatalogueEntry]) -> String {
    if entries.is_empty() {
        return "no workloads were found; `crossrun backends` shows which folders were searched".into();
    }
    let mut table = table(["workload", "what it shows", "parameters"]);
    for entry in entries {
        let parameters: Vec<_> = entry.parameters.iter().map(assignment).collect();
        table.add_row([entry.name.clone(), single_line(&entry.description), parameters.join(" ")]);
    }
    lines(&table)
}

/// A parameter and its default, as `--extra` takes it.
fn assignment(parameter: &Parameter) -> String {
    single_line(&format!("{}={}", parameter.name, json_text(&parameter.default)))
}

fn page(entry: &CatalogueEntry) -> String {
    let mut text =
        format!("{}: {}\n\nplan: {}\n", entry.name, single_line(&entry.description), chain(&entry.plan));
    if !entry.needs.is_empty() {
        text.push_str(&format!(
            "\nneeds a backend that supports: {}\n",
            single_line(&entry.needs.join(", "))
        ));
    }
    if !entry.parameters.is_empty() {
        text.push_str("\nparameters (--extra KEY=VALUE):\n");
        text.push_str(&lines(&parameters(&entry.parameters)));
    }
    text
}

fn parameters(parameters: &[Parameter]) -> Table {
    let mut table = table(["default", "meaning", "may be"]);
    for parameter in parameters {
        let (meaning, domain) =
            (single_line(&parameter.description), single_line(&parameter.domain.to_string()));
        table.add_row([assignment(parameter), meaning, domain]);
    }
    table
}

/// The stages of a plan, in one line.
fn chain(plan: &Plan) -> String {
    let stage = |stage: &plugin_api::Stage| match stage.kind {
        StageKind::Source | StageKind::Sink => word(stage.kind),
        other => format!("{} ({})", single_line(&stage.name), word(other)),
    };
    plan.stages.iter().map(stage).collect::<Vec<_>>().join(" → ")
}
