//! Whether intervals and verdicts have their stated error rates, on simulated data with fixed seeds.

use super::random::Random;
use super::*;

const SIMULATIONS: usize = 2000;

/// Noise with mean 0 and standard deviation 1, where these exist.
type Noise = fn(&mut Random) -> f64;

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

/// The logarithms of ratios of which neighbours are correlated (an autoregressive process of order 1, with a standard
/// deviation of 1), about zero.
fn following(random: &mut Random, blocks: usize, correlation: f64) -> Vec<f64> {
    let mut next = random.normal();
    let step = |_| {
        let this = next;
        next = correlation * this + (1.0 - correlation * correlation).sqrt() * random.normal();
        this
    };
    (0..blocks).map(step).collect()
}

/// By what factor an interval is wider than that of independent blocks. Nothing for one that is refused.
type Widening = fn(&PairedDifference) -> Option<f64>;

/// Of intervals of blocks with this correlation, for each widening: the share that holds the truth, the share that is not
/// refused, and the mean factor.
fn coverages<const N: usize>(n: usize, correlation: f64, widenings: [Widening; N]) -> [[f64; 3]; N] {
    const SERIES: usize = 2 * SIMULATIONS;
    let mut random = Random::new(60 + n as u64);
    let mut counts = [[0.0; 3]; N];
    for _ in 0..SERIES {
        let found = PairedDifference::new(&following(&mut random, n, correlation)).unwrap();
        let Interval { low, high, .. } = found.interval.unwrap();
        let arms = [found.estimate - low, high - found.estimate].map(|arm| arm / found.widening);
        for (counts, widening) in counts.iter_mut().zip(widenings) {
            let Some(factor) = widening(&found) else { continue };
            let holds = arms[0] * factor >= found.estimate && arms[1] * factor >= -found.estimate;
            counts[0] += f64::from(u8::from(holds));
            counts[1] += 1.0;
            counts[2] += factor;
        }
    }
    counts.map(|[holds, kept, factors]| [holds / kept, kept / SERIES as f64, factors / kept])
}

/// As if the correlation were half a standard deviation above what was seen.
fn raised(found: &PairedDifference) -> Option<f64> {
    let n = found.blocks as f64;
    let seen = found.autocorrelation? + 0.5 / n.sqrt();
    let correlation = ((n * seen + 1.0) / (n - 3.0)).clamp(0.0, 0.8);
    Some(((1.0 + correlation) / (1.0 - correlation)).sqrt())
}

/// What is seen of the correlation in so few blocks is little: the interval becomes better, and not good. It is neither wider nor
/// refused more often, as that would make it wide for independent blocks too, or leave the worse ones. `docs/method.md` has what
/// this prints.
#[test]
fn blocks_that_follow_each_other_have_an_interval_that_holds_the_truth_more_often() {
    for (n, least) in [(7, 0.73), (12, 0.81), (24, 0.86)] {
        let widenings: [Widening; 4] = [
            |_| Some(1.0),
            |found| Some(found.widening),
            |found| (found.widening == 1.0).then_some(1.0),
            raised,
        ];
        let [[plain, ..], [wider, ..], [unclear, kept, _], [covered, ..]] = coverages(n, 0.6, widenings);
        let [[.., factor]] = coverages(n, 0.0, [raised]);
        println!("{n} blocks: {plain:.3}, with wider intervals {wider:.3}");
        println!("  if refused where the correlation is clear: {unclear:.3} of the {kept:.3} that are left");
        println!("  if wider by more: {covered:.3}, and {factor:.2} times as wide for independent blocks");
        assert!(plain < 0.76 && wider >= least && unclear < 0.75, "{plain} {wider} {unclear} at {n} blocks");
        assert!(covered >= 0.89 && factor > 1.1, "{covered} {factor} at {n} blocks");
    }
}

#[test]
fn durations_of_few_ticks_have_no_interval_and_the_others_keep_their_promise() {
    let (truth, n) = (1.3_f64, 12);
    for (noise, refused_at_least) in [(0.05, 0.95), (0.2, 0.9), (1.0, 0.0), (5.0, 0.0)] {
        let mut random = Random::new(12);
        let (mut refused, mut covers) = (0, 0);
        for _ in 0..SIMULATIONS {
            // Where a duration lies between two ticks is as probable everywhere.
            let ticks = 60.0 + 3.0 * random.uniform();
            let mut measured = |ticks: f64| (ticks + noise * random.normal()).round();
            let ratios: Vec<_> = (0..n).map(|_| (measured(ticks * truth) / measured(ticks)).ln()).collect();
            let found = PairedDifference::new(&ratios).unwrap();
            refused += usize::from(found.interval.is_none());
            let holds = |it: Interval| (it.low..=it.high).contains(&truth.ln());
            covers += usize::from(found.interval.is_some_and(holds));
        }
        assert!(refused as f64 >= refused_at_least * SIMULATIONS as f64, "{refused} at {noise}");
        let kept = SIMULATIONS - refused;
        assert!(
            kept < SIMULATIONS / 50 || covers as f64 >= 0.93 * kept as f64,
            "{covers} of {kept} at {noise}"
        );
    }
}

