//! The graphs of the tasks that a comparison ran, for its page. A graph is that of the workload and its options, whatever a backend did.

use std::collections::BTreeMap;

use plugin_api::WorkloadSpec;

use crate::app::Problem;
use crate::app::context::Context;
use crate::compare::model::{Point, ShownGraph};

/// How many graphs a page shows.
const MAX_GRAPHS: usize = 4;
/// So many tasks are drawn, or fewer if the picture would be too large.
const TASKS: [u64; 3] = [256, 128, 64];
/// The most tasks and edges of a picture, each some hundred bytes of the page.
const MAX_PARTS: usize = 1500;

/// The first tasks of the graph of each point that has one, by the point's id. Where a graph cannot be had, the page is without it.
pub(super) fn of_points(points: &[Point], context: &Context) -> BTreeMap<String, ShownGraph> {
    let has_graph = |point: &&Point| point.rows.iter().any(|row| row.form.is_some());
    let graphs = points.iter().filter(has_graph).take(MAX_GRAPHS).filter_map(|point| {
        let graph = first_tasks(point, context);
        let graph = graph.inspect_err(|problem| log::info!("no graph of {}: {}", point.id, problem.line()));
        Some((point.id.clone(), graph.ok()??))
    });
    graphs.collect()
}

/// The graph of as many tasks as make a small picture.
fn first_tasks(point: &Point, context: &Context) -> Result<Option<ShownGraph>, Problem> {
    let (name, library) = context.workload(&point.workload)?;
    let folders = context.folders(&format!("graphs-{}", std::process::id()))?;
    let mut judge = context.judge(&library, &folders)?;
    let spec = |tasks: u64| WorkloadSpec {
        name: name.clone(),
        total_items: point.items.unwrap_or(tasks).min(tasks),
        extra: point.extra.clone().into_iter().collect(),
        ..WorkloadSpec::default()
    };
    let is_small = |graph: &ShownGraph| graph.tasks.len() + graph.edges.len() <= MAX_PARTS;
    let small = TASKS.into_iter().filter_map(|tasks| judge.show_graph(&spec(tasks)).ok()).find(is_small);
    judge.end();
    context.tidy(&folders);
    Ok(small.filter(|graph| !graph.tasks.is_empty()))
}
