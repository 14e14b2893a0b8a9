//! The rows of graphs that differ in one setting, side by side: METG by pattern, by number of inputs, by length of an output, and by
//! what else was varied.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::graph::SweptGraph;
use super::model::{Column, Group, Line, Row, Table};
use crate::first_seen::{distinct, grouped};

/// A setting of graphs.
#[derive(Clone, Copy)]
enum Setting<'a> {
    /// With the number of inputs, if the pattern has one.
    Pattern,
    Radix,
    OutputBytes,
    Other(&'a str),
}

/// What the graphs of a group have in common, and the cores that they ran on.
type Common = (SweptGraph, u32);

/// A table for each setting in which graphs differ.
pub(crate) fn tables(rows: &[Row]) -> Vec<Table> {
    let others: BTreeSet<_> = graphs(rows).flat_map(|(_, _, graph)| graph.settings.keys()).collect();
    let others = others.into_iter().map(|key| Setting::Other(key));
    let settings = [Setting::Pattern, Setting::Radix, Setting::OutputBytes].into_iter().chain(others);
    settings.filter_map(|setting| table(setting, rows)).collect()
}

fn graphs(rows: &[Row]) -> impl Iterator<Item = (usize, &Row, &SweptGraph)> {
    rows.iter().enumerate().filter_map(|(place, row)| Some((place, row, row.graph.as_ref()?)))
}

fn table(setting: Setting<'_>, rows: &[Row]) -> Option<Table> {
    let common = graphs(rows).filter_map(|(place, row, graph)| {
        setting.value(graph)?;
        Some(((setting.without(graph), row.cores), place))
    });
    let mut groups = grouped(common);
    groups.retain(|(_, places)| {
        let first =
            |place: &usize| rows[*place].graph.as_ref().and_then(|graph| setting.distinguishing(graph));
        distinct(places.iter().map(first)).len() > 1
    });
    let places = || groups.iter().flat_map(|(_, places)| places);
    let columns = distinct(places().map(|place| column(&rows[*place])));
    let labels = labels(&groups);
    let group = |((_, places), graphs): (&(Common, Vec<usize>), String)| {
        let by_value = places.iter().filter_map(|place| {
            Some((rows[*place].graph.as_ref().and_then(|graph| setting.value(graph))?, *place))
        });
        let line = |(value, places): (Json, Vec<usize>)| {
            let in_column =
                |wanted: &Column| places.iter().copied().find(|place| column(&rows[*place]) == *wanted);
            Line { value, rows: columns.iter().map(in_column).collect() }
        };
        Group { graphs, lines: grouped(by_value).into_iter().map(line).collect() }
    };
    let groups: Vec<_> = groups.iter().zip(labels).map(group).collect();
    (!groups.is_empty()).then(|| Table { by: setting.name().into(), columns, groups })
}

fn column(row: &Row) -> Column {
    Column { backend: row.label.clone(), form: row.graph.as_ref().and_then(|graph| graph.form) }
}

/// What the graphs of each group have in common, with the size of those that differ in nothing else.
fn labels(groups: &[(Common, Vec<usize>)]) -> Vec<String> {
    let names: Vec<_> = groups.iter().map(|((graph, _), _)| graph.to_string()).collect();
    let label = |(((graph, cores), _), name): (&(Common, Vec<usize>), &String)| {
        let SweptGraph { width, steps, .. } = graph;
        let is_unique = names.iter().filter(|other| *other == name).count() == 1;
        if is_unique { name.clone() } else { format!("{name}, width {width}, {steps} steps, {cores} cores") }
    };
    groups.iter().zip(&names).map(label).collect()
}

