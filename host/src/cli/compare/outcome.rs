//! What `compare` prints: the plan of a dry run, and the report of a comparison.

use std::path::Path;

use serde_json::json;

use super::plan_file::PlanFile;
use super::vary;
use crate::app::command_line::CommandLine;
use crate::app::context::Context;
use crate::app::reproduce::add_plugin_folders;
use crate::app::ui::Ui;
use crate::app::{Exit, Problem, graphs, machine_history, records, reports};
use crate::compare;
use crate::compare::model::{Comparison, Point, RatioInterval, Rigor, Row, Sample, Status};
use crate::plan::{Cell, Plan, estimate};
use crate::record::machine_history::{AaComparison, AaPair};
use crate::record::writer::TRIALS;
use crate::run::participants::Participants;
use crate::run::session::NEGOTIATION;
use crate::stats::WarmUp;
use crate::text::plural;

/// The seconds that an engine is assumed to take to start, be checked and stop.
const SESSION: f64 = 2.0;
/// The seconds that a run is assumed to take: the default sizes aim at that.
const RUN: f64 = 1.0;

/// All trials in their order, and an estimate of the time that they take.
pub(super) fn preview(plan: &Plan, warm_up: &WarmUp, json: bool) -> String {
    let (least, most) = estimate(&plan.blocks, warm_up, SESSION, RUN);
    let trials: Vec<_> = plan.trials().collect();
    if json {
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
        "{}{} in {}: {}, if a run takes a second\n",
        lines.collect::<String>(),
        plural(trials.len() as u64, "trial"),
        plural(plan.blocks.len() as u64, "block"),
        minutes(least, most),
    )
}

/// So many seconds, in minutes: `up to 1 minute`, `about 3 minutes`, `between 3 and 6 minutes`.
fn minutes(least: f64, most: f64) -> String {
    let (least, most) = ((least / 60.0).round() as u64, (most / 60.0).ceil() as u64);
    let noun = plural(most, "minute");
    match least {
        0 => format!("up to {noun}"),
        _ if least == most => format!("about {noun}"),
        _ => format!("between {least} and {noun}"),
    }
}

/// Compares the trials that are recorded in `folder`, writes the reports there, and prints the summary. `command` repeats the
/// comparison. `altered` says which of the files of records were altered during the run, and `kept` whether they are complete.
pub(super) fn report(
    file: &PlanFile,
    context: &Context,
    command: &str,
    folder: &Path,
    (altered, kept): (&[String], Result<(), Problem>),
    ui: &mut Ui,
) -> Result<Exit, Problem> {
    let mut read = records::read(&[folder.join(TRIALS)], ui)?;
    let options =
        compare::Options { baseline: Some(file.baseline.clone()), rigor: file.rigor, insist: file.insist };
    read.altered.splice(0..0, altered.iter().cloned());
    let mut comparison = reports::compared(read, &options)?;
    comparison.graphs = graphs::of_points(&comparison.points, context);
    machine_history::keep_aa(aa_comparison(file, &comparison), context, ui);
    let exit = Exit::of_worst(&statuses(file, &comparison)).unless_altered(altered);
    let published = reports::publish(folder, &comparison, command, ui);
    Ok(ui.unless_lost(kept.and(published), exit))
}

/// The trials of a row that are of this run: earlier versions began a run beside the trials of others.
fn own<'a>(file: &PlanFile, row: &'a Row) -> impl Iterator<Item = &'a Sample> {
    let prefix = format!("{}/", file.matrix.run);
    row.samples.iter().filter(move |sample| sample.run_id.starts_with(&prefix))
}

/// How the trials ended, for the exit code. A trial of a workload that needs what its backend does not support counts only if no
/// workload could run on that backend.
fn statuses(file: &PlanFile, comparison: &Comparison) -> Vec<Status> {
    let rows = || comparison.rows().map(|(_, row)| row);
    let is_unsupported = |row: &Row| {
        !row.failures.is_empty() && row.failures.iter().all(|failure| failure.phase == NEGOTIATION)
    };
    let runs = |backend: &str| rows().any(|row| row.backend == backend && !is_unsupported(row));
    let counted = rows().filter(|row| !is_unsupported(row) || !runs(&row.backend));
    counted.flat_map(|row| own(file, row)).map(|sample| sample.status).collect()
}

