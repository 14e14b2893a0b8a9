//! An honest serial run, but for what is done to the last batch before the sink. Linear plans without a keyed reduction
//! only.

use plugin_api::{Batch, BatchBuilder, RunContext, RunResult, RunnerError, WorkloadSpec};

use crate::claims::Tamper;

pub(crate) fn run(
    spec: &WorkloadSpec,
    context: &RunContext,
    tamper: Option<Tamper>,
) -> Result<RunResult, RunnerError> {
    let started = std::time::Instant::now();
    let workload = context.workload();
    let (mut sink, mut out) = (workload.new_sink()?, workload.buffer());
    workload.source(0, spec.total_items, workload.plan().sink(), &mut out)?;
    let mut items: Vec<Vec<u8>> = Batch::parse(&out)?.iter().map(<[u8]>::to_vec).collect();
    if let Some(tamper) = tamper {
        tamper(&mut items);
    }
    let batch: BatchBuilder = items.iter().map(Vec::as_slice).collect();
    let mut encoded = Vec::new();
    batch.encode(&mut encoded)?;
    sink.fold(&encoded)?;
    let state = sink.encode()?.to_vec();
    let elapsed = started.elapsed().as_secs_f64();
    Ok(RunResult::new("misbehaving", spec, elapsed, items.len() as u64, state))
}
