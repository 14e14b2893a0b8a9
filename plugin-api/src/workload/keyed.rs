//! The state of a `keyed_reduce`: for each key an accumulator of bytes.

use std::hash::{BuildHasherDefault, Hasher};

use hashbrown::HashMap;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::batch::{Batch, BatchBuilder};
use super::error::WorkloadError;

/// Keys and their accumulators. The workload defines how to fold, merge and emit them.
#[derive(Default)]
pub(super) struct KeyedState {
    accumulators: HashMap<Box<[u8]>, Vec<u8>, BuildHasherDefault<KeyHasher>>,
    /// What is left after the first call of `drain`. To remove some entries of the map in each call would search the whole
    /// map each time.
    draining: Vec<(Box<[u8]>, Vec<u8>)>,
}

impl KeyedState {
    /// The accumulator of `key`, empty if the key is new.
    pub(super) fn accumulator(&mut self, key: &[u8]) -> &mut Vec<u8> {
        self.accumulators.extend(self.draining.drain(..));
        self.accumulators.entry_ref(key).or_default()
    }

    /// The accumulator of `key`, if there is one.
    pub(super) fn get_mut(&mut self, key: &[u8]) -> Option<&mut Vec<u8>> {
        self.accumulators.extend(self.draining.drain(..));
        self.accumulators.get_mut(key)
    }

    /// Removes `key` and its accumulator.
    pub(super) fn remove(&mut self, key: &[u8]) {
        self.accumulators.remove(key);
    }

    /// All keys with their accumulators.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let draining = self.draining.iter().map(|(key, accumulator)| (&**key, accumulator.as_slice()));
        self.accumulators.iter().map(|(key, accumulator)| (&**key, accumulator.as_slice())).chain(draining)
    }

    /// Removes up to `limit` keys with their accumulators.
    pub(super) fn drain(&mut self, limit: usize) -> Vec<(Box<[u8]>, Vec<u8>)> {
        self.draining.extend(self.accumulators.drain());
        self.draining.split_off(self.draining.len().saturating_sub(limit))
    }

    /// A batch with one item for each key: the key's length as little-endian u32, the key, the accumulator.
    ///
    /// # Errors
    /// [`WorkloadError::StateTooLarge`] when that is more than a batch holds.
    pub(super) fn encode(&self, out: &mut Vec<u8>) -> Result<(), WorkloadError> {
        self.entries().and_then(|entries| entries.encode(out)).map_err(|error| match error {
            WorkloadError::TooLarge { bytes } => WorkloadError::StateTooLarge { bytes },
            other => other,
        })
    }

    fn entries(&self) -> Result<BatchBuilder, WorkloadError> {
        let mut entries = BatchBuilder::new();
        for (key, accumulator) in self.iter() {
            let length =
                u32::try_from(key.len()).map_err(|_| WorkloadError::TooLarge { bytes: key.len() })?;
            entries.push_with(|bytes| {
                bytes.extend_from_slice(&length.to_le_bytes());
                bytes.extend_from_slice(key);
                bytes.extend_from_slice(accumulator);
            });
            entries.check_fits()?;
        }
        Ok(entries)
    }

    /// Reads what [`KeyedState::encode`] wrote, entry by entry.
    pub(super) fn decode(encoded: &[u8]) -> Result<impl Iterator<Item = Entry<'_>>, WorkloadError> {
        Ok(Batch::parse(encoded)?.iter().map(|entry| {
            entry
                .split_first_chunk::<4>()
                .and_then(|(length, rest)| rest.split_at_checked(u32::from_le_bytes(*length) as usize))
                .ok_or(WorkloadError::Malformed("an entry of a keyed state is shorter than its key"))
        }))
    }
}

/// A key and its accumulator, if they could be read.
type Entry<'a> = Result<(&'a [u8], &'a [u8]), WorkloadError>;

/// Which of `partitions` a key belongs to: the same in every process and on every machine.
pub(super) fn partition_of(key: &[u8], partitions: u32) -> u32 {
    // Another seed than the map's hash, so that a partition's keys do not share their low bits.
    let hash = xxh3_64_with_seed(key, 1);
    ((u128::from(hash) * u128::from(partitions)) >> 64) as u32
}

/// XXH3 over what is written last. For a boxed slice these are its bytes; the length before them is left out, as the hash
/// depends on it already.
#[derive(Default)]
pub(super) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64(bytes);
    }

    fn write_usize(&mut self, _length: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draining_in_parts_gives_every_key_once() {
        let mut state = KeyedState::default();
        for key in 0..100_u8 {
            state.accumulator(&[key]).push(key);
        }
        let mut seen = Vec::new();
        loop {
            let part = state.drain(7);
            if part.is_empty() {
                break;
            }
            assert!(part.len() <= 7);
            seen.extend(part.into_iter().map(|(key, accumulator)| {
                assert_eq!(*key, *accumulator);
                key[0]
            }));
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..100).collect::<Vec<u8>>());
    }

    #[test]
    fn what_is_left_in_the_middle_of_draining_is_still_the_state() {
        let mut state = KeyedState::default();
        for key in 0..10_u8 {
            state.accumulator(&[key]).push(1);
        }
        let drained: Vec<_> = state.drain(4).into_iter().map(|(key, _)| key[0]).collect();
        let mut encoded = Vec::new();
        state.encode(&mut encoded).unwrap();
        assert_eq!(KeyedState::decode(&encoded).unwrap().count(), 6);
        let left = (0..10).find(|key| !drained.contains(key)).unwrap();
        state.accumulator(&[left]).push(1);
        let rest = state.drain(100);
        assert_eq!(rest.len(), 6);
        let both = rest.iter().find(|(key, _)| key[0] == left).unwrap();
        assert_eq!(both.1, [1, 1]);
    }

    #[test]
    fn partitions_cover_their_range_and_no_more() {
        let mut counts = [0; 3];
        for key in 0..3000_u32 {
            counts[partition_of(&key.to_le_bytes(), 3) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (800..1200).contains(count)), "{counts:?}");
        assert_eq!(partition_of(b"any", 1), 0);
    }

    #[test]
    fn an_entry_without_its_key_is_refused() {
        let mut encoded = Vec::new();
        BatchBuilder::from_iter([[9, 0, 0, 0, 1].as_slice()]).encode(&mut encoded).unwrap();
        assert!(KeyedState::decode(&encoded).unwrap().next().unwrap().is_err());
    }
}
