//! `memory`: maps that read from all over a large table, so that they wait for memory and not for arithmetic.

use plugin_api::serde_json::{Map, Value};
use plugin_api::{
    BatchBuilder, Parameter, Parameters, Plan, StageKind, Workload, WorkloadError, WorkloadSpec,
};

use crate::random::{Stream, mix, rnd};
use crate::record::Column::Number;
use crate::record::{describe, push, read};

/// An item is its index and a value. The map adds up entries of the table at random places, which follow from the value: they do
/// not depend on each other, so a processor has several on their way at a time.
pub(crate) struct Memory {
    seed: u64,
    total_items: u64,
    reads: u64,
    entries: u64,
    /// Entry number i is `mix(i)`. Empty in a run without items, so that it costs nothing to list the workload.
    table: Vec<u64>,
}

impl Memory {
    fn places(&self, value: u64) -> impl Iterator<Item = u64> {
        let entries = u128::from(self.entries);
        (0..self.reads).map(move |read| ((u128::from(mix(value.wrapping_add(read))) * entries) >> 64) as u64)
    }
}

impl Workload for Memory {
    const NAME: &'static str = "memory";
    const DESCRIPTION: &'static str =
        "Reads from all over a large table for each item: work that is bound by memory";

    fn parameters() -> Vec<Parameter> {
        let span =
            "how large the table is, in MiB; each process has one, which it makes when it opens the workload";
        vec![
            Parameter::integer("span_mib", span, 64, 1, 4096),
            Parameter::integer(
                "reads",
                "how many entries of the table are read for an item",
                1000,
                0,
                1_000_000,
            ),
        ]
    }

    fn open(spec: &WorkloadSpec, parameters: &Parameters) -> Result<Self, WorkloadError> {
        let entries = (parameters.integer("span_mib") << 20) / 8;
        let table = if spec.total_items == 0 { Vec::new() } else { (0..entries).map(mix).collect() };
        let reads = parameters.integer("reads");
        Ok(Self { seed: spec.seed, total_items: spec.total_items, reads, entries, table })
    }

    fn plan(&self) -> Plan {
        Plan::new().then(StageKind::Map, "read")
    }

    fn source(&self, index: u64, out: &mut BatchBuilder) -> Result<(), WorkloadError> {
        push(out, [index, rnd(self.seed, Stream::DATA, index)]);
        Ok(())
    }

    fn apply(&self, _stage: usize, item: &[u8], out: &mut BatchBuilder) -> Result<(), WorkloadError> {
        let [index, value] = read(item)?;
        let entry = |place: u64| self.table.get(place as usize).copied().unwrap_or_default();
        push(out, [index, self.places(value).fold(0, |sum, place| sum.wrapping_add(entry(place)))]);
        Ok(())
    }

    fn describe(&self, _stage: usize, item: &[u8]) -> Result<Option<Map<String, Value>>, WorkloadError> {
        Ok(Some(describe(&["index", "value"].map(Number), item)?.0))
    }

    /// Computes the entries in place of a table.
    fn oracle(&self, sink: &mut dyn FnMut(&[u8])) {
        for index in 0..self.total_items {
            let value = rnd(self.seed, Stream::DATA, index);
            let mut sum = 0_u64;
            for read in 0..self.reads {
                let place = (u128::from(mix(value.wrapping_add(read))) * u128::from(self.entries)) >> 64;
                sum = sum.wrapping_add(mix(place as u64));
            }
            sink([index, sum].map(u64::to_le_bytes).as_flattened());
        }
    }
}
