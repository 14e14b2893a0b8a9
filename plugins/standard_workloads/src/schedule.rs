//! When the items of an open loop are due. The mean rate is the same for every schedule; that of bursts is so over whole periods.

use plugin_api::WorkloadError;

use crate::random::{Stream, rnd, u01};

const NANOS: f64 = 1e9;

/// How long a burst and the slower half after it last together, in seconds.
const PERIOD: f64 = 0.2;

/// The rate during a burst, as a multiple of the mean rate. The rate of the other half makes up for it.
const PEAK: f64 = 1.8;

/// The rate at the start of a ramp, as a part of the mean rate. At the end it is as far above the mean.
const FOOT: f64 = 0.5;

/// The most items of a schedule that has to be kept as a table.
const MAX_TABLE: u64 = 50_000_000;

/// When each item is due.
#[derive(Debug)]
pub(crate) enum Schedule {
    /// At equal intervals.
    Constant {
        /// Items a second.
        rate: f64,
    },
    /// Independent of each other, as requests of many users are: the time of each item in nanoseconds.
    Poisson(Vec<u64>),
    /// A square wave. A run that is shorter than a burst is all burst, and with about two items in a period there are none.
    Bursts {
        /// Items a second in the mean, over whole periods.
        rate: f64,
    },
    /// At a rate that grows all the time.
    Ramp {
        /// Items a second in the mean.
        rate: f64,
        /// How long the run is, in seconds.
        seconds: f64,
    },
}

impl Schedule {
    pub(crate) const NAMES: [&str; 4] = ["poisson", "constant", "bursts", "ramp"];

    /// The schedule `name` of `items` items at `rate` items a second in the mean.
    pub(crate) fn named(name: &str, rate: f64, items: u64, seed: u64) -> Result<Self, WorkloadError> {
        Ok(match name {
            "constant" => Self::Constant { rate },
            "bursts" => Self::Bursts { rate },
            "ramp" => Self::Ramp { rate, seconds: items as f64 / rate },
            _ if items > MAX_TABLE => {
                let why = format!(
                    "the schedule poisson takes at most {MAX_TABLE} items; try: --extra schedule=constant"
                );
                return Err(WorkloadError::Spec(why));
            }
            _ => Self::Poisson(poisson(rate, items, seed)),
        })
    }

    /// Nanoseconds from the start of the run until item number `index` is due.
    pub(crate) fn due(&self, index: u64) -> u64 {
        let seconds = match self {
            Self::Poisson(due) => {
                return usize::try_from(index).ok().and_then(|at| due.get(at)).copied().unwrap_or(0);
            }
            Self::Constant { rate } => index as f64 / rate,
            Self::Bursts { rate } => bursts(index as f64, *rate),
            Self::Ramp { rate, seconds } => ramp(index as f64, *rate, *seconds),
        };
        (seconds * NANOS) as u64
    }
}

/// Sums of gaps that are distributed exponentially.
fn poisson(rate: f64, items: u64, seed: u64) -> Vec<u64> {
    let mut seconds = 0.0;
    let due = (0..items).map(|index| {
        // 1 − u is in 0 excluded to 1 included, so the logarithm is finite.
        seconds -= libm::log(1.0 - u01(rnd(seed, Stream::SCHEDULE, index))) / rate;
        (seconds * NANOS) as u64
    });
    due.collect()
}

/// When item number `index` is due if the first half of each period has the rate of a burst, and the second the rest.
fn bursts(index: f64, rate: f64) -> f64 {
    // Both from one quotient: a remainder may be that of the period before, where the quotient was rounded up to the next.
    let periods = index / (rate * PERIOD);
    let (whole, part, burst) = (periods.floor(), periods.fract(), PEAK / 2.0);
    let within = if part < burst { part / PEAK } else { 0.5 + (part - burst) / (2.0 - PEAK) };
    (whole + within) * PERIOD
}

