//! `shuffle_match`: each record is matched with every rule, as with subscriptions or alerts, and each rule counts what it met.

use plugin_api::serde_json::{Map, Value};
use plugin_api::{
    BatchBuilder, Parameter, Parameters, Plan, StageKind, Workload, WorkloadError, WorkloadSpec,
};

use crate::random::{Stream, mix, rnd, u01};
use crate::record::Column::Number;
use crate::record::{Done, add, describe, malformed, push, read, words};

/// A record is a random word, which decides what rules it meets, and as many more as it has room for. A match is the rule's number and
/// then the record. What comes out is the rule, how many records met it, and the sum of all of their words.
///
/// After ShuffleBench (Henning et al., 2024), without its output of every tenth record of a rule, which depends on the order.
pub(crate) struct ShuffleMatch {
    seed: u64,
    total_items: u64,
    words: u64,
    /// The probability of each rule.
    rules: Vec<f64>,
}

impl ShuffleMatch {
    fn words_of(&self, index: u64) -> impl Iterator<Item = u64> {
        let first = rnd(self.seed, Stream::DATA, index);
        (0..self.words).map(move |place| mix(first.wrapping_add(place)))
    }

    /// The rules that a record with this word meets.
    fn met(&self, word: u64) -> impl Iterator<Item = u64> {
        let is_met = move |(rule, probability): &(u64, f64)| u01(mix(word ^ mix(*rule))) < *probability;
        (0..).zip(self.rules.iter().copied()).filter(is_met).map(|(rule, _)| rule)
    }
}

impl Workload for ShuffleMatch {
    const NAME: &'static str = "shuffle_match";
    const DESCRIPTION: &'static str =
        "Matches every record with many rules, and counts and sums the records that each rule met";

    fn parameters() -> Vec<Parameter> {
        vec![
            Parameter::integer("rules", "how many rules there are", 1000, 1, 100_000),
            Parameter::number(
                "matches",
                "how many rules a record meets, in the mean; all, if there are fewer",
                0.2,
                0.0,
                100.0,
            ),
            Parameter::integer(
                "bytes",
                "how many bytes a record has, rounded down to words of 8",
                1024,
                8,
                1 << 20,
            ),
        ]
    }

    /// Rule r (from 0) has a probability in proportion to 1 / (r + 1), but the first ones have 1 where that would be more.
    fn open(spec: &WorkloadSpec, parameters: &Parameters) -> Result<Self, WorkloadError> {
        let rules = parameters.integer("rules");
        let most = most(rules, parameters.number("matches"));
        Ok(Self {
            seed: spec.seed,
            total_items: spec.total_items,
            words: parameters.integer("bytes") / 8,
            rules: (1..=rules).map(|place| most / place as f64).collect(),
        })
    }

    fn plan(&self) -> Plan {
        Plan::new().then(StageKind::FlatMap, "match").then(StageKind::KeyedReduce, "count")
    }

