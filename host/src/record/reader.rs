//! Reads records: this project's, and the original's.

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::RecordError;
use super::format::VERSION;

/// The longest line: more than a record has in which every message and metric of a plugin is as long as the channel lets
/// through. A file without any end of line is no reason to take all memory.
pub(crate) const MAX_LINE: u64 = 256 << 20;

/// A line of a file of records. Lines are counted from 1, blank ones included.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry<T> {
    Record {
        line: u64,
        record: Box<T>,
    },
    /// The last line, cut off by a crash in the middle of writing: worth a warning.
    Torn {
        line: u64,
    },
}

/// The records of a file, in its order. Blank lines are passed over.
#[derive(Debug)]
pub struct Records<T, R = BufReader<File>> {
    path: PathBuf,
    source: R,
    line: u64,
    longest: u64,
    ended: bool,
    record: PhantomData<T>,
}

impl<T> Records<T> {
    /// The records of the file at `path`. A line that is none is an error, after which the iterator goes on.
    pub(crate) fn open(path: &Path) -> Result<Self, RecordError> {
        let file = File::open(path).map_err(RecordError::file("open", path))?;
        Ok(Self::new(BufReader::new(file), path))
    }
}

impl<T: DeserializeOwned, R: BufRead> Iterator for Records<T, R> {
    type Item = Result<Entry<T>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            let mut line = Vec::new();
            match self.source.by_ref().take(self.longest + 1).read_until(b'\n', &mut line) {
                Ok(0) => break,
                Ok(length) => {
                    self.line += 1;
                    if length as u64 > self.longest {
                        self.ended = true;
                        return Some(Err(self.too_long()));
                    }
                }
                Err(error) => {
                    self.ended = true;
                    return Some(Err(RecordError::file("read", &self.path)(error)));
                }
            }
            if !line.trim_ascii().is_empty() {
                return Some(self.entry(&line));
            }
        }
        None
    }
}

impl<T, R> Records<T, R> {
    /// The records of `source`, which errors call `path`.
    pub fn new(source: R, path: &Path) -> Self {
        Self { path: path.into(), source, line: 0, longest: MAX_LINE, ended: false, record: PhantomData }
    }

    fn entry(&self, text: &[u8]) -> Result<Entry<T>, RecordError>
    where
        T: DeserializeOwned,
    {
        let line = self.line;
        if let Some(version) = serde_json::from_slice(text).ok().and_then(later_version) {
            return Err(RecordError::Later { path: self.path.clone(), line, version });
        }
        match serde_json::from_slice(text) {
            Ok(record) => Ok(Entry::Record { line, record }),
            Err(error) if !error.is_data() && !text.ends_with(b"\n") => Ok(Entry::Torn { line }),
            Err(error) => Err(self.no_record(without_line(&error))),
        }
    }

    /// What follows such a line is not looked for: it may have no end.
    fn too_long(&self) -> RecordError {
        self.no_record(format!("it has more than {} bytes, and what follows is not read", self.longest))
    }

    fn no_record(&self, why: String) -> RecordError {
        RecordError::Line { path: self.path.clone(), line: self.line, why }
    }
}

/// Whether the first line of the file that is an object is a trial, in which the record is nested.
pub(crate) fn holds_trials(path: &Path) -> Result<bool, RecordError> {
    let file = File::open(path).map_err(RecordError::file("open", path))?;
    let (mut source, mut line) = (BufReader::new(file), Vec::new());
    loop {
        line.clear();
        let read = source.by_ref().take(MAX_LINE).read_until(b'\n', &mut line);
        if read.map_err(RecordError::file("read", path))? == 0 {
            return Ok(false);
        }
        if let Ok(first) = serde_json::from_slice::<Map<String, Value>>(&line) {
            return Ok(first.contains_key("record"));
        }
    }
}

/// Where a record says which format it has: a trial at the top, a unified record in its metadata.
#[derive(Deserialize)]
struct Versioned {
    #[serde(default)]
    format_version: Value,
    #[serde(default)]
    metadata: Value,
}

