//! What the records say of the conditions of their runs: the commands, and how fast the machine was.

use super::group::{Group, Table};
use super::model::{MachineCheck, MachineReading};
use super::trial::Trial;
use crate::first_seen::distinct;

/// Every command that repeats a whole run, once.
pub(super) fn commands<'t, 'a: 't>(trials: impl Iterator<Item = &'t Trial<'a>>) -> Vec<String> {
    distinct(trials.filter_map(|trial| trial.metadata().full_command.as_ref())).into_iter().cloned().collect()
}

/// Every reading of the machine check, in the order of time.
pub(super) fn machine_checks<'t, 'a: 't>(trials: impl Iterator<Item = &'t Trial<'a>>) -> Vec<MachineReading> {
    let mut read: Vec<_> = trials.filter(|it| !it.metadata().machine_checks.is_empty()).collect();
    read.sort_by_key(|trial| &trial.record.timestamp);
    read.into_iter().flat_map(of_trial).collect()
}

/// The readings since the session before. Records of earlier versions do not say for which a session was postponed, of whatever backend:
/// there it was for all but the last one before this trial's session.
fn of_trial(trial: &Trial<'_>) -> Vec<MachineReading> {
    let checks = &trial.metadata().machine_checks;
    let own = checks.iter().rposition(|check| !check.after_session);
    let is_before_own = |at: usize| own.is_some_and(|own| at < own);
    let reading = |(at, check): (usize, &MachineCheck)| MachineReading {
        run: trial.run().to_owned(),
        block: trial.metadata().block,
        backend: trial.record.backend.clone(),
        check: MachineCheck { postponed: check.postponed.or(Some(is_before_own(at))), ..*check },
    };
    checks.iter().enumerate().map(reading).collect()
}

/// All trials of a comparison.
pub(super) fn trials<'t, 'a>(table: &'t Table<'a>) -> impl Iterator<Item = &'t Trial<'a>> {
    table.points.iter().flat_map(|point| &point.rows).flat_map(Group::trials)
}
