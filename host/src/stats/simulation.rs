//! Whether the method keeps what it promises, on data whose truth is known. Seeds are fixed.

use super::random::Random;
use super::*;

const SIMULATIONS: usize = 2000;

/// Noise of mean zero; the standard deviation is 1 where there is one.
type Noise = fn(&mut Random) -> f64;

/// The logarithms of the ratios of `blocks` blocks, whose own speeds drift together.
fn blocks(random: &mut Random, blocks: usize, truth: f64, noise: f64, shape: Noise) -> PairedDifference {
    let mut drift = 0.0;
    let ratios: Vec<_> = (0..blocks)
        .map(|_| {
            drift += 0.05 * random.normal();
            let this = drift + truth.ln() + noise * shape(random);
            let baseline = drift + noise * shape(random);
            this - baseline
        })
        .collect();
    PairedDifference::new(&ratios).unwrap()
}

/// The share of simulations in which `holds`.
fn share(n: usize, truth: f64, noise: f64, shape: Noise, holds: impl Fn(&PairedDifference) -> bool) -> f64 {
    let mut random = Random::new(20_260_221 + n as u64);
    let found = (0..SIMULATIONS).filter(|_| holds(&blocks(&mut random, n, truth, noise, shape))).count();
    found as f64 / SIMULATIONS as f64
}

#[test]
fn the_interval_covers_the_truth_as_often_as_it_says() {
    for n in [7, 12] {
        for shape in [Random::normal as Noise, Random::exponential, Random::cauchy] {
            let covers = |difference: &PairedDifference| {
                let Interval { low, high, .. } = difference.interval.unwrap();
                (low..=high).contains(&1.3_f64.ln())
            };
            let coverage = share(n, 1.3, 0.03, shape, covers);
            assert!((0.93..=0.97).contains(&coverage), "{coverage} at {n} blocks");
        }
    }
}

fn is_called(difference: &PairedDifference) -> bool {
    Verdict::new(difference).unwrap().is_difference()
}

#[test]
fn of_one_backend_beside_itself_no_difference_is_called() {
    for n in [6, 7, 12] {
        for noise in [0.001, 0.03, 0.1, 0.3] {
            let called = share(n, 1.0, noise, Random::normal, is_called);
            assert!(called <= 0.05, "{called} at {n} blocks with noise {noise}");
        }
    }
}

#[test]
fn a_difference_of_the_margin_itself_is_rarely_called() {
    let called = share(12, MARGIN, 0.03, Random::normal, is_called);
    assert!((0.005..=0.05).contains(&called), "{called}");
}

#[test]
fn a_table_of_differences_within_the_margin_rarely_has_one_called() {
    const TABLES: u32 = 500;
    let mut random = Random::new(24);
    let (mut at_margin, mut at_one) = (0, 0);
    for _ in 0..TABLES {
        let rows: Vec<_> = (0..24).map(|_| blocks(&mut random, 12, 1.0499, 0.03, Random::normal)).collect();
        let called = |p_value: fn(&PairedDifference) -> f64| {
            let adjusted = holm(&rows.iter().map(p_value).collect::<Vec<_>>());
            rows.iter().zip(adjusted).any(|(row, p_value)| is_called(row) && p_value <= 1.0 - CONFIDENCE)
        };
        at_margin += u32::from(called(|row| row.margin_p_value));
        at_one += u32::from(called(|row| row.p_value));
    }
    let [at_margin, at_one] = [at_margin, at_one].map(|tables| f64::from(tables) / f64::from(TABLES));
    assert!((0.005..=0.05).contains(&at_margin), "{at_margin}");
    // What the p-value of equal speeds would do.
    assert!(at_one > 0.3, "{at_one}");
}

#[test]
fn a_difference_of_ten_percent_is_found_with_twelve_blocks() {
    for (truth, verdict) in [(1.1, Verdict::Faster), (1.0 / 1.1, Verdict::Slower), (0.9, Verdict::Slower)] {
        let found =
            share(12, truth, 0.03, Random::normal, |difference| Verdict::new(difference) == Some(verdict));
        assert!(found >= 0.9, "{found} for {truth}");
    }
}

#[test]
fn equal_backends_are_called_equivalent_when_noise_is_small() {
    let found = share(12, 1.0, 0.02, Random::normal, |difference| {
        Verdict::new(difference) == Some(Verdict::Equivalent)
    });
    assert!(found >= 0.9, "{found}");
}

/// A fresh experiment of the proposed size: the estimate that proposed it may have been luck, so half is the claim.
#[test]
fn as_many_more_blocks_as_proposed_tell_about_as_often_as_not() {
    for truth in [1.0, 1.08, 1.12] {
        let mut random = Random::new(7);
        let (mut proposed, mut told) = (0, 0);
        for _ in 0..SIMULATIONS / 4 {
            let first = blocks(&mut random, 7, truth, 0.05, Random::normal);
            let Some(Verdict::Inconclusive { more_blocks: Some(more) }) = Verdict::new(&first) else {
                continue;
            };
            proposed += 1;
            let second = blocks(&mut random, 7 + more as usize, truth, 0.05, Random::normal);
            told += usize::from(!matches!(Verdict::new(&second), Some(Verdict::Inconclusive { .. })));
        }
        let share = f64::from(told as u32) / f64::from(proposed);
        assert!(proposed > 100 && (0.35..=0.95).contains(&share), "{share} of {proposed} for {truth}");
    }
}
