//! The curves of all backends as a chart of characters: efficiency over the granularity of a task, both axes logarithmic. Each backend has a letter, so that the chart needs no colour.

use crate::compare::metg::model::{Row, Step, Sweeps};
use crate::report::axis::{Axis, Scale};
use crate::report::labels::one_line;
use crate::report::number;
use crate::report::text::wrapped;

/// The number of lines.
const HEIGHT: usize = 16;
/// More columns than points have no use.
const MAX_WIDTH: usize = 100;
/// The width of the labels before the y axis.
const MARGIN: usize = 7;
/// Lower efficiencies are not drawn.
const MIN_EFFICIENCY: f64 = 0.03;
/// The efficiencies with a tick.
const TICKS: [f64; 5] = [1.0, 0.5, 0.2, 0.1, 0.05];
/// Drawn where curves of several backends meet.
const SEVERAL: char = '*';

/// The chart, in lines of at most `width` characters. None without curves.
pub(super) fn lines(sweeps: &Sweeps, width: usize) -> Vec<String> {
    let granularities = sweeps.rows.iter().flat_map(|row| &row.curve).map(|step| step.granularity_seconds);
    let Some(x_axis) = Axis::covering(Scale::Logarithmic, granularities) else { return Vec::new() };
    let Some(y_axis) = Axis::covering(Scale::Logarithmic, [MIN_EFFICIENCY, 1.0]) else { return Vec::new() };
    let columns = width.saturating_sub(MARGIN + 1).clamp(20, MAX_WIDTH);
    let mut chart = Chart { x_axis, y_axis, cells: vec![vec![' '; columns]; HEIGHT] };
    let target = chart.line(sweeps.target);
    chart.cells[target].iter_mut().step_by(2).for_each(|cell| *cell = '-');
    let letters = letters(&sweeps.rows);
    for (row, letter) in sweeps.rows.iter().zip(&letters) {
        chart.draw(&row.curve, *letter);
    }
    let heading = "efficiency (share of the cores' time in kernels) over the granularity of a task";
    let mut lines = vec![one_line(heading, width) + "\n"];
    lines.extend(chart.lines());
    let legend = letters
        .iter()
        .zip(&sweeps.rows)
        .map(|(letter, row)| format!("{letter} {}", one_line(&row.name(), 56)));
    let legend =
        wrapped(legend.chain([format!("{SEVERAL} several")]), "   ", width.saturating_sub(1), usize::MAX);
    lines.extend(legend.iter().map(|line| format!(" {line}\n")));
    lines
}

/// A letter for each row: one of its name, unless another row has it.
fn letters(rows: &[Row]) -> Vec<char> {
    let mut letters = Vec::new();
    for row in rows {
        let name = row.backend.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase());
        let others = ('a'..='z').chain('A'..='Z').chain('0'..='9');
        let free = name.chain(others).find(|letter| !letters.contains(letter));
        letters.push(free.unwrap_or('?'));
    }
    letters
}

struct Chart {
    x_axis: Axis,
    y_axis: Axis,
    /// Line by line, the top line first.
    cells: Vec<Vec<char>>,
}

impl Chart {
    fn columns(&self) -> usize {
        self.cells.first().map_or(0, Vec::len)
    }

    fn column(&self, granularity: f64) -> usize {
        (self.x_axis.position(granularity) / 100.0 * (self.columns() - 1) as f64).round() as usize
    }

    fn line(&self, efficiency: f64) -> usize {
        HEIGHT - 1 - (self.y_axis.position(efficiency) / 100.0 * (HEIGHT - 1) as f64).round() as usize
    }

