//! What `pipeline` and `imbalance` have in common: maps that compute, one after the other, then a filter.
//!
//! An item is 16 bytes: its index, then its value. Each map adds the kernel's result and its own number to the value, so
//! that the checksum differs if a map was left out, applied twice or applied in another order.

use plugin_api::serde_json::{Map, Value};
use plugin_api::{BatchBuilder, Parameter, Parameters, Plan, StageKind, WorkloadError, WorkloadSpec};

use crate::kernel::{BusyProduct, MAX_ITERS, busy};
use crate::object::object;
use crate::random::{Stream, mix, rnd};

/// The source, the maps and the filter, but for how long each item's kernel runs.
pub(crate) struct Chain {
    seed: u64,
    total_items: u64,
    maps: usize,
}

/// The parameter for the number of maps.
pub(crate) fn stages_parameter(default: u64) -> Parameter {
    Parameter::integer("stages", "how many maps an item goes through", default, 1, 64)
}

/// The parameter for the length of a kernel.
pub(crate) fn iters_parameter(description: &str) -> Parameter {
    Parameter::integer("iters", description, 1000, 0, MAX_ITERS)
}

impl Chain {
    pub(crate) fn open(spec: &WorkloadSpec, parameters: &Parameters) -> Self {
        let maps = parameters.integer("stages") as usize;
        Self { seed: spec.seed, total_items: spec.total_items, maps }
    }

    pub(crate) fn plan(&self) -> Plan {
        let maps = (1..=self.maps)
            .fold(Plan::new(), |plan, number| plan.then(StageKind::Map, format!("busy {number}")));
        maps.then(StageKind::Filter, "even")
    }

    #[inline]
    pub(crate) fn source(&self, index: u64, out: &mut BatchBuilder) {
        out.push(&encode(index, rnd(self.seed, Stream::DATA, index)));
    }

    /// Applies a map, whose kernel runs for `iters` of the item's index, or the filter, which keeps even indexes.
    #[inline]
    pub(crate) fn apply(
        &self,
        stage: usize,
        item: &[u8],
        iters: impl FnOnce(u64) -> u64,
        out: &mut BatchBuilder,
    ) -> Result<(), WorkloadError> {
        let (index, value) = decode(item)?;
        if stage <= self.maps {
            out.push(&encode(index, mapped(stage, value, busy(value, iters(index)))));
        } else if index.is_multiple_of(2) {
            out.push(item);
        }
        Ok(())
    }

    /// An item for people.
    pub(crate) fn describe(item: &[u8]) -> Result<Option<Map<String, Value>>, WorkloadError> {
        let (index, value) = decode(item)?;
        Ok(Some(object([("index", index.into()), ("value", value.into())])))
    }

    /// Every item that reaches the sink, with the kernel in closed form: `product` of the item's index.
    pub(crate) fn oracle(&self, product: impl Fn(u64) -> BusyProduct, sink: &mut dyn FnMut(&[u8])) {
        for index in (0..self.total_items).step_by(2) {
            let product = product(index);
            let first = rnd(self.seed, Stream::DATA, index);
            let last = (1..=self.maps).fold(first, |value, stage| mapped(stage, value, product.busy(value)));
            sink(&encode(index, last));
        }
    }
}

/// An item's value after map number `stage`. A kernel's result has 31 bits, so the stage's number stands above it.
#[inline]
fn mapped(stage: usize, value: u64, result: u64) -> u64 {
    mix(value ^ result ^ ((stage as u64) << 32))
}

#[inline]
fn encode(index: u64, value: u64) -> [u8; 16] {
    (u128::from(value) << 64 | u128::from(index)).to_le_bytes()
}

#[inline]
fn decode(item: &[u8]) -> Result<(u64, u64), WorkloadError> {
    match item.as_chunks() {
        ([index, value], []) => Ok((u64::from_le_bytes(*index), u64::from_le_bytes(*value))),
        _ => Err(WorkloadError::Operator(format!("an item has {} bytes, not 16", item.len()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_its_index_and_then_its_value() {
        let item = encode(1, 2);
        assert_eq!(item, [1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(decode(&item), Ok((1, 2)));
        assert!(decode(&item[..15]).is_err());
        assert!(decode(&[0; 17]).is_err());
    }
}
