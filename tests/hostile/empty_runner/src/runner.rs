//! A runner that does nothing. The benchmarks compile this file a second time, to call it without a border.

use plugin_api::{Availability, RunContext, RunResult, RunnerError, WorkloadRunner, WorkloadSpec};

pub(crate) struct Empty;

impl WorkloadRunner for Empty {
    fn backend_name(&self) -> &str {
        "empty"
    }

    fn is_available(&self) -> Availability {
        Availability::Available
    }

    fn run(&mut self, spec: &WorkloadSpec, context: &RunContext) -> Result<RunResult, RunnerError> {
        let state = context.workload().new_sink()?.encode()?.to_vec();
        Ok(RunResult::new("empty", spec, 0.0, 0, state))
    }
}
