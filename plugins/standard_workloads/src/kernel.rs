//! What an operator does besides moving bytes: it computes, or waits.

use std::time::Duration;

/// The Mersenne prime 2³¹ − 1: a product of a residue and the factor fits u64 with room to spare.
const MODULUS: u64 = 2_147_483_647;
const FACTOR: u64 = 139;

/// The most iterations that a workload takes for one kernel.
pub(crate) const MAX_ITERS: u64 = 1_000_000_000;

/// The longest sleep of one kernel, in microseconds.
pub(crate) const MAX_SLEEP_US: u64 = 10_000_000;

/// The seed is reduced before the first product, which would overflow for most seeds otherwise.
fn start(seed: u64) -> u64 {
    (seed | 1) % MODULUS
}

/// Multiplies `iters` times. Each product needs the one before. The result has 31 bits.
// One copy in the whole library, so that every workload runs the same machine code.
#[inline(never)]
pub(crate) fn busy(seed: u64, iters: u64) -> u64 {
    let mut acc = start(seed);
    for _ in 0..iters {
        acc = acc * FACTOR % MODULUS;
    }
    acc
}

/// The factor by which `busy` multiplies its start in all: FACTOR to the power of `iters`, by squaring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BusyProduct(u64);

impl BusyProduct {
    /// The product of `iters` iterations.
    pub(crate) fn of(mut iters: u64) -> Self {
        let (mut product, mut square) = (1, FACTOR);
        while iters > 0 {
            if iters & 1 == 1 {
                product = product * square % MODULUS;
            }
            square = square * square % MODULUS;
            iters >>= 1;
        }
        Self(product)
    }

    /// What `busy` returns for this `seed` and so many iterations, at the cost of one iteration.
    pub(crate) fn busy(self, seed: u64) -> u64 {
        start(seed) * self.0 % MODULUS
    }
}

/// Waits, in place of I/O. The wait may be longer than requested, but never shorter.
pub(crate) fn sleep_us(micros: u64) {
    std::thread::sleep(Duration::from_micros(micros));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn busy_is_what_its_definition_says() {
        assert_eq!(busy(0, 0), 1);
        assert_eq!(busy(0, 1), 139);
        assert_eq!(busy(7, 2), 7 * 139 * 139);
        // 139⁵ = 51 888 844 699, computed apart.
        assert_eq!(busy(1, 5), 51_888_844_699 % 2_147_483_647);
        assert_eq!(busy(u64::MAX, 0), u64::MAX % 2_147_483_647);
    }

    #[test]
    fn sleeping_takes_at_least_its_time() {
        let started = std::time::Instant::now();
        sleep_us(20_000);
        assert!(started.elapsed() >= Duration::from_millis(20));
    }

    proptest! {
        #[test]
        fn the_closed_form_equals_the_loop(seed: u64, iters in 0_u64..5_000) {
            prop_assert_eq!(BusyProduct::of(iters).busy(seed), busy(seed, iters));
        }

        #[test]
        fn the_closed_form_holds_for_any_count(seed: u64, one in 0..u64::MAX / 2, two in 0..u64::MAX / 2) {
            // The loop cannot run that long; but so many steps and then so many more are the product of both.
            let parts = BusyProduct(BusyProduct::of(one).0 * BusyProduct::of(two).0 % MODULUS);
            prop_assert_eq!(BusyProduct::of(one + two).busy(seed), parts.busy(seed));
        }

        #[test]
        fn a_result_has_31_bits(seed: u64, iters in 0_u64..100) {
            prop_assert!(busy(seed, iters) < 1 << 31);
        }
    }
}
