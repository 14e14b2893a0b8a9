//! The latencies of items, in histograms: each sink has its own, and they are merged at the end. Percentiles are never
//! averaged.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::error::WorkloadError;
use super::open_loop::Stamp;

/// Significant decimal digits of every value.
const DIGITS: u8 = 3;

/// The longest time that is recorded exactly: one day, in nanoseconds. Longer times count as this.
const LONGEST: u64 = 24 * 3600 * 1_000_000_000;

/// The quantiles that callers look up; every curve has exactly these, among others.
const LOOKED_UP: [f64; 6] = [0.0, 0.5, 0.9, 0.95, 0.99, 0.999];

/// How many points a curve has each time the part above them is halved.
const POINTS_PER_HALF: u32 = 4;

/// The latencies of the items of an open loop, as measured by a sink.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// From the time at which an item was due until it reached the sink. So delays of the source count as well.
    pub scheduled: Distribution,
    /// From the time at which an item was made until it reached the sink. Results of keyed reductions have no such time, so there
    /// are no values if the plan has one.
    pub service: Distribution,
    /// How late the source itself was: from the time at which an item was due until it was made, if the item was requested
    /// in time; 0 if it was requested too late. As `service`, without values for results of keyed reductions.
    pub lag: Distribution,
}

/// The distribution of some values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Distribution {
    /// How many there are.
    pub count: u64,
    /// Their mean, in nanoseconds; 0 if there are none.
    pub mean_nanos: f64,
    /// Quantiles from 0 to 1, each with the value in nanoseconds that this part of all values does not exceed; empty if
    /// there are no values. 0, 0.5, 0.9, 0.95, 0.99, 0.999 and 1 are always among them.
    pub curve: Vec<(f64, u64)>,
}

impl Distribution {
    /// The value at `quantile`, which must be one of those that a curve always has.
    pub fn at(&self, quantile: f64) -> Option<u64> {
        self.curve.iter().find(|(at, _)| *at == quantile).map(|(_, nanos)| *nanos)
    }

    fn of(histogram: &Histogram<u64>) -> Self {
        if histogram.is_empty() {
            return Self::default();
        }
        let mut quantiles: Vec<f64> =
            histogram.iter_quantiles(POINTS_PER_HALF).map(|point| point.quantile_iterated_to()).collect();
        quantiles.extend(LOOKED_UP);
        quantiles.push(1.0);
        quantiles.sort_by(f64::total_cmp);
        quantiles.dedup();
        let curve = quantiles.into_iter().map(|quantile| (quantile, histogram.value_at_quantile(quantile)));
        Self { count: histogram.len(), mean_nanos: histogram.mean(), curve: curve.collect() }
    }
}

/// The histograms of one sink.
#[derive(Clone, Debug)]
pub(super) struct Latencies([Histogram<u64>; 3]);

impl Latencies {
    pub(super) fn new() -> Result<Self, WorkloadError> {
        Ok(Self([histogram()?, histogram()?, histogram()?]))
    }

    /// Adds an item that reached the sink at `now`, in nanoseconds from the start of the run.
    pub(super) fn record(&mut self, stamp: Stamp, now: u64) {
        let [scheduled, service, lag] = &mut self.0;
        let record = |histogram: &mut Histogram<u64>, from: u64, to: u64| {
            // The histogram grows as needed, and holds up to a day.
            let _ = histogram.record(to.saturating_sub(from).min(LONGEST));
        };
        record(scheduled, stamp.due, now);
        if let Some(made) = stamp.made {
            record(service, made, now);
            record(lag, stamp.due, if stamp.awaited { made } else { stamp.due });
        }
    }

    pub(super) fn merge(&mut self, other: &Self) -> Result<(), WorkloadError> {
        for (one, other) in self.0.iter_mut().zip(&other.0) {
            one.add(other).map_err(|_| MALFORMED)?;
        }
        Ok(())
    }

    /// Whether they are those of so many items: of items that the source made, or else of results of a keyed reduction.
    pub(super) fn have(&self, count: u64, of_source: bool) -> bool {
        let made = if of_source { count } else { 0 };
        self.0.each_ref().map(Histogram::len) == [count, made, made]
    }

    pub(super) fn summary(&self) -> Latency {
        let [scheduled, service, lag] = self.0.each_ref().map(Distribution::of);
        Latency { scheduled, service, lag }
    }

