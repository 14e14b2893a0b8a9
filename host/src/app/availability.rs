//! Whether a backend could start, and setting it up if not.

use plugin_api::{Availability, SetupRequest};

use super::context::Context;
use super::progress::show;
use super::ui::Ui;
use super::{Exit, Problem};
use crate::run::backend::Backend;
use crate::run::session::CallError;
use crate::worker::protocol::Folders;

/// Runs a backend's set-up while no other process runs it.
pub(crate) fn with_lock(
    context: &Context,
    backend: &mut Backend,
    request: &SetupRequest,
    folders: Folders,
    ui: &mut Ui,
) -> Result<(), Problem> {
    let name = backend.name.clone();
    ui.doing(&format!("{name}: {}", if request.remove { "removing" } else { "setting up" }));
    let _lock = context.setup_lock(&name)?;
    let done = backend.setup(request.clone(), folders, &mut |event| show(ui, event));
    done.map_err(|error| {
        let problem = Problem::from(error);
        // Whatever kept a set-up from being done, it is the set-up that failed.
        let exit = if problem.exit == Exit::Interrupted { Exit::Interrupted } else { Exit::SetupFailed };
        Problem { exit, ..problem }
    })
}

/// Why a backend is not ready to run.
pub(crate) enum NotReady {
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
pub(crate) fn make_available(
    context: &Context,
    backend: &mut Backend,
    setup: bool,
    folders: &Folders,
    ui: &mut Ui,
) -> Result<(), NotReady> {
    let mut availability = backend.probe()?;
    if setup && !availability.is_available() {
        with_lock(context, backend, &SetupRequest::default(), folders.clone(), ui)?;
        availability = backend.probe()?;
    }
    let name = &backend.name;
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
