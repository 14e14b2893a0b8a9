//! Signals: what a shell, a terminal and `nohup` expect.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::field::wrappers::wrapped;
use crate::support::{Place, Ran, arguments_in, eventually, not_run, processes_of_sessions_of, send_signal};

const WAIT: [&str; 6] = ["run", "--json", "--backend", "misbehaving", "--workload", "null"];

/// A run that lasts until [`go`] is called, with `at` a phase.
fn waiting(place: &Place, at: &str) -> Command {
    let mut command = place.misbehaving_command("wait", at, &["--no-lock"]);
    command.env("CROSSRUN_TEST_GO", place.path().join("go"));
    command
}

fn go(place: &Place) {
    std::fs::write(place.path().join("go"), "").unwrap();
}

/// Starts a command, and returns when its backend waits.
fn started(place: &Place, mut command: Command) -> std::process::Child {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = place.path().join("go.begun");
    eventually("the backend waits", || begun.exists());
    std::fs::remove_file(begun).unwrap();
    child
}

#[test]
fn a_signal_that_was_ignored_at_the_start_stays_ignored() {
    for (name, signal) in [("HUP", Signal::HUP), ("INT", Signal::INT), ("TERM", Signal::TERM)] {
        let place = Place::with_misbehaving();
        let script = format!("trap '' {name}; exec \"$@\"");
        let child = started(&place, wrapped("sh", &["-c", &script, "sh"], &waiting(&place, "run")));
        send_signal(child.id(), signal).unwrap();
        go(&place);
        Ran::ended(child).code(0);
    }
}

#[test]
fn a_signal_that_was_blocked_at_the_start_ends_crossrun() {
    const BLOCK: &str = "--block-signal=INT,TERM,HUP";
    if !Command::new("env").args([BLOCK, "true"]).output().is_ok_and(|output| output.status.success()) {
        return not_run("this machine has no env that blocks signals");
    }
    for signal in [Signal::HUP, Signal::INT, Signal::TERM] {
        let place = Place::with_misbehaving();
        let child = started(&place, wrapped("env", &[BLOCK], &waiting(&place, "run")));
        send_signal(child.id(), signal).unwrap();
        Ran::ended(child).code(130);
    }
}

