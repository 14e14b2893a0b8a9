//! `word_count`: how often each word occurs, and the sum of the values that occur with it.

use plugin_api::serde_json::{Map, Value};
use plugin_api::{
    BatchBuilder, Parameter, Parameters, Plan, StageKind, Workload, WorkloadError, WorkloadSpec,
};

use crate::decimal;
use crate::object::object;
use crate::random::{Stream, rnd, u01};
use crate::record::Done;
use crate::zipf::Zipf;

/// A record is its value (u32) and then its word: `w` and the key's rank, of which 0 is the most common. The reduction
/// emits one item a word: count, sum, word.
pub(crate) struct WordCount {
    seed: u64,
    total_items: u64,
    zipf: Zipf,
}

impl WordCount {
    fn rank(&self, index: u64) -> usize {
        self.zipf.rank(u01(rnd(self.seed, Stream::KEY, index)))
    }

    fn value(&self, index: u64) -> u32 {
        // The upper half; the lower half of a mixed number would do as well.
        (rnd(self.seed, Stream::DATA, index) >> 32) as u32
    }
}

impl Workload for WordCount {
    const NAME: &'static str = "word_count";
    const DESCRIPTION: &'static str =
        "Counts and sums records by key, with some keys far more common: shuffle, state and skew";

    fn parameters() -> Vec<Parameter> {
        vec![
            Parameter::integer("keys", "how many different words there are", 10_000, 1, 1_000_000),
            Parameter::number("skew", "exponent of Zipf's law: 0 makes all words as common", 1.2, 0.0, 4.0),
        ]
    }

    fn open(spec: &WorkloadSpec, parameters: &Parameters) -> Result<Self, WorkloadError> {
        let zipf = Zipf::new(parameters.integer("keys"), parameters.number("skew"));
        Ok(Self { seed: spec.seed, total_items: spec.total_items, zipf })
    }

    fn plan(&self) -> Plan {
        Plan::new().then(StageKind::KeyedReduce, "count")
    }

    fn source(&self, index: u64, out: &mut BatchBuilder) -> Done {
        out.push_with(|bytes| {
            bytes.extend_from_slice(&self.value(index).to_le_bytes());
            append_word(self.rank(index), bytes);
        });
        Ok(())
    }

    /// There is no map, filter or flat map in the plan.
    fn apply(&self, stage: usize, _item: &[u8], _out: &mut BatchBuilder) -> Done {
        Err(WorkloadError::Argument(format!("stage {stage} of word_count takes no single items")))
    }

    fn key<'a>(&self, _stage: usize, item: &'a [u8]) -> &'a [u8] {
        // A record that is too short has no word; `fold` refuses it.
        item.split_first_chunk::<4>().map_or(&[], |(_, word)| word)
    }

    fn fold(&self, _stage: usize, accumulator: &mut Vec<u8>, item: &[u8]) -> Done {
        let value = match item.split_first_chunk() {
            Some((value, word)) if !word.is_empty() => u32::from_le_bytes(*value),
            _ => return Err(malformed("record", item)),
        };
        Tally { count: 1, sum: value.into() }.add_to(accumulator)
    }

    fn merge(&self, _stage: usize, accumulator: &mut Vec<u8>, other: &[u8]) -> Done {
        Tally::decode(other)?.add_to(accumulator)
    }

    fn emit(&self, _stage: usize, key: &[u8], accumulator: &[u8], out: &mut BatchBuilder) -> Done {
        let tally = Tally::decode(accumulator)?.encode();
        out.push_with(|bytes| {
            bytes.extend_from_slice(&tally);
            bytes.extend_from_slice(key);
        });
        Ok(())
    }

    /// A record before the reduction, a tally after it.
    fn describe(&self, stage: usize, item: &[u8]) -> Result<Option<Map<String, Value>>, WorkloadError> {
        let text = |word: &[u8]| String::from_utf8_lossy(word).into();
        if stage == 0 {
            let Some((value, word)) = item.split_first_chunk() else { return Err(malformed("record", item)) };
            return Ok(Some(object([("value", u32::from_le_bytes(*value).into()), ("word", text(word))])));
        }
        let Some((tally, word)) = item.split_at_checked(16) else { return Err(malformed("count", item)) };
        let Tally { count, sum } = Tally::decode(tally)?;
        Ok(Some(object([("count", count.into()), ("sum", sum.into()), ("word", text(word))])))
    }

    fn oracle(&self, sink: &mut dyn FnMut(&[u8])) {
        // A plain array over the ranks, which uses no code of the keyed state.
        let mut totals = vec![(0_u64, 0_u64); self.zipf.ranks()];
        for index in 0..self.total_items {
            let (count, sum) = &mut totals[self.rank(index)];
            *count += 1;
            *sum = sum.wrapping_add(self.value(index).into());
        }
        for (rank, (count, sum)) in totals.iter().enumerate().filter(|(_, (count, _))| *count > 0) {
            let mut item = [count.to_le_bytes(), sum.to_le_bytes()].concat();
            append_word(rank, &mut item);
            sink(&item);
        }
    }
}

