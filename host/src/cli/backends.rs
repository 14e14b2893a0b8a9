//! `crossrun backends`: lists every library that was found, with its status.

mod check;
mod inspect;
mod lock;

use serde_json::json;

use crate::app::context::Context;
use crate::app::ui::Ui;
use crate::app::{Exit, GlobalArguments, Problem};
use crate::cli::new::{self, BackendLanguage};
use crate::plugin::inspect::{Inspected, Rejection};
use crate::plugin::inventory::{Row, Status};
use crate::plugin::lock_file::LockedPlugin;
use crate::run::session::Fault;
use crate::text::{lines, single_line, table, with_remedy, word};
use crate::worker::protocol::Folders;

#[derive(clap::Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Arguments {
    /// Load nothing: list the metadata of the files, and do not probe whether backends can start.
    #[arg(long)]
    no_probe: bool,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Write a lock file: the hashes of the plugins that may be loaded with --locked.
    Lock(lock::Arguments),
    /// Create a project for a new backend, which builds, runs every workload, and has a test.
    New(new::Arguments<BackendLanguage>),
    /// Describe a file without running any of it, whatever machine it was built for.
    Inspect(inspect::Arguments),
    /// Check whether a plugin keeps the contract: load it, run it in many ways, and report each rule that it breaks.
    Check(check::Arguments),
}

pub(super) fn run(global: &GlobalArguments, arguments: &Arguments, ui: &mut Ui) -> Result<Exit, Problem> {
    match &arguments.verb {
        Some(Verb::Lock(arguments)) => lock::run(global, arguments, ui),
        Some(Verb::New(arguments)) => new::backend(global, arguments, ui),
        Some(Verb::Inspect(arguments)) => inspect::run(global, arguments, ui),
        Some(Verb::Check(arguments)) => check::run(global, arguments, ui),
        None => list(global, !arguments.no_probe, ui),
    }
}

fn list(global: &GlobalArguments, probing: bool, ui: &mut Ui) -> Result<Exit, Problem> {
    let context = Context::new(global, ui)?;
    let mut rows = context.inventory.rows.clone();
    let status = if probing { Status::Available } else { Status::Found };
    rows.extend(context.inventory.libraries.items().map(|library| unprobed(&context, library, status)));
    if probing {
        rows.extend(probed(&context)?);
    } else {
        rows.extend(context.inventory.runners.items().map(|runner| unprobed(&context, runner, status)));
    }
    rows.extend(context.missing_plugins().into_iter().map(missing));
    if context.interrupt().is_set() {
        return Err(Problem::new(Exit::Interrupted, "interrupted"));
    }
    // By name; rows without a name are last.
    rows.sort_by(|one, other| {
        let key = |row: &Row| (row.name.is_none(), row.name.clone(), row.status, row.path.clone());
        key(one).cmp(&key(other))
    });
    ui.object_or(|| json!(rows), || text(&context, &rows))?;
    Ok(Exit::Done)
}

/// The row of a plugin that is not probed. Its file is read whole only if a lock file is used.
fn unprobed(context: &Context, plugin: &Inspected, status: Status) -> Row {
    if context.lock.is_none() {
        return Row::of(plugin, status, None, None);
    }
    match context.identify(plugin) {
        Ok(identified) => Row { sha256: Some(identified.sha256), ..Row::of(plugin, status, None, None) },
        Err(problem) => rejected(plugin, problem.message, problem.remedy),
    }
}

/// The row of a plugin that the lock file lists, but that was not found.
fn missing((listed, problem): (LockedPlugin, Problem)) -> Row {
    let rejection = Rejection { reason: problem.message, remedy: problem.remedy };
    Row { name: Some(listed.name), ..Row::rejected(listed.source.into(), rejection) }
}

/// The rows of all backends, each of which is probed.
pub(super) fn probed(context: &Context) -> Result<Vec<Row>, Problem> {
    let folders = context.folders(&format!("backends-{}", std::process::id()))?;
    let rows = probe_all(context, &folders);
    context.tidy(&folders);
    Ok(rows)
}

/// The rows of all backends where none can be probed.
pub(super) fn not_probed(context: &Context) -> Vec<Row> {
    let why = || Some("it was not probed".to_owned());
    let runners = context.inventory.runners.items();
    runners.map(|runner| Row::of(runner, Status::Found, why(), None)).collect()
}

/// Probes all backends at once, each in a worker of its own.
fn probe_all(context: &Context, folders: &Folders) -> Vec<Row> {
    std::thread::scope(|scope| {
        let runners = context.inventory.runners.items();
        let probes: Vec<_> = runners
            .map(|runner| {
                let probe = move || probe(context, runner, folders);
                (runner, std::thread::Builder::new().spawn_scoped(scope, probe))
            })
            .collect();
        let rows = probes.into_iter().map(|(runner, probing)| match probing {
            Ok(probing) => {
                probing.join().unwrap_or_else(|_| rejected(runner, "probing it failed".into(), None))
            }
            // Without a thread, the backend is probed in this one.
            Err(_) => probe(context, runner, folders),
        });
        rows.collect()
    })
}

fn probe(context: &Context, runner: &Inspected, folders: &Folders) -> Row {
    let identified = match context.identify(runner) {
        Ok(identified) => identified,
        Err(problem) => return rejected(runner, problem.message, problem.remedy),
    };
    let mut supports = None;
    let answer = context.load(&identified, folders).and_then(|mut backend| {
        let answer = backend.probe();
        supports = Some(backend.loaded.supports.clone()).filter(|words| !words.is_empty());
        backend.end();
        answer
    });
    let row = match answer {
        Ok(availability) => Row::probed(runner, availability),
        Err(error) => {
            let row = rejected(runner, error.message, error.remedy);
            // A backend that answers with an error is a valid plugin, and so is one that no worker can be started for.
            if matches!(error.fault, Fault::Reported(_) | Fault::Host) {
                Row { status: Status::Unavailable, ..row }
            } else {
                row
            }
        }
    };
    let remedy = row.remedy.clone().map(|remedy| context.in_folders(remedy));
    Row { sha256: Some(identified.sha256), supports, remedy, ..row }
}

fn rejected(plugin: &Inspected, reason: String, remedy: Option<String>) -> Row {
    Row::of(plugin, Status::Rejected, Some(reason), remedy)
}

fn text(context: &Context, rows: &[Row]) -> String {
    if rows.is_empty() {
        let folders = context.inventory.trace.iter().map(|looked| format!("\n  {}", looked.folder.display()));
        let remedy = context.without_plugins().map_or_else(String::new, |(_, command)| {
            format!(
                "an archive of crossrun has the plugins beside the executable; in the source folder, this command installs \
                 them:\n  {command}\n"
            )
        });
        return format!("no library was found in{}\n{remedy}", folders.collect::<String>());
    }
    let mut table = table(["name", "status", "version", "kind", "path", "reason"]);
    for row in rows {
        let cell = |value: &Option<String>| value.as_deref().map_or_else(|| "-".into(), single_line);
        let reason = with_remedy(row.reason.as_deref().unwrap_or_default(), row.remedy.as_deref());
        table.add_row([
            cell(&row.name),
            word(row.status),
            cell(&row.version),
            row.kind.unwrap_or("-").into(),
            single_line(&row.path.display().to_string()),
            single_line(&reason),
        ]);
    }
    let supports = rows.iter().filter_map(|row| row.name.as_ref().zip(row.supports.as_ref()));
    let supports =
        supports.map(|(name, words)| single_line(&format!("{name} supports {}", words.join(", "))));
    supports.fold(lines(&table), |text, line| text + &line + "\n")
}
