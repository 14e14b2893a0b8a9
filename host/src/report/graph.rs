//! The graph of a workload's tasks as a picture (SVG): a row for each step, from above, and a column for each point.

use std::collections::BTreeSet;

use crate::worker::protocol::{Edge, ShownGraph};

/// Between two columns, between two rows, and around all, in pixels.
const COLUMN: usize = 28;
const ROW: usize = 44;
const MARGIN: usize = 40;
const RADIUS: usize = 7;

/// The picture. Each task and each edge has a title, which browsers show below the pointer.
pub(crate) fn svg(graph: &ShownGraph) -> String {
    // By place and not by number, as a plugin chose the numbers.
    let distinct = |of: fn(&(u64, u64)) -> u64| graph.tasks.iter().map(of).collect::<BTreeSet<_>>();
    let [steps, points]: [Vec<u64>; 2] =
        [distinct(|task| task.0), distinct(|task| task.1)].map(Vec::from_iter);
    let place = |step: u64, point: u64| {
        let (row, column) = (steps.binary_search(&step).ok()?, points.binary_search(&point).ok()?);
        Some((MARGIN + column * COLUMN, MARGIN + row * ROW))
    };
    let [width, height] = [(points.len(), COLUMN), (steps.len(), ROW)]
        .map(|(number, each)| 2 * MARGIN + number.saturating_sub(1) * each);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"10\" role=\"img\" aria-label=\"tasks and the outputs that they need\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n<g stroke=\"#57606a\">\n"
    );
    for Edge { step, from, to, count } in &graph.edges {
        let Some(next) = step.checked_add(1) else { continue };
        if let (Some((x1, y1)), Some((x2, y2))) = (place(*step, *from), place(next, *to)) {
            let times = if *count > 1 { format!(", {count} times") } else { String::new() };
            // An output that is needed more than once is a thicker line.
            let stroke = (*count).min(4);
            svg += &format!(
                "<line x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\" stroke-width=\"{stroke}\">\
                 <title>step {step}, point {from} to step {next}, point {to}{times}</title></line>\n"
            );
        }
    }
    svg.push_str("</g>\n<g fill=\"#0969da\">\n");
    for (step, point) in &graph.tasks {
        if let Some((x, y)) = place(*step, *point) {
            svg += &format!(
                "<circle cx=\"{x}\" cy=\"{y}\" r=\"{RADIUS}\"><title>step {step}, point {point}</title></circle>\n"
            );
        }
    }
    svg.push_str("</g>\n<g fill=\"#1f2328\" text-anchor=\"middle\">\n");
    for (column, point) in points.iter().enumerate() {
        svg += &format!("<text x=\"{}\" y=\"18\">{point}</text>\n", MARGIN + column * COLUMN);
    }
    for (row, step) in steps.iter().enumerate() {
        svg += &format!("<text x=\"16\" y=\"{}\">{step}</text>\n", MARGIN + row * ROW + 4);
    }
    svg.push_str("</g>\n</svg>\n");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_and_edge_is_drawn_in_a_small_picture_whatever_their_numbers_are() {
        let last = u64::MAX;
        let edge = |step, from, to, count| Edge { step, from, to, count };
        let graph = ShownGraph {
            tasks: vec![(0, 0), (0, 7), (1, 7), (last, 0)],
            edges: vec![edge(0, 0, 7, 1), edge(0, 7, 7, 2), edge(1, 7, 3, 1), edge(last, 0, 0, 1)],
        };
        let svg = svg(&graph);
        assert!(svg.contains("viewBox=\"0 0 108 168\""), "{svg}");
        assert_eq!((svg.matches("<circle ").count(), svg.matches("<line ").count()), (4, 2), "{svg}");
        assert!(svg.contains("point 7 to step 1, point 7, 2 times"), "{svg}");
        assert!(super::svg(&ShownGraph::default()).contains("viewBox=\"0 0 80 80\""));
    }
}
