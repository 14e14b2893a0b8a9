//! `crossrun completions`: prints a completion script.

use clap_complete::Shell;

use crate::app::ui::Ui;
use crate::app::{Exit, Problem};

#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    /// The shell.
    shell: Shell,
}

/// Prints the script for `command`, which is the whole command line.
pub(super) fn run(arguments: &Arguments, mut command: clap::Command, ui: &mut Ui) -> Result<Exit, Problem> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "crossrun", &mut script);
    ui.result(&String::from_utf8_lossy(&script));
    Ok(Exit::Done)
}
