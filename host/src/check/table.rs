//! The table of checks.

use std::sync::LazyLock;

use super::finding::CheckResult;
use super::fixture::Fixture;
use super::target::Target;
use super::{file, library, loading, runs, sessions, specs};

/// The page that documents the checks. The requirement, the rule and the remedy of each are taken from its table.
const PAGE: &str = include_str!("../../../docs/conformance.md");

/// What comes before the remedy for plugins that were not built with Rust. That for a driver in Python stands before it, behind that
/// for Rust: a file does not say which of the two its author wrote.
const IN_C: &str = "; in C: ";

/// A requirement on plugins.
#[derive(Debug)]
pub struct Check {
    /// The name, which does not change.
    pub id: &'static str,
    /// The requirement.
    pub demands: &'static str,
    /// The link to the section of plugin-api's `ABI.md` that has the rule, relative to the repository.
    pub rule: &'static str,
    /// What to do if the check fails, for each language.
    pub(super) remedies: &'static str,
    pub(super) of: Of,
    pub(super) needs: Needs,
    /// The checks without which this one would only fail for the same reason. Those before it in the table.
    pub(super) depends_on: &'static [&'static str],
    /// Runs the check. Returns a remark if it passed.
    pub(super) run: Run,
}

type Run = fn(&mut Fixture) -> CheckResult;

/// The plugins that a check is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    All,
    Backends,
    Workloads,
}

/// What a check needs. Each value includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Needs {
    File,
    Plugin,
    /// A plugin that can be loaded.
    Loaded,
    /// A backend whose engine is available.
    Engine,
}

impl Check {
    /// Whether the check is for this plugin. A file that is not a plugin has only the checks for all plugins.
    pub(crate) fn applies_to(&self, target: &Target) -> bool {
        match self.of {
            Of::All => true,
            Of::Backends => target.is_backend() == Some(true),
            Of::Workloads => target.is_backend() == Some(false),
        }
    }

    /// What to do if the check fails for this plugin, in the terms of the language that it was written in.
    pub(super) fn remedy(&self, target: &Target) -> &'static str {
        match self.remedies.split_once(IN_C) {
            Some((in_rust, _)) if target.is_of_rust() => in_rust,
            Some((_, in_c)) => in_c,
            None => self.remedies,
        }
    }

    /// The plugins that the check is for.
    pub fn of(&self) -> &'static str {
        match self.of {
            Of::All => "all",
            Of::Backends => "backends",
            Of::Workloads => "workloads",
        }
    }
}

/// All checks, in the order in which they are run.
pub static CHECKS: LazyLock<Vec<Check>> = LazyLock::new(|| {
    let check = |&(id, of, needs, run): &(&'static str, Of, Needs, Run)| {
        // A test finds a check without a row.
        let [demands, rule, remedies] = texts(id).unwrap_or_default();
        Check { id, demands, rule, remedies, of, needs, depends_on: depends_on(id), run }
    };
    FUNCTIONS.iter().map(check).collect()
});

/// The checks on which the check `id` depends.
fn depends_on(id: &str) -> &'static [&'static str] {
    match id {
        "run.workloads" => &[],
        // They run every workload but the open loops.
        "run.sizes" | "run.batches" | "run.fusion" | "run.parallelism" | "run.data" => {
            &["run.workloads", "run.keyed"]
        }
        "session.twice" | "session.threads" | "session.files" | "session.references" => {
            &["run.workloads", "session.close"]
        }
        "probe.repeats" => &["probe.answers"],
        "library.catalogue" => &[],
        // It compares with the oracle, and takes the items in another order.
        "library.closing" => &["library.catalogue", "library.oracle", "library.slices"],
        "library.backends" => {
            &["library.catalogue", "library.oracle", "library.slices", "library.closing", "library.repeats"]
        }
        _ => match id.split('.').next() {
            Some("run" | "spec" | "fault" | "session") => &["run.workloads"],
            Some("library") => &["library.catalogue"],
            _ => &[],
        },
    }
}

