//! `crossrun backends check`: whether a plugin keeps the contract.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::app::context::Context;
use crate::app::resolve::rejected;
use crate::app::ui::Ui;
use crate::app::{Exit, GlobalArguments, Problem};
use crate::check::{self, CHECKS, Check, CheckOutcome, Finding, Setting, Summary, Target};
use crate::plugin::PluginRef;
use crate::plugin::inspect::{Inspected, inspect};
use crate::run::session::Isolation;
use crate::text::{lines, printable, table};
use crate::worker::protocol::LibraryFile;

#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    /// The plugin's file.
    #[arg(required_unless_present = "list")]
    file: Option<PathBuf>,
    /// Make these checks only: an id, the part of one before the dot, or a pattern with *; repeat it for more.
    #[arg(long, value_name = "PATTERN")]
    include: Vec<String>,
    /// Leave these checks out.
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
    /// Run a backend on the workloads of this library too; repeat it for more.
    #[arg(long, value_name = "FILE")]
    workloads: Vec<PathBuf>,
    /// Print JUnit XML instead of text.
    #[arg(long, conflicts_with = "json")]
    junit: bool,
    /// Print the checks, and make none.
    #[arg(long)]
    list: bool,
}

pub(super) fn run(global: &GlobalArguments, arguments: &Arguments, ui: &mut Ui) -> Result<Exit, Problem> {
    let chosen = check::pattern::choose(&arguments.include, &arguments.exclude).map_err(|pattern| {
        Problem::usage(format!("{pattern:?} names no check")).with_remedy("crossrun backends check --list")
    })?;
    let file = match &arguments.file {
        Some(file) if !arguments.list => file,
        _ => {
            list(&chosen, ui);
            return Ok(Exit::Done);
        }
    };
    let context = Context::new(global, Isolation::Process, ui)?;
    let target = target(&context, file)?;
    let libraries = libraries(&context, &arguments.workloads)?;
    let folders = context.folders(&format!("check-{}", std::process::id()))?;
    let setting = Setting {
        launch: context.launch.clone(),
        folders: folders.clone(),
        target: target.clone(),
        libraries,
        backends: backends(&context),
    };
    let findings = make(setting, &chosen, arguments.junit, ui);
    context.tidy(&folders);
    if context.interrupt().is_set() {
        return Err(Problem::new(Exit::Interrupted, "interrupted"));
    }
    tell(&target, &findings, arguments.junit, ui)?;
    Ok(exit(&findings))
}

fn exit(findings: &[Finding]) -> Exit {
    match Summary::of(findings) {
        Summary { failed: 1.., .. } => Exit::TrialFailed,
        summary if summary.is_conformant() => Exit::Done,
        _ => Exit::Unavailable,
    }
}

fn list(chosen: &[&Check], ui: &mut Ui) {
    if ui.json() {
        let rows: Vec<_> = chosen
            .iter()
            .map(|check| json!({"id": check.id, "of": check.of(), "demands": check.demands, "rule": check.rule()}))
            .collect();
        return ui.result(&Value::from(rows).to_string());
    }
    let mut table = table(["check", "of", "demands that"]);
    for check in chosen {
        table.add_row([check.id, check.of(), check.demands]);
    }
    ui.result(&lines(&table));
}

/// What the file is. One that is no plugin is checked too, and fails; one that is not there, or that somebody else could
/// have written, is not.
fn target(context: &Context, file: &Path) -> Result<Target, Problem> {
    let missing = |error: std::io::Error| {
        Problem::new(Exit::Unavailable, format!("{}: cannot be read: {error}", file.display()))
    };
    let path = file.canonicalize().map_err(missing)?;
    let trusted = context.trust.check_file(&path);
    trusted.map_err(|distrust| rejected(&path, distrust.into()))?;
    let plugin = match inspect(&path) {
        Ok(inspected) => Ok(context.choose(&inspected)?),
        Err(rejection) => Err(rejection),
    };
    Ok(Target { path, plugin })
}

/// The libraries of workloads that were named, and those that are found.
fn libraries(context: &Context, named: &[PathBuf]) -> Result<Vec<PluginRef>, Problem> {
    let mut libraries = Vec::new();
    for file in named {
        context.trust.check_file(file).map_err(|distrust| rejected(file, distrust.into()))?;
        let inspected = inspect(file).map_err(|rejection| rejected(file, rejection))?;
        libraries.push(context.choose(&inspected)?);
    }
    for library in context.inventory.libraries.items() {
        let found = context.choose(library)?;
        if !libraries.iter().any(|known: &PluginRef| known.sha256 == found.sha256) {
            libraries.push(found);
        }
    }
    Ok(libraries)
}

