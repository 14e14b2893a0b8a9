//! Runs of whole workloads, through the runner as the host calls it.

// By path and not as a crate: what exports workloads can stand in a crate of its own tests only.
#[path = "../../../tests/threaded/answers.rs"]
mod answers;
#[path = "../../../tests/threaded/behaviour.rs"]
mod behaviour;
#[path = "../../../tests/threaded/closing.rs"]
mod closing;
#[path = "../../../tests/threaded/runs.rs"]
mod runs;
#[path = "../../../tests/threaded/support.rs"]
pub(crate) mod support;
#[path = "../../../tests/threaded/workloads.rs"]
mod workloads;

use crate::Native as Runner;
use crate::ordered::QUEUE_DEPTH;
use crate::stretches::most_items_ahead;

/// What the name of a worker's thread begins with.
const THREAD: &str = "native-";
/// The metric that says how many workers there were.
const WORKERS_METRIC: &str = "threads";
/// How many batches may be alive for each worker without fusion.
const BATCHES_PER_WORKER: u64 = 4;
/// The most items that two workers make under `fifo` before the first is done: the slow worker has one and its queue
/// holds some more, and the other worker makes one for each of these.
const MADE_UNDER_FIFO: u64 = 2 * (QUEUE_DEPTH as u64 + 1);
/// Whether what has ended is closed without fusion too.
const CLOSES_UNFUSED: bool = false;
