//! How tasks reach a worker.

use crate::backlog::{Backlog, Made, Task};
use crate::turns::TurnsLane;

/// One worker's end of whatever hands out the tasks.
///
/// A worker leaves when all is done or when all must stop, so dropping a lane ends the phase for everyone.
pub(super) trait Lane: Send {
    /// Hands back what the last task made, if there was one, and gives the next; nothing when the worker is to leave.
    fn next(&mut self, made: Option<Made>) -> Option<Task>;
}

impl Lane for TurnsLane<'_, Backlog> {
    fn next(&mut self, made: Option<Made>) -> Option<Task> {
        TurnsLane::next(self, |backlog| made.into_iter().for_each(|made| backlog.add(made)))
    }
}
