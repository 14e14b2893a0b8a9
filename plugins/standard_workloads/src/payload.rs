//! `payload`: items of a given size, which a map changes and a shuffle carries whole.

use plugin_api::{
    BatchBuilder, Parameter, Parameters, Plan, StageKind, Workload, WorkloadError, WorkloadSpec,
};

use crate::random::{Stream, mix, rnd};
use crate::record::Done;

const KEY: usize = 8;

/// An item is random bytes, and the map adds one to each. Every item has a key of its own, its first eight bytes, so that nothing
/// can be combined before the shuffle.
pub(crate) struct Payload {
    seed: u64,
    total_items: u64,
    bytes: usize,
}

impl Payload {
    fn append(&self, index: u64, change: impl Fn(u8) -> u8, out: &mut Vec<u8>) {
        let end = out.len() + self.bytes;
        // `mix` is a bijection, so no two items have the same first word.
        let first = mix(rnd(self.seed, Stream::DATA, 0) ^ index);
        for place in 0..(self.bytes.div_ceil(8) as u64) {
            let word = if place == 0 { first } else { mix(first.wrapping_add(place)) };
            out.extend_from_slice(&word.to_le_bytes().map(&change));
        }
        out.truncate(end);
    }
}

impl Workload for Payload {
    const NAME: &'static str = "payload";
    const DESCRIPTION: &'static str =
        "Changes and shuffles items of a given size: what it costs to move bytes";

    fn parameters() -> Vec<Parameter> {
        vec![Parameter::integer("bytes", "how many bytes an item has", 1024, KEY as u64, 1 << 20)]
    }

    fn open(spec: &WorkloadSpec, parameters: &Parameters) -> Result<Self, WorkloadError> {
        let bytes = parameters.integer("bytes") as usize;
        Ok(Self { seed: spec.seed, total_items: spec.total_items, bytes })
    }

    fn plan(&self) -> Plan {
        Plan::new().then(StageKind::Map, "change").then(StageKind::KeyedReduce, "shuffle")
    }

    fn source(&self, index: u64, out: &mut BatchBuilder) -> Done {
        out.push_with(|bytes| self.append(index, |byte| byte, bytes));
        Ok(())
    }

    fn apply(&self, _stage: usize, item: &[u8], out: &mut BatchBuilder) -> Done {
        out.push_with(|bytes| bytes.extend(item.iter().map(|byte| byte.wrapping_add(1))));
        Ok(())
    }

    fn key<'a>(&self, _stage: usize, item: &'a [u8]) -> &'a [u8] {
        item.get(..KEY).unwrap_or_default()
    }

    /// An item that comes twice makes an accumulator that is longer than an item, which the checksum shows.
    fn fold(&self, _stage: usize, accumulator: &mut Vec<u8>, item: &[u8]) -> Done {
        accumulator.extend_from_slice(item);
        Ok(())
    }

    fn merge(&self, stage: usize, accumulator: &mut Vec<u8>, other: &[u8]) -> Done {
        self.fold(stage, accumulator, other)
    }

    fn emit(&self, _stage: usize, _key: &[u8], accumulator: &[u8], out: &mut BatchBuilder) -> Done {
        out.push(accumulator);
        Ok(())
    }

    fn oracle(&self, sink: &mut dyn FnMut(&[u8])) {
        let mut item = Vec::new();
        for index in 0..self.total_items {
            item.clear();
            self.append(index, |byte| byte.wrapping_add(1), &mut item);
            sink(&item);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::conformance::{batch_of, items_of, open, source};

    #[test]
    fn an_item_has_its_size_and_every_byte_of_it_is_changed() {
        for bytes in [8, 9, 16, 1000, 1 << 20] {
            let workload = open("payload", &format!(r#"{{"bytes":{bytes}}}"#), 3);
            let [made, changed] = [1, 2].map(|to| items_of(&source(&workload, 2, 1, to)).remove(0));
            assert_eq!((made.len(), changed.len()), (bytes, bytes));
            assert!(made.iter().zip(&changed).all(|(one, two)| one != two));
        }
    }

    #[test]
    fn an_item_that_comes_twice_shows() {
        for bytes in [8, 100] {
            let workload = open("payload", &format!(r#"{{"bytes":{bytes}}}"#), 1);
            let item = items_of(&source(&workload, 0, 1, 2)).remove(0);
            let mut state = workload.new_state(2).unwrap();
            state.fold(&batch_of(&[item.clone(), item.clone()])).unwrap();
            let mut out = workload.buffer();
            state.emit(10, &mut out).unwrap();
            assert_ne!(items_of(&out), [item]);
        }
    }
}
