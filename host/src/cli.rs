//! The command line: arguments, then options, then the stages in order, then what to print. One file a verb.

mod author;
mod backends;
pub(crate) mod compare;
mod completions;
mod diff;
mod doctor;
mod man;
mod metg;
mod report;
mod run;
mod selftest;
mod setup;
mod show;
mod workloads;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::app::ui::Ui;
use crate::app::{Exit, GlobalArguments, Problem};

const EXIT_CODES: &str = "\
Exit codes:
  0  done and verified              5    a wrong answer
  1  unexpected                     6    an invalid or incomparable measurement
  2  usage                          7    a regression or difference was found
  3  backend or workload unknown,   8    set-up failed
     rejected or not available      130  interrupted
  4  a trial or a check failed";

/// One workload, any runtime: runs it on each backend in a plugins folder and verifies the answers.
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
    /// Measure how long a task must be for each backend to keep the cores at work.
    Metg(Box<metg::Arguments>),
    /// Compare records, ours or the original project's.
    Report(report::Arguments),
    /// Say what got slower between two recorded runs of one machine.
    Diff(diff::Arguments),
    /// List a run's trials, or show one of them whole.
    Show(show::Arguments),
    /// List the backends, with the status of every library that was looked at; lock them; look into a file; begin one.
    Backends(backends::Arguments),
    /// List the workloads, or show the parameters and the plan of one; begin one.
    Workloads(workloads::Arguments),
    /// Try whether the harness and this machine can be believed: with a backend that lies, and one beside itself.
    Selftest(selftest::Arguments),
    /// Say what here makes figures noisy or an engine unusable, and what mends it.
    Doctor,
    /// Install what backends need, or remove it.
    Setup(setup::Arguments),
    /// Print a completion script for a shell.
    Completions(completions::Arguments),
    /// Write the manual pages, one a command, into a folder.
    Man(man::Arguments),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    // The hidden commands of child processes come first: they must not depend on what users may type.
    if let Some(code) = child_command() {
        return code;
    }
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    let GlobalArguments { json, quiet, verbose, .. } = arguments.global;
    let mut ui = Ui::new(json, quiet, verbose);
    match dispatch(arguments, &mut ui) {
        Ok(exit) => exit.into(),
        Err(problem) => {
            ui.problem(&problem.line(), &problem.json());
            problem.exit.into()
        }
    }
}

fn child_command() -> Option<ExitCode> {
    let mut words = std::env::args_os().skip(1);
    let word = words.next()?;
    match word.to_str()? {
        crate::worker::COMMAND => Some(crate::worker::main()),
        other => crate::sandbox::hidden_command(other).map(|main| main()),
    }
}

fn usage(error: &clap::Error) -> ExitCode {
    // Printing to a closed pipe is no failure of ours.
    let _ = error.print();
    if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() }
}

fn dispatch(arguments: Arguments, ui: &mut Ui) -> Result<Exit, Problem> {
    let Arguments { global, verb } = arguments;
    match verb {
        Verb::Run(arguments) => run::run(&global, arguments, ui),
        Verb::Compare(arguments) => compare::run(&global, *arguments, ui),
        Verb::Metg(arguments) => metg::run(&global, &arguments, ui),
        Verb::Report(arguments) => report::run(&arguments, ui),
        Verb::Diff(arguments) => diff::run(&arguments, ui),
        Verb::Show(arguments) => show::run(&arguments, ui),
        Verb::Backends(arguments) => backends::run(&global, &arguments, ui),
        Verb::Workloads(arguments) => workloads::run(&global, &arguments, ui),
        Verb::Selftest(arguments) => selftest::run(&global, &arguments, ui),
        Verb::Doctor => doctor::run(&global, ui),
        Verb::Setup(arguments) => setup::run(&global, &arguments, ui),
        Verb::Completions(arguments) => completions::run(&arguments, command(), ui),
        Verb::Man(arguments) => man::run(&arguments, command(), ui),
    }
}

/// The command line as `clap` sees it, for completions and manual pages.
fn command() -> clap::Command {
    <Arguments as clap::CommandFactory>::command()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        super::command().debug_assert();
    }
}
