//! Two things measured in turns.

use crossrun::internals::stats::{PairedDifference, median};

/// The width of a row's name.
const NAME: usize = 72;

/// The two sides that are compared; each returns seconds.
pub struct Pair<A, B> {
    /// With crossrun.
    pub with: A,
    /// Without.
    pub without: B,
}

/// Whether the command line asks for the row with this name. `cargo bench -p CRATE -- TEXT…` runs the rows whose names
/// contain one of the texts; without a text it runs all rows.
pub fn selected(name: &str) -> bool {
    // cargo itself passes options, such as `--bench`.
    let mut texts = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).peekable();
    texts.peek().is_none() || texts.any(|text| name.contains(&text))
}

/// The line above the rows.
pub fn heading() {
    let name = "";
    println!("{name:<NAME$} {:>10} {:>10} {:>7}  {:<16}  bar", "with", "without", "ratio", "interval");
}

impl<A: FnMut() -> f64, B: FnMut() -> f64> Pair<A, B> {
    /// Measures both in turns, and prints the medians, the ratio of the times and its interval, which are those of a
    /// comparison: the estimate of Hodges and Lehmann, and the exact interval of 95 %, from 6 rounds on.
    pub fn compare(mut self, name: &str, bar: &str, rounds: usize) {
        if !selected(name) {
            return;
        }
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for round in 0..rounds {
            // The order alternates, so that the effects of one side on the next do not always fall on the other.
            if round % 2 == 0 {
                with.push((self.with)());
                without.push((self.without)());
            } else {
                without.push((self.without)());
                with.push((self.with)());
            }
        }
        let logs: Vec<f64> = with.iter().zip(&without).map(|(with, without)| (with / without).ln()).collect();
        let ratio = PairedDifference::new(&logs).unwrap();
        let interval = ratio.interval.map_or_else(
            || "too few rounds".to_owned(),
            |interval| format!("{:.2} to {:.2}", interval.low.exp(), interval.high.exp()),
        );
        let (with, without) = (time(median(&with).unwrap()), time(median(&without).unwrap()));
        println!(
            "{name:<NAME$} {with:>10} {without:>10} {:>7.2}  {interval:<16}  {bar}",
            ratio.estimate.exp()
        );
    }
}

fn time(seconds: f64) -> String {
    match seconds {
        s if s < 1e-6 => format!("{:.1} ns", s * 1e9),
        s if s < 1e-3 => format!("{:.1} µs", s * 1e6),
        s if s < 1.0 => format!("{:.1} ms", s * 1e3),
        s => format!("{s:.3} s"),
    }
}
