//! The graphs that differ in one setting: a table for each setting, and charts of METG over its values.

use minijinja::{Value, context};

use super::backends::Backends;
use crate::compare::metg::model::{Group, Line, Row, Sweeps, Table};
use crate::metg;
use crate::report::axis::Scale;
use crate::report::html::plot::{CurvePoint, Plot, SMALL, label};
use crate::report::html::row_charts::{self, Drawing, DrawnPoint, DrawnRow, Mark};
use crate::report::labels::{Tone, name};
use crate::report::metg::{TableLine, TableRow, columns, lines, setting, setting_value};
use crate::report::number;

/// How many small plots a section has.
const MAX_CHARTS: usize = 12;

pub(super) fn sections(sweeps: &Sweeps, ids: &[String], backends: &Backends) -> Vec<Value> {
    let section = |(number, table): (usize, &Table)| {
        let page = Page { sweeps, ids, backends, table };
        let is_numeric =
            table.groups.iter().flat_map(|group| &group.lines).all(|line| line.value.is_number());
        let line_charts: Vec<_> = if is_numeric {
            table.groups.iter().filter_map(|it| page.line_chart(it)).collect()
        } else {
            Vec::new()
        };
        let left_out = line_charts.len().saturating_sub(MAX_CHARTS);
        context! {
            id => format!("by-{number}"),
            title => format!("METG(50 %) by {}", setting(table)),
            explanation => explanation(is_numeric),
            setting => setting(table),
            columns => columns(table, 60),
            lines => lines(sweeps, table).iter().map(|line| page.table_line(line)).collect::<Vec<_>>(),
            legend => if is_numeric { backends.legend(page.rows()) } else { Vec::new() },
            line_charts => line_charts.into_iter().take(MAX_CHARTS).collect::<Vec<_>>(),
            row_charts => if is_numeric { Vec::<Value>::new() } else { table.groups.iter().filter_map(|it| page.row_chart(it)).collect() },
            left_out => (left_out > 0).then(|| crate::text::plural(left_out as u64, "more group")),
        }
    };
    sweeps.tables.iter().enumerate().map(section).collect()
}

fn explanation(is_numeric: bool) -> String {
    let chart = if is_numeric {
        "Both axes are logarithmic; an axis from 0 on is not."
    } else {
        "The axis is logarithmic."
    };
    format!(
        "The graphs of a group differ in nothing else; less is better. A stroke is the 95 % interval. {chart} A bound, and a row that \
         did not pass its checks (✗), is in the table only. Figures of stages are not to be compared with those of others."
    )
}

/// A table on a page.
struct Page<'a> {
    sweeps: &'a Sweeps,
    ids: &'a [String],
    backends: &'a Backends,
    table: &'a Table,
}

/// A row that has a value and passed its checks.
struct Shown<'a> {
    number: usize,
    row: &'a Row,
    seconds: f64,
}

