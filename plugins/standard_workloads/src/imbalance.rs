//! `imbalance`: a `pipeline` in which some items take far more work than others, with the same mean.

use plugin_api::serde_json::{Map, Value};
use plugin_api::{BatchBuilder, Parameter, Parameters, Plan, Workload, WorkloadError, WorkloadSpec};

use crate::chain::{Chain, iters_parameter, stages_parameter};
use crate::kernel::BusyProduct;
use crate::random::{Stream, rnd, u01};

/// Every map runs `iters · m(i)` iterations for item `i`, to the nearest whole number.
pub(crate) struct Imbalance {
    chain: Chain,
    seed: u64,
    iters: u64,
    distribution: Distribution,
}

impl Imbalance {
    #[inline]
    fn iters_of(&self, index: u64) -> u64 {
        let multiplier = self.distribution.multiplier(u01(rnd(self.seed, Stream::COST, index)));
        (self.iters as f64 * multiplier).round() as u64
    }
}

/// The distribution of the multipliers m(i). The mean of each is 1.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Distribution {
    /// Evenly from 0 to 2.
    Uniform,
    /// One item in a hundred has the multiplier 50, and all others have one smaller multiplier.
    Bimodal,
    /// Pareto with α = 1.5, capped at 100 times its smallest value.
    Pareto,
}

impl Distribution {
    const NAMES: [&str; 3] = ["uniform", "bimodal", "pareto"];

    fn named(name: &str) -> Self {
        match name {
            "bimodal" => Self::Bimodal,
            "pareto" => Self::Pareto,
            _ => Self::Uniform,
        }
    }

    /// The multiplier for `u` in 0..1.
    #[inline]
    fn multiplier(self, u: f64) -> f64 {
        match self {
            Self::Uniform => 2.0 * u,
            Self::Bimodal => bimodal(u),
            Self::Pareto => pareto(u),
        }
    }
}

fn bimodal(u: f64) -> f64 {
    const SHARE: f64 = 0.01;
    const HEAVY: f64 = 50.0;
    // The mean is SHARE · HEAVY + (1 − SHARE) · LIGHT, which must be 1.
    const LIGHT: f64 = (1.0 - SHARE * HEAVY) / (1.0 - SHARE);
    if u < SHARE { HEAVY } else { LIGHT }
}

fn pareto(u: f64) -> f64 {
    const ALPHA: f64 = 1.5;
    const CAP: f64 = 100.0;
    // With P(X > x) = x^−α from 1 on, the mean of min(X, c) is the integral of P(X > x) from 0 to c, that is
    // 1 + (1 − c^(1−α)) / (α − 1). For α = 1.5 and c = 100, c^(1−α) is 1/10, and the mean 1 + 2 · 0.9.
    const MEAN: f64 = 2.8;
    // 1 − u is in 0 excluded to 1 included, so the power is finite.
    libm::pow(1.0 - u, -1.0 / ALPHA).min(CAP) / MEAN
}

impl Workload for Imbalance {
    const NAME: &'static str = "imbalance";
    const DESCRIPTION: &'static str =
        "A pipeline whose items differ in work, at the same mean: what a load-aware scheduler is for";

    fn parameters() -> Vec<Parameter> {
        let spread = "how the work is spread over the items: evenly from 0 to 2 means, one item in 100 with 50 means, or \
                      Pareto (1.5) capped at 100 times its least";
        vec![
            stages_parameter(1),
            iters_parameter("mean iterations of the kernel for an item in each map"),
            Parameter::choice("distribution", spread, &Distribution::NAMES),
        ]
    }

    fn open(spec: &WorkloadSpec, parameters: &Parameters) -> Result<Self, WorkloadError> {
        Ok(Self {
            chain: Chain::open(spec, parameters),
            seed: spec.seed,
            iters: parameters.integer("iters"),
            distribution: Distribution::named(parameters.choice("distribution")),
        })
    }

    fn plan(&self) -> Plan {
        self.chain.plan()
    }

    #[inline]
    fn source(&self, index: u64, out: &mut BatchBuilder) -> Result<(), WorkloadError> {
        self.chain.source(index, out);
        Ok(())
    }

    #[inline]
    fn apply(&self, stage: usize, item: &[u8], out: &mut BatchBuilder) -> Result<(), WorkloadError> {
        self.chain.apply(stage, item, |index| self.iters_of(index), out)
    }

    fn describe(&self, _stage: usize, item: &[u8]) -> Result<Option<Map<String, Value>>, WorkloadError> {
        Chain::describe(item)
    }

    fn oracle(&self, sink: &mut dyn FnMut(&[u8])) {
        self.chain.oracle(|index| BusyProduct::of(self.iters_of(index)), sink);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::open;

    const DRAWS: u64 = 1_000_000;

    fn multipliers(distribution: Distribution) -> impl Iterator<Item = f64> {
        (0..DRAWS).map(move |i| distribution.multiplier(u01(rnd(42, Stream::COST, i))))
    }

    #[test]
    fn the_mean_of_every_distribution_is_one() {
        for name in Distribution::NAMES {
            let mean = multipliers(Distribution::named(name)).sum::<f64>() / DRAWS as f64;
            // The largest deviation is the bimodal's, 4.97: five of its standard errors are 0.025.
            assert!((mean - 1.0).abs() < 0.025, "{name}: {mean}");
        }
    }

    #[test]
    fn the_mean_over_a_fine_grid_is_one() {
        for name in Distribution::NAMES {
            let distribution = Distribution::named(name);
            let grid = (0..DRAWS).map(|i| distribution.multiplier((i as f64 + 0.5) / DRAWS as f64));
            let mean = grid.sum::<f64>() / DRAWS as f64;
            assert!((mean - 1.0).abs() < 1e-4, "{name}: {mean}");
        }
    }

    #[test]
    fn shapes_are_those_that_are_named() {
        let share = |distribution, over: f64| {
            multipliers(distribution).filter(|multiplier| *multiplier > over).count() as f64 / DRAWS as f64
        };
        assert!((share(Distribution::Uniform, 1.5) - 0.25).abs() < 0.005);
        assert!((share(Distribution::Bimodal, 49.9) - 0.01).abs() < 0.001);
        // P(X > 4) = 4^−1.5 = 1/8, and P(X > 99) = 99^−1.5.
        assert!((share(Distribution::Pareto, 4.0 / 2.8) - 0.125).abs() < 0.005);
        assert!((share(Distribution::Pareto, 99.0 / 2.8) - 0.001_015).abs() < 0.000_2);
    }

    #[test]
    fn multipliers_stay_within_their_bounds() {
        let almost_one = 1.0 - f64::EPSILON / 2.0;
        assert_eq!(pareto(almost_one), 100.0 / 2.8);
        assert_eq!(pareto(0.0), 1.0 / 2.8);
        assert_eq!((bimodal(0.0), bimodal(almost_one)), (50.0, 0.5 / 0.99));
    }

    #[test]
    fn each_distribution_gives_another_answer() {
        let checksum = |name: &str| {
            open("imbalance", &format!(r#"{{"distribution":"{name}"}}"#), 100).expected().unwrap().checksum
        };
        let [uniform, bimodal, pareto] = Distribution::NAMES.map(checksum);
        assert!(uniform != bimodal && bimodal != pareto && pareto != uniform);
    }
}
