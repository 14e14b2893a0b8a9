//! What the workers of one run share.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use plugin_api::{Buffer, Fusion, StageKind, WorkloadError, WorkloadHandle};
use thread_engine::{BufferPool, Counter, Monitor, Scheduler, Slices};

use crate::container::BatchContainer;
use crate::epochs::Epochs;
use crate::layout::Layout;
use crate::tasks::shared_rows::SharedRows;

/// How many free buffers a worker keeps.
const FREE_BUFFERS: usize = 16;

/// One run, as all of its workers see it.
pub(crate) struct Job {
    pub(crate) workload: WorkloadHandle,
    pub(crate) slices: Slices,
    pub(crate) fusion: Fusion,
    pub(crate) layout: Layout,
    /// The epochs of the source, if reductions close what has ended while the input goes on.
    pub(crate) epochs: Option<Epochs>,
    /// The rows of the task graph, if its tasks run by their dependencies. Then there are no slices and no stages.
    pub(crate) task_graph: Option<Arc<SharedRows>>,
    pub(crate) scheduler: Scheduler,
    pub(crate) monitor: Monitor,
    /// One for each stage: the number of the next batch that it makes, if it is a source or a reduction.
    pub(crate) counters: Vec<Counter>,
}

impl Job {
    /// How many workers there are.
    pub(crate) fn workers(&self) -> usize {
        self.monitor.tallies().len()
    }

    /// How often the source lets the other operators run before it makes a batch, if results are due: what has ended is to be closed
    /// before the source waits for an item. A reduction learns in the next step of its worker how far what is before it has come, so
    /// each needs a step. One more is for what other workers have done meanwhile.
    pub(crate) fn turns_of_others(&self) -> usize {
        let plan = self.workload.plan();
        if !plan.has_due_results() {
            return 0;
        }
        1 + plan.stages.iter().filter(|stage| stage.kind == StageKind::KeyedReduce).count()
    }
}

/// One worker's view of the run. Each of its operators holds a clone.
#[derive(Clone)]
pub(crate) struct WorkerContext {
    pub(crate) job: Arc<Job>,
    pub(crate) worker: usize,
    buffers: Rc<RefCell<BufferPool>>,
}

impl WorkerContext {
    /// The view of worker number `worker`.
    pub(crate) fn new(job: Arc<Job>, worker: usize) -> Self {
        Self { job, worker, buffers: Rc::new(RefCell::new(BufferPool::new(FREE_BUFFERS))) }
    }

    pub(crate) fn workload(&self) -> &WorkloadHandle {
        &self.job.workload
    }

    /// Whether every worker is to stop. It costs one load from memory: call it once a batch.
    pub(crate) fn is_stopped(&self) -> bool {
        self.job.monitor.stop().is_stopped()
    }

    /// What a call into the workload returned; a failure stops all workers.
    pub(crate) fn accept<T>(&self, result: Result<T, WorkloadError>) -> Option<T> {
        result.map_err(|error| self.job.monitor.stop().fail(error.into())).ok()
    }

    /// Counts `items` more that this worker's source has made.
    pub(crate) fn count(&self, items: u64) {
        self.job.monitor.tallies()[self.worker].add(items);
    }

    /// A buffer to fill.
    pub(crate) fn buffer(&self) -> Buffer {
        self.buffers.borrow_mut().take(self.workload())
    }

    /// Takes back the buffer of a batch that is not needed any more.
    pub(crate) fn recycle(&self, batch: BatchContainer) {
        if let BatchContainer::Local(buffer) = batch {
            self.buffers.borrow_mut().put(buffer);
        }
    }
}
