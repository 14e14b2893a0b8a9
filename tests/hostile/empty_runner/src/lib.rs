//! A runner that does nothing, as a plugin: what a call costs is the border.

mod runner;

plugin_api::export_runner!(name = "empty", runner = runner::Empty);
