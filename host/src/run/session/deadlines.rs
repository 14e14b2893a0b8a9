//! The deadlines of the phases.

use std::time::Duration;

/// How long each phase may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// Opening the library and making its runner.
    pub load: Duration,
    /// Asking whether the backend could start.
    pub probe: Duration,
    /// Starting the engine.
    pub open: Duration,
    /// Preparing a run.
    pub prepare: Duration,
    /// A run. `None`: the command has its own limit.
    pub run: Option<Duration>,
    /// Stopping the engine.
    pub close: Duration,
    /// Listing the workloads of a library.
    pub catalogue: Duration,
    /// Computing the expected answer, at least: the oracle does alone what several threads do in a run.
    pub expect: Duration,
    /// Decoding a sink's state.
    pub judge: Duration,
    /// Until a program that reads JSON reads on.
    pub reader: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        let [load, probe, open, prepare, close, catalogue, expect, judge, reader] =
            [10, 5, 120, 120, 30, 10, 600, 60, 3600].map(Duration::from_secs);
        Self { load, probe, open, prepare, run: None, close, catalogue, expect, judge, reader }
    }
}

impl Deadlines {
    /// The phases whose deadlines can be set, in the order in which they come.
    pub const PHASES: [&str; 10] =
        ["load", "probe", "open", "prepare", "run", "close", "catalogue", "expect", "judge", "reader"];

    /// The deadline of the phase `name`; `None` for a phase whose deadline nobody can set.
    pub fn of_phase(&mut self, name: &str) -> Option<&mut Duration> {
        match name {
            "load" => Some(&mut self.load),
            "probe" => Some(&mut self.probe),
            "open" => Some(&mut self.open),
            "prepare" => Some(&mut self.prepare),
            "run" => Some(self.run.get_or_insert_default()),
            "close" => Some(&mut self.close),
            "catalogue" => Some(&mut self.catalogue),
            "expect" => Some(&mut self.expect),
            "judge" => Some(&mut self.judge),
            "reader" => Some(&mut self.reader),
            _ => None,
        }
    }

    /// How long the oracle may take for a run that may take `timeout` at this parallelism.
    pub fn expect_of(&self, timeout: Duration, parallelism: u32) -> Duration {
        self.expect.max(timeout.saturating_mul(parallelism))
    }
}
