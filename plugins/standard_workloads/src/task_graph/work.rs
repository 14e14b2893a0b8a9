//! What a task does besides its inputs and its output.

use std::cell::RefCell;
use std::hint::black_box;

use plugin_api::Parameters;

use crate::kernel::{BusyProduct, busy};
use crate::random::{Stream, rnd, u01};

/// The kernel of all tasks, and how long it runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    kernel: Kernel,
    iters: u64,
    /// How many words of memory the kernel goes through.
    span: usize,
    imbalance: f64,
    seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kernel {
    Busy,
    Empty,
    Memory,
}

impl Kernel {
    pub(super) const NAMES: [&str; 3] = ["busy", "empty", "memory"];

    fn named(name: &str) -> Self {
        match name {
            "empty" => Self::Empty,
            "memory" => Self::Memory,
            _ => Self::Busy,
        }
    }
}

thread_local! {
    /// The memory of the kernel: to get it from the system for each task would take longer than to go through it.
    static SPAN: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

impl Work {
    pub(super) fn of(parameters: &Parameters, seed: u64) -> Self {
        Self {
            kernel: Kernel::named(parameters.choice("kernel")),
            iters: parameters.integer("iters"),
            span: parameters.integer("span_bytes") as usize / size_of::<u64>(),
            imbalance: parameters.number("imbalance"),
            seed,
        }
    }

    /// The iterations of task number `task`, to the nearest whole number.
    pub(super) fn iters(&self, task: u64) -> u64 {
        if self.imbalance == 0.0 {
            return self.iters;
        }
        let even = u01(rnd(self.seed, Stream::COST, task));
        (self.iters as f64 * (1.0 + (even - 0.5) * self.imbalance)).round() as u64
    }

    /// Runs the kernel.
    pub(super) fn run(&self, start: u64, iters: u64) -> u64 {
        match self.kernel {
            Kernel::Empty => 0,
            Kernel::Busy => busy(start, iters),
            Kernel::Memory => SPAN.with_borrow_mut(|words| {
                words.resize(self.span, 0);
                through_memory(start, iters, words)
            }),
        }
    }

    /// What the kernel returns, without running it.
    pub(super) fn result(&self, start: u64, iters: u64) -> u64 {
        match self.kernel {
            Kernel::Empty => 0,
            Kernel::Busy => BusyProduct::of(iters).busy(start),
            Kernel::Memory => {
                // Word i is start + i + iters · (start | 1).
                let words = self.span as u64;
                let numbers = words * words.saturating_sub(1) / 2;
                let each = start.wrapping_add(iters.wrapping_mul(start | 1));
                words.wrapping_mul(each).wrapping_add(numbers)
            }
        }
    }
}

/// Fills the words, reads and writes each in every iteration, and returns their sum.
fn through_memory(start: u64, iters: u64, words: &mut [u64]) -> u64 {
    for (word, number) in words.iter_mut().zip(0_u64..) {
        *word = start.wrapping_add(number);
    }
    for _ in 0..iters {
        // Each pass goes to memory: the compiler must not make one of them.
        for word in black_box(&mut *words) {
            *word = word.wrapping_add(start | 1);
        }
    }
    words.iter().fold(0, |sum, word| sum.wrapping_add(*word))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn work(kernel: Kernel, span: usize, imbalance: f64) -> Work {
        Work { kernel, iters: 1000, span, imbalance, seed: 42 }
    }

    proptest! {
        #[test]
        fn the_closed_form_is_what_the_kernel_returns(start: u64, iters in 0_u64..50, span in 1_usize..300) {
            for kernel in [Kernel::Busy, Kernel::Empty, Kernel::Memory] {
                let work = work(kernel, span, 0.0);
                prop_assert_eq!(work.run(start, iters), work.result(start, iters), "{:?}", kernel);
            }
        }
    }

    #[test]
    fn a_kernel_with_other_memory_than_the_one_before_uses_its_own() {
        for span in [100, 3, 70] {
            let work = work(Kernel::Memory, span, 0.0);
            assert_eq!(work.run(9, 2), work.result(9, 2), "{span}");
        }
    }

    #[test]
    fn iterations_are_spread_evenly_around_their_mean() {
        for (imbalance, least, most) in [(0.0, 1000, 1000), (0.5, 750, 1250), (2.0, 0, 2000)] {
            let work = work(Kernel::Busy, 1, imbalance);
            let drawn: Vec<_> = (0..10_000).map(|task| work.iters(task)).collect();
            let mean = drawn.iter().sum::<u64>() as f64 / 10_000.0;
            assert!(drawn.iter().all(|iters| (least..=most).contains(iters)), "{imbalance}");
            // The standard error of the mean is at most 2000 / √12 / 100: five of them are 29.
            assert!((mean - 1000.0).abs() < 29.0, "{imbalance}: {mean}");
            let near = |end: u64| drawn.iter().filter(|iters| iters.abs_diff(end) <= 20).count();
            assert!(near(least) > 30 && near(most) > 30, "{imbalance}");
        }
    }
}