/// When item number `index` is due if the rate grows from FOOT to 2 − FOOT times its mean: so many items have come by
/// time t, rate · (FOOT · t + (1 − FOOT) · t² / seconds), solved for t.
fn ramp(index: f64, rate: f64, seconds: f64) -> f64 {
    let (slope, foot) = ((1.0 - FOOT) / seconds, FOOT);
    ((foot * foot + 4.0 * slope * index / rate).sqrt() - foot) / (2.0 * slope)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ITEMS: u64 = 20_000;
    const RATE: f64 = 1000.0;

    fn due(name: &str) -> Vec<f64> {
        let schedule = Schedule::named(name, RATE, ITEMS, 42).unwrap();
        (0..ITEMS).map(|index| schedule.due(index) as f64 / NANOS).collect()
    }

    #[test]
    fn no_item_is_due_before_the_one_with_the_number_below_and_the_mean_rate_is_kept() {
        for name in Schedule::NAMES {
            let due = due(name);
            assert!(due.is_sorted(), "{name}");
            let rate = ITEMS as f64 / due[due.len() - 1];
            // The relative standard error of a Poisson rate over 20 000 items is 0.7 %.
            assert!((rate / RATE - 1.0).abs() < 0.03, "{name}: {rate}");
        }
    }

    #[test]
    fn gaps_are_those_that_the_name_says() {
        let gaps = |name| due(name).windows(2).map(|pair| pair[1] - pair[0]).collect::<Vec<_>>();
        let share = |gaps: &[f64], over: f64| {
            gaps.iter().filter(|gap| **gap > over).count() as f64 / gaps.len() as f64
        };
        assert!(gaps("constant").iter().all(|gap| (gap * RATE - 1.0).abs() < 1e-5));
        // Of exponential gaps, e^−1 are longer than the mean, and e^−3 than three means.
        let poisson = gaps("poisson");
        assert!((share(&poisson, 1.0 / RATE) - 0.3679).abs() < 0.015);
        assert!((share(&poisson, 3.0 / RATE) - 0.0498).abs() < 0.006);
        // Nine of ten come in bursts.
        assert!((share(&gaps("bursts"), 1.0 / RATE) - 0.1).abs() < 0.01);
        let ramp = gaps("ramp");
        assert!(
            (ramp[0] * RATE - 2.0).abs() < 0.01 && (ramp[ramp.len() - 1] * RATE - 1.0 / 1.5).abs() < 0.01
        );
    }

    #[test]
    fn bursts_have_the_mean_rate_over_whole_periods_only() {
        // A burst of 0.1 s has nine tenths of the items of a period.
        for (index, seconds) in [(90.0, 0.05), (180.0, 0.1), (200.0, 0.2), (2000.0, 2.0)] {
            assert!((bursts(index, 1000.0) - seconds).abs() < 1e-9, "{index}");
        }
        // An item each period is as if there were none.
        let is_even = |index: u32| (bursts(f64::from(index), 5.0) - f64::from(index) * 0.2).abs() < 1e-9;
        assert!((1..100).all(is_even));
    }

    #[test]
    fn bursts_are_in_order_and_in_time_at_every_rate() {
        for rate in 1..=2000_u32 {
            let due: Vec<_> = (0..=3 * rate).map(|index| bursts(index.into(), rate.into())).collect();
            assert!(due.is_sorted(), "{rate} items a second");
            // A second has five periods.
            let at_seconds = due.iter().step_by(rate as usize).zip(0..);
            for (due, second) in at_seconds {
                assert!(
                    (due - f64::from(second)).abs() < 1e-6,
                    "item at second {second} of {rate} items a second: {due}"
                );
            }
        }
    }

    #[test]
    fn a_schedule_beyond_all_memory_is_refused() {
        assert!(
            Schedule::named("poisson", RATE, MAX_TABLE + 1, 1).unwrap_err().to_string().contains("constant")
        );
        assert!(Schedule::named("constant", RATE, u64::MAX, 1).is_ok());
    }
}
