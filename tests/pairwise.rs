//! A small set of rows in which every pair of values of two settings occurs: most faults need no more than two settings.

use std::collections::HashSet;

/// A setting and its value, twice: places in the lists of what may be.
type Pair = [(usize, usize); 2];

/// Rows in which every pair of values of any two settings is; of setting `i` there are `sizes[i]` values. Each row is a place
/// in the list of each setting.
///
/// Greedy: a row begins with a pair that is missing, and each other setting takes the value with which most that is missing
/// is met. The same for the same sizes.
pub(crate) fn cover<const N: usize>(sizes: [usize; N]) -> Vec<[usize; N]> {
    let all = pairs(&sizes);
    let mut missing: HashSet<Pair> = all.iter().copied().collect();
    let mut rows = Vec::new();
    // Always the first that is missing, so that the rows do not depend on the order in a set.
    for pair in all {
        if missing.contains(&pair) {
            let row = best_row(&sizes, pair, &missing);
            for pair in met(&row) {
                missing.remove(&pair);
            }
            rows.push(row);
        }
    }
    rows
}

/// Every pair that there is.
fn pairs(sizes: &[usize]) -> Vec<Pair> {
    let settings = (0..sizes.len()).flat_map(|one| (one + 1..sizes.len()).map(move |other| (one, other)));
    let values = |(one, other): (usize, usize)| {
        (0..sizes[one]).flat_map(move |a| (0..sizes[other]).map(move |b| [(one, a), (other, b)]))
    };
    settings.flat_map(values).collect()
}

fn best_row<const N: usize>(sizes: &[usize; N], pair: Pair, missing: &HashSet<Pair>) -> [usize; N] {
    let mut chosen: [Option<usize>; N] = [None; N];
    for (setting, value) in pair {
        chosen[setting] = Some(value);
    }
    for setting in 0..N {
        let met = |value: usize| {
            let others = (0..N).filter_map(|other| Some((other, chosen[other]?)));
            let with = others.map(|other| {
                let own = (setting, value);
                if other.0 < setting { [other, own] } else { [own, other] }
            });
            with.filter(|pair| missing.contains(pair)).count()
        };
        // The last of the best is taken; values take turns in coming last.
        let turned = (0..sizes[setting]).map(|value| (value + missing.len()) % sizes[setting]);
        let best = turned.max_by_key(|value| met(*value));
        chosen[setting] = chosen[setting].or(best);
    }
    chosen.map(|value| value.unwrap_or_default())
}

/// The pairs that are in a row.
fn met<const N: usize>(row: &[usize; N]) -> impl Iterator<Item = Pair> {
    (0..N).flat_map(move |one| (one + 1..N).map(move |other| [(one, row[one]), (other, row[other])]))
}

/// Demands that any two values of two settings meet in a row.
fn check<const N: usize>(sizes: [usize; N], most: usize) {
    let rows = cover(sizes);
    for one in 0..N {
        for two in one + 1..N {
            for (a, b) in (0..sizes[one]).flat_map(|a| (0..sizes[two]).map(move |b| (a, b))) {
                let covered = rows.iter().any(|row| row[one] == a && row[two] == b);
                assert!(covered, "no row has {a} at {one} and {b} at {two}");
            }
        }
    }
    assert!(rows.iter().all(|row| row.iter().zip(sizes).all(|(value, size)| *value < size)));
    assert!(rows.len() <= most, "{} rows for {sizes:?}", rows.len());
}

#[test]
fn every_pair_of_values_occurs() {
    check([5, 4, 2, 2, 2], 24);
    check([5, 4, 3, 3, 2, 2, 2], 28);
    check([7, 5, 4, 2, 2, 2], 44);
    check([2, 3], 6);
    check([1, 1, 1], 1);
    check([4], 0);
}
