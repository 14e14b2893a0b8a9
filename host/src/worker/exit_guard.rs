//! Without isolation, a plugin runs in this process and can end it, or fork it. The exit code must not then say that all went well, and no
//! second crossrun may go on.

// The compiler cannot check what a function does that the C library calls at the end of the process.
#![allow(unsafe_code)]

#[cfg(target_os = "linux")]
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

/// The exit code of a trial that failed.
#[cfg(target_os = "linux")]
const FAILED: i32 = 4;

/// No process has this number.
const NONE: u32 = 0;

/// The process that is guarded. One that a plugin forks has the same handlers, and may end as it likes.
static GUARDED: AtomicU32 = AtomicU32::new(NONE);

/// From now on, an end of this process before [`disarm`] is a failure, whoever causes it with `exit`. A plugin that calls `_exit`
/// cannot be noticed from within the process.
pub(crate) fn arm() {
    #[cfg(target_os = "linux")]
    static ONCE: Once = Once::new();
    #[cfg(target_os = "linux")]
    ONCE.call_once(|| {
        // SAFETY: the function is never unloaded, and uses nothing that an earlier handler may have destroyed.
        let _ = unsafe { libc::atexit(at_exit) };
    });
    GUARDED.store(std::process::id(), Ordering::Relaxed);
}

/// The command has ended by itself.
pub(crate) fn disarm() {
    GUARDED.store(NONE, Ordering::Relaxed);
}

/// Ends a process that a plugin forked from the guarded one and that returned from a call.
pub(crate) fn end_forked_process() {
    let guarded = GUARDED.load(Ordering::Relaxed);
    if guarded != NONE {
        end_if_forked_from(guarded);
    }
}

/// Ends this process if it is not the process `owner`.
pub(super) fn end_if_forked_from(owner: u32) {
    if std::process::id() != owner {
        tell(b"crossrun: a process that the plugin forked returned from a call, and was ended\n");
        signal_hook::low_level::exit(1);
    }
}

#[cfg(target_os = "linux")]
extern "C" fn at_exit() {
    if GUARDED.load(Ordering::Relaxed) == std::process::id() {
        tell(b"error: a plugin ended this process, as --isolation none lets it: nothing was verified; try: --isolation process\n");
        signal_hook::low_level::exit(FAILED);
    }
}

/// Writes a line to standard error without the lock of the standard library. The thread that called `exit` may hold it, or one that is not
/// in a forked process.
fn tell(line: &[u8]) {
    let _ = rustix::io::write(rustix::stdio::stderr(), line);
}
