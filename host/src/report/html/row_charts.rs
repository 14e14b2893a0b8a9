//! Charts with a line for each row: throughput, ratios, stages, memory and processor time.

use minijinja::{Value, context};

use super::layout::{Group, Layout, SERIES};
use super::plot::label;
use crate::compare::model::{Comparison, Row, Spread};
use crate::report::axis::{Axis, Scale};
use crate::report::labels::{self, name};
use crate::report::number;

/// A chart leaves out further points once it has this many rows: readers do not compare more than a screen of them.
const MAX_ROWS: usize = 24;
/// Width of a drawing, which the browser stretches.
const WIDTH: f64 = 1000.0;

/// What a chart draws of a row.
#[derive(Default)]
pub(super) struct Drawing {
    /// One value for each block.
    pub(super) raw: Vec<f64>,
    pub(super) range: Option<(f64, f64)>,
    /// A bar from zero to this value.
    pub(super) bar: Option<f64>,
    pub(super) marks: Vec<Mark>,
    /// The text beside the drawing.
    pub(super) text: String,
}

pub(super) struct Mark {
    pub(super) value: f64,
    /// None for the shape of the row's series.
    pub(super) shape: Option<usize>,
    pub(super) title: String,
}

/// A row of a chart, which links to its trials.
pub(super) struct DrawnRow {
    pub(super) id: String,
    pub(super) name: String,
    /// The place of its name among all of the page.
    pub(super) label: usize,
    pub(super) drawing: Drawing,
}

/// Rows that stand together in a chart, with what they have in common.
pub(super) struct DrawnPoint {
    pub(super) settings: String,
    pub(super) rows: Vec<DrawnRow>,
}

impl Drawing {
    fn values(&self) -> impl Iterator<Item = f64> {
        let ends = self.range.into_iter().flat_map(|(low, high)| [low, high]);
        let marks = self.marks.iter().map(|mark| mark.value);
        self.raw.iter().copied().chain(ends).chain(self.bar).chain(marks)
    }
}

/// A kind of chart. Each has a section of the page with one chart for each workload.
struct Kind {
    id: &'static str,
    title: &'static str,
    explanation: String,
    scale: Scale,
    tick: fn(f64) -> String,
    draw: fn(&Row) -> Option<Drawing>,
    /// What the shapes mean, if they are not those of the rows' series.
    legend: &'static [(&'static str, usize)],
    /// In a chart of ratios: ratios up to this factor count as equivalent.
    margin: Option<f64>,
}

impl Kind {
    fn new(
        id: &'static str,
        title: &'static str,
        explanation: impl Into<String>,
        tick: fn(f64) -> String,
        draw: fn(&Row) -> Option<Drawing>,
    ) -> Self {
        let explanation = explanation.into();
        Self { id, title, explanation, scale: Scale::Logarithmic, tick, draw, legend: &[], margin: None }
    }
}

/// The stages, and the shape of each.
const STAGES: [(&str, usize); 5] = [
    ("load", 4),
    ("start of the engine", 1),
    ("first run with its preparation", 3),
    ("steady run", 0),
    ("shutdown", 2),
];

/// The sections about speed.
pub(super) fn speed(comparison: &Comparison, layout: &Layout<'_>) -> Vec<Value> {
    let baseline = comparison.baseline.as_deref().map_or_else(String::new, name);
    let margin = number::percent(comparison.margin - 1.0);
    let throughput_text = "Input items per second, or output items where the records do not count the input; more is \
                           better. A stroke is one block, the mark is their median. The axis is logarithmic.";
    let ratio_text = format!(
        "Speed in relation to {baseline}; right of the dashed line is faster. The bar is the interval. Ratios in the band, \
         up to {margin} from 1, count as equivalent. The axis is logarithmic."
    );
    let throughput = Kind::new("throughput", "Throughput", throughput_text, number::quantity, throughput);
    let ratios = Kind::new("ratios", "Ratios", ratio_text, number::ratio, ratio);
    sections([Kind { margin: Some(comparison.margin), ..ratios }, throughput], layout)
}

