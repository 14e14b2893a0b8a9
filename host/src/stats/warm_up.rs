//! When an engine is warm.

use serde::{Deserialize, Serialize};

use super::trend::Trend;

/// A trend is one that an order of independent runs shows in at most this share of cases. A false one only costs another run.
const CLEAR_TREND: f64 = 1.0 / 3.0;

/// The same for latencies. Their noise is such that a smaller one says little, and a false one costs a run of some seconds.
const CLEAR_TREND_OF_LATENCIES: f64 = 0.1;

/// So many further runs, however long they are, may a trend of latencies cost. Of orders of five independent latencies 1 of 12 has a clear
/// trend; of orders of seven, 1 of 252 has one in its first five, in the next and in the last, and is taken for one of the engine.
const MORE_FOR_LATENCIES: usize = 2;

/// Fewer runs show no trend, as each of their orders is too probable.
const FEWEST: u32 = 3;

/// By the schedule alone, runs of an open loop of n items differ by about 1 / √n of their time, if the items come independently of each
/// other. A trend over that few runs hardly ever is so many times as large by chance.
const BY_SCHEDULE: f64 = 5.0;

/// The rule by which runs are discarded until they have settled: until the last of them neither fall nor rise.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct WarmUp {
    /// At least so many runs, of which the last so many must show no trend.
    pub least: u32,
    /// At most so many, settled or not.
    pub most: u32,
    /// A trend over which durations change by at most this share counts for nothing.
    pub tolerance: f64,
    /// Once the runs have taken so many seconds together there are no more than [`WarmUp::least`], settled or not: many
    /// warm-ups are for short runs.
    #[serde(default = "seconds")]
    pub seconds: f64,
}

fn seconds() -> f64 {
    10.0
}

impl Default for WarmUp {
    fn default() -> Self {
        Self { least: 5, most: 20, tolerance: 0.02, seconds: seconds() }
    }
}

impl WarmUp {
    /// The rule of a first look: a trend over fewer runs, of which less can be seen.
    pub(crate) fn quick() -> Self {
        Self { least: FEWEST, most: 10, seconds: 5.0, ..Self::default() }
    }

    /// The rule for an open loop of so many items, of which the schedule decides how long a run takes.
    pub(crate) fn of_open_loop(self, items: u64) -> Self {
        Self { tolerance: self.tolerance.max(BY_SCHEDULE / (items.max(1) as f64).sqrt()), ..self }
    }

    /// Whether the runs so far, in seconds and in their order, are enough.
    pub fn is_over(&self, durations: &[f64]) -> bool {
        let done = durations.len();
        let is_long = durations.iter().sum::<f64>() >= self.seconds;
        done >= self.most as usize
            || (done >= self.min_runs() as usize && (is_long || self.has_settled(durations)))
    }

    /// The same of an open loop, of which a trend of the latencies costs a few further runs.
    pub(crate) fn is_over_with(&self, durations: &[f64], latencies: &[f64]) -> bool {
        let done = durations.len();
        let was_over = || self.is_over(&durations[..done.saturating_sub(MORE_FOR_LATENCIES)]);
        let is_last = || done >= self.most as usize || was_over();
        self.is_over(durations) && (self.have_latencies_settled(latencies) || is_last())
    }

    /// The fewest runs after which it can be over.
    pub fn min_runs(&self) -> u32 {
        self.least.max(FEWEST).min(self.most)
    }

    /// The most runs of so many seconds each.
    pub(crate) fn max_runs(&self, seconds: f64) -> u32 {
        let runs = (self.seconds / seconds).ceil();
        if runs.is_finite() { (runs as u32).clamp(self.min_runs(), self.most) } else { self.most }
    }

    /// Whether the last runs show no trend: at least [`WarmUp::least`] of them, and at least half of all, as a slow trend is
    /// only seen over many.
    pub fn has_settled(&self, durations: &[f64]) -> bool {
        let trend = self.last_trend(durations);
        trend.is_some_and(|it| it.p_value > CLEAR_TREND || it.change.abs() <= self.tolerance)
    }

    /// Whether the latencies of the last runs of an open loop show no trend. Too few of them, as of closed loops, show none.
    pub(crate) fn have_latencies_settled(&self, latencies: &[f64]) -> bool {
        let trend = self.last_trend(latencies);
        trend.is_none_or(|it| it.p_value > CLEAR_TREND_OF_LATENCIES || it.change.abs() <= self.tolerance)
    }

