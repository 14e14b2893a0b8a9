//! Writes to standard output and standard error, whose readers may stop reading.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Once, OnceLock};
use std::time::Duration;

use rustix::event::PollFlags;
use rustix::io::Errno;

use crate::other_process::{self, AT_ONCE, REPORTED_AFTER, is_ready};
use crate::sandbox::Interrupt;

/// Whether a file that a user names stands for standard output.
pub(crate) fn is_standard_output(path: &Path) -> bool {
    ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"].iter().any(|name| path == Path::new(name))
}

/// How long the reader of standard output is waited for. Nothing: for as long as it likes.
static READER_DEADLINE: OnceLock<Duration> = OnceLock::new();

/// Limits the wait for a reader of standard output that is a program. People may read a page for as long as they like.
pub(crate) fn limit_wait(deadline: Duration) {
    let _ = READER_DEADLINE.set(deadline);
}

/// Whether the reader was waited for as long as that. It is not waited for again.
static GIVEN_UP: AtomicBool = AtomicBool::new(false);

/// Whether an interrupt ended a wait for the reader.
static CUT: AtomicBool = AtomicBool::new(false);

/// Writes all bytes. It gives up at an interrupt, and when the reader has not read on for the time of [`limit_wait`].
pub(crate) fn write_all(to: &impl AsFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        await_reader(to)?;
        match rustix::io::write(to, &bytes[..bytes.len().min(AT_ONCE)]) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            // Whoever shares a terminal may have made it non-blocking.
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Standard error, for the log: a wait for its reader heeds an interrupt too.
pub(crate) struct Errors;

impl io::Write for Errors {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        write_all(&io::stderr(), bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn await_reader(to: &impl AsFd) -> io::Result<()> {
    other_process::await_ready(to, PollFlags::OUT, |waited| {
        if Interrupt::has_come() {
            CUT.store(true, Ordering::Relaxed);
            return Err(io::Error::other("interrupted, as the reader did not read on"));
        }
        let too_long = |deadline: &&Duration| waited > **deadline || GIVEN_UP.load(Ordering::Relaxed);
        if let Some(deadline) = READER_DEADLINE.get().filter(too_long)
            && is_stdout(to)
        {
            GIVEN_UP.store(true, Ordering::Relaxed);
            let why = format!("its reader has not read on for {} s", deadline.as_secs_f64());
            return Err(io::Error::new(ErrorKind::TimedOut, why));
        }
        // Standard error may have the same reader.
        if waited > REPORTED_AFTER && is_stdout(to) && is_ready(&io::stderr(), PollFlags::OUT) {
            static ONCE: Once = Once::new();
            ONCE.call_once(|| {
                let who = other_process::reader_of(to).map_or_else(String::new, |who| format!(", {who}"));
                log::warn!("waiting for the reader of standard output{who}");
            });
        }
        Ok(())
    })
}

fn is_stdout(to: &impl AsFd) -> bool {
    to.as_fd().as_raw_fd() == rustix::stdio::stdout().as_raw_fd()
}

/// Whether the output is incomplete because the user interrupted.
pub(crate) fn is_cut() -> bool {
    CUT.load(Ordering::Relaxed)
}
