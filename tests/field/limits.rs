//! Where crossrun may have little: a small stack, long names, a current folder that is gone, and a `/proc` of somebody else.

use std::process::Command;

use crate::field::wrappers::wrapped;
use crate::support::{Place, Ran, not_run};

const RUN: [&str; 8] =
    ["run", "--json", "--backend", "native", "--workload", "null", "--items=10", "--no-lock"];

/// `command` after a line of a shell.
fn after(line: &str, command: &Command) -> Ran {
    Ran::of(wrapped("sh", &["-c", &format!("{line} && exec \"$@\""), "sh"], command))
}

#[test]
fn a_low_limit_of_the_stack_is_raised() {
    let place = Place::new();
    after("ulimit -S -s 64", &place.command(&RUN)).code(0);
    after("ulimit -S -s 64", &place.command(&["--help"])).code(0);
}

#[test]
fn a_worker_that_has_used_up_its_processor_time_leads_to_the_limit() {
    let place = Place::new();
    let run = ["run", "--backend", "native", "--no-lock", "--workload", "pipeline", "--items", "1000000"];
    let run = place.command(&[&run[..], &["--extra", "iters=100000", "--timeout", "1h"]].concat());
    // In the judge or the backend, whichever is there first.
    let ran = after("ulimit -t 2", &run);
    let ran = ran.code(4);
    ran.says("SIGKILL").says("`ulimit -t` is more than 2 s");
}

#[test]
fn a_name_that_is_too_long_and_a_current_folder_that_is_gone_are_told_with_a_remedy() {
    let place = Place::new();
    let long = "x".repeat(256);
    place.crossrun(&[&RUN[..], &["--output-dir", &long]].concat()).code(1).says("try: a shorter name");
    let gone = after("mkdir gone && cd gone && rmdir ../gone", &place.command(&RUN)).code(1);
    gone.says("results/null").says("try: cd \"$HOME\", as the current folder was removed");
}

#[test]
fn in_a_process_namespace_with_the_proc_of_another_nothing_false_is_measured() {
    let words = ["--user", "--map-root-user", "--pid", "--fork"];
    let can = Command::new("unshare").args(words).arg("true").output();
    if !can.is_ok_and(|output| output.status.success()) {
        return not_run("this user may not have a namespace of processes");
    }
    let place = Place::new();
    for namespaces in ["on", "off"] {
        let mut command = place.command(&RUN);
        command.env("CROSSRUN_NAMESPACES", namespaces);
        let ran = Ran::of(wrapped("unshare", &words, &command)).code(0);
        let metadata = &ran.json()["metadata"];
        assert!(metadata["verified"] == true && metadata["resources"]["cpu_seconds"].is_null(), "{metadata}");
        ran.says("/proc is that of another PID namespace").says("mount -t proc proc /proc");
    }
}