fn append_word(rank: usize, out: &mut Vec<u8>) {
    out.push(b'w');
    decimal::append(rank as u64, out);
}

/// Count and sum of one word so far.
struct Tally {
    count: u64,
    sum: u64,
}

impl Tally {
    fn decode(bytes: &[u8]) -> Result<Self, WorkloadError> {
        match bytes.as_chunks() {
            ([count, sum], []) => {
                Ok(Self { count: u64::from_le_bytes(*count), sum: u64::from_le_bytes(*sum) })
            }
            _ => Err(malformed("tally", bytes)),
        }
    }

    fn encode(&self) -> [u8; 16] {
        (u128::from(self.sum) << 64 | u128::from(self.count)).to_le_bytes()
    }

    /// Adds this to an accumulator, which is empty or has a tally.
    fn add_to(self, accumulator: &mut Vec<u8>) -> Done {
        if accumulator.is_empty() {
            accumulator.extend_from_slice(&self.encode());
            return Ok(());
        }
        let before = Self::decode(accumulator)?;
        let count = before.count.wrapping_add(self.count);
        let sum = before.sum.wrapping_add(self.sum);
        accumulator.copy_from_slice(&Self { count, sum }.encode());
        Ok(())
    }
}

fn malformed(what: &str, bytes: &[u8]) -> WorkloadError {
    WorkloadError::Operator(format!("a {what} of word_count cannot have {} bytes", bytes.len()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::conformance::{batch_of, items_of, open, source};

    #[test]
    fn every_word_is_emitted_once_with_its_count_and_sum() {
        let workload = open("word_count", r#"{"keys":5}"#, 1000);
        let records = source(&workload, 0, 1000, 1);
        let mut tallies: BTreeMap<Vec<u8>, (u64, u64)> = BTreeMap::new();
        for record in items_of(&records) {
            let (value, word) = record.split_first_chunk().unwrap();
            let (count, sum) = tallies.entry(word.to_vec()).or_default();
            *count += 1;
            *sum += u64::from(u32::from_le_bytes(*value));
        }
        let expected: Vec<Vec<u8>> = tallies
            .iter()
            .map(|(word, (count, sum))| [&count.to_le_bytes(), &sum.to_le_bytes(), &word[..]].concat())
            .collect();

        let (mut state, mut out) = (workload.new_state(1).unwrap(), workload.buffer());
        state.fold(&records).unwrap();
        state.emit(10, &mut out).unwrap();
        let mut emitted = items_of(&out);
        emitted.sort_by_key(|item| item[16..].to_vec());
        assert_eq!(emitted, expected);
        assert_eq!(emitted.len(), 5);
    }

    #[test]
    fn a_record_without_a_word_is_refused() {
        let workload = open("word_count", "{}", 1);
        for record in [vec![], vec![0; 3], vec![0; 4]] {
            let mut state = workload.new_state(1).unwrap();
            let error = state.fold(&batch_of(std::slice::from_ref(&record))).unwrap_err().to_string();
            assert!(error.contains(&format!("{} bytes", record.len())), "{error}");
        }
    }

    #[test]
    fn a_tally_of_another_length_is_refused() {
        let workload = open("word_count", "{}", 1);
        let mut state = workload.new_state(1).unwrap();
        // An entry is its key's length, the key, and the accumulator: here of 3 bytes.
        let entry = [&1_u32.to_le_bytes()[..], b"w", &[0; 3]].concat();
        let error = state.merge(&batch_of(&[entry])).unwrap_err().to_string();
        assert!(error.contains("3 bytes"), "{error}");
    }
}
