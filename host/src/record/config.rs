//! The two hashes of a record: of the configuration, and of the backend's name.

use plugin_api::WorkloadSpec;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

/// How deeply options and metrics may be nested: a parser of JSON takes 128 levels, of which a record needs some itself. A line
/// that cannot be parsed would be a lost trial.
pub(crate) const MAX_DEPTH: usize = 64;

/// The configuration, without the backend: two trials may be compared when the hashes of their configurations are equal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// Options of workload and backend.
    pub extra: Map<String, Value>,
    /// How many items the source emits.
    pub items: u64,
    /// How many machines were asked for.
    pub nodes: u32,
    /// How many operator calls may be in flight.
    pub parallelism: u32,
    pub scheduler: String,
    pub seed: u64,
    pub workload: String,
}

impl Config {
    pub fn new(spec: &WorkloadSpec, nodes: u32) -> Self {
        let WorkloadSpec { name, total_items, parallelism, scheduler_name, seed, extra, .. } = spec.clone();
        Self {
            extra,
            items: total_items,
            nodes,
            parallelism,
            scheduler: scheduler_name,
            seed,
            workload: name,
        }
    }

    /// The JSON that is hashed: keys sorted at every depth, no spaces, UTF-8.
    pub fn canonical_json(&self) -> String {
        // A JSON map is sorted by key here: `serde_json` is built without `preserve_order`.
        serde_json::to_value(self).unwrap_or_default().to_string()
    }

    /// SHA-256 of the canonical JSON, as 64 hex digits in lower case.
    pub fn hash(&self) -> String {
        sha256_hex(&self.canonical_json())
    }
}

/// SHA-256 of the backend's name, as 64 hex digits in lower case.
pub(crate) fn backend_hash(name: &str) -> String {
    sha256_hex(name)
}

fn sha256_hex(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::UnifiedRecord;
    use crate::record::reader::{Entry, Records};

    fn example() -> Config {
        let mut spec = WorkloadSpec::new("pipeline");
        spec.total_items = 1000;
        spec.parallelism = 4;
        spec.extra.insert("iters".into(), 250.into());
        spec.extra.insert("batch_size".into(), 16.into());
        Config::new(&spec, 1)
    }

    #[test]
    fn the_worked_example_of_the_format_document_holds() {
        let document = include_str!("../../../docs/record-format.md");
        let canonical = r#"{"extra":{"batch_size":16,"iters":250},"items":1000,"nodes":1,"parallelism":4,"scheduler":"default","seed":42,"workload":"pipeline"}"#;
        assert_eq!(example().canonical_json(), canonical);
        assert!(document.contains(canonical));
        assert!(document.contains(&example().hash()), "{}", example().hash());
        assert!(document.contains(&backend_hash("native")), "{}", backend_hash("native"));
    }

    #[test]
    fn the_backend_hash_is_that_of_the_original_project() {
        let original = include_bytes!("../../../tests/fixtures/original/unified_results.jsonl");
        let mut records = Records::<UnifiedRecord, _>::new(original.as_slice(), "original".as_ref());
        let Some(Ok(Entry::Record { record, .. })) = records.next() else { panic!("no record") };
        assert_eq!(record.backend_hash, Some(backend_hash(&record.backend)));
    }
}
