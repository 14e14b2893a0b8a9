//! `crossrun backends check`: checks whether a plugin keeps the contract.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::app::command_line::CommandLine;
use crate::app::context::Context;
use crate::app::resolve::{inspected, plugins_in, rejected_file};
use crate::app::ui::Ui;
use crate::app::{Exit, GlobalArguments, Problem, options};
use crate::check::{self, CHECKS, Check, CheckOutcome, Finding, Progress, Setting, Summary, Target};
use crate::plugin::PluginRef;
use crate::plugin::inspect::{Kind, inspect};
use crate::text::{lines, printable, single_line, table, with_remedy};
use crate::worker::protocol::LibraryFile;

#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    /// The plugin's file, or its name if it is found.
    #[arg(required_unless_present = "list")]
    file: Option<PathBuf>,
    /// Run only these checks: an id, the part of an id before the dot, or a pattern with *. Repeatable.
    #[arg(long, value_name = "PATTERN")]
    include: Vec<String>,
    /// Do not run these checks. Repeatable.
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
    /// Run a backend on the workloads of this library too. Repeatable.
    #[arg(long, value_name = "FILE")]
    workloads: Vec<PathBuf>,
    /// The time limit of a run, such as 90s or 10m [default: 2m; after the first run 30s, or twenty times the longest run if that is
    /// more, but at most 2m].
    #[arg(long, value_name = "TIME", value_parser = options::duration, allow_negative_numbers = true)]
    timeout: Option<Duration>,
    /// Print JUnit XML instead of text.
    #[arg(long, conflicts_with = "json")]
    junit: bool,
    /// Print the checks, and run none.
    #[arg(long)]
    list: bool,
}

impl Arguments {
    /// The command that checks the plugin of this name in the same way.
    fn command_of(&self, name: &str) -> String {
        let mut command = CommandLine::new(&["backends", "check", name]);
        command
            .options("include", &self.include)
            .options("exclude", &self.exclude)
            .paths("workloads", &self.workloads)
            .flag("junit", self.junit)
            .duration("timeout", self.timeout)
            .to_string()
    }
}

/// The command that prints the checks.
const LIST: &str = "crossrun backends check --list";

pub(super) fn run(global: &GlobalArguments, arguments: &Arguments, ui: &mut Ui) -> Result<Exit, Problem> {
    let checks = check::pattern::select(&arguments.include, &arguments.exclude)
        .map_err(|pattern| Problem::usage(format!("no check matches {pattern:?}")).with_remedy(LIST))?;
    let file = match &arguments.file {
        Some(file) if !arguments.list => file,
        _ => {
            ui.object_or(|| objects(&checks), || listing(&checks))?;
            return Ok(Exit::Done);
        }
    };
    let context = Context::new(global, ui)?;
    let target = target(&context, arguments, file)?;
    if !checks.iter().any(|check| check.applies_to(&target)) {
        // Which checks are for a file that is rejected is not known.
        return Err(match target.plugin {
            Err(rejection) => rejected_file(file, rejection),
            Ok(_) => Problem::usage("none of the selected checks is for this file").with_remedy(LIST),
        });
    }
    let libraries = libraries(&context, &arguments.workloads)?;
    let folders = context.folders(&format!("check-{}", std::process::id()))?;
    let setting = Setting {
        launch: context.launch.clone(),
        timeout: arguments.timeout.or(context.launch.deadlines.run),
        folders: folders.clone(),
        target: target.clone(),
        libraries,
        backends: backends(&context),
    };
    let findings = run_checks(setting, &checks, arguments.junit, ui);
    context.tidy(&folders);
    if context.interrupt().is_set() {
        return Err(Problem::new(Exit::Interrupted, "interrupted"));
    }
    print(&target, &findings, arguments.junit, ui)?;
    Ok(exit(&findings))
}

fn exit(findings: &[Finding]) -> Exit {
    match Summary::of(findings) {
        Summary { failed: 1.., .. } => Exit::TrialFailed,
        summary if summary.is_conformant() => Exit::Done,
        _ => Exit::Unavailable,
    }
}

fn objects(checks: &[&Check]) -> Vec<Value> {
    let object = |check: &&Check| json!({"id": check.id, "of": check.of(), "demands": check.demands, "rule": check.rule});
    checks.iter().map(object).collect()
}

fn listing(checks: &[&Check]) -> String {
    let mut table = table(["check", "for", "requirement"]);
    for check in checks {
        table.add_row([check.id, check.of(), check.demands]);
    }
    lines(&table)
}

