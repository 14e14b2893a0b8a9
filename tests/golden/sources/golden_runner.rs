//! The backend in Rust that was built against API 1.0: one thread, every plan.

use std::time::Instant;

use plugin_api::{
    Availability, Buffer, ErrorKind, Fusion, Parameter, RunContext, RunResult, RunnerError, Session, SetupContext,
    SetupRequest, StageKind, State, WorkloadError, WorkloadHandle, WorkloadRunner, WorkloadSpec,
};

plugin_api::export_runner!(name = "golden_rust", runner = Golden { parallelism: None });

/// How many partitions a keyed reduction has: as if there were as many threads.
const PARTITIONS: u32 = 3;

/// What it keeps from `open` to `close`.
struct Golden {
    parallelism: Option<u32>,
}

impl WorkloadRunner for Golden {
    fn backend_name(&self) -> &str {
        "golden_rust"
    }

    fn options(&self) -> Vec<Parameter> {
        vec![Parameter::choice("golden", "whether to run", &["run", "fail", "panic"])]
    }

    fn is_available(&self) -> Availability {
        Availability::Available
    }

    fn setup(&mut self, request: &SetupRequest, context: &SetupContext) -> Result<(), RunnerError> {
        context.progress(1, 1, if request.remove { "removed" } else { "made" });
        Ok(())
    }

    fn open(&mut self, session: &Session) -> Result<(), RunnerError> {
        self.parallelism = Some(session.parallelism);
        Ok(())
    }

    fn run(&mut self, spec: &WorkloadSpec, context: &RunContext) -> Result<RunResult, RunnerError> {
        let started = Instant::now();
        match spec.extra.get("golden").and_then(|value| value.as_str()) {
            Some("fail") => return Err(RunnerError::engine("it was asked to fail").with_remedy("do not ask")),
            Some("panic") => panic!("it was asked to panic"),
            _ => {}
        }
        if self.parallelism != Some(spec.parallelism) {
            return Err(RunnerError::new(ErrorKind::Internal, "the session has another parallelism"));
        }
        let run = Run { workload: context.workload(), context, fused: spec.fusion()? == Fusion::Auto };
        let (count, state) = run.all(spec)?;
        Ok(RunResult::new("golden_rust", spec, started.elapsed().as_secs_f64(), count, state).with_metric("nodes", 1))
    }

    fn close(&mut self) -> Result<(), RunnerError> {
        self.parallelism = None;
        Ok(())
    }
}

struct Run<'a> {
    workload: &'a WorkloadHandle,
    context: &'a RunContext,
    fused: bool,
}

/// What a phase folds into.
enum End {
    Sink(State, u64),
    Keyed(usize, Vec<State>),
}

impl Run<'_> {
    fn all(&self, spec: &WorkloadSpec) -> Result<(u64, Vec<u8>), RunnerError> {
        let (size, mut stage) = (spec.batch_size()?, self.workload.plan().end_of_chain(1));
        let (mut end, mut batch) = (self.end(stage)?, self.workload.buffer());
        let mut first = 0;
        while first < spec.total_items {
            if self.context.cancelled() {
                return Err(RunnerError::cancelled());
            }
            let count = size.min(spec.total_items - first);
            self.workload.source(first, count, if self.fused { stage } else { 1 }, &mut batch)?;
            self.finish(if self.fused { stage } else { 1 }, stage, &batch, &mut end)?;
            first += count;
            self.context.progress(first, spec.total_items);
        }
        loop {
            match end {
                End::Sink(mut sink, count) => return Ok((count, sink.encode()?.to_vec())),
                End::Keyed(reduced, states) => {
                    stage = self.workload.plan().end_of_chain(reduced + 1);
                    end = self.end(stage)?;
                    for state in states {
                        self.emit(reduced + 1, stage, state, size, &mut end)?;
                    }
                }
            }
        }
    }

    fn end(&self, stage: usize) -> Result<End, WorkloadError> {
        if self.workload.plan().kind(stage) == Some(StageKind::Sink) {
            return Ok(End::Sink(self.workload.new_sink()?, 0));
        }
        let states = (0..PARTITIONS).map(|_| self.workload.new_state(stage)).collect::<Result<_, _>>()?;
        Ok(End::Keyed(stage, states))
    }

    /// Takes a batch from stage `from` to the end of its phase, and folds it there.
    fn finish(&self, from: usize, to: usize, batch: &[u8], end: &mut End) -> Result<(), WorkloadError> {
        let (mut current, mut next): (Buffer, Buffer) = (self.workload.buffer(), self.workload.buffer());
        let mut bytes = batch;
        let mut at = from;
        while at < to {
            let until = if self.fused { to } else { at + 1 };
            self.workload.run_stages(at, until, bytes, &mut next)?;
            std::mem::swap(&mut current, &mut next);
            bytes = &current;
            at = until;
        }
        match end {
            End::Sink(sink, count) => {
                *count += u64::from(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
                sink.fold(bytes)
            }
            End::Keyed(stage, states) => {
                for (state, part) in states.iter_mut().zip(self.workload.split(*stage, bytes, PARTITIONS)?) {
                    state.fold(&part)?;
                }
                Ok(())
            }
        }
    }

    fn emit(&self, from: usize, to: usize, state: State, size: u64, end: &mut End) -> Result<(), WorkloadError> {
        // By way of another state, as if it came from another process.
        let (mut state, mut whole) = (state, self.workload.new_state(from - 1)?);
        whole.merge(&state.encode()?)?;
        let mut batch = self.workload.buffer();
        loop {
            whole.emit(size, &mut batch)?;
            if batch.item_count() == 0 {
                return Ok(());
            }
            self.finish(from, to, &batch, end)?;
        }
    }
}
