//! Every check can fail: for each there is a plugin that breaks its rule, and conforms but for that.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crossrun::internals::check::CHECKS;

use super::{NOT_RELEASED, check, in_c, runner, workloads};
use crate::c_backend::compiled;
use crate::fence::{AT_ONCE, Case, in_parallel};
use crate::support::{Place, Ran, hostile};

/// A plugin that breaks a rule.
struct Deviation {
    /// The check that must find it.
    id: &'static str,
    /// The file, in a place.
    file: fn(&Place) -> PathBuf,
    /// `CROSSRUN_TEST_DEVIATION`.
    deviation: &'static str,
    /// Words of what is said.
    says: &'static str,
}

const fn of_runner(id: &'static str, deviation: &'static str, says: &'static str) -> Deviation {
    Deviation { id, file: runner, deviation, says }
}

const fn of_workloads(id: &'static str, deviation: &'static str, says: &'static str) -> Deviation {
    Deviation { id, file: workloads, deviation, says }
}

const fn of_file(id: &'static str, file: fn(&Place) -> PathBuf, says: &'static str) -> Deviation {
    Deviation { id, file, deviation: "", says }
}

fn text_file(place: &Place) -> PathBuf {
    let path = place.path().join("libtext.so");
    std::fs::write(&path, "I am not a library\n").unwrap();
    path
}

/// Its path contains the text of another error, which must not be mistaken for that error.
fn unresolved(place: &Place) -> PathBuf {
    in_c(
        place,
        "libof_another plugin ABI.so",
        "extern int nowhere(void);\nunsigned crossrun_workload_abi_version(void) { return nowhere(); }\n",
    )
}

fn of_another_abi(place: &Place) -> PathBuf {
    let source = "unsigned crossrun_workload_abi_version(void) { return 0x20000; }\n";
    in_c(place, "libin_c.so", source)
}

const DEVIATIONS: &[Deviation] = &[
    of_file("file.metadata", text_file, "not a shared library"),
    of_runner("file.release", "", "opt-level 0 and with debug assertions"),
    of_file("load.opens", unresolved, "undefined symbol: nowhere"),
    of_file("load.abi", of_another_abi, "workload ABI 2.0"),
    of_runner("load.time", "slow_load", "but the limit is 2 s"),
    of_runner("load.name", "name", "reports \"another\""),
    of_runner("load.options", "options", "declared twice"),
    of_runner(
        "load.options",
        "default_outside",
        "the default of strength is 11, but must be a whole number from 0 to 10",
    ),
    of_runner("probe.answers", "no_reason", "gives no reason"),
    of_runner("probe.repeats", "fickle", "it changed its mind"),
    of_runner("run.workloads", "drops", "items reached the sink"),
    of_runner("run.keyed", "drops_keys", "word_count"),
    of_runner("run.open_loop", "drops_of_schedule", "open_loop"),
    of_runner("run.sizes", "nothing", "nothing comes out of nothing"),
    of_runner("run.batches", "large_batch", "the batch is not full"),
    of_runner("run.fusion", "unfused", "it is always fused"),
    of_runner("run.parallelism", "many_workers", "a worker has nothing to do"),
    of_runner("run.data", "kept_answer", "seed=2"),
    of_runner("run.at_once", "crowd", "more of them were at work at once"),
    of_runner("run.timing", "clock", "the backend claims"),
    of_runner("run.cancel", "deaf", "it had not stopped 8 s after it was cancelled, of 2 s"),
    of_runner("run.cancel", "deaf_to_graphs", "a graph of tasks: it had not stopped 8 s"),
    of_runner("spec.unknown_option", "unknown_option", "what is this"),
    of_runner("spec.unknown_scheduler", "unknown_scheduler", "who is this"),
    of_runner("spec.unknown_scheduler", "claims_any_scheduler", "reports the scheduler \"of_nobody\""),
    of_runner("spec.batch_size", "takes_any_batch_size", "it was accepted"),
    of_runner("spec.fusion", "takes_any_fusion", "it was accepted"),
    of_runner("fault.error", "error_is_of_engine", "must be of kind workload"),
    of_runner("fault.panic", "panic_is_of_engine", "must be of kind workload"),
    of_runner("session.close", "close", "it does not stop"),
    of_runner("session.twice", "second_session", "somebody has opened it before"),
    of_runner("session.nodes", "passes_over_nodes", "reports no number of nodes"),
    of_runner("session.nodes", "no_number_of_nodes", "reports no number of nodes"),
    of_runner("session.stdout", "stdout", "items to go"),
    of_runner("session.stdout", "buffered_stdout", "items in a buffer"),
    of_runner("session.processes", "process", "1 process was left"),
    of_runner("session.threads", "thread", "each session in one process leaves threads"),
    of_runner("session.files", "file", "litter"),
    of_runner("session.references", "reference", "1 reference to a workload left after close"),
    of_runner("session.data", "data", "deviant-"),
    of_workloads("library.catalogue", "default", "step"),
    of_workloads(
        "library.catalogue",
        "taken_name",
        "\"batch_size\" has the name of an option that every run has",
    ),
    of_workloads("library.catalogue", "due_of_a_table", "listed as no open loop, but is an open loop"),
    of_workloads("library.oracle", "oracle", "are expected"),
    of_workloads("library.slices", "order", "in batches of 1"),
    of_workloads("library.closing", "early", "that closes by watermarks"),
    of_workloads("library.closing", "unending", "must refuse it"),
    of_workloads("library.repeats", "process", "in another process"),
    of_workloads("library.repeats", "clock", "in another process, a second later"),
    of_workloads("library.refuses", "forgetful", "must be of kind invalid_spec"),
    of_workloads("library.bytes", "trusting", "panicked on"),
    of_workloads("library.backends", "oracle", "on native"),
];

