//! How a recorded trial ended, whoever wrote the record. No other module derives it from the text of a record.

use super::format::{Metadata, TrialRecord, UnifiedRecord};
use crate::run::outcome::{Outcome, Status};
use crate::run::session::{CallError, Fault};

impl TrialRecord {
    /// How the trial ended. A record that claims a verified answer, but has another one than it expects, is invalid.
    pub fn outcome(&self) -> Outcome {
        let error = || {
            let error = self.record.metadata.error.clone();
            error.unwrap_or_else(|| unexplained("no_figures", "the record does not say why its trial failed"))
        };
        match self.status {
            Status::Verified | Status::Unverified => self.record.outcome(),
            Status::Wrong => Outcome::Wrong(error()),
            Status::Invalid => Outcome::Invalid(error()),
            Status::Failed => Outcome::Failed(error()),
        }
    }
}

impl UnifiedRecord {
    /// How the trial ended, as far as the record says. It has no status of its own, as the original project's has none.
    pub fn outcome(&self) -> Outcome {
        let metadata = &self.metadata;
        if let Some(error) = &metadata.error {
            return match error.fault {
                Fault::WrongAnswer => Outcome::Wrong(error.clone()),
                Fault::InvalidMeasurement => Outcome::Invalid(error.clone()),
                _ => Outcome::Failed(error.clone()),
            };
        }
        let failed = self.success_rate.is_some_and(|rate| rate < 1.0) || metadata.verified == Some(false);
        if failed || figure(self.duration_seconds).is_none() {
            let why = "the record has no figures and does not say why";
            Outcome::Failed(unexplained("no_figures", why))
        } else if contradicts_itself(metadata) {
            let why = "the record says that the answer was verified, but holds another one";
            Outcome::Invalid(unexplained("contradiction", why))
        } else if differs_from_clock(self.duration_seconds, metadata.worker_elapsed) {
            let why = "the record's duration is not the time by the worker's clock that it holds";
            Outcome::Invalid(unexplained("contradiction", why))
        } else if metadata.verified == Some(true) && has_answer(metadata) {
            Outcome::Verified
        } else {
            Outcome::Unverified
        }
    }
}

/// A time or a rate, which must be finite and positive.
pub(crate) fn figure(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.is_finite() && *value > 0.0)
}

/// The failure of a record that does not say why its trial failed.
fn unexplained(kind: &str, why: &str) -> CallError {
    CallError { phase: "record".into(), fault: Fault::Other(kind.into()), message: why.into(), remedy: None }
}

/// Whether both are there and differ. They are one reading of a clock, written twice.
fn differs_from_clock(duration: Option<f64>, worker: Option<f64>) -> bool {
    duration.zip(worker).is_some_and(|(duration, worker)| duration != worker)
}

/// Whether the record holds the answer and what it must be. Without them it may say that somebody verified it, and not what.
fn has_answer(metadata: &Metadata) -> bool {
    let counts = [metadata.results_count, metadata.expected_count];
    let checksums = [&metadata.checksum, &metadata.expected_checksum];
    counts.iter().all(Option::is_some) && checksums.iter().all(|checksum| checksum.is_some())
}

/// Whether the answer in the record differs from the expected answer in it.
fn contradicts_itself(metadata: &Metadata) -> bool {
    fn differ<T: PartialEq>(one: Option<&T>, other: Option<&T>) -> bool {
        one.zip(other).is_some_and(|(one, other)| one != other)
    }
    differ(metadata.results_count.as_ref(), metadata.expected_count.as_ref())
        || differ(metadata.checksum.as_ref(), metadata.expected_checksum.as_ref())
}
