//! The result of the self-test.

use serde::Serialize;

use super::aa::AaComparison;
use super::attempt::Ended;
use super::table::{How, Row};
use crate::stats::MARGIN;
use crate::worker::cheat::Cheat;

/// The largest number of false verdicts that chance explains: three of ten happen by chance once in a thousand times.
const MOST_FALSE: usize = 2;

/// The largest ratio of an A/A comparison: a verdict claims a difference beyond this.
pub(crate) const MOST_DIFFERENT: f64 = MARGIN;

/// The result of one cheat.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CheatResult {
    #[serde(rename = "lie")]
    pub cheat: Cheat,
    /// What the backend does.
    pub does: &'static str,
    /// Whether the harness detected the cheat as it should, or verified the honest backend.
    pub caught: bool,
    pub how: How,
    /// The check that detects it.
    pub by: &'static str,
    /// The reason that the record has.
    pub reason: String,
}

/// A cheat that is not detected, as documented.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Limit {
    pub does: &'static str,
    pub why: &'static str,
    /// How it ended; null if it was not tried.
    pub how: Option<How>,
}

/// A cheat that is detected, and tried in the tests of this repository only: it takes a whole comparison, or another plugin.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Elsewhere {
    pub does: &'static str,
    pub by: &'static str,
}

/// The result of the self-test.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Findings {
    /// The result of each cheat, with the honest backend first.
    #[serde(rename = "liars")]
    pub cheats: Vec<CheatResult>,
    pub elsewhere: Vec<Elsewhere>,
    pub limits: Vec<Limit>,
    #[serde(rename = "beside")]
    pub aa: AaComparison,
    /// The overhead of the harness: the median seconds from request to reply of an empty run.
    pub floor_seconds: f64,
}

/// Whether measurements can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Conclusion {
    Passed,
    /// A cheat was not detected, an honest run was rejected, or a backend was found to be faster than itself.
    Failed,
    /// The A/A comparison differs by more than it may, and by no more than the noise explains.
    TooNoisy,
}

impl Conclusion {
    /// Whether the A/A comparison says how much this machine differs from itself. One on a machine that was too noisy would, for a year,
    /// make noise of every slowdown that is smaller.
    pub(crate) fn is_kept(self) -> bool {
        self == Self::Passed
    }
}

impl CheatResult {
    pub(crate) fn new(row: &Row, cheat: Cheat, ended: Ended) -> Self {
        let Ended { how, reason } = ended;
        Self { cheat, does: row.does, caught: row.caught.contains(&how), how, by: row.by, reason }
    }
}

impl Findings {
    pub(crate) fn conclusion(&self) -> Conclusion {
        let AaComparison { false_verdicts, largest_difference, rejected, .. } = self.aa;
        let all_caught = self.cheats.iter().all(|result| result.caught);
        if !all_caught || rejected > 0 || false_verdicts > MOST_FALSE {
            Conclusion::Failed
        } else if largest_difference > MOST_DIFFERENT {
            Conclusion::TooNoisy
        } else {
            Conclusion::Passed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(caught: bool, aa: AaComparison) -> Findings {
        let ended = Ended { how: if caught { How::Invalid } else { How::Believed }, reason: String::new() };
        let row =
            Row { cheat: Some(Cheat::Drop), does: "", is_caught: true, caught: &[How::Invalid], by: "" };
        let cheats = vec![CheatResult::new(&row, Cheat::Drop, ended)];
        Findings { cheats, elsewhere: Vec::new(), limits: Vec::new(), aa, floor_seconds: 0.001 }
    }

    #[test]
    fn only_the_a_a_comparison_of_a_test_that_passed_is_kept() {
        let conclusions = [Conclusion::Passed, Conclusion::Failed, Conclusion::TooNoisy];
        assert_eq!(conclusions.map(Conclusion::is_kept), [true, false, false]);
    }

    #[test]
    fn an_a_a_comparison_that_differs_fails_or_says_that_the_machine_is_too_noisy() {
        let aa = |false_verdicts, largest_difference, rejected| AaComparison {
            false_verdicts,
            largest_difference,
            rejected,
            ..AaComparison::default()
        };
        for (expected, caught, aa) in [
            (Conclusion::Passed, true, aa(0, 1.049, 0)),
            (Conclusion::TooNoisy, true, aa(0, 1.408, 0)),
            (Conclusion::TooNoisy, true, aa(2, 1.06, 0)),
            (Conclusion::Failed, true, aa(3, 1.06, 0)),
            (Conclusion::Failed, true, aa(0, 1.0, 1)),
            (Conclusion::Failed, false, aa(0, 1.0, 0)),
        ] {
            let findings = findings(caught, aa);
            assert_eq!(findings.conclusion(), expected, "{findings:?}");
        }
    }
}