impl Page<'_> {
    fn rows(&self) -> impl Iterator<Item = usize> {
        self.table
            .groups
            .iter()
            .flat_map(|group| &group.lines)
            .flat_map(|line| line.rows.iter().flatten().copied())
    }

    fn table_line(&self, line: &TableLine<'_>) -> Value {
        let cell = |(place, text): &(Option<usize>, String)| {
            context! { text, id => place.and_then(|it| self.ids.get(it)) }
        };
        context! {
            graphs => name(line.graphs),
            value => &line.value,
            cells => line.cells.iter().map(cell).collect::<Vec<_>>(),
        }
    }

    fn shown(&self, place: Option<usize>) -> Option<Shown<'_>> {
        let number = place?;
        let row = self.sweeps.rows.get(number)?;
        match row.metg {
            Some(metg::Value::At { seconds }) if TableRow::of(row).tone != Tone::Bad => {
                Some(Shown { number, row, seconds })
            }
            _ => None,
        }
    }

    fn title(&self, shown: &Shown<'_>) -> String {
        let (graph, seconds) = (&shown.row.graph, number::duration(shown.seconds));
        let graph =
            graph.as_ref().map_or_else(String::new, |graph| format!(", {}", name(&graph.to_string())));
        let interval = shown
            .row
            .metg_interval
            .map_or_else(String::new, |it| format!(" ({})", interval(it.low, it.high)));
        format!("{}{graph}: {seconds}{interval}", self.backends.of_rows[shown.number])
    }

    /// METG over the values of the setting, with a curve for each column.
    fn line_chart(&self, group: &Group) -> Option<Value> {
        let points = |column: usize| {
            group.lines.iter().filter_map(move |line| {
                Some((line.value.as_f64()?, self.shown(line.rows.get(column).copied().flatten())?))
            })
        };
        let columns = 0..self.table.columns.len();
        let all = || columns.clone().flat_map(points);
        let values: Vec<_> =
            group.lines.iter().filter_map(|line| Some((line.value.as_f64()?, line))).collect();
        let is_positive = values.iter().all(|(value, _)| *value > 0.0);
        let scale = if is_positive { Scale::Logarithmic } else { Scale::Linear };
        let plot = Plot::over(
            SMALL,
            scale,
            values.iter().map(|(value, _)| *value),
            all().flat_map(|(_, it)| range(&it)),
        )?;
        let curve = |column: usize| {
            let first = points(column).next()?.1.number;
            let points = points(column).map(|(value, shown)| CurvePoint {
                x: value,
                y: shown.seconds,
                range: Some(range(&shown)),
                title: Some(self.title(&shown)),
                row: self.ids[shown.number].clone(),
            });
            Some(plot.curve(self.backends.number(first), points))
        };
        let tick =
            |(value, line): &(f64, &Line)| label(plot.x(*value), setting_value(&self.table.by, &line.value));
        let over = setting(self.table);
        Some(context! {
            title => name(&group.graphs),
            fixed => "",
            description => format!("METG of {} over the {over}", name(&group.graphs)),
            over,
            x_ticks => values.iter().map(tick).collect::<Vec<_>>(),
            y_ticks => plot.y_ticks(number::duration),
            curves => columns.clone().filter_map(curve).collect::<Vec<_>>(),
        })
    }

    /// METG of each value of the setting, the fastest backend first.
    fn row_chart(&self, group: &Group) -> Option<Value> {
        let row = |shown: Shown<'_>| DrawnRow {
            id: self.ids[shown.number].clone(),
            name: self.backends.of_rows[shown.number].clone(),
            label: self.backends.number(shown.number),
            drawing: Drawing {
                range: shown.row.metg_interval.map(|it| (it.low, it.high)),
                marks: vec![Mark { value: shown.seconds, shape: None, title: self.title(&shown) }],
                text: number::duration(shown.seconds),
                ..Drawing::default()
            },
        };
        let points = group.lines.iter().map(|line| {
            let mut shown: Vec<_> = line.rows.iter().filter_map(|place| self.shown(*place)).collect();
            shown.sort_by(|one, other| one.seconds.total_cmp(&other.seconds));
            DrawnPoint {
                settings: setting_value(&self.table.by, &line.value),
                rows: shown.into_iter().map(row).collect(),
            }
        });
        let (points, left_out) = row_charts::first_points(points);
        let chart = row_charts::drawn(&points, Scale::Logarithmic, number::duration, None)?;
        Some(
            context! { workload => name(&group.graphs), left_out => row_charts::more_rows(left_out), ..chart },
        )
    }
}

/// What a mark and its stroke cover.
fn range(shown: &Shown<'_>) -> [f64; 2] {
    shown.row.metg_interval.map_or([shown.seconds; 2], |it| [it.low, it.high])
}

fn interval(low: f64, high: f64) -> String {
    number::range(&number::duration(low), &number::duration(high))
}
