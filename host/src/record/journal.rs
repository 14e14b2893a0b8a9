//! A file of JSON lines that grows by whole lines only: several processes may append to it, and a crash loses at most the line
//! that was being written.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Serialize;
use serde_json::{Map, Value};

use super::RecordError;
use crate::text::escaped_in_json;

/// How many bytes are read at a time to find the start of the last line.
const CHUNK: u64 = 4096;

#[derive(Debug)]
pub(super) struct Journal {
    pub(super) path: PathBuf,
    file: File,
}

impl Journal {
    /// Opens the file, or creates it.
    pub(super) fn open(path: PathBuf) -> Result<Self, RecordError> {
        let file = OpenOptions::new().read(true).append(true).create(true).open(&path);
        let file = file.map_err(RecordError::file("open", &path))?;
        Ok(Self { path, file })
    }

    /// Appends one line and returns when it is on the disk.
    pub(super) fn append(&mut self, record: &impl Serialize) -> Result<(), RecordError> {
        let line = self.line(record)?;
        self.with_lock(|journal| journal.append_line(&line))
    }

    /// The line of a record, with its line feed.
    pub(super) fn line(&self, record: &impl Serialize) -> Result<Vec<u8>, RecordError> {
        let encode = |error| RecordError::Encode { path: self.path.clone(), error };
        // Escaped, so that a terminal on which the file is shown obeys no control character in it.
        let mut line = escaped_in_json(&serde_json::to_string(record).map_err(encode)?).into_bytes();
        line.push(b'\n');
        Ok(line)
    }

    /// As [`Journal::append`], for a caller that holds the lock.
    pub(super) fn append_line(&mut self, line: &[u8]) -> Result<(), RecordError> {
        self.repair().map_err(RecordError::file("repair the last line of", &self.path))?;
        self.write(line).map_err(RecordError::file("write to", &self.path))
    }

    /// When the file was last written to.
    pub(super) fn modified(&self) -> io::Result<SystemTime> {
        self.file.metadata()?.modified()
    }

    /// The last line, without its line feed; `None` if the file is empty.
    pub(super) fn last_line(&self) -> io::Result<Option<Vec<u8>>> {
        let Some(end) = self.file.metadata()?.len().checked_sub(1) else { return Ok(None) };
        self.tail(end).map(Some)
    }

    /// Holds the lock of the file during `work`, so that no other process appends.
    pub(super) fn with_lock<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, RecordError>,
    ) -> Result<T, RecordError> {
        self.file.lock().map_err(RecordError::file("lock", &self.path))?;
        let outcome = work(self);
        let unlocked = self.file.unlock().map_err(RecordError::file("unlock", &self.path));
        outcome.and_then(|value| unlocked.map(|()| value))
    }

    /// Writes the line in one call, so that a reader never sees a part of it. A part of a line is removed again.
    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        let length = self.file.metadata()?.len();
        let written = self.file.write(line).and_then(|count| {
            // The disk had space for a part only.
            if count == line.len() { self.file.sync_data() } else { Err(io::ErrorKind::StorageFull.into()) }
        });
        if written.is_err() {
            // If this fails too, the next append repairs the file.
            let _ = self.file.set_len(length);
        }
        written
    }

    /// Ends a last line that lacks only its line feed, and moves a torn last line to another file.
    fn repair(&mut self) -> io::Result<()> {
        let length = self.file.metadata()?.len();
        let tail = self.tail(length)?;
        if tail.is_empty() {
            return Ok(());
        }
        if serde_json::from_slice::<Map<String, Value>>(&tail).is_ok() {
            return self.file.write_all(b"\n");
        }
        // Copied before it is cut off: a crash in between leaves two copies, not none.
        append_torn(&torn_path(&self.path), &tail)?;
        self.file.set_len(length - tail.len() as u64)
    }

    /// The bytes between the last line feed and `length`.
    fn tail(&self, length: u64) -> io::Result<Vec<u8>> {
        let start = self.start_of_tail(length)?;
        let mut tail = vec![0; (length - start) as usize];
        self.file.read_exact_at(&mut tail, start)?;
        Ok(tail)
    }

    fn start_of_tail(&self, length: u64) -> io::Result<u64> {
        let mut chunk = [0; CHUNK as usize];
        let mut end = length;
        while end > 0 {
            let from = end.saturating_sub(CHUNK);
            let chunk = &mut chunk[..(end - from) as usize];
            self.file.read_exact_at(chunk, from)?;
            if let Some(newline) = chunk.iter().rposition(|byte| *byte == b'\n') {
                return Ok(from + newline as u64 + 1);
            }
            end = from;
        }
        Ok(0)
    }
}

fn append_torn(path: &Path, tail: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    file.write_all(&[tail, b"\n"].concat())?;
    file.sync_data()
}

/// The file to which the torn lines of a file are moved.
pub(super) fn torn_path(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".torn");
    name.into()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;
    use serde_json::json;
    use tempfile::TempDir;

    use super::*;

    fn with_content(content: &[u8]) -> (TempDir, Journal) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines.jsonl");
        fs::write(&path, content).unwrap();
        let journal = Journal::open(path).unwrap();
        (folder, journal)
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn an_error_names_the_file_and_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let opened = Journal::open(folder.path().into());
        let mut full = Journal::open("/dev/full".into()).unwrap();
        let appended = full.append(&json!({"a": 1}));
        for (error, path, remedy) in [
            (opened.unwrap_err(), folder.path(), "move the folder"),
            (appended.unwrap_err(), Path::new("/dev/full"), "free some space"),
        ] {
            let message = error.to_string();
            assert!(message.contains(path.to_str().unwrap()) && message.contains(remedy), "{message}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_crash_at_any_byte_loses_only_the_last_line(
            sizes in proptest::collection::vec(0_usize..6000, 1..4),
            cut in any::<prop::sample::Index>(),
        ) {
            let lines: Vec<_> = sizes.iter().map(|size| json!({"padding": "x".repeat(*size)}).to_string()).collect();
            let whole = lines.join("\n") + "\n";
            let kept = cut.index(whole.len() + 1);
            let (_folder, mut journal) = with_content(&whole.as_bytes()[..kept]);
            journal.append(&json!({"last": true})).unwrap();

            // A line is kept if all of it but the line feed was written.
            let ends = lines.iter().scan(0, |end, line| { *end += line.len() + 1; Some(*end - 1) });
            let surviving = ends.filter(|end| *end <= kept).count();
            let mut expected = lines[..surviving].to_vec();
            expected.push(r#"{"last":true}"#.into());
            prop_assert_eq!(fs::read_to_string(&journal.path).unwrap(), expected.join("\n") + "\n");
            let torn = &whole[expected[..surviving].iter().map(|line| line.len() + 1).sum::<usize>().min(kept)..kept];
            let moved = fs::read_to_string(torn_path(&journal.path)).unwrap_or_default();
            prop_assert_eq!(moved.trim_end_matches('\n'), torn);
        }
    }
}
