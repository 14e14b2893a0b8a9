//! The order of numbers, and one of many by its rank without a list of them.

/// The number at the index `place` of sorted numbers that lie between the two `ends`: the least one with more than `place` numbers
/// up to it, by bisection over all numbers. `up_to` says how many there are up to a limit.
pub(super) fn ranked(ends: [f64; 2], place: usize, up_to: impl Fn(f64) -> usize) -> f64 {
    let [mut low, mut high] = ends.map(index_of);
    while low < high {
        let middle = low + (high - low) / 2;
        if up_to(number_with_index(middle)) > place { high = middle } else { low = middle + 1 }
    }
    // Zero has two forms.
    number_with_index(low) + 0.0
}

/// The values from the least to the greatest.
pub(super) fn sorted(values: &[f64]) -> Vec<f64> {
    let mut values = values.to_vec();
    values.sort_unstable_by(f64::total_cmp);
    values
}

/// The index of a number in the order of all numbers.
fn index_of(number: f64) -> u64 {
    let bits = number.to_bits();
    if number.is_sign_negative() { !bits } else { bits | 1 << 63 }
}

fn number_with_index(place: u64) -> f64 {
    f64::from_bits(if place >> 63 == 0 { !place } else { place ^ 1 << 63 })
}
