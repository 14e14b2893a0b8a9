//! `crossrun backends new` and `crossrun workloads new`: create projects for authors of plugins.

use std::io;
use std::path::PathBuf;

use clap::ValueEnum;
use serde_json::json;

use crate::app::command_line::CommandLine;
use crate::app::context::Context;
use crate::app::ui::Ui;
use crate::app::{Exit, GlobalArguments, Problem, options};
use crate::atomic_file;
use crate::plan::defaults::DEFAULT_BACKEND;
use crate::scaffold::{
    C_BACKEND, C_WORKLOADS, PYTHON_BACKEND, Project, RUST_BACKEND, RUST_WORKLOADS, ScaffoldError, Template,
};
use crate::shell;
use crate::text::single_line;

#[derive(clap::Args, Debug)]
pub(super) struct Arguments<L: ValueEnum + Send + Sync + 'static> {
    /// The name of the plugin: 1 to 64 of a-z, 0-9, _ and -.
    name: String,
    /// The language of the project.
    #[arg(long, value_enum, default_value = "rust")]
    lang: L,
    /// The folder of the project, which must be empty or not exist [default: the crate's name, in the current folder].
    #[arg(long, value_name = "DIR", value_parser = options::new_path())]
    dir: Option<PathBuf>,
    /// A checkout of plugin-api to build with, instead of the sources that crossrun copies into the project.
    #[arg(long, value_name = "DIR")]
    plugin_api: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum BackendLanguage {
    /// For an engine that can be called from Rust.
    Rust,
    /// For an engine in Python, whose driver runs in a process of its own.
    Python,
    /// For an engine that can be called from C, C++, Zig or Go: needs only a header.
    C,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum WorkloadLanguage {
    /// A library in Rust.
    Rust,
    /// A library in C.
    C,
}

pub(super) fn backend(
    global: &GlobalArguments,
    arguments: &Arguments<BackendLanguage>,
    ui: &mut Ui,
) -> Result<Exit, Problem> {
    let context = Context::new(global, ui)?;
    let mut taken = context.inventory.runners.names();
    taken.push(DEFAULT_BACKEND.to_owned());
    let template = match arguments.lang {
        BackendLanguage::Rust => RUST_BACKEND,
        BackendLanguage::Python => PYTHON_BACKEND,
        BackendLanguage::C => C_BACKEND,
    };
    create(template, arguments, "backend", &taken, ui)
}

pub(super) fn workload(
    global: &GlobalArguments,
    arguments: &Arguments<WorkloadLanguage>,
    ui: &mut Ui,
) -> Result<Exit, Problem> {
    let context = Context::new(global, ui)?;
    let mut taken = context.inventory.workloads.names();
    // `crossrun workloads new` is this command, and does not show a workload; neither do these others.
    let commands = ["new", "show", "help"].map(str::to_owned);
    taken.extend(context.inventory.libraries.names().into_iter().chain(commands));
    let template = match arguments.lang {
        WorkloadLanguage::Rust => RUST_WORKLOADS,
        WorkloadLanguage::C => C_WORKLOADS,
    };
    create(template, arguments, "workload", &taken, ui)
}

/// The command with another name.
fn other_name<L: ValueEnum + Send + Sync>(arguments: &Arguments<L>, what: &str) -> String {
    let mut command = CommandLine::new(&[&format!("{what}s"), "new", &format!("my_{}", arguments.name)]);
    let lang = arguments.lang.to_possible_value().map(|value| value.get_name().to_owned());
    command
        .options("lang", lang.filter(|lang| lang != "rust"))
        .paths("dir", &arguments.dir)
        .paths("plugin-api", &arguments.plugin_api)
        .to_string()
}

/// Creates the project under a name that is not `taken`, and prints what to run next.
fn create<L: ValueEnum + Send + Sync>(
    template: Template,
    arguments: &Arguments<L>,
    what: &str,
    taken: &[String],
    ui: &mut Ui,
) -> Result<Exit, Problem> {
    let name = &arguments.name;
    let project = Project::new(template, name, arguments.plugin_api.as_deref())?;
    if taken.contains(name) {
        let message =
            format!("there is a {what} {name:?} already: of two with one name, one hides the other");
        return Err(Problem::usage(message).with_remedy(other_name(arguments, what)));
    }
    let folder = arguments.dir.clone().unwrap_or_else(|| project.crate_name().into());
    let path = std::path::absolute(&folder).map_err(|error| {
        Problem::new(Exit::Unexpected, format!("{}: {error}", folder.display()))
            .with_remedy("cd \"$HOME\", as the current folder was removed")
    })?;
    project.write(&path)?;
    let enter = shell::command("cd", [shell::path(&folder)]);
    let commands: Vec<_> = std::iter::once(enter).chain(project.commands()).collect();
    let text = if ui.json() {
        let files: Vec<_> = project.files().collect();
        // As text: `json!` panics at a path that is not UTF-8.
        let [folder, library] = [&path, &path.join(project.library())].map(|path| path.display().to_string());
        json!({"name": name, "folder": folder, "library": library, "commands": commands, "files": files})
            .to_string()
    } else {
        let steps: String = commands.iter().map(|command| format!("  {command}\n")).collect();
        let created = format!("created {}; its README.md describes the files. Next:", folder.display());
        single_line(&created) + "\n\n" + &steps
    };
    ui.result(&text);
    Ok(Exit::Done)
}

impl From<ScaffoldError> for Problem {
    fn from(error: ScaffoldError) -> Self {
        let (exit, remedy) = match &error {
            ScaffoldError::Name(_) => (Exit::Usage, "a name such as my_engine"),
            ScaffoldError::NoCheckout(_) | ScaffoldError::NoCrate | ScaffoldError::NotUtf8(_) => {
                (Exit::Usage, "leave --plugin-api out, to use the sources that crossrun copies")
            }
            ScaffoldError::Taken(_) => (Exit::Usage, NEW_FOLDER),
            ScaffoldError::System { error: system, .. } => {
                let remedy = match system.kind() {
                    _ if atomic_file::is_full(system) => ANOTHER_DISK,
                    io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => WRITABLE,
                    _ => NEW_FOLDER,
                };
                return Self::of_file(system, error.to_string(), remedy);
            }
            ScaffoldError::Partial { .. } => (Exit::Unexpected, NEW_FOLDER),
        };
        Self::new(exit, error.to_string()).with_remedy(remedy)
    }
}

const NEW_FOLDER: &str = "--dir DIR, with a folder that does not exist yet";
const WRITABLE: &str = "--dir DIR, in a folder that you may write to";
const ANOTHER_DISK: &str =
    "free some space (or remove files, if df -i shows none left), or --dir DIR on another disk";
