//! What has data of its own, and how seeds follow from a number that the user chose.

use sha2::{Digest as _, Sha256};

use super::seed::{Stream, draw};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// A warm-up of the engine, counted from 0.
    WarmUp(u32),
    Measured,
}

/// What has data of its own: a warm-up or the measured trial of a point in a block, whatever the backend.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct DataId {
    pub block: u32,
    /// The id of the point.
    pub point: String,
    pub purpose: Purpose,
}

/// The seed of the data of `id` in a run whose user chose `chosen`.
pub(crate) fn data_seed(chosen: u64, id: &DataId) -> u64 {
    let block = draw(chosen, Stream::Block, id.block.into());
    let digest = Sha256::digest(&id.point);
    let point = digest.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let measured = draw(block, Stream::Points, point);
    match id.purpose {
        Purpose::Measured => measured,
        Purpose::WarmUp(number) => draw(measured, Stream::WarmUp, number.into()),
    }
}