/// The sections about costs.
pub(super) fn costs(layout: &Layout<'_>) -> Vec<Value> {
    let stages_text = "Medians over the blocks; less is better. The axis is logarithmic.";
    let of_peaks = if layout.rows().any(has_only_peaks) {
        " Some rows have records of an earlier version: theirs is the sum of the peaks, in which a page that processes share counts \
         for each of them."
    } else {
        ""
    };
    let memory_text = format!(
        "The peaks of resident memory of all processes of the tree, shared pages counted once: median, minimum and maximum over \
         the blocks.{of_peaks}"
    );
    let processor_text = "User and system time of the whole process tree for each input item: median, minimum and maximum \
                          over the blocks.";
    let efficiency_text = "The CPU time that the work takes when it is run serially without a backend, over the time that the \
                           cores had; more is better. Median, minimum and maximum over the blocks. Work that waits, and open \
                           loops, have none.";
    let title = "Start, first run, steady state, shutdown";
    let stages = Kind::new("stages", title, stages_text, number::duration, stages);
    let memory = Kind::new("memory", "Memory", memory_text, mebibytes, |row| {
        let used = row.resources?;
        Some(bar(used.memory_bytes.or(used.peak_memory_bytes)?, MEBIBYTE, number::memory))
    });
    let item_text = "The same memory, divided by the number of input items; less is better. 1 kB is 1000 bytes. Median, minimum \
                     and maximum over the blocks.";
    let item = Kind::new("memory-item", "Memory an item", item_text, decimal_bytes, |row| {
        Some(bar(row.resources?.memory_bytes_per_item?, 1.0, decimal_bytes))
    });
    let processor = Kind::new("processor", "CPU time an item", processor_text, number::duration, |row| {
        Some(bar(row.resources?.cpu_seconds_per_item?, 1.0, number::duration))
    });
    let efficiency = Kind::new("efficiency", "Efficiency", efficiency_text, number::percent, |row| {
        Some(bar(row.efficiency?.efficiency?, 1.0, number::percent))
    });
    let linear = |kind| Kind { scale: Scale::Linear, ..kind };
    let stages = Kind { legend: &STAGES, ..stages };
    sections([linear(efficiency), stages, linear(memory), linear(item), linear(processor)], layout)
}

/// The sections that have anything to show.
fn sections(kinds: impl IntoIterator<Item = Kind>, layout: &Layout<'_>) -> Vec<Value> {
    let section = |kind: Kind| {
        let charts: Vec<_> = layout.groups.iter().filter_map(|group| chart(&kind, group, layout)).collect();
        let Kind { id, title, explanation, legend, .. } = kind;
        (!charts.is_empty()).then(|| context! { id, title, explanation, legend => legend.to_vec(), charts })
    };
    kinds.into_iter().filter_map(section).collect()
}

const MEBIBYTE: f64 = 1_048_576.0;

fn mebibytes(mebibytes: f64) -> String {
    number::memory(mebibytes * MEBIBYTE)
}

/// `19.5 kB`, as even steps of bytes are at round numbers of these units only.
fn decimal_bytes(bytes: f64) -> String {
    let number = number::quantity(bytes);
    if number.contains(' ') { number + "B" } else { number + " B" }
}

fn throughput(row: &Row) -> Option<Drawing> {
    let (spread, text) = labels::throughput(row)?;
    // A rate is a constant divided by the duration, so that of the shortest run gives the rate of every sample.
    let constant = row.duration.map_or(0.0, |duration| duration.min * spread.max);
    let raw = row.samples.iter().filter_map(|sample| sample.duration).map(|duration| constant / duration);
    let title = format!("{text} items/s, median of {}", spread.n);
    let mark = Mark { value: spread.median, shape: None, title };
    Some(Drawing { raw: raw.collect(), marks: vec![mark], text, ..Drawing::default() })
}

fn ratio(row: &Row) -> Option<Drawing> {
    let ratio = labels::shown_ratio(row)?;
    let range = ratio.interval.map(|interval| (interval.low, interval.high));
    let mut text = number::ratio(ratio.estimate);
    if let Some((low, high)) = range {
        text += &format!(" ({})", number::interval(low, high));
    }
    let mark = Mark { value: ratio.estimate, shape: None, title: text.clone() };
    Some(Drawing { range, marks: vec![mark], text, ..Drawing::default() })
}

fn stages(row: &Row) -> Option<Drawing> {
    let spreads = [row.stages.load, row.stages.open, row.stages.first, row.duration, row.stages.close];
    let marks = spreads.into_iter().zip(STAGES).filter_map(|(spread, (name, shape))| {
        let value = spread?.median;
        Some(Mark { value, shape: Some(shape), title: format!("{name}: {}", number::duration(value)) })
    });
    let marks: Vec<_> = marks.collect();
    // The steady state alone is in the tables.
    (marks.len() > 1).then(|| Drawing { marks, ..Drawing::default() })
}

/// Whether the pages that processes share count for each of them.
pub(super) fn has_only_peaks(row: &Row) -> bool {
    row.resources.is_some_and(|used| used.memory_bytes.is_none() && used.peak_memory_bytes.is_some())
}

fn bar(spread: Spread, unit: f64, format: fn(f64) -> String) -> Drawing {
    let (value, text) = (spread.median / unit, format(spread.median));
    let title = format!("{text}, median of {}", spread.n);
    Drawing {
        range: Some((spread.min / unit, spread.max / unit)),
        bar: Some(value),
        marks: vec![Mark { value, shape: None, title }],
        text,
        ..Drawing::default()
    }
}

