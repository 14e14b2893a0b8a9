//! `crossrun setup`: lets backends install what they need, or remove it.

use std::path::PathBuf;

use plugin_api::{Availability, SetupRequest};
use serde_json::json;

use super::chosen::Chosen;
use super::host::Host;
use super::{Exit, GlobalArguments, Problem};
use crate::dispatch::Backend;
use crate::protocol::Folders;
use crate::session::{CallError, Isolation};
use crate::ui::Ui;

#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    /// The backends.
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// Remove what was installed instead.
    #[arg(long)]
    remove: bool,
    /// The Python interpreter to build on, for backends that need one.
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
}

/// Sets up each backend in turn; one that fails does not keep the others from it.
pub(super) fn run(global: &GlobalArguments, arguments: &Arguments, ui: &mut Ui) -> Result<Exit, Problem> {
    let host = Host::new(global, Isolation::Process, ui)?;
    let request = SetupRequest { remove: arguments.remove, python: arguments.python.clone() };
    let (mut rows, mut failed) = (Vec::new(), Vec::new());
    for name in &arguments.names {
        let done = set_up(&host, name, &request, ui);
        let state = if done.is_err() {
            "failed"
        } else if request.remove {
            "removed"
        } else {
            "done"
        };
        let lock = host.lock().filter(|_| done.is_ok()).map(|lock| lock.path.display().to_string());
        let sha256 = done.as_ref().ok().map(|chosen| &chosen.sha256);
        rows.push(json!({"backend": name, "setup": state, "sha256": sha256, "locked_by": lock}));
        match done {
            Ok(chosen) => {
                let locked = chosen.locked_by.map(|path| format!(" (locked by {})", path.display()));
                ui.note(&format!("{name}: set-up {state}{}", locked.unwrap_or_default()));
            }
            Err(problem) if problem.exit == Exit::Interrupted => return Err(problem),
            Err(problem) => {
                ui.warning(&format!("{name}: {}", problem.line()));
                failed.push(problem);
            }
        }
    }
    match failed.into_iter().next() {
        Some(problem) => Err(problem),
        None => {
            if ui.json() {
                ui.result(&json!(rows).to_string());
            }
            Ok(Exit::Done)
        }
    }
}

fn set_up(host: &Host, name: &str, request: &SetupRequest, ui: &mut Ui) -> Result<Chosen, Problem> {
    let runner = host.runner(name)?;
    let folders = host.folders("setup")?;
    let mut backend = host.load(&runner, &folders)?;
    let done = with_lock(host, &mut backend, request, &runner.metadata.name, folders, ui);
    ui.still();
    backend.end();
    done.map(|()| runner)
}

/// Runs a backend's set-up while no other process runs it.
pub(super) fn with_lock(
    host: &Host,
    backend: &mut Backend,
    request: &SetupRequest,
    name: &str,
    folders: Folders,
    ui: &mut Ui,
) -> Result<(), Problem> {
    ui.doing(&format!("{name}: {}", if request.remove { "removing" } else { "setting up" }));
    let _lock = host.setup_lock(name)?;
    let done = backend.setup(request.clone(), folders, &mut |event| super::show(ui, event));
    done.map_err(|error| {
        let problem = Problem::from(error);
        // Whatever kept a set-up from being done, it is the set-up that failed.
        let exit = if problem.exit == Exit::Interrupted { Exit::Interrupted } else { Exit::SetupFailed };
        Problem { exit, ..problem }
    })
}

/// Why a backend is not ready to run.
pub(super) enum NotReady {
    /// It failed when it was asked.
    Call(CallError),
    /// It is not available, or could not be set up.
    Problem(Problem),
}

impl From<CallError> for NotReady {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

impl From<Problem> for NotReady {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

/// Asks a backend whether it could start, and sets it up first if it could not and that was asked for.
pub(super) fn make_available(
    host: &Host,
    backend: &mut Backend,
    name: &str,
    setup: bool,
    folders: &Folders,
    ui: &mut Ui,
) -> Result<(), NotReady> {
    let mut availability = backend.probe()?;
    if setup && !availability.is_available() {
        with_lock(host, backend, &SetupRequest::default(), name, folders.clone(), ui)?;
        availability = backend.probe()?;
    }
    match availability {
        Availability::Available => Ok(()),
        Availability::Unavailable { reason, remedy } => {
            let usual = || format!("crossrun setup {name}");
            let remedy = Some(remedy).filter(|remedy| !remedy.is_empty()).unwrap_or_else(usual);
            let message = format!("backend {name:?} is not available: {reason}");
            Err(Problem::new(Exit::Unavailable, message).with_remedy(remedy).into())
        }
    }
}
