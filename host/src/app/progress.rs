//! What is going on, on the terminal.

use super::ui::Ui;
use crate::run::Event;
use crate::text::printable;

/// Shows what a stage tells.
pub(crate) fn show(ui: &mut Ui, event: Event) {
    match event {
        Event::Expecting => ui.doing("computing what must come out"),
        Event::Opening => ui.doing("starting the engine"),
        Event::Running => ui.doing("running"),
        Event::Judging => ui.doing("judging the answer"),
        Event::Progress(progress) => ui.progress(&progress),
        Event::Log(level, target, message) => {
            ui.still();
            let level = log::Level::iter().nth(level.saturating_sub(1) as usize).unwrap_or(log::Level::Trace);
            log::log!(target: &target, level, "{}", printable(&message));
        }
    }
}
