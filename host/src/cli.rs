//! The command line, a file for each command: parses arguments, runs the stages in order, and prints the result.

mod backends;
pub(crate) mod compare;
mod completions;
mod diff;
mod doctor;
mod history;
mod man;
mod measure;
mod metg;
mod new;
mod report;
mod run;
mod selftest;
mod serve;
mod setup;
mod show;
mod workloads;

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use clap::builder::StyledStr;
use clap::error::ErrorKind::InvalidSubcommand;
use clap::error::{ContextKind, ContextValue};
use clap::{Parser, Subcommand};

use crate::app::ui::Ui;
use crate::app::{Exit, GlobalArguments, Problem, limits, output, stack};
use crate::sandbox::{Interrupt, interrupt, signal_mask};

const EXIT_CODES: &str = "\
Exit codes:
  0  done and verified              5    a wrong answer
  1  unexpected                     6    an invalid or incomparable measurement
  2  usage                          7    a regression or difference was found
  3  backend or workload unknown,   8    set-up failed
     rejected or not available      130  interrupted
  4  a trial or a check failed";

/// Run one workload on any runtime backend, and verify the answers.
#[derive(Debug, Parser)]
#[command(name = "crossrun", version, after_help = EXIT_CODES, max_term_width = 110)]
struct Arguments {
    #[command(flatten)]
    global: GlobalArguments,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run a workload on one backend, verify the answer, and record it.
    Run(run::Arguments),
    /// Run the same workloads on several backends, and say which is faster, by how much, and how sure it is.
    Compare(Box<compare::Arguments>),
    /// Measure the smallest task for which each backend uses the cores efficiently (METG).
    Metg(Box<metg::Arguments>),
    /// Make a report of records, also of records of the original project.
    Report(report::Arguments),
    /// Report what got slower between two recorded runs of one machine.
    Diff(diff::Arguments),
    /// Show the trend of each cell over many recorded runs of a machine, and where it changed.
    History(history::Arguments),
    /// Show all runs of a folder in a browser of this machine.
    Serve(serve::Arguments),
    /// List the trials of a run, or show one trial in full.
    Show(show::Arguments),
    /// List the backends with their status; lock, inspect, check or create backends.
    Backends(backends::Arguments),
    /// List the workloads, show the parameters and the plan of one, or create one.
    Workloads(workloads::Arguments),
    /// Test whether measurements on this machine can be trusted: with a cheating backend, and with an A/A comparison.
    Selftest(selftest::Arguments),
    /// Find what makes measurements noisy or backends unusable on this machine, and how to fix it.
    Doctor(doctor::Arguments),
    /// Install what backends need, or remove it.
    Setup(setup::Arguments),
    /// Print a completion script for a shell.
    Completions(completions::Arguments),
    /// Write a manual page for each command into a folder.
    Man(man::Arguments),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    signal_mask::unblock_all();
    interrupt::see_children();
    // The hidden commands of child processes are not part of the command line that users see.
    if let Some(code) = child_command() {
        return code;
    }
    // A file that reaches the limit of `ulimit -f` is an error to report, as a full disk is, and not the end of this process.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
    if let Err(problem) = stack::raise() {
        Ui::new(asks_for_json(), true, 0).problem(&problem);
        return problem.exit.into();
    }
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return not_parsed(&with_suggestion(error)).into(),
    };
    let GlobalArguments { json, quiet, verbose, .. } = arguments.global;
    let mut ui = Ui::new(json, quiet, verbose);
    if json {
        // A value that is not valid is reported by the commands that use it.
        output::limit_wait(limits::deadlines().unwrap_or_default().reader);
    }
    let exit = dispatch(arguments, &mut ui).unwrap_or_else(|problem| {
        ui.problem(&problem);
        problem.exit
    });
    let exit = ui.end(exit);
    // Also after one that came while the last engine was stopped, or the reports were written.
    let exit = if Interrupt::has_come() { Exit::Interrupted } else { exit };
    crate::worker::disarm();
    if exit == Exit::Interrupted {
        Interrupt::end_as_signalled();
    }
    exit.into()
}

fn child_command() -> Option<ExitCode> {
    let mut words = std::env::args_os().skip(1);
    let word = words.next()?;
    match word.to_str()? {
        crate::worker::COMMAND => Some(crate::worker::main()),
        other => crate::sandbox::hidden_command(other).map(|main| main()),
    }
}

/// Whether the command line asks for JSON, before it is parsed.
fn asks_for_json() -> bool {
    std::env::args_os().skip(1).take_while(|word| word != "--").any(|word| word == "--json")
}

/// Names of commands that there are not, and what does that.
const OTHER_NAMES: [(&str, &str); 3] =
    [("list", "backends"), ("ls", "backends"), ("plan", "compare --dry-run")];