    fn source(&self, index: u64, out: &mut BatchBuilder) -> Done {
        out.push_with(|bytes| {
            self.words_of(index).for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()))
        });
        Ok(())
    }

    fn apply(&self, _stage: usize, item: &[u8], out: &mut BatchBuilder) -> Done {
        let word = item.first_chunk().ok_or_else(|| malformed(item))?;
        for rule in self.met(u64::from_le_bytes(*word)) {
            out.push_with(|bytes| {
                bytes.extend_from_slice(&rule.to_le_bytes());
                bytes.extend_from_slice(item);
            });
        }
        Ok(())
    }

    fn key<'a>(&self, _stage: usize, item: &'a [u8]) -> &'a [u8] {
        item.get(..8).unwrap_or_default()
    }

    fn fold(&self, _stage: usize, accumulator: &mut Vec<u8>, item: &[u8]) -> Done {
        let record = words(item)?.get(1..).ok_or_else(|| malformed(item))?;
        add(accumulator, [1, sum(record.iter().map(|word| u64::from_le_bytes(*word)))])
    }

    fn merge(&self, _stage: usize, accumulator: &mut Vec<u8>, other: &[u8]) -> Done {
        add::<2>(accumulator, read(other)?)
    }

    fn emit(&self, _stage: usize, key: &[u8], accumulator: &[u8], out: &mut BatchBuilder) -> Done {
        let ([rule], [count, sum]) = (read(key)?, read(accumulator)?);
        push(out, [rule, count, sum]);
        Ok(())
    }

    fn describe(&self, stage: usize, item: &[u8]) -> Result<Option<Map<String, Value>>, WorkloadError> {
        // Records and matches are shown as bytes.
        let is_answer = stage + 1 == self.plan().sink();
        is_answer.then(|| Ok(describe(&["rule", "count", "sum"].map(Number), item)?.0)).transpose()
    }

    fn oracle(&self, sink: &mut dyn FnMut(&[u8])) {
        let mut totals = vec![(0_u64, 0_u64); self.rules.len()];
        for index in 0..self.total_items {
            let first = mix(rnd(self.seed, Stream::DATA, index));
            for (rule, (probability, (count, total))) in (0..).zip(self.rules.iter().zip(&mut totals)) {
                if u01(mix(first ^ mix(rule))) < *probability {
                    *count += 1;
                    *total = total.wrapping_add(sum(self.words_of(index)));
                }
            }
        }
        for (rule, (count, total)) in (0_u64..).zip(totals).filter(|(_, (count, _))| *count > 0) {
            sink([rule, count, total].map(u64::to_le_bytes).as_flattened());
        }
    }
}

/// What is divided by the place of a rule, from 1 on, so that the probabilities add up to `matches`. Rules that every record meets have 1
/// each, and the others share the rest.
fn most(rules: u64, matches: f64) -> f64 {
    let mut shared: f64 = (1..=rules).map(|place| 1.0 / place as f64).sum();
    let mut most = matches / shared;
    for always in 1..rules {
        if most <= always as f64 {
            break;
        }
        shared -= 1.0 / always as f64;
        most = (matches - always as f64) / shared;
    }
    most
}

fn sum(words: impl Iterator<Item = u64>) -> u64 {
    words.fold(0, u64::wrapping_add)
}

#[cfg(test)]
mod tests {
    use super::most;
    use crate::conformance::{items_of, open, source};

    #[test]
    fn probabilities_add_up_to_the_matches_or_to_all_rules() {
        for (rules, matches) in [(1000, 0.2), (1000, 100.0), (10, 5.0), (1, 5.0), (100, 100.0), (7, 0.0)] {
            let most = most(rules, matches);
            let total: f64 = (1..=rules).map(|place| (most / place as f64).min(1.0)).sum();
            assert!((total - matches.min(rules as f64)).abs() < 1e-6, "{rules} {matches}: {total}");
        }
    }

    #[test]
    fn a_record_meets_many_of_few_rules() {
        let workload = open("shuffle_match", r#"{"bytes":8,"rules":10,"matches":5}"#, 2000);
        let met = items_of(&source(&workload, 0, 2000, 2)).len();
        assert!((9_700..10_300).contains(&met), "{met}");
    }

    #[test]
    fn a_record_meets_as_many_rules_as_it_must_in_the_mean_and_the_first_most_often() {
        let workload = open("shuffle_match", r#"{"bytes":16,"matches":0.5}"#, 20_000);
        let rules: Vec<u64> = items_of(&source(&workload, 0, 20_000, 2))
            .iter()
            .map(|item| u64::from_le_bytes(*item.first_chunk().unwrap()))
            .collect();
        assert!((9_600..10_400).contains(&rules.len()), "{}", rules.len());
        let of = |rule| rules.iter().filter(|met| **met == rule).count();
        assert!(of(0) > of(1) && of(1) > of(9), "{} {} {}", of(0), of(1), of(9));
    }
}
