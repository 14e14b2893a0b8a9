//! Whether the machine is as fast as usual. A process without an engine checks that before each session.

use std::time::Duration;

use crate::worker::protocol::MachineCheck;

/// How long the check computes before a session.
pub(super) const DURATION: Duration = Duration::from_millis(100);
/// A machine is noisy if an iteration takes longer than usual by more than this factor.
const SLOWER: f64 = 1.10;
/// A machine is noisy if the hypervisor takes more than this share of the processor time.
const STOLEN: f64 = 0.02;
/// How often a session may be postponed.
pub(super) const MAX_DELAYS: usize = 2;

/// The usual speed of the machine: nanoseconds of an iteration in each check so far.
#[derive(Debug, Default)]
pub(super) struct Baseline(Vec<f64>);

impl Baseline {
    /// Why the machine is noisy, if it is, by this check and those before it.
    pub(super) fn noise(&mut self, check: MachineCheck) -> Option<String> {
        let usual = lower_quartile(&self.0);
        self.0.push(check.nanos_per_iteration);
        noise(check, usual)
    }
}

/// Notes for a session that was postponed `delays` times, or runs on a noisy machine after all. They have no measured values,
/// so that a report can count equal notes.
pub(super) fn notes(delays: usize, noisy: bool) -> Vec<String> {
    let postponed = match delays {
        0 => None,
        1 => Some("the session was put off once, as the machine was noisy".to_owned()),
        _ => Some(format!("the session was put off {delays} times, as the machine was noisy")),
    };
    postponed.into_iter().chain(noisy.then(|| "measured although the machine was noisy".into())).collect()
}

/// Why the machine is noisy, if it is; `usual` is its usual speed.
fn noise(check: MachineCheck, usual: Option<f64>) -> Option<String> {
    if let Some(stolen) = check.steal_share.filter(|share| *share > STOLEN) {
        return Some(format!("the hypervisor takes {:.1} % of the processor time", stolen * 100.0));
    }
    let slower = check.nanos_per_iteration / usual?;
    (slower > SLOWER).then(|| format!("the processor is {:.0} % slower than usual", (slower - 1.0) * 100.0))
}

/// The value with a quarter of the values below it; `None` for fewer than four.
fn lower_quartile(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    (values.len() >= 4).then(|| values[values.len() / 4])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(nanos_per_iteration: f64, steal_share: f64) -> MachineCheck {
        MachineCheck { nanos_per_iteration, steal_share: Some(steal_share), ..MachineCheck::default() }
    }

    #[test]
    fn a_machine_that_is_slow_or_loses_time_to_the_hypervisor_is_noisy() {
        assert_eq!(noise(check(1.05, 0.0), Some(1.0)), None);
        assert!(noise(check(1.2, 0.0), Some(1.0)).unwrap().contains("20 % slower"));
        assert!(noise(check(1.0, 0.03), Some(1.0)).unwrap().contains("3.0 %"));
        assert_eq!(noise(check(9.0, 0.0), None), None);
    }

    #[test]
    fn a_postponed_session_has_a_note() {
        assert!(notes(0, false).is_empty());
        assert_eq!(notes(1, false), ["the session was put off once, as the machine was noisy"]);
        assert_eq!(notes(2, true).len(), 2);
    }

    #[test]
    fn the_usual_speed_is_known_after_four_checks() {
        assert_eq!(lower_quartile(&[3.0, 2.0, 1.0]), None);
        assert_eq!(lower_quartile(&[4.0, 3.0, 2.0, 1.0]), Some(2.0));
    }
}
