//! A file of JSON lines that grows by whole lines only: several processes may append to it, and a crash loses at most the line
//! that was being written. A hash chain goes through its lines, and at the end of a run the file is checked against what the
//! run wrote.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Serialize;
use serde_json::{Map, Value};

use super::chain::{Braces, Link};
use super::reader::MAX_LINE;
use super::written::Written;
use super::{RecordError, file_lock};
use crate::regular_file::{identity, keeping};
use crate::text::escaped_in_json;
use crate::{atomic_file, path_walk, to_disk};

/// How many bytes are read at a time to find the start of the last line.
const CHUNK: u64 = 4096;

/// How often a file is opened again that somebody replaces each time.
const ATTEMPTS: usize = 10;

/// Who writes to a file of records while a run goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Only the run.
    Exclusive,
    /// The run and other processes.
    Shared,
}

#[derive(Debug)]
pub(super) struct Journal {
    pub(super) path: PathBuf,
    file: File,
    braces: Braces,
    written: Written,
    /// Whether another file had the path when the lock was taken.
    replaced: bool,
    /// The file that was found in the place of this one, and not reported yet.
    altered: Option<Altered>,
}

impl Journal {
    /// Opens the file, or creates it. `braces` says where in a line its hash is.
    pub(super) fn open(path: PathBuf, access: Access, braces: Braces) -> Result<Self, RecordError> {
        let keeps = |file| if access == Access::Exclusive { keeping(file) } else { Ok(file) };
        let file = open(&path).and_then(keeps).map_err(RecordError::file("open", &path))?;
        let written = Written::Own(Vec::new());
        let mut journal = Self { path, file, braces, written, replaced: false, altered: None };
        if access == Access::Exclusive {
            journal.with_lock(|journal| {
                journal.repair().map_err(RecordError::file("repair the last line of", &journal.path))?;
                let content = journal.content().map_err(RecordError::file("read", &journal.path))?;
                journal.written = Written::all(content);
                Ok(())
            })?;
        }
        Ok(journal)
    }

    /// Appends one line and returns when it is on the disk.
    #[cfg(test)]
    pub(super) fn append(&mut self, record: &impl Serialize) -> Result<(), RecordError> {
        let object = self.object(record)?;
        self.with_lock(|journal| journal.append_line(&object))
    }

    /// The object of a record, without hash and line feed.
    pub(super) fn object(&self, record: &impl Serialize) -> Result<Vec<u8>, RecordError> {
        let encode = |error| RecordError::Encode { path: self.path.clone(), error };
        // Escaped, so that a terminal on which the file is shown obeys no control character in it.
        Ok(escaped_in_json(&serde_json::to_string(record).map_err(encode)?).into_bytes())
    }

    /// Appends one line and returns when it is on the disk. The caller holds the lock.
    pub(super) fn append_line(&mut self, object: &[u8]) -> Result<(), RecordError> {
        self.put_back().map_err(RecordError::file("restore", &self.path))?;
        self.repair().map_err(RecordError::file("repair the last line of", &self.path))?;
        self.write(object).map_err(RecordError::file("write to", &self.path))
    }

    /// Checks that the file has what this run wrote to it. If not, the altered file is kept under another name, and the right one
    /// takes its place.
    pub(super) fn check(&mut self) -> Result<Option<Altered>, RecordError> {
        let found = self.altered.take();
        let now =
            self.with_lock(|journal| journal.restore().map_err(RecordError::file("check", &journal.path)));
        Ok(now?.or(found))
    }