/// Inspects the file. A file that is not a plugin is checked too, and fails. A file that does not exist, or that other users
/// can write to, is not checked.
fn target(context: &Context, arguments: &Arguments, file: &Path) -> Result<Target, Problem> {
    let again = |name: &str| context.in_folders(arguments.command_of(name));
    let file = context.file_of(file).map_err(|problem| problem.with_name("--backend", again))?;
    if file.is_dir() {
        let message = format!("{}: is a folder, not a plugin", file.display());
        return Err(Problem::new(Exit::Unavailable, message).with_remedy(plugins_in(&file)));
    }
    let path = context.trust.file(&file).map_err(|refusal| rejected_file(&file, refusal.into()))?;
    let plugin = match inspect(&path) {
        Ok(inspected) => Ok(context.identify(&inspected)?),
        Err(rejection) => Err(rejection),
    };
    Ok(Target { path, plugin })
}

/// The workload libraries that were named, and those that were found.
fn libraries(context: &Context, named: &[PathBuf]) -> Result<Vec<PluginRef>, Problem> {
    let mut libraries = Vec::new();
    for file in named {
        libraries.push(library(context, &context.library_file_of(file)?)?);
    }
    for library in context.inventory.libraries.items() {
        let found = context.identify(library)?;
        if !libraries.iter().any(|known: &PluginRef| known.sha256 == found.sha256) {
            libraries.push(found);
        }
    }
    Ok(libraries)
}

/// The library of workloads in this file.
fn library(context: &Context, file: &Path) -> Result<PluginRef, Problem> {
    let plugin = inspected(file, &context.trust)?;
    match plugin.metadata.kind {
        Kind::Workloads(_) => context.identify(&plugin),
        Kind::Runner => {
            let message = format!("{}: is a backend, not a library of workloads", file.display());
            Err(Problem::new(Exit::Unavailable, message).with_remedy(context.every_plugin()))
        }
    }
}

/// The backends that were found. The listing reports those that are rejected.
fn backends(context: &Context) -> Vec<(String, LibraryFile)> {
    let identified = context.inventory.runners.items().filter_map(|runner| context.identify(runner).ok());
    identified.map(|plugin| (plugin.metadata.name.clone(), LibraryFile::from(&plugin))).collect()
}

fn run_checks(setting: Setting, checks: &[&'static Check], junit: bool, ui: &mut Ui) -> Vec<Finding> {
    let text = !ui.json() && !junit;
    if text {
        ui.result(&format!("{}\n", title(&setting.target)));
    }
    let findings = check::run(setting, checks, &mut |progress| match progress {
        Progress::Started(check) => ui.status(check.id),
        Progress::Finished(finding) => {
            ui.clear_status();
            if text {
                ui.result(&line(finding));
            }
        }
    });
    ui.clear_status();
    findings
}

fn title(target: &Target) -> String {
    match &target.plugin {
        Ok(PluginRef { metadata, .. }) => {
            let (kind, name, version) = (metadata.kind.as_str(), &metadata.name, &metadata.version);
            single_line(&format!("{kind} {name} {version}: {}", target.path.display()))
        }
        Err(_) => single_line(&target.path.display().to_string()),
    }
}

fn line(finding: &Finding) -> String {
    let (word, id) = (finding.outcome.word(), finding.id);
    let width = CHECKS.iter().map(|check| check.id.len()).max().unwrap_or_default();
    let reason = finding.outcome.reason().replace('\n', " ");
    format!("{word:<7}  {id:<width$}  {reason}").trim_end().to_owned() + "\n"
}

fn print(target: &Target, findings: &[Finding], junit: bool, ui: &mut Ui) -> Result<(), Problem> {
    if junit {
        let name = target.plugin.as_ref().map_or("unknown", |plugin| &plugin.metadata.name);
        let document = check::junit::document(name, findings).map_err(|error| Problem::unexpected(&error))?;
        ui.result(&document);
        return Ok(());
    }
    ui.object_or(|| object(target, findings), || summary(findings))
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

/// The failed checks, each with its rule and remedy, and the number of checks by outcome.
fn summary(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings.iter().filter(|finding| matches!(finding.outcome, CheckOutcome::Failed { .. })) {
        let Finding { id, demands, rule, remedy, .. } = finding;
        text += &format!(
            "\n{id}: {}\n  requirement: {demands}\n  rule: {rule}\n  try: {remedy}\n",
            finding.outcome.reason()
        );
    }
    let all = Summary::of(findings);
    let Summary { passed, failed, skipped, not_run } = all;
    let counts = [(passed, "passed"), (failed, "failed"), (skipped, "skipped"), (not_run, "not run")];
    let counts: Vec<_> = counts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    let counts = counts.join(", ");
    let verdict = if all.is_conformant() { "conformant" } else { "NOT CONFORMANT" };
    text += &format!("\n{verdict}: {counts}{}\n", not_run_remedy(findings));
    printable(&text)
}

/// Why checks were not run, if there is a remedy for that.
fn not_run_remedy(findings: &[Finding]) -> String {
    let remedy = findings.iter().find_map(|finding| match &finding.outcome {
        CheckOutcome::NotRun { why, remedy: Some(remedy) } => {
            Some(format!("\n{}", with_remedy(why, Some(remedy))))
        }
        _ => None,
    });
    remedy.unwrap_or_default()
}
