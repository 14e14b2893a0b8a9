//! Writes down what happens in a campaign, and shows it.

use std::collections::HashSet;
use std::path::Path;
use std::time::Instant;

use serde_json::json;

use super::plan_file::PlanFile;
use crate::app::Problem;
use crate::app::trials::Circumstances;
use crate::app::ui::Ui;
use crate::plan::TrialId;
use crate::record::writer::TRIALS;
use crate::record::{Entry, Kind, Status, TrialRecord, Writer, command, reader};
use crate::run::Event;
use crate::run::rig::{Done, Happening, Purpose};
use crate::text::printable;
use crate::worker::protocol::Folders;

/// The trials that are recorded in `folder` and need not be run again.
pub(super) fn recorded(folder: &Path) -> Result<HashSet<TrialId>, Problem> {
    let path = folder.join(TRIALS);
    if !path.exists() {
        return Ok(HashSet::new());
    }
    let mut done = HashSet::new();
    for entry in reader::trials(&path)? {
        if let Entry::Record { record: trial, .. } = entry? {
            let (kind, record) = (trial.kind, trial.record);
            if let (Kind::Measured, Some(block)) = (kind, record.metadata.block) {
                done.insert(TrialId { block, backend: record.backend, run_id: record.run_id });
            }
        }
    }
    Ok(done)
}

/// Writes down and shows what happens.
pub(super) struct Ledger<'a> {
    file: &'a PlanFile,
    writer: Writer,
    locked: bool,
    folders: Folders,
    output_dir: std::path::PathBuf,
    trials: usize,
    done: usize,
    /// When this began, and how many were done then: what the time left is told from.
    begun: (Instant, usize),
}

impl<'a> Ledger<'a> {
    pub(super) fn open(
        file: &'a PlanFile,
        output_dir: &Path,
        locked: bool,
        folders: Folders,
        trials: usize,
        done: usize,
    ) -> Result<Self, Problem> {
        let writer = Writer::open(output_dir)?;
        let begun = (Instant::now(), done);
        Ok(Self { file, writer, locked, folders, output_dir: output_dir.into(), trials, done, begun })
    }

    /// Takes note of what happened: a trial is on the disk when this returns.
    pub(super) fn note(&mut self, happening: Happening<'_>, ui: &mut Ui) -> Result<(), Problem> {
        match happening {
            Happening::Looked(session, canary) => {
                if ui.json() {
                    let backend = &session.backend.name;
                    ui.result(&json!({"event": "canary", "backend": backend, "canary": canary}).to_string());
                }
            }
            Happening::PutOff(session, why) => {
                let backend = &session.backend.name;
                if ui.json() {
                    ui.result(&json!({"event": "put_off", "backend": backend, "reason": why}).to_string());
                }
                ui.note(&format!("{backend} is put off: {why}"));
            }
            Happening::Started(_, session, cell, purpose) => {
                let what = match purpose {
                    Purpose::WarmUp(number) => format!("warm-up {}", number + 1),
                    Purpose::Measured => "measured".into(),
                };
                let left = self.time_left();
                ui.doing(&format!("{} {} ({what}{left})", session.backend.name, cell.point));
                ui.steps(self.done as u64, self.trials as u64);
            }
            // The line above says what runs; a bar for each run would hide how far the whole is.
            Happening::Event(Event::Log(level, target, message)) => {
                crate::app::progress::show(ui, Event::Log(level, target, message));
            }
            Happening::Event(_) | Happening::Referenced(..) => {}
            Happening::Done(done) => self.done(*done, ui)?,
        }
        Ok(())
    }

    /// How long the rest takes if it goes on as until now.
    fn time_left(&self) -> String {
        let (begun, before) = self.begun;
        let done = self.done - before;
        if done == 0 {
            return String::new();
        }
        let seconds = begun.elapsed().as_secs_f64() / done as f64 * (self.trials - self.done) as f64;
        if seconds < 90.0 {
            format!(", {seconds:.0} s left")
        } else {
            format!(", {:.0} min left", seconds / 60.0)
        }
    }

    fn done(&mut self, done: Done<'_>, ui: &mut Ui) -> Result<(), Problem> {
        let (block, backend, point) =
            (done.block.index, done.session.backend.name.clone(), done.cell.point.clone());
        let trial = self.circumstances().record(done, None);
        self.writer.append_trial(&trial)?;
        if trial.kind == Kind::Measured {
            self.writer.append_unified(&trial.record)?;
            self.done += 1;
            self.show(block, &backend, &point, &trial, ui);
        }
        Ok(())
    }

    fn circumstances(&self) -> Circumstances<'_> {
        Circumstances {
            backends: &self.file.backends,
            libraries: &self.file.libraries,
            machine: &self.file.machine,
            allow_untrusted: self.file.allow_untrusted,
            locked: self.locked,
            cores: None,
            folders: &self.folders,
        }
    }

    fn show(&self, block: u32, backend: &str, point: &str, trial: &TrialRecord, ui: &mut Ui) {
        let seconds = trial.record.duration_seconds;
        let failure = trial.record.metadata.error.as_ref().map(|failure| printable(&failure.message));
        if ui.json() {
            let event = json!({
                "event": "trial", "block": block, "backend": backend, "point": point, "status": trial.status,
                "duration_seconds": seconds, "done": self.done, "trials": self.trials, "failure": failure,
            });
            ui.result(&event.to_string());
        }
        let what = match (trial.status, seconds, failure) {
            (Status::Verified, Some(seconds), _) => format!("{seconds:.3} s, verified"),
            (_, _, failure) => failure.unwrap_or_default(),
        };
        // On a terminal the bar says it, but for what failed.
        if trial.status != Status::Verified || !ui.is_watched() {
            ui.note(&format!("{}/{} block {} {backend} {point}: {what}", self.done, self.trials, block + 1));
        }
    }

    pub(super) fn derive_table(&mut self) -> Result<(), Problem> {
        self.writer.derive_csv()?;
        Ok(())
    }

    /// The command that goes on with this run.
    pub(super) fn resume_command(&self) -> String {
        let run = &self.file.matrix.run;
        let mut words = vec!["compare".to_owned(), "--resume".to_owned(), run.clone()];
        if self.output_dir != Path::new("results").join(run) {
            words.extend(["--output-dir".to_owned(), self.output_dir.display().to_string()]);
        }
        self.circumstances().push_guards(&mut words);
        command::reproduce("crossrun", words)
    }
}
