//! The expected answers of points, in this process's memory and nowhere else.

use std::collections::{HashMap, HashSet};

use plugin_api::WorkloadSpec;
use plugin_api::workload::Outcome as Answer;

use super::reference::point;
use super::session::{CallError, Fault};

#[derive(Default)]
pub(super) struct ExpectedAnswers {
    /// By point and data. The oracle is deterministic, so that a failure is not tried again either.
    answers: HashMap<String, Result<Answer, CallError>>,
    /// Points whose oracle timed out: other data of the same point would take as long again.
    timed_out: HashMap<String, CallError>,
    /// The data whose oracle has been ended once for lack of memory.
    lacked_memory: HashSet<String>,
}

impl ExpectedAnswers {
    /// What is known of `spec`; `None` if its oracle is to be run.
    pub(super) fn of(&self, spec: &WorkloadSpec) -> Option<Result<Answer, CallError>> {
        let timed_out = || self.timed_out.get(&point(spec)).map(|error| Err(error.clone()));
        self.answers.get(&data(spec)).cloned().or_else(timed_out)
    }

    /// Adds what the judge has answered, unless it may answer otherwise the next time.
    pub(super) fn add(&mut self, spec: &WorkloadSpec, expected: &Result<Answer, CallError>) {
        if let Err(error) = expected {
            // What the judge does before the oracle, such as listing the workloads, may succeed the next time.
            if error.phase != "expect" {
                return;
            }
            match error.fault {
                Fault::Interrupted => return,
                // What else has taken the memory may have ended by then. The second time, the oracle takes too much.
                Fault::OutOfMemory if self.lacked_memory.insert(data(spec)) => return,
                Fault::TimedOut => drop(self.timed_out.insert(point(spec), error.clone())),
                _ => {}
            }
        }
        self.answers.insert(data(spec), expected.clone());
    }
}

/// The point of `spec`, with its data.
fn data(spec: &WorkloadSpec) -> String {
    format!("{}{}", point(spec), spec.seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(fault: Fault) -> Result<Answer, CallError> {
        Err(CallError::new(fault, "expect", "planted"))
    }

    #[test]
    fn an_oracle_that_lacked_memory_is_run_again_once() {
        let (mut answers, spec) = (ExpectedAnswers::default(), WorkloadSpec::new("null"));
        let other = WorkloadSpec { seed: 9, ..spec.clone() };
        for (times, is_known) in [(1, false), (2, true)] {
            answers.add(&spec, &failure(Fault::OutOfMemory));
            assert_eq!(answers.of(&spec).is_some(), is_known, "{times}");
        }
        answers.add(&other, &failure(Fault::OutOfMemory));
        assert!(answers.of(&other).is_none());
    }

    #[test]
    fn a_crash_is_kept_for_its_data_and_a_time_out_for_all_data_of_the_point() {
        let spec = WorkloadSpec::new("null");
        let other = WorkloadSpec { seed: 9, ..spec.clone() };
        for (fault, [own, others]) in [
            (Fault::Crashed, [true, false]),
            (Fault::TimedOut, [true, true]),
            (Fault::Interrupted, [false, false]),
        ] {
            let mut answers = ExpectedAnswers::default();
            answers.add(&spec, &failure(fault.clone()));
            assert_eq!(
                [answers.of(&spec).is_some(), answers.of(&other).is_some()],
                [own, others],
                "{fault:?}"
            );
        }
        let mut answers = ExpectedAnswers::default();
        answers.add(&spec, &Err(CallError::new(Fault::Crashed, "catalogue", "planted")));
        assert!(answers.of(&spec).is_none());
    }
}
