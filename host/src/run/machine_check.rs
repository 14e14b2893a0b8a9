//! Whether the machine is as fast as it usually is: looked at before each session, by a process without an engine.

use std::time::Duration;

use crate::worker::protocol::Canary;

/// How long the check computes before a session.
pub(super) const DURATION: Duration = Duration::from_millis(100);
/// A machine that is slower than its usual speed by more than this is noisy.
const SLOWER: f64 = 1.10;
/// A machine of which the hypervisor takes more than this is noisy.
const STOLEN: f64 = 0.02;
/// How often a session may be put off.
pub(super) const MAX_DELAYS: usize = 2;

/// What the checks showed so far.
#[derive(Debug, Default)]
pub(super) struct MachineCheck {
    /// Nanoseconds of an iteration, one a check.
    speeds: Vec<f64>,
}

impl MachineCheck {
    /// What makes the machine noisy, if anything does, by this check and those before it.
    pub(super) fn noise(&mut self, canary: Canary) -> Option<String> {
        let usual = lower_quartile(&self.speeds);
        self.speeds.push(canary.nanos_per_iteration);
        noise(canary, usual)
    }
}

/// What is to be noted of a session that was put off, or is run on a noisy machine after all: without figures, so that a
/// report can count equal notes.
pub(super) fn notes(put_off: usize, noisy: bool) -> Vec<String> {
    let put_off = match put_off {
        0 => None,
        1 => Some("the session was put off once, as the machine was disturbed".to_owned()),
        _ => Some(format!("the session was put off {put_off} times, as the machine was disturbed")),
    };
    put_off.into_iter().chain(noisy.then(|| "measured although the machine was disturbed".into())).collect()
}

/// What makes the machine noisy, if anything does; `usual` is its usual speed.
fn noise(canary: Canary, usual: Option<f64>) -> Option<String> {
    if let Some(stolen) = canary.steal_share.filter(|share| *share > STOLEN) {
        return Some(format!("the hypervisor takes {:.1} % of the processor time", stolen * 100.0));
    }
    let slower = canary.nanos_per_iteration / usual?;
    (slower > SLOWER).then(|| format!("the processor is {:.0} % slower than usual", (slower - 1.0) * 100.0))
}

/// A quarter of the values are below it. Nothing before there are four.
fn lower_quartile(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    (values.len() >= 4).then(|| values[values.len() / 4])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canary(nanos_per_iteration: f64, steal_share: f64) -> Canary {
        Canary { nanos_per_iteration, steal_share: Some(steal_share), ..Canary::default() }
    }

    #[test]
    fn a_machine_that_is_slow_or_robbed_is_noisy() {
        assert_eq!(noise(canary(1.05, 0.0), Some(1.0)), None);
        assert!(noise(canary(1.2, 0.0), Some(1.0)).unwrap().contains("20 % slower"));
        assert!(noise(canary(1.0, 0.03), Some(1.0)).unwrap().contains("3.0 %"));
        assert_eq!(noise(canary(9.0, 0.0), None), None);
    }

    #[test]
    fn what_was_put_off_is_noted() {
        assert!(notes(0, false).is_empty());
        assert_eq!(notes(1, false), ["the session was put off once, as the machine was disturbed"]);
        assert_eq!(notes(2, true).len(), 2);
    }

    #[test]
    fn what_is_usual_is_known_after_four_checks() {
        assert_eq!(lower_quartile(&[3.0, 2.0, 1.0]), None);
        assert_eq!(lower_quartile(&[4.0, 3.0, 2.0, 1.0]), Some(2.0));
    }
}
