//! `crossrun backends lock`: writes a lock file, or reports how the plugins differ from one.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::app::command_line::CommandLine;
use crate::app::context::Context;
use crate::app::output::is_standard_output;
use crate::app::resolve::{default_lock_file, refuse_other_file, renew_command, unreadable_lock};
use crate::app::ui::Ui;
use crate::app::{Exit, GlobalArguments, Problem, options, output_file};
use crate::path_walk;
use crate::plugin::PluginRef;
use crate::plugin::inventory::Status;
use crate::plugin::lock_file::{Difference, LockFile};
use crate::text::{lines, plural, single_line, table, with_remedy, word};

#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    /// The lock file, or `-` for standard output [default: plugins.lock in the data folder].
    #[arg(long, value_name = "FILE", value_parser = options::new_path())]
    output: Option<PathBuf>,
    /// Write nothing: report what differs from the lock file, and exit with 7 if anything does.
    #[arg(long)]
    check: bool,
}

impl Arguments {
    /// The command that does with the file of `--locked` what was asked for.
    fn unlocked(&self, global: &GlobalArguments) -> String {
        CommandLine::new(&["backends", "lock"])
            .paths("output", self.output.iter().chain(global.locked.iter().flatten()).take(1))
            .flag("check", self.check)
            .paths("plugin-dir", &global.plugin_dir)
            .to_string()
    }
}

pub(super) fn run(global: &GlobalArguments, arguments: &Arguments, ui: &mut Ui) -> Result<Exit, Problem> {
    if global.locked.is_some() {
        return Err(Problem::usage(
            "--locked cannot be used with `backends lock`, which writes the lock file",
        )
        .with_remedy(arguments.unlocked(global)));
    }
    if arguments.check && arguments.output.as_deref().is_some_and(is_standard_output) {
        return Err(Problem::usage("--check reads a lock file, and standard output is none")
            .with_remedy("--output FILE, or leave --output out"));
    }
    let context = Context::new(global, ui)?;
    let path = arguments.output.clone().unwrap_or_else(|| default_lock_file(&context.data_dir));
    let plugins = identified(&context)?;
    let now = LockFile::of(&plugins);
    if arguments.check {
        let renew = renew_command(global, &path, &context.data_dir);
        let before = LockFile::read(&path);
        let before = before.map_err(|error| unreadable_lock(&error, &path, &context.data_dir, &renew))?;
        return check(&path, &before.differences(&now), &renew, ui);
    }
    if plugins.is_empty() {
        let message = "there is no plugin to lock";
        let listing = context.in_folders("crossrun backends".to_owned());
        return Err(Problem::new(Exit::Unavailable, message).with_remedy(listing));
    }
    for row in context.inventory.rows.iter().filter(|row| row.status == Status::Rejected) {
        let reason = row.reason.as_deref().unwrap_or_default();
        ui.note(&format!("left out: {}: {reason}", row.path.display()));
    }
    if is_standard_output(&path) {
        // In one line, as all JSON for programs is.
        let text = if ui.json() { serde_json::to_string(&now) } else { now.text() };
        ui.result(&text.map_err(|error| Problem::unexpected(&error))?);
        return Ok(Exit::Done);
    }
    refuse_other_file(&path, || renew_command(global, &path, &context.data_dir))?;
    let private = if path.starts_with(&context.data_dir) {
        path_walk::make_private_folder(&context.data_dir)
    } else {
        Ok(())
    };
    private.and_then(|()| now.write(&path)).map_err(|error| {
        let message = format!("cannot write the lock file {}: {error}", path.display());
        let remedy = match arguments.output {
            Some(_) => output_file::remedy(&path, &error),
            None => "--output with a file in a folder that you may write to".to_owned(),
        };
        let problem = Problem::of_file(&error, message, &remedy);
        // As of any other output: at the path of a folder, or below a file, no file can be, whatever is written.
        let never = [ErrorKind::IsADirectory, ErrorKind::NotADirectory, ErrorKind::AlreadyExists];
        let exit = if never.contains(&error.kind()) { Exit::Usage } else { problem.exit };
        Problem { exit, ..problem }
    })?;
    ui.object_or(|| json(&path, &now), || text(&path, &now))?;
    Ok(Exit::Done)
}

/// All plugins that a name leads to.
fn identified(context: &Context) -> Result<Vec<PluginRef>, Problem> {
    let plugins = context.inventory.runners.items().chain(context.inventory.libraries.items());
    plugins.map(|plugin| context.identify(plugin)).collect()
}

fn json(path: &Path, lock: &LockFile) -> Value {
    json!({"path": path.display().to_string(), "version": lock.version, "plugins": lock.plugins})
}

fn text(path: &Path, lock: &LockFile) -> String {
    let mut table = table(["kind", "name", "sha256", "bytes", "source"]);
    for listed in &lock.plugins {
        let short: String = listed.sha256.chars().take(16).collect();
        let (kind, name, size) = (listed.kind.clone(), listed.name.clone(), listed.size.to_string());
        table.add_row([kind, name, short + "…", size, single_line(&listed.source)]);
    }
    let count = plural(lock.plugins.len() as u64, "plugin");
    lines(&table) + &single_line(&format!("{count} locked in {}", path.display()))
}

fn check(path: &Path, differences: &[Difference], renew: &str, ui: &mut Ui) -> Result<Exit, Problem> {
    let path = path.display();
    let object = || json!({"path": path.to_string(), "differences": differences});
    if differences.is_empty() {
        ui.object_or(object, || single_line(&format!("all plugins match {path}")))?;
        return Ok(Exit::Done);
    }
    ui.object_or(object, || listed(differences))?;
    let count = plural(differences.len() as u64, "plugin");
    ui.error(&with_remedy(&format!("differences from {path}: {count}"), Some(renew)));
    Ok(Exit::Difference)
}

fn listed(differences: &[Difference]) -> String {
    let mut table = table(["change", "kind", "name", "path"]);
    for Difference { kind, name, change, path } in differences {
        table.add_row([&word(change), kind, name, &single_line(path)]);
    }
    lines(&table)
}
