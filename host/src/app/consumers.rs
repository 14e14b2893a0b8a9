//! Those who take what the executor tells: the recorder, the display, and the stream of JSON.

use super::Problem;
use super::json_events::JsonEvents;
use super::progress::Progress;
use super::ui::Ui;
use crate::record::Recorder;
use crate::run::event::Event;

/// Each takes what it needs of an event, and does none of the others' work.
pub(crate) struct Consumers {
    pub(crate) recorder: Recorder,
    pub(crate) progress: Progress,
    pub(crate) events: JsonEvents,
}

impl Consumers {
    /// Hands an event to each of them: a trial is on the disk before anyone is told of it.
    pub(crate) fn note(&mut self, event: &Event<'_>, ui: &mut Ui) -> Result<(), Problem> {
        self.recorder.note(event)?;
        self.events.note(event, ui);
        self.progress.note(event, ui);
        Ok(())
    }
}
