//! Checks whether a backend can start, and sets it up if it cannot.

use plugin_api::{Availability, SetupRequest};

use super::context::Context;
use super::progress::show;
use super::ui::Ui;
use super::{Exit, Problem};
use crate::plugin::inventory::NO_REASON;
use crate::run::backend::Backend;
use crate::run::session::CallError;
use crate::text::or_else;
use crate::worker::protocol::Folders;

/// Sets a backend up, or removes its set-up, while no other process does so.
pub(crate) fn with_lock(
    context: &Context,
    backend: &mut Backend,
    request: &SetupRequest,
    folders: Folders,
    ui: &mut Ui,
) -> Result<(), Problem> {
    let name = backend.name.clone();
    ui.status(&format!("{name}: {}", if request.remove { "removing" } else { "setting up" }));
    let _lock = context.setup_lock(&name)?;
    context.forget_shared_files();
    let done = backend.setup(request.clone(), folders, &mut |event| show(ui, event));
    done.map_err(|error| {
        let problem = Problem::from(error);
        // Whatever the cause is, the command failed because the set-up did.
        let exit = if problem.exit == Exit::Interrupted { Exit::Interrupted } else { Exit::SetupFailed };
        context.problem_in_folders(Problem { exit, ..problem })
    })
}

/// When a backend that is not available is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SetUp {
    Never,
    /// If the user says so on a terminal.
    IfConfirmed,
    Always,
}

/// Why a backend is not ready to run.
pub(crate) enum NotReady {
    /// The probe failed.
    Call(CallError),
    /// The backend is not available, or its set-up failed.
    Problem(Problem),
}

/// Probes a backend. One that is not available is set up if `setup` says so.
pub(crate) fn make_available(
    context: &Context,
    backend: &mut Backend,
    setup: SetUp,
    folders: &Folders,
    ui: &mut Ui,
) -> Result<(), NotReady> {
    let name = backend.name.clone();
    let set_up_command = format!("crossrun setup {name}");
    let (mut availability, mut was_set_up) = (backend.probe().map_err(NotReady::Call)?, false);
    if let Availability::Unavailable { reason, remedy } = &availability {
        let wanted = match setup {
            SetUp::Never => false,
            SetUp::Always => true,
            // Setting up must be what helps.
            SetUp::IfConfirmed => {
                let helps = remedy.is_empty() || *remedy == set_up_command;
                let question = format!("backend {name:?} is not set up: {reason}. Set it up now?");
                helps && ui.confirm(&question, context.interrupt()).map_err(NotReady::Problem)?
            }
        };
        if wanted {
            let done = with_lock(context, backend, &SetupRequest::default(), folders.clone(), ui);
            done.map_err(NotReady::Problem)?;
            (availability, was_set_up) = (backend.probe().map_err(NotReady::Call)?, true);
        }
    }
    match availability {
        Availability::Available => Ok(()),
        Availability::Unavailable { reason, remedy } => {
            let remedy = Some(remedy).filter(|remedy| !remedy.is_empty()).unwrap_or(set_up_command.clone());
            // A set-up that has just succeeded does not help.
            let remedy = if was_set_up && remedy == set_up_command { String::new() } else { remedy };
            let after = if was_set_up { " after its set-up" } else { "" };
            let message = format!("backend {name:?} is not available{after}: {}", or_else(reason, NO_REASON));
            let problem = Problem::new(Exit::Unavailable, message);
            Err(NotReady::Problem(problem.with_remedy(context.in_folders(remedy))))
        }
    }
}

/// Why a backend that is named by its file is not ready: `crossrun setup` does not find it, as it need not be in a folder of plugins.
pub(crate) fn of_file(problem: Problem) -> Problem {
    let is_setup = |remedy: &String| remedy.starts_with("crossrun setup ");
    let helps = problem.exit == Exit::Unavailable && problem.remedy.as_ref().is_some_and(is_setup);
    if helps { problem.with_remedy("--setup") } else { problem }
}
