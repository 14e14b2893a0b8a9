//! An interrupt by the user: Ctrl-C, or another signal that ends programs.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Ends every wait once the user has interrupted. All clones share one state.
#[derive(Clone, Debug)]
pub struct Interrupt(Option<Arc<Signalled>>);

#[derive(Debug)]
struct Signalled {
    flag: Arc<AtomicBool>,
    /// Readable once a signal came; nobody reads it, so that it stays readable.
    pipe: io::PipeReader,
}

impl Interrupt {
    /// An interrupt that never comes.
    pub fn never() -> Self {
        Self(None)
    }

    /// An interrupt by SIGINT, SIGTERM or SIGHUP. The second signal ends this process at once.
    pub fn install() -> io::Result<Self> {
        let (pipe, writer) = io::pipe()?;
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            // In this order: the second signal finds the flag that the first one set.
            signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&flag))?;
            signal_hook::flag::register(signal, Arc::clone(&flag))?;
            signal_hook::low_level::pipe::register(signal, writer.try_clone()?)?;
        }
        Ok(Self(Some(Arc::new(Signalled { flag, pipe }))))
    }

    pub fn is_set(&self) -> bool {
        self.0.as_ref().is_some_and(|signalled| signalled.flag.load(Ordering::Relaxed))
    }

    /// A descriptor that is readable once the interrupt has come.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.0.as_ref().map(|signalled| signalled.pipe.as_fd())
    }
}
