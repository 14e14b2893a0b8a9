//! `crossrun man`: writes the manual pages into a folder.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap_mangen::Man;

use crate::app::ui::Ui;
use crate::app::{Exit, Problem};
use crate::text::single_line;
use crate::{atomic_file, path_walk, regular_file};

#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    /// The folder, which is created if it does not exist. `man DIR/crossrun.1` shows the first page.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Writes the pages of `command`, which is the whole command line.
pub(super) fn run(arguments: &Arguments, command: clap::Command, ui: &mut Ui) -> Result<Exit, Problem> {
    let folder = &arguments.folder;
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let written = path_walk::make_folder(folder).and_then(|()| write(command, folder));
    written.map_err(|error| {
        let message = format!("cannot write the manual pages into {}: {error}", folder.display());
        Problem::of_file(&error, message, "another folder, which you may write to")
    })?;
    let first = folder.join("crossrun.1").display().to_string();
    let text = || single_line(&format!("wrote {first} and a page for each command"));
    ui.object_or(|| serde_json::json!({ "first_page": first }), text)?;
    Ok(Exit::Done)
}

/// Writes the pages of a command and of those below it, each whole or not at all.
fn write(command: clap::Command, folder: &Path) -> io::Result<()> {
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        write(below.clone(), folder)?;
    }
    let (page, mut text) = (Man::new(command), Vec::new());
    page.render(&mut text)?;
    let path = folder.join(page.get_filename());
    regular_file::check(&path)?;
    atomic_file::replace(&path, 0o666, |mut file| file.write_all(&text))
}
