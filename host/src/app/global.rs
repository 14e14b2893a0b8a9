//! The options that every command has.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Args};

#[derive(Args, Debug)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct GlobalArguments {
    /// Search only this folder for plugins. Repeatable.
    #[arg(long, value_name = "DIR", global = true)]
    pub(crate) plugin_dir: Vec<PathBuf>,
    /// Folders to search for plugins before the default ones, separated as in PATH.
    #[arg(long, value_name = "DIRS", env = "CROSSRUN_PLUGIN_PATH", global = true, hide = true)]
    pub(crate) plugin_path: Option<OsString>,
    /// Load plugins even if other users can write to their file, its folder, or a folder above it.
    #[arg(long, global = true)]
    pub(crate) allow_untrusted: bool,
    /// Load only plugins that a lock file lists, and only if their hashes match. `crossrun backends lock` writes a lock file
    /// [default FILE: plugins.lock in the data folder].
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, global = true)]
    pub(crate) locked: Option<Option<PathBuf>>,
    /// Print JSON instead of text: one object a line.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print nothing but results, warnings and errors.
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Show more of the log. Repeatable.
    #[arg(short, long, action = ArgAction::Count, global = true)]
    pub(crate) verbose: u8,
}
