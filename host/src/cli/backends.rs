//! `crossrun backends`: every library that was looked at, and what became of it.

mod check;
mod inspect;
mod lock;
mod new;

use serde_json::Value;

use crate::app::context::Context;
use crate::app::ui::Ui;
use crate::app::{Exit, GlobalArguments, Problem};
use crate::plugin::inspect::{Inspected, Rejection};
use crate::plugin::inventory::{Row, Status};
use crate::run::session::{Fault, Isolation};
use crate::text::{lines, printable, table, word};
use crate::worker::protocol::Folders;

#[derive(clap::Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Arguments {
    /// Load nothing: list what the files say of themselves, and do not ask backends whether they could start.
    #[arg(long)]
    no_probe: bool,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Write down which plugins may be loaded, each by the hash of its file; --locked goes by it.
    Lock(lock::Arguments),
    /// Make a project for a backend of your own: it builds, runs every workload, and has its test.
    New(new::Arguments),
    /// Tell everything about a file that can be told without running it, whatever it was built for.
    Inspect(inspect::Arguments),
    /// Check whether a plugin keeps the contract: loads it, runs it in every way, and says which rule it breaks.
    Check(check::Arguments),
}

pub(super) fn run(global: &GlobalArguments, arguments: &Arguments, ui: &mut Ui) -> Result<Exit, Problem> {
    match &arguments.verb {
        Some(Verb::Lock(arguments)) => lock::run(global, arguments, ui),
        Some(Verb::New(arguments)) => new::run(global, arguments, ui),
        Some(Verb::Inspect(arguments)) => inspect::run(global, arguments, ui),
        Some(Verb::Check(arguments)) => check::run(global, arguments, ui),
        None => list(global, !arguments.no_probe, ui),
    }
}

fn list(global: &GlobalArguments, probing: bool, ui: &mut Ui) -> Result<Exit, Problem> {
    let context = Context::new(global, Isolation::Process, ui)?;
    let mut rows = context.inventory.rows.clone();
    let status = if probing { Status::Available } else { Status::Found };
    rows.extend(context.inventory.libraries.items().map(|library| unasked(&context, library, status)));
    if probing {
        rows.extend(probed(&context)?);
    } else {
        rows.extend(context.inventory.runners.items().map(|runner| unasked(&context, runner, status)));
    }
    rows.extend(missing(&context));
    if context.interrupt().is_set() {
        return Err(Problem::new(Exit::Interrupted, "interrupted"));
    }
    // Names first; what has none is last.
    rows.sort_by(|one, other| {
        let key = |row: &Row| (row.name.is_none(), row.name.clone(), row.status, row.path.clone());
        key(one).cmp(&key(other))
    });
    let text = if ui.json() { json(&rows) } else { text(&context, &rows) };
    ui.result(&text);
    Ok(Exit::Done)
}

/// A plugin that is not asked anything. Its file is read whole only if a lock is gone by.
fn unasked(context: &Context, plugin: &Inspected, status: Status) -> Row {
    if context.lock.is_none() {
        return Row::of(plugin, status, None, None);
    }
    match context.choose(plugin) {
        Ok(chosen) => Row { sha256: Some(chosen.sha256), ..Row::of(plugin, status, None, None) },
        Err(problem) => rejected(plugin, problem.message, problem.remedy),
    }
}

/// A row for each plugin that the lock lists, but that is not there.
fn missing(context: &Context) -> Vec<Row> {
    let (runners, libraries) = (context.inventory.runners.names(), context.inventory.libraries.names());
    let Some(lock) = context.lock.as_ref() else { return Vec::new() };
    let absent = lock.listed().filter(|(kind, name, _)| {
        let there = if *kind == "runner" { &runners } else { &libraries };
        !there.iter().any(|found| found == name)
    });
    let row = |(kind, name, source): (&str, &str, &str)| {
        let problem = lock.missing(kind, name)?;
        let rejection = Rejection { reason: problem.message, remedy: problem.remedy };
        Some(Row { name: Some(name.to_owned()), ..Row::rejected(source.into(), rejection) })
    };
    absent.filter_map(row).collect()
}

/// A row for each backend, all of them asked whether they could start.
pub(super) fn probed(context: &Context) -> Result<Vec<Row>, Problem> {
    let folders = context.folders(&format!("backends-{}", std::process::id()))?;
    let rows = probe_all(context, &folders);
    context.tidy(&folders);
    Ok(rows)
}

/// Asks every backend whether it could start: each in a worker of its own, all at once.
fn probe_all(context: &Context, folders: &Folders) -> Vec<Row> {
    std::thread::scope(|scope| {
        let runners = context.inventory.runners.items();
        let probes: Vec<_> = runners
            .map(|runner| {
                let probe = move || probe(context, runner, folders);
                (runner, std::thread::Builder::new().spawn_scoped(scope, probe))
            })
            .collect();
        let row =
            |(runner, probing): (&Inspected, std::io::Result<std::thread::ScopedJoinHandle<'_, Row>>)| {
                let unasked = || rejected(runner, "it could not be asked".into(), None);
                match probing {
                    Ok(probing) => probing.join().unwrap_or_else(|_| unasked()),
                    // A machine on which no thread can be had is asked one by one.
                    Err(_) => probe(context, runner, folders),
                }
            };
        probes.into_iter().map(row).collect()
    })
}

fn probe(context: &Context, runner: &Inspected, folders: &Folders) -> Row {
    let chosen = match context.choose(runner) {
        Ok(chosen) => chosen,
        Err(problem) => return rejected(runner, problem.message, problem.remedy),
    };
    let answer = context.load(&chosen, folders).and_then(|mut backend| {
        let answer = backend.probe();
        backend.end();
        answer
    });
    let row = match answer {
        Ok(availability) => Row::probed(runner, availability),
        Err(error) => {
            let row = rejected(runner, error.message, error.remedy);
            // An engine that says why it cannot be asked is a plugin in order.
            let said = matches!(error.fault, Fault::Reported(_));
            if said { Row { status: Status::Unavailable, ..row } } else { row }
        }
    };
    Row { sha256: Some(chosen.sha256), ..row }
}

fn rejected(plugin: &Inspected, reason: String, remedy: Option<String>) -> Row {
    Row::of(plugin, Status::Rejected, Some(reason), remedy)
}

fn json(rows: &[Row]) -> String {
    serde_json::to_value(rows).unwrap_or(Value::Null).to_string()
}

fn text(context: &Context, rows: &[Row]) -> String {
    if rows.is_empty() {
        let folders = context.inventory.trace.iter().map(|looked| format!("\n  {}", looked.folder.display()));
        let remedy = context.without_plugins().map_or_else(String::new, |(_, command)| {
            format!(
                "an archive of crossrun has its plugins in the folder beside the executable; in the folder of its source this puts \
                 them where they are found:\n  {command}\n"
            )
        });
        return format!("no library was found in{}\n{remedy}", folders.collect::<String>());
    }
    let mut table = table(["name", "status", "version", "kind", "path", "reason"]);
    for row in rows {
        let cell = |value: &Option<String>| value.as_deref().map_or_else(|| "-".into(), printable);
        let remedy = row.remedy.as_ref().map_or_else(String::new, |remedy| format!("; try: {remedy}"));
        let reason = row.reason.as_ref().map_or_else(String::new, |reason| format!("{reason}{remedy}"));
        table.add_row([
            cell(&row.name),
            word(row.status),
            cell(&row.version),
            row.kind.unwrap_or("-").into(),
            printable(&row.path.display().to_string()),
            printable(&reason),
        ]);
    }
    lines(&table)
}
