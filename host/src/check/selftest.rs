//! Tests whether measurements on this machine can be trusted: the harness must detect a backend that cheats in each of several
//! ways, and an A/A comparison of an honest backend must find no difference.
//!
//! Imports go one way: this file → `findings` and `host_files` → `aa` and `attempt` → `trials`, `table` and `error`.

mod aa;
mod attempt;
mod error;
mod findings;
mod host_files;
mod table;
mod trials;

use plugin_api::WorkloadSpec;

use crate::plan::defaults::NULL;
use crate::plugin::PluginRef;
use crate::run::session::{CallError, Launch};
use crate::stats::median;
use crate::worker::cheat::Cheat;
use crate::worker::protocol::Folders;

use aa::AaComparison;
pub(crate) use error::SelfTestError;
pub(crate) use findings::{CheatResult, Conclusion, Elsewhere, Findings, Limit, MOST_DIFFERENT};
pub(crate) use table::{How, TABLE};
use trials::Trials;

/// The self-test, on a backend that is part of this program.
pub(crate) struct SelfTest(Trials);

impl SelfTest {
    /// A self-test on the workloads of `library`. The backend gets a folder of its own for its data, below that of the logs.
    pub(crate) fn new(launch: Launch, library: &PluginRef, folders: Folders) -> Self {
        Self(Trials::new(launch, library, folders))
    }

    /// Ends the judge, and removes what the backend wrote.
    pub(crate) fn end(self) {
        self.0.end();
    }

    /// Runs the backend that cheats in one way.
    ///
    /// # Errors
    /// When the harness itself fails.
    pub(crate) fn try_cheat(&mut self, cheat: Cheat) -> Result<attempt::Ended, SelfTestError> {
        match cheat {
            Cheat::AlterRecords => host_files::alter_records(&mut self.0),
            Cheat::PoisonJudge => Ok(host_files::poison_judge(&mut self.0)?),
            _ => Ok(attempt::sessions(&mut self.0, cheat)?),
        }
    }

    /// Compares the honest backend with itself.
    ///
    /// # Errors
    /// When the harness itself fails, or is interrupted.
    pub(crate) fn aa_comparison(&mut self, blocks: u32) -> Result<AaComparison, SelfTestError> {
        Ok(aa::compare(&mut self.0, blocks)?)
    }

    /// The median seconds of this number of empty `runs`.
    ///
    /// # Errors
    /// When the harness itself fails.
    pub(crate) fn floor(&mut self, runs: u64) -> Result<f64, SelfTestError> {
        let nothing = WorkloadSpec { total_items: 0, ..WorkloadSpec::new(NULL) };
        let mut engine = self.0.open(Cheat::None, &nothing)?;
        let mut seconds = Vec::new();
        for seed in 0..runs {
            let spec = WorkloadSpec { seed, ..nothing.clone() };
            seconds.extend(self.0.run(&mut engine, &spec)?.host_elapsed);
        }
        engine.close(&mut |_| ());
        Ok(median(&seconds).ok_or_else(|| CallError::unexpected("run"))?)
    }
}
