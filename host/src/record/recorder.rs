//! Records the trials that the executor reports: a trial is on the disk when [`Recorder::note`] returns.

use std::path::Path;

use super::RecordError;
use super::format::TrialRecord;
use super::journal::Access;
use super::trial::Conditions;
use super::writer::Writer;
use crate::run::event::Event;

/// Writes the trials of a run into its output folder.
pub(crate) struct Recorder {
    conditions: Conditions,
    /// Appends to the files, checks them, and completes the table.
    pub(crate) writer: Writer,
}

impl Recorder {
    /// A recorder for the trials of a run under `conditions`, into `folder`, which is created if it does not exist. `access` says
    /// whether other processes write to the same files.
    pub(crate) fn open(folder: &Path, access: Access, conditions: Conditions) -> Result<Self, RecordError> {
        Ok(Self { conditions, writer: Writer::open(folder, access)? })
    }

    /// Records a trial that is over. Ignores other events.
    ///
    /// # Errors
    /// When the record cannot be written to both files, of which the first may have it.
    pub(crate) fn note(&mut self, event: &Event<'_>) -> Result<(), RecordError> {
        let Event::Finished(trial, result) = event else { return Ok(()) };
        self.writer.append(&TrialRecord::new(&self.conditions, trial, (*result).clone())).flatten()
    }
}
