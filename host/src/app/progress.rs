//! Progress on the terminal, and in lines on standard error.

use std::time::Instant;

use super::ui::Ui;
use crate::compare::metg::model::SweptGraph;
use crate::metg::MeasuredLoad;
use crate::plan::Purpose;
use crate::report::duration;
use crate::run::event::{Event, Phase};
use crate::run::outcome::Outcome;
use crate::run::trial::{Granularity, TrialResult, TrialSpec};
use crate::text::single_line;

/// Shows the phases of a trial that is run alone, and the progress of each.
pub(crate) fn show(ui: &mut Ui, event: &Event<'_>) {
    match event {
        Event::Phase(Phase::Expecting) => ui.status("computing the expected answer"),
        Event::Phase(Phase::Opening) => ui.status("starting the engine"),
        Event::Phase(Phase::Running) => ui.status("running"),
        Event::Phase(Phase::Judging) => ui.status("judging the answer"),
        Event::Progress(progress) => ui.progress(progress),
        Event::Log(level, target, message) => log_record(ui, *level, target, message),
        _ => {}
    }
}

fn log_record(ui: &mut Ui, level: u32, target: &str, message: &str) {
    ui.clear_status();
    let level = log::Level::iter().nth(level.saturating_sub(1) as usize).unwrap_or(log::Level::Trace);
    log::log!(target: target, level, "{}", single_line(message));
}

/// The progress of a schedule, and an estimate of the remaining time.
pub(crate) struct Progress {
    /// The number of units: measured trials of a comparison, or sweeps.
    pub(super) total: usize,
    pub(super) done: usize,
    /// When the process began, and how many units were done then.
    begun: (Instant, usize),
    /// The current sweep: its backend, its block, and its graph if it has one.
    sweep: Option<(String, Option<u32>, Option<String>)>,
}

impl Progress {
    pub(crate) fn new(total: usize, done: usize) -> Self {
        Self { total, done, begun: (Instant::now(), done), sweep: None }
    }

    pub(crate) fn note(&mut self, event: &Event<'_>, ui: &mut Ui) {
        match event {
            Event::Postponed(session, why) => {
                ui.note(&format!("{} is postponed: {why}", session.backend.name))
            }
            Event::Started(trial) => self.started(trial, ui),
            Event::Finished(trial, result) => self.finished(trial, result, ui),
            // Phases are not shown: they would hide the progress of the schedule.
            Event::Log(level, target, message) => log_record(ui, *level, target, message),
            _ => {}
        }
    }

    fn started(&mut self, trial: &TrialSpec, ui: &mut Ui) {
        if trial.granularity.is_some() {
            self.count_sweep(trial);
        }
        let (backend, left) = (&trial.backend.name, self.time_left());
        let what = match (trial.purpose, trial.granularity) {
            (Purpose::WarmUp(number), _) => format!("warm-up {}", number + 1),
            (Purpose::Measured, None) => "measured".to_owned(),
            (Purpose::Measured, Some(granularity)) => kernels(trial, granularity),
        };
        let place = match trial.granularity {
            None => trial.cell.point.clone(),
            Some(_) => block(trial) + &graph_name(trial),
        };
        ui.status(&format!("{backend} {place} ({what}{left})"));
        ui.steps(self.done as u64, self.total as u64);
    }

    /// Counts a sweep as done when the next one starts.
    fn count_sweep(&mut self, trial: &TrialSpec) {
        let sweep = (trial.backend.name.clone(), trial.block, graph(trial));
        if let Some(before) = self.sweep.replace(sweep.clone())
            && before != sweep
        {
            self.done += 1;
        }
    }

    fn finished(&mut self, trial: &TrialSpec, result: &TrialResult, ui: &mut Ui) {
        if trial.purpose != Purpose::Measured {
            return;
        }
        if trial.granularity.is_none() {
            self.done += 1;
        }
        // On a terminal the bar shows what is done; only failures need a line.
        if !result.outcome.is_verified() || !ui.shows_progress() {
            ui.note(&self.line(trial, result));
        }
    }

