//! An interrupt by the user: Ctrl-C, or another signal that ends programs. What was ignored when this program started, as `nohup`
//! ignores SIGHUP, stays ignored.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::{flag, low_level};

/// The interrupt of this process, for waits that nobody passes one to.
static INSTALLED: OnceLock<Interrupt> = OnceLock::new();

/// Ends every wait once the user has interrupted. All clones share one state.
#[derive(Clone, Debug)]
pub struct Interrupt(Option<Arc<Signalled>>);

#[derive(Debug)]
struct Signalled {
    flag: Arc<AtomicBool>,
    /// The last of the signals that came.
    last: Arc<AtomicUsize>,
    /// Readable once a signal came; nobody reads it, so that it stays readable.
    pipe: io::PipeReader,
}

impl Interrupt {
    /// An interrupt that never comes.
    pub fn never() -> Self {
        Self(None)
    }

    /// An interrupt by SIGINT, SIGTERM or SIGHUP. The second signal ends this process at once. There is one of a process, however
    /// often it is installed.
    pub fn install() -> io::Result<Self> {
        if let Some(installed) = INSTALLED.get() {
            return Ok(installed.clone());
        }
        let (pipe, writer) = io::pipe()?;
        let (flag, last) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        for signal in [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| !is_ignored(*signal)) {
            // In this order: the second signal finds the flag that the first one set.
            match signal {
                SIGINT if !is_first() => flag::register_conditional_default(signal, Arc::clone(&flag))?,
                _ => flag::register_conditional_shutdown(signal, 130, Arc::clone(&flag))?,
            };
            flag::register(signal, Arc::clone(&flag))?;
            flag::register_usize(signal, Arc::clone(&last), signal as usize)?;
            low_level::pipe::register(signal, writer.try_clone()?)?;
        }
        let interrupt = Self(Some(Arc::new(Signalled { flag, last, pipe })));
        Ok(INSTALLED.get_or_init(|| interrupt).clone())
    }

    /// Has the first signal end a wait, with the exit code of the documents and what is printed then, also of a command that installs
    /// no interrupt: that one ends by any signal at once as long as it does not wait.
    pub(crate) fn install_for_wait() {
        // If it fails, a signal ends this process without a message.
        let _ = Self::install();
    }

    pub fn is_set(&self) -> bool {
        self.0.as_ref().is_some_and(|signalled| signalled.flag.load(Ordering::Relaxed))
    }

    /// Whether the user has interrupted this process.
    pub(crate) fn has_come() -> bool {
        INSTALLED.get().is_some_and(Self::is_set)
    }

    /// Ends this process by SIGINT, if that interrupted it: a shell that runs it in a loop then ends the loop. All must be
    /// cleaned up before.
    pub(crate) fn end_as_signalled() {
        let last = INSTALLED
            .get()
            .and_then(|interrupt| interrupt.0.as_ref())
            .map(|it| it.last.load(Ordering::Relaxed));
        if last == Some(SIGINT as usize) && !is_first() {
            // If it fails, the exit code says the same.
            let _ = low_level::emulate_default_handler(SIGINT);
        }
    }

    /// A descriptor that is readable once the interrupt has come.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.0.as_ref().map(|signalled| signalled.pipe.as_fd())
    }
}

/// Whether this is the first process of its namespace, as in a container without an init. The system ends such a process by no
/// signal's default, and the attempt ends in a crash.
fn is_first() -> bool {
    std::process::id() == 1
}

/// Makes the end of children visible again, if whoever started this process ignores it: the system then reaps them by itself.
pub(crate) fn see_children() {
    if is_ignored(SIGCHLD) {
        // Any handler will do. Programs that are started from here get the default.
        let _ = flag::register(SIGCHLD, Arc::default());
    }
}

/// Whether this process ignores `signal` now; false where the system does not say.
pub(super) fn is_ignored(signal: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}