/// The requirement, the rule and the remedy that the page has for a check.
fn texts(id: &str) -> Option<[&'static str; 3]> {
    let row =
        PAGE.lines().find_map(|line| line.strip_prefix("| `")?.strip_prefix(id)?.strip_prefix("` | "))?;
    let mut cells = row.trim_end_matches(" |").split(" | ").skip(1);
    let (demands, link, remedy) = (cells.next()?, cells.next()?, cells.next()?);
    let (_, rule) = link.trim_end_matches(')').split_once("](../")?;
    Some([demands, rule, remedy])
}

/// The function of each check, in the order of the page.
const FUNCTIONS: &[(&str, Of, Needs, Run)] = &[
    ("file.metadata", Of::All, Needs::File, file::metadata),
    ("file.release", Of::All, Needs::Plugin, file::release),
    ("load.opens", Of::All, Needs::Plugin, loading::opens),
    ("load.abi", Of::All, Needs::Plugin, loading::abi),
    ("load.time", Of::All, Needs::Loaded, loading::time),
    ("load.name", Of::Backends, Needs::Loaded, loading::name),
    ("load.options", Of::Backends, Needs::Loaded, loading::options),
    ("probe.answers", Of::Backends, Needs::Loaded, loading::probe),
    ("probe.repeats", Of::Backends, Needs::Loaded, loading::repeats),
    ("run.workloads", Of::Backends, Needs::Engine, |fixture| runs::of_kind(fixture, runs::is_plain)),
    ("run.keyed", Of::Backends, Needs::Engine, |fixture| runs::of_kind(fixture, runs::is_keyed)),
    ("run.open_loop", Of::Backends, Needs::Engine, |fixture| {
        runs::of_kind(fixture, |entry| entry.plan.open_loop)
    }),
    ("run.sizes", Of::Backends, Needs::Engine, runs::sizes),
    ("run.batches", Of::Backends, Needs::Engine, runs::batches),
    ("run.fusion", Of::Backends, Needs::Engine, runs::fusion),
    ("run.parallelism", Of::Backends, Needs::Engine, runs::parallelism),
    ("run.data", Of::Backends, Needs::Engine, runs::data),
    ("run.at_once", Of::Backends, Needs::Engine, runs::at_once),
    ("run.timing", Of::Backends, Needs::Engine, runs::timing),
    ("run.cancel", Of::Backends, Needs::Engine, runs::cancel),
    ("spec.unknown_option", Of::Backends, Needs::Engine, specs::unknown_option),
    ("spec.unknown_scheduler", Of::Backends, Needs::Engine, specs::unknown_scheduler),
    ("spec.batch_size", Of::Backends, Needs::Engine, specs::batch_size),
    ("spec.fusion", Of::Backends, Needs::Engine, specs::fusion),
    ("fault.error", Of::Backends, Needs::Engine, |fixture| runs::fault(fixture, "error")),
    ("fault.panic", Of::Backends, Needs::Engine, |fixture| runs::fault(fixture, "panic")),
    ("session.close", Of::Backends, Needs::Engine, sessions::shuts_down),
    ("session.twice", Of::Backends, Needs::Engine, sessions::twice),
    ("session.nodes", Of::Backends, Needs::Engine, specs::nodes),
    ("session.stdout", Of::Backends, Needs::Engine, sessions::prints_nothing),
    ("session.processes", Of::Backends, Needs::Engine, sessions::leaves_no_processes),
    ("session.threads", Of::Backends, Needs::Engine, sessions::leaves_no_threads),
    ("session.files", Of::Backends, Needs::Engine, sessions::leaves_no_files),
    ("session.references", Of::Backends, Needs::Engine, sessions::gives_workloads_back),
    ("session.data", Of::Backends, Needs::Engine, sessions::keeps_its_data),
    ("library.catalogue", Of::Workloads, Needs::Loaded, library::catalogue),
    ("library.oracle", Of::Workloads, Needs::Loaded, library::oracle),
    ("library.slices", Of::Workloads, Needs::Loaded, library::slices),
    ("library.closing", Of::Workloads, Needs::Loaded, library::closing),
    ("library.repeats", Of::Workloads, Needs::Loaded, library::repeats),
    ("library.refuses", Of::Workloads, Needs::Loaded, library::refuses),
    ("library.bytes", Of::Workloads, Needs::Loaded, library::bytes),
    ("library.backends", Of::Workloads, Needs::Loaded, library::backends),
];
