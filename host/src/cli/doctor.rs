//! `crossrun doctor`: finds what makes measurements noisy or backends unusable on this machine.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::backends::{not_probed, probed};
use crate::app::context::{Context, data_dir};
use crate::app::ui::Ui;
use crate::app::{Exit, GlobalArguments, Problem};
use crate::doctor::{Finding, Level, examine};
use crate::plugin::inventory::{Row, Status};
use crate::record::{SystemProfile, machine_history};
use crate::text::{lines, plural, single_line, table, with_remedy, word};

/// How long the steal time is observed.
const WATCH: Duration = Duration::from_millis(500);

#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    /// Examine nothing, and forget how fast this machine was and by how much A/A comparisons on it differed.
    #[arg(long)]
    reset: bool,
}

pub(super) fn run(global: &GlobalArguments, arguments: &Arguments, ui: &mut Ui) -> Result<Exit, Problem> {
    if arguments.reset {
        return reset(ui);
    }
    let context = Context::new(global, ui)?;
    ui.status("examining the machine");
    // Without a current folder the rest is worth knowing all the same.
    let here = std::env::current_dir().ok();
    let temporary = std::env::temp_dir();
    let plugins = context.inventory.trace.iter().map(|looked| looked.folder.as_path());
    let executed: Vec<_> = [context.data_dir.as_path(), &temporary].into_iter().chain(plugins).collect();
    // The engines in a data folder that is only read, as that of an image, are not in another one.
    let elsewhere = "export CROSSRUN_DATA_DIR=DIR, on a disk with room, and set engines up there";
    let data = (context.data_dir.as_path(), elsewhere);
    let here = here.as_deref().map(|here| (here, "cd DIR, or --output-dir DIR, on a disk with room"));
    let written: Vec<_> = [data].into_iter().chain(here).collect();
    let findings = examine(Path::new("/"), &written, &executed, WATCH);
    ui.status("probing the backends");
    let mut rows = context.inventory.rows.clone();
    match probed(&context) {
        Ok(probed) => rows.extend(probed),
        Err(problem) if problem.exit == Exit::Interrupted => return Err(problem),
        // What is wrong with the machine, such as a full disk, is what this command is for.
        Err(problem) => {
            ui.warning(&problem.line());
            rows.extend(not_probed(&context));
        }
    }
    ui.clear_status();
    let object = || json!({"machine": findings, "programs": programs(), "backends": rows});
    ui.object_or(object, || page(&findings, &rows))?;
    Ok(Exit::Done)
}

/// Forgets what is known of this machine.
fn reset(ui: &mut Ui) -> Result<Exit, Problem> {
    let forgotten = machine_history::forget(&data_dir()?, &SystemProfile::collect())?;
    let text = || format!("forgot {} of this machine's history", plural(forgotten as u64, "line"));
    ui.object_or(|| json!({ "forgotten": forgotten }), text)?;
    Ok(Exit::Done)
}

/// The programs that engines need, with their paths: the first of each on the `PATH`.
fn programs() -> serde_json::Map<String, serde_json::Value> {
    let found = |name: &str| {
        let folders = std::env::var_os("PATH").unwrap_or_default();
        let mut paths = std::env::split_paths(&folders).map(|folder| folder.join(name));
        paths.find(|path| path.is_file()).map(|path| path.display().to_string())
    };
    ["python3", "uv", "java", "cc"].map(|name| (name.to_owned(), found(name).into())).into_iter().collect()
}

fn page(findings: &[Finding], rows: &[Row]) -> String {
    let mut machine = table(["machine", "is", "found"]);
    for finding in findings {
        machine.add_row([finding.id, &word(finding.state.level), &finding.state.found]);
    }
    let mut text = lines(&machine);
    let harmful: Vec<_> = findings.iter().filter(|finding| finding.state.level <= Level::Doubtful).collect();
    for Finding { id, state } in &harmful {
        text += &format!("\n{id}: {}\n", state.effect);
        if let Some(remedy) = &state.remedy {
            text += &format!("  try: {remedy}\n");
        }
    }
    text.push('\n');
    for (name, path) in programs() {
        text += &format!("{name}: {}\n", path.as_str().map_or("not on the PATH".into(), single_line));
    }
    text.push('\n');
    for row in rows {
        let name = row.name.clone().unwrap_or_else(|| row.path.display().to_string());
        let reason = row.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
        let line = format!("{name} is {}{reason}", word(row.status));
        text += &single_line(&with_remedy(&line, row.remedy.as_deref()));
        text.push('\n');
    }
    let unusable = rows.iter().filter(|row| row.status != Status::Available).count() as u64;
    text + &format!(
        "\n{} that may make measurements noisy, {} that cannot be used\n",
        plural(harmful.len() as u64, "finding"),
        plural(unusable, "plugin")
    )
}
