//! `crossrun setup`: lets backends install what they need, or remove it.

use std::path::PathBuf;

use plugin_api::SetupRequest;
use serde_json::json;

use crate::app::availability::with_lock;
use crate::app::context::Context;
use crate::app::ui::Ui;
use crate::app::{Exit, GlobalArguments, Problem};
use crate::plugin::PluginRef;
use crate::run::session::Isolation;

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
    if let Some(python) = arguments.python.as_ref().filter(|python| python.to_str().is_none()) {
        let message =
            format!("--python {}: a backend can be told only a path that is UTF-8", python.display());
        return Err(Problem::usage(message).with_remedy("a link to it with another name"));
    }
    let context = Context::new(global, Isolation::Process, ui)?;
    let request = SetupRequest { remove: arguments.remove, python: arguments.python.clone() };
    let (mut rows, mut failed) = (Vec::new(), Vec::new());
    for name in &arguments.names {
        let done = set_up(&context, name, &request, ui);
        let state = if done.is_err() {
            "failed"
        } else if request.remove {
            "removed"
        } else {
            "done"
        };
        let lock = context.lock.as_ref().filter(|_| done.is_ok()).map(|lock| lock.path.display().to_string());
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

fn set_up(context: &Context, name: &str, request: &SetupRequest, ui: &mut Ui) -> Result<PluginRef, Problem> {
    let runner = context.runner(name)?;
    let folders = context.folders("setup")?;
    let mut backend = context.load(&runner, &folders)?;
    let done = with_lock(context, &mut backend, request, folders.clone(), ui);
    ui.still();
    backend.end();
    context.tidy(&folders);
    done.map(|()| runner)
}
