//! Change points of a series by E-Divisive: hierarchical bisection by the energy distance, with a permutation test for each
//! further change point (Matteson and James, "A nonparametric approach for multiple change point analysis of multivariate data",
//! JASA 109, 2014; with one dimension and alpha = 1).

use plugin_api::random::mix;

/// Each part has at least so many values: one value alone has no distance within it.
const LEAST: usize = 2;

/// The test keeps a change point if its p-value is at most [`SIGNIFICANCE`], of so many permutations.
const PERMUTATIONS: u32 = 299;
const SIGNIFICANCE: f64 = 0.02;

/// Up to this length a series has ten times as many, which take little time there. The smallest possible p-value of a step near an end,
/// or of up to ten values, is near [`SIGNIFICANCE`], so that few permutations keep or lose a step by chance: 2 of the 70 orders of eight
/// values show one of four.
const SHORT: usize = 20;
const PERMUTATIONS_IF_SHORT: u32 = 2999;

/// The same series always has the same permutations.
const SEED: u64 = 2014;

/// Where the distribution of a series changes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ChangePoint {
    /// The index of the first value after the change.
    pub(crate) index: usize,
    /// The share of permutations with as large a change, when this point was found.
    pub(crate) p_value: f64,
}

/// The change points, in their order. None in a series that is too short, and among values that are not all finite.
pub(crate) fn change_points(series: &[f64]) -> Vec<ChangePoint> {
    let mut found: Vec<ChangePoint> = Vec::new();
    if !series.iter().all(|value| value.is_finite()) {
        return found;
    }
    let (mut random, mut sums) = (SEED, Vec::new());
    loop {
        let bounds = bounds(&found, series.len());
        let best = bounds.windows(2).filter_map(|ends| {
            let split = best_split(&series[ends[0]..ends[1]], &mut sums)?;
            Some(Split { index: split.index + ends[0], ..split })
        });
        let best = best.max_by(|one, other| one.divergence.total_cmp(&other.divergence));
        let p_value = best.and_then(|best| p_value(series, &bounds, best.divergence, &mut random));
        let Some((best, p_value)) = best.zip(p_value) else { return found };
        let at = found.partition_point(|point| point.index < best.index);
        found.insert(at, ChangePoint { index: best.index, p_value });
    }
}

/// The ends of the parts.
fn bounds(found: &[ChangePoint], length: usize) -> Vec<usize> {
    [0].into_iter().chain(found.iter().map(|point| point.index)).chain([length]).collect()
}

#[derive(Clone, Copy)]
struct Split {
    index: usize,
    divergence: f64,
}

/// The split of a part into a left side and the values after it, up to some value, that differ most. None if the part is too short.
/// `sums` is memory that is used again: this runs for every permutation.
fn best_split(part: &[f64], sums: &mut Vec<f64>) -> Option<Split> {
    let n = part.len();
    // The distances of each value to the first none, one, two … of those before it, summed up: a row of n for each value.
    sums.clear();
    sums.resize(n * n, 0.0);
    // All distances among the first so many values.
    let mut among_first = vec![0.0; n + 1];
    for at in 0..n {
        let mut sum = 0.0;
        for before in 0..at {
            sums[at * n + before] = sum;
            sum += (part[before] - part[at]).abs();
        }
        sums[at * n + at] = sum;
        among_first[at + 1] = among_first[at] + sum;
    }
    let pairs = |size: f64| size * (size - 1.0) / 2.0;
    let mut best = Split { index: 0, divergence: f64::NEG_INFINITY };
    for left in LEAST..(n + 1).saturating_sub(LEAST) {
        // The right side begins with one value, and counts from [`LEAST`] on, which is two.
        let (m, mut between) = (left as f64, sums[left * n + left]);
        let within_left = among_first[left] / pairs(m);
        for end in left + LEAST..n + 1 {
            between += sums[(end - 1) * n + left];
            let right = (end - left) as f64;
            let within_right = (among_first[end] - among_first[left] - between) / pairs(right);
            // The scaled energy distance: equation (7) of the paper.
            let divergence =
                m * right / (m + right) * (2.0 * between / (m * right) - within_left - within_right);
            if divergence > best.divergence {
                best = Split { index: left, divergence };
            }
        }
    }
    (best.index > 0).then_some(best)
}

