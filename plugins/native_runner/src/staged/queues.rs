//! A dispatcher that hands tasks out strictly in order, to each worker in turn, into short queues.

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use super::Lane;
use crate::backlog::{Backlog, Made, Task};
use crate::crew::Dispatcher;
use crate::schedule::QUEUE_DEPTH;

/// What a task made; nothing when the worker leaves.
type Report = Option<Made>;

/// One worker's queue, and the way back to the dispatcher.
pub(super) struct QueueLane {
    tasks: Receiver<Task>,
    /// Without a bound, so that a worker never waits for a dispatcher that waits for it. The backlog's bound holds
    /// for what is in here.
    reports: Sender<Report>,
}

/// A lane for each of `threads` workers, and the dispatcher that feeds them from `backlog`.
pub(super) fn connect(threads: usize, backlog: Backlog) -> (Vec<QueueLane>, Dispatcher<'static>) {
    let (reports, reported) = channel();
    let (queues, lanes): (Vec<_>, Vec<_>) = (0..threads)
        .map(|_| sync_channel(QUEUE_DEPTH))
        .map(|(queue, tasks)| (queue, QueueLane { tasks, reports: reports.clone() }))
        .unzip();
    (lanes, Box::new(move || dispatch(backlog, &queues, &reported)))
}

fn dispatch(mut backlog: Backlog, queues: &[SyncSender<Task>], reports: &Receiver<Report>) {
    for queue in queues.iter().cycle() {
        let Some(task) = next_in_order(&mut backlog, reports) else { return };
        if queue.send(task).is_err() {
            return;
        }
    }
}

/// Waits for the next task; nothing when all are done or a worker has left.
fn next_in_order(backlog: &mut Backlog, reports: &Receiver<Report>) -> Option<Task> {
    loop {
        while let Ok(report) = reports.try_recv() {
            backlog.add(report?);
        }
        if let Some(task) = backlog.take() {
            return Some(task);
        }
        if backlog.is_finished() {
            return None;
        }
        backlog.add(reports.recv().ok()??);
    }
}

impl Lane for QueueLane {
    fn next(&mut self, made: Option<Made>) -> Option<Task> {
        if made.is_some() {
            // The dispatcher is gone only when a worker has left; then the queue is closed too.
            let _ = self.reports.send(made);
        }
        self.tasks.recv().ok()
    }
}

impl Drop for QueueLane {
    fn drop(&mut self) {
        // The dispatcher may be gone already, as it is when all is done.
        let _ = self.reports.send(None);
    }
}
