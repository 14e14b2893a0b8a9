//! `crossrun man`: writes the manual pages into a folder.

use std::path::PathBuf;

use crate::app::ui::Ui;
use crate::app::{Exit, Problem};

#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    /// The folder, which is created if it does not exist. `man DIR/crossrun.1` shows the first page.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Writes the pages of `command`, which is the whole command line.
pub(super) fn run(arguments: &Arguments, command: clap::Command, ui: &mut Ui) -> Result<Exit, Problem> {
    let folder = &arguments.folder;
    let written = std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(command, folder));
    written.map_err(|error| {
        let message = format!("cannot write the manual pages into {}: {error}", folder.display());
        Problem::of_file(&error, message, "crossrun man DIR, with a folder that you may write to")
    })?;
    let first = folder.join("crossrun.1");
    ui.result(&if ui.json() {
        serde_json::json!({"first_page": first.display().to_string()}).to_string()
    } else {
        format!("wrote {} and a page for each command\n", first.display())
    });
    Ok(Exit::Done)
}
