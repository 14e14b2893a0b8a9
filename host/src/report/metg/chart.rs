//! The curves of all backends in one picture of characters: efficiency over the length of a task's kernel, both axes
//! logarithmic. A letter stands for a backend, so that the picture needs no colour.

use crate::compare::metg::model::{Row, Step, Sweeps};
use crate::report::axis::{Axis, Scale, Tick};
use crate::report::figure;
use crate::report::words::line;

/// How many lines the picture has.
const HEIGHT: usize = 16;
/// The widest picture: more columns than points tell nothing.
const WIDEST: usize = 100;
/// Room for what stands before the vertical axis.
const MARGIN: usize = 7;
/// What is less efficient than this is not drawn.
const LEAST: f64 = 0.03;
/// The efficiencies that the axis names.
const NAMED: [f64; 5] = [1.0, 0.5, 0.2, 0.1, 0.05];
/// Where several backends meet.
const SEVERAL: char = '*';

/// The picture, in lines of at most `width` characters; none if there is nothing to draw.
pub(super) fn lines(sweeps: &Sweeps, width: usize) -> Vec<String> {
    let kernels = sweeps.rows.iter().flat_map(|row| &row.curve).map(|step| step.kernel_seconds);
    let Some(across) = Axis::around(Scale::Logarithmic, kernels) else { return Vec::new() };
    let Some(up) = Axis::around(Scale::Logarithmic, [LEAST, 1.0]) else { return Vec::new() };
    let columns = width.saturating_sub(MARGIN + 1).clamp(20, WIDEST);
    let mut picture = Picture { across, up, cells: vec![vec![' '; columns]; HEIGHT] };
    picture.half(sweeps.target);
    let signs = signs(&sweeps.rows);
    for (row, sign) in sweeps.rows.iter().zip(&signs) {
        picture.draw(&row.curve, *sign);
    }
    let heading = "the cores' time that is in kernels, over how long a task's kernel is";
    let mut lines = vec![line(heading, width) + "\n"];
    lines.extend(picture.lines());
    let legend =
        signs.iter().zip(&sweeps.rows).map(|(sign, row)| format!("{sign} {}", line(&row.backend, 16)));
    lines.extend(wrapped(legend.chain([format!("{SEVERAL} several")]), width));
    lines
}

/// A letter for each row: of its name, if another does not have it already.
fn signs(rows: &[Row]) -> Vec<char> {
    let mut signs = Vec::new();
    for row in rows {
        let name = row.backend.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase());
        let others = ('a'..='z').chain('A'..='Z').chain('0'..='9');
        let free = name.chain(others).find(|sign| !signs.contains(sign));
        signs.push(free.unwrap_or('?'));
    }
    signs
}

struct Picture {
    across: Axis,
    up: Axis,
    /// Line by line, the uppermost first.
    cells: Vec<Vec<char>>,
}

impl Picture {
    fn columns(&self) -> usize {
        self.cells.first().map_or(0, Vec::len)
    }

    fn column(&self, kernel_seconds: f64) -> usize {
        (self.across.place(kernel_seconds) / 100.0 * (self.columns() - 1) as f64).round() as usize
    }

    fn line(&self, efficiency: f64) -> usize {
        HEIGHT - 1 - (self.up.place(efficiency) / 100.0 * (HEIGHT - 1) as f64).round() as usize
    }

    /// The line that METG is read at.
    fn half(&mut self, target: f64) {
        let line = self.line(target);
        self.cells[line].iter_mut().step_by(2).for_each(|cell| *cell = '-');
    }

    /// A curve: between two kernels that were run it is a line.
    fn draw(&mut self, curve: &[Step], sign: char) {
        for pair in curve.windows(2) {
            let (first, last) = (self.column(pair[0].kernel_seconds), self.column(pair[1].kernel_seconds));
            for column in first..=last {
                let part = if last == first { 0.0 } else { (column - first) as f64 / (last - first) as f64 };
                let (low, high) = (pair[0].efficiency.ln(), pair[1].efficiency.ln());
                self.mark(column, (low + part * (high - low)).exp(), sign);
            }
        }
        if let [only] = curve {
            self.mark(self.column(only.kernel_seconds), only.efficiency, sign);
        }
    }

    fn mark(&mut self, column: usize, efficiency: f64, sign: char) {
        if efficiency.is_nan() || efficiency < LEAST {
            return;
        }
        let line = self.line(efficiency);
        let cell = &mut self.cells[line][column];
        *cell = if [' ', '-', sign].contains(cell) { sign } else { SEVERAL };
    }

    fn lines(&self) -> Vec<String> {
        let names: Vec<_> =
            NAMED.iter().map(|share| (self.line(*share), format!("{:.0} %", share * 100.0))).collect();
        let named =
            |line: usize| names.iter().find(|(at, _)| *at == line).map_or("", |(_, name)| name.as_str());
        let row = |(number, cells): (usize, &Vec<char>)| {
            let cells: String = cells.iter().collect();
            let axis = if named(number).is_empty() { '|' } else { '+' };
            format!("{:>MARGIN$}{axis}{}\n", named(number).to_owned() + " ", cells.trim_end())
        };
        let mut lines: Vec<_> = self.cells.iter().enumerate().map(row).collect();
        lines.extend(self.axis());
        lines
    }

    fn axis(&self) -> [String; 2] {
        let mut rule = vec!['-'; self.columns()];
        let mut names = vec![' '; MARGIN + 1 + self.columns()];
        for Tick { value, .. } in self.across.ticks() {
            let column = self.column(value);
            rule[column] = '+';
            let name: Vec<_> = figure::tick(&figure::duration(value)).chars().collect();
            let start = (MARGIN + 1 + column).saturating_sub(name.len() / 2).min(names.len() - name.len());
            // A name that would touch the one before is left out.
            if names[start.saturating_sub(1)..start + name.len()].iter().all(|cell| *cell == ' ') {
                names[start..start + name.len()].copy_from_slice(&name);
            }
        }
        let text = |cells: Vec<char>| cells.into_iter().collect::<String>().trim_end().to_owned() + "\n";
        [format!("{:MARGIN$}+{}", "", text(rule)), text(names)]
    }
}

fn wrapped(words: impl Iterator<Item = String>, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 3 + word.chars().count() <= width => {
                line.push_str("   ");
                line.push_str(&word);
            }
            _ => lines.push(format!(" {word}")),
        }
    }
    lines.into_iter().map(|line| line + "\n").collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::report::metg::examples;

    #[test]
    fn no_two_backends_have_one_sign() {
        let names = ["native", "spark", "sage", "n", "s", "a"];
        let rows: Vec<_> = names.map(|name| examples::row(name, 1e-6)).into();
        assert_eq!(signs(&rows), ['n', 's', 'a', 'b', 'c', 'd']);
    }

    #[test]
    fn a_curve_that_is_cut_off_at_one_point_is_drawn_all_the_same() {
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
