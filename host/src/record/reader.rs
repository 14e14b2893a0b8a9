//! Reads records of this project and of the original one.

use std::io::{self, BufRead, BufReader, Cursor, Read as _};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::RecordError;
use super::chain::ChainCheck;
use super::foreign::START;
use super::format::{TrialRecord, UnifiedRecord, VERSION};
use crate::named_file::{NamedFile, is_standard_input};
use crate::text::without_mark;

/// The longest line, in bytes: longer than a record in which every message and metric has the largest size that the channel
/// allows. A file without line feeds must not take all memory.
pub(crate) const MAX_LINE: u64 = 64 << 20;
/// The bytes of one read from a file: a line has thousands.
const READ: usize = 128 << 10;

/// So many lines of a file may be no records. What has more is no file of records, and may have no end.
const MOST_BAD: u64 = 100_000;

/// A line of a file of records. Lines are counted from 1, with the blank ones.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry<T> {
    Record {
        line: u64,
        record: Box<T>,
    },
    /// The last line, which a crash cut off while it was written.
    Torn {
        line: u64,
    },
}

/// What a line may be read as.
pub trait Versioned: DeserializeOwned {
    /// The version of the format, if the line says so.
    fn version(&self) -> Option<u64>;
}

/// The records of a file, in its order, without its blank lines.
#[derive(Debug)]
pub struct Records<T, R> {
    path: PathBuf,
    source: R,
    line: u64,
    longest: u64,
    /// How many lines more may be no records.
    patience: u64,
    ended: bool,
    /// Whether the lines end in a carriage return and a line feed.
    returns: bool,
    /// The first bytes.
    start: Vec<u8>,
    chain: ChainCheck,
    record: PhantomData<T>,
}

impl<T> Records<T, BufReader<NamedFile>> {
    /// The records of the file at `path`, or of standard input for `-`. A line that is not a record is an error, after which the
    /// iterator continues.
    pub(crate) fn open(path: &Path) -> Result<Self, RecordError> {
        let file = NamedFile::open_or_standard_input(path).map_err(failed("open", path))?;
        Ok(Self::new(BufReader::with_capacity(READ, file), path))
    }
}

impl<T: Versioned, R: BufRead> Iterator for Records<T, R> {
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
                    return Some(Err(failed("read", &self.path)(error)));
                }
            }
            self.remove_marks(&mut line);
            let entry = (!line.trim_ascii().is_empty()).then(|| self.entry(&line));
            if let Some(Err(RecordError::Line { .. })) = entry {
                let Some(left) = self.patience.checked_sub(1) else {
                    self.ended = true;
                    return Some(Err(self.endless(format!("more than {MOST_BAD} lines are no records"))));
                };
                self.patience = left;
            }
            if !matches!(entry, Some(Ok(Entry::Torn { .. }))) {
                self.chain.take(line.strip_suffix(b"\n").unwrap_or(&line));
            }
            if entry.is_some() {
                return entry;
            }
        }
        None
    }
}

impl<T, R> Records<T, R> {
    /// The records of `source`, which errors name `path`.
    pub fn new(source: R, path: &Path) -> Self {
        Self {
            path: path.into(),
            source,
            line: 0,
            longest: MAX_LINE,
            patience: MOST_BAD,
            ended: false,
            returns: false,
            start: Vec::new(),
            chain: ChainCheck::default(),
            record: PhantomData,
        }
    }

