//! `crossrun backends`: every library that was looked at, and what became of it.

use serde_json::Value;

use super::host::Host;
use super::{Exit, GlobalArguments, Problem};
use crate::inspect::{Inspected, Rejection};
use crate::protocol::Folders;
use crate::registry::survey::{Row, Status};
use crate::session::{Fault, Isolation};
use crate::ui::{Ui, lines, printable, table};

pub(super) fn run(global: &GlobalArguments, ui: &mut Ui) -> Result<Exit, Problem> {
    let host = Host::new(global, Isolation::Process, ui)?;
    let folders = host.folders(&format!("backends-{}", std::process::id()))?;
    let mut rows = host.survey().rows.clone();
    rows.extend(
        host.survey().libraries.items().map(|library| Row::of(library, Status::Available, None, None)),
    );
    rows.extend(probe_all(&host, &folders));
    host.tidy(&folders);
    if host.interrupt().is_set() {
        return Err(Problem::new(Exit::Interrupted, "interrupted"));
    }
    // Names first; what has none is last.
    rows.sort_by(|one, other| {
        let key = |row: &Row| (row.name.is_none(), row.name.clone(), row.status, row.path.clone());
        key(one).cmp(&key(other))
    });
    let text = if ui.json() { json(&rows) } else { text(&host, &rows) };
    ui.result(&text);
    Ok(Exit::Done)
}

/// Asks every backend whether it could start: each in a worker of its own, all at once.
fn probe_all(host: &Host, folders: &Folders) -> Vec<Row> {
    std::thread::scope(|scope| {
        let runners = host.survey().runners.items();
        let probes: Vec<_> =
            runners.map(|runner| (runner, scope.spawn(|| probe(host, runner, folders)))).collect();
        let row = |(runner, probe): (&Inspected, std::thread::ScopedJoinHandle<'_, Row>)| {
            probe.join().unwrap_or_else(|_| rejected(runner, "it could not be asked".into(), None))
        };
        probes.into_iter().map(row).collect()
    })
}

fn probe(host: &Host, runner: &Inspected, folders: &Folders) -> Row {
    let answer = host.load(runner, folders).and_then(|mut backend| {
        let answer = backend.probe();
        backend.end();
        answer
    });
    match answer {
        Ok(availability) => Row::probed(runner, availability),
        Err(error) => {
            let row = rejected(runner, error.message, error.remedy);
            // An engine that says why it cannot be asked is a plugin in order.
            let said = matches!(error.fault, Fault::Said(_));
            if said { Row { status: Status::Unavailable, ..row } } else { row }
        }
    }
}

fn rejected(runner: &Inspected, reason: String, remedy: Option<String>) -> Row {
    let Rejection { reason, remedy } = Rejection { reason, remedy };
    Row::of(runner, Status::Rejected, Some(reason), remedy)
}

fn json(rows: &[Row]) -> String {
    serde_json::to_value(rows).unwrap_or(Value::Null).to_string()
}

fn text(host: &Host, rows: &[Row]) -> String {
    if rows.is_empty() {
        let folders = host.survey().trace.iter().map(|looked| format!("\n  {}", looked.folder.display()));
        return format!("no library was found in{}\n", folders.collect::<String>());
    }
    let mut table = table(["name", "status", "version", "kind", "path", "reason"]);
    for row in rows {
        let cell = |value: &Option<String>| value.as_deref().map_or_else(|| "-".into(), printable);
        let remedy = row.remedy.as_ref().map_or_else(String::new, |remedy| format!("; try: {remedy}"));
        let reason = row.reason.as_ref().map_or_else(String::new, |reason| format!("{reason}{remedy}"));
        table.add_row([
            cell(&row.name),
            row.status.word().into(),
            cell(&row.version),
            row.kind.unwrap_or("-").into(),
            printable(&row.path.display().to_string()),
            printable(&reason),
        ]);
    }
    lines(&table)
}
