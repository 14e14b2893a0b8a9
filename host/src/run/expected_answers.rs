//! The expected answers of points, in this process's memory and nowhere else.

use std::collections::HashMap;
use std::time::Duration;

use plugin_api::WorkloadSpec;
use plugin_api::workload::Outcome as Answer;

use super::reference::point;
use super::session::{CallError, Fault};

/// How long it is waited before an oracle that lacked memory is run again.
const MEMORY_PAUSE: Duration = Duration::from_secs(5);

#[derive(Default)]
pub(super) struct ExpectedAnswers {
    /// By point and data. The oracle is deterministic, so that a failure is not tried again either.
    answers: HashMap<String, Result<Answer, CallError>>,
    /// Points whose oracle timed out, or lacked memory twice in this block: other data of the same point would take as much again.
    given_up: HashMap<String, CallError>,
}

impl ExpectedAnswers {
    /// What is known of `spec`; `None` if its oracle is to be run.
    pub(super) fn of(&self, spec: &WorkloadSpec) -> Option<Result<Answer, CallError>> {
        let given_up = || self.given_up.get(&point(spec)).map(|error| Err(error.clone()));
        self.answers.get(&data(spec)).cloned().or_else(given_up)
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
                Fault::TimedOut | Fault::OutOfMemory => {
                    drop(self.given_up.insert(point(spec), error.clone()))
                }
                _ => {}
            }
        }
        self.answers.insert(data(spec), expected.clone());
    }

    /// Lets the oracles that lacked memory run again with other data: what else has taken the memory may have ended by the next block.
    pub(super) fn forget_lack_of_memory(&mut self) {
        self.given_up.retain(|_, error| error.fault != Fault::OutOfMemory);
    }
}

/// What the judge answers to `ask`. If the system ended its worker for lack of memory, it is asked once more after a `pause`, as what else
/// has taken the memory may have ended by then. That is before the engine starts, beside which only the oracles of further warm-ups run
/// anyway. The second time, the oracle takes too much.
pub(super) fn again_if_memory_lacked(
    mut ask: impl FnMut() -> Result<Answer, CallError>,
    pause: impl FnOnce(Duration),
) -> Result<Answer, CallError> {
    let expected = ask();
    if !expected.as_ref().is_err_and(|error| error.fault == Fault::OutOfMemory) {
        return expected;
    }
    pause(MEMORY_PAUSE);
    ask()
}

/// The point of `spec`, with its data.
fn data(spec: &WorkloadSpec) -> String {
    format!("{}{}", point(spec), spec.seed)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn failure(fault: Fault) -> Result<Answer, CallError> {
        Err(CallError::new(fault, "expect", "planted"))
    }

    #[test]
    fn an_oracle_that_lacked_memory_is_run_again_once_after_a_pause() {
        let right = Answer { count: 1, checksum: "0".into(), waiting_seconds: None, latency: None };
        let lacks = || failure(Fault::OutOfMemory);
        for (first, second, asked) in [
            (lacks(), Ok(right.clone()), "ask pause ask"),
            (lacks(), lacks(), "ask pause ask"),
            (failure(Fault::Crashed), Ok(right.clone()), "ask"),
            (Ok(right), lacks(), "ask"),
        ] {
            let (told, mut answers) = (RefCell::new(Vec::new()), [first.clone(), second.clone()].into_iter());
            let ask = || {
                told.borrow_mut().push("ask");
                answers.next().unwrap()
            };
            let answer = again_if_memory_lacked(ask, |_| told.borrow_mut().push("pause"));
            assert_eq!(told.borrow().join(" "), asked);
            let last = if asked == "ask" { first } else { second };
            assert_eq!(answer.map_err(|error| error.fault), last.map_err(|error| error.fault));
        }
    }

    #[test]
    fn a_crash_is_kept_for_its_data_and_what_takes_too_much_for_all_data_of_the_point() {
        let spec = WorkloadSpec::new("null");
        let other = WorkloadSpec { seed: 9, ..spec.clone() };
        for (fault, [own, others]) in [
            (Fault::Crashed, [true, false]),
            (Fault::OutOfMemory, [true, true]),
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

    #[test]
    fn an_oracle_that_lacked_memory_runs_again_in_the_next_block_and_one_that_timed_out_does_not() {
        let spec = WorkloadSpec::new("null");
        let other = WorkloadSpec { seed: 9, ..spec.clone() };
        for (fault, kept) in [(Fault::OutOfMemory, false), (Fault::TimedOut, true)] {
            let mut answers = ExpectedAnswers::default();
            answers.add(&spec, &failure(fault.clone()));
            answers.forget_lack_of_memory();
            assert_eq!(answers.of(&other).is_some(), kept, "{fault:?}");
        }
    }
}