    /// The trend of the last values; `None` if there are too few.
    fn last_trend(&self, values: &[f64]) -> Option<Trend> {
        let window = (self.least.max(FEWEST) as usize).max(values.len() / 2);
        Trend::of(&values[values.len().checked_sub(window)?..])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::random::Random;
    use super::*;

    /// Durations with 1 % of noise that fall from 1.85 to 1, a share of 1/e every `pace` runs, until the rule ends them.
    fn falling(rule: &WarmUp, pace: f64, random: &mut Random) -> Vec<f64> {
        let mut runs: Vec<f64> = Vec::new();
        while !rule.is_over(&runs) {
            let mean = 1.0 + 0.85 * (-(runs.len() as f64) / pace).exp();
            runs.push(0.01 * mean * (0.01 * random.normal()).exp());
        }
        runs
    }

    #[test]
    fn equal_runs_settle_after_the_fewest_and_neither_a_fall_nor_a_rise_does() {
        let rule = WarmUp::default();
        assert!(!rule.is_over(&[]) && !rule.is_over(&[0.1; 4]) && rule.is_over(&[0.1; 5]));
        assert!(!rule.is_over(&[1.0, 0.98, 0.96, 0.94, 0.92]));
        assert!(!rule.has_settled(&[1.0, 1.02, 1.04, 1.06, 1.08]));
        // Two in a row that are alike say nothing.
        assert!(!rule.has_settled(&[1.4, 1.3, 1.2, 1.1, 1.05]));
        assert!(rule.has_settled(&[9.0, 3.0, 1.0, 1.01, 1.0, 1.02, 1.0]));
        // As little as this counts for nothing.
        assert!(rule.has_settled(&[1.016, 1.012, 1.008, 1.004, 1.0]));
    }

    #[test]
    fn a_slow_fall_is_not_taken_for_steady() {
        let (rule, mut random) = (WarmUp::default(), Random::new(185));
        for pace in [5.0, 10.0, 20.0] {
            let settled = (0..100).filter(|_| rule.has_settled(&falling(&rule, pace, &mut random))).count();
            assert!(settled <= 4, "{settled} of 100 at {pace}");
        }
        // A fall that is over within the warm-ups ends them by itself.
        let runs = falling(&rule, 1.0, &mut random);
        assert!((6..20).contains(&runs.len()) && rule.has_settled(&runs), "{runs:?}");
    }

    #[test]
    fn runs_that_only_vary_settle_soon() {
        let (rule, mut random) = (WarmUp::default(), Random::new(5));
        let mut runs_in_all = 0;
        for _ in 0..200 {
            let mut runs: Vec<f64> = Vec::new();
            while !rule.is_over(&runs) {
                runs.push(0.01 * (0.1 * random.normal()).exp());
            }
            assert!(rule.has_settled(&runs));
            runs_in_all += runs.len();
        }
        assert!(runs_in_all <= 200 * 6, "{runs_in_all}");
    }

    #[test]
    fn a_random_schedule_is_no_trend_of_the_engine() {
        let mut random = Random::new(2000);
        for rule in [WarmUp::default(), WarmUp::quick()] {
            let of_open_loop = rule.of_open_loop(2000);
            let (mut without, mut with) = (0, 0);
            for _ in 0..500 {
                // 2000 items that come independently of each other, in two seconds in the mean.
                let runs: Vec<_> =
                    (0..rule.min_runs()).map(|_| 2.0 * (1.0 + random.normal() / 2000_f64.sqrt())).collect();
                without += u32::from(!rule.has_settled(&runs));
                with += u32::from(!of_open_loop.has_settled(&runs));
            }
            assert!(without > 50 && with <= 2, "{without} and {with} of 500");
        }
        // An engine that does not keep up is late by what it takes to warm up.
        let rule = WarmUp::default().of_open_loop(2000);
        assert!(!rule.has_settled(&[4.0, 3.2, 2.8, 2.5, 2.4]) && rule.has_settled(&[2.0; 5]));
        assert_eq!(WarmUp::default().of_open_loop(u64::MAX), WarmUp::default());
    }

    #[test]
    fn latencies_that_fall_from_run_to_run_have_not_settled_and_those_that_vary_have() {
        let rule = WarmUp::default().of_open_loop(2000);
        let falling = [4.0, 3.0, 2.4, 2.1, 2.0];
        assert!(!rule.have_latencies_settled(&falling) && rule.have_latencies_settled(&falling[1..]));
        assert!(rule.have_latencies_settled(&[]) && rule.have_latencies_settled(&[2.0; 5]));
        // By less than what counts for nothing.
        assert!(rule.have_latencies_settled(&[2.1, 2.08, 2.06, 2.04, 2.02]));
    }

    #[test]
    fn latencies_that_only_vary_settle_with_few_further_runs_however_long_these_are() {
        let mut random = Random::new(95);
        for seconds in [0.1, 2.0, 60.0] {
            let rule = WarmUp::default().of_open_loop(2000);
            let (mut unsettled, mut runs_in_all) = (0, 0);
            for _ in 0..500 {
                let (mut durations, mut latencies): (Vec<f64>, Vec<f64>) = (Vec::new(), Vec::new());
                while !rule.is_over_with(&durations, &latencies) {
                    durations.push(seconds);
                    latencies.push((0.3 * random.normal()).exp());
                }
                unsettled += u32::from(!rule.have_latencies_settled(&latencies));
                runs_in_all += latencies.len();
            }
            assert!(unsettled < 10, "{unsettled} of 500");
            assert!(runs_in_all < 500 * 5 + 100, "{runs_in_all}");
        }
    }

    #[test]
    fn latencies_that_fall_cost_two_further_runs_and_none_beyond_the_most() {
        let rule = WarmUp::default().of_open_loop(2000);
        let falling: Vec<_> = (0..8).map(|at| 1.0 + 0.8_f64.powi(at)).collect();
        let is_over = |rule: WarmUp, runs: usize| rule.is_over_with(&[2.0; 8][..runs], &falling[..runs]);
        assert_eq!([4, 5, 6, 7].map(|runs| is_over(rule, runs)), [false, false, false, true]);
        assert!(!rule.have_latencies_settled(&falling[..7]));
        assert!(is_over(WarmUp { most: 6, ..rule }, 6) && is_over(WarmUp { most: 5, ..rule }, 5));
        // Those of a closed loop are none, and durations decide alone.
        assert!(
            rule.is_over_with(&[2.0; 5], &[]) && !rule.is_over_with(&[0.3, 0.27, 0.24, 0.22, 0.1], &[1.0; 5])
        );
    }

    #[test]
    fn there_are_never_more_than_the_most_and_of_long_runs_no_more_than_the_least() {
        let rule = WarmUp { most: 8, ..WarmUp::default() };
        let falling: Vec<_> = (0..8).map(|at| 0.5_f64.powi(at)).collect();
        assert!(!rule.is_over(&falling[..7]) && rule.is_over(&falling) && !rule.has_settled(&falling));
        let long: Vec<_> = falling.iter().map(|seconds| seconds * 30.0).collect();
        assert!(!rule.is_over(&long[..4]) && rule.is_over(&long[..5]) && !rule.has_settled(&long[..5]));
        assert!(WarmUp { least: 0, most: 0, ..rule }.is_over(&[]));
        assert_eq!([0.0, 0.1, 1.5, 60.0].map(|seconds| WarmUp::default().max_runs(seconds)), [20, 20, 7, 5]);
    }

    #[test]
    fn a_first_look_takes_fewer() {
        let rule = WarmUp::quick();
        assert!(!rule.is_over(&[0.1; 2]) && rule.is_over(&[0.1; 3]) && !rule.is_over(&[0.3, 0.2, 0.1]));
    }

    #[test]
    fn a_figure_that_is_no_number_never_settles() {
        assert!(!WarmUp::default().is_over(&[f64::NAN; 6]));
    }

    #[test]
    fn a_rule_that_was_recorded_before_reads_back() {
        let old: WarmUp = serde_json::from_str(r#"{"least":1,"most":5,"tolerance":0.05}"#).unwrap();
        assert_eq!((old.least, old.most, old.seconds), (1, 5, 10.0));
    }

    proptest! {
        #[test]
        fn the_fewest_is_reached_by_equal_runs_and_no_sooner(least in 0..6_u32, most in 0..6_u32) {
            let rule = WarmUp { least, most, ..WarmUp::default() };
            let runs = [0.1; 6];
            let over = (0..=6).find(|n| rule.is_over(&runs[..*n])).unwrap();
            prop_assert_eq!(over as u32, rule.min_runs());
        }
    }
}
