//! The items of the source, cut into slices.

/// How the items of the source are cut: each slice is the half-open range of items that one batch is made of.
#[derive(Clone, Copy, Debug)]
pub struct Slices {
    /// How many items there are.
    pub total: u64,
    /// How many items a slice has; the last may have fewer.
    pub size: u64,
}

impl Slices {
    /// How many slices there are.
    pub fn count(self) -> u64 {
        self.total.div_ceil(self.size)
    }

    /// The first item of the slice `number`, which is below [`Slices::count`], and how many items it has.
    #[inline]
    pub fn slice(self, number: u64) -> (u64, u64) {
        let first = number * self.size;
        (first, self.size.min(self.total - first))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn slices_cover_every_item_once_and_in_order(total in 0_u64..2000, size in 1_u64..300) {
            let slices = Slices { total, size };
            let mut next = 0;
            for (first, count) in (0..slices.count()).map(|number| slices.slice(number)) {
                prop_assert_eq!(first, next);
                prop_assert!((1..=size).contains(&count));
                next += count;
            }
            prop_assert_eq!(next, total);
        }
    }
}
