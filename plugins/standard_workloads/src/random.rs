//! Random values by counter: the value for item `i` can be computed without the values before it.

pub(crate) use plugin_api::random::mix;

/// One of a run's independent random sequences.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stream(u64);

impl Stream {
    /// The values that items carry.
    pub(crate) const DATA: Self = Self(1);
    /// How much work an item takes.
    pub(crate) const COST: Self = Self(2);
    /// Which key an item has.
    pub(crate) const KEY: Self = Self(3);
    /// When an item is due.
    pub(crate) const SCHEDULE: Self = Self(4);
}

/// Value number `i` of `stream` in the run with this `seed`.
#[inline]
pub(crate) fn rnd(seed: u64, stream: Stream, i: u64) -> u64 {
    mix(seed ^ mix(stream.0 ^ mix(i)))
}

/// A number in 0..1 from the upper 53 bits. Each such number is exact as a float, and so the same on every machine.
#[inline]
pub(crate) fn u01(random: u64) -> f64 {
    const STEP: f64 = 1.0 / (1_u64 << 53) as f64;
    (random >> 11) as f64 * STEP
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn u01_covers_zero_to_one_without_one() {
        assert_eq!(u01(0), 0.0);
        assert_eq!(u01(u64::MAX), 1.0 - f64::EPSILON / 2.0);
    }

    #[test]
    fn every_bit_is_set_about_half_the_time() {
        const DRAWS: u64 = 20_000;
        for stream in [Stream::DATA, Stream::COST, Stream::KEY, Stream::SCHEDULE] {
            for bit in 0..64 {
                let ones = (0..DRAWS).filter(|i| rnd(42, stream, *i) >> bit & 1 == 1).count() as f64;
                // Five standard deviations of a fair coin.
                let bound = 5.0 * (DRAWS as f64 / 4.0).sqrt();
                assert!((ones - DRAWS as f64 / 2.0).abs() < bound, "{stream:?}, bit {bit}: {ones}");
            }
        }
    }

    proptest! {
        #[test]
        fn seed_stream_and_counter_each_matter(seed: u64, other: u64, i: u64) {
            prop_assume!(seed != other);
            let value = rnd(seed, Stream::DATA, i);
            prop_assert_ne!(value, rnd(other, Stream::DATA, i));
            prop_assert_ne!(value, rnd(seed, Stream::KEY, i));
            prop_assert_ne!(value, rnd(seed, Stream::DATA, i.wrapping_add(1)));
        }
    }
}
