//! Whether the machine is as fast as usual. A process without an engine checks that before each session.

use std::fmt;
use std::time::Duration;

use crate::text::with_remedy;
use crate::worker::protocol::MachineCheck;

/// How long the check computes before a session. A debug build measures nothing of worth, and its tests have thousands of sessions.
pub(super) const DURATION: Duration = Duration::from_millis(if cfg!(debug_assertions) { 10 } else { 100 });
/// A machine is noisy if an iteration takes longer than usual by more than this factor.
const SLOWER: f64 = 1.10;
/// A machine is noisy if the hypervisor takes more than this share of the processor time.
const STOLEN: f64 = 0.02;
/// How often a session may be postponed.
pub(super) const MAX_DELAYS: usize = 2;

/// The usual speed of the machine.
#[derive(Debug, Default)]
pub(crate) struct Baseline {
    /// Nanoseconds of an iteration in each check so far.
    checks: Vec<f64>,
    /// The same at the best that the machine has shown in earlier runs: it may be slow from the start of this one.
    best: Option<f64>,
}

impl Baseline {
    /// Before the first check; `best` is the best speed of earlier runs, in nanoseconds of an iteration.
    pub(crate) fn new(best: Option<f64>) -> Self {
        Self { checks: Vec::new(), best }
    }

    /// The number of checks so far, and their lower quartile in nanoseconds of an iteration; `None` for fewer than four.
    pub(crate) fn usual(&self) -> Option<(usize, f64)> {
        Some((self.checks.len(), lower_quartile(&self.checks)?))
    }

    /// Why the machine is noisy, if it is, by this check and those before it.
    pub(super) fn noise(&mut self, check: MachineCheck) -> Option<Noise> {
        let usual = lower_quartile(&self.checks);
        self.checks.push(check.nanos_per_iteration);
        noise(check, usual, self.best)
    }
}

/// Why a machine is noisy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Noise {
    /// The hypervisor takes this share of the processor time.
    Stolen(f64),
    /// An iteration takes longer than usual in this run, by this factor.
    Slower(f64),
    /// An iteration takes longer than in earlier runs, by this factor.
    SlowerThanBefore(f64),
}

impl fmt::Display for Noise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |factor: &f64| (factor - 1.0) * 100.0;
        match self {
            Self::Stolen(share) => {
                write!(f, "the hypervisor takes {:.1} % of the processor time", share * 100.0)
            }
            Self::Slower(factor) => write!(f, "the processor is {:.0} % slower than usual", percent(factor)),
            Self::SlowerThanBefore(factor) => write!(
                f,
                "the processor is {:.0} % slower than at its best in the last 30 days",
                percent(factor)
            ),
        }
    }
}

impl Noise {
    /// The note for a session that runs nevertheless.
    fn note(self) -> String {
        match self {
            Self::Stolen(_) | Self::Slower(_) => "measured although the machine was noisy".to_owned(),
            Self::SlowerThanBefore(_) => with_remedy(
                "measured although the machine was more than 10 % slower than at its best in the last 30 days, \
                 which can be forgotten",
                Some("crossrun doctor --reset"),
            ),
        }
    }
}

/// Notes for a session that was postponed `delays` times, or runs on a noisy machine after all. They have no measured values,
/// so that a report can count equal notes.
pub(super) fn notes(delays: usize, noise: Option<Noise>) -> Vec<String> {
    let postponed = match delays {
        0 => None,
        1 => Some("the session was postponed once, as the machine was noisy".to_owned()),
        _ => Some(format!("the session was postponed {delays} times, as the machine was noisy")),
    };
    postponed.into_iter().chain(noise.map(Noise::note)).collect()
}

/// Why the machine is noisy, if it is; `usual` is its usual speed in this run, and `best` that of earlier runs.
fn noise(check: MachineCheck, usual: Option<f64>, best: Option<f64>) -> Option<Noise> {
    if let Some(stolen) = check.steal_share.filter(|share| *share > STOLEN) {
        return Some(Noise::Stolen(stolen));
    }
    let slower_than = |nanos: f64| Some(check.nanos_per_iteration / nanos).filter(|factor| *factor > SLOWER);
    let in_this_run = usual.and_then(slower_than).map(Noise::Slower);
    in_this_run.or_else(|| best.and_then(slower_than).map(Noise::SlowerThanBefore))
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
        let why = |check, usual| noise(check, usual, None).map(|noise| noise.to_string());
        assert_eq!(why(check(1.05, 0.0), Some(1.0)), None);
        assert!(why(check(1.2, 0.0), Some(1.0)).unwrap().contains("20 % slower than usual"));
        assert!(why(check(1.0, 0.03), Some(1.0)).unwrap().contains("3.0 %"));
        assert_eq!(why(check(9.0, 0.0), None), None);
    }

    #[test]
    fn a_machine_that_is_slow_from_the_start_is_compared_with_what_it_was_before() {
        let mut baseline = Baseline::new(Some(1.0));
        let mut slow: Vec<_> = (0..8).map(|_| baseline.noise(check(1.3, 0.0)).unwrap()).collect();
        assert!(slow.iter().all(|noise| *noise == Noise::SlowerThanBefore(1.3)), "{slow:?}");
        let noise = slow.remove(0);
        assert!(noise.to_string().contains("30 % slower than at its best"), "{noise}");
        assert!(notes(0, Some(noise))[0].ends_with("crossrun doctor --reset"));
        assert_eq!(baseline.noise(check(1.05, 0.0)), None);
        assert_eq!(baseline.noise(check(1.5, 0.0)), Some(Noise::Slower(1.5 / 1.3)));
        assert_eq!(baseline.usual(), Some((10, 1.3)));
        assert_eq!(Baseline::new(Some(1.0)).usual(), None);
    }

    #[test]
    fn a_postponed_session_has_a_note() {
        assert!(notes(0, None).is_empty());
        assert_eq!(notes(1, None), ["the session was postponed once, as the machine was noisy"]);
        let noisy = [
            "the session was postponed 2 times, as the machine was noisy",
            "measured although the machine was noisy",
        ];
        assert_eq!(notes(2, Some(Noise::Slower(1.2))), noisy);
    }

    #[test]
    fn the_usual_speed_is_known_after_four_checks() {
        assert_eq!(lower_quartile(&[3.0, 2.0, 1.0]), None);
        assert_eq!(lower_quartile(&[4.0, 3.0, 2.0, 1.0]), Some(2.0));
    }
}