#[test]
fn an_interrupt_ends_crossrun_by_its_signal_so_that_a_loop_of_a_shell_ends() {
    let place = Place::with_misbehaving();
    let child = started(&place, waiting(&place, "run"));
    let pid = child.id();
    send_signal(pid, Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.signal(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(processes_of_sessions_of(pid).is_empty());
    // Another signal has the exit code of the documents.
    let child = started(&place, waiting(&place, "run"));
    send_signal(child.id(), Signal::TERM).unwrap();
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(130));
}

#[test]
fn an_interrupt_while_the_last_engine_stops_leaves_the_trial_recorded() {
    let place = Place::with_misbehaving();
    let child = started(&place, waiting(&place, "close"));
    send_signal(child.id(), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(2), "{said}");
    let trials = place.records("null", "trials.jsonl");
    let statuses: Vec<_> = trials.iter().map(|trial| trial["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["verified"], "{said}");
}

#[test]
fn as_the_first_process_of_a_container_crossrun_ends_with_the_exit_code_of_an_interrupt() {
    let words = ["--pid", "--fork", "--mount-proc"];
    let can = Command::new("unshare").args(words).arg("true").output();
    if !can.is_ok_and(|output| output.status.success())
        || !std::path::Path::new("/proc/thread-self/children").exists()
    {
        return not_run("this user may not have a namespace of processes");
    }
    let place = Place::with_misbehaving();
    let child = started(&place, wrapped("unshare", &words, &waiting(&place, "run")));
    let first = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", child.id())).unwrap();
    send_signal(first.trim().parse().unwrap(), Signal::INT).unwrap();
    // Of a process that a signal has ended, unshare ends by the same signal.
    Ran::ended(child).code(130);
}

#[test]
fn children_are_seen_although_the_parent_ignores_their_end() {
    let place = Place::with_misbehaving();
    for namespaces in ["on", "off"] {
        let mut command = place.command(&WAIT);
        command.env("CROSSRUN_NAMESPACES", namespaces).arg("--no-lock");
        Ran::of(wrapped("sh", &["-c", "trap '' CHLD; exec \"$@\"", "sh"], &command)).code(0);
    }
}

/// A field of a process after its name, as proc(5) lists them.
fn field(pid: u32, number: usize) -> String {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')')
        .next()
        .and_then(|rest| rest.split_ascii_whitespace().nth(number - 3))
        .unwrap_or_default()
        .to_owned()
}

/// The state of a process, such as `S` or `T`.
fn state(pid: u32) -> String {
    field(pid, 3)
}

/// Stops crossrun as Ctrl-Z does.
fn stop(pid: u32) {
    send_signal(pid, Signal::TSTP).unwrap();
    eventually("crossrun is stopped", || state(pid) == "T");
}

/// Runs a command that is stopped while its backend waits, and goes on.
fn stopped_once(place: &Place, command: Command) -> Ran {
    let child = started(place, command);
    stop(child.id());
    go(place);
    send_signal(child.id(), Signal::CONT).unwrap();
    Ran::ended(child)
}

#[test]
fn ctrl_z_stops_the_whole_tree_and_the_trial_is_run_again() {
    for (namespaces, isolation) in [("on", "process"), ("off", "process"), ("on", "none")] {
        let place = Place::with_misbehaving();
        let mut command = waiting(&place, "run");
        command.env("CROSSRUN_NAMESPACES", namespaces).args(["--isolation", isolation]);
        let child = started(&place, command);
        let pid = child.id();
        stop(pid);
        let tree = processes_of_sessions_of(pid);
        // Each was sent the signal by now; one that waits for a processor takes it when it gets one.
        eventually("the whole tree is stopped", || tree.iter().all(|pid| state(*pid) == "T"));
        assert!(isolation == "none" || tree.len() >= 4, "{tree:?}");
        go(&place);
        send_signal(pid, Signal::CONT).unwrap();
        let ran = Ran::ended(child).code(0);
        let warnings = ran.json()["metadata"]["warnings"].to_string();
        assert!(warnings.contains("was run again: crossrun was stopped"), "{}", ran.explain());
    }
}

#[test]
fn a_start_in_which_crossrun_was_stopped_has_no_time() {
    let place = Place::with_misbehaving();
    let ran = stopped_once(&place, waiting(&place, "open")).code(0);
    let phases = &ran.json()["metadata"]["phases"];
    // Loading came before, and closing after.
    for (phase, has_time) in [("load_seconds", true), ("open_seconds", false), ("close_seconds", true)] {
        assert_eq!(phases[phase].is_number(), has_time, "{phase}: {}", ran.explain());
    }
}

/// As an engine does whose own parts were not heard from while all of it was stopped.
#[test]
fn a_start_that_failed_while_crossrun_was_stopped_is_made_again() {
    let place = Place::with_misbehaving();
    let mut command = place.misbehaving_command("wait_and_fail_once", "open", &["--no-lock"]);
    command.env("CROSSRUN_TEST_GO", place.path().join("go"));
    let ran = stopped_once(&place, command).code(0);
    let warnings = ran.json()["metadata"]["warnings"].to_string();
    assert!(warnings.contains("was run again: crossrun was stopped"), "{}", ran.explain());
}

#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn deadlines_stand_still_while_crossrun_is_stopped() {
    let place = Place::with_misbehaving();
    let mut command = waiting(&place, "open");
    // Much longer than opening takes on a busy machine, and shorter than the stop.
    command.env("CROSSRUN_DEADLINES", "open=20s");
    let child = started(&place, command);
    stop(child.id());
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(25) {
        std::thread::sleep(Duration::from_millis(500));
    }
    go(&place);
    send_signal(child.id(), Signal::CONT).unwrap();
    Ran::ended(child).code(0);
}

/// Whether the system says how long a thread waits for a processor, without which crossrun notices no standstill. If not, this has said
/// that the test is not run.
fn notices_standstills() -> bool {
    const FILE: &str = "/proc/thread-self/schedstat";
    let is_there = std::path::Path::new(FILE).exists();
    if !is_there {
        not_run(&format!("there is no {FILE}"));
    }
    is_there
}

#[test]
fn a_standstill_without_a_signal_counts_as_a_stop() {
    if !notices_standstills() {
        return;
    }
    for stops_host in [true, false] {
        let place = Place::with_misbehaving();
        let child = started(&place, waiting(&place, "run"));
        // As of a control group that is frozen and of a machine that is paused, nothing but the time that is gone tells of SIGSTOP.
        let stopped = if stops_host { vec![child.id()] } else { processes_of_sessions_of(child.id()) };
        stopped.iter().for_each(|pid| send_signal(*pid, Signal::STOP).unwrap());
        eventually("they are stopped", || stopped.iter().all(|pid| state(*pid) == "T"));
        std::thread::sleep(Duration::from_secs(3));
        go(&place);
        stopped.iter().for_each(|pid| send_signal(*pid, Signal::CONT).unwrap());
        let ran = Ran::ended(child).code(0);
        let warnings = ran.json()["metadata"]["warnings"].to_string();
        assert!(warnings.contains("was run again: crossrun was stopped"), "{}", ran.explain());
    }
}

#[test]
fn a_trial_of_which_only_the_backends_processes_were_stopped_is_invalid() {
    if !notices_standstills() {
        return;
    }
    let place = Place::with_misbehaving();
    let child = started(&place, waiting(&place, "run"));
    let mut stopped = processes_of_sessions_of(child.id());
    // The supervisor stays: no process of the backend can reach it.
    stopped.retain(|pid| field(*pid, 4) != child.id().to_string());
    stopped.iter().for_each(|pid| send_signal(*pid, Signal::STOP).unwrap());
    eventually("they are stopped", || stopped.iter().all(|pid| state(*pid) == "T"));
    std::thread::sleep(Duration::from_secs(3));
    go(&place);
    stopped.iter().for_each(|pid| send_signal(*pid, Signal::CONT).unwrap());
    let ran = Ran::ended(child).code(6);
    let metadata = &ran.json()["metadata"];
    assert!(
        metadata["error"].to_string().contains("processes of the backend were stopped"),
        "{}",
        ran.explain()
    );
    assert!(!metadata["warnings"].to_string().contains("was run again"), "{}", ran.explain());
}

#[test]
fn a_comparison_that_was_stopped_runs_the_cell_again_and_has_each_trial_once() {
    let place = Place::with_misbehaving();
    let compare = "compare --backends misbehaving --workloads null --items 10 --quick --json";
    let mut command = place.command(&arguments_in(compare));
    command.args(["--run-id", "stopped", "--no-lock", "--extra", "behaviour=wait"]);
    command.env("CROSSRUN_TEST_GO", place.path().join("go"));
    let ran = stopped_once(&place, command).code(0);
    let trials = std::fs::read_to_string(place.path().join("results/stopped/trials.jsonl")).unwrap();
    let measured = trials.lines().filter(|line| line.contains("\"kind\":\"measured\"")).count();
    assert_eq!(measured, 3, "{}", ran.explain());
    assert!(trials.contains("was run again") && !trials.contains("\"invalid\""), "{trials}");
}

#[test]
fn a_sweep_that_was_stopped_runs_the_point_again() {
    let place = Place::with_misbehaving();
    let words = ["metg", "--backends", "misbehaving", "--quick", "--cores", "1", "--coarsest", "100us"];
    let mut command = place.command(&words);
    command.args(["--run-id", "stopped", "--no-lock", "--extra", "behaviour=wait"]);
    command.env("CROSSRUN_TEST_GO", place.path().join("go"));
    let ran = stopped_once(&place, command);
    let trials = place.records("stopped", "trials.jsonl");
    let is_again =
        |trial: &Value| trial["record"]["metadata"]["warnings"].to_string().contains("was run again");
    assert_eq!(trials.iter().filter(|trial| is_again(trial)).count(), 1, "{}", ran.explain());
    let names_the_stop =
        |trial: &Value| trial["record"]["metadata"]["error"].to_string().contains("crossrun was stopped");
    assert!(trials.len() > 3 && !trials.iter().any(names_the_stop), "{trials:?}");
}
