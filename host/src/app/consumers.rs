//! The consumers of the executor's events: the recorder, the display, and the stream of JSON.

use super::Problem;
use super::json_events;
use super::progress::Progress;
use super::ui::Ui;
use crate::record::Recorder;
use crate::run::event::Event;

/// Each consumer takes the part of an event that it needs.
pub(crate) struct Consumers {
    pub(crate) recorder: Recorder,
    progress: Progress,
}

impl Consumers {
    /// The consumers of a schedule of `total` units, of which `done` were already done: measured trials of a comparison, or
    /// sweeps.
    pub(crate) fn new(recorder: Recorder, total: usize, done: usize) -> Self {
        Self { recorder, progress: Progress::new(total, done) }
    }

    /// Hands an event to each consumer. The recorder is first: a trial is on the disk before it is shown. One that the disk does
    /// not take is shown too, and ends the schedule.
    pub(crate) fn note(&mut self, event: &Event<'_>, ui: &mut Ui) -> Result<(), Problem> {
        let recorded = self.recorder.note(event);
        self.progress.note(event, ui);
        let Progress { done, total, .. } = self.progress;
        if let Some(line) = json_events::line(event, done, total).filter(|_| ui.json()) {
            ui.result(&line.to_string());
        }
        Ok(recorded?)
    }
}
