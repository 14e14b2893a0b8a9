//! Writes the files of an output folder.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::RecordError;
use super::chain::Braces;
use super::folder;
use super::format::{COLUMNS, Kind, TrialRecord, UnifiedRecord};
use super::journal::{Access, Altered, Journal};
use super::reader::{Records, holds_records};
use super::skipped::{Damage, read_each};
use super::table::{self, Table};

pub(crate) use super::names::{PLAN, TABLE, TRIALS, UNIFIED};

/// Checks that the files can be written into `folder` with this access, before anything is measured.
///
/// # Errors
/// Those of the system, [`RecordError::Busy`], and [`RecordError::Foreign`].
pub(crate) fn check(folder: &Path, access: Access) -> Result<(), RecordError> {
    let table = folder.join(TABLE);
    // In this order: another run makes its records before their rows.
    if has_rows(&table) && ![TRIALS, UNIFIED].iter().any(|name| holds_records(&folder.join(name))) {
        return Err(RecordError::Foreign(table));
    }
    folder::check(folder, &[TRIALS, UNIFIED, TABLE], access)
}

/// Whether the table has more than the names of its columns, which are all of it after a run without a trial.
fn has_rows(table: &Path) -> bool {
    let names = COLUMNS.join(",") + "\n";
    let has_names_only = |length: u64| {
        length == names.len() as u64 && fs::read(table).is_ok_and(|text| text == names.as_bytes())
    };
    table.metadata().is_ok_and(|it| it.is_file() && it.len() > 0 && !has_names_only(it.len()))
}

/// The files of one output folder, which several writers in one or more processes may share.
#[derive(Debug)]
pub(crate) struct Writer {
    folder: PathBuf,
    trials: Journal,
    unified: Journal,
    is_shared: bool,
    /// Locked as long as this writer lives.
    _held: Option<folder::Hold>,
}

impl Writer {
    /// Creates the folder if it does not exist, and opens its files. With exclusive access, [`UNIFIED`] is completed.
    ///
    /// # Errors
    /// Those of the system, and [`RecordError::Busy`].
    pub(crate) fn open(folder: &Path, access: Access) -> Result<Self, RecordError> {
        folder::make(folder)?;
        let _held = folder::hold(folder, access)?;
        let trials = Journal::open(folder.join(TRIALS), access, Braces::One)?;
        let unified = Journal::open(folder.join(UNIFIED), access, Braces::Two)?;
        let is_shared = access == Access::Shared;
        let mut writer = Self { folder: folder.into(), trials, unified, is_shared, _held };
        if access == Access::Exclusive {
            writer.complete_unified(|_| ())?;
        }
        Ok(writer)
    }

    /// Appends the measured trials of [`TRIALS`] that [`UNIFIED`] lacks, as after a crash or on a full disk. The lock of [`TRIALS`]
    /// keeps other processes from appending a trial in the meantime, which would then be in [`UNIFIED`] twice. Each trial is passed to
    /// `seen`, so that nobody has to read the file again.
    ///
    /// # Errors
    /// When a file cannot be locked, read or written.
    pub(crate) fn complete_unified(&mut self, mut seen: impl FnMut(&TrialRecord)) -> Result<(), RecordError> {
        let table = self.table();
        let Self { trials, unified, .. } = self;
        trials.with_lock(|trials| {
            let missing = missing(trials, unified, &mut seen)?;
            missing.iter().try_for_each(|record| append_unified(unified, &table, record))
        })
    }

    /// Appends a trial to [`TRIALS`], and returns when it is on the disk. A torn last line is moved to another file first. A
    /// measured trial is appended to [`UNIFIED`] too, before another process can append to [`TRIALS`].
    ///
    /// The inner error says why [`UNIFIED`] lacks a trial that is recorded: [`Writer::complete_unified`] appends it.
    ///
    /// # Errors
    /// When [`TRIALS`] cannot be locked or written; then it does not have the line.
    pub(crate) fn append(&mut self, trial: &TrialRecord) -> Result<Result<(), RecordError>, RecordError> {
        let (object, table) = (self.trials.object(trial)?, self.table());
        let Self { trials, unified, .. } = self;
        trials.with_lock(|trials| {
            trials.append_line(&object)?;
            let is_measured = trial.kind == Kind::Measured;
            Ok(if is_measured { append_unified(unified, &table, &trial.record) } else { Ok(()) })
        })
    }

    /// Checks that the files have what was appended, and puts it right if not. Returns the files that were altered.
    pub(crate) fn check(&mut self) -> Result<Vec<Altered>, RecordError> {
        let (trials, unified) = (self.trials.check()?, self.unified.check()?);
        Ok(trials.into_iter().chain(unified).collect())
    }

