//! What a comparison shows before it runs, and what it came to.

use std::path::Path;

use serde_json::json;

use super::plan_file::PlanFile;
use crate::app::context::Context;
use crate::app::options::{push, seconds};
use crate::app::reproduce::push_plugin_folders;
use crate::app::ui::Ui;
use crate::app::{Exit, Problem, reports};
use crate::compare;
use crate::compare::model::Rigor;
use crate::plan::{Cell, Plan, estimate};
use crate::record::writer::TRIALS;
use crate::run::participants::Participants;
use crate::shell;
use crate::stats::WarmUp;
use crate::text::plural;

/// Seconds that an engine takes to start, be looked at and stop when nothing is known of it.
const SESSION: f64 = 2.0;
/// Seconds of a run when nothing is known of it: what the usual sizes aim at.
const RUN: f64 = 1.0;

/// Every cell in its order, and how long all of it may take.
pub(super) fn preview(plan: &Plan, warm_up: &WarmUp, json: bool) -> String {
    let estimate = estimate(&plan.blocks, warm_up, SESSION, RUN);
    let trials: Vec<_> = plan.trials().collect();
    if json {
        let (least, most) = (estimate.least_seconds, estimate.most_seconds);
        return json!({"trials": trials, "plan_hash": plan.hash(), "least_seconds": least, "most_seconds": most}).to_string();
    }
    let lines = plan.blocks.iter().flat_map(|block| {
        block.sessions.iter().flat_map(move |session| {
            let line = |cell: &Cell| {
                format!("block {}  {}  {}\n", block.index + 1, session.backend.name, cell.point)
            };
            session.cells.iter().map(line).collect::<Vec<_>>()
        })
    });
    format!(
        "{}{} in {}: between {:.0} and {:.0} minutes, if a run takes a second\n",
        lines.collect::<String>(),
        plural(trials.len() as u64, "trial"),
        plural(plan.blocks.len() as u64, "block"),
        estimate.least_seconds / 60.0,
        (estimate.most_seconds / 60.0).ceil(),
    )
}

/// Compares what is recorded in `folder`, writes the reports beside it, and shows the summary.
pub(super) fn report(
    file: &PlanFile,
    participants: &Participants,
    context: &Context,
    folder: &Path,
    ui: &mut Ui,
) -> Result<Exit, Problem> {
    let read = reports::read(&[folder.join(TRIALS)], ui)?;
    let options =
        compare::Options { baseline: Some(file.baseline.clone()), rigor: file.rigor, insist: file.insist };
    let comparison = reports::compared(&read.inputs, read.left_out, &options)?;
    let command = again(file, participants, context);
    let (page, markdown) =
        (reports::page(&comparison, Some(&command))?, crate::report::markdown(&comparison));
    let text = reports::text(&comparison);
    reports::publish(folder, "comparison", &comparison, &page, &markdown, &text, ui)?;
    let samples = comparison.points.iter().flat_map(|point| &point.rows).flat_map(|row| &row.samples);
    Ok(Exit::of_worst(&samples.map(|sample| sample.status).collect::<Vec<_>>()))
}

/// The command that measures all of it again, as a new run.
fn again(file: &PlanFile, participants: &Participants, context: &Context) -> String {
    let matrix = &file.matrix;
    let mut words = vec!["compare".to_owned()];
    let list = |values: Vec<String>| values.join(",");
    let names = matrix.backends.iter().map(|backend| file.named(&backend.name));
    push(&mut words, "backends", list(names.collect()));
    push(&mut words, "workloads", list(matrix.workloads.iter().map(|it| it.name.clone()).collect()));
    push(&mut words, "schedulers", matrix.schedulers.join(","));
    if let Some(items) = matrix.items_if_not_default() {
        push(&mut words, "items", list(items.iter().map(u64::to_string).collect()));
    }
    push(&mut words, "parallelism", list(matrix.parallelisms.iter().map(u32::to_string).collect()));
    push(&mut words, "baseline", &file.baseline);
    match file.rigor {
        Rigor::Quick => words.push("--quick".into()),
        Rigor::Standard => push(&mut words, "blocks", matrix.blocks),
        Rigor::Publish => words.push("--publish".into()),
    }
    if matrix.aa.is_some() {
        words.push("--aa".into());
    }
    for (key, value) in &matrix.options {
        push(&mut words, "extra", format!("{key}={value}"));
    }
    push(&mut words, "seed", matrix.seed);
    push(&mut words, "nodes", matrix.nodes);
    push(&mut words, "timeout", seconds(file.timeout()));
    file.limits.unwrap_or_default().push(&mut words);
    if file.insist {
        words.push("--insist".into());
    }
    push_plugin_folders(&mut words, participants, context);
    file.guards().push(&mut words);
    shell::command("crossrun", words)
}
