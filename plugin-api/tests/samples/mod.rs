//! A workload library for tests: a chain, two with keyed reductions, and one that fails as it is told to.

use std::collections::BTreeMap;

use plugin_api::serde_json::{Map, Value};
use plugin_api::{
    BatchBuilder, Parameter, Parameters, Plan, StageKind, Workload, WorkloadError, WorkloadSpec,
};

plugin_api::export_workloads!(name = "samples", workloads = [EvenTriples, WordCount, CountOfCounts, Faulty]);

/// The table of this library's C functions.
#[allow(dead_code, reason = "each test binary takes what it needs")]
pub(crate) fn functions() -> plugin_api::workload::WorkloadFunctions {
    __crossrun_workloads::table()
}

type Done = Result<(), WorkloadError>;

fn number(item: &[u8]) -> Result<u64, WorkloadError> {
    let bytes = item.try_into().map_err(|_| WorkloadError::Operator("an item is not 8 bytes".into()))?;
    Ok(u64::from_le_bytes(bytes))
}

/// Triples each number, drops the odd ones, and repeats what is left.
struct EvenTriples {
    seed: u64,
    total_items: u64,
    copies: u64,
}

impl EvenTriples {
    fn first(&self, index: u64) -> u64 {
        self.seed.wrapping_add(index)
    }
}

impl Workload for EvenTriples {
    const NAME: &'static str = "even_triples";
    const DESCRIPTION: &'static str = "a map, a filter and a flat map";

    fn parameters() -> Vec<Parameter> {
        vec![Parameter::integer("copies", "how often an item is repeated", 2, 0, 16)]
    }

    fn open(spec: &WorkloadSpec, parameters: &Parameters) -> Result<Self, WorkloadError> {
        let WorkloadSpec { seed, total_items, .. } = *spec;
        Ok(Self { seed, total_items, copies: parameters.integer("copies") })
    }

    fn plan(&self) -> Plan {
        Plan::new()
            .then(StageKind::Map, "triple")
            .then(StageKind::Filter, "even")
            .then(StageKind::FlatMap, "repeat")
    }

    fn source(&self, index: u64, out: &mut BatchBuilder) -> Done {
        out.push(&self.first(index).to_le_bytes());
        Ok(())
    }

    fn apply(&self, stage: usize, item: &[u8], out: &mut BatchBuilder) -> Done {
        let value = number(item)?;
        match stage {
            1 => out.push(&value.wrapping_mul(3).to_le_bytes()),
            2 if !value.is_multiple_of(2) => (),
            2 => out.push(item),
            _ => (0..self.copies).for_each(|_| out.push(item)),
        }
        Ok(())
    }

    fn describe(&self, _stage: usize, item: &[u8]) -> Result<Option<Map<String, Value>>, WorkloadError> {
        Ok(Some(Map::from_iter([("number".to_owned(), number(item)?.into())])))
    }

    fn oracle(&self, sink: &mut dyn FnMut(&[u8])) {
        let even = (0..self.total_items).map(|index| self.first(index)).filter(|first| first % 2 == 0);
        for first in even {
            (0..self.copies).for_each(|_| sink(&first.wrapping_mul(3).to_le_bytes()));
        }
    }
}

const WORDS: [&str; 5] = ["to", "be", "or", "not", "that"];

/// The two words of line `index`.
fn line(index: u64) -> [&'static str; 2] {
    let word = |number: u64| WORDS[(number % WORDS.len() as u64) as usize];
    [word(index), word(index * index)]
}

fn counts(total_items: u64) -> BTreeMap<&'static str, u64> {
    let mut counts = BTreeMap::new();
    (0..total_items).flat_map(line).for_each(|word| *counts.entry(word).or_default() += 1);
    counts
}

fn add(accumulator: &mut Vec<u8>, more: u64) -> Done {
    let before = if accumulator.is_empty() { 0 } else { number(accumulator)? };
    *accumulator = before.wrapping_add(more).to_le_bytes().to_vec();
    Ok(())
}

/// Splits lines into words, counts them, and writes each count out.
struct WordCount {
    total_items: u64,
}

impl Workload for WordCount {
    const NAME: &'static str = "word_count";
    const DESCRIPTION: &'static str = "a flat map, a keyed reduction and a map";

    fn open(spec: &WorkloadSpec, _parameters: &Parameters) -> Result<Self, WorkloadError> {
        Ok(Self { total_items: spec.total_items })
    }

    fn plan(&self) -> Plan {
        Plan::new()
            .then(StageKind::FlatMap, "words")
            .then(StageKind::KeyedReduce, "count")
            .then(StageKind::Map, "exclaim")
    }

    fn source(&self, index: u64, out: &mut BatchBuilder) -> Done {
        out.push(line(index).join(" ").as_bytes());
        Ok(())
    }

    fn apply(&self, stage: usize, item: &[u8], out: &mut BatchBuilder) -> Done {
        match stage {
            1 => item.split(|byte| *byte == b' ').for_each(|word| out.push(word)),
            _ => out.push(&[item, b"!"].concat()),
        }
        Ok(())
    }

    fn fold(&self, _stage: usize, accumulator: &mut Vec<u8>, _item: &[u8]) -> Done {
        add(accumulator, 1)
    }