/// The share of permutations within the parts, this series included, whose best split differs as much. None as soon as it is
/// certain to be above [`SIGNIFICANCE`].
fn p_value(series: &[f64], bounds: &[usize], observed: f64, random: &mut u64) -> Option<f64> {
    let permutations = if series.len() <= SHORT { PERMUTATIONS_IF_SHORT } else { PERMUTATIONS };
    let share = |as_large: u32| f64::from(as_large + 1) / f64::from(permutations + 1);
    let (mut as_large, mut permuted, mut sums) = (0, series.to_vec(), Vec::new());
    // A sum of the same distances in another order may differ by rounding.
    let limit = observed - observed.abs() * 1e-9;
    for _ in 0..permutations {
        let parts = bounds.windows(2).filter_map(|ends| {
            let part = &mut permuted[ends[0]..ends[1]];
            shuffle(part, random);
            best_split(part, &mut sums)
        });
        // Every part is shuffled, whatever the others show.
        let largest = parts.map(|split| split.divergence).fold(f64::NEG_INFINITY, f64::max);
        as_large += u32::from(largest >= limit);
        if share(as_large) > SIGNIFICANCE {
            return None;
        }
    }
    Some(share(as_large))
}

/// Fisher and Yates.
fn shuffle(values: &mut [f64], random: &mut u64) {
    for last in (1..values.len()).rev() {
        *random = mix(*random);
        values.swap(last, (*random % (last as u64 + 1)) as usize);
    }
}

#[cfg(test)]
mod otava;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::random::Random;

    /// A series of so many values with 2 % noise, and a step of `factor` before each of `steps`.
    fn series(random: &mut Random, length: usize, factor: f64, steps: &[usize]) -> Vec<f64> {
        let level = |at: usize| factor.powi(steps.iter().filter(|step| **step <= at).count() as i32);
        (0..length).map(|at| (level(at) * (1.0 + 0.02 * random.normal())).ln()).collect()
    }

    fn indices(series: &[f64]) -> Vec<usize> {
        change_points(series).into_iter().map(|point| point.index).collect()
    }

    #[test]
    fn a_step_of_ten_percent_is_found_within_two_runs_and_nothing_without_a_step() {
        const LENGTH: usize = 24;
        let mut random = Random::new(22);
        let (mut found, mut spurious) = (0, 0);
        for number in 0..500 {
            let step = 5 + number % 15;
            let indices_of_step = indices(&series(&mut random, LENGTH, 1.1, &[step]));
            found += u32::from(indices_of_step.iter().any(|index| index.abs_diff(step) <= 2));
            spurious += u32::from(!indices(&series(&mut random, LENGTH, 1.0, &[])).is_empty());
        }
        println!("found: {found} of 500, without a step: {spurious} of 500");
        assert!(found >= 475, "{found} of 500 steps were found");
        assert!(spurious <= 25, "{spurious} of 500 series without a step have one");
    }

    #[test]
    fn no_shuffle_decides_whether_a_short_series_has_a_step() {
        let step = |before: usize, after: usize| indices(&[vec![1.0; before], vec![2.0; after]].concat());
        // As large are 2 of 70 orders, 2 of 126, and 2 of 120.
        assert_eq!(step(4, 4), [0; 0]);
        assert_eq!((step(4, 5), step(5, 4)), (vec![4], vec![5]));
        assert_eq!((step(3, 7), step(7, 3)), (vec![3], vec![7]));
    }

    #[test]
    fn several_steps_are_found() {
        let mut random = Random::new(7);
        let found = indices(&series(&mut random, 60, 1.15, &[20, 40]));
        assert!(found.len() == 2 && found[0].abs_diff(20) <= 2 && found[1].abs_diff(40) <= 2, "{found:?}");
    }

    #[test]
    fn the_divergence_is_that_of_its_definition() {
        // Between {0, 1} and {3, 5}: distances 3, 5, 2, 4; within: 1 and 2.
        let by_hand = 2.0 * 2.0 / 4.0 * (2.0 / 4.0 * 14.0 - 1.0 - 2.0);
        let split = best_split(&[0.0, 1.0, 3.0, 5.0], &mut Vec::new()).unwrap();
        assert_eq!((split.index, split.divergence), (2, by_hand));
        assert!(best_split(&[0.0, 1.0, 3.0], &mut Vec::new()).is_none());
    }

    #[test]
    fn a_series_that_is_short_constant_or_not_finite_has_no_change_points() {
        assert_eq!(indices(&[]), [0; 0]);
        assert_eq!(indices(&[1.0, 1.0, 2.0, 2.0]), [0; 0]);
        assert_eq!(indices(&[0.1; 40]), [0; 0]);
        assert_eq!(indices(&[&[1.0; 20][..], &[f64::NAN; 20]].concat()), [0; 0]);
        assert_eq!(indices(&[&[1.0; 20][..], &[2.0; 20]].concat()), [20]);
    }

    #[test]
    fn one_outlier_is_no_change() {
        let mut random = Random::new(3);
        let mut values = series(&mut random, 30, 1.0, &[]);
        values[17] += 1.0;
        assert_eq!(indices(&values), [0; 0]);
    }
}
