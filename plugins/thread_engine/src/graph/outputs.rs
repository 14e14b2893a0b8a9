//! The outputs that no task needs: they reach the sink.

use plugin_api::{BatchBuilder, State, WorkloadError, WorkloadHandle};

/// So many outputs are folded together.
const FOLDED_TOGETHER: usize = 256;

/// What one worker has folded.
pub struct Finished {
    /// How many outputs that were.
    pub outputs: u64,
    /// The state of the sink.
    pub sink: State,
}

/// The outputs of one worker that no task needs, on their way to the sink.
pub struct UnneededOutputs {
    finished: Finished,
    /// Outputs that are to be folded.
    batch: BatchBuilder,
    encoded: Vec<u8>,
}

impl UnneededOutputs {
    /// None yet.
    ///
    /// # Errors
    /// When the workload cannot make a state of the sink.
    pub fn new(workload: &WorkloadHandle) -> Result<Self, WorkloadError> {
        let finished = Finished { outputs: 0, sink: workload.new_sink()? };
        Ok(Self { finished, batch: BatchBuilder::new(), encoded: Vec::new() })
    }

    /// Takes an output.
    ///
    /// # Errors
    /// When outputs cannot be folded.
    pub fn add(&mut self, output: &[u8]) -> Result<(), WorkloadError> {
        self.batch.push(output);
        self.finished.outputs += 1;
        if self.batch.len() >= FOLDED_TOGETHER { self.fold() } else { Ok(()) }
    }

    /// Folds what is left.
    ///
    /// # Errors
    /// When outputs cannot be folded.
    pub fn finish(mut self) -> Result<Finished, WorkloadError> {
        self.fold()?;
        Ok(self.finished)
    }

    fn fold(&mut self) -> Result<(), WorkloadError> {
        self.batch.encode(&mut self.encoded)?;
        self.batch.clear();
        self.finished.sink.fold(&self.encoded)
    }
}
