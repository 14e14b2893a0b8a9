//! From what a trial came to, as dispatch reports it, to what a record keeps of it.

use crate::record::{Conclusion, Failure, Observation};
use crate::run::judge::Verdict;
use crate::run::session::CallError;
use crate::run::{self, Report};

pub(crate) fn failure(error: CallError) -> Failure {
    let kind = error.kind();
    Failure { phase: error.phase.into(), kind, message: error.message, remedy: error.remedy }
}

pub(crate) fn observation(report: Report) -> Observation {
    let Report { phases, expected, actual, finished, conclusion, usage, warnings } = report;
    let conclusion = match conclusion {
        run::Conclusion::Judged(Verdict::Verified) => Conclusion::Verified,
        run::Conclusion::Judged(Verdict::Wrong(why)) => Conclusion::Wrong(why),
        run::Conclusion::Judged(Verdict::Invalid(why) | Verdict::Late(why)) => Conclusion::Invalid(why),
        run::Conclusion::Failed(error) => Conclusion::Failed(failure(error)),
    };
    let run::Phases { load_seconds, open_seconds, host_elapsed, close_seconds } = phases;
    let mut observation = Observation {
        conclusion,
        scheduler_name: None,
        expected,
        actual,
        duration_seconds: None,
        host_elapsed,
        reported_elapsed: None,
        phases: crate::record::Phases { load_seconds, open_seconds, close_seconds },
        resources: crate::record::Resources {
            cpu_seconds: usage.map(|usage| usage.cpu_seconds),
            peak_memory_bytes: usage.map(|usage| usage.peak_memory_bytes),
        },
        metrics: serde_json::Map::new(),
        warnings,
    };
    if let Some(finished) = finished {
        observation.scheduler_name = Some(finished.scheduler_name);
        observation.duration_seconds = Some(finished.duration_seconds);
        observation.reported_elapsed = finished.elapsed_time;
        observation.metrics = finished.metrics;
    }
    observation
}