    /// Appends, for each histogram, how many values there are, and each value with how often it was seen.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        for histogram in &self.0 {
            let values: Vec<_> = histogram
                .iter_recorded()
                .map(|point| (point.value_iterated_to(), point.count_at_value()))
                .collect();
            out.extend_from_slice(&(values.len() as u64).to_le_bytes());
            for (value, count) in values {
                out.extend_from_slice(&value.to_le_bytes());
                out.extend_from_slice(&count.to_le_bytes());
            }
        }
    }

    /// Reads what [`Latencies::encode`] wrote, and nothing more.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, WorkloadError> {
        let (words, rest) = bytes.as_chunks::<8>();
        let mut words = words.iter().map(|word| u64::from_le_bytes(*word));
        let mut latencies = Self::new()?;
        for histogram in &mut latencies.0 {
            let mut above = 0;
            for _ in 0..words.next().ok_or(MALFORMED)? {
                let (value, count) = words.next().zip(words.next()).ok_or(MALFORMED)?;
                // Values ascend, and each was seen: one that never was would stretch the curve for nothing.
                let is_next = value >= above && count > 0;
                above = value.saturating_add(1);
                // A sum of counts that overflows cannot be from a real run.
                let fits = is_next && histogram.len().checked_add(count).is_some();
                // A bucket stands for its highest value, which may be a little above the longest.
                let recorded = fits && value <= 2 * LONGEST && histogram.record_n(value, count).is_ok();
                if !recorded {
                    return Err(MALFORMED);
                }
            }
        }
        if words.next().is_some() || !rest.is_empty() {
            return Err(MALFORMED);
        }
        Ok(latencies)
    }
}

const MALFORMED: WorkloadError = WorkloadError::Malformed("the latencies in a sink's state are damaged");

