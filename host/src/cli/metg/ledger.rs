//! Writes down what happens in sweeps, and shows it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};

use crate::app::Problem;
use crate::app::participants::Part;
use crate::app::trials::Circumstances;
use crate::app::ui::Ui;
use crate::metg::Measured;
use crate::plan::{Cell, Plan};
use crate::record::{Granularity, Kind, Library, Status, SystemProfile, TrialRecord, Writer};
use crate::report::duration;
use crate::run::Event;
use crate::run::rig::{Done, Happening, Purpose};
use crate::text::printable;
use crate::worker::protocol::Folders;

/// Who takes part, with what, and where.
pub(super) struct Company {
    /// Who plays each part, by the name under which it takes part.
    pub(super) backends: BTreeMap<String, Part>,
    pub(super) libraries: BTreeMap<String, Library>,
    pub(super) machine: SystemProfile,
    /// Whether plugins are loaded whoever could have written them.
    pub(super) allow_untrusted: bool,
    pub(super) cores: Option<Vec<usize>>,
}

/// Writes down and shows what happens.
pub(super) struct Ledger<'a> {
    company: &'a Company,
    writer: Writer,
    locked: bool,
    folders: Folders,
    /// Seconds of an iteration in the block that is under way.
    seconds_per_iteration: f64,
    /// How many sweeps there are, and which is under way: its backend and block, counted from 1.
    sweeps: usize,
    under_way: Option<(usize, String, u32)>,
    begun: Instant,
}

impl<'a> Ledger<'a> {
    pub(super) fn open(
        company: &'a Company,
        output_dir: &Path,
        locked: bool,
        folders: Folders,
        plan: &Plan,
    ) -> Result<Self, Problem> {
        Ok(Self {
            company,
            writer: Writer::open(output_dir)?,
            locked,
            folders,
            seconds_per_iteration: 0.0,
            sweeps: plan.blocks.iter().map(|block| block.sessions.len()).sum(),
            under_way: None,
            begun: Instant::now(),
        })
    }

    /// Takes note of what happened: a trial is on the disk when this returns.
    pub(super) fn note(&mut self, happening: Happening<'_>, ui: &mut Ui) -> Result<(), Problem> {
        match happening {
            Happening::Looked(session, canary) => {
                let backend = &session.backend.name;
                event(ui, &json!({"event": "canary", "backend": backend, "canary": canary}));
            }
            Happening::Referenced(block, seconds) => {
                self.seconds_per_iteration = seconds;
                let block = block.index;
                event(ui, &json!({"event": "reference", "block": block, "seconds_per_iteration": seconds}));
            }
            Happening::PutOff(session, why) => {
                let backend = &session.backend.name;
                event(ui, &json!({"event": "put_off", "backend": backend, "reason": why}));
                ui.note(&format!("{backend} is put off: {why}"));
            }
            Happening::Started(block, session, cell, purpose) => {
                let number = self.number(&session.backend.name, block.index);
                let what = match purpose {
                    Purpose::WarmUp(number) => format!("warm-up {}", number + 1),
                    Purpose::Measured => format!("kernels of {}", duration(self.kernel_seconds(cell))),
                };
                let left = self.time_left(number);
                ui.doing(&format!("{} block {} ({what}{left})", session.backend.name, block.index + 1));
                ui.steps(number as u64 - 1, self.sweeps as u64);
            }
            // The line above says what runs; a bar for each run would hide how far the whole is.
            Happening::Event(Event::Log(level, target, message)) => {
                crate::app::progress::show(ui, Event::Log(level, target, message));
            }
            Happening::Event(_) => {}
            Happening::Done(done) => self.done(*done, ui)?,
        }
        Ok(())
    }

    /// Which sweep is under way, counted from 1.
    fn number(&mut self, backend: &str, block: u32) -> usize {
        let number = match &self.under_way {
            Some((number, known, known_block)) if known == backend && *known_block == block => *number,
            before => before.as_ref().map_or(0, |(number, ..)| *number) + 1,
        };
        self.under_way = Some((number, backend.to_owned(), block));
        number
    }

    /// How long the rest takes if it goes on as until now.
    fn time_left(&self, number: usize) -> String {
        let done = number - 1;
        if done == 0 {
            return String::new();
        }
        let seconds =
            self.begun.elapsed().as_secs_f64() / done as f64 * self.sweeps.saturating_sub(done) as f64;
        if seconds < 90.0 {
            format!(", {seconds:.0} s left")
        } else {
            format!(", {:.0} min left", seconds / 60.0)
        }
    }

    fn kernel_seconds(&self, cell: &Cell) -> f64 {
        let iterations = cell.spec.extra.get("iters").and_then(Value::as_u64).unwrap_or_default();
        iterations as f64 * self.seconds_per_iteration
    }

    fn done(&mut self, done: Done<'_>, ui: &mut Ui) -> Result<(), Problem> {
        let (block, backend) = (done.block.index, done.session.backend.name.clone());
        let kernel_seconds = self.kernel_seconds(done.cell);
        let metg = Granularity { seconds_per_iteration: self.seconds_per_iteration, kernel_seconds };
        let circumstances = Circumstances {
            backends: &self.company.backends,
            libraries: &self.company.libraries,
            machine: &self.company.machine,
            allow_untrusted: self.company.allow_untrusted,
            locked: self.locked,
            cores: self.company.cores.as_deref(),
            folders: &self.folders,
        };
        let trial = circumstances.record(done, Some(metg));
        self.writer.append_trial(&trial)?;
        if trial.kind == Kind::Measured {
            self.writer.append_unified(&trial.record)?;
            show(block, &backend, kernel_seconds, &trial, ui);
        }
        Ok(())
    }

    pub(super) fn derive_table(&mut self) -> Result<(), Problem> {
        self.writer.derive_csv()?;
        Ok(())
    }
}

fn event(ui: &mut Ui, event: &Value) {
    if ui.json() {
        ui.result(&event.to_string());
    }
}

fn show(block: u32, backend: &str, kernel_seconds: f64, trial: &TrialRecord, ui: &mut Ui) {
    let record = &trial.record;
    let (tasks, seconds) = (record.metadata.total_items.unwrap_or_default(), record.duration_seconds);
    let cores = record.parallelism;
    let point = seconds.map(|seconds| Measured { kernel_seconds, tasks, seconds, cores });
    let efficiency = point.map(|point| point.efficiency());
    let failure = record.metadata.error.as_ref().map(|failure| printable(&failure.message));
    event(
        ui,
        &json!({
            "event": "trial", "block": block, "backend": backend, "status": trial.status,
            "kernel_seconds": kernel_seconds, "tasks": tasks, "duration_seconds": seconds,
            "efficiency": efficiency, "failure": failure,
        }),
    );
    let what = match (trial.status, seconds.zip(efficiency), failure) {
        (Status::Verified, Some((seconds, efficiency)), _) => {
            format!("{seconds:.3} s, {:.1} % efficient, verified", efficiency * 100.0)
        }
        (_, _, failure) => failure.unwrap_or_default(),
    };
    // On a terminal the bar says it, but for what failed.
    if trial.status != Status::Verified || !ui.is_watched() {
        let kernel = duration(kernel_seconds);
        ui.note(&format!("block {} {backend} {tasks} kernels of {kernel}: {what}", block + 1));
    }
}
