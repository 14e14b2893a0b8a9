//! How long each phase may take.

use std::time::Duration;

/// How long each phase may take. A run has its own limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// Opening the library and making its runner.
    pub load: Duration,
    /// Asking whether the backend could start.
    pub probe: Duration,
    /// Starting the engine.
    pub open: Duration,
    /// Stopping the engine.
    pub close: Duration,
    /// Listing the workloads of a library.
    pub catalogue: Duration,
    /// Computing what must come out, at least: the oracle works alone at what several do in a run.
    pub expect: Duration,
    /// Decoding a sink's state.
    pub judge: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            load: seconds(10),
            probe: seconds(5),
            open: seconds(120),
            close: seconds(30),
            catalogue: seconds(10),
            expect: seconds(600),
            judge: seconds(60),
        }
    }
}

impl Deadlines {
    pub fn of_phase(&mut self, name: &str) -> Option<&mut Duration> {
        match name {
            "load" => Some(&mut self.load),
            "probe" => Some(&mut self.probe),
            "open" => Some(&mut self.open),
            "close" => Some(&mut self.close),
            "catalogue" => Some(&mut self.catalogue),
            "expect" => Some(&mut self.expect),
            "judge" => Some(&mut self.judge),
            _ => None,
        }
    }

    /// How long the oracle may take for a run that may take `timeout` at this parallelism.
    pub fn expect_of(&self, timeout: Duration, parallelism: u32) -> Duration {
        self.expect.max(timeout.saturating_mul(parallelism))
    }
}
