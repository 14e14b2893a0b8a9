//! Asks a program that is somebody else's a question: it may never answer, or never stop.

use std::cell::Cell;
use std::io::{self, ErrorKind, PipeReader, Read as _};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::group::Group;

/// How long a program has to answer in a probe. The host waits for a little longer, so that the error of the program is told and not that
/// of the whole backend.
const IN_PROBES: Duration = Duration::from_secs(4);
/// How long it has outside of probes, for which the host waits much longer: the first start from a slow disk may take its time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// The longest answer. A program that says more is stopped by the closed pipe.
const LONGEST: u64 = 64 << 10;
/// How often it is looked whether the program has ended.
const POLL: Duration = Duration::from_millis(2);
/// How long output is waited for after the program has ended: a process that has left its group may hold the pipe. The threads that read
/// may have to wait for a core.
const DRAIN: Duration = Duration::from_secs(2);

thread_local! {
    /// How long a program has to answer that is asked on this thread.
    static LIMIT: Cell<Duration> = const { Cell::new(IN_PROBES) };
}

/// Does `work`, in which a program that is asked on this thread has so long to answer.
pub(crate) fn within<T>(limit: Duration, work: impl FnOnce() -> T) -> T {
    // Also after a panic of `work`, which the border of the plugin stops.
    struct Back(Duration);
    impl Drop for Back {
        fn drop(&mut self) {
            LIMIT.set(self.0);
        }
    }
    let _back = Back(LIMIT.replace(limit));
    work()
}

/// Runs a program without input to its end, and returns what it printed.
///
/// # Errors
/// What the system says, and [`ErrorKind::TimedOut`] for a program that has not ended in time. It is killed.
pub fn answer(command: &mut Command) -> io::Result<Output> {
    answer_within(command, LIMIT.get())
}

fn answer_within(command: &mut Command, limit: Duration) -> io::Result<Output> {
    let ((stdout, out), (stderr, err)) = (io::pipe()?, io::pipe()?);
    command.stdin(Stdio::null()).stdout(out).stderr(err);
    let group = Group::spawn(command);
    // The command holds ends of the pipes, whose readers would wait for it.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let (mut group, until) = (group?, Instant::now() + limit);
    let (stdout, stderr) = (read(stdout)?, read(stderr)?);
    while !group.has_ended() {
        if Instant::now() > until {
            group.end()?;
            let why = format!("no answer within {} s", limit.as_secs_f64());
            return Err(io::Error::new(ErrorKind::TimedOut, why));
        }
        thread::sleep(POLL);
    }
    let (status, until) = (group.end()?, Instant::now() + DRAIN);
    let printed = |reader: Receiver<Vec<u8>>| {
        reader.recv_timeout(until.saturating_duration_since(Instant::now())).unwrap_or_default()
    };
    Ok(Output { status, stdout: printed(stdout), stderr: printed(stderr) })
}

fn read(pipe: PipeReader) -> io::Result<Receiver<Vec<u8>>> {
    let (sender, received) = channel();
    thread::Builder::new().spawn(move || {
        let mut printed = Vec::new();
        // What was read before an error counts.
        let _ = pipe.take(LONGEST).read_to_end(&mut printed);
        let _ = sender.send(printed);
    })?;
    Ok(received)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> io::Result<Output> {
        answer_within(Command::new("sh").arg("-c").arg(script), limit)
    }

    #[test]
    fn a_program_is_heard_to_its_end() {
        let output = shell("echo one; echo two >&2; exit 3", Duration::from_secs(300)).unwrap();
        assert_eq!(
            (output.stdout.as_slice(), output.stderr.as_slice()),
            (b"one\n".as_slice(), b"two\n".as_slice())
        );
        assert_eq!(output.status.code(), Some(3));
    }

    #[test]
    fn the_limit_is_that_of_the_work_and_of_probes_before_and_after() {
        assert_eq!(LIMIT.get(), IN_PROBES);
        let ask = || answer(Command::new("sleep").arg("600")).unwrap_err().to_string();
        assert_eq!(within(Duration::from_millis(100), ask), "no answer within 0.1 s");
        assert_eq!(LIMIT.get(), IN_PROBES);
    }

    #[test]
    fn a_program_that_never_ends_is_killed_and_one_that_says_too_much_is_stopped() {
        let started = Instant::now();
        let error = shell("sleep 600 & sleep 600", Duration::from_millis(100)).unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (ErrorKind::TimedOut, "no answer within 0.1 s")
        );
        assert!(started.elapsed() < Duration::from_secs(300));
        let output = shell("yes", Duration::from_secs(300)).unwrap();
        assert!(!output.status.success());
        assert_eq!(output.stdout.len() as u64, LONGEST);
    }
}
