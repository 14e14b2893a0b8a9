//! What a message of the dataflow carries: one encoded batch.

use std::io::Write;
use std::ops::Deref;

use plugin_api::Buffer;
use timely::Accountable;
use timely::bytes::arc::Bytes;
use timely::dataflow::channels::ContainerBytes;

/// The words in which timely aligns what it sends between processes.
const WORD: usize = size_of::<u64>();

/// An encoded batch on its way between operators. It is one of timely's containers, so one of them is one message.
#[derive(Default)]
pub(crate) enum Parcel {
    /// What timely leaves in place of a container that it has taken.
    #[default]
    Nothing,
    /// A batch that this process made. Between workers of one process it moves, and is never copied.
    Made(Buffer),
    /// A batch that another process made.
    Received(Bytes),
}

impl Parcel {
    /// How many items its batch has.
    pub(crate) fn item_count(&self) -> u64 {
        self.first_chunk::<4>().map_or(0, |count| u64::from(u32::from_le_bytes(*count)))
    }
}

impl Deref for Parcel {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Nothing => &[],
            Self::Made(buffer) => buffer,
            Self::Received(bytes) => bytes,
        }
    }
}

impl Accountable for Parcel {
    fn record_count(&self) -> i64 {
        // A batch counts its items in 32 bits.
        self.item_count() as i64
    }
}

/// The batch's length, the batch, and zeros up to a whole word.
impl ContainerBytes for Parcel {
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
            // Timely reserves `length_in_bytes` before it asks, and has no place for an error.
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

    fn received(bytes: Vec<u8>) -> Parcel {
        Parcel::Received(BytesMut::from(bytes).freeze())
    }

    proptest! {
        #[test]
        fn any_batch_comes_back_from_the_bytes_between_processes(items: Vec<Vec<u8>>) {
            let mut batch = Vec::new();
            let builder: BatchBuilder = items.iter().map(Vec::as_slice).collect();
            builder.encode(&mut batch).unwrap();
            let parcel = received(batch.clone());
            let mut sent = Vec::new();
            parcel.into_bytes(&mut sent);
            prop_assert_eq!(sent.len(), parcel.length_in_bytes());
            prop_assert_eq!(sent.len() % WORD, 0);
            let back = Parcel::from_bytes(BytesMut::from(sent).freeze());
            prop_assert_eq!(&*back, batch.as_slice());
            prop_assert_eq!(back.record_count(), items.len() as i64);
        }
    }

    #[test]
    fn nothing_has_no_records() {
        assert!(Accountable::is_empty(&Parcel::Nothing));
    }
}
