//! Writes down what the executor tells: a trial is on the disk when [`Recorder::note`] returns.

use std::path::Path;

use super::RecordError;
use super::format::{Kind, TrialRecord};
use super::skipped::Damage;
use super::trial::Conditions;
use super::writer::Writer;
use crate::run::event::Event;

/// Writes the trials of a run into its output folder.
pub(crate) struct Recorder {
    conditions: Conditions,
    writer: Writer,
}

impl Recorder {
    /// A recorder for the trials of a run under `conditions`, into `folder`, which is made if it is not there.
    pub(crate) fn open(folder: &Path, conditions: Conditions) -> Result<Self, RecordError> {
        Ok(Self { conditions, writer: Writer::open(folder)? })
    }

    /// Takes note of what happened: of a trial that is over, and returns its record.
    ///
    /// # Errors
    /// When the record cannot be written; then it is not in the file.
    pub(crate) fn note(&mut self, event: &Event<'_>) -> Result<Option<TrialRecord>, RecordError> {
        let Event::Finished(trial, result) = event else { return Ok(None) };
        let record = TrialRecord::new(&self.conditions, trial, (*result).clone());
        self.writer.append_trial(&record)?;
        if record.kind == Kind::Measured {
            self.writer.append_unified(&record.record)?;
        }
        Ok(Some(record))
    }

    /// Sees to it that the table holds all records, and returns what it cannot hold.
    pub(crate) fn finish(&mut self) -> Result<Vec<Damage>, RecordError> {
        self.writer.derive_csv()
    }
}