    /// Puts a file back that was removed or replaced since this run wrote to it, if no other process writes to it: the run may be
    /// killed before its end, at which it is checked.
    fn put_back(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.replaced) && self.written.last().is_some() {
            if let Some(altered) = self.restore()? {
                self.altered.get_or_insert(altered);
            }
            self.file = open(&self.path)?;
        }
        Ok(())
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
        self.lock().map_err(RecordError::file("lock", &self.path))?;
        let outcome = work(self);
        let unlocked = file_lock::release(&self.file).map_err(RecordError::file("unlock", &self.path));
        outcome.and_then(|value| unlocked.map(|()| value))
    }

    /// Locks the file that has the path now: another process may have put a new one there.
    fn lock(&mut self) -> io::Result<()> {
        for _ in 0..ATTEMPTS {
            file_lock::exclusive(&self.file, &self.path)?;
            let is_replaced = match fs::metadata(&self.path) {
                Ok(found) => found.is_file() && !self.is(&found)?,
                Err(error) => error.kind() == io::ErrorKind::NotFound,
            };
            if !is_replaced {
                return Ok(());
            }
            // Its folder may be gone, too.
            self.path.parent().map_or(Ok(()), path_walk::make_folder)?;
            self.file = open(&self.path)?;
            self.replaced = true;
        }
        file_lock::exclusive(&self.file, &self.path)
    }

    /// Whether these are the metadata of the open file.
    fn is(&self, found: &fs::Metadata) -> io::Result<bool> {
        Ok(identity(&self.file.metadata()?) == identity(found))
    }

    /// Writes the line of an object in one call, so that a reader never sees a part of it. A part of a line is removed again.
    fn write(&mut self, object: &[u8]) -> io::Result<()> {
        let before = match self.written.last() {
            Some(last) => last,
            None => self.last_line()?.map(|line| Link::of(&line)).unwrap_or_default(),
        };
        let line = before.line_after(object, self.braces);
        let length = self.file.metadata()?.len();
        let written = self.file.write(&line).and_then(|count| {
            if count == line.len() {
                return to_disk::content(&self.file);
            }
            // There was room for a part only, and the system says why of the rest: a full disk, or a limit.
            let rest = self.file.write(&line[count..]);
            Err(rest.err().unwrap_or_else(|| io::ErrorKind::StorageFull.into()))
        });
        match &written {
            Ok(()) => self.written.note(length, before, line),
            // If this fails too, the next append repairs the file.
            Err(_) => drop(self.file.set_len(length)),
        }
        written
    }

    /// The whole content of the file; nothing of a device, which may have no end.
    fn content(&self) -> io::Result<Vec<u8>> {
        let (mut file, mut content) = (&self.file, Vec::new());
        if file.metadata()?.is_file() {
            file.rewind()?;
            file.read_to_end(&mut content)?;
        }
        Ok(content)
    }

    /// As [`Journal::check`], for a caller that holds the lock.
    fn restore(&self) -> io::Result<Option<Altered>> {
        if !self.file.metadata()?.is_file() {
            // A device keeps nothing.
            return Ok(None);
        }
        let in_place = fs::metadata(&self.path).is_ok_and(|found| self.is(&found).unwrap_or_default());
        if in_place && self.written.is_kept(&self.file)? {
            return Ok(None);
        }
        let right = match self.written.corrected(self.content()?) {
            Some(right) => right,
            None if in_place => return Ok(None),
            None => self.content()?,
        };
        let kept_as = keep_altered(&self.path)?;
        // Others may read a result if the umask lets them.
        atomic_file::replace(&self.path, 0o666, |mut file| file.write_all(&right))?;
        Ok(Some(Altered { path: self.path.clone(), kept_as }))
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
        if length - start > MAX_LINE {
            let why = format!("its last line has more than {} MiB and is no record", MAX_LINE >> 20);
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        let mut tail = vec![0; (length - start) as usize];
        self.file.read_exact_at(&mut tail, start)?;
        Ok(tail)
    }

    fn start_of_tail(&self, length: u64) -> io::Result<u64> {
        let mut chunk = [0; CHUNK as usize];
        let mut end = length;
        while end > 0 && length - end <= MAX_LINE {
            let from = end.saturating_sub(CHUNK);
            let chunk = &mut chunk[..(end - from) as usize];
            self.file.read_exact_at(chunk, from)?;
            if let Some(newline) = chunk.iter().rposition(|byte| *byte == b'\n') {
                return Ok(from + newline as u64 + 1);
            }
            end = from;
        }
        // The beginning, or of a line that is longer than any record a place within it.
        Ok(end)
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).open(path)
}

