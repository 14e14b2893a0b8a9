//! Random numbers from a seed and a counter: each can be drawn without those before it.

use plugin_api::random::mix;

/// The independent random sequences of a plan.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stream {
    /// Blocks: their order, and their data if the user chose it.
    Block = 1,
    /// The data of warm-ups.
    WarmUp = 2,
    /// The order of sessions.
    Sessions = 3,
    /// The order of cells.
    Cells = 4,
    /// The data of points.
    Points = 5,
}

/// Number `i` of `stream` under this seed.
pub(super) fn draw(seed: u64, stream: Stream, i: u64) -> u64 {
    mix(seed ^ mix(stream as u64 ^ mix(i)))
}

/// Shuffles the items by the seed (Fisher and Yates). With so few items the bias of the remainder is
/// below 2^-50.
pub(super) fn shuffle<T>(items: &mut [T], seed: u64, stream: Stream) {
    for last in (1..items.len()).rev() {
        let other = draw(seed, stream, last as u64) % (last as u64 + 1);
        items.swap(last, other as usize);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_order_of_three_is_about_equally_frequent() {
        let mut seen = std::collections::BTreeMap::<_, u32>::new();
        for seed in 0..6000 {
            let mut items = [0, 1, 2];
            shuffle(&mut items, seed, Stream::Cells);
            *seen.entry(items).or_default() += 1;
        }
        assert_eq!(seen.len(), 6);
        assert!(seen.values().all(|count| (900..1100).contains(count)), "{seen:?}");
    }

    proptest! {
        #[test]
        fn shuffling_loses_nothing_and_is_repeatable(mut items in prop::collection::vec(any::<u8>(), 0..20), seed: u64) {
            let mut shuffled = items.clone();
            shuffle(&mut shuffled, seed, Stream::Cells);
            let mut again = items.clone();
            shuffle(&mut again, seed, Stream::Cells);
            prop_assert_eq!(&again, &shuffled);
            items.sort_unstable();
            shuffled.sort_unstable();
            prop_assert_eq!(items, shuffled);
        }
    }
}