    /// Makes [`TABLE`] anew, whole or not at all, unless it has all records of [`UNIFIED`]. It leaves out a torn last line and
    /// the lines that cannot be read, and returns the latter. While there are any, it makes the table anew each time. After exclusive
    /// access it does so in any case: a backend may have altered rows and put the time of the file back.
    pub(crate) fn derive_csv(&mut self) -> Result<Vec<Damage>, RecordError> {
        let (path, is_shared) = (self.table(), self.is_shared);
        self.unified.with_lock(|unified| {
            let is_whole = is_shared && Table::in_step(&path, unified).is_some();
            if is_whole { Ok(Vec::new()) } else { table::derive(&path, unified) }
        })
    }

    fn table(&self) -> PathBuf {
        self.folder.join(TABLE)
    }
}

/// The measured trials that the unified file lacks. All trials are passed to `seen`.
fn missing(
    trials: &Journal,
    unified: &Journal,
    seen: &mut impl FnMut(&TrialRecord),
) -> Result<Vec<UnifiedRecord>, RecordError> {
    let mut known: HashMap<Vec<u8>, u32> = HashMap::new();
    read_each(Records::open(&unified.path)?, |_, mut record: UnifiedRecord| {
        record.metadata.chain = None;
        *known.entry(unified.object(&record)?).or_default() += 1;
        Ok(())
    })?;
    let mut missing = Vec::new();
    read_each(Records::open(&trials.path)?, |_, trial: TrialRecord| {
        seen(&trial);
        if trial.kind == Kind::Measured {
            match known.get_mut(&unified.object(&trial.record)?) {
                Some(count) if *count > 0 => *count -= 1,
                _ => missing.push(trial.record),
            }
        }
        Ok(())
    })?;
    Ok(missing)
}