    /// Removes what an editor or a transfer added: the mark before the first line, and a carriage return at the end of each, if the
    /// first line has one too.
    fn remove_marks(&mut self, line: &mut Vec<u8>) {
        if self.line == 1 {
            self.start = line[..line.len().min(START)].to_vec();
            line.drain(..line.len() - without_mark(line).len());
            self.returns = line.ends_with(b"\r\n");
        }
        if self.returns && line.ends_with(b"\r\n") {
            line.remove(line.len() - 2);
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What the file begins with, as far as it was read.
    pub(super) fn start(&self) -> &[u8] {
        &self.start
    }

    /// What the lines that were read say of the hash chain.
    pub(crate) fn into_chain(self) -> ChainCheck {
        self.chain
    }

    fn entry(&self, text: &[u8]) -> Result<Entry<T>, RecordError>
    where
        T: Versioned,
    {
        let line = self.line;
        let read = super::format::read::<T>(text);
        // A later version may have changed so much that only the version can be read.
        let version = match &read {
            Ok(record) => record.version(),
            Err(_) => serde_json::from_slice(text).ok().and_then(|keys: VersionKeys| keys.version()),
        };
        if let Some(version) = version.filter(|version| *version > VERSION.into()) {
            return Err(RecordError::Later { path: self.path.clone(), line, version });
        }
        match read {
            Ok(record) => Ok(Entry::Record { line, record }),
            Err(error) if !error.is_data() && !text.ends_with(b"\n") && begins_a_record(text) => {
                Ok(Entry::Torn { line })
            }
            Err(error) => Err(self.not_a_record(without_line(&error))),
        }
    }

    /// Nothing after such a line is read: the line may have no end.
    fn too_long(&self) -> RecordError {
        self.endless(format!("it has more than {} MiB", self.longest >> 20))
    }

    fn endless(&self, what: String) -> RecordError {
        let why = format!("{what}, and what follows is not read");
        RecordError::Endless { path: self.path.clone(), line: self.line, why }
    }

    fn not_a_record(&self, why: String) -> RecordError {
        RecordError::Line { path: self.path.clone(), line: self.line, why }
    }
}

/// What a file has, as its first record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    /// Trials, in which the records are nested.
    Trials,
    /// The records of measured trials.
    Measured,
    /// Something else, or nothing.
    NoRecords,
}

/// The bytes of a file, and what they hold. The file is opened once: a pipe gives its bytes to the first reader only.
pub(crate) fn open_any(path: &Path) -> Result<(impl BufRead + use<>, Holds), RecordError> {
    let file = NamedFile::open_or_standard_input(path).map_err(failed("open", path))?;
    let (mut source, mut read) = (BufReader::with_capacity(READ, file), Vec::new());
    let mut holds = Holds::NoRecords;
    // Of what has no end, or nothing but lines that are no records, no more than a line is kept.
    for _ in 0..MOST_BAD {
        let start = read.len();
        if start as u64 >= MAX_LINE {
            break;
        }
        let line = source.by_ref().take(MAX_LINE).read_until(b'\n', &mut read);
        if line.map_err(failed("read", path))? == 0 {
            break;
        }
        // An object with neither key is no record, and says nothing of those after it.
        let object = serde_json::from_slice::<Map<String, Value>>(without_mark(&read[start..]));
        let kinds = [("record", Holds::Trials), ("run_id", Holds::Measured)];
        let has = |key: &str| object.as_ref().is_ok_and(|object| object.contains_key(key));
        if let Some((_, found)) = kinds.into_iter().find(|(key, _)| has(key)) {
            holds = found;
            break;
        }
    }
    Ok((Cursor::new(read).chain(source), holds))
}

/// Makes the error of an action on the file at `path`, or on standard input, for `map_err`.
fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RecordError {
    move |error| {
        if is_standard_input(path) {
            RecordError::StandardInput { action, error }
        } else {
            RecordError::input(action, path)(error)
        }
    }
}

/// Whether the first trial in `file` is one of a METG sweep.
pub(crate) fn begins_with_sweep(file: &Path) -> bool {
    trials(file).next().is_some_and(|(_, trial)| trial.record.metadata.metg.is_some())
}

/// The line of the first trial in `file` whose id is `run`, as that of a single run is. Those of others go on with the point.
pub(crate) fn line_of_run(file: &Path, run: &str) -> Option<u64> {
    let mut trials = trials(file).peekable();
    // Comparisons and sweeps have long files, and no single run.
    trials.peek().filter(|(_, first)| first.record.metadata.block.is_none())?;
    trials.find(|(_, trial)| trial.record.run_id == run).map(|(line, _)| line)
}

/// The trials of `file` with their lines, as far as they can be read.
pub(crate) fn trials(file: &Path) -> impl Iterator<Item = (u64, Box<TrialRecord>)> {
    let file = Some(file).filter(|file| file.is_file());
    let records = file.and_then(|file| Records::<TrialRecord, _>::open(file).ok());
    records.into_iter().flatten().filter_map(|entry| match entry {
        Ok(Entry::Record { line, record }) => Some((line, record)),
        _ => None,
    })
}

/// Whether a record is among the first lines of the file.
pub(crate) fn holds_records(file: &Path) -> bool {
    const LINES: usize = 100;
    let is_record =
        |object: &Map<String, Value>| ["record", "run_id"].iter().any(|key| object.contains_key(*key));
    holds(file, LINES, is_record)
}

/// Whether a measured trial of a comparison or of a sweep is in `file`, as far as its lines can be read. Those of the original project and
/// of single runs are in no block. What a later version wrote may be in one.
pub(crate) fn holds_blocks(file: &Path) -> bool {
    holds(file, usize::MAX, |record: &UnifiedRecord| record.metadata.block.is_some())
}

/// Whether one of the first lines of `file` is such a record, or what a later version wrote, which may be one.
fn holds<T: Versioned>(file: &Path, lines: usize, is_such: impl Fn(&T) -> bool) -> bool {
    let is_such = |entry: Result<Entry<T>, RecordError>| match entry {
        Ok(Entry::Record { record, .. }) => is_such(&record),
        Err(RecordError::Later { .. }) => true,
        _ => false,
    };
    file.is_file() && Records::<T, _>::open(file).is_ok_and(|records| records.take(lines).any(is_such))
}

/// Whether a text that is no whole record may be the beginning of one. After a crash, some file systems have zeros in its place.
fn begins_a_record(text: &[u8]) -> bool {
    matches!(text.trim_ascii_start().first(), Some(b'{' | 0))
}

/// The keys with the version of the format: a trial has it at the top, a unified record in its metadata.
#[derive(Deserialize)]
struct VersionKeys {
    #[serde(default)]
    format_version: Value,
    #[serde(default)]
    metadata: Value,
}

impl Versioned for VersionKeys {
    fn version(&self) -> Option<u64> {
        self.format_version.as_u64().or_else(|| self.metadata.get("format_version")?.as_u64())
    }
}

impl Versioned for Map<String, Value> {
    fn version(&self) -> Option<u64> {
        VersionKeys::deserialize(self).ok()?.version()
    }
}

impl Versioned for TrialRecord {
    fn version(&self) -> Option<u64> {
        Some(self.format_version.into())
    }
}

impl Versioned for UnifiedRecord {
    fn version(&self) -> Option<u64> {
        self.other.get("format_version").and_then(Value::as_u64).or(self.metadata.format_version)
    }
}

/// The parser's message without its line number, which is always 1.
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
    use crate::record::format::Metadata;
    use crate::record::trial::examples;

