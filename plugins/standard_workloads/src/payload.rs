//! `payload`: items of a given size, which a map changes and a shuffle carries whole.

use plugin_api::{
    BatchBuilder, Parameter, Parameters, Plan, StageKind, Workload, WorkloadError, WorkloadSpec,
};

use crate::random::{Stream, mix, rnd};
use crate::record::Done;

const KEY: usize = 8;

/// The last of so many items has the key of an earlier one.
const STRETCH: u64 = 16;

/// An item is random bytes, and the map adds one to each. Its key is its first eight bytes. Most items have a key of their own, so
/// that next to nothing can be combined before the shuffle; a few have that of another item, and come out with it as one item, so that
/// it shows if there was no shuffle.
pub(crate) struct Payload {
    seed: u64,
    total_items: u64,
    bytes: usize,
}

impl Payload {
    fn append(&self, index: u64, change: impl Fn(u8) -> u8, out: &mut Vec<u8>) {
        let end = out.len() + self.bytes;
        // `mix` is a bijection, so only those of one owner have the same first word, and these differ in each other word.
        let owner = self.owner(index);
        let first = mix(rnd(self.seed, Stream::DATA, 0) ^ owner);
        for place in 0..(self.bytes.div_ceil(8) as u64) {
            let word = if place == 0 { first } else { mix(first.wrapping_add(place) ^ index ^ owner) };
            out.extend_from_slice(&word.to_le_bytes().map(&change));
        }
        out.truncate(end);
    }

    /// The place whose key the item has: its own, or a random one before it, so that no way to deal out the input brings all items of
    /// a key to one worker.
    fn owner(&self, index: u64) -> u64 {
        if !has_key_of_another(index) {
            return index;
        }
        ((u128::from(rnd(self.seed, Stream::KEY, index)) * u128::from(index)) >> 64) as u64
    }

    fn changed(&self, index: u64) -> Vec<u8> {
        let mut item = Vec::with_capacity(self.bytes);
        self.append(index, |byte| byte.wrapping_add(1), &mut item);
        item
    }
}

fn has_key_of_another(index: u64) -> bool {
    index % STRETCH == STRETCH - 1
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

    /// An item that comes twice makes an accumulator that is longer by it, which the checksum shows.
    fn fold(&self, _stage: usize, accumulator: &mut Vec<u8>, item: &[u8]) -> Done {
        accumulator.extend_from_slice(item);
        Ok(())
    }

    fn merge(&self, stage: usize, accumulator: &mut Vec<u8>, other: &[u8]) -> Done {
        self.fold(stage, accumulator, other)
    }

    /// The items of a key as one, in the order of their bytes: that in which they came is the engine's.
    fn emit(&self, _stage: usize, _key: &[u8], accumulator: &[u8], out: &mut BatchBuilder) -> Done {
        // Most keys have one item.
        if accumulator.len() <= self.bytes {
            out.push(accumulator);
            return Ok(());
        }
        let mut items: Vec<_> = accumulator.chunks(self.bytes).collect();
        items.sort_unstable();
        out.push_with(|bytes| items.iter().for_each(|item| bytes.extend_from_slice(item)));
        Ok(())
    }

    fn oracle(&self, sink: &mut dyn FnMut(&[u8])) {
        let others = (0..self.total_items).filter(|index| has_key_of_another(*index));
        let mut others: Vec<_> = others.map(|index| (self.owner(index), index)).collect();
        others.sort_unstable();
        let mut others = others.into_iter().peekable();
        for place in 0..self.total_items {
            let own = (!has_key_of_another(place)).then_some(place);
            let mut items: Vec<_> = own.map(|index| self.changed(index)).into_iter().collect();
            while let Some((_, index)) = others.next_if(|(owner, _)| *owner == place) {
                items.push(self.changed(index));
            }
            items.sort_unstable();
            if !items.is_empty() {
                sink(&items.concat());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use crate::conformance::{batch_of, items_of, open, source, try_open};

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
    fn one_item_in_sixteen_has_the_key_of_an_earlier_one_and_other_bytes() {
        for seed in [1, 2] {
            let workload = try_open("payload", r#"{"bytes":100}"#, 1600, seed).unwrap();
            let items = items_of(&source(&workload, 0, 1600, 1));
            let (mut first, mut shared) = (HashMap::<&[u8], usize>::new(), Vec::new());
            for (index, item) in items.iter().enumerate() {
                if let Some(earlier) = first.get(&item[..8]) {
                    assert_ne!(&items[*earlier], item, "{earlier} and {index}");
                    shared.push(index);
                } else {
                    first.insert(&item[..8], index);
                }
            }
            // Not quite 100: some draw a place whose own item has another key.
            assert!(shared.iter().all(|index| index % 16 == 15), "{shared:?}");
            assert!((85..=100).contains(&shared.len()), "{shared:?}");
            assert_eq!(workload.expected().unwrap().count as usize, items.len() - shared.len());
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