fn chart(kind: &Kind, group: &Group<'_>, layout: &Layout<'_>) -> Option<Value> {
    let row = |(id, row): &(String, &Row)| {
        let (name, label) = (name(&row.label), layout.label_number(&row.label));
        Some(DrawnRow { id: id.clone(), name, label, drawing: (kind.draw)(row)? })
    };
    let points = group.points.iter().map(|point| DrawnPoint {
        settings: labels::settings(point.point),
        rows: point.rows.iter().filter_map(row).collect(),
    });
    let (points, left_out) = first_points(points);
    let chart = drawn(&points, kind.scale, kind.tick, kind.margin)?;
    Some(context! {
        workload => &group.workload,
        group => group.number,
        left_out => more_rows(left_out),
        ..chart
    })
}

/// `3 more rows`; none for none.
pub(super) fn more_rows(left_out: usize) -> Option<String> {
    (left_out > 0).then(|| crate::text::plural(left_out as u64, "more row"))
}

/// The axis of a chart, and its points. None without values that the axis can show.
pub(super) fn drawn(
    points: &[DrawnPoint],
    scale: Scale,
    tick: fn(f64) -> String,
    margin: Option<f64>,
) -> Option<Value> {
    let margin = margin.map(|margin| [1.0 / margin, margin]);
    let drawings = points.iter().flat_map(|point| &point.rows).map(|row| &row.drawing);
    let values = drawings.flat_map(Drawing::values).chain(margin.into_iter().flatten());
    let axis = Axis::covering(scale, values).filter(|_| !points.is_empty())?;
    let point = |DrawnPoint { settings, rows }: &DrawnPoint| {
        context! { settings, rows => rows.iter().map(|row| drawn_row(row, &axis)).collect::<Vec<_>>() }
    };
    let ticks = axis.ticks().into_iter().map(|value| label(percent(axis.position(value)), tick(value)));
    Some(context! {
        ticks => ticks.collect::<Vec<_>>(),
        one => margin.map(|_| percent(axis.position(1.0))),
        band => margin.map(|ends| {
            let [low, high] = ends.map(|end| axis.position(end));
            (percent(low), percent(high - low))
        }),
        points => points.iter().map(point).collect::<Vec<_>>(),
    })
}

/// The first of the points that have rows, which together have at most [`MAX_ROWS`], and how many rows are left out.
pub(super) fn first_points(all: impl Iterator<Item = DrawnPoint>) -> (Vec<DrawnPoint>, usize) {
    let (mut points, mut drawn, mut left_out) = (Vec::new(), 0, 0);
    for point in all.filter(|point| !point.rows.is_empty()) {
        if drawn > 0 && drawn + point.rows.len() > MAX_ROWS {
            left_out += point.rows.len();
        } else {
            drawn += point.rows.len();
            points.push(point);
        }
    }
    (points, left_out)
}

fn drawn_row(row: &DrawnRow, axis: &Axis) -> Value {
    let DrawnRow { id, name, label, drawing } = row;
    let series = label % SERIES;
    let x = |value: f64| (axis.position(value) / 100.0 * WIDTH).round() as u32;
    let raw: String = drawing.raw.iter().map(|value| format!("M{} 6v14", x(*value))).collect();
    let range = drawing.range.map_or_else(String::new, |(low, high)| {
        let (low, high) = (x(low), x(high));
        format!("M{low} 13H{high}M{low} 8v10M{high} 8v10")
    });
    let mark = |mark: &Mark| {
        let position = percent(axis.position(mark.value));
        context! { position, shape => mark.shape.unwrap_or(series), title => &mark.title }
    };
    context! {
        id,
        label => *label,
        name,
        series,
        raw,
        range,
        bar => drawing.bar.map(|value| percent(axis.position(value))),
        marks => drawing.marks.iter().map(mark).collect::<Vec<_>>(),
        text => &drawing.text,
    }
}

/// A position in percent of the width.
fn percent(position: f64) -> String {
    format!("{position:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::examples;

    #[test]
    fn a_stroke_is_the_rate_of_its_run() {
        let mut row = examples::row("a", None);
        row.samples.truncate(2);
        (row.samples[0].duration, row.samples[1].duration) = (Some(1.0), Some(3.0));
        row.duration = Some(Spread { n: 2, min: 1.0, median: 2.0, max: 3.0 });
        row.input_rate = Some(Spread { n: 2, min: 2.0, median: 4.0, max: 6.0 });
        assert_eq!(throughput(&row).unwrap().raw, [6.0, 2.0]);
    }

    #[test]
    fn a_row_with_the_sum_of_the_peaks_is_told() {
        let mut comparison = examples::several_workloads();
        let page = |comparison: &Comparison| crate::report::html(comparison, "", None).unwrap();
        let (told, once) = ("counts for each of them", "Memory counts shared pages once.");
        assert!(!page(&comparison).contains(told) && page(&comparison).contains(once));
        comparison.points[1].rows[1].resources.as_mut().unwrap().memory_bytes = None;
        assert!(page(&comparison).contains(told) && !page(&comparison).contains(once));
    }
}
