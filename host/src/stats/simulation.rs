//! Whether intervals and verdicts have their stated error rates, on simulated data with fixed seeds.

use plugin_api::random::mix;

use super::*;

const SIMULATIONS: usize = 2000;

/// Noise with mean 0 and standard deviation 1, where these exist.
type Noise = fn(&mut Random) -> f64;

struct Random(u64);

impl Random {
    /// Between 0 and 1, both excluded.
    fn uniform(&mut self) -> f64 {
        self.0 = mix(self.0);
        ((self.0 >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// One-sided, as delays are.
    fn exponential(&mut self) -> f64 {
        -self.uniform().ln() - 1.0
    }

    /// Without a mean: some blocks are outliers.
    fn cauchy(&mut self) -> f64 {
        (std::f64::consts::PI * (self.uniform() - 0.5)).tan()
    }
}

/// The logarithms of the ratios of blocks, in which the speeds of both backends drift together.
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
    let mut random = Random(20_260_221 + n as u64);
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

fn is_difference(difference: &PairedDifference) -> bool {
    Verdict::new(difference).unwrap().is_difference()
}

#[test]
fn an_a_a_comparison_finds_no_difference() {
    for n in [6, 7, 12] {
        for noise in [0.001, 0.03, 0.1, 0.3] {
            let called = share(n, 1.0, noise, Random::normal, is_difference);
            assert!(called <= 0.05, "{called} at {n} blocks with noise {noise}");
        }
    }
}

#[test]
fn a_difference_equal_to_the_margin_is_rarely_found() {
    let called = share(12, MARGIN, 0.03, Random::normal, is_difference);
    assert!((0.005..=0.05).contains(&called), "{called}");
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
fn equal_backends_are_equivalent_if_the_noise_is_small() {
    let found = share(12, 1.0, 0.02, Random::normal, |difference| {
        Verdict::new(difference) == Some(Verdict::Equivalent)
    });
    assert!(found >= 0.9, "{found}");
}

/// A new experiment of the proposed size. The estimate behind the proposal varies, so about half of them are conclusive.
#[test]
fn the_proposed_number_of_blocks_is_conclusive_about_half_of_the_time() {
    for truth in [1.0, 1.08, 1.12] {
        let mut random = Random(7);
        let (mut proposed, mut conclusive) = (0, 0);
        for _ in 0..SIMULATIONS / 4 {
            let first = blocks(&mut random, 7, truth, 0.05, Random::normal);
            let Some(Verdict::Inconclusive { more_blocks: Some(more) }) = Verdict::new(&first) else {
                continue;
            };
            proposed += 1;
            let second = blocks(&mut random, 7 + more as usize, truth, 0.05, Random::normal);
            conclusive += usize::from(!matches!(Verdict::new(&second), Some(Verdict::Inconclusive { .. })));
        }
        let share = f64::from(conclusive as u32) / f64::from(proposed);
        assert!(proposed > 100 && (0.35..=0.95).contains(&share), "{share} of {proposed} for {truth}");
    }
}
