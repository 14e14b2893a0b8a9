//! The highest of many, with all that are as high: an accumulator of a rank and then of entries, each of the same length.

use plugin_api::WorkloadError;

use crate::record::{Words, head, words};

/// Adds entries of one rank: they replace lower ones, join equal ones, and are left out below higher ones.
pub(super) fn offer(accumulator: &mut Vec<u8>, rank: u64, entries: &[u8]) {
    match head(accumulator) {
        Some([highest]) if highest > rank => return,
        Some([highest]) if highest == rank => {}
        _ => {
            accumulator.clear();
            accumulator.extend_from_slice(&rank.to_le_bytes());
        }
    }
    accumulator.extend_from_slice(entries);
}

/// Adds another accumulator.
pub(super) fn merge(accumulator: &mut Vec<u8>, other: &[u8]) -> Result<(), WorkloadError> {
    let (rank, entries) = highest(other)?;
    offer(accumulator, rank, entries.as_flattened());
    Ok(())
}

/// The highest rank and its entries.
pub(super) fn highest(accumulator: &[u8]) -> Result<(u64, Words<'_>), WorkloadError> {
    match words(accumulator)? {
        [rank, entries @ ..] => Ok((u64::from_le_bytes(*rank), entries)),
        [] => Err(crate::record::malformed(accumulator)),
    }
}