    fn line(&self, trial: &TrialSpec, result: &TrialResult) -> String {
        let (block, backend) = (block(trial), &trial.backend.name);
        let what = result_text(trial, result);
        match trial.granularity {
            None => format!("{}/{} {block} {backend} {}: {what}", self.done, self.total, trial.cell.point),
            Some(Granularity { kernel_seconds, .. }) => {
                let (tasks, kernel) = (trial.cell.spec.total_items, duration(kernel_seconds));
                let graph = graph_name(trial);
                format!("{block} {backend}{graph} {tasks} kernels of {kernel}: {what}")
            }
        }
    }

    fn time_left(&self) -> String {
        let (begun, before) = self.begun;
        let done = self.done - before;
        if done == 0 {
            return String::new();
        }
        let left = self.total.saturating_sub(self.done);
        let seconds = begun.elapsed().as_secs_f64() / done as f64 * left as f64;
        if seconds < 90.0 {
            format!(", {seconds:.0} s left")
        } else {
            format!(", {:.0} min left", seconds / 60.0)
        }
    }
}

/// `256 kernels of 107 ms: 14 s or more`. Nothing is said of how long short runs take.
fn kernels(trial: &TrialSpec, Granularity { kernel_seconds, .. }: Granularity) -> String {
    let spec = &trial.cell.spec;
    let kernels = format!("{} kernels of {}", spec.total_items, duration(kernel_seconds));
    let seconds = kernel_seconds * spec.total_items as f64 / f64::from(spec.parallelism.max(1));
    if seconds < 1.0 { kernels } else { format!("{kernels}: {seconds:.0} s or more") }
}

fn graph(trial: &TrialSpec) -> Option<String> {
    SweptGraph::planned(&trial.cell.spec.name, &trial.cell.spec.extra).map(|graph| graph.to_string())
}

/// The graph of a sweep's trial, after a space; nothing if it has none.
fn graph_name(trial: &TrialSpec) -> String {
    graph(trial).map_or_else(String::new, |graph| format!(" {graph}"))
}

/// People count blocks from 1, records from 0.
fn block(trial: &TrialSpec) -> String {
    format!("block {}", trial.block.unwrap_or_default() + 1)
}

fn result_text(trial: &TrialSpec, result: &TrialResult) -> String {
    match (&result.outcome, result.seconds()) {
        (Outcome::Verified, Some(seconds)) => match measured_load(trial, result) {
            None => format!("{seconds:.3} s, verified"),
            Some(load) => format!("{seconds:.3} s, {:.1} % efficient, verified", load.efficiency() * 100.0),
        },
        (outcome, _) => outcome.error().map(|error| single_line(&error.message)).unwrap_or_default(),
    }
}

/// The point of the curve, for a trial of a sweep.
pub(crate) fn measured_load(trial: &TrialSpec, result: &TrialResult) -> Option<MeasuredLoad> {
    let Granularity { kernel_seconds, .. } = trial.granularity?;
    let (tasks, cores) = (trial.cell.spec.total_items, trial.cell.spec.parallelism);
    Some(MeasuredLoad { kernel_seconds, tasks, seconds: result.seconds()?, cores })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::trial::examples;

    #[test]
    fn a_long_run_says_how_long_its_kernels_take() {
        let mut trial = examples::example(Outcome::Verified).trial;
        (trial.cell.spec.total_items, trial.cell.spec.parallelism) = (256, 2);
        let told = |kernel_seconds| {
            let granularity =
                Granularity { seconds_per_iteration: 1e-9, kernel_seconds, ..Granularity::default() };
            kernels(&trial, granularity)
        };
        assert_eq!(told(0.107), "256 kernels of 107 ms: 14 s or more");
        assert_eq!(told(0.00334), "256 kernels of 3.34 ms");
    }
}
