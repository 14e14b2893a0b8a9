//! No wait is without end, and no number is without a bound.

use std::io::Read as _;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::support::{Place, Ran, assert_once_at_most, eventually, run_arguments, send_signal, shell_code};

#[test]
fn a_reader_that_stops_reading_does_not_keep_crossrun_from_ending() {
    let place = Place::new();
    // Far more than a pipe takes.
    let page = "x".repeat(1 << 20);
    let mut command = place.command(&run_arguments("--backend native --workload null"));
    command
        .args(["--extra", &format!("note={page}")[..100_000]])
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    eventually("the trial is recorded", || place.records_so_far("null") > 0);
    // Its reader is there, and does not read.
    let reader = child.stdout.take();
    send_signal(child.id(), Signal::TERM).unwrap();
    let code = shell_code(child.wait().unwrap());
    assert_eq!(code, Some(130));
    drop(reader);
}

#[test]
fn a_reader_of_json_that_never_reads_on_is_not_waited_for_without_end() {
    let place = Place::new();
    let mut command = place.command(&run_arguments("--backend native --workload null"));
    // More than a pipe takes.
    command
        .args(["--extra", &format!("note={}", "x".repeat(100_000))])
        .env("CROSSRUN_DEADLINES", "reader=2s");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let reader = child.stdout.take();
    let mut errors = String::new();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{errors}");
    assert!(
        errors.contains("its reader has not read on for 2 s") && errors.contains("reader=TIME"),
        "{errors}"
    );
    // The trial is recorded all the same.
    assert_eq!(place.records("null", "trials.jsonl").len(), 1);
    drop(reader);
}

/// A long text for a reader that never reads it.
fn long_listing(place: &Place) {
    let trial = |number: u32| {
        let mut trial = place.records("null", "trials.jsonl").remove(0);
        trial["record"]["run_id"] = format!("r{number}").into();
        format!("{trial}\n")
    };
    let lines: String = (0..2000).map(trial).collect();
    std::fs::write(place.path().join("long.jsonl"), lines).unwrap();
}

#[test]
fn a_reader_of_text_that_never_reads_is_named_and_one_signal_ends_the_wait() {
    let place = Place::new();
    place.crossrun(&["run", "--backend", "native", "--workload", "null", "--no-lock"]).code(0);
    long_listing(&place);
    let said = place.path().join("said");
    let mut reader = Command::new("sleep").arg("600").stdin(Stdio::piped()).spawn().unwrap();
    let mut command = place.command(&["show", "long.jsonl"]);
    command.stdout(Stdio::from(reader.stdin.take().unwrap())).stderr(std::fs::File::create(&said).unwrap());
    let mut waiting = command.spawn().unwrap();
    drop(command);
    let text = || std::fs::read_to_string(&said).unwrap();
    eventually("it says for whom it waits", || text().contains("waiting for the reader of standard output"));
    assert!(text().contains(&format!("process {}: sleep 600", reader.id())), "{}", text());
    send_signal(waiting.id(), Signal::TERM).unwrap();
    assert_eq!(shell_code(waiting.wait().unwrap()), Some(130), "{}", text());
    reader.kill().unwrap();
    reader.wait().unwrap();
}

#[test]
fn a_pipe_as_an_output_that_nobody_reads_is_named_and_one_signal_ends_the_wait() {
    let place = Place::new();
    place.crossrun(&["run", "--backend", "native", "--workload", "null", "--no-lock"]).code(0);
    assert!(Command::new("mkfifo").arg(place.path().join("p")).status().unwrap().success());
    let report = &["report", "results/null", "--md", "p"][..];
    let lock = &["backends", "lock", "--output", "p"][..];
    for (verb, signal) in [(report, Signal::INT), (report, Signal::TERM), (lock, Signal::INT)] {
        let said = place.path().join("said");
        let mut command = place.command(verb);
        command.stdout(Stdio::null()).stderr(std::fs::File::create(&said).unwrap());
        let mut waiting = command.spawn().unwrap();
        let text = || std::fs::read_to_string(&said).unwrap();
        eventually("it says for whom it waits", || text().contains("waiting for the reader of "));
        send_signal(waiting.id(), signal).unwrap();
        assert_eq!(shell_code(waiting.wait().unwrap()), Some(130), "{}", text());
    }
}

