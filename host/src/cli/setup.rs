//! `crossrun setup`: lets backends install what they need, or removes it.

use std::path::PathBuf;

use plugin_api::{Availability, SetupRequest};
use serde_json::json;

use crate::app::availability::with_lock;
use crate::app::command_line::CommandLine;
use crate::app::context::Context;
use crate::app::ui::Ui;
use crate::app::{Exit, GlobalArguments, Problem};
use crate::plugin::PluginRef;
use crate::record::{MeasurementLock, measurement_lock};
use crate::worker::protocol::Folders;

#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    /// The backends.
    // Commas too, as in `--backends` of other commands. No name has one.
    #[arg(required = true, value_name = "NAME", value_delimiter = ',')]
    names: Vec<String>,
    /// Remove what was installed.
    #[arg(long)]
    remove: bool,
    /// The Python interpreter for backends in Python.
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
    /// Do not wait until no other measurement runs on this machine.
    #[arg(long)]
    no_lock: bool,
}

/// Sets up one backend after another. If one fails, the others are still set up.
pub(super) fn run(global: &GlobalArguments, arguments: &Arguments, ui: &mut Ui) -> Result<Exit, Problem> {
    if let Some(python) = arguments.python.as_ref().filter(|python| python.to_str().is_none()) {
        let message = format!("--python {}: the path must be UTF-8", python.display());
        return Err(Problem::usage(message).with_remedy("a symbolic link with another name"));
    }
    let context = Context::new(global, ui)?;
    let request = SetupRequest { remove: arguments.remove, python: arguments.python.clone() };
    let state = if request.remove { "removed" } else { "done" };
    let (mut rows, mut failed) = (Vec::new(), Vec::new());
    // Held from the first set-up to the last: a measurement that waits would begin between two.
    let mut lock = None;
    for name in &arguments.names {
        match set_up(&context, name, &request, arguments.no_lock, &mut lock, ui) {
            Ok(PluginRef { sha256, locked_by, .. }) => {
                let lock = locked_by.map(|path| path.display().to_string());
                let locked = lock.as_ref().map_or_else(String::new, |path| format!(" (locked by {path})"));
                ui.note(&format!("{name}: set-up {state}{locked}"));
                rows.push(json!({"backend": name, "setup": state, "sha256": sha256, "locked_by": lock}));
            }
            Err(problem) if problem.exit == Exit::Interrupted => return Err(problem),
            Err(problem) => {
                // The error at the end says why if there is only this name, or if it is for programs.
                if arguments.names.len() > 1 && !ui.json() {
                    ui.warning(&format!("{name}: {}", problem.line()));
                }
                failed.push((name.as_str(), problem));
            }
        }
    }
    let undone = if request.remove { "not removed" } else { "not set up" };
    let problem = whole(failed, undone, arguments.names.len(), ui.json());
    // What was done is told also where another one failed.
    if ui.json() && (problem.is_none() || !rows.is_empty()) {
        ui.object(&rows)?;
    }
    problem.map_or(Ok(Exit::Done), Err)
}

/// The problem of those that `failed`, of so many names, with the reasons of several if they have not been told yet, and with the first
/// remedy of these.
fn whole(
    mut failed: Vec<(&str, Problem)>,
    undone: &str,
    names: usize,
    with_reasons: bool,
) -> Option<Problem> {
    if names == 1 {
        return failed.pop().map(|(_, problem)| problem);
    }
    let exit = failed.first()?.1.exit;
    if !with_reasons {
        let names: Vec<_> = failed.iter().map(|(name, _)| *name).collect();
        return Some(Problem::new(exit, format!("{undone}: {}", names.join(", "))));
    }
    let remedy = failed.iter_mut().find_map(|(_, problem)| problem.remedy.take()).unwrap_or_default();
    let reasons: Vec<_> =
        failed.iter().map(|(name, problem)| format!("{name}: {}", problem.line())).collect();
    Some(Problem::new(exit, format!("{undone}: {}", reasons.join("; "))).with_remedy(remedy))
}

/// Whether nothing is to be done for a backend, which can start as it is. A set-up looks for itself once it may begin.
fn needs_none(
    context: &Context,
    runner: &PluginRef,
    request: &SetupRequest,
    folders: &Folders,
) -> Result<bool, Problem> {
    if *request != SetupRequest::default() {
        return Ok(false);
    }
    let mut backend = context.load(runner, folders)?;
    let answer = backend.probe();
    backend.end();
    Ok(answer.is_ok_and(|availability| availability == Availability::Available))
}

fn set_up(
    context: &Context,
    name: &str,
    request: &SetupRequest,
    no_lock: bool,
    lock: &mut Option<MeasurementLock>,
    ui: &mut Ui,
) -> Result<PluginRef, Problem> {
    let runner = context.runner(name);
    let again = |name: &str| {
        let mut command = CommandLine::new(&["setup", name]);
        command.paths("python", &request.python).flag("remove", request.remove).flag("no-lock", no_lock);
        context.in_folders(command.to_string())
    };
    let runner = runner.map_err(|problem| problem.with_name("--backend", again))?;
    let folders = context.folders("setup")?;
    if lock.is_none() && !no_lock {
        if MeasurementLock::is_held(&measurement_lock::path())
            && needs_none(context, &runner, request, &folders)?
        {
            context.tidy(&folders);
            return Ok(runner);
        }
        *lock = context.measurement_lock(true, ui).inspect_err(|_| context.tidy(&folders))?;
    }
    let mut backend = context.load(&runner, &folders)?;
    let done = with_lock(context, &mut backend, request, folders.clone(), ui);
    ui.clear_status();
    backend.end();
    context.tidy(&folders);
    done.map(|()| runner)
}
