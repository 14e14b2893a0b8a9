//! What the workers of one run share.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use plugin_api::{Buffer, Fusion, WorkloadError, WorkloadHandle};

use crate::feed::{HandOut, Slices};
use crate::halt::Halt;
use crate::layout::Layout;
use crate::parcel::Parcel;

/// How many buffers a worker keeps.
const SPARE_BUFFERS: usize = 16;

/// One run, as all of its workers see it.
pub(crate) struct Job {
    pub(crate) workload: WorkloadHandle,
    pub(crate) slices: Slices,
    pub(crate) fusion: Fusion,
    pub(crate) layout: Layout,
    pub(crate) hand_out: HandOut,
    pub(crate) halt: Halt,
    /// One a worker.
    pub(crate) tallies: Vec<Tally>,
    /// One for each stage: the number of the next batch that it makes, if it is a source or a reduction.
    pub(crate) numbers: Vec<AtomicU64>,
}

impl Job {
    /// How many items the source has made.
    pub(crate) fn done(&self) -> u64 {
        self.tallies.iter().map(|tally| tally.0.load(Ordering::Relaxed)).sum()
    }
}

/// How many items of the source a worker has made. On cache lines of its own, so that workers do not disturb each
/// other.
#[derive(Default)]
#[repr(align(128))]
pub(crate) struct Tally(AtomicU64);

/// One worker's view of the run, of which each of its operators holds a clone.
#[derive(Clone)]
pub(crate) struct Post {
    pub(crate) job: Arc<Job>,
    pub(crate) worker: usize,
    /// Buffers of batches that are done with, which keep their memory.
    spare: Rc<RefCell<Vec<Buffer>>>,
}

impl Post {
    /// The view of worker number `worker`.
    pub(crate) fn new(job: Arc<Job>, worker: usize) -> Self {
        Self { job, worker, spare: Rc::default() }
    }

    pub(crate) fn workload(&self) -> &WorkloadHandle {
        &self.job.workload
    }

    /// Whether all is to end. Costs a load: look at it once a batch.
    pub(crate) fn is_stopped(&self) -> bool {
        self.job.halt.is_stopped()
    }

    /// What came of a call into the workload; a failure stops all workers.
    pub(crate) fn accept<T>(&self, result: Result<T, WorkloadError>) -> Option<T> {
        result.map_err(|error| self.job.halt.fail(error.into())).ok()
    }

    /// Counts `items` more that this worker's source has made.
    pub(crate) fn count(&self, items: u64) {
        let tally = &self.job.tallies[self.worker].0;
        // With one writer a load and a store do, which are cheaper than an atomic addition.
        tally.store(tally.load(Ordering::Relaxed) + items, Ordering::Relaxed);
    }

    /// A buffer to fill.
    pub(crate) fn buffer(&self) -> Buffer {
        self.spare.borrow_mut().pop().unwrap_or_else(|| self.workload().buffer())
    }

    /// Takes back what is done with.
    pub(crate) fn keep(&self, parcel: Parcel) {
        let mut spare = self.spare.borrow_mut();
        if let Parcel::Made(buffer) = parcel
            && spare.len() < SPARE_BUFFERS
        {
            spare.push(buffer);
        }
    }
}
