//! Records: what a workload sends from stage to stage, as 64-bit words. The words of the key come first.

use plugin_api::serde_json::{Map, Value};
use plugin_api::{BatchBuilder, WorkloadError};

/// What most functions of a workload return: what they make is in an argument.
pub(crate) type Done = Result<(), WorkloadError>;

/// A field of a record, for people.
#[derive(Clone, Copy)]
pub(crate) enum Column {
    /// A word.
    Number(&'static str),
    /// So many words of text, with zeros behind it.
    Text(&'static str, usize),
}

/// The fields of a record, and what is left of it after them.
pub(crate) fn describe<'a>(
    columns: &[Column],
    record: &'a [u8],
) -> Result<(Map<String, Value>, &'a [u8]), WorkloadError> {
    let (mut fields, mut rest) = (Map::new(), record);
    for column in columns {
        let (name, words) = match column {
            Column::Number(name) => (name, 1),
            Column::Text(name, words) => (name, *words),
        };
        let (bytes, after) = rest.split_at_checked(8 * words).ok_or_else(|| malformed(record))?;
        let value = match column {
            Column::Number(_) => read::<1>(bytes)?[0].into(),
            Column::Text(..) => String::from_utf8_lossy(bytes).trim_end_matches('\0').into(),
        };
        fields.insert((*name).into(), value);
        rest = after;
    }
    Ok((fields, rest))
}

/// Bytes as words, if nothing is left over.
pub(crate) type Words<'a> = &'a [[u8; 8]];

/// Pushes a record of these words.
#[inline]
pub(crate) fn push<const N: usize>(out: &mut BatchBuilder, words: [u64; N]) {
    out.push(words.map(u64::to_le_bytes).as_flattened());
}

/// Passes a record of these words to the sink of an oracle.
pub(crate) fn tell<const N: usize>(sink: &mut dyn FnMut(&[u8]), words: [u64; N]) {
    sink(words.map(u64::to_le_bytes).as_flattened());
}

/// The first words of `bytes`, if there are so many.
#[inline]
pub(crate) fn head<const N: usize>(bytes: &[u8]) -> Option<[u64; N]> {
    bytes.as_chunks().0.first_chunk::<N>().map(|words| words.map(u64::from_le_bytes))
}

/// All words of a record, which must be exactly so many.
#[inline]
pub(crate) fn read<const N: usize>(bytes: &[u8]) -> Result<[u64; N], WorkloadError> {
    head(bytes).filter(|_| bytes.len() == 8 * N).ok_or_else(|| malformed(bytes))
}

/// All words of a record or an accumulator of any length.
#[inline]
pub(crate) fn words(bytes: &[u8]) -> Result<Words<'_>, WorkloadError> {
    match bytes.as_chunks() {
        (words, []) => Ok(words),
        _ => Err(malformed(bytes)),
    }
}

/// Entries of `N` words each, of which there is a whole number.
pub(crate) fn entries<const N: usize>(
    words: Words<'_>,
) -> Result<impl Iterator<Item = [u64; N]> + use<'_, N>, WorkloadError> {
    match words.as_chunks::<N>() {
        (entries, []) => Ok(entries.iter().map(|entry| entry.map(u64::from_le_bytes))),
        _ => Err(malformed(words.as_flattened())),
    }
}

/// Adds `amounts` to an accumulator that has as many sums, or is empty.
pub(crate) fn add<const N: usize>(accumulator: &mut Vec<u8>, amounts: [u64; N]) -> Done {
    let before = if accumulator.is_empty() { [0; N] } else { read(accumulator)? };
    accumulator.clear();
    for (sum, amount) in before.into_iter().zip(amounts) {
        accumulator.extend_from_slice(&sum.wrapping_add(amount).to_le_bytes());
    }
    Ok(())
}

#[cold]
pub(crate) fn malformed(bytes: &[u8]) -> WorkloadError {
    WorkloadError::Operator(format!("no record of this workload has these {} bytes", bytes.len()))
}
