//! The history of this machine: read before a measurement, and extended after it. A history that cannot be read or written costs
//! a warning, and no measurement.

use std::path::Path;

use super::context::{Context, data_dir};
use super::ui::Ui;
use crate::record::machine_history::{
    self, AaComparison, AaFactors, FILE, MachineHistory, Observation, Speed,
};
use crate::record::{RecordError, SystemProfile};
use crate::run::executor::Executor;
use crate::run::machine_check::Baseline;
use crate::sandbox::affinity;
use crate::text::plural;

/// The history in `data_dir`.
fn read(data_dir: &Path, ui: &mut Ui) -> MachineHistory {
    let history = or_warn(MachineHistory::read(data_dir), ui).unwrap_or_default();
    if !history.damaged.is_empty() {
        let (path, count) = (data_dir.join(FILE), plural(history.damaged.len() as u64, "line"));
        let numbers: Vec<_> = history.damaged.iter().take(10).map(usize::to_string).collect();
        let numbers = numbers.join(", ");
        ui.warning(&format!("{}: {count} cannot be read and do not count: {numbers}", path.display()));
    }
    history
}

/// By what factors A/A comparisons on `machine` differed, as the history in the user's data folder says.
pub(crate) fn aa_factors(machine: &SystemProfile, ui: &mut Ui) -> AaFactors {
    data_dir().map_or_else(|_| AaFactors::default(), |folder| read(&folder, ui).aa_factors(machine))
}

/// Tells the executor how fast this machine usually is.
pub(crate) fn recall(executor: &mut Executor, context: &Context, ui: &mut Ui) {
    let history = read(&context.data_dir, ui);
    let best = history.best_speed(&SystemProfile::collect(), &build(), cores(context));
    executor.baseline = Baseline::new(best);
}

/// Keeps how fast this machine was, if it was checked often enough.
pub(crate) fn keep_speed(executor: &Executor, context: &Context, ui: &mut Ui) {
    let Some((checks, nanos_per_iteration)) = executor.baseline.usual() else { return };
    let speed = Speed { build: build(), cores: cores(context), checks: checks as u32, nanos_per_iteration };
    let kept =
        machine_history::keep(&context.data_dir, &SystemProfile::collect(), Observation::MachineCheck(speed));
    or_warn(kept, ui);
}

/// Keeps by how much an A/A comparison on this machine differed, if there was one.
pub(crate) fn keep_aa(comparison: Option<AaComparison>, context: &Context, ui: &mut Ui) {
    let Some(comparison) = comparison else { return };
    let observation = Observation::Aa(comparison);
    or_warn(machine_history::keep(&context.data_dir, &SystemProfile::collect(), observation), ui);
}

fn or_warn<T>(result: Result<T, RecordError>, ui: &mut Ui) -> Option<T> {
    result.map_err(|error| ui.warning(&format!("the history of this machine: {}", error.line()))).ok()
}

/// The version of crossrun, and how it was built.
pub(crate) fn build() -> String {
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    format!("{} {profile}", env!("CARGO_PKG_VERSION"))
}

/// On how many cores a machine check computes.
fn cores(context: &Context) -> u32 {
    affinity::within_quota(context.cores().unwrap_or_else(affinity::cores)).len() as u32
}
