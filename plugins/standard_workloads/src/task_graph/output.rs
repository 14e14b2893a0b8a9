//! A task's output: its step, its point and its digest (u64 each), and then the payload, which follows from the digest.

use plugin_api::WorkloadError;
use xxhash_rust::xxh3::xxh3_64;

use crate::random::mix;

/// How many bytes step, point and digest have.
pub(super) const HEADER: usize = 24;

/// By how much a word of the payload differs from the word before: an odd number, so no two words are equal.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// The beginning of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) step: u64,
    pub(super) point: u64,
    pub(super) digest: u64,
}

impl Header {
    pub(super) fn encode(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        for (chunk, word) in bytes.chunks_exact_mut(8).zip([self.step, self.point, self.digest]) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// That of an output.
    pub(super) fn of(output: &[u8]) -> Result<Self, WorkloadError> {
        match output.as_chunks() {
            ([step, point, digest, ..], _) => {
                let [step, point, digest] = [step, point, digest].map(|word| u64::from_le_bytes(*word));
                Ok(Self { step, point, digest })
            }
            _ => Err(WorkloadError::Malformed("an output of a task has at least 24 bytes")),
        }
    }

    /// Appends the output of `length` bytes, which is at least [`HEADER`].
    pub(super) fn append_output(self, length: usize, out: &mut Vec<u8>) {
        let start = out.len();
        out.resize(start + length, 0);
        self.write_output(&mut out[start..]);
    }

    /// Fills `output`, which has at least [`HEADER`] bytes, with the output of that length.
    pub(super) fn write_output(self, output: &mut [u8]) {
        let (header, payload) = output.split_at_mut(HEADER);
        header.copy_from_slice(&self.encode());
        let mut word = self.digest;
        let mut next = || {
            word = word.wrapping_add(STEP);
            word.to_le_bytes()
        };
        let (words, rest) = payload.as_chunks_mut();
        words.iter_mut().for_each(|word| *word = next());
        let last = next();
        rest.copy_from_slice(&last[..rest.len()]);
    }
}

/// The hash of an output with its payload.
#[inline]
pub(super) fn hash(output: &[u8]) -> u64 {
    xxh3_64(output)
}

/// What a task's kernel begins with: a hash of the seed, the task, and the sum of the hashes of its inputs. A sum, because the
/// inputs may come in any order, and one may come twice.
#[inline]
pub(super) fn start(seed: u64, step: u64, point: u64, sum: u64) -> u64 {
    let mut bytes = [0; 32];
    for (chunk, word) in bytes.chunks_exact_mut(8).zip([seed, step, point, sum]) {
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    xxh3_64(&bytes)
}

/// The digest of a task, of what its kernel began with and what its kernel made of that.
#[inline]
pub(super) fn digest(start: u64, result: u64) -> u64 {
    mix(start ^ result)
}
