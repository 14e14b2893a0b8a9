//! Events as lines of JSON on standard output.

use serde_json::{Value, json};

use super::progress::measured_load;
use super::ui::Ui;
use crate::metg::MeasuredLoad;
use crate::plan::Purpose;
use crate::run::event::Event;
use crate::run::trial::{TrialResult, TrialSpec};
use crate::text::printable;

/// Prints events as JSON, one a line, where JSON was asked for.
pub(crate) struct JsonEvents {
    /// The number of measured trials, and how many are done. Not printed of sweeps, whose trials are not known before.
    trials: usize,
    done: usize,
}

impl JsonEvents {
    pub(crate) fn new(trials: usize, done: usize) -> Self {
        Self { trials, done }
    }

    pub(crate) fn note(&mut self, event: &Event<'_>, ui: &mut Ui) {
        if !ui.json() {
            return;
        }
        if let Some(line) = self.line(event) {
            ui.result(&line.to_string());
        }
    }

    fn line(&mut self, event: &Event<'_>) -> Option<Value> {
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
                self.done += 1;
                self.trial(trial, result)
            }
            _ => return None,
        })
    }

    fn trial(&self, trial: &TrialSpec, result: &TrialResult) -> Value {
        let mut line = json!({
            "event": "trial", "block": trial.block, "backend": trial.backend.name,
            "status": result.outcome.status(), "duration_seconds": result.seconds(),
            "failure": result.outcome.error().map(|error| printable(&error.message)),
        });
        let more = match trial.granularity {
            None => json!({"point": trial.cell.point, "done": self.done, "trials": self.trials}),
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
}
