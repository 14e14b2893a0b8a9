//! The axes of charts: positions of values, and ticks.

/// The scale of an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    /// Starts at zero, so that the length of a bar is proportional to its value.
    Linear,
    /// For engines that differ by orders of magnitude. Only values above zero are shown.
    Logarithmic,
}

/// One axis of a chart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
}

/// The approximate number of ticks: the labels of more would overlap on a phone.
const TICKS: f64 = 4.0;

impl Axis {
    /// The axis that covers all values, with some room around them. None without a value that it can show.
    pub(super) fn covering(scale: Scale, values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let shown = |value: &f64| value.is_finite() && (scale == Scale::Linear || *value > 0.0);
        let (low, high) = values
            .into_iter()
            .filter(shown)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        if low > high {
            return None;
        }
        Some(match scale {
            Scale::Linear => {
                let high = if high > 0.0 { (high * 1.08).min(f64::MAX) } else { 1.0 };
                Self { scale, low: low.min(0.0), high }
            }
            Scale::Logarithmic => {
                // Room on either side, and a span of at least 10 %, so that noise does not fill the chart.
                let room = (0.08 * (high.ln() - low.ln())).exp().max(1.05);
                // A record may have any value that an f64 can have.
                Self {
                    scale,
                    low: (low / room).max(f64::MIN_POSITIVE),
                    high: (high * room).clamp(2.0 * f64::MIN_POSITIVE, f64::MAX),
                }
            }
        })
    }

