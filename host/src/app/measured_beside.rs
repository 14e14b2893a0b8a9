//! What the file of measured trials has that the trials of the same folder lack: records of the original project, and those of runs
//! whose trials were removed before other runs went into the folder.

use std::collections::HashSet;
use std::fs::Metadata;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::compare::Input;
use crate::compare::model::Source;
use crate::record::skipped::{self, Skipped};
use crate::record::writer::{TRIALS, UNIFIED};
use crate::record::{RecordError, Records, UnifiedRecord, reader};

/// The file of measured trials beside a file of trials.
pub(super) struct MeasuredBeside {
    pub(super) file: PathBuf,
    /// How long it was before the trials were read. What a run appends to it later need not be among these.
    length: u64,
}

/// What was found in it.
pub(super) struct Lacking {
    /// The records that no trial has.
    pub(super) records: Vec<Input>,
    /// How many others are in blocks of runs that have trials. They were removed from these: what is measured again takes their place.
    pub(super) removed: u64,
    pub(super) left_out: Skipped,
}

impl MeasuredBeside {
    /// The file beside `trials`, which are still to be read: a run records a trial before it is in the other file.
    pub(super) fn of(trials: &Path) -> Option<Self> {
        let file = Some(trials).filter(|trials| trials.ends_with(TRIALS))?.with_file_name(UNIFIED);
        let length = file.metadata().ok().filter(Metadata::is_file)?.len();
        Some(Self { file, length }).filter(|it| it.length > 0)
    }

    /// The records of which `trials` has none with the same backend, run and time.
    pub(super) fn lacking(&self, trials: &[Input]) -> Result<Lacking, RecordError> {
        let known: HashSet<_> = trials.iter().map(|trial| key(&trial.record)).collect();
        let runs: HashSet<_> = trials.iter().map(Input::run).collect();
        let (mut records, mut removed) = (Vec::new(), 0);
        let (content, _) = reader::open_any(&self.file)?;
        let content = Records::new(content.take(self.length), &self.file);
        let mut left_out = skipped::read_each(content, |line, record: UnifiedRecord| {
            if known.contains(&key(&record)) {
                return Ok(());
            }
            let source = Source { file: self.file.display().to_string(), line };
            let record = Input::measured(source, record);
            if record.record.metadata.block.is_some() && runs.contains(record.run()) {
                removed += 1;
            } else {
                records.push(record);
            }
            Ok(())
        })?;
        // A run may be writing it.
        left_out.torn = None;
        Ok(Lacking { records, removed, left_out })
    }
}

/// What tells a record from the others of a folder.
fn key(record: &UnifiedRecord) -> (&str, &str, &str) {
    (&record.backend, &record.run_id, &record.timestamp)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::record::trial::examples;

    fn record(run: &str, block: Option<u32>) -> UnifiedRecord {
        let mut record = examples::verified().record;
        record.run_id = run.into();
        record.metadata.block = block;
        record
    }

    fn line(record: &UnifiedRecord) -> String {
        serde_json::to_string(record).unwrap() + "\n"
    }

    /// What `content` has that trials with these records lack: the runs of the records, and how many were removed.
    fn lacking(content: &str, trials: &[UnifiedRecord]) -> (Vec<String>, u64, Skipped) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(UNIFIED), content).unwrap();
        let beside = MeasuredBeside::of(&folder.path().join(TRIALS)).unwrap();
        let source = || Source { file: TRIALS.into(), line: 1 };
        let trials: Vec<_> = trials.iter().map(|record| Input::measured(source(), record.clone())).collect();
        let Lacking { records, removed, left_out } = beside.lacking(&trials).unwrap();
        (records.into_iter().map(|input| input.record.run_id).collect(), removed, left_out)
    }

    #[test]
    fn records_that_no_trial_has_are_found_and_those_of_blocks_that_were_removed_are_counted() {
        let (known, other) = (record("r", None), record("other", None));
        let content = line(&known) + &line(&other) + &line(&record("c/p", Some(1)));
        assert_eq!(lacking(&content, std::slice::from_ref(&known)).0, ["other", "c/p"]);
        let (found, removed, _) = lacking(&content, &[known.clone(), record("c/p", Some(1))]);
        assert_eq!((found, removed), (vec!["other".to_owned()], 0));
        // The run has other trials.
        let of_run = record("c/q", Some(0));
        let (found, removed, _) = lacking(&content, &[known, of_run]);
        assert_eq!((found, removed), (vec!["other".to_owned()], 1));
    }

    #[test]
    fn a_line_that_is_being_written_is_not_told_and_one_that_came_later_is_not_read() {
        let known = record("r", None);
        let (_, _, left_out) = lacking(&(line(&known) + "{\"backend\":\"na"), std::slice::from_ref(&known));
        assert_eq!((left_out.torn, left_out.damage.len()), (None, 0));
        let folder = tempfile::tempdir().unwrap();
        let (trials, unified) = (folder.path().join(TRIALS), folder.path().join(UNIFIED));
        assert!(MeasuredBeside::of(&trials).is_none());
        fs::write(&unified, "").unwrap();
        assert!(MeasuredBeside::of(&trials).is_none());
        fs::write(&unified, line(&known)).unwrap();
        assert!(MeasuredBeside::of(&folder.path().join("other.jsonl")).is_none());
        let beside = MeasuredBeside::of(&trials).unwrap();
        fs::write(&unified, line(&known) + &line(&record("later", None))).unwrap();
        assert_eq!(beside.lacking(&[]).unwrap().records.len(), 1);
    }
}