#[test]
fn one_reader_of_both_outputs_that_never_reads_is_no_trap_for_a_signal() {
    let place = Place::new();
    let mut reader = Command::new("sleep").arg("600").stdin(Stdio::piped()).spawn().unwrap();
    let pipe = std::os::fd::OwnedFd::from(reader.stdin.take().unwrap());
    // More than a pipe takes, in each of the outputs.
    let note = format!("note={}", "x".repeat(100_000));
    let mut command = place.command(&["run", "--json", "-v", "--backend", "native", "--workload", "null"]);
    command.args(["--no-lock", "--extra", &note]);
    command.stdout(Stdio::from(pipe.try_clone().unwrap())).stderr(Stdio::from(pipe));
    let mut waiting = command.spawn().unwrap();
    drop(command);
    eventually("the trial is recorded", || place.records_so_far("null") > 0);
    // Whether it writes or waits already, the signal ends it.
    send_signal(waiting.id(), Signal::TERM).unwrap();
    assert_eq!(shell_code(waiting.wait().unwrap()), Some(130));
    reader.kill().unwrap();
    reader.wait().unwrap();
}

/// A run whose log is read with a pause of five seconds in this phase.
fn read_with_a_pause(phase: &str) -> Ran {
    let place = Place::with_misbehaving();
    let mut command = place.misbehaving_command("log_100_records", phase, &["--no-lock"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pipe = child.stderr.as_ref().unwrap();
    // No pipe takes less than a page; most take 64 KiB.
    eventually("the run logs", || rustix::io::ioctl_fionread(pipe).unwrap() > 4000);
    // So long that nothing else of a short run explains it.
    std::thread::sleep(std::time::Duration::from_secs(5));
    let ran = Ran::ended(child).code(0).says("] 0 x").says("] 99 x");
    assert!(!ran.stderr().contains("left out"), "{}", ran.explain());
    ran
}

#[test]
fn a_reader_of_the_log_that_pauses_does_not_spoil_the_run_that_logs() {
    read_with_a_pause("run");
}

#[test]
fn a_reader_of_the_log_that_pauses_does_not_lengthen_the_start_of_an_engine() {
    assert_once_at_most(4.0, "seconds of starting the engine", || {
        let record = read_with_a_pause("open").json();
        record["metadata"]["phases"]["open_seconds"].as_f64().unwrap()
    });
}

#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn a_process_that_holds_the_supervisor_as_a_debugger_does_not_keep_crossrun() {
    let place = Place::with_misbehaving();
    let mut command = place.misbehaving_command("trace_supervisor", "run", &["--no-lock"]);
    command.env("CROSSRUN_NAMESPACES", "off");
    // Under root, a worker has no right to trace the supervisor, which has more rights.
    if !place.give_to_nobody(&mut command) {
        return;
    }
    Ran::of(command).code(0);
}

#[test]
fn threads_count_against_the_limit_of_processes() {
    let place = Place::with_misbehaving();
    for namespaces in ["on", "off"] {
        let mut command =
            place.misbehaving_command("many_threads", "run", &["--no-lock", "--process-limit", "64"]);
        command.env("CROSSRUN_NAMESPACES", namespaces);
        let record = Ran::of(command).code(4).json();
        assert_eq!(record["metadata"]["error"]["kind"], "process_limit", "{record}");
    }
}

#[test]
fn parallelism_has_a_bound() {
    let place = Place::new();
    for count in ["0", "16385", "4294967295", "1e6"] {
        let run = ["run", "--backend", "native", "--parallelism", count];
        place.crossrun(&run).code(2).says("is not a whole number from 1 to 16384");
    }
}
