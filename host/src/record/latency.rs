//! The latencies of an open loop, as a record has them: in milliseconds, and no percentile of too few samples.

use plugin_api::workload::{Distribution, Latency};
use serde::{Deserialize, Serialize};

use crate::stats::samples_needed;

const NANOS_PER_MILLI: f64 = 1e6;

/// The latencies of an open loop.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OpenLoop {
    /// Whether source and sinks were on one machine and so had one clock. Without, there are no figures.
    pub shared_clock: bool,
    /// From the time at which an item was due to the sink.
    pub scheduled: Option<Percentiles>,
    /// From the time at which it was made to the sink.
    pub service: Option<Percentiles>,
    /// From the time at which it was due until it was made, if the source waited for it; 0 if the source was called too late.
    pub generator_lag: Option<Percentiles>,
}

/// Percentiles in milliseconds; null with too few samples.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Percentiles {
    /// The number of items.
    pub samples: u64,
    pub mean: f64,
    pub p50: Option<f64>,
    pub p90: Option<f64>,
    pub p95: Option<f64>,
    pub p99: Option<f64>,
    pub p99_9: Option<f64>,
    /// The largest value.
    pub max: f64,
    /// Points of the curve, as far as there are enough samples: a quantile from 0 to 1, and its value.
    pub curve: Vec<(f64, f64)>,
}

impl OpenLoop {
    /// The figures that a record shows of `latency`; none without a shared clock.
    pub fn new(latency: &Latency, shared_clock: bool) -> Self {
        if !shared_clock {
            return Self::default();
        }
        let [scheduled, service, generator_lag] =
            [&latency.scheduled, &latency.service, &latency.lag].map(Percentiles::of);
        Self { shared_clock, scheduled, service, generator_lag }
    }
}

impl Percentiles {
    fn of(distribution: &Distribution) -> Option<Self> {
        let samples = distribution.count;
        let enough = |quantile: f64| samples_needed(quantile).is_some_and(|needed| samples >= needed);
        let at = |quantile: f64| Some(milliseconds(distribution.at(quantile)?)).filter(|_| enough(quantile));
        let shown = |quantile: f64| quantile == 0.0 || enough(quantile);
        let curve = distribution.curve.iter().filter(|(quantile, _)| shown(*quantile));
        Some(Self {
            samples,
            mean: distribution.mean_nanos / NANOS_PER_MILLI,
            p50: at(0.5),
            p90: at(0.9),
            p95: at(0.95),
            p99: at(0.99),
            p99_9: at(0.999),
            max: milliseconds(distribution.at(1.0)?),
            curve: curve.map(|(quantile, nanos)| (*quantile, milliseconds(*nanos))).collect(),
        })
    }

    /// Every percentile by name and quantile, in milliseconds; `None` with too few samples.
    pub fn named(&self) -> [(&'static str, f64, Option<f64>); 5] {
        [
            ("p50", 0.5, self.p50),
            ("p90", 0.9, self.p90),
            ("p95", 0.95, self.p95),
            ("p99", 0.99, self.p99),
            ("p99.9", 0.999, self.p99_9),
        ]
    }

    /// The place, among those of [`Percentiles::named`], of the highest percentile up to p99 with enough samples: comparisons use it.
    pub fn highest(&self) -> Option<usize> {
        let [compared @ .., _] = self.named();
        compared.iter().rposition(|(.., value)| value.is_some())
    }

    /// The name of the percentile at a place.
    pub fn name(place: usize) -> Option<&'static str> {
        Self::default().named().get(place).map(|(name, ..)| *name)
    }
}

fn milliseconds(nanos: u64) -> f64 {
    nanos as f64 / NANOS_PER_MILLI
}

/// Latencies for tests.
#[cfg(test)]
pub(crate) mod examples {
    use super::*;

    /// Latencies of `count` items, with these milliseconds at the 50th, 95th and 99th percentile.
    pub(crate) fn latency(count: u64, [p50, p95, p99]: [f64; 3]) -> Latency {
        let curve = [(0.5, p50), (0.95, p95), (0.99, p99), (1.0, p99)];
        let curve = curve.map(|(quantile, milliseconds)| (quantile, (milliseconds * NANOS_PER_MILLI) as u64));
        let scheduled = Distribution { count, mean_nanos: 1e6, curve: curve.into() };
        Latency { service: scheduled.clone(), scheduled, lag: Distribution::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::compared_quantile;

    fn distribution(count: u64) -> Distribution {
        let quantiles = [0.0, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0];
        let curve = quantiles.into_iter().zip((1..).map(|milliseconds| milliseconds * 1_000_000));
        Distribution { count, mean_nanos: 2.5e6, curve: curve.collect() }
    }

    fn latency(count: u64) -> Latency {
        let [scheduled, service, lag] = [distribution(count), distribution(count), Distribution::default()];
        Latency { scheduled, service, lag }
    }

    #[test]
    fn no_percentile_is_shown_with_too_few_samples() {
        let of = |count| OpenLoop::new(&latency(count), true).scheduled.unwrap();
        let few = of(100);
        assert_eq!((few.p50, few.p90, few.p95, few.p99), (Some(2.0), Some(3.0), None, None));
        assert_eq!((few.max, few.highest()), (7.0, Some(1)));
        assert_eq!(few.curve, [(0.0, 1.0), (0.5, 2.0), (0.9, 3.0)]);
        let many = of(7000);
        assert_eq!((many.p95, many.p99, many.p99_9), (Some(4.0), Some(5.0), Some(6.0)));
        assert_eq!(many.highest(), Some(3));
        assert_eq!(of(5).highest(), None);
        for count in [5, 11, 64, 130, 662, 7000] {
            let (it, quantile) = (of(count), compared_quantile(count));
            assert_eq!(it.highest().map(|place| it.named()[place].1), quantile, "{count}");
        }
    }

    #[test]
    fn without_a_shared_clock_there_are_no_figures() {
        let without = OpenLoop::new(&latency(7000), false);
        assert_eq!((without.shared_clock, without.scheduled), (false, None));
        assert_eq!(OpenLoop::new(&latency(7000), true).generator_lag, None);
    }
}
