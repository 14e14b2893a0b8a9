//! `crossrun selftest`: tests whether measurements on this machine can be trusted.

use crate::app::context::Context;
use crate::app::ui::Ui;
use crate::app::{Exit, GlobalArguments, Problem};
use crate::check::selftest::{Findings, SelfTest};
use crate::plan::defaults::COMPUTING;
use crate::run::session::Isolation;
use crate::text::{lines, plural, printable, table};
use crate::worker::cheating_backend::Cheat;

#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    /// Run fewer blocks, which takes less than a minute.
    #[arg(long)]
    quick: bool,
    /// Do not wait until no other measurement runs on this machine.
    #[arg(long)]
    no_lock: bool,
}

pub(super) fn run(global: &GlobalArguments, arguments: &Arguments, ui: &mut Ui) -> Result<Exit, Problem> {
    let context = Context::new(global, Isolation::Process, ui)?;
    // Its library has all that the liar is given.
    let library = context.workload_library(COMPUTING)?;
    let folders = context.folders("selftest")?;
    let lock = context.measurement_lock(!arguments.no_lock, ui)?;
    let mut test = SelfTest::new(context.launch.clone(), &library, folders.clone());
    let outcome = measure(&mut test, arguments.quick, ui);
    test.end();
    drop(lock);
    ui.clear_status();
    context.tidy(&folders);
    let outcome = outcome?;
    if ui.json() {
        let json = serde_json::to_value(&outcome).map_err(|error| Problem::unexpected(&error))?;
        let mut json = json.as_object().cloned().unwrap_or_default();
        json.insert("passed".into(), outcome.passed().into());
        ui.result(&serde_json::Value::from(json).to_string());
    } else {
        ui.result(&page(&outcome));
    }
    Ok(if outcome.passed() { Exit::Done } else { Exit::Invalid })
}

fn measure(test: &mut SelfTest, quick: bool, ui: &mut Ui) -> Result<Findings, Problem> {
    let mut cheats = Vec::new();
    for (cheat, label) in Cheat::ALL {
        ui.status(&format!("running a cheating backend: it {label}"));
        cheats.push(test.try_cheat(cheat)?);
    }
    ui.status("comparing a backend with itself");
    let aa = test.aa_comparison(if quick { 7 } else { 12 })?;
    ui.status("running an empty workload");
    let floor_seconds = test.floor(if quick { 50 } else { 500 })?;
    Ok(Findings { cheats, aa, floor_seconds })
}

fn page(outcome: &Findings) -> String {
    let mut cheats = table(["a backend that", "is", "as"]);
    for result in &outcome.cheats {
        let caught = match (result.cheat, result.caught) {
            (Cheat::None, true) => "verified",
            (Cheat::None, false) => "NOT VERIFIED",
            (_, true) => "detected",
            (_, false) => "NOT DETECTED",
        };
        let as_what = if result.reason.is_empty() {
            String::new()
        } else {
            format!("{}: {}", result.how, result.reason)
        };
        cheats.add_row([result.cheat.label().to_owned(), caught.to_owned(), printable(&as_what)]);
    }
    let aa = &outcome.aa;
    format!(
        "{}\nA/A comparison: {} false verdicts in {} over {}; the largest difference is {:.1} %\n\
         an empty run takes {:.3} ms from request to reply\n{}\n",
        lines(&cheats),
        aa.false_verdicts,
        plural(aa.cells as u64, "comparison"),
        plural(aa.blocks as u64, "block"),
        (aa.largest_difference - 1.0) * 100.0,
        outcome.floor_seconds * 1e3,
        if outcome.passed() {
            "passed"
        } else {
            "FAILED: measurements on this machine cannot be trusted now"
        },
    )
}