/// The backends that are found. What cannot be loaded is told by the listing.
fn backends(context: &Context) -> Vec<(String, LibraryFile)> {
    let named = |runner: &Inspected| {
        let chosen = context.choose(runner).ok()?;
        Some((chosen.metadata.name.clone(), LibraryFile::from(&chosen)))
    };
    context.inventory.runners.items().filter_map(named).collect()
}

fn make(setting: Setting, chosen: &[&'static Check], junit: bool, ui: &mut Ui) -> Vec<Finding> {
    let text = !ui.json() && !junit;
    if text {
        ui.result(&format!("{}\n", title(&setting.target)));
    }
    let ui = std::cell::RefCell::new(ui);
    let mut before = |check: &Check| ui.borrow_mut().doing(check.id);
    let mut after = |finding: &Finding| {
        let mut ui = ui.borrow_mut();
        ui.still();
        if text {
            ui.result(&line(finding));
        }
    };
    let findings = check::run(setting, chosen, &mut before, &mut after);
    ui.borrow_mut().still();
    findings
}

fn title(target: &Target) -> String {
    match &target.plugin {
        Ok(PluginRef { metadata, .. }) => {
            let (kind, name, version) = (metadata.kind.as_str(), &metadata.name, &metadata.version);
            format!("{kind} {name} {version}: {}", target.path.display())
        }
        Err(_) => target.path.display().to_string(),
    }
}

/// How wide the column of the ids is.
fn width() -> usize {
    CHECKS.iter().map(|check| check.id.len()).max().unwrap_or_default()
}

fn line(finding: &Finding) -> String {
    let (word, id, width) = (finding.outcome.word(), finding.id, width());
    let reason = finding.outcome.reason().replace('\n', " ");
    format!("{word:<7}  {id:<width$}  {reason}").trim_end().to_owned() + "\n"
}

fn tell(target: &Target, findings: &[Finding], junit: bool, ui: &mut Ui) -> Result<(), Problem> {
    if junit {
        let name = target.plugin.as_ref().map_or("unknown", |plugin| &plugin.metadata.name);
        let document = check::junit::document(name, findings).map_err(|error| Problem::unexpected(&error))?;
        ui.result(&document);
    } else if ui.json() {
        ui.result(&object(target, findings).to_string());
    } else {
        ui.result(&summary(findings));
    }
    Ok(())
}

fn object(target: &Target, findings: &[Finding]) -> Value {
    let summary = Summary::of(findings);
    let plugin = target.plugin.as_ref().ok();
    json!({
        "file": target.path.display().to_string(),
        "name": plugin.map(|plugin| &plugin.metadata.name),
        "kind": plugin.map(|plugin| plugin.metadata.kind.as_str()),
        "version": plugin.map(|plugin| &plugin.metadata.version),
        "sha256": plugin.map(|plugin| &plugin.sha256),
        "conformant": summary.is_conformant(),
        "summary": summary,
        "checks": findings,
    })
}

/// What failed, with the rule and what to do, and what it comes to.
fn summary(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings.iter().filter(|finding| matches!(finding.outcome, CheckOutcome::Failed { .. })) {
        let Finding { id, demands, rule, remedy, .. } = finding;
        text += &format!(
            "\n{id}: {}\n  demanded: {demands}\n  rule: {rule}\n  try: {remedy}\n",
            finding.outcome.reason()
        );
    }
    let Summary { passed, failed, skipped, not_run } = Summary::of(findings);
    let counts = [(passed, "passed"), (failed, "failed"), (skipped, "skipped"), (not_run, "not run")];
    let counts: Vec<_> = counts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    let counts = if counts.is_empty() { "no check was made".to_owned() } else { counts.join(", ") };
    let conformant = Summary::of(findings).is_conformant();
    let verdict = if conformant { "conformant" } else { "NOT CONFORMANT" };
    text += &format!("\n{verdict}: {counts}{}\n", not_run_because(findings));
    printable(&text)
}

/// Why what was not run was not, if one thing is known to mend it.
fn not_run_because(findings: &[Finding]) -> String {
    let mended = findings.iter().find_map(|finding| match &finding.outcome {
        CheckOutcome::NotRun { why, remedy: Some(remedy) } => Some(format!("\n{why}; try: {remedy}")),
        _ => None,
    });
    mended.unwrap_or_default()
}
