//! What a message of the dataflow carries: one encoded batch.

use std::io::Write;
use std::ops::Deref;

use plugin_api::Buffer;
use timely::Accountable;
use timely::bytes::arc::Bytes;
use timely::dataflow::channels::ContainerBytes;

/// Timely aligns what it sends between processes to so many bytes.
const WORD: usize = size_of::<u64>();

/// An encoded batch that goes from one operator to another. As it is one of timely's containers, each is one message.
#[derive(Default)]
pub(crate) enum BatchContainer {
    /// What timely leaves in place of a container that it has taken.
    #[default]
    Empty,
    /// A batch that this process made. Between workers of one process it is moved and never copied.
    Local(Buffer),
    /// A batch that another process made.
    Received(Bytes),
}

impl BatchContainer {
    /// How many items its batch has.
    pub(crate) fn item_count(&self) -> u64 {
        self.first_chunk::<4>().map_or(0, |count| u64::from(u32::from_le_bytes(*count)))
    }
}

impl Deref for BatchContainer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Empty => &[],
            Self::Local(buffer) => buffer,
            Self::Received(bytes) => bytes,
        }
    }
}

impl Accountable for BatchContainer {
    fn record_count(&self) -> i64 {
        // A batch counts its items in 32 bits.
        self.item_count() as i64
    }
}

/// The batch's length, the batch, and zeros up to a whole word.
impl ContainerBytes for BatchContainer {
    fn from_bytes(mut bytes: Bytes) -> Self {
        let length = bytes.first_chunk::<WORD>().map_or(0, |length| u64::from_le_bytes(*length)) as usize;
        bytes.extract_to(WORD);
        Self::Received(bytes.extract_to(length))
    }

    fn length_in_bytes(&self) -> usize {
        WORD + self.len().next_multiple_of(WORD)
    }

    fn into_bytes<W: Write>(&self, writer: &mut W) {
        let padding = &[0; WORD][..self.len().next_multiple_of(WORD) - self.len()];
        for part in [&(self.len() as u64).to_le_bytes(), &**self, padding] {
            // Timely has reserved `length_in_bytes`, and the signature has no error.
            let _ = writer.write_all(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use plugin_api::BatchBuilder;
    use proptest::prelude::*;
    use timely::bytes::arc::BytesMut;

    use super::*;

    fn received(bytes: Vec<u8>) -> BatchContainer {
        BatchContainer::Received(BytesMut::from(bytes).freeze())
    }

    proptest! {
        #[test]
        fn any_batch_comes_back_from_the_bytes_between_processes(items: Vec<Vec<u8>>) {
            let mut batch = Vec::new();
            let builder: BatchBuilder = items.iter().map(Vec::as_slice).collect();
            builder.encode(&mut batch).unwrap();
            let container = received(batch.clone());
            let mut sent = Vec::new();
            container.into_bytes(&mut sent);
            prop_assert_eq!(sent.len(), container.length_in_bytes());
            prop_assert_eq!(sent.len() % WORD, 0);
            let back = BatchContainer::from_bytes(BytesMut::from(sent).freeze());
            prop_assert_eq!(&*back, batch.as_slice());
            prop_assert_eq!(back.record_count(), items.len() as i64);
        }
    }

    #[test]
    fn an_empty_container_has_no_records() {
        assert!(Accountable::is_empty(&BatchContainer::Empty));
    }
}