/// The version of the record, if this program is too old for it.
fn later_version(record: Versioned) -> Option<u64> {
    let Versioned { format_version, metadata } = record;
    let version = format_version.as_u64().or_else(|| metadata.get("format_version")?.as_u64());
    version.filter(|version| *version > VERSION.into())
}

/// The parser's message. It counts lines within the text that it was given, which is always one.
fn without_line(error: &serde_json::Error) -> String {
    let message = error.to_string();
    match message.rsplit_once(" at line ") {
        Some((what, _)) => format!("{what} at column {}", error.column()),
        None => message,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::record::format::{Metadata, TrialRecord, UnifiedRecord};
    use crate::record::trial::examples;

    const ORIGINAL: &str = include_str!("../../../tests/fixtures/original/unified_results.jsonl");

    fn read(content: impl AsRef<[u8]>) -> Vec<Result<Entry<UnifiedRecord>, String>> {
        let records = Records::new(content.as_ref(), "results.jsonl".as_ref());
        records.map(|entry| entry.map_err(|error| error.to_string())).collect()
    }

    fn only_record(content: &str) -> UnifiedRecord {
        match read(content).as_slice() {
            [Ok(Entry::Record { line: 1, record })] => (**record).clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_original_projects_record_is_read_with_all_that_is_in_it() {
        let record = only_record(ORIGINAL);
        assert_eq!((record.seed, record.nodes, record.parallelism), (42, 1, 4));
        assert_eq!(record.throughput, Some(41.476_877_229_134_04));
        assert_eq!((record.latency_p50, record.success_rate), (None, None));
        let Metadata { scheduler_name, results_count, system_profile, raw_metrics, format_version, .. } =
            &record.metadata;
        assert_eq!(
            (scheduler_name.as_deref(), *results_count, *format_version),
            (Some("default"), Some(100), None)
        );
        assert_eq!(raw_metrics["platform"], "local");
        let profile = system_profile.as_ref().unwrap();
        assert_eq!((profile.cpu_physical_cores, profile.memory_gb), (Some(16), Some(11.68)));
        assert_eq!(profile.python.as_deref(), Some("3.11.11"));
        assert_eq!(record.metadata.other["benchmark_version"], "unknown");
    }

    #[test]
    fn nothing_of_the_original_is_lost_when_it_is_written_again() {
        let mut theirs: Value = serde_json::from_str(ORIGINAL).unwrap();
        let ours = serde_json::to_value(only_record(ORIGINAL)).unwrap();
        let [metadata, profile] = ["/metadata", "/metadata/system_profile"].map(|place| {
            let theirs = theirs.pointer_mut(place).unwrap().as_object_mut().unwrap();
            for (key, value) in ours.pointer(place).unwrap().as_object().unwrap() {
                theirs.entry(key.clone()).or_insert_with(|| value.clone());
            }
            theirs.len()
        });
        assert_eq!(ours, theirs);
        assert!(metadata > 5 && profile > 8);
    }

    #[test]
    fn figures_hashes_and_metadata_may_be_missing() {
        let bare = r#"{"backend":"x","workload":"w","run_id":"r","seed":1,"nodes":1,"parallelism":2,"timestamp":"t"}"#;
        let record = only_record(bare);
        assert_eq!((record.throughput, record.duration_seconds, record.success_rate), (None, None, None));
        assert_eq!((record.config_hash, record.metadata), (None, Metadata::default()));
    }

    #[test]
    fn blank_lines_are_passed_over_but_counted() {
        let record = ORIGINAL.trim_end();
        let read = read(format!("\n{record}\r\n  \n{record}"));
        let lines = read.iter().map(|entry| match entry {
            Ok(Entry::Record { line, .. }) => *line,
            other => panic!("{other:?}"),
        });
        assert_eq!(lines.collect::<Vec<_>>(), [2, 4]);
    }

    #[test]
    fn a_torn_last_line_is_a_warning_wherever_it_was_cut() {
        let record = ORIGINAL.trim_end();
        for end in 1..record.len() {
            let read = read([ORIGINAL.as_bytes(), &record.as_bytes()[..end]].concat());
            assert!(
                matches!(read[..], [Ok(Entry::Record { .. }), Ok(Entry::Torn { line: 2 })]),
                "{end}: {read:?}"
            );
        }
        assert!(matches!(read([0; 10])[..], [Ok(Entry::Torn { line: 1 })]));
    }

    #[test]
    fn a_bad_line_in_the_middle_is_an_error_that_says_where_and_the_rest_is_read() {
        for (bad, why) in
            [("{\"a\":", "EOF"), ("[]", "invalid"), ("{\"backend\":\"x\"}", "missing field `workload`")]
        {
            let read = read(format!("{ORIGINAL}{bad}\n{ORIGINAL}"));
            let [Ok(_), Err(message), Ok(Entry::Record { line: 3, .. })] = &read[..] else {
                panic!("{read:?}")
            };
            assert!(message.starts_with("results.jsonl:2: ") && message.contains(why), "{message}");
            assert!(!message.contains("at line"), "{message}");
        }
    }

    #[test]
    fn a_last_line_that_is_whole_but_no_record_is_an_error() {
        let [Err(message)] = &read("{\"backend\":1}")[..] else { panic!("no error") };
        assert!(message.contains("results.jsonl:1"), "{message}");
    }

    #[test]
    fn a_later_format_is_refused_with_what_to_do() {
        let mut record = serde_json::to_value(examples::verified().record).unwrap();
        record["metadata"]["format_version"] = json!(2);
        let [Err(message)] = &read(record.to_string())[..] else { panic!("no error") };
        assert!(message.contains("format 2") && message.contains("update crossrun"), "{message}");
        // Whatever else that format changed, its version is what the user hears of.
        let trial = br#"{"format_version":7,"gone":[]}"#;
        let mut trials = Records::<TrialRecord, _>::new(trial.as_slice(), "trials.jsonl".as_ref());
        assert!(matches!(trials.next(), Some(Err(RecordError::Later { version: 7, .. }))));
    }

    #[test]
    fn a_line_without_end_is_an_error_and_no_more_of_it_is_read() {
        let endless = std::io::BufReader::new(std::io::repeat(b'x'));
        let source = ORIGINAL.as_bytes().chain(endless);
        let mut records = Records::<UnifiedRecord, _>::new(source, "results.jsonl".as_ref());
        records.longest = 10_000;
        assert!(matches!(records.next(), Some(Ok(Entry::Record { line: 1, .. }))));
        let message = records.next().unwrap().unwrap_err().to_string();
        assert!(message.starts_with("results.jsonl:2: ") && message.contains("10000 bytes"), "{message}");
        assert!(records.next().is_none());
    }

    #[test]
    fn a_large_seed_is_read_exactly() {
        let record = only_record(&ORIGINAL.replace("\"seed\": 42", "\"seed\": 18446744073709551615"));
        assert_eq!(record.seed, u64::MAX);
    }

    proptest! {
        /// The parser rounds once more than it must, which costs at most the last of 16 digits.
        #[test]
        fn figures_read_back_to_15_digits(figure in prop::num::f64::POSITIVE) {
            let mut record = examples::verified().record;
            record.duration_seconds = Some(figure);
            let read = only_record(&serde_json::to_string(&record).unwrap()).duration_seconds.unwrap();
            prop_assert!((read - figure).abs() <= figure * 1e-15, "{figure:e} was read as {read:e}");
        }
    }

    #[test]
    fn a_missing_file_and_a_folder_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing =
            Records::<UnifiedRecord>::open(&folder.path().join("none.jsonl")).unwrap_err().to_string();
        assert!(missing.contains("none.jsonl") && missing.contains("check the path"), "{missing}");
        let mut records = Records::<UnifiedRecord>::open(folder.path()).unwrap();
        let message = records.next().unwrap().unwrap_err().to_string();
        assert!(message.contains(&folder.path().display().to_string()), "{message}");
        assert!(records.next().is_none());
    }
}
