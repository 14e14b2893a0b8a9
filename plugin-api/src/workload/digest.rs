//! The sink's state: how many items came, and an order-independent checksum over their bytes.

use xxhash_rust::xxh3::xxh3_64;

use super::batch::Batch;
use super::error::WorkloadError;

/// Count, wrapping sum and xor of a 64-bit hash (XXH3) of each item. Digests of parts merge into the digest
/// of the whole, in any order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    count: u64,
    sum: u64,
    xor: u64,
}

/// The first bytes of an encoded digest, with the version of the encoding.
const MAGIC: [u8; 8] = *b"crsink\x01\0";

impl Digest {
    /// The length of an encoded digest.
    pub const ENCODED_LENGTH: usize = 32;

    /// Adds one item.
    #[inline]
    pub fn fold_item(&mut self, item: &[u8]) {
        let hash = xxh3_64(item);
        self.count = self.count.wrapping_add(1);
        self.sum = self.sum.wrapping_add(hash);
        self.xor ^= hash;
    }

    /// Adds every item of a batch.
    pub fn fold(&mut self, batch: Batch<'_>) {
        batch.iter().for_each(|item| self.fold_item(item));
    }

    /// Adds all items of `other`.
    pub fn merge(&mut self, other: Self) {
        self.count = self.count.wrapping_add(other.count);
        self.sum = self.sum.wrapping_add(other.sum);
        self.xor ^= other.xor;
    }

    /// How many items were added.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// 32 hex digits: the sum, then the xor.
    pub fn checksum(&self) -> String {
        format!("{:016x}{:016x}", self.sum, self.xor)
    }

    /// Its encoding: a magic of 8 bytes, then count, sum and xor as little-endian u64.
    pub fn encode(&self) -> [u8; Self::ENCODED_LENGTH] {
        let mut bytes = [0; Self::ENCODED_LENGTH];
        let words = [u64::from_le_bytes(MAGIC), self.count, self.sum, self.xor];
        for (chunk, word) in bytes.chunks_exact_mut(8).zip(words) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// Reads what [`Digest::encode`] wrote.
    ///
    /// # Errors
    /// [`WorkloadError::Malformed`] for anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, WorkloadError> {
        let malformed = WorkloadError::Malformed("a sink's state is not 32 bytes that begin with its magic");
        let (words, rest) = bytes.as_chunks::<8>();
        match (words, rest) {
            ([magic, count, sum, xor], []) if *magic == MAGIC => {
                let [count, sum, xor] = [count, sum, xor].map(|word| u64::from_le_bytes(*word));
                Ok(Self { count, sum, xor })
            }
            _ => Err(malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn digest_of(items: &[Vec<u8>]) -> Digest {
        let mut digest = Digest::default();
        items.iter().for_each(|item| digest.fold_item(item));
        digest
    }

    #[test]
    fn the_checksum_of_known_bytes_is_fixed() {
        // XXH3 of the empty input, from the algorithm's own test vectors.
        let digest = digest_of(&[Vec::new()]);
        assert_eq!(digest.checksum(), "2d06800538d394c22d06800538d394c2");
    }

    #[test]
    fn two_equal_items_do_not_cancel_out() {
        let twice = digest_of(&[vec![1], vec![1]]);
        assert_ne!(twice.checksum(), Digest::default().checksum());
        assert_eq!(twice.count(), 2);
    }

    proptest! {
        #[test]
        fn merging_in_any_order_gives_the_digest_of_the_whole(
            items: Vec<Vec<u8>>, cut in 0_usize..32, backwards: bool
        ) {
            let (left, right) = items.split_at(cut.min(items.len()));
            let (mut one, mut two) = (digest_of(left), digest_of(right));
            let merged = if backwards { two.merge(one); two } else { one.merge(two); one };
            let mut shuffled = items.clone();
            shuffled.reverse();
            prop_assert_eq!(merged, digest_of(&items));
            prop_assert_eq!(merged, digest_of(&shuffled));
        }

        #[test]
        fn dropping_doubling_or_changing_an_item_shows(
            items in prop::collection::vec(any::<Vec<u8>>(), 1..20), at: prop::sample::Index
        ) {
            let (whole, at) = (digest_of(&items), at.index(items.len()));
            let mut dropped = items.clone();
            dropped.remove(at);
            let mut doubled = items.clone();
            doubled.push(items[at].clone());
            let mut changed = items.clone();
            changed[at].push(0);
            for other in [dropped, doubled, changed] {
                prop_assert_ne!(digest_of(&other), whole);
            }
        }

        #[test]
        fn the_encoding_round_trips(items: Vec<Vec<u8>>) {
            let digest = digest_of(&items);
            prop_assert_eq!(Digest::decode(&digest.encode()).unwrap(), digest);
        }

        #[test]
        fn any_other_bytes_are_refused(bytes: Vec<u8>) {
            prop_assert!(Digest::decode(&bytes).is_err());
        }
    }
}
