//! The graphs of the tasks that were run.

use minijinja::{Value, context};

use super::layout::{Group, Layout, PlacedPoint};
use crate::compare::model::Comparison;
use crate::report::graph::svg;
use crate::report::labels;
use crate::text::plural;

/// A picture for each point whose graph is known.
pub(super) fn graphs(comparison: &Comparison, layout: &Layout<'_>) -> Vec<Value> {
    let picture = |group: &Group<'_>, point: &PlacedPoint<'_>| {
        let graph = comparison.graphs.get(&point.point.id)?;
        Some(context! {
            group => group.number,
            id => &point.id,
            workload => &group.workload,
            settings => labels::settings(point.point),
            tasks => plural(graph.tasks.len() as u64, "task"),
            svg => svg(graph),
        })
    };
    let of_group = |group| {
        let group: &Group<'_> = group;
        group.points.iter().filter_map(move |point| picture(group, point))
    };
    layout.groups.iter().flat_map(of_group).collect()
}