#[test]
fn the_interval_of_a_ratio_of_means_covers_the_truth_as_often_as_it_says() {
    for n in [7, 12] {
        for noise in [0.03, 0.2] {
            let mut random = Random::new(54 + n as u64);
            let mut covers = 0;
            for _ in 0..SIMULATIONS {
                let pairs: Vec<_> = (0..n)
                    .map(|_| {
                        let drift = 1.0 + 0.05 * random.normal();
                        let mut seconds =
                            |mean: f64| (mean * drift * (1.0 + noise * random.normal())).max(0.01);
                        (seconds(1.3), seconds(1.0))
                    })
                    .collect();
                let interval = MeanRatio::new(&pairs, 1.0).and_then(|ratio| ratio.interval);
                covers += usize::from(interval.is_some_and(|it| (it.low..=it.high).contains(&1.3)));
            }
            let coverage = covers as f64 / SIMULATIONS as f64;
            assert!((0.93..=0.97).contains(&coverage), "{coverage} at {n} blocks with noise {noise}");
        }
    }
}

#[test]
fn rare_runs_that_are_much_slower_change_the_mean_and_not_the_typical_run() {
    let mut random = Random::new(50);
    let pairs: Vec<_> = (0..400)
        .map(|block| {
            let slow = if block % 50 == 7 { 10.0 } else { 1.0 };
            (1.0 + 0.01 * random.normal(), slow * (1.0 + 0.01 * random.normal()))
        })
        .collect();
    let logarithms: Vec<_> = pairs.iter().map(|(baseline, this)| (baseline / this).ln()).collect();
    let typical = PairedDifference::new(&logarithms).unwrap();
    assert_eq!(Verdict::new(&typical), Some(Verdict::Equivalent));
    let mean = MeanRatio::new(&pairs, 1.0).unwrap();
    assert!((mean.estimate - 1.0 / 1.18).abs() < 0.01, "{mean:?}");
    assert!(mean.interval.is_some_and(|it| it.high < 0.96), "{mean:?}");
}

fn is_difference(difference: &PairedDifference) -> bool {
    Verdict::new(difference).unwrap().is_difference()
}

#[test]
fn noise_of_one_kind_rarely_falls_into_two_groups() {
    for n in [6, 7, 12] {
        for shape in [Random::normal as Noise, Random::exponential, Random::cauchy] {
            let found = share(n, 1.3, 0.2, shape, |difference| difference.groups.is_some());
            assert!(found <= 0.015, "{found} at {n} blocks");
        }
    }
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
fn a_table_of_differences_within_the_margin_rarely_has_one_called() {
    const TABLES: u32 = 500;
    let mut random = Random::new(24);
    let (mut at_margin, mut at_one) = (0, 0);
    for _ in 0..TABLES {
        let rows: Vec<_> = (0..24).map(|_| blocks(&mut random, 12, 1.0499, 0.03, Random::normal)).collect();
        let called = |p_value: fn(&PairedDifference) -> f64| {
            let adjusted = holm(&rows.iter().map(p_value).collect::<Vec<_>>());
            rows.iter().zip(adjusted).any(|(row, p_value)| is_difference(row) && p_value <= 1.0 - CONFIDENCE)
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
        assert!(found >= 0.85, "{found} for {truth}");
    }
}

#[test]
fn equal_backends_are_equivalent_if_the_noise_is_small() {
    let found = share(12, 1.0, 0.02, Random::normal, |difference| {
        Verdict::new(difference) == Some(Verdict::Equivalent)
    });
    assert!(found >= 0.9, "{found}");
}

/// A new experiment of the proposed size. The estimate behind the proposal varies, so about half of them are conclusive. Few are if
/// the true ratio is the margin: there is a proposal only because the estimate lies farther away.
#[test]
fn the_proposed_number_of_blocks_is_conclusive_about_half_of_the_time_and_rarely_at_the_margin() {
    for (truth, least, most) in
        [(1.0, 0.35, 0.95), (1.08, 0.35, 0.95), (1.12, 0.35, 0.95), (MARGIN, 0.0, 0.2)]
    {
        let mut random = Random::new(7);
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
        assert!(proposed > 100 && (least..=most).contains(&share), "{share} of {proposed} for {truth}");
    }
}
