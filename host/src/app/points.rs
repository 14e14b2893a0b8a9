//! Whether the values of each point of a comparison go together: each by itself may be one that the workload can have.

use std::time::{Duration, Instant};

use plugin_api::ErrorKind;
use plugin_api::workload::CatalogueEntry;

use super::Problem;
use super::context::Context;
use crate::first_seen::distinct;
use crate::plan::{Cell, Matrix, Plan, WorkloadChoice};
use crate::run::judge::Judge;
use crate::run::session::{CallError, Fault};
use crate::text::listed;
use crate::worker::protocol::Folders;

/// For so long points are tried at most, as another measurement may be going on. Of a point that was not tried, its trials tell.
const MOST: Duration = Duration::from_secs(5);

/// A point that its workload refuses, and how it does.
type Refused<'p> = (&'p Cell, CallError);

/// Refuses a comparison all of whose points their workloads refuse, as each of its trials would fail. Returns a warning if that is so of
/// some of them: the others are measured. `entries` has what the libraries list of the workloads. Only those are tried that have a value of
/// their own parameters from the command line.
pub(crate) fn check(
    matrix: &Matrix,
    plan: &Plan,
    entries: &[Option<CatalogueEntry>],
    context: &Context,
) -> Result<Option<String>, Problem> {
    let chosen = with_chosen_values(matrix, entries);
    if chosen.is_empty() {
        return Ok(None);
    }
    let all = points(matrix, plan);
    let tried: Vec<_> =
        all.iter().copied().filter(|cell| chosen.contains(&cell.spec.name.as_str())).collect();
    let folders = context.folders("compare")?;
    let refused = refused(&tried, context, &folders);
    context.tidy(&folders);
    let refused = refused?;
    match refused.first() {
        None => Ok(None),
        Some(first) if refused.len() == all.len() => Err(refusal(first, matrix)),
        Some(_) => Ok(Some(warning(&refused))),
    }
}

/// The workloads that have a value of one of their own parameters from the command line.
fn with_chosen_values<'m>(matrix: &'m Matrix, entries: &[Option<CatalogueEntry>]) -> Vec<&'m str> {
    let has_chosen = |workload: &WorkloadChoice, entry: &CatalogueEntry| {
        let is_varied = |key: &str| workload.vary.iter().any(|variation| variation.key == key);
        let mut own = entry.parameters.iter().map(|parameter| parameter.name.as_str());
        own.any(|key| matrix.options.contains_key(key) || is_varied(key))
    };
    let pairs = matrix.workloads.iter().zip(entries);
    let chosen = pairs.filter(|(workload, entry)| entry.as_ref().is_some_and(|it| has_chosen(workload, it)));
    chosen.map(|(workload, _)| workload.name.as_str()).collect()
}

/// The cells of one session with one scheduler, by their names: those of the others have the same values.
fn points<'p>(matrix: &Matrix, plan: &'p Plan) -> Vec<&'p Cell> {
    let session = plan.blocks.first().and_then(|block| block.sessions.first());
    let cells = session.into_iter().flat_map(|session| &session.cells);
    let mut points: Vec<_> =
        cells.filter(|cell| matrix.schedulers.first() == Some(&cell.spec.scheduler_name)).collect();
    points.sort_by(|one, other| one.point.cmp(&other.point));
    points
}

/// Those of `cells`, which are in the order of their workloads, that are refused.
fn refused<'p>(
    cells: &[&'p Cell],
    context: &Context,
    folders: &Folders,
) -> Result<Vec<Refused<'p>>, Problem> {
    let (until, mut refused) = (Instant::now() + MOST, Vec::new());
    for cells in cells.chunk_by(|one, other| one.spec.name == other.spec.name) {
        let Some(first) = cells.first().filter(|_| Instant::now() < until) else { break };
        let mut judge = context.judge(&context.workload_library(&first.spec.name)?, folders)?;
        let tried = try_each(cells, &mut judge, until, &mut refused);
        judge.end();
        // What else is wrong, as with a library that crashes, each trial says.
        if let Err(error) = tried
            && error.fault == Fault::Interrupted
        {
            return Err(error.into());
        }
    }
    Ok(refused)
}

/// Tries the cells of one workload, until one is not answered.
fn try_each<'p>(
    cells: &[&'p Cell],
    judge: &mut Judge,
    until: Instant,
    refused: &mut Vec<Refused<'p>>,
) -> Result<(), CallError> {
    for cell in cells {
        match judge.check(&cell.spec, until.saturating_duration_since(Instant::now())) {
            Err(error) if error.fault == Fault::Reported(ErrorKind::InvalidSpec) => {
                refused.push((*cell, error));
            }
            answer => answer?,
        }
    }
    Ok(())
}

fn refusal((cell, error): &Refused<'_>, matrix: &Matrix) -> Problem {
    let is_varied = |key: &str| {
        matrix.workloads.iter().flat_map(|workload| &workload.vary).any(|variation| variation.key == key)
    };
    // A key that is varied is not taken by another option, too.
    let varied = |remedy: &String| {
        let given = remedy.strip_prefix("--extra ")?;
        let (key, _) = given.split_once('=')?;
        is_varied(key).then(|| format!("--vary {given}"))
    };
    let remedy = error.remedy.as_ref().map(|remedy| varied(remedy).unwrap_or_else(|| remedy.clone()));
    Problem::usage(format!("{}: {}", cell.spec.name, error.message)).with_remedy(remedy.unwrap_or_default())
}

fn warning(refused: &[Refused<'_>]) -> String {
    let whys = distinct(refused.iter().map(|(cell, error)| format!("{}: {}", cell.spec.name, error.message)));
    format!("each trial will fail at points whose values do not go together: {}", listed(whys.iter()))
}