    fn merge(&self, _stage: usize, accumulator: &mut Vec<u8>, other: &[u8]) -> Done {
        add(accumulator, number(other)?)
    }

    fn emit(&self, _stage: usize, key: &[u8], accumulator: &[u8], out: &mut BatchBuilder) -> Done {
        let count = number(accumulator)?.to_string();
        out.push(&[key, b"=", count.as_bytes()].concat());
        Ok(())
    }

    fn oracle(&self, sink: &mut dyn FnMut(&[u8])) {
        counts(self.total_items).iter().for_each(|(word, count)| sink(format!("{word}={count}!").as_bytes()));
    }
}

/// Counts words, then how many words have each count: two keyed reductions, one after the other.
struct CountOfCounts(WordCount);

impl Workload for CountOfCounts {
    const NAME: &'static str = "count_of_counts";
    const DESCRIPTION: &'static str = "two keyed reductions";

    fn open(spec: &WorkloadSpec, parameters: &Parameters) -> Result<Self, WorkloadError> {
        WordCount::open(spec, parameters).map(Self)
    }

    fn plan(&self) -> Plan {
        Plan::new()
            .then(StageKind::FlatMap, "words")
            .then(StageKind::KeyedReduce, "count")
            .then(StageKind::KeyedReduce, "count again")
    }

    fn source(&self, index: u64, out: &mut BatchBuilder) -> Done {
        self.0.source(index, out)
    }

    fn apply(&self, stage: usize, item: &[u8], out: &mut BatchBuilder) -> Done {
        self.0.apply(stage, item, out)
    }

    fn fold(&self, stage: usize, accumulator: &mut Vec<u8>, item: &[u8]) -> Done {
        self.0.fold(stage, accumulator, item)
    }

    fn merge(&self, stage: usize, accumulator: &mut Vec<u8>, other: &[u8]) -> Done {
        self.0.merge(stage, accumulator, other)
    }

    fn emit(&self, stage: usize, key: &[u8], accumulator: &[u8], out: &mut BatchBuilder) -> Done {
        match stage {
            // The word itself is dropped: its count is the key of the next reduction.
            2 => out.push(accumulator),
            _ => out.push(&[key, accumulator].concat()),
        }
        Ok(())
    }

    fn oracle(&self, sink: &mut dyn FnMut(&[u8])) {
        let mut again: BTreeMap<u64, u64> = BTreeMap::new();
        counts(self.0.total_items).values().for_each(|count| *again.entry(*count).or_default() += 1);
        for (count, words) in again {
            sink(&[count.to_le_bytes(), words.to_le_bytes()].concat());
        }
    }
}

/// Fails in the way that `extra.fault` says.
struct Faulty(String);

impl Workload for Faulty {
    const NAME: &'static str = "faulty";
    const DESCRIPTION: &'static str = "fails as it is told to";

    fn parameters() -> Vec<Parameter> {
        let faults = [
            "none",
            "map_panics",
            "map_fails",
            "map_drops",
            "map_grows",
            "fold_panics",
            "open_panics",
            "no_plan",
        ];
        vec![Parameter::choice("fault", "how it fails", &faults)]
    }

    fn open(_spec: &WorkloadSpec, parameters: &Parameters) -> Result<Self, WorkloadError> {
        let fault = parameters.choice("fault");
        assert!(fault != "open_panics", "nothing opens here");
        Ok(Self(fault.into()))
    }

    fn plan(&self) -> Plan {
        match self.0.as_str() {
            "no_plan" => Plan::new().then(StageKind::Sink, "another"),
            "map_grows" => Plan::new().then(StageKind::Map, "map").then(StageKind::Map, "after"),
            _ => Plan::new().then(StageKind::Map, "map").then(StageKind::KeyedReduce, "reduce"),
        }
    }

    fn source(&self, index: u64, out: &mut BatchBuilder) -> Done {
        out.push(&index.to_le_bytes());
        Ok(())
    }

    fn apply(&self, _stage: usize, item: &[u8], out: &mut BatchBuilder) -> Done {
        match self.0.as_str() {
            "map_panics" => panic!("the map gave up"),
            "map_fails" => return Err(WorkloadError::Operator("the map said no".into())),
            "map_drops" => (),
            // More than an i32 counts.
            "map_grows" => {
                let gibibyte = vec![0; 1 << 30];
                out.push_with(|bytes| (0..3).for_each(|_| bytes.extend_from_slice(&gibibyte)));
            }
            _ => out.push(item),
        }
        Ok(())
    }

    fn fold(&self, _stage: usize, accumulator: &mut Vec<u8>, item: &[u8]) -> Done {
        assert!(self.0 != "fold_panics", "the fold gave up");
        add(accumulator, number(item)?)
    }

    fn merge(&self, _stage: usize, accumulator: &mut Vec<u8>, other: &[u8]) -> Done {
        add(accumulator, number(other)?)
    }

    fn emit(&self, _stage: usize, _key: &[u8], accumulator: &[u8], out: &mut BatchBuilder) -> Done {
        out.push(accumulator);
        Ok(())
    }

    fn oracle(&self, _sink: &mut dyn FnMut(&[u8])) {}
}
