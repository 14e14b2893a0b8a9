//! The behaviours of the misbehaving backend, and the expected result of each.

/// When it does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Load,
    Probe,
    Open,
    Prepare,
    Run,
    Close,
}

pub(super) use Phase::{Close, Load, Open, Prepare, Probe, Run};

impl Phase {
    pub(super) fn word(self) -> &'static str {
        match self {
            Load => "load",
            Probe => "probe",
            Open => "open",
            Prepare => "prepare",
            Run => "run",
            Close => "close",
        }
    }
}

/// What must come of it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Outcome {
    /// A failed trial of this kind, whose message says so; in a listing, a rejected row that says so; while closing, a
    /// warning beside the verified answer.
    Fails(&'static str, &'static str),
    /// A verified answer with this warning.
    Warns(&'static str),
    /// A verified answer.
    Nothing,
    /// A wrong answer, and what is wrong.
    Wrong(&'static str),
    /// An invalid measurement, and why.
    Invalid(&'static str),
}

use Outcome::{Fails, Invalid, Nothing, Warns, Wrong};

/// One line of the table.
pub(super) struct Harm {
    /// For people.
    pub(super) what: &'static str,
    /// For the backend.
    pub(super) behaviour: &'static str,
    pub(super) phases: &'static [Phase],
    pub(super) outcome: Outcome,
    /// What the remedy begins with, if there must be one.
    pub(super) remedy: &'static str,
    /// Options of `run`, in which `{phase}` may stand; those with an `=` before any `-` are variables of the environment.
    pub(super) options: &'static [&'static str],
    /// Takes too long for every test run.
    pub(super) only_full: bool,
}

const ALL: &[Phase] = &[Load, Probe, Open, Prepare, Run, Close];
const CALLS: &[Phase] = &[Open, Prepare, Run, Close];

const fn harm(
    what: &'static str,
    behaviour: &'static str,
    phases: &'static [Phase],
    outcome: Outcome,
) -> Harm {
    Harm { what, behaviour, phases, outcome, remedy: "", options: &[], only_full: false }
}

impl Harm {
    const fn try_(self, remedy: &'static str) -> Self {
        Self { remedy, ..self }
    }

    const fn with(self, options: &'static [&'static str]) -> Self {
        Self { options, ..self }
    }

    const fn slow(self) -> Self {
        Self { only_full: true, ..self }
    }
}

const DEBUGGER: &str = "crossrun run, with --isolation none in a debugger";
/// Short for the phase that hangs, and for no other.
const SHORT: &[&str] = &["CROSSRUN_DEADLINES={phase}={limit}", "--timeout", "2s"];

