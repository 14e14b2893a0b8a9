//! The graphs of the tasks that a comparison ran, for its page. A graph is that of the workload and its options, whatever a backend did.
//! Records do not have it: the workload's library makes it again.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use plugin_api::WorkloadSpec;

use super::context::Context;
use super::ui::Ui;
use super::{GlobalArguments, Problem};
use crate::compare::model::{Comparison, Point, Row, ShownGraph};
use crate::plugin::PluginRef;

/// How many graphs a page shows.
const MAX_GRAPHS: usize = 4;
/// So many tasks are drawn, or fewer if the picture would be too large.
const TASKS: [u64; 3] = [256, 128, 64];
/// The most tasks and edges of a picture, each some hundred bytes of the page.
const MAX_PARTS: usize = 1500;

/// The graphs of records that were made before, perhaps elsewhere.
pub(crate) struct GraphsOfRecords<'g> {
    global: &'g GlobalArguments,
    /// None if this machine has no folders of plugins that can be used.
    context: OnceCell<Option<Context>>,
}

impl<'g> GraphsOfRecords<'g> {
    pub(crate) fn new(global: &'g GlobalArguments) -> Self {
        Self { global, context: OnceCell::new() }
    }

    /// Adds the graphs of a comparison. Only libraries in the folders of plugins are loaded, and only if they are those of the records.
    pub(crate) fn add(&self, comparison: &mut Comparison, ui: &mut Ui) {
        if !comparison.points.iter().any(has_graph) {
            return;
        }
        let context = self.context.get_or_init(|| {
            let context = Context::new(self.global, ui);
            context.inspect_err(|problem| log::info!("no graphs: {}", problem.line())).ok()
        });
        if let Some(context) = context {
            comparison.graphs = of_points(&comparison.points, context);
        }
    }
}

/// The first tasks of the graph of each point that has one, by the point's id. Where a graph cannot be had, the page is without it.
pub(crate) fn of_points(points: &[Point], context: &Context) -> BTreeMap<String, ShownGraph> {
    let graphs = points.iter().filter(|point| has_graph(point)).take(MAX_GRAPHS).filter_map(|point| {
        let graph = first_tasks(point, context);
        let graph = graph.inspect_err(|problem| log::info!("no graph of {}: {}", point.id, problem.line()));
        Some((point.id.clone(), graph.ok()??))
    });
    graphs.collect()
}

fn has_graph(point: &Point) -> bool {
    point.rows.iter().any(|row| row.form.is_some())
}

/// The graph of as many tasks as make a small picture.
fn first_tasks(point: &Point, context: &Context) -> Result<Option<ShownGraph>, Problem> {
    let (name, library) = context.workload(&point.workload)?;
    if !is_of_records(&library, &point.rows) {
        log::info!("no graph of {}: {} is not the library of the records", point.id, library.path.display());
        return Ok(None);
    }
    let folders = context.folders(&format!("graphs-{}", std::process::id()))?;
    let mut judge = context.judge(&library, &folders)?;
    let spec = |tasks: u64| WorkloadSpec {
        name: name.clone(),
        total_items: point.items.unwrap_or(tasks).min(tasks),
        extra: point.extra.clone(),
        ..WorkloadSpec::default()
    };
    let is_small = |graph: &ShownGraph| graph.tasks.len() + graph.edges.len() <= MAX_PARTS;
    let small = TASKS.into_iter().filter_map(|tasks| judge.show_graph(&spec(tasks)).ok()).find(is_small);
    judge.end();
    context.tidy(&folders);
    Ok(small.filter(|graph| !graph.tasks.is_empty()))
}

/// Whether all rows with a graph ran it with this library.
fn is_of_records(library: &PluginRef, rows: &[Row]) -> bool {
    let recorded = rows.iter().filter(|row| row.form.is_some()).map(|row| row.workload_library.as_ref());
    recorded.into_iter().all(|recorded| recorded.is_some_and(|it| it.sha256 == library.sha256))
}
