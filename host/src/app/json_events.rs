//! Events as lines of JSON on standard output.

use serde_json::{Value, json};

use super::progress::measured_load;
use crate::metg::MeasuredLoad;
use crate::plan::Purpose;
use crate::run::event::Event;
use crate::run::trial::{TrialResult, TrialSpec};
use crate::text::single_line;

/// The line of an event, if it has one, when so many of all measured trials are `done`. That of a trial of a sweep has no number, as
/// not all of them are known before.
pub(super) fn line(event: &Event<'_>, done: usize, trials: usize) -> Option<Value> {
    Some(match event {
        Event::MachineChecked(session, check) => {
            json!({"event": "canary", "backend": session.backend.name, "canary": check})
        }
        Event::ReferenceTimed(block, seconds) => {
            json!({"event": "reference", "block": block.index, "seconds_per_iteration": seconds})
        }
        Event::Postponed(session, why) => {
            json!({"event": "put_off", "backend": session.backend.name, "reason": why})
        }
        Event::Finished(trial, result) if trial.purpose == Purpose::Measured => {
            finished(trial, result, done, trials)
        }
        _ => return None,
    })
}

fn finished(trial: &TrialSpec, result: &TrialResult, done: usize, trials: usize) -> Value {
    let mut line = json!({
        "event": "trial", "block": trial.block, "backend": trial.backend.name,
        "status": result.outcome.status(), "duration_seconds": result.seconds(),
        "failure": result.outcome.error().map(|error| single_line(&error.message)),
    });
    let more = match trial.granularity {
        None => json!({"point": trial.cell.point, "done": done, "trials": trials}),
        Some(granularity) => {
            let measured = measured_load(trial, result);
            json!({
                "kernel_seconds": granularity.kernel_seconds, "tasks": trial.cell.spec.total_items,
                "granularity_seconds": measured.as_ref().map(MeasuredLoad::granularity),
                "efficiency": measured.as_ref().map(MeasuredLoad::efficiency),
            })
        }
    };
    if let (Value::Object(line), Value::Object(more)) = (&mut line, more) {
        line.extend(more);
    }
    line
}
