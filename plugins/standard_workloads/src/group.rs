//! `group`: a shuffle whose result needs every record of a group in order.

use plugin_api::serde_json::{Map, Value};
use plugin_api::{
    BatchBuilder, Parameter, Parameters, Plan, StageKind, Workload, WorkloadError, WorkloadSpec,
};

use crate::random::{Stream, mix, rnd, u01};
use crate::record::Column::Number;
use crate::record::{Done, describe, entries, push, read, words};
use crate::zipf::Zipf;

/// A record is its group, a value and its index. The reduction sorts the records of a group by value and index, and digests the
/// values in that order, so that no record can be left out or combined with another before all are in one place. What comes out
/// is the group, its number of records, and the digest.
pub(crate) struct Group {
    seed: u64,
    total_items: u64,
    zipf: Zipf,
}

impl Group {
    fn record(&self, index: u64) -> [u64; 3] {
        let group = self.zipf.rank(u01(rnd(self.seed, Stream::KEY, index)));
        [group as u64, rnd(self.seed, Stream::DATA, index), index]
    }
}

impl Workload for Group {
    const NAME: &'static str = "group";
    const DESCRIPTION: &'static str =
        "Sorts records by group and digests each group in order: a shuffle that nothing can make smaller";

    fn parameters() -> Vec<Parameter> {
        vec![
            Parameter::integer("groups", "how many groups there are", 10_000, 1, 1_000_000),
            Parameter::number("skew", "exponent of Zipf's law: 0 makes all groups as large", 0.0, 0.0, 4.0),
        ]
    }

    fn open(spec: &WorkloadSpec, parameters: &Parameters) -> Result<Self, WorkloadError> {
        let zipf = Zipf::new(parameters.integer("groups"), parameters.number("skew"));
        Ok(Self { seed: spec.seed, total_items: spec.total_items, zipf })
    }

    fn plan(&self) -> Plan {
        Plan::new().then(StageKind::KeyedReduce, "sort and digest")
    }

    fn source(&self, index: u64, out: &mut BatchBuilder) -> Done {
        push(out, self.record(index));
        Ok(())
    }

    /// There is no map, filter or flat map in the plan.
    fn apply(&self, stage: usize, _item: &[u8], _out: &mut BatchBuilder) -> Done {
        Err(WorkloadError::Argument(format!("stage {stage} of group takes no single items")))
    }

    fn key<'a>(&self, _stage: usize, item: &'a [u8]) -> &'a [u8] {
        item.get(..8).unwrap_or_default()
    }

    fn fold(&self, _stage: usize, accumulator: &mut Vec<u8>, item: &[u8]) -> Done {
        let [_group, _value, _index] = read(item)?;
        accumulator.extend_from_slice(&item[8..]);
        Ok(())
    }

    fn merge(&self, _stage: usize, accumulator: &mut Vec<u8>, other: &[u8]) -> Done {
        accumulator.extend_from_slice(other);
        Ok(())
    }

    fn emit(&self, _stage: usize, key: &[u8], accumulator: &[u8], out: &mut BatchBuilder) -> Done {
        let ([group], mut records) = (read(key)?, entries::<2>(words(accumulator)?)?.collect::<Vec<_>>());
        records.sort_unstable();
        let digest = records.iter().fold(0, |digest, [value, index]| mix(digest ^ mix(value ^ mix(*index))));
        push(out, [group, records.len() as u64, digest]);
        Ok(())
    }

    fn describe(&self, stage: usize, item: &[u8]) -> Result<Option<Map<String, Value>>, WorkloadError> {
        let value = if stage == 0 { ["group", "value", "index"] } else { ["group", "count", "digest"] };
        Ok(Some(describe(&value.map(Number), item)?.0))
    }

    fn oracle(&self, sink: &mut dyn FnMut(&[u8])) {
        let mut records: Vec<_> = (0..self.total_items).map(|index| self.record(index)).collect();
        records.sort_unstable();
        for group in records.chunk_by(|[one, ..], [other, ..]| one == other) {
            let mut digest = 0;
            for [_, value, index] in group {
                digest = mix(digest ^ mix(value ^ mix(*index)));
            }
            sink([group[0][0], group.len() as u64, digest].map(u64::to_le_bytes).as_flattened());
        }
    }
}
