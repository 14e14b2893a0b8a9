//! The workloads in Rust that were built against API 1.0: a chain, and a keyed reduction.

use std::collections::BTreeMap;

use plugin_api::{BatchBuilder, Parameter, Parameters, Plan, StageKind, Workload, WorkloadError, WorkloadSpec};

plugin_api::export_workloads!(name = "golden_workloads", workloads = [Chain, Reduce]);

fn number(item: &[u8]) -> Result<u64, WorkloadError> {
    let bytes = item.try_into().map_err(|_| WorkloadError::Operator("an item is not 8 bytes".into()))?;
    Ok(u64::from_le_bytes(bytes))
}

/// Triples numbers, drops the odd ones, and repeats what is left.
struct Chain {
    seed: u64,
    total_items: u64,
    copies: u64,
}

impl Workload for Chain {
    const NAME: &'static str = "golden_chain";
    const DESCRIPTION: &'static str = "a map, a filter and a flat map of API 1.0";

    fn parameters() -> Vec<Parameter> {
        vec![
            Parameter::integer("copies", "how often an item is repeated", 2, 0, 16),
            Parameter::number("share", "of nothing", 0.5, 0.0, 1.0),
            Parameter::choice("shape", "of nothing", &["round", "square"]),
            Parameter::text("label", "of nothing", "none"),
        ]
    }

    fn open(spec: &WorkloadSpec, parameters: &Parameters) -> Result<Self, WorkloadError> {
        Ok(Self { seed: spec.seed, total_items: spec.total_items, copies: parameters.integer("copies") })
    }

    fn plan(&self) -> Plan {
        Plan::new()
            .then(StageKind::Map, "triple")
            .then(StageKind::Filter, "even")
            .then(StageKind::FlatMap, "repeat")
    }

    fn source(&self, index: u64, out: &mut BatchBuilder) -> Result<(), WorkloadError> {
        out.push(&self.seed.wrapping_add(index).to_le_bytes());
        Ok(())
    }

    fn apply(&self, stage: usize, item: &[u8], out: &mut BatchBuilder) -> Result<(), WorkloadError> {
        let number = number(item)?;
        match stage {
            1 => out.push(&number.wrapping_mul(3).to_le_bytes()),
            2 if number % 2 != 0 => {}
            2 => out.push(item),
            _ => (0..self.copies).for_each(|_| out.push(item)),
        }
        Ok(())
    }

    fn oracle(&self, sink: &mut dyn FnMut(&[u8])) {
        for index in 0..self.total_items {
            let number = self.seed.wrapping_add(index).wrapping_mul(3);
            if number % 2 == 0 {
                (0..self.copies).for_each(|_| sink(&number.to_le_bytes()));
            }
        }
    }
}

/// Counts numbers by their remainder.
struct Reduce {
    seed: u64,
    total_items: u64,
    keys: u64,
}

impl Workload for Reduce {
    const NAME: &'static str = "golden_reduce";
    const DESCRIPTION: &'static str = "a keyed reduction of API 1.0";

    fn parameters() -> Vec<Parameter> {
        vec![Parameter::integer("keys", "how many keys there are", 10, 1, 1000)]
    }

    fn open(spec: &WorkloadSpec, parameters: &Parameters) -> Result<Self, WorkloadError> {
        Ok(Self { seed: spec.seed, total_items: spec.total_items, keys: parameters.integer("keys") })
    }

    fn plan(&self) -> Plan {
        Plan::new()
            .then(StageKind::Map, "remainder")
            .then(StageKind::KeyedReduce, "count")
            .then(StageKind::Map, "swap")
    }

    fn source(&self, index: u64, out: &mut BatchBuilder) -> Result<(), WorkloadError> {
        out.push(&self.seed.wrapping_add(index).to_le_bytes());
        Ok(())
    }

    fn apply(&self, stage: usize, item: &[u8], out: &mut BatchBuilder) -> Result<(), WorkloadError> {
        match (stage, item.split_at_checked(8)) {
            (1, _) => out.push(&(number(item)? % self.keys).to_le_bytes()),
            (_, Some((key, count))) => out.push(&[count, key].concat()),
            _ => return Err(WorkloadError::Operator("an item has no key".into())),
        }
        Ok(())
    }

    fn fold(&self, _stage: usize, count: &mut Vec<u8>, _item: &[u8]) -> Result<(), WorkloadError> {
        self.merge(0, count, &1_u64.to_le_bytes())
    }

    fn merge(&self, _stage: usize, count: &mut Vec<u8>, other: &[u8]) -> Result<(), WorkloadError> {
        let before = if count.is_empty() { 0 } else { number(count)? };
        *count = (before + number(other)?).to_le_bytes().to_vec();
        Ok(())
    }

    fn emit(&self, _stage: usize, key: &[u8], count: &[u8], out: &mut BatchBuilder) -> Result<(), WorkloadError> {
        out.push(&[key, count].concat());
        Ok(())
    }

    fn oracle(&self, sink: &mut dyn FnMut(&[u8])) {
        let mut counts = BTreeMap::<u64, u64>::new();
        for index in 0..self.total_items {
            *counts.entry(self.seed.wrapping_add(index) % self.keys).or_default() += 1;
        }
        for (key, count) in counts {
            sink(&[count.to_le_bytes(), key.to_le_bytes()].concat());
        }
    }
}
