//! The outputs that no task needs: they reach the sink.

use plugin_api::{BatchBuilder, State, WorkloadError, WorkloadHandle};

/// At most so many outputs are folded together.
const FOLDED_TOGETHER: usize = 256;

/// And at most so many bytes of them, but for an output that is longer by itself.
const FOLDED_BYTES: usize = 1 << 20;

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
        // Before and not after it: an output that nearly fills a batch fits in alone.
        if self.batch.as_batch().byte_count() + output.len() > FOLDED_BYTES {
            self.fold()?;
        }
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
        if self.batch.is_empty() {
            return Ok(());
        }
        self.batch.encode(&mut self.encoded)?;
        self.batch.clear();
        self.finished.sink.fold(&self.encoded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::support::{open, spec};

    #[test]
    fn outputs_are_folded_some_at_a_time_and_long_ones_alone() {
        let mut unneeded = UnneededOutputs::new(&open(&spec("chain"))).unwrap();
        let mut waiting = |lengths: &[usize]| {
            for length in lengths {
                unneeded.add(&vec![7; *length]).unwrap();
            }
            (unneeded.batch.len(), unneeded.finished.outputs)
        };
        assert_eq!(waiting(&[24; FOLDED_TOGETHER - 1]), (255, 255));
        assert_eq!(waiting(&[24]), (0, 256));
        assert_eq!(waiting(&[FOLDED_BYTES / 2; 2]), (2, 258));
        // It does not wait together with the two before, nor with the one after.
        assert_eq!(waiting(&[2 * FOLDED_BYTES]), (1, 259));
        assert_eq!(waiting(&[24]), (1, 260));
        assert_eq!(unneeded.finish().unwrap().outputs, 260);
    }
}