/// A file that somebody altered while a run wrote to it.
#[derive(Debug)]
pub(crate) struct Altered {
    path: PathBuf,
    kept_as: PathBuf,
}

impl fmt::Display for Altered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, kept_as) = (self.path.display(), self.kept_as.display());
        write!(
            f,
            "{path} was altered while this run wrote to it: the altered file is kept as {kept_as}, and "
        )?;
        write!(f, "{path} holds again what was recorded; a backend, a workload or another program edited it")
    }
}

/// Gives the altered file a second name, so that there is a file at `path` until the right one takes its place. What is no file is
/// moved.
fn keep_altered(path: &Path) -> io::Result<PathBuf> {
    let is_file = path.symlink_metadata().is_ok_and(|found| found.is_file());
    let mut number = 1;
    loop {
        let kept_as = with_suffix(path, &format!(".altered-{number}"));
        if kept_as.symlink_metadata().is_ok() {
            number += 1;
            continue;
        }
        if !is_file || fs::hard_link(path, &kept_as).is_err() {
            fs::rename(path, &kept_as)?;
        }
        return Ok(kept_as);
    }
}

fn append_torn(path: &Path, tail: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    file.write_all(&[tail, b"\n"].concat())?;
    to_disk::content(&file)
}

/// The file to which the torn lines of a file are moved.
pub(super) fn torn_path(path: &Path) -> PathBuf {
    with_suffix(path, ".torn")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
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
        let journal = Journal::open(path, Access::Shared, Braces::One).unwrap();
        (folder, journal)
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn an_error_names_the_file_and_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let opened = Journal::open(folder.path().into(), Access::Shared, Braces::One);
        let mut full = Journal::open("/dev/full".into(), Access::Shared, Braces::One).unwrap();
        let appended = full.append(&json!({"a": 1}));
        for (error, path, remedy) in [
            (opened.unwrap_err(), folder.path(), "move the folder"),
            (appended.unwrap_err(), Path::new("/dev/full"), "free some space"),
        ] {
            let message = error.line();
            assert!(message.contains(path.to_str().unwrap()) && message.contains(remedy), "{message}");
        }
    }

    /// The altered files of a folder, and the file itself.
    fn altered(folder: &TempDir) -> Vec<(String, Vec<u8>)> {
        let files = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path());
        let content = |path: PathBuf| {
            let content = fs::read(&path).unwrap_or_default();
            (path.file_name().unwrap().to_str().unwrap().to_owned(), content)
        };
        let mut files: Vec<_> = files.map(content).collect();
        files.sort();
        files
    }

    /// Writes two lines with an edit between them, and returns the right content.
    fn edited_between(folder: &TempDir, access: Access, edit: impl Fn(&Path)) -> (Journal, Vec<u8>) {
        let path = folder.path().join("lines.jsonl");
        let mut journal = Journal::open(path.clone(), access, Braces::One).unwrap();
        journal.append(&json!({"first": 1})).unwrap();
        let first = fs::read(&path).unwrap();
        edit(&path);
        journal.append(&json!({"second": 2})).unwrap();
        let second = Link::of_last(&first).line_after(br#"{"second":2}"#, Braces::One);
        (journal, [first, second].concat())
    }

    #[test]
    fn a_file_that_is_altered_while_one_run_writes_is_put_right_and_kept_beside_it() {
        let edits: [fn(&Path); 6] = [
            |path| {
                let edited = fs::read_to_string(path).unwrap().replace("first", "fir5t");
                fs::write(path, edited).unwrap();
            },
            |path| fs::remove_file(path).unwrap(),
            |path| {
                fs::write(path.with_extension("other"), "{}\n").unwrap();
                fs::rename(path.with_extension("other"), path).unwrap();
            },
            |path| File::options().append(true).open(path).unwrap().write_all(b"{\"forged\":1}\n").unwrap(),
            |path| {
                fs::remove_file(path).unwrap();
                fs::create_dir(path).unwrap();
            },
            |path| {
                fs::write(path.with_extension("other"), "{}\n").unwrap();
                fs::remove_file(path).unwrap();
                std::os::unix::fs::symlink(path.with_extension("other"), path).unwrap();
            },
        ];
        for edit in edits {
            let folder = tempfile::tempdir().unwrap();
            let (mut journal, right) = edited_between(&folder, Access::Exclusive, edit);
            let told = journal.check().unwrap().unwrap().to_string();
            assert!(told.contains("lines.jsonl was altered") && told.contains(".altered-1"), "{told}");
            assert_eq!(fs::read(&journal.path).unwrap(), right);
            assert!(folder.path().join("lines.jsonl").symlink_metadata().unwrap().is_file());
            assert!(altered(&folder).iter().any(|(name, _)| name == "lines.jsonl.altered-1"));
            assert!(journal.check().unwrap().is_none());
            // The chain goes on in the file that was put right, and the next altered file has a name of its own.
            journal.append(&json!({"third": 3})).unwrap();
            fs::write(&journal.path, "").unwrap();
            assert!(journal.check().unwrap().unwrap().to_string().contains(".altered-2"));
            assert!(fs::read(&journal.path).unwrap().starts_with(&right));
        }
    }

    #[test]
    fn the_lines_of_others_are_no_alteration_of_a_shared_file() {
        let folder = tempfile::tempdir().unwrap();
        let other = |path: &Path| {
            let mut other = Journal::open(path.into(), Access::Shared, Braces::One).unwrap();
            other.append(&json!({"other": 1})).unwrap();
        };
        let (mut journal, _) = edited_between(&folder, Access::Shared, other);
        other(&journal.path);
        let whole = fs::read_to_string(&journal.path).unwrap();
        assert!(journal.check().unwrap().is_none());
        assert_eq!(whole.lines().count(), 4);
        // An edit of a line of this run is found, and the lines of the others stay.
        fs::write(&journal.path, whole.replace("second", "5econd")).unwrap();
        assert!(journal.check().unwrap().is_some());
        assert_eq!(fs::read_to_string(&journal.path).unwrap(), whole);
    }

    #[test]
    fn the_chain_goes_on_through_writers_at_the_same_time() {
        let (folder, first) = with_content(b"");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut journal = Journal::open(first.path.clone(), Access::Shared, Braces::One).unwrap();
                    (0..20).for_each(|number| journal.append(&json!({"number": number})).unwrap());
                    assert!(journal.check().unwrap().is_none());
                });
            }
        });
        let mut last = Link::default();
        let content = fs::read(&first.path).unwrap();
        for line in super::super::chain::lines(&content) {
            assert!(last.leads_to(line));
            last = Link::of(line);
        }
        assert_eq!((content.split(|byte| *byte == b'\n').count(), altered(&folder).len()), (81, 1));
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
            let expected: String = lines[..surviving].iter().map(|line| line.clone() + "\n").collect();
            let last = Link::of_last(expected.as_bytes()).line_after(br#"{"last":true}"#, Braces::One);
            let content = [expected.into_bytes(), last].concat();
            prop_assert_eq!(fs::read(&journal.path).unwrap(), content);
            let torn = &whole[lines[..surviving].iter().map(|line| line.len() + 1).sum::<usize>().min(kept)..kept];
            let moved = fs::read_to_string(torn_path(&journal.path)).unwrap_or_default();
            prop_assert_eq!(moved.trim_end_matches('\n'), torn);
        }
    }
}