/// A histogram of nanoseconds. It starts small and grows with the values, as a sink may be made for a single batch.
fn histogram() -> Result<Histogram<u64>, WorkloadError> {
    Histogram::new(DIGITS)
        .map_err(|error| WorkloadError::Operator(format!("a histogram cannot be made: {error}")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn recorded(stamps: &[(u64, u64, bool)]) -> Latencies {
        let mut latencies = Latencies::new().unwrap();
        for &(due, took, awaited) in stamps {
            latencies.record(Stamp { due, made: Some(due + took / 2), awaited }, due + took);
        }
        latencies
    }

    #[test]
    fn quantiles_are_those_of_the_values_to_three_digits() {
        let values: Vec<_> = (1..=1000).map(|number| (7, number * 1000, true)).collect();
        let latency = recorded(&values).summary();
        assert_eq!((latency.scheduled.count, latency.lag.count), (1000, 1000));
        for (quantile, micros) in [(0.5, 500.0), (0.9, 900.0), (0.95, 950.0), (0.99, 990.0), (1.0, 1000.0)] {
            let value = latency.scheduled.at(quantile).unwrap() as f64 / 1000.0;
            assert!((value / micros - 1.0).abs() < 0.001, "{quantile}: {value} µs");
            let value = latency.service.at(quantile).unwrap() as f64 / 1000.0;
            assert!((value * 2.0 / micros - 1.0).abs() < 0.002, "{quantile}: {value} µs");
        }
        assert!((latency.scheduled.mean_nanos / 500_500.0 - 1.0).abs() < 0.001);
        assert!(latency.scheduled.curve.is_sorted_by(|one, other| one.0 < other.0 && one.1 <= other.1));
    }

    #[test]
    fn what_was_not_awaited_says_nothing_of_the_source() {
        let latency = recorded(&[(0, 10, false), (5, 10, true)]).summary();
        assert_eq!((latency.lag.at(0.0), latency.lag.at(1.0)), (Some(0), Some(5)));
        assert_eq!(recorded(&[]).summary().scheduled, Distribution::default());
    }

    #[test]
    fn results_of_reductions_count_from_when_they_were_due_only() {
        let mut latencies = Latencies::new().unwrap();
        latencies.record(Stamp::of_result(1000), 3000);
        let latency = latencies.summary();
        assert_eq!(latency.scheduled.at(1.0), Some(2000));
        assert_eq!((&latency.service, &latency.lag), (&Distribution::default(), &Distribution::default()));
        assert!(latencies.have(1, false) && !latencies.have(1, true) && !latencies.have(2, false));
        latencies.merge(&recorded(&[(0, 10, true)])).unwrap();
        assert!(!latencies.have(2, false) && !latencies.have(2, true), "no sink gets items of both kinds");
    }

    #[test]
    fn a_time_without_end_counts_as_a_day() {
        let latency = recorded(&[(0, u64::MAX, true)]).summary();
        assert!(latency.scheduled.at(1.0).unwrap() >= LONGEST / 2);
    }

    /// Of a queue with one server, where items come independently of each other and each takes as long (M/D/1): the
    /// part of all that wait for at most `times` of that time, when the server is busy for the part `load` of its time
    /// (Erlang, "The theory of probabilities and telephone conversations", 1909).
    fn waiting(times: f64, load: f64) -> f64 {
        let term = |number: u32| {
            let rest = load * (times - f64::from(number));
            (1..=number).fold(rest.exp(), |term, factor| term * -rest / f64::from(factor))
        };
        (1.0 - load) * (0..=times as u32).map(term).sum::<f64>()
    }

    /// The time, in services, that so large a part of all items of such a queue stay at most.
    fn staying(quantile: f64, load: f64) -> f64 {
        let (mut low, mut high) = (0.0, 30.0);
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            if waiting(middle, load) < quantile { low = middle } else { high = middle }
        }
        low + 1.0
    }

    #[test]
    fn a_server_of_known_speed_gives_the_percentiles_of_queueing_theory() {
        const SERVICE: u64 = 1_000_000;
        for load in [0.5, 0.8] {
            let mut latencies = Latencies::new().unwrap();
            let (mut random, mut due, mut free) = (42_u64, 0.0, 0);
            for _ in 0..200_000 {
                random =
                    random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                due -= (1.0 - (random >> 11) as f64 / (1_u64 << 53) as f64).ln() * SERVICE as f64 / load;
                let made = free.max(due as u64);
                let stamp = Stamp { due: due as u64, made: Some(made), awaited: free < due as u64 };
                free = made + SERVICE;
                latencies.record(stamp, free);
            }
            let latency = latencies.summary();
            for quantile in [0.5, 0.9, 0.95, 0.99] {
                let (seen, theory) = (
                    latency.scheduled.at(quantile).unwrap() as f64 / SERVICE as f64,
                    staying(quantile, load),
                );
                assert!(
                    (seen / theory - 1.0).abs() < 0.1,
                    "load {load}, {quantile}: {seen}, in theory {theory}"
                );
            }
            assert!(latency.service.at(1.0).unwrap() as f64 / (SERVICE as f64) < 1.002);
            assert_eq!(latency.lag.at(1.0), Some(0));
        }
    }

    #[test]
    fn only_what_a_sink_writes_is_read() {
        let decoded = |words: &[u64]| {
            Latencies::decode(&words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>())
        };
        assert!(decoded(&[2, 5, 1, 6, 1, 0, 0]).is_ok());
        for (what, words) in [
            ("counts that overflow", [2, 5, u64::MAX, 6, 1, 0, 0]),
            ("a value that was never seen", [2, 5, 1, 6, 0, 0, 0]),
            ("a value twice", [2, 5, 1, 5, 1, 0, 0]),
            ("values that descend", [2, 6, 1, 5, 1, 0, 0]),
        ] {
            assert!(decoded(&words).is_err(), "{what}");
        }
    }

    proptest! {
        // Its histograms are large: a case takes as long as hundreds of those of other properties.
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn parts_merge_into_the_whole_and_the_encoding_keeps_all(
            stamps in prop::collection::vec((0_u64..1 << 62, prop_oneof![0_u64..1 << 40, 0_u64..1 << 62], any::<bool>()), 0..60), cut in 0_usize..60
        ) {
            let (left, right) = stamps.split_at(cut.min(stamps.len()));
            let mut merged = recorded(left);
            let mut bytes = Vec::new();
            recorded(right).encode(&mut bytes);
            merged.merge(&Latencies::decode(&bytes).unwrap()).unwrap();
            prop_assert_eq!(merged.summary(), recorded(&stamps).summary());
        }
    }

    proptest! {
        #[test]
        fn any_other_bytes_are_refused_or_read(words: Vec<u64>) {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            let _ = Latencies::decode(&bytes);
        }
    }
}
