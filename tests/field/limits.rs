//! Where crossrun may have little: a small stack, long names, a current folder that is gone, and a `/proc` of somebody else.

use std::process::Command;

use crate::field::wrappers::wrapped;
use crate::support::{Place, Ran, hostile, not_run, plugin};

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
fn a_driver_that_has_used_up_its_processor_time_leads_to_the_limit() {
    let place = Place::empty();
    place.stage(&plugin("standard_workloads"));
    place.stage(&hostile("driven_runner"));
    let run = ["run", "--backend", "driven", "--no-lock", "--workload", "null", "--items", "10"];
    let spin = ["--extra", "behaviour=spin", "--timeout", "1h"];
    let ran = after("ulimit -t 2", &place.command(&[&run[..], &spin].concat())).code(4);
    ran.says("the driver of driven was killed by signal")
        .says("`ulimit -t` is more than 2 s, if the driver has");
}

#[test]
fn a_backend_that_gets_no_memory_leads_to_the_limit() {
    let place = Place::with_misbehaving();
    for (option, kibibytes) in [("-v", "800000"), ("-d", "400000")] {
        let command = place.misbehaving_command("allocate", "run", &["--no-lock", "--memory-limit", "64GiB"]);
        let ran = after(&format!("ulimit {option} {kibibytes}"), &command).code(4);
        ran.says("memory allocation of").says(&format!("`ulimit {option}` is more than {kibibytes}"));
    }
}

/// Runs a command where a shell has changed what is mounted; `None` where this user may not.
fn with_mounts(line: &str, command: &Command) -> Option<Ran> {
    let script = format!("{line} || exit 99; exec \"$@\"");
    let ran =
        Ran::of(wrapped("unshare", &["--mount", "--map-root-user", "sh", "-c", &script, "sh"], command));
    let refused = ran.output.status.code() == Some(99) || ran.stderr().contains("unshare: ");
    (!refused).then_some(ran)
}

#[test]
fn a_null_device_that_is_missing_or_a_file_is_named() {
    let place = Place::new();
    std::fs::write(place.path().join("file"), "").unwrap();
    let file = format!("mount --bind '{}' /dev/null", place.path().join("file").display());
    for line in ["mount -t tmpfs tmpfs /dev", &file] {
        let Some(ran) = with_mounts(line, &place.command(&RUN)) else {
            return not_run("this user may not mount");
        };
        if ran.output.status.code() != Some(0) {
            ran.code(1).says("/dev/null").says("; try: ");
        }
    }
}

#[test]
fn a_name_that_is_too_long_and_a_current_folder_that_is_gone_are_told_with_a_remedy() {
    let place = Place::new();
    let long = "x".repeat(256);
    place.crossrun(&[&RUN[..], &["--output-dir", &long]].concat()).code(1).says("try: a shorter name");
    let gone = after("mkdir gone && cd gone && rmdir ../gone", &place.command(&RUN)).code(1);
    gone.says("results/null").says("try: cd \"$HOME\", as the current folder was removed");
    let new = place.command(&["backends", "new", "mine"]);
    let gone = after("mkdir gone && cd gone && rmdir ../gone", &new).code(1);
    gone.says("mine_runner").says("try: cd \"$HOME\", as the current folder was removed");
    let doctor = place.command(&["doctor"]);
    after("mkdir gone && cd gone && rmdir ../gone", &doctor).code(0);
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
