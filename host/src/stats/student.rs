//! Student's distribution.

/// The point that lies as far from zero as a value of so many degrees of freedom does at most with this probability.
pub(super) fn two_sided_quantile(probability: f64, freedom: usize) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    while within(high, freedom) < probability && high < 1e6 {
        high *= 2.0;
    }
    // As many halvings as there are digits.
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if within(middle, freedom) < probability { low = middle } else { high = middle }
    }
    high
}

/// How probable a value from -t to t is: finite sums of trigonometric functions, as the degrees of freedom are whole
/// (Abramowitz and Stegun, "Handbook of mathematical functions", 26.7.3 and 26.7.4).
fn within(t: f64, freedom: usize) -> f64 {
    let angle = (t / (freedom as f64).sqrt()).atan();
    let (sine, cosine) = (angle.sin(), angle.cos());
    let odd = freedom % 2;
    // The first term, and each next one from the one before.
    let mut term = if odd == 1 { cosine } else { 1.0 };
    let mut sum = 0.0;
    for power in (odd..freedom.saturating_sub(1)).step_by(2) {
        sum += term;
        term *= cosine * cosine * (power + 1) as f64 / (power + 2) as f64;
    }
    if odd == 1 { (angle + sine * sum) * std::f64::consts::FRAC_2_PI } else { sine * sum }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_every_table() {
        for (freedom, quantile) in [
            (1, 12.706_205),
            (2, 4.302_653),
            (3, 3.182_446),
            (6, 2.446_912),
            (11, 2.200_985),
            (30, 2.042_272),
            (1000, 1.962_339),
        ] {
            let ours = two_sided_quantile(0.95, freedom);
            assert!((ours - quantile).abs() < 1e-5, "{ours} for {freedom}");
        }
    }
}
