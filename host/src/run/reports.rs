//! Passes on what a worker reports in a call, without keeping the clock of the call waiting: whoever shows it may have to wait for a
//! terminal that is stopped, or for the reader of a pipe.

use std::panic;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use super::session::{CallError, Observer, WorkerSession};
use crate::worker::protocol::{Reply, Request};

/// So many reports may wait. A worker sends 500 log records at once and then 50 a second, of 4 KiB each.
const WAITING: usize = 1 << 12;

/// The reply of a worker, and the seconds until it: what `observer` takes counts for neither these nor `deadline`.
pub(super) fn call_apart(
    session: &mut WorkerSession,
    phase: &'static str,
    request: &Request,
    deadline: Duration,
    observer: Observer<'_>,
) -> Result<(Reply, f64), CallError> {
    let is_in_process = session.is_in_process();
    let mut call = |observer: Observer<'_>| session.timed(phase, request.clone(), deadline, observer);
    if is_in_process { call(observer) } else { apart(observer, call) }
}

/// Makes `call` in a thread of its own, and passes on to `observer` what it reports in this one. Where the system gives no thread, both are
/// done here.
pub(super) fn apart<T: Send>(observer: Observer<'_>, mut call: impl FnMut(Observer<'_>) -> T + Send) -> T {
    let answer = thread::scope(|scope| {
        let (sender, reports) = sync_channel(WAITING);
        let call = &mut call;
        let calling = move || call(&mut |report| hand_over(&sender, report));
        let calling = thread::Builder::new().name("call".into()).spawn_scoped(scope, calling).ok()?;
        for report in reports {
            observer(report);
        }
        Some(calling.join().unwrap_or_else(|why| panic::resume_unwind(why)))
    });
    answer.unwrap_or_else(|| call(observer))
}

/// Leaves out progress that nobody has taken in time, as the next report says the same. No record is left out.
fn hand_over(sender: &SyncSender<Reply>, report: Reply) {
    if let Err(TrySendError::Full(report @ Reply::Log { .. })) = sender.try_send(report) {
        // It fails if nobody takes reports any more.
        let _ = sender.send(report);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use plugin_api::Progress;

    use super::*;

    fn record(number: usize) -> Reply {
        Reply::Log { level: 1, target: String::new(), message: number.to_string() }
    }

    #[test]
    fn a_call_ends_while_its_reports_wait_and_no_record_is_lost() {
        let (sender, ended) = channel();
        let (mut messages, mut progress) = (Vec::new(), 0);
        let mut observer = |report: Reply| {
            // The first one is taken, and not shown before the call has ended.
            if messages.is_empty() {
                ended.recv_timeout(Duration::from_secs(300)).unwrap();
            }
            match report {
                Reply::Log { message, .. } => messages.push(message),
                _ => progress += 1,
            }
        };
        let answer = apart(&mut observer, |observer| {
            (0..100).map(record).for_each(&mut *observer);
            let progress = Reply::Progress(Progress { done: 1, total: 2, message: String::new() });
            (0..2 * WAITING).for_each(|_| observer(progress.clone()));
            sender.send(()).unwrap();
            "answer"
        });
        assert_eq!(answer, "answer");
        assert_eq!(messages, (0..100).map(|number| number.to_string()).collect::<Vec<_>>());
        assert!((WAITING - 100..=WAITING - 99).contains(&progress), "{progress}");
    }

    #[test]
    fn records_beyond_those_that_may_wait_are_waited_for() {
        let mut count = 0;
        apart(&mut |_| count += 1, |observer| (0..3 * WAITING).map(record).for_each(observer));
        assert_eq!(count, 3 * WAITING);
    }
}
