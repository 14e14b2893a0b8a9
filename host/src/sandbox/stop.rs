//! Ctrl-Z: stops this process and all of its workers, which are in sessions of their own and do not get the terminal's signal.
//! While they are stopped, no deadline passes. A time in which this process stood still without a signal counts as a stop, too.

use std::io::{self, Read as _};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Once, PoisonError};
use std::time::{Duration, Instant};

use signal_hook::consts::SIGTSTP;
use signal_hook::low_level;

use super::interrupt::is_ignored;
use super::machine::signal_tree;
use super::standstill;

/// The processes below which workers run.
static TREES: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// For how long this process was stopped, and since when it is.
static STOPPED: Mutex<(Duration, Option<Instant>)> = Mutex::new((Duration::ZERO, None));

/// How often this process was stopped, or a supervisor, which no process of a namespace below it can stop.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// How often it was seen that processes below a supervisor were stopped.
static BELOW: AtomicU64 = AtomicU64::new(0);

/// What was stopped since some moment: a measurement meanwhile is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    Nothing,
    /// This process, or a supervisor.
    This,
    /// Only processes below a supervisor, by one of them or by a program outside.
    Below,
}

/// A moment from which on it is asked what was stopped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Since {
    count: u64,
    below: u64,
}

impl Since {
    pub(crate) fn now() -> Self {
        standstill::settle();
        Self { count: COUNT.load(Ordering::SeqCst), below: BELOW.load(Ordering::SeqCst) }
    }

    pub(crate) fn stopped(self) -> Stopped {
        match Self::now() {
            now if now.count != self.count => Stopped::This,
            now if now.below != self.below => Stopped::Below,
            _ => Stopped::Nothing,
        }
    }
}

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
        let left = || {
            let at = self.at.checked_add(stopped().saturating_sub(self.stopped_before));
            at.map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()))
        };
        let now = left();
        if now.is_zero() {
            standstill::settle();
            return left();
        }
        now
    }
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
        standstill::watch(stopped, stood_still, notice_stopped_trees);
        if !is_ignored(SIGTSTP)
            && let Err(error) = listen()
        {
            log::info!("Ctrl-Z stops this process alone: {error}");
        }
    });
}

fn stood_still(lost: Duration) {
    log::info!("this process stood still for {:.1} s", lost.as_secs_f64());
    STOPPED.lock().unwrap_or_else(PoisonError::into_inner).0 += lost;
    COUNT.fetch_add(1, Ordering::SeqCst);
}

/// Notices that processes of a tree are stopped, but not this one: their deadlines go on.
fn notice_stopped_trees() {
    // Ctrl-Z stopped them with this process, and has counted already.
    if STOPPED.lock().unwrap_or_else(PoisonError::into_inner).1.is_some() {
        return;
    }
    let trees = TREES.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for (supervisor, below) in trees.into_iter().map(signal_tree::stopped) {
        COUNT.fetch_add(supervisor.into(), Ordering::SeqCst);
        BELOW.fetch_add(below.into(), Ordering::SeqCst);
    }
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
