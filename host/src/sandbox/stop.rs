//! Ctrl-Z: stops this process and all of its workers, which are in sessions of their own and do not get the terminal's signal.
//! While they are stopped, no deadline passes.

use std::io::{self, Read as _};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Once, PoisonError};
use std::time::{Duration, Instant};

use signal_hook::consts::SIGTSTP;
use signal_hook::low_level;

use super::interrupt::is_ignored;
use super::machine::signal_tree;

/// The processes below which workers run.
static TREES: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// For how long this process was stopped, and since when it is.
static STOPPED: Mutex<(Duration, Option<Instant>)> = Mutex::new((Duration::ZERO, None));

/// How often this process was stopped.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// A moment at which a wait ends. It is put off by the time for which this process is stopped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    at: Instant,
    stopped_before: Duration,
}

impl Deadline {
    /// The moment after `limit`; `None` if that is too far away for the clock.
    pub(crate) fn after(limit: Duration) -> Option<Self> {
        Some(Self { at: Instant::now().checked_add(limit)?, stopped_before: stopped() })
    }

    pub(crate) fn left(self) -> Duration {
        let at = self.at + stopped().saturating_sub(self.stopped_before);
        at.saturating_duration_since(Instant::now())
    }
}

/// How often this process was stopped so far: a measurement during which that changes is not valid.
pub(crate) fn count() -> u64 {
    COUNT.load(Ordering::SeqCst)
}

fn stopped() -> Duration {
    let (total, since) = *STOPPED.lock().unwrap_or_else(PoisonError::into_inner);
    total + since.map_or(Duration::ZERO, |since| since.elapsed())
}

/// From now on, the tree below `supervisor` is stopped and continued with this process.
pub(super) fn include(supervisor: u32) {
    watch();
    TREES.lock().unwrap_or_else(PoisonError::into_inner).push(supervisor);
}

/// From now on, this process notices when it is stopped.
pub(crate) fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if !is_ignored(SIGTSTP)
            && let Err(error) = listen()
        {
            log::info!("Ctrl-Z stops this process alone: {error}");
        }
    });
}

pub(super) fn exclude(supervisor: u32) {
    TREES.lock().unwrap_or_else(PoisonError::into_inner).retain(|tree| *tree != supervisor);
}

/// Starts the thread that stops this process when the signal comes. A handler must not do all that.
fn listen() -> io::Result<()> {
    let (mut signals, writer) = io::pipe()?;
    low_level::pipe::register(SIGTSTP, writer)?;
    std::thread::Builder::new().name("stop".into()).spawn(move || {
        let mut signal = [0];
        while signals.read_exact(&mut signal).is_ok() {
            stop_all();
        }
    })?;
    Ok(())
}

fn stop_all() {
    let trees = TREES.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let state = || STOPPED.lock().unwrap_or_else(PoisonError::into_inner);
    COUNT.fetch_add(1, Ordering::SeqCst);
    state().1 = Some(Instant::now());
    trees.iter().for_each(|tree| signal_tree::stop(*tree));
    // Returns when this process is continued.
    let _ = low_level::emulate_default_handler(SIGTSTP);
    trees.iter().for_each(|tree| signal_tree::resume(*tree));
    let mut state = state();
    if let Some(since) = state.1.take() {
        state.0 += since.elapsed();
    }
}
