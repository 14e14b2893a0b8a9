//! Without isolation, a plugin runs in this process and can end it. The exit code must not then say that all went well.

// The compiler cannot check what a function does that the C library calls at the end of the process.
#![allow(unsafe_code)]

#[cfg(target_os = "linux")]
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

/// The exit code of a trial that failed.
const FAILED: i32 = 4;

static ARMED: AtomicBool = AtomicBool::new(false);

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
    ARMED.store(true, Ordering::Relaxed);
}

/// The command has ended by itself.
pub(crate) fn disarm() {
    ARMED.store(false, Ordering::Relaxed);
}

#[cfg(target_os = "linux")]
extern "C" fn at_exit() {
    if ARMED.load(Ordering::Relaxed) {
        // Standard error without the lock of the standard library, which the thread that called `exit` may hold.
        let line = b"error: a plugin ended this process, as --isolation none lets it: nothing was verified; try: --isolation process\n";
        let _ = rustix::io::write(rustix::stdio::stderr(), line);
        signal_hook::low_level::exit(FAILED);
    }
}