    /// The position of a value: 0 at the low end, 100 at the high end.
    pub(super) fn position(&self, value: f64) -> f64 {
        let part = match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Logarithmic => (value.ln() - self.low.ln()) / (self.high.ln() - self.low.ln()),
        };
        if part.is_finite() { (part * 100.0).clamp(0.0, 100.0) } else { 0.0 }
    }

    /// The values with a label.
    pub(super) fn ticks(&self) -> Vec<f64> {
        match self.scale {
            Scale::Logarithmic if self.high / self.low >= 1000.0 => self.decades(),
            Scale::Logarithmic if self.high / self.low >= 8.0 => self.steps_within_decades(&[1.0, 3.0]),
            Scale::Logarithmic if self.high / self.low >= 3.0 => self.steps_within_decades(&[1.0, 2.0, 5.0]),
            _ => self.even_steps(),
        }
    }

    fn decades(&self) -> Vec<f64> {
        let (first, last) = (self.low.log10().ceil() as i32, self.high.log10().floor() as i32);
        let stride = (f64::from(last - first) / TICKS).ceil().max(1.0) as usize;
        self.within((first..=last).step_by(stride).map(|exponent| 10f64.powi(exponent)))
    }

    fn steps_within_decades(&self, steps: &[f64]) -> Vec<f64> {
        let (first, last) = (self.low.log10().floor() as i32, self.high.log10().ceil() as i32);
        let decade = |exponent: i32| steps.iter().map(move |step| step * 10f64.powi(exponent));
        self.within((first..=last).flat_map(decade))
    }

    fn even_steps(&self) -> Vec<f64> {
        let rough = (self.high - self.low) / TICKS;
        let decade = 10f64.powf(rough.log10().floor());
        let steps: &[f64] = match self.scale {
            Scale::Linear => &[1.0, 2.0, 2.5, 5.0, 10.0],
            // Far from zero a label has no room for the last digit of 2.5: that of 0.975 would be 0.98.
            Scale::Logarithmic => &[1.0, 2.0, 5.0, 10.0],
        };
        let step = steps.iter().map(|step| step * decade).find(|step| *step >= rough).unwrap_or(rough);
        let multiples = |step: f64| {
            let first = (self.low / step).ceil();
            self.within((0..=2 * TICKS as u32).map(|number| (first + f64::from(number)) * step))
        };
        let values = multiples(step);
        // Of one tick nobody reads a scale: steps of 2 in place of 5 make more.
        if values.len() > 1 { values } else { multiples(0.4 * step) }
    }

    fn within(&self, values: impl Iterator<Item = f64>) -> Vec<f64> {
        values.filter(|value| (self.low..=self.high).contains(value)).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ticks_are_at_round_values() {
        let log = |low, high| Axis::covering(Scale::Logarithmic, [low, high]).unwrap().ticks();
        assert_eq!(log(12.0, 90_000.0), [10.0, 100.0, 1e3, 1e4, 1e5]);
        assert_eq!(log(0.5, 2.2), [0.5, 1.0, 2.0]);
        assert_eq!(log(2.0, 60.0), [3.0, 10.0, 30.0]);
        assert_eq!(Axis::covering(Scale::Linear, [3.0, 74.0]).unwrap().ticks(), [0.0, 20.0, 40.0, 60.0]);
    }

    #[test]
    fn ticks_near_1_have_no_more_digits_than_their_labels() {
        for (low, high) in [(0.999, 1.001), (0.95, 1.02), (0.9, 1.05), (0.7, 1.3), (10.6, 17.5), (1.1, 1.79)]
        {
            let ticks = Axis::covering(Scale::Logarithmic, [low, high]).unwrap().ticks();
            let is_whole = |tick: &f64| (tick * 100.0 - (tick * 100.0).round()).abs() < 1e-6;
            assert!(ticks.len() > 1 && ticks.iter().all(is_whole), "{ticks:?}");
        }
        assert_eq!(Axis::covering(Scale::Linear, [0.9]).unwrap().ticks(), [0.0, 0.25, 0.5, 0.75]);
    }

    #[test]
    fn a_linear_axis_starts_at_zero() {
        let axis = Axis::covering(Scale::Linear, [50.0, 100.0]).unwrap();
        assert_eq!(axis.position(0.0), 0.0);
        assert!((axis.position(100.0) - 2.0 * axis.position(50.0)).abs() < 1e-9);
    }

    #[test]
    fn there_is_no_axis_without_values() {
        assert!(Axis::covering(Scale::Linear, []).is_none());
        assert!(Axis::covering(Scale::Linear, [f64::NAN]).is_none());
        assert!(Axis::covering(Scale::Logarithmic, [0.0, -1.0]).is_none());
    }

    #[test]
    fn an_axis_covers_the_smallest_and_the_largest_numbers() {
        let ends = [f64::from_bits(1), f64::MIN_POSITIVE, 1.0, f64::MAX];
        for scale in [Scale::Linear, Scale::Logarithmic] {
            for (at, low) in ends.iter().enumerate() {
                for high in &ends[at..] {
                    let axis = Axis::covering(scale, [*low, *high]).unwrap();
                    assert!(axis.low < axis.high && axis.high.is_finite(), "{axis:?}");
                    let ticks = axis.ticks();
                    assert!(
                        ticks.len() <= 9 && ticks.iter().all(|tick| tick.is_finite()),
                        "{axis:?}: {ticks:?}"
                    );
                    assert!(axis.position(*low) <= axis.position(*high));
                }
            }
        }
    }

    proptest! {
        #[test]
        fn values_and_ticks_are_on_the_axis_and_in_order(
            mut values in proptest::collection::vec(1e-9..1e12f64, 1..20),
            scale in prop::sample::select(vec![Scale::Linear, Scale::Logarithmic]),
        ) {
            let axis = Axis::covering(scale, values.iter().copied()).unwrap();
            values.sort_by(f64::total_cmp);
            let positions: Vec<_> = values.iter().map(|value| axis.position(*value)).collect();
            prop_assert!(positions.is_sorted() && positions.iter().all(|position| (0.0..=100.0).contains(position)));
            let ticks = axis.ticks();
            prop_assert!((1..=9).contains(&ticks.len()), "{ticks:?} on {axis:?}");
            prop_assert!(ticks.is_sorted_by(|one, next| axis.position(*one) < axis.position(*next)));
        }
    }
}
