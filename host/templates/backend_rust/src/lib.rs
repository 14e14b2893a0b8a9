//! The {{name}} backend: one batch after the other. Your engine goes where the two loops are.

use std::time::Instant;

use plugin_api::{Availability, RunContext, RunResult, RunnerError, WorkloadRunner, WorkloadSpec};

#[cfg(test)]
mod tests;

plugin_api::export_runner!(name = "{{name}}", runner = Runner);

/// What lives from one run to the next, such as a pool or a connection: nothing yet.
struct Runner;

impl WorkloadRunner for Runner {
    fn backend_name(&self) -> &str {
        "{{name}}"
    }

    fn is_available(&self) -> Availability {
        Availability::Available
    }

    fn run(&mut self, spec: &WorkloadSpec, context: &RunContext) -> Result<RunResult, RunnerError> {
        let (started, total, size) = (Instant::now(), spec.total_items, spec.batch_size()?);
        if spec.fusion()? == plugin_api::Fusion::Off {
            let (kind, why) = (plugin_api::ErrorKind::Unsupported, "fusion=off is missing");
            return Err(RunnerError::new(kind, why).with_remedy("--extra fusion=auto"));
        }
        let (workload, plan) = (context.workload(), context.workload().plan());
        let (mut emitted, mut batch) = (workload.buffer(), workload.buffer());
        // The source, and the stages behind it as far as a keyed reduction or the sink.
        let mut end = plan.end_of_chain(1);
        let mut state = workload.new_state(end)?;
        for first in (0..total).step_by(size as usize) {
            context.check_cancelled()?;
            context.progress(first, total);
            workload.source(first, size.min(total - first), end, &mut batch)?;
            state.fold(&batch)?;
        }
        // What a keyed reduction emits, as far as the next one or the sink.
        while end < plan.sink() {
            let (from, mut reduced) = (end + 1, state);
            end = plan.end_of_chain(from);
            state = workload.new_state(end)?;
            reduced.emit(size, &mut emitted)?;
            while emitted.item_count() > 0 {
                context.check_cancelled()?;
                workload.run_stages(from, end, &emitted, &mut batch)?;
                state.fold(&batch)?;
                reduced.emit(size, &mut emitted)?;
            }
        }
        let (sink, elapsed) = (state.encode()?.to_vec(), started.elapsed().as_secs_f64());
        let count = workload.outcome(&sink)?.count;
        let result = RunResult::new(self.backend_name(), spec, elapsed, count, sink);
        Ok(result.with_scheduler("default", spec))
    }
}
