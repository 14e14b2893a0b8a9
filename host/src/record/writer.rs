//! Writes the files of an output folder.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::NamedTempFile;

use super::RecordError;
use super::format::{COLUMNS, TrialRecord, UnifiedRecord};
use super::journal::Journal;
use super::reader::{self, Entry};

/// Every trial, one line each.
pub(crate) const TRIALS: &str = "trials.jsonl";
/// The measured ones in the original project's record.
pub(crate) const UNIFIED: &str = "unified_results.jsonl";
/// The same as a table, without the metadata.
pub(crate) const TABLE: &str = "unified_results.csv";

/// The files of one output folder. Several writers, in one process or in many, may share a folder.
#[derive(Debug)]
pub(crate) struct Writer {
    folder: PathBuf,
    trials: Journal,
    unified: Journal,
}

impl Writer {
    /// Makes the folder if it is not there, and opens its files.
    ///
    /// # Errors
    /// When the folder or a file in it cannot be made or written to.
    pub(crate) fn open(folder: &Path) -> Result<Self, RecordError> {
        fs::create_dir_all(folder).map_err(RecordError::file("make the folder", folder))?;
        let trials = Journal::open(folder.join(TRIALS))?;
        let unified = Journal::open(folder.join(UNIFIED))?;
        Ok(Self { folder: folder.into(), trials, unified })
    }

    /// Appends a trial to [`TRIALS`] and returns when it is on the disk. A line that an earlier crash tore is moved
    /// to a file beside it first.
    ///
    /// # Errors
    /// When the file cannot be locked or written; then the line is not in it.
    pub(crate) fn append_trial(&mut self, trial: &TrialRecord) -> Result<(), RecordError> {
        self.trials.append(trial)
    }

    /// Appends the record of a measured trial to [`UNIFIED`], in the same way.
    ///
    /// # Errors
    /// As for [`Writer::append_trial`].
    pub(crate) fn append_unified(&mut self, record: &UnifiedRecord) -> Result<(), RecordError> {
        self.unified.append(record)
    }

    /// Derives [`TABLE`] from [`UNIFIED`], whole or not at all, and returns where it is. A torn last line is left out.
    ///
    /// # Errors
    /// When a line is no record, or the table cannot be written.
    pub(crate) fn derive_csv(&mut self) -> Result<PathBuf, RecordError> {
        let (folder, table) = (self.folder.as_path(), self.folder.join(TABLE));
        self.unified.exclusively(|unified| {
            let records = measured(unified.path())?;
            replace(folder, &table, |file| write_table(file, &records))
                .map_err(RecordError::file("write", &table))
        })?;
        Ok(table)
    }
}

fn measured(path: &Path) -> Result<Vec<UnifiedRecord>, RecordError> {
    let records = reader::unified(path)?.filter_map(|entry| match entry {
        Ok(Entry::Record { record, .. }) => Some(Ok(*record)),
        Ok(Entry::Torn { .. }) => None,
        Err(error) => Some(Err(error)),
    });
    records.collect()
}

/// Puts a new file in the place of an old one, so that whoever reads sees one of the two.
fn replace(folder: &Path, target: &Path, write: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
    // A temporary file is private by default; this one becomes a result, which others may read if the umask lets them.
    let permissions = Permissions::from_mode(0o666);
    let file: NamedTempFile =
        tempfile::Builder::new().prefix(".unified_results.").permissions(permissions).tempfile_in(folder)?;
    write(file.as_file())?;
    file.as_file().sync_all()?;
    file.persist(target)?;
    Ok(())
}

fn write_table(file: &File, records: &[UnifiedRecord]) -> io::Result<()> {
    let mut table = csv::Writer::from_writer(file);
    table.write_record(COLUMNS)?;
    for record in records {
        let record = serde_json::to_value(record)?;
        table.write_record(COLUMNS.map(|column| cell(&record[column])))?;
    }
    table.flush()
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::trial::examples;

    const ORIGINAL: &str = include_str!("../../../tests/fixtures/original/unified_results.jsonl");

    #[test]
    fn the_folder_is_made_and_every_trial_is_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("results/today");
        let mut writer = Writer::open(&output).unwrap();
        let trials = [examples::verified(), examples::wrong(), examples::failed()];
        for trial in &trials {
            writer.append_trial(trial).unwrap();
            writer.append_unified(&trial.record).unwrap();
        }
        let read: Vec<_> = reader::trials(&output.join(TRIALS)).unwrap().map(Result::unwrap).collect();
        let expected =
            trials.iter().zip(1..).map(|(trial, line)| Entry::Record { line, record: trial.clone().into() });
        assert_eq!(read, expected.collect::<Vec<_>>());
        assert_eq!(measured(&output.join(UNIFIED)).unwrap(), trials.map(|trial| trial.record));
    }

    #[test]
    fn the_table_has_the_columns_and_quotes_what_needs_it() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(UNIFIED), ORIGINAL).unwrap();
        let mut writer = Writer::open(folder.path()).unwrap();
        let mut odd = examples::failed().record;
        odd.run_id = "a,\"b\"\nc".into();
        odd.seed = u64::MAX;
        writer.append_unified(&odd).unwrap();

        let table = fs::read_to_string(writer.derive_csv().unwrap()).unwrap();
        let (header, rows) = table.split_once('\n').unwrap();
        assert_eq!(header, COLUMNS.join(","));
        let (first, second) = rows.split_once('\n').unwrap();
        assert!(
            first.contains(
                ",42,1,4,41.47687722913404,,,,,2.4109818935394287,2026-02-21T03:58:47.134641+00:00,"
            )
        );
        assert!(
            second.starts_with("native,pipeline,\"a,\"\"b\"\"\nc\",18446744073709551615,1,4,,,,,0.0,,2026-")
        );
        let mut reader = csv::Reader::from_reader(table.as_bytes());
        let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
        assert_eq!((rows.len(), &rows[1][2]), (2, odd.run_id.as_str()));
    }

    #[test]
    fn the_table_is_as_readable_as_any_new_file_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(folder.path()).unwrap();
        writer.derive_csv().unwrap();
        let table = writer.derive_csv().unwrap();
        assert_eq!(fs::read_to_string(&table).unwrap(), COLUMNS.join(",") + "\n");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&table), mode(&folder.path().join(UNIFIED)));
        let mut names: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, [TRIALS, TABLE, UNIFIED]);
    }

    #[test]
    fn a_table_is_not_derived_from_a_damaged_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(folder.path()).unwrap();
        let table = writer.derive_csv().unwrap();
        fs::write(folder.path().join(UNIFIED), format!("{ORIGINAL}rubbish\n{ORIGINAL}")).unwrap();
        let message = writer.derive_csv().unwrap_err().to_string();
        assert!(message.contains("unified_results.jsonl:2:"), "{message}");
        assert_eq!(fs::read_to_string(table).unwrap(), COLUMNS.join(",") + "\n");
    }

    #[test]
    fn a_torn_last_line_is_left_out_of_the_table() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(folder.path()).unwrap();
        fs::write(folder.path().join(UNIFIED), format!("{ORIGINAL}{}", &ORIGINAL[..100])).unwrap();
        let table = fs::read_to_string(writer.derive_csv().unwrap()).unwrap();
        assert_eq!(table.lines().count(), 2);
    }

    #[test]
    fn a_file_in_the_folders_place_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("results");
        fs::write(&file, "").unwrap();
        for place in [file.clone(), file.join("today")] {
            let message = Writer::open(&place).unwrap_err().to_string();
            assert!(message.contains(&place.display().to_string()), "{message}");
            assert!(message.contains("move the file"), "{message}");
        }
    }
}