    /// A curve, with straight lines between the measured points. With short kernels it is nearly vertical: the granularity
    /// approaches the overhead.
    fn draw(&mut self, curve: &[Step], letter: char) {
        for pair in curve.windows(2) {
            let [from, to] = [pair[0], pair[1]].map(|step| self.column(step.granularity_seconds) as f64);
            // A record may have any efficiency.
            let [low, high] =
                [pair[0], pair[1]].map(|step| step.efficiency.clamp(f64::MIN_POSITIVE, f64::MAX).ln());
            let lines = (high - low).abs() / -MIN_EFFICIENCY.ln() * HEIGHT as f64;
            let marks = lines.max((to - from).abs()).ceil().max(1.0);
            for mark in 0..=marks as u32 {
                let part = f64::from(mark) / marks;
                let column = (from + part * (to - from)).round() as usize;
                self.mark(column, (low + part * (high - low)).exp(), letter);
            }
        }
        if let [only] = curve {
            self.mark(self.column(only.granularity_seconds), only.efficiency, letter);
        }
    }

    fn mark(&mut self, column: usize, efficiency: f64, letter: char) {
        if efficiency.is_nan() || efficiency < MIN_EFFICIENCY {
            return;
        }
        let line = self.line(efficiency);
        let cell = &mut self.cells[line][column];
        *cell = if [' ', '-', letter].contains(cell) { letter } else { SEVERAL };
    }

    fn lines(&self) -> Vec<String> {
        let labels: Vec<_> =
            TICKS.iter().map(|share| (self.line(*share), format!("{:.0} %", share * 100.0))).collect();
        let label =
            |line: usize| labels.iter().find(|(at, _)| *at == line).map_or("", |(_, label)| label.as_str());
        let row = |(number, cells): (usize, &Vec<char>)| {
            let cells: String = cells.iter().collect();
            let axis = if label(number).is_empty() { '|' } else { '+' };
            format!("{:>MARGIN$}{axis}{}\n", label(number).to_owned() + " ", cells.trim_end())
        };
        let mut lines: Vec<_> = self.cells.iter().enumerate().map(row).collect();
        lines.extend(self.axis());
        lines
    }

    fn axis(&self) -> [String; 2] {
        let mut rule = vec!['-'; self.columns()];
        let mut labels = vec![' '; MARGIN + 1 + self.columns()];
        for value in self.x_axis.ticks() {
            let column = self.column(value);
            rule[column] = '+';
            let label: Vec<_> = number::tick(&number::duration(value)).chars().collect();
            let start = (MARGIN + 1 + column).saturating_sub(label.len() / 2).min(labels.len() - label.len());
            // A label that would touch the previous one is left out.
            if labels[start.saturating_sub(1)..start + label.len()].iter().all(|cell| *cell == ' ') {
                labels[start..start + label.len()].copy_from_slice(&label);
            }
        }
        let text = |cells: Vec<char>| cells.into_iter().collect::<String>().trim_end().to_owned() + "\n";
        [format!("{:MARGIN$}+{}", "", text(rule)), text(labels)]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::report::metg::examples;

    #[test]
    fn no_two_backends_have_the_same_letter() {
        let names = ["native", "spark", "sage", "n", "s", "a"];
        let rows: Vec<_> = names.map(|name| examples::row(name, 1e-6)).into();
        assert_eq!(letters(&rows), ['n', 's', 'a', 'b', 'c', 'd']);
    }

    #[test]
    fn a_curve_of_one_point_is_drawn() {
        let mut sweeps = examples::several();
        sweeps.rows.truncate(1);
        sweeps.rows[0].curve.truncate(1);
        sweeps.rows[0].curve[0].efficiency = 0.7;
        assert!(lines(&sweeps, 80).concat().matches('n').count() > 0);
        sweeps.rows[0].curve.clear();
        assert!(lines(&sweeps, 80).is_empty());
    }

    proptest! {
        #[test]
        fn any_curves_fit_any_terminal(
            floors in prop::collection::vec(1e-9..10.0_f64, 1..9), width in 40_usize..200,
        ) {
            let mut sweeps = examples::several();
            sweeps.rows = floors.iter().map(|floor| examples::row("backend", *floor)).collect();
            for line in lines(&sweeps, width) {
                prop_assert!(line.trim_end().chars().count() <= width, "{}", line);
            }
        }
    }
}