    const ORIGINAL: &str = include_str!("../../../tests/fixtures/original/unified_results.jsonl");

    fn read(content: impl AsRef<[u8]>) -> Vec<Result<Entry<UnifiedRecord>, String>> {
        let records = Records::new(content.as_ref(), "results.jsonl".as_ref());
        records.map(|entry| entry.map_err(|error| error.line())).collect()
    }

    fn only_record(content: &str) -> UnifiedRecord {
        match read(content).as_slice() {
            [Ok(Entry::Record { line: 1, record })] => (**record).clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_record_of_the_original_project_is_read() {
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
    fn the_record_of_the_original_project_is_written_again_without_loss() {
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
        let bare = r#"{"backend":"x","workload":"w","run_id":"r","seed":18446744073709551615,"nodes":1,"parallelism":2,"timestamp":"t"}"#;
        let record = only_record(bare);
        assert_eq!(record.seed, u64::MAX);
        assert_eq!((record.throughput, record.duration_seconds, record.success_rate), (None, None, None));
        assert_eq!((record.config_hash, record.metadata), (None, Metadata::default()));
    }

    #[test]
    fn blank_lines_are_skipped_and_counted() {
        let record = ORIGINAL.trim_end();
        let read = read(format!("\n{record}\r\n  \n{record}"));
        let lines = read.iter().map(|entry| match entry {
            Ok(Entry::Record { line, .. }) => *line,
            other => panic!("{other:?}"),
        });
        assert_eq!(lines.collect::<Vec<_>>(), [2, 4]);
    }

    #[test]
    fn a_last_line_cut_off_at_any_byte_is_torn() {
        let record = ORIGINAL.trim_end();
        for end in 1..record.len() {
            let read = read([ORIGINAL.as_bytes(), &record.as_bytes()[..end]].concat());
            assert!(
                matches!(read[..], [Ok(Entry::Record { .. }), Ok(Entry::Torn { line: 2 })]),
                "{end}: {read:?}"
            );
        }
        assert!(matches!(read([0; 10])[..], [Ok(Entry::Torn { line: 1 })]));
        // What never was a record is not the rest of one.
        assert!(matches!(&read("404 Not Found")[..], [Err(_)]));
    }

    #[test]
    fn a_bad_line_is_an_error_with_its_line_number_and_the_others_are_read() {
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
        // A last line that is whole is not torn.
        assert!(
            matches!(&read("{\"backend\":1}")[..], [Err(message)] if message.contains("results.jsonl:1"))
        );
    }

    #[test]
    fn a_later_format_is_an_error_with_a_remedy() {
        let mut record = serde_json::to_value(examples::verified().record).unwrap();
        for version in [2, u64::MAX] {
            record["metadata"]["format_version"] = json!(version);
            let [Err(message)] = &read(record.to_string())[..] else { panic!("no error") };
            assert!(message.contains(&format!("format {version} is of a later")), "{message}");
            assert!(message.contains("update crossrun"), "{message}");
        }
        // The error is about the version, whatever else the later format changed.
        let trial = br#"{"format_version":7,"gone":[]}"#;
        let mut trials = Records::<TrialRecord, _>::new(trial.as_slice(), "trials.jsonl".as_ref());
        assert!(matches!(trials.next(), Some(Err(RecordError::Later { version: 7, .. }))));
    }

    #[test]
    fn a_line_without_end_is_an_error_and_is_read_up_to_the_limit() {
        let endless = std::io::BufReader::new(std::io::repeat(b'x'));
        let source = ORIGINAL.as_bytes().chain(endless);
        let mut records = Records::<UnifiedRecord, _>::new(source, "results.jsonl".as_ref());
        records.longest = 1 << 20;
        assert!(matches!(records.next(), Some(Ok(Entry::Record { line: 1, .. }))));
        let message = records.next().unwrap().unwrap_err().to_string();
        assert!(message.starts_with("results.jsonl:2: ") && message.contains("more than 1 MiB"), "{message}");
        assert!(records.next().is_none());
    }

    proptest! {
        #[test]
        fn figures_read_back_as_they_were_written(figure in prop::num::f64::POSITIVE) {
            let mut record = examples::verified().record;
            record.duration_seconds = Some(figure);
            let read = only_record(&serde_json::to_string(&record).unwrap()).duration_seconds.unwrap();
            prop_assert_eq!(read, figure);
        }
    }

    #[test]
    fn a_missing_file_and_a_folder_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing =
            Records::<UnifiedRecord, _>::open(&folder.path().join("none.jsonl")).unwrap_err().line();
        assert!(
            missing.contains("none.jsonl")
                && missing.contains(&format!("try: ls {}", folder.path().display())),
            "{missing}"
        );
        let mut records = Records::<UnifiedRecord, _>::open(folder.path()).unwrap();
        let message = records.next().unwrap().unwrap_err().to_string();
        assert!(message.contains(&folder.path().display().to_string()), "{message}");
        assert!(records.next().is_none());
    }
}
