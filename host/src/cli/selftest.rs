//! `crossrun selftest`: tests whether measurements on this machine can be trusted.

use std::time::SystemTime;

use serde_json::json;

use crate::app::context::Context;
use crate::app::ui::Ui;
use crate::app::{Exit, GlobalArguments, Problem, machine_history};
use crate::check::selftest::{
    CheatResult, Conclusion, Elsewhere, Findings, How, Limit, MOST_DIFFERENT, SelfTestError, TABLE, Trials,
};
use crate::plan::defaults::COMPUTING;
use crate::record::format::timestamp;
use crate::record::machine_history::{AaComparison, AaPair};
use crate::report::percent;
use crate::stats::Interval;
use crate::text::{lines, plural, single_line, table, with_remedy, word};
use crate::worker::cheat::Cheat;

#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    /// Run fewer blocks, which takes less than a minute.
    #[arg(long)]
    quick: bool,
    /// Do not wait until no other measurement runs on this machine.
    #[arg(long)]
    no_lock: bool,
}

impl From<SelfTestError> for Problem {
    fn from(error: SelfTestError) -> Self {
        match error {
            SelfTestError::Call(error) => error.into(),
            SelfTestError::Record(error) => error.into(),
        }
    }
}

pub(super) fn run(global: &GlobalArguments, arguments: &Arguments, ui: &mut Ui) -> Result<Exit, Problem> {
    let context = Context::new(global, ui)?;
    // Its library has all that the liar is given.
    let library = context.workload_library(COMPUTING)?;
    let folders = context.folders("selftest")?;
    let lock = context.measurement_lock(!arguments.no_lock, ui)?;
    let started = timestamp(SystemTime::now());
    let mut test = Trials::new(context.launch.clone(), &library, folders.clone());
    let outcome = measure(&mut test, arguments.quick, ui);
    test.end();
    drop(lock);
    ui.clear_status();
    context.tidy(&folders);
    let outcome = outcome?;
    let conclusion = outcome.conclusion();
    let passed = conclusion == Conclusion::Passed;
    if conclusion.is_kept() {
        machine_history::keep_aa(aa_comparison(&outcome, started), &context, ui);
    }
    let object = || {
        let mut object = json!(outcome);
        object["passed"] = passed.into();
        object["conclusion"] = json!(conclusion);
        object
    };
    ui.object_or(object, || page(&outcome))?;
    Ok(if passed { Exit::Done } else { Exit::Invalid })
}

fn measure(test: &mut Trials, quick: bool, ui: &mut Ui) -> Result<Findings, Problem> {
    let (mut cheats, mut elsewhere, mut limits) = (Vec::new(), Vec::new(), Vec::new());
    for row in TABLE.iter() {
        if row.cheat.is_none() && row.is_caught {
            elsewhere.push(Elsewhere { does: row.does, by: row.by });
            continue;
        }
        ui.status(&format!("running a cheating backend: it {}", row.does));
        let ended = row.cheat.map(|cheat| Ok::<_, Problem>((cheat, test.try_cheat(cheat)?))).transpose()?;
        match ended {
            Some((cheat, ended)) if row.is_caught => cheats.push(CheatResult::new(row, cheat, ended)),
            ended => {
                let how = ended.map(|(_, ended)| ended.how);
                limits.push(Limit { does: row.does, why: row.by, how });
            }
        }
    }
    ui.status("comparing a backend with itself");
    let aa = test.aa_comparison(if quick { 7 } else { 12 })?;
    ui.status("running an empty workload");
    let floor_seconds = test.floor(if quick { 50 } else { 500 })?;
    Ok(Findings { cheats, elsewhere, limits, aa, floor_seconds })
}

/// For the history of this machine; `None` without intervals.
fn aa_comparison(findings: &Findings, started: String) -> Option<AaComparison> {
    let pair = |(items, interval): &(u64, Interval)| {
        let point = format!("{COMPUTING}/items={items}");
        AaPair { point, low: interval.low, high: interval.high, is_latency: Some(false) }
    };
    let pairs = findings.aa.intervals.iter().map(pair).collect();
    AaComparison::new("selftest", started, findings.aa.blocks, pairs)
}

fn page(outcome: &Findings) -> String {
    let mut cheats = table(["a backend that", "is", "as", "by"]);
    for result in &outcome.cheats {
        let caught = match (result.cheat, result.caught) {
            (Cheat::None, true) => "verified",
            (Cheat::None, false) => "NOT VERIFIED",
            (_, true) if result.how == How::GainedNothing => "prevented",
            (_, true) => "detected",
            (_, false) => "NOT DETECTED",
        };
        let as_what = if result.reason.is_empty() {
            String::new()
        } else {
            format!("{}: {}", word(result.how), result.reason)
        };
        cheats.add_row([result.does, caught, &single_line(&as_what), result.by]);
    }
    for other in &outcome.elsewhere {
        cheats.add_row([other.does, "not tried", "the tests of crossrun try it", other.by]);
    }
    for limit in &outcome.limits {
        let tried = if limit.how.is_some() { "tried" } else { "not tried" };
        cheats.add_row([limit.does, "not detected", &format!("a documented limit, {tried}"), limit.why]);
    }
    let aa = &outcome.aa;
    format!(
        "{}\nA/A comparison: {} false verdicts in {} over {}; the largest difference is {}\n\
         an empty run takes {:.3} ms from request to reply\n{}\n",
        lines(&cheats),
        aa.false_verdicts,
        plural(aa.cells as u64, "comparison"),
        plural(aa.blocks.into(), "block"),
        percent(aa.largest_difference - 1.0),
        outcome.floor_seconds * 1e3,
        conclusion(outcome),
    )
}

fn conclusion(outcome: &Findings) -> String {
    let rejected = outcome.aa.why_rejected.as_deref();
    let rejected = rejected.map(|why| format!("an honest run was rejected: {}\n", single_line(why)));
    rejected.unwrap_or_default()
        + &match outcome.conclusion() {
            Conclusion::Passed => "passed".to_owned(),
            Conclusion::Failed => "FAILED: measurements on this machine cannot be trusted now".to_owned(),
            Conclusion::TooNoisy => {
                let why = format!(
                    "NOT PASSED: the machine is too noisy to tell: an A/A comparison may differ by {:.1} %",
                    (MOST_DIFFERENT - 1.0) * 100.0
                );
                with_remedy(&why, Some("crossrun doctor"))
            }
        }
}