/// Appends a record to the unified file; and its row to the table, if that has all earlier records. Else, or if the row cannot be
/// written, [`Writer::derive_csv`] writes it.
fn append_unified(unified: &mut Journal, table: &Path, record: &UnifiedRecord) -> Result<(), RecordError> {
    let object = unified.object(record)?;
    unified.with_lock(|unified| {
        let in_step = Table::in_step(table, unified);
        unified.append_line(&object)?;
        if let Some(in_step) = in_step {
            // After an error the table is not in step.
            let _ = in_step.append(record, unified);
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::record::reader::{Entry, Records};
    use crate::record::trial::examples;

    fn append_unified(writer: &mut Writer, record: &UnifiedRecord) {
        let table = writer.table();
        super::append_unified(&mut writer.unified, &table, record).unwrap();
    }

    const ORIGINAL: &str = include_str!("../../../tests/fixtures/original/unified_results.jsonl");

    /// The table, after it was derived without damage.
    fn derived(writer: &mut Writer) -> String {
        let damage = writer.derive_csv().unwrap();
        assert!(damage.is_empty(), "{damage:?}");
        fs::read_to_string(writer.table()).unwrap()
    }

    fn rows_of(writer: &Writer) -> usize {
        csv::Reader::from_path(writer.table()).unwrap().records().map(Result::unwrap).count()
    }

    #[test]
    fn the_folder_is_created_and_every_trial_is_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("results/today");
        let mut writer = Writer::open(&output, Access::Shared).unwrap();
        let trials = [examples::verified(), examples::wrong(), examples::failed()];
        for trial in &trials {
            writer.append(trial).unwrap().unwrap();
        }
        let read = Records::<TrialRecord, _>::open(&output.join(TRIALS)).unwrap().map(|entry| {
            match entry.unwrap() {
                Entry::Record { line, mut record } => {
                    assert!(record.chain.take().is_some());
                    Entry::Record { line, record }
                }
                torn => torn,
            }
        });
        let read: Vec<_> = read.collect();
        let expected =
            trials.iter().zip(1..).map(|(trial, line)| Entry::Record { line, record: trial.clone().into() });
        assert_eq!(read, expected.collect::<Vec<_>>());
        let mut measured = Vec::new();
        let records = Records::<UnifiedRecord, _>::open(&output.join(UNIFIED)).unwrap();
        crate::record::skipped::read_each(records, |_, mut record| {
            assert!(record.metadata.chain.take().is_some());
            measured.push(record);
            Ok(())
        })
        .unwrap();
        assert_eq!(measured, trials.map(|trial| trial.record));
    }

    #[test]
    fn the_table_has_the_columns_and_quotes_what_needs_it() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(UNIFIED), ORIGINAL).unwrap();
        let mut writer = Writer::open(folder.path(), Access::Shared).unwrap();
        let mut odd = examples::failed().record;
        odd.run_id = "a,\"b\"\nc".into();
        odd.seed = u64::MAX;
        append_unified(&mut writer, &odd);

        let table = derived(&mut writer);
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
    fn the_table_has_the_permissions_of_a_new_file_and_no_temporary_file_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(folder.path(), Access::Shared).unwrap();
        derived(&mut writer);
        assert_eq!(derived(&mut writer), COLUMNS.join(",") + "\n");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&writer.table()), mode(&folder.path().join(UNIFIED)));
        let mut names: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, [TRIALS, TABLE, UNIFIED]);
    }

    #[test]
    fn a_table_that_is_not_in_step_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(folder.path(), Access::Shared).unwrap();
        append_unified(&mut writer, &examples::verified().record);
        append_unified(&mut writer, &examples::wrong().record);
        let (table, records) = (writer.table(), folder.path().join(UNIFIED));
        let whole = derived(&mut writer);
        let at = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
        let touched = |path: &Path, content: &[u8], moment: std::time::SystemTime| {
            fs::write(path, content).unwrap();
            fs::File::options().append(true).open(path).unwrap().set_modified(moment).unwrap();
        };
        let (moment, second) = (at(&table), std::time::Duration::from_secs(1));
        assert_eq!(moment, at(&records));
        let lines = fs::read(&records).unwrap();
        // Another program wrote to the table, or a crash tore a row or lost all of it, even within one tick of the clock.
        touched(&table, &[whole.as_bytes(), b"mine"].concat(), moment + second);
        assert_eq!(derived(&mut writer), whole);
        for kept in [whole.len() - 1, whole.len() - 20, whole.rfind("\nnative").unwrap() + 1, 10, 0] {
            touched(&table, &whole.as_bytes()[..kept], at(&records));
            assert_eq!(derived(&mut writer), whole, "{kept}");
        }
        // Another program removed a line of the records.
        let first = lines.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        touched(&records, &lines[first..], at(&table) + second);
        assert_eq!(derived(&mut writer).lines().count(), 2);
        // A crash tore a line of the records.
        touched(&records, &[&lines, &lines[..50]].concat(), at(&table));
        assert_eq!(derived(&mut writer), whole);
        append_unified(&mut writer, &examples::failed().record);
        assert!(derived(&mut writer).starts_with(&whole));
        assert_eq!(rows_of(&writer), 3);
    }

    #[test]
    fn a_row_that_was_altered_is_undone_at_the_end_whatever_time_the_table_has() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(folder.path(), Access::Exclusive).unwrap();
        (0..2).for_each(|_| writer.append(&examples::verified()).unwrap().unwrap());
        let whole = derived(&mut writer);
        let time = fs::metadata(writer.table()).unwrap().modified().unwrap();
        fs::write(writer.table(), whole.replacen("verified", "altered", 1).replacen("42", "43", 1)).unwrap();
        fs::File::options().write(true).open(writer.table()).unwrap().set_modified(time).unwrap();
        assert_ne!(fs::read_to_string(writer.table()).unwrap(), whole);
        assert_eq!(derived(&mut writer), whole);
    }

    #[test]
    fn concurrent_writers_leave_a_whole_table() {
        let folder = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let mut writer = Writer::open(folder.path(), Access::Shared).unwrap();
                scope.spawn(move || {
                    for number in 0..10 {
                        append_unified(&mut writer, &examples::verified().record);
                        if number % 3 == 0 {
                            writer.derive_csv().unwrap();
                        }
                    }
                    writer.derive_csv().unwrap();
                });
            }
        });
        let mut writer = Writer::open(folder.path(), Access::Shared).unwrap();
        assert_eq!(rows_of(&writer), 40);
        let appended = derived(&mut writer);
        fs::remove_file(writer.table()).unwrap();
        assert_eq!(derived(&mut writer), appended);
    }

    #[test]
    fn writers_that_complete_the_unified_file_append_no_trial_twice() {
        let folder = tempfile::tempdir().unwrap();
        let lacking = Writer::open(folder.path(), Access::Shared).unwrap();
        fs::write(&lacking.trials.path, serde_json::to_string(&examples::wrong()).unwrap() + "\n").unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let mut writer = Writer::open(folder.path(), Access::Shared).unwrap();
                scope.spawn(move || {
                    for _ in 0..5 {
                        writer.append(&examples::verified()).unwrap().unwrap();
                        writer.complete_unified(|_| ()).unwrap();
                    }
                });
            }
        });
        for file in [TRIALS, UNIFIED] {
            assert_eq!(fs::read_to_string(folder.path().join(file)).unwrap().lines().count(), 21, "{file}");
        }
    }

    #[test]
    fn a_file_in_place_of_the_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("results");
        fs::write(&file, "").unwrap();
        for place in [file.clone(), file.join("today")] {
            let message = Writer::open(&place, Access::Shared).unwrap_err().line();
            assert!(message.contains(&place.display().to_string()), "{message}");
            assert!(message.contains("move the file"), "{message}");
        }
    }
}