pub(super) const HARMS: &[Harm] = &[
    harm("a segmentation fault", "segfault", ALL, Fails("crashed", "signal 11 (SIGSEGV)")).try_(DEBUGGER),
    harm("an abort", "abort", ALL, Fails("crashed", "signal 6 (SIGABRT)")).try_(DEBUGGER),
    harm("`exit(0)`", "exit_0", ALL, Fails("crashed", "exited with code 0")).try_(DEBUGGER),
    harm("`exit(1)`", "exit_1", ALL, Fails("crashed", "exited with code 1")).try_(DEBUGGER),
    harm("a panic", "panic", CALLS, Fails("panic", "this backend panics on request")),
    harm("a panic in a constructor", "panic", &[Load], Fails("crashed", "signal 6 (SIGABRT)")).try_(DEBUGGER),
    harm("a panic while panicking", "panic_twice", ALL, Fails("crashed", "signal 6 (SIGABRT)"))
        .try_(DEBUGGER),
    harm("a panic in a thread", "panic_in_thread", CALLS, Nothing),
    harm("a stack overflow", "overflow", ALL, Fails("crashed", "(SIG")).try_(DEBUGGER),
    harm("a thread that crashes after a good result", "crash_later", &[Run], Warns("signal 11 (SIGSEGV)")),
    harm("an error", "error", CALLS, Fails("engine", "the engine is out of order"))
        .try_("restart the engine"),
    harm("an endless loop", "spin", ALL, Fails("timed_out", "no answer to {phase} within")).with(SHORT),
    harm("sleep for ever", "sleep", ALL, Fails("timed_out", "no answer to {phase} within")).with(SHORT),
    harm("memory without end", "allocate", ALL, Fails("memory_limit", "of memory, but may have 400 MiB"))
        .try_("--memory-limit")
        .with(&["CROSSRUN_MEMORY_LIMIT=400MiB"]),
    harm("a fork bomb", "fork_bomb", ALL, Fails("process_limit", "processes and threads, but may have 64"))
        .try_("--process-limit")
        .with(&["CROSSRUN_PROCESS_LIMIT=64"]),
    harm("processes that each start another one and exit", "fork_chains", CALLS, Nothing),
    harm("a child that leaves its session and stays", "grandchild", CALLS, Warns("left 1 process behind")),
    harm("closing all descriptors", "close_descriptors", CALLS, Fails("crashed", "exited with code 1")),
    harm(
        "malformed bytes to every descriptor",
        "write_everywhere",
        ALL,
        Fails("protocol", "it sent bytes that are not a message"),
    ),
    harm("malformed bytes on standard output and error", "print", CALLS, Nothing),
    harm("gigabytes of log", "print_much", CALLS, Warns("a log grew too large"))
        .with(&["CROSSRUN_LOG_LIMIT=1MiB", "CROSSRUN_TEST_MIB=40"]),
    harm("another folder, environment, and signal handlers", "meddle", ALL, Nothing),
    harm("files left in the temporary folder", "litter", ALL, Nothing),
    harm("a log record with escape sequences", "log_in_colour", CALLS, Nothing),
    harm("log records without end", "flood_with_records", CALLS, Nothing).slow(),
    harm("progress without end", "flood_with_progress", &[Run], Fails("timed_out", "within 2 s")).with(SHORT),
    harm("an error with escape sequences", "error_in_colour", CALLS, Fails("engine", "the engine is")),
    harm("an error of 150 MB", "huge_error", &[Run], Fails("internal", "but may have 64 MiB")).slow(),
    harm("a result with escape sequences", "result_in_colour", &[Run], Warns("red")),
    harm("a claim of more time than passed", "claim_more_time", &[Run], Invalid("the worker measured")),
    harm("a claim of an absurd time", "claim_absurd_time", &[Run], Invalid("the worker measured")),
    harm("a claim of negative time", "claim_negative_time", &[Run], Invalid("elapsed time is -1 s")),
    harm("a claim of infinite time", "claim_infinite_time", &[Run], Invalid("is not a number")),
    harm("a claim of NaN", "claim_no_number", &[Run], Invalid("is not a number")),
    harm("a claim of more results", "claim_more_results", &[Run], Invalid("its sink has 10")),
    harm("a claim of 2^64 - 1 results", "claim_absurd_results", &[Run], Invalid("its sink has 10")),
    harm("a claim to be another backend", "claim_another_name", &[Run], Invalid("of backend \"native\"")),
    harm("a result without a state", "empty_state", &[Run], Fails("workload", "state")),
    harm("a state of malformed bytes", "rubbish_state", &[Run], Fails("workload", "state")),
    harm("a state of 64 MiB", "largest_state", &[Run], Fails("workload", "state")),
    harm(
        "a state of a byte more",
        "too_large_state",
        &[Run],
        Fails("internal", "has 67108865 bytes, but may have 64 MiB"),
    ),
    harm("a state of 100 MB", "huge_state", &[Run], Fails("internal", "but may have 64 MiB")).slow(),
    harm("an item that is missing", "drop", &[Run], Wrong("9 items reached the sink")),
    harm("an item that is changed", "change", &[Run], Wrong("the checksum is")),
    harm(
        "a request for the expected answer",
        "ask_oracle",
        &[Run],
        Fails("workload", "only the judge may ask"),
    ),
    harm("a request to decode its own state", "ask_judge", &[Run], Nothing),
    harm("metrics of 2 MB", "metrics_of_2_mb", &[Run], Warns("2.0 MiB of metrics were left out")),
    harm("metrics of 100 MB", "metrics_of_100_mb", &[Run], Fails("internal", "but may have 64 MiB")).slow(),
    harm("a million metrics", "a_million_metrics", &[Run], Warns("of metrics were left out")).slow(),
    harm("metrics in 120 levels", "deep_metrics", &[Run], Warns("at most 32 levels")),
    harm("metrics with absurd figures", "odd_metrics", &[Run], Nothing),
    harm("a name of a million letters", "long_names", &[Run], Nothing),
];
