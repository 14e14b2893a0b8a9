//! Two things measured in turns.

/// What is measured, and beside what; each gives seconds.
pub(crate) struct Pair<A, B> {
    pub(crate) with: A,
    pub(crate) without: B,
}

/// Measures both in turns and prints the medians and the median of the rounds' ratios.
pub(crate) fn compare<A, B>(name: &str, bar: &str, rounds: usize, mut pair: Pair<A, B>)
where
    A: FnMut() -> f64,
    B: FnMut() -> f64,
{
    // Once before it counts: files are read and memory is there.
    let _ = ((pair.with)(), (pair.without)());
    let (mut with, mut without, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        // Who goes first changes: what one leaves behind must not always hurt the other.
        let (a, b) = if round % 2 == 0 {
            let a = (pair.with)();
            (a, (pair.without)())
        } else {
            let b = (pair.without)();
            ((pair.with)(), b)
        };
        with.push(a);
        without.push(b);
        ratios.push(a / b);
    }
    let (with, without, ratio) = (median(with), median(without), median(ratios));
    println!("{name:<58} {:>12} {:>12} {ratio:>7.2}  {bar}", time(with), time(without));
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn time(seconds: f64) -> String {
    match seconds {
        s if s < 1e-6 => format!("{:.1} ns", s * 1e9),
        s if s < 1e-3 => format!("{:.1} µs", s * 1e6),
        s => format!("{:.1} ms", s * 1e3),
    }
}
