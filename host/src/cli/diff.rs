//! `crossrun diff`: reports what got slower between two recorded runs of one machine.

use std::path::PathBuf;

use crate::app::ui::Ui;
use crate::app::{Exit, Problem, machine_history, records};
use crate::compare::history::{
    AaHistory, CellChange, ChangeVerdict, ENOUGH_AA, History, HistoryError, history,
};
use crate::named_file::{self, is_standard_input};
use crate::report::{chosen_percent, percent};

const AFTER_HELP: &str = "\
The machine may have changed between two runs, so a slowdown that this command finds is only a hint. The exit code is 7 for what \
now fails, is wrong or is missing, and for a slowdown beyond the noise of this machine, if five or more A/A comparisons \
(compare --aa, selftest) have shown it. To be sure, run old and new in the same blocks:
crossrun compare --backends old=OLD.so,new=NEW.so --baseline old";

#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    /// The records of the old run: a file, `-` for standard input, or a folder that is searched with the folders below it.
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The records of the new run.
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// The smallest change that is reported, such as 5% or 0.05.
    #[arg(long, value_name = "PART", default_value = "5%", value_parser = part, allow_negative_numbers = true)]
    threshold: f64,
}

/// A fraction, such as `5%` or `0.05`.
fn part(text: &str) -> Result<f64, String> {
    let percent = text.strip_suffix('%');
    let scale = if percent.is_some() { 100.0 } else { 1.0 };
    let part = percent.unwrap_or(text).trim().parse::<f64>().ok().map(|number| number / scale);
    // Whoever writes 5 means 5 %, and not five times as long.
    let is_meant = |part: &f64| (0.0..=10.0).contains(part) && (percent.is_some() || *part < 1.0);
    part.filter(is_meant)
        .ok_or_else(|| "must be below 1, such as 0.05, or a percentage such as 5%".to_owned())
}

pub(super) fn run(arguments: &Arguments, ui: &mut Ui) -> Result<Exit, Problem> {
    let Arguments { old, new, threshold } = arguments;
    records::check_inputs("diff", &[old.clone(), new.clone()])?;
    let mut before = records::read(std::slice::from_ref(old), ui)?;
    let mut after = records::read(std::slice::from_ref(new), ui)?;
    // Each sweep chooses its points by what it measures: one that only the old run has would be missing in the new one.
    let mut left_out = 0;
    for (read, path) in [(&mut before, old), (&mut after, new)] {
        read.check_any()?;
        let sweeps = read.take_sweeps().len();
        if sweeps > 0 && read.inputs.is_empty() {
            return Err(records::only_sweeps(sweeps, std::slice::from_ref(path)));
        }
        left_out += sweeps;
    }
    if left_out > 0 {
        ui.warning(&format!("{left_out} trials of METG sweeps are left out, as each chooses its own points"));
    }
    before.unfinished().chain(after.unfinished()).for_each(|run| ui.warning(&run.message));
    before.check_measured()?;
    after.check_measured()?;
    let read = before.exit(after.exit(Exit::Done));
    let aa_factors = |machine: &_| machine_history::aa_factors(machine, ui);
    let history = history(&before.inputs, &after.inputs, *threshold, aa_factors);
    let mut history = history.map_err(|error| refused(&error, read, [old, new]))?;
    // What its run has still to measure is not missing.
    let is_to_come = |change: &CellChange| {
        let has_it = change.call == ChangeVerdict::Missing;
        has_it && after.unfinished().any(|run| run.backends.contains(&change.cell.backend))
    };
    history.changes.retain(|change| !is_to_come(change));
    history.altered = [before.altered.as_slice(), &after.altered].concat();
    history.without_chain = [before.without_chain.as_slice(), &after.without_chain].concat();
    ui.object_or(|| &history, || crate::report::history(&history))?;
    hints(&history).for_each(|hint| ui.warning(&hint));
    let found = history.changes.iter().any(|change| change.fails);
    Ok(if found { Exit::Difference } else { read })
}

/// Warnings about cells that are slower, where noise may explain that: those of durations, and those of latencies.
fn hints(history: &History) -> impl Iterator<Item = String> {
    let of_latency = history.aa_of_latency.and_then(|aa| hint(history, true, &why_of_latency(aa)));
    hint(history, false, &why(history.aa)).into_iter().chain(of_latency)
}

fn why(aa: AaHistory) -> String {
    match aa.factor {
        Some(factor) => {
            format!("A/A comparisons on this machine differed by up to {}", percent(factor - 1.0))
        }
        None => format!(
            "the noise of this machine is known after {ENOUGH_AA} A/A comparisons (compare --aa, selftest), and it has {}",
            aa.comparisons
        ),
    }
}

fn why_of_latency(aa: AaHistory) -> String {
    match aa.factor {
        Some(factor) => {
            let by = percent(factor - 1.0);
            format!("A/A comparisons of open loops on this machine differed by up to {by} in their latency")
        }
        None => format!(
            "the noise of latencies on this machine is known after {ENOUGH_AA} A/A comparisons of open loops (compare --aa), \
             and it has {}",
            aa.comparisons
        ),
    }
}

fn hint(history: &History, of_latency: bool, why: &str) -> Option<String> {
    let is_hint = |change: &&CellChange| {
        change.is_of_latency() == of_latency && change.call.is_regression() && !change.fails
    };
    let hints = history.changes.iter().filter(is_hint).count();
    (hints > 0).then(|| {
        format!(
            "{} slower by more than {}, which is a hint and does not count for the exit code: {why}; for proof: \
             crossrun compare --backends old=OLD.so,new=NEW.so --baseline old",
            if hints == 1 { "1 cell is".to_owned() } else { format!("{hints} cells are") },
            chosen_percent(history.threshold),
        )
    })
}

/// Why the runs cannot be compared. If not all of them could be read, that may be the reason.
fn refused(error: &HistoryError, read: Exit, runs: [&PathBuf; 2]) -> Problem {
    // Standard input cannot be read again.
    let trials = || named_file::about("show", runs.into_iter().find(|path| !is_standard_input(path)));
    let remedy = match error {
        _ if read != Exit::Done => "what the warnings say, and compare again".to_owned(),
        HistoryError::Machine { as_one, .. } => {
            let again = as_one.as_ref().map_or_else(String::new, |name| format!(", or run again {name}"));
            format!("run both on the same machine{again}")
        }
        HistoryError::Undescribed => named_file::about_read("report", runs),
        HistoryError::Build { .. } => "build both with optimisation, and run again".to_owned(),
        HistoryError::NothingInCommon => trials(),
        HistoryError::OtherForm { .. } => {
            "--extra form=stages, to run the graph in stages in both".to_owned()
        }
    };
    let exit = if read == Exit::Done { Exit::Invalid } else { read };
    Problem::new(exit, error.to_string()).with_remedy(remedy)
}

#[cfg(test)]
mod tests {
    use super::part;

    #[test]
    fn a_threshold_is_a_part_or_a_percentage() {
        assert_eq!((part("5%"), part("0.05"), part("0")), (Ok(0.05), Ok(0.05), Ok(0.0)));
        assert_eq!(part("300%"), Ok(3.0));
        for bad in ["", "%", "five", "-1%", "NaN", "1e9", "5", "1"] {
            assert!(part(bad).is_err(), "{bad}");
        }
    }
}
