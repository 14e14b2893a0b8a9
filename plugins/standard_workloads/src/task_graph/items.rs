//! The items that pass between the stages. Each is a tag, then a point (u64), by which the reductions group, and then its content.

use plugin_api::serde_json::{Map, Value};
use plugin_api::{BatchBuilder, WorkloadError};

use super::output::{HEADER, Header};
use crate::object::object;

const TASK: u8 = 0;
const OUTPUT: u8 = 1;
const FINISHED: u8 = 2;
const TOKEN: u8 = 3;

const POINT: usize = 8;

/// The number of inputs and the sum in an accumulator.
const WORDS: usize = 16;

/// An item that was read.
#[derive(Debug)]
pub(super) enum Item<'a> {
    /// A task whose inputs have come: the sum of their hashes.
    Task { point: u64, sum: u64 },
    /// An output, on its way to the task of this point.
    Output { header: Header, bytes: &'a [u8] },
    /// What is left of outputs that no task needs, on its way to the sink. All that are on the way at one point are one item:
    /// each would else be an item in all reductions that follow.
    Finished { point: u64, headers: &'a [[u8; HEADER]] },
    /// Tells a task without inputs that it may run.
    Token { point: u64 },
}

impl<'a> Item<'a> {
    pub(super) fn parse(item: &'a [u8]) -> Result<Self, WorkloadError> {
        let malformed = WorkloadError::Malformed("this is no item of task_graph");
        let Some((tag, rest)) = item.split_first() else { return Err(malformed) };
        let Some((point, content)) = rest.split_first_chunk::<POINT>() else { return Err(malformed) };
        let point = u64::from_le_bytes(*point);
        match (*tag, content) {
            (TASK, sum) => {
                let sum = sum.try_into().map_err(|_| malformed)?;
                Ok(Self::Task { point, sum: u64::from_le_bytes(sum) })
            }
            (OUTPUT, bytes) => Ok(Self::Output { header: Header::of(bytes)?, bytes }),
            (FINISHED, headers) => Ok(Self::Finished { point, headers: headers_in(headers)? }),
            (TOKEN, []) => Ok(Self::Token { point }),
            _ => Err(malformed),
        }
    }

    /// What it is, for people.
    pub(super) fn describe(&self) -> Map<String, Value> {
        let header = |Header { step, point, digest }| {
            object([("step", step.into()), ("point", point.into()), ("digest", digest.into())])
        };
        match self {
            Self::Task { point, sum } => object([("task", (*point).into()), ("sum", (*sum).into())]),
            Self::Output { header: of, bytes } => {
                let mut described = header(*of);
                described.insert("bytes".into(), bytes.len().into());
                described
            }
            Self::Finished { point, headers } => {
                object([("point", (*point).into()), ("finished", headers.len().into())])
            }
            Self::Token { point } => object([("task", (*point).into()), ("token", true.into())]),
        }
    }

    /// By what the reductions group: empty for what is no item.
    pub(super) fn key(item: &[u8]) -> &[u8] {
        item.get(1..1 + POINT).unwrap_or_default()
    }

    /// Adds a task, a token, or what is finished.
    pub(super) fn push(&self, out: &mut BatchBuilder) {
        out.push_with(|bytes| match self {
            Self::Task { point, sum } => {
                append_prefix(TASK, *point, bytes);
                bytes.extend_from_slice(&sum.to_le_bytes());
            }
            Self::Output { header, bytes: output } => {
                append_prefix(OUTPUT, header.point, bytes);
                bytes.extend_from_slice(output);
            }
            Self::Finished { point, headers } => {
                append_prefix(FINISHED, *point, bytes);
                bytes.extend_from_slice(headers.as_flattened());
            }
            Self::Token { point } => append_prefix(TOKEN, *point, bytes),
        });
    }

    /// Adds an output on its way to the point `target`.
    pub(super) fn push_output(target: u64, output: &[u8], out: &mut BatchBuilder) {
        out.push_with(|bytes| {
            append_prefix(OUTPUT, target, bytes);
            bytes.extend_from_slice(output);
        });
    }

    /// Appends what stands before an output of this point.
    pub(super) fn append_output_prefix(point: u64, out: &mut Vec<u8>) {
        append_prefix(OUTPUT, point, out);
    }
}

fn append_prefix(tag: u8, point: u64, out: &mut Vec<u8>) {
    out.push(tag);
    out.extend_from_slice(&point.to_le_bytes());
}

fn headers_in(bytes: &[u8]) -> Result<&[[u8; HEADER]], WorkloadError> {
    match bytes.as_chunks() {
        (headers, []) => Ok(headers),
        _ => Err(WorkloadError::Malformed("what is finished of a graph is headers of 24 bytes each")),
    }
}

/// What has come to one point: an accumulator of a reduction.
#[derive(Debug)]
pub(super) struct Gathered<'a> {
    /// How many outputs and tokens.
    pub(super) inputs: u64,
    /// The sum of the outputs' hashes.
    pub(super) sum: u64,
    pub(super) finished: &'a [[u8; HEADER]],
}

impl<'a> Gathered<'a> {
    /// One input with this hash.
    pub(super) fn of_input(hash: u64) -> Self {
        Self { inputs: 1, sum: hash, finished: &[] }
    }

    pub(super) fn parse(accumulator: &'a [u8]) -> Result<Self, WorkloadError> {
        let Some((words, finished)) = accumulator.split_first_chunk::<WORDS>() else {
            return Err(WorkloadError::Malformed("what came to a task has at least 16 bytes"));
        };
        let both = u128::from_le_bytes(*words);
        Ok(Self { inputs: both as u64, sum: (both >> 64) as u64, finished: headers_in(finished)? })
    }

    /// Adds this to an accumulator, which is empty or has what came before.
    pub(super) fn add_to(&self, accumulator: &mut Vec<u8>) -> Result<(), WorkloadError> {
        let (inputs, sum) = match accumulator.is_empty() {
            true => (0, 0),
            false => Gathered::parse(accumulator).map(|before| (before.inputs, before.sum))?,
        };
        // Two numbers that were read from bytes may be as large as numbers are.
        let inputs = inputs.saturating_add(self.inputs);
        let both = u128::from(sum.wrapping_add(self.sum)) << 64 | u128::from(inputs);
        accumulator.resize(accumulator.len().max(WORDS), 0);
        accumulator[..WORDS].copy_from_slice(&both.to_le_bytes());
        accumulator.extend_from_slice(self.finished.as_flattened());
        Ok(())
    }
}