#[test]
fn every_check_has_a_plugin_that_fails_it() {
    let all: BTreeSet<_> = CHECKS.iter().map(|check| check.id).collect();
    let failing: BTreeSet<_> = DEVIATIONS.iter().map(|deviation| deviation.id).collect();
    assert_eq!(all, failing);
}

#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn each_check_fails_where_its_rule_is_broken_and_says_what_to_do() {
    let case = |deviation: &'static Deviation| Box::new(move || assert_found(deviation)) as Case;
    in_parallel(&DEVIATIONS.iter().map(case).collect::<Vec<_>>(), AT_ONCE);
}

/// Only the one check is made, which fails.
fn assert_found(deviation: &Deviation) {
    let place = Place::new();
    let file = (deviation.file)(&place);
    let mut command = check(&place, file.to_str().unwrap(), &["--include", deviation.id, "--json"]);
    command.env("CROSSRUN_TEST_DEVIATION", deviation.deviation);
    // One loads so slowly that no check excuses it, and the call must not end it before.
    command.env("CROSSRUN_DEADLINES", "load=5m");
    let ran = Ran::of(command).code(4);
    let report = ran.json();
    let finding = &report["checks"][0];
    let told = |what: &str| format!("{} {what}: {}", deviation.id, ran.explain());
    assert!(finding["outcome"] == "failed" && report["conformant"] == false, "{}", told("did not fail"));
    let why = finding["why"].as_str().unwrap_or_default();
    assert!(why.contains(deviation.says), "{}", told(&format!("does not say {:?}", deviation.says)));
    let rule = finding["rule"].as_str().unwrap_or_default();
    assert!(rule.starts_with("plugin-api/ABI.md#"), "{}", told("names no rule"));
    assert!(finding["remedy"].as_str().is_some_and(|it| !it.is_empty()), "{}", told("has no remedy"));
}

#[test]
fn a_backend_whose_description_cannot_be_read_is_not_told_to_link_libraries() {
    let options = ["-DDESCRIBE=undescribed"];
    let place = Place::new();
    let file = place.stage(&compiled("tests/fixtures/c/odd_backend.c", "odd_undescribed", &options));
    let include = ["--include", "load.opens", "--json"];
    let report = Ran::of(check(&place, file.to_str().unwrap(), &include)).code(4).json();
    let remedy = report["checks"][0]["remedy"].as_str().unwrap();
    assert!(remedy.contains("let describe") && !remedy.contains("link"), "{report}");
}

/// What fails them is the deviation, and not the plugin that deviates.
#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn the_deviating_plugins_conform_without_a_deviation() {
    for name in ["deviant_runner", "deviant_workloads"] {
        let place = Place::new();
        let file = place.stage(&hostile(name));
        let ran = Ran::of(check(&place, file.to_str().unwrap(), &NOT_RELEASED)).code(0);
        assert!(ran.stdout().contains("\nconformant: "), "{}", ran.explain());
    }
}
