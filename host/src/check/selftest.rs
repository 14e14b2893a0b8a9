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
use crate::run::session::CallError;
use crate::stats::median;
use crate::worker::cheat::Cheat;

use aa::AaComparison;
pub(crate) use error::SelfTestError;
pub(crate) use findings::{CheatResult, Conclusion, Elsewhere, Findings, Limit, MOST_DIFFERENT};
pub(crate) use table::{How, TABLE};
pub(crate) use trials::Trials;

impl Trials {
    /// Runs the backend that cheats in one way.
    ///
    /// # Errors
    /// When the harness itself fails.
    pub(crate) fn try_cheat(&mut self, cheat: Cheat) -> Result<attempt::Ended, SelfTestError> {
        match cheat {
            Cheat::AlterRecords => host_files::alter_records(self),
            Cheat::PoisonJudge => Ok(host_files::poison_judge(self)?),
            _ => Ok(attempt::sessions(self, cheat)?),
        }
    }

    /// Compares the honest backend with itself.
    ///
    /// # Errors
    /// When the harness itself fails, or is interrupted.
    pub(crate) fn aa_comparison(&mut self, blocks: u32) -> Result<AaComparison, CallError> {
        aa::compare(self, blocks)
    }

    /// The median seconds of this number of empty `runs`.
    ///
    /// # Errors
    /// When the harness itself fails.
    pub(crate) fn floor(&mut self, runs: u64) -> Result<f64, CallError> {
        let nothing = WorkloadSpec { total_items: 0, ..WorkloadSpec::new(NULL) };
        let mut engine = self.open(Cheat::None, &nothing)?;
        let mut seconds = Vec::new();
        for seed in 0..runs {
            let spec = WorkloadSpec { seed, ..nothing.clone() };
            seconds.extend(self.run(&mut engine, &spec)?.host_elapsed);
        }
        engine.close(&mut |_| ());
        median(&seconds).ok_or_else(|| CallError::unexpected("run"))
    }
}
