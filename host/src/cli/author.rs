//! What `backends new` and `workloads new` have in common: a project comes to disk, and it is told what is next.

use std::path::PathBuf;

use serde_json::json;

use crate::app::ui::Ui;
use crate::app::{Exit, Problem};
use crate::scaffold::{DiskError, Name, NameError, Project, ScaffoldError, Template};
use crate::shell;

/// Where a project is made, and what it is built on.
#[derive(clap::Args, Debug)]
pub(super) struct PlaceArguments {
    /// Where it is made: a folder that is empty or not there [default: one with the crate's name, in the current folder].
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// A checkout of plugin-api to build on, instead of the sources that crossrun puts into the project.
    #[arg(long, value_name = "DIR")]
    plugin_api: Option<PathBuf>,
}

/// A name that a plugin can have, and none of `taken` has.
pub(super) fn free_name(name: &str, what: &str, taken: &[String]) -> Result<Name, Problem> {
    let parsed = Name::parse(name)?;
    if !taken.iter().any(|known| known == name) {
        return Ok(parsed);
    }
    let message = format!("there is a {what} {name:?} already: with two of one name, one hides the other");
    Err(Problem::usage(message).with_remedy(format!("crossrun {what}s new my_{name}")))
}

/// Makes the project, and says what to run next.
pub(super) fn make(
    template: Template,
    name: Name,
    place: &PlaceArguments,
    ui: &mut Ui,
) -> Result<Exit, Problem> {
    let project = Project::new(template, name.clone(), place.plugin_api.as_deref())?;
    let folder = place.dir.clone().unwrap_or_else(|| project.crate_name().into());
    let whole = std::path::absolute(&folder).map_err(|error| Problem::unexpected(&error))?;
    project.write(&whole)?;
    let enter = shell::command("cd", [&folder]);
    let commands: Vec<_> = std::iter::once(enter).chain(project.commands()).collect();
    let text = if ui.json() {
        let files: Vec<_> = project.files().collect();
        let library = whole.join(project.library());
        json!({"name": name.as_str(), "folder": whole, "library": library, "commands": commands, "files": files})
            .to_string()
    } else {
        let steps: String = commands.iter().map(|command| format!("  {command}\n")).collect();
        format!("made {}; its README.md says what is in it. Next:\n\n{steps}", folder.display())
    };
    ui.result(&text);
    Ok(Exit::Done)
}

impl From<NameError> for Problem {
    fn from(error: NameError) -> Self {
        Self::usage(error.to_string()).with_remedy("a name such as my_engine")
    }
}

impl From<ScaffoldError> for Problem {
    fn from(error: ScaffoldError) -> Self {
        Self::usage(format!("--plugin-api: {error}"))
            .with_remedy("leave it out: then the sources are in the project")
    }
}

impl From<DiskError> for Problem {
    fn from(error: DiskError) -> Self {
        let problem = match error {
            DiskError::Taken(_) => Self::usage(error.to_string()),
            DiskError::System { .. } => Self::unexpected(&error),
        };
        problem.with_remedy("--dir DIR, with a folder that is not there yet")
    }
}