/// The error with what may be meant by a command that there is not, where that is spelled otherwise.
fn with_suggestion(mut error: clap::Error) -> clap::Error {
    let invalid = error.get(ContextKind::InvalidSubcommand).filter(|_| error.kind() == InvalidSubcommand);
    let Some(ContextValue::String(word)) = invalid.cloned() else { return error };
    let near = error.get(ContextKind::SuggestedSubcommand);
    let has_near = near.is_some_and(|near| matches!(near, ContextValue::Strings(names) if !names.is_empty()));
    let words = std::env::args_os().skip(1).filter_map(|word| word.into_string().ok());
    let verb = verb_of(words);
    if verb == "crossrun backends" && ["list", "ls"].contains(&word.as_str()) {
        let tip = StyledStr::from("`crossrun backends` alone lists them");
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
        return error;
    }
    let meant = match verb.as_str() {
        "crossrun" => {
            OTHER_NAMES.iter().find(|(other, _)| *other == word).map(|(_, command)| (*command).to_owned())
        }
        // The name of a backend, most likely.
        "crossrun backends" if !has_near => Some(format!("inspect {word}")),
        _ => None,
    };
    if let Some(meant) = meant {
        error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(vec![meant]));
    }
    error
}

/// Prints help, the version, or what is wrong with the command line; also as JSON if that was asked for.
fn not_parsed(error: &clap::Error) -> Exit {
    let wrong = error.use_stderr();
    let json = wrong && asks_for_json();
    let mut ui = Ui::new(json, true, 0);
    if json {
        let words = std::env::args_os().skip(1).filter_map(|word| word.into_string().ok());
        ui.result(&usage_problem(&error.to_string(), words).json().to_string());
    }
    let printed = error.print().and_then(|()| std::io::stdout().flush());
    // Nobody can be told that standard error is full.
    if wrong {
        return ui.end(Exit::Usage);
    }
    ui.note_unwritten(printed);
    ui.end(Exit::Done)
}

/// The problem in the parser's `text`: its first paragraph, and the help of the command that its usage line names. Without one it is the
/// command of these `words`.
fn usage_problem(text: &str, words: impl Iterator<Item = String>) -> Problem {
    let paragraph = text.lines().take_while(|line| !line.trim().is_empty()).map(str::trim);
    let message = paragraph.collect::<Vec<_>>().join(" ");
    let usage = text.lines().find_map(|line| line.strip_prefix("Usage: "));
    let verb = usage.map_or_else(
        || verb_of(words),
        |usage| {
            let words = usage.split_whitespace().take_while(|word| word.starts_with(char::is_alphabetic));
            words.collect::<Vec<_>>().join(" ")
        },
    );
    Problem::usage(message.trim_start_matches("error: ")).with_remedy(format!("{verb} --help"))
}

/// The command that `words` name, with the program: `crossrun backends check`.
fn verb_of(words: impl Iterator<Item = String>) -> String {
    let (mut at, mut verb) = (command(), "crossrun".to_owned());
    for word in words {
        if let Some(below) = at.find_subcommand(&word).cloned() {
            verb = format!("{verb} {word}");
            at = below;
        }
    }
    verb
}

fn dispatch(arguments: Arguments, ui: &mut Ui) -> Result<Exit, Problem> {
    let Arguments { global, verb } = arguments;
    match verb {
        Verb::Run(arguments) => run::run(&global, arguments, ui),
        Verb::Compare(arguments) => compare::run(&global, &arguments, ui),
        Verb::Metg(arguments) => metg::run(&global, &arguments, ui),
        Verb::Report(arguments) => report::run(&global, &arguments, ui),
        Verb::Diff(arguments) => diff::run(&arguments, ui),
        Verb::History(arguments) => history::run(&arguments, ui),
        Verb::Serve(arguments) => serve::run(&global, &arguments, ui),
        Verb::Show(arguments) => show::run(&arguments, ui),
        Verb::Backends(arguments) => backends::run(&global, &arguments, ui),
        Verb::Workloads(arguments) => workloads::run(&global, &arguments, ui),
        Verb::Selftest(arguments) => selftest::run(&global, &arguments, ui),
        Verb::Doctor(arguments) => doctor::run(&global, &arguments, ui),
        Verb::Setup(arguments) => setup::run(&global, &arguments, ui),
        Verb::Completions(arguments) => completions::run(&arguments, command(), ui),
        Verb::Man(arguments) => man::run(&arguments, command(), ui),
    }
}

/// The definition of the command line, for completions and manual pages.
fn command() -> clap::Command {
    <Arguments as clap::CommandFactory>::command()
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_error_of_the_command_line_names_the_help_of_its_command() {
        let remedy = |text: &str, words: &[&str]| {
            super::usage_problem(text, words.iter().map(|word| (*word).to_owned())).line()
        };
        let invalid =
            "error: invalid value 'x' for '--items <COUNT>'\n\nFor more information, try '--help'.\n";
        assert!(remedy(invalid, &["--json", "metg", "--items", "x"]).ends_with("crossrun metg --help"));
        assert!(remedy(invalid, &["backends", "check", "--x"]).ends_with("crossrun backends check --help"));
        assert!(remedy("error: y\n\nUsage: crossrun run [OPTIONS]\n", &[]).ends_with("crossrun run --help"));
    }

    #[test]
    fn the_command_line_is_consistent() {
        super::command().debug_assert();
    }
}
