//! The consumers of the executor's events: the recorder, the display, and the stream of JSON.

use std::path::Path;

use super::Problem;
use super::json_events;
use super::progress::Progress;
use super::ui::Ui;
use crate::record::{Access, Conditions, Recorder};
use crate::run::event::Event;

/// Each consumer takes the part of an event that it needs.
pub(crate) struct Consumers {
    pub(crate) recorder: Recorder,
    progress: Progress,
}

impl Consumers {
    /// The consumers of a schedule of `total` units, of which `done` were already done: measured trials of a comparison, or
    /// sweeps. Records go into `folder`, whose files of records only this run writes.
    pub(crate) fn new(
        folder: &Path,
        conditions: Conditions,
        total: usize,
        done: usize,
    ) -> Result<Self, Problem> {
        let recorder = Recorder::open(folder, Access::Exclusive, conditions)?;
        Ok(Self { recorder, progress: Progress::new(total, done) })
    }

    /// Hands an event to each consumer. The recorder is first: a trial is on the disk before it is shown.
    pub(crate) fn note(&mut self, event: &Event<'_>, ui: &mut Ui) -> Result<(), Problem> {
        self.recorder.note(event)?;
        self.progress.note(event, ui);
        let Progress { done, total, .. } = self.progress;
        if let Some(line) = json_events::line(event, done, total).filter(|_| ui.json()) {
            ui.result(&line.to_string());
        }
        Ok(())
    }
}