/// By how much the two names of the one backend differed; `None` without intervals.
fn aa_comparison(file: &PlanFile, comparison: &Comparison) -> Option<AaComparison> {
    let pairs = comparison.points.iter().filter_map(aa_pair).collect();
    let rows = comparison.rows().map(|(_, row)| row);
    let started = rows.flat_map(|row| own(file, row)).map(|sample| &sample.timestamp).min()?;
    AaComparison::new(&file.matrix.run, started.clone(), file.matrix.blocks, pairs)
}

/// The noise floor of a point.
fn aa_pair(point: &Point) -> Option<AaPair> {
    let floor = point.noise_floor.as_ref()?;
    let is_latency = Some(point.rows.iter().any(|row| row.compared_latency.is_some()));
    let RatioInterval { low, high, .. } = floor.ratio;
    Some(AaPair { point: point.id.clone(), low, high, is_latency })
}

/// The command that repeats the comparison as a new run.
pub(super) fn repeat_command(
    file: &PlanFile,
    participants: &Participants,
    context: &Context,
    no_lock: bool,
) -> String {
    let matrix = &file.matrix;
    let quick = file.rigor == Rigor::Quick;
    let mut command = CommandLine::measuring(&["compare"]);
    command
        .list("backends", matrix.backends.iter().map(|backend| file.backend_argument(&backend.name)))
        .list("workloads", matrix.workloads.iter().map(|workload| &workload.name))
        .list("schedulers", &matrix.schedulers)
        .list("items", matrix.items_if_not_default(quick).unwrap_or_default())
        .list("parallelism", &matrix.parallelisms)
        .option("baseline", &file.baseline)
        .flag("quick", quick)
        .options("blocks", (file.rigor == Rigor::Standard).then_some(matrix.blocks))
        .flag("publish", file.rigor == Rigor::Publish)
        .flag("aa", matrix.aa.is_some())
        .extra(&matrix.options)
        .options("vary", vary::arguments(matrix))
        .option("seed", matrix.seed)
        .options("data-seed", matrix.data_seed)
        .option("nodes", matrix.nodes)
        .duration("timeout", file.timeout());
    file.limits.unwrap_or_default().add_to(&mut command);
    command.options("cores", file.cores).flag("insist", file.insist).flag("no-lock", no_lock);
    add_plugin_folders(&mut command, participants, context);
    file.loading_options().add_to(&mut command);
    command.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::model::{ComparedLatency, NoiseFloor, Spread};

    #[test]
    fn the_time_of_a_plan_has_no_range_where_its_ends_are_one() {
        for (least, most, told) in [
            (5.0, 20.0, "up to 1 minute"),
            (29.0, 65.0, "up to 2 minutes"),
            (31.0, 60.0, "about 1 minute"),
            (115.0, 118.0, "about 2 minutes"),
            (31.0, 61.0, "between 1 and 2 minutes"),
        ] {
            assert_eq!(minutes(least, most), told);
        }
    }

    #[test]
    fn a_noise_floor_is_kept_with_what_was_compared() {
        let spread = Spread { n: 7, min: 0.1, median: 0.2, max: 0.3 };
        let (scheduled, service) = (Vec::new(), Vec::new());
        let compared = ComparedLatency { percentile: "p95".into(), spread, scheduled, service };
        for (compared_latency, is_latency) in [(None, false), (Some(compared), true)] {
            let row = |label: &str| Row {
                label: label.into(),
                compared_latency: compared_latency.clone(),
                ..Row::default()
            };
            let ratio = RatioInterval { low: 0.5, high: 1.1, confidence: 0.95 };
            let names = ["a".to_owned(), "a-again".to_owned()];
            let point = Point {
                id: "mine".into(),
                rows: vec![row("a"), row("a-again")],
                noise_floor: Some(NoiseFloor { names, ratio, factor: 2.0 }),
                ..Point::default()
            };
            let pair = AaPair { point: "mine".into(), low: 0.5, high: 1.1, is_latency: Some(is_latency) };
            assert_eq!(aa_pair(&point), Some(pair));
        }
    }
}