impl<'a> Setting<'a> {
    fn name(self) -> &'a str {
        match self {
            Self::Pattern => "pattern",
            Self::Radix => "radix",
            Self::OutputBytes => "output_bytes",
            Self::Other(key) => key,
        }
    }

    fn value(self, graph: &SweptGraph) -> Option<Json> {
        match self {
            Self::Pattern => graph.shape().map(Json::from),
            Self::Radix => graph.radix.map(Json::from),
            Self::OutputBytes => graph.output_bytes.map(Json::from),
            Self::Other(key) => graph.settings.get(key).cloned(),
        }
    }

    /// In what the graphs of a group must differ: graphs of one pattern with several numbers of inputs are no table of patterns.
    fn distinguishing(self, graph: &SweptGraph) -> Option<Json> {
        match self {
            Self::Pattern => graph.pattern.clone().map(Json::from),
            _ => self.value(graph),
        }
    }

    /// The graph but for this setting, whatever its form.
    fn without(self, graph: &SweptGraph) -> SweptGraph {
        let mut graph = SweptGraph { form: None, ..graph.clone() };
        match self {
            Self::Pattern => (graph.pattern, graph.radix) = (None, None),
            Self::Radix => graph.radix = None,
            Self::OutputBytes => graph.output_bytes = None,
            Self::Other(key) => drop(graph.settings.remove(key)),
        }
        graph
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::task_graph::Form;

    fn row(backend: &str, form: Form, pattern: &str, radix: Option<u64>, output_bytes: u64) -> Row {
        let graph = SweptGraph {
            workload: "task_graph".into(),
            pattern: Some(pattern.into()),
            radix,
            output_bytes: Some(output_bytes),
            settings: [].into(),
            width: 8,
            steps: 100,
            form: Some(form),
        };
        Row { backend: backend.into(), label: backend.into(), cores: 2, graph: Some(graph), ..Row::default() }
    }

    /// `by` and `graphs`, and of each line the value and the places.
    fn described(tables: &[Table]) -> Vec<(String, String, String)> {
        let group = |table: &Table, group: &Group| {
            let lines = group.lines.iter().map(|line| format!("{} {:?}", line.value, line.rows));
            (table.by.clone(), group.graphs.clone(), lines.collect::<Vec<_>>().join("; "))
        };
        tables.iter().flat_map(|table| table.groups.iter().map(|it| group(table, it))).collect()
    }

    fn owned(expected: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
        expected.iter().map(|(by, graphs, lines)| ((*by).into(), (*graphs).into(), (*lines).into())).collect()
    }

    #[test]
    fn rows_that_differ_in_one_setting_are_side_by_side_and_forms_are_never_in_one_column() {
        let graph = Form::Graph;
        let rows = [
            row("a", graph, "fft", None, 64),
            row("b", Form::Stages, "fft", None, 64),
            row("b", graph, "fft", None, 64),
            row("a", graph, "nearest", Some(1), 64),
            row("a", graph, "nearest", Some(3), 64),
            row("a", graph, "nearest", Some(3), 65536),
        ];
        let found = tables(&rows);
        assert_eq!(
            described(&found),
            owned(&[
                (
                    "pattern",
                    "64 B",
                    "\"fft\" [Some(0), Some(1), Some(2)]; \"nearest(1)\" [Some(3), None, None]; \"nearest(3)\" [Some(4), None, None]"
                ),
                ("radix", "nearest 64 B", "1 [Some(3)]; 3 [Some(4)]"),
                ("output_bytes", "nearest(3)", "64 [Some(4)]; 65536 [Some(5)]"),
            ])
        );
        let columns: Vec<_> = found[0].columns.iter().map(|it| (it.backend.as_str(), it.form)).collect();
        assert_eq!(columns, [("a", Some(graph)), ("b", Some(Form::Stages)), ("b", Some(graph))]);
    }

    #[test]
    fn graphs_of_different_sizes_or_on_other_cores_are_of_different_groups() {
        let (mut wide, mut more) =
            (row("a", Form::Graph, "fft", None, 64), row("a", Form::Graph, "fft", None, 64));
        wide.graph.as_mut().unwrap().width = 16;
        more.cores = 4;
        let rows = [row("a", Form::Graph, "fft", None, 64), wide.clone(), more];
        assert_eq!(tables(&rows), []);
        let mut wide_too = wide.clone();
        wide_too.graph.as_mut().unwrap().pattern = Some("trivial".into());
        let rows = [rows[0].clone(), wide, row("a", Form::Graph, "trivial", None, 64), wide_too];
        let found = tables(&rows);
        let labels: Vec<_> = found[0].groups.iter().map(|group| group.graphs.as_str()).collect();
        assert_eq!(labels, ["64 B, width 8, 100 steps, 2 cores", "64 B, width 16, 100 steps, 2 cores"]);
    }

    #[test]
    fn a_parameter_of_another_workload_has_a_table_of_its_own() {
        let of = |shift: u64| {
            let mut row = row("a", Form::Graph, "", None, 8);
            let graph = row.graph.as_mut().unwrap();
            (graph.workload, graph.pattern) = ("mine".into(), None);
            graph.settings.insert("shift".into(), shift.into());
            row
        };
        let rows = [of(2), of(10)];
        assert!(rows[0].graph < rows[1].graph, "numbers are in the order of their size");
        assert_eq!(described(&tables(&rows)), owned(&[("shift", "mine 8 B", "2 [Some(0)]; 10 [Some(1)]")]));
        assert_eq!(rows[1].name(), "a mine shift=10 8 B");
    }
}
