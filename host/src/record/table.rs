//! The measured records as a CSV table. While the table is known to have all earlier records, a row is appended; else the table
//! is made anew, whole or not at all.
//!
//! Table and records are **in step** if both have the same modification time, which is set on the table after a row was
//! written, and if the last row of the table is that of the last record. A write by another program, or a crash between the two
//! writes, makes the times differ. A caller holds the lock of the records.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::RecordError;
use super::format::{COLUMNS, UnifiedRecord};
use super::journal::Journal;
use super::reader::Records;
use super::skipped::{Damage, read_each};
use crate::text::json_text;
use crate::{atomic_file, regular_file, to_disk};

/// A table that has all records so far.
#[derive(Debug)]
pub(super) struct Table(File);

impl Table {
    /// The table at `path`, if it is known to be in step with `records`.
    pub(super) fn in_step(path: &Path, records: &Journal) -> Option<Self> {
        let file = OpenOptions::new().read(true).append(true).open(path).ok()?;
        let (table, records_at) = (file.metadata().ok()?, records.modified().ok()?);
        if !table.is_file() || table.modified().ok()? != records_at {
            return None;
        }
        let last = match records.last_line().ok()? {
            Some(line) => row(&*super::format::read(&line).ok()?).ok()?,
            None => row_of(&COLUMNS).ok()?,
        };
        // A line feed comes before the row, unless the row is the first.
        let start = table.len().checked_sub(last.len() as u64)?;
        let from = start.saturating_sub(1);
        let mut end = vec![0; (table.len() - from) as usize];
        file.read_exact_at(&mut end, from).ok()?;
        let before = &end[..(start - from) as usize];
        (end.ends_with(&last) && matches!(before, [] | [b'\n'])).then_some(Self(file))
    }

    /// Appends the row of the record that was appended to `records`.
    pub(super) fn append(mut self, record: &UnifiedRecord, records: &Journal) -> io::Result<()> {
        let row = row(record)?;
        // One write. If a part is missing, the time stays different, so that the two are not in step.
        if self.0.write(&row)? < row.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        to_disk::content(&self.0)?;
        self.0.set_modified(records.modified()?)
    }
}

/// Makes the table at `path` anew, and returns the records that it cannot have.
pub(super) fn derive(path: &Path, records: &Journal) -> Result<Vec<Damage>, RecordError> {
    let mut rows: Result<Vec<Damage>, RecordError> = Ok(Vec::new());
    regular_file::check(path).map_err(RecordError::file("write", path))?;
    // Others may read a result if the umask lets them.
    let written = atomic_file::replace(path, 0o666, |file| {
        rows = write_rows(file, path, records);
        // Which file it is about is told by the error of the rows, which comes before this one.
        let Ok(damage) = &rows else { return Err(io::ErrorKind::Other.into()) };
        // A table that lacks records is never in step, so that the warning comes each time until the file is corrected.
        let difference = Duration::from_secs((!damage.is_empty()).into());
        let modified = records.modified()? - difference;
        // Some file systems of Windows take no time. The table is then made anew each time.
        let _ = file.set_modified(modified);
        Ok(())
    });
    let damage = rows?;
    written.map_err(RecordError::file("write", path))?;
    Ok(damage)
}

/// Writes the header and the row of each record into the new table at `path`, and returns the records that cannot be read.
fn write_rows(file: &File, path: &Path, records: &Journal) -> Result<Vec<Damage>, RecordError> {
    let write = |error| RecordError::file("write", path)(error);
    let mut rows = io::BufWriter::new(file);
    rows.write_all(&row_of(&COLUMNS).map_err(write)?).map_err(write)?;
    let left_out = read_each(Records::open(&records.path)?, |_, record: UnifiedRecord| {
        rows.write_all(&row(&record).map_err(write)?).map_err(write)
    })?;
    rows.flush().map_err(write)?;
    Ok(left_out.damage)
}

/// The row of a record, with its line feed.
fn row(record: &UnifiedRecord) -> io::Result<Vec<u8>> {
    let record = serde_json::to_value(record)?;
    row_of(&COLUMNS.map(|column| cell(&record[column])))
}

fn row_of(cells: &[impl AsRef<[u8]>]) -> io::Result<Vec<u8>> {
    let mut row = csv::Writer::from_writer(Vec::new());
    row.write_record(cells)?;
    row.into_inner().map_err(csv::IntoInnerError::into_error)
}

fn cell(value: &Value) -> String {
    if value.is_null() { String::new() } else { json_text(value) }
}
