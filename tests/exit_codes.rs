//! Every exit code of docs/operating.md, and the line that comes with it.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::{
    Place, Ran, arguments_in, eventually, processes_of_sessions_of, repository, send_signal, shell_code,
};

const RUN: [&str; 5] = ["run", "--backend", "native", "--workload", "null"];

fn native(place: &Place, more: &[&str]) -> Ran {
    place.crossrun(&[&RUN, more].concat())
}

#[test]
fn the_readme_lists_every_exit_code() {
    let page = std::fs::read_to_string(repository().join("docs/operating.md")).unwrap();
    for code in ["0", "1", "2", "3", "4", "5", "6", "7", "8", "130"] {
        assert!(page.contains(&format!("\n| {code} |")), "docs/operating.md lists no exit code {code}");
    }
}

#[test]
fn done_is_0() {
    native(&Place::new(), &[]).code(0);
}

#[test]
fn an_unexpected_error_is_1() {
    let place = Place::new();
    std::fs::write(place.path().join("results"), "not a folder").unwrap();
    native(&place, &[]).code(1).says("results");
}

#[test]
fn an_invalid_command_line_is_2() {
    let place = Place::new();
    for (more, word) in [
        (["--items", "many"], "many"),
        (["--parallelism", "0"], "parallelism"),
        (["--timeout", "soon"], "soon"),
        (["--nodes", "0"], "nodes"),
        (["--scheduler", ""], "--scheduler"),
        (["--extra", "nothing"], "KEY=VALUE"),
        (["--run-id", "../x"], "run id"),
        (["--extra", "batch_size=0"], "batch_size"),
        (["--extra", "fusion=of"], "fusion"),
        (["--extra", "max_wait_seconds=-1"], "max_wait_seconds"),
        (["--isolation", "some"], "isolation"),
        (["--memory-limit", "much"], "size"),
        (["--process-limit", "0"], "process-limit"),
    ] {
        native(&place, &more).code(2).says(word);
    }
    place.crossrun(&["dance"]).code(2);
    for (variable, value) in [("CROSSRUN_DEADLINES", "load=soon"), ("CROSSRUN_MEMORY_LIMIT", "much")] {
        let mut command = place.command(&["backends"]);
        command.env(variable, value);
        Ran::of(command).code(2).says(variable).says("try: unset");
    }
}

#[test]
fn a_command_that_there_is_not_is_answered_with_the_one_that_does_that() {
    let place = Place::new();
    for (words, meant) in [
        ("list", "backends"),
        ("plan", "compare --dry-run"),
        ("backends native", "inspect native"),
        ("backends insp", "inspect"),
        ("compar", "compare"),
    ] {
        place.run(words).code(2).says(&format!("a similar subcommand exists: '{meant}'\n"));
    }
    for words in ["backends list", "backends ls"] {
        place.run(words).code(2).says("tip: `crossrun backends` alone lists them\n");
    }
}

#[test]
fn a_negative_number_is_refused_by_the_option_that_has_it() {
    let place = Place::new();
    let of_trials = "timeout memory-limit process-limit log-limit cores";
    let of_schedules = format!("{of_trials} blocks data-seed seed");
    for (verb, options) in [
        ("run", format!("{of_trials} items parallelism seed nodes")),
        ("compare", format!("{of_schedules} items parallelism nodes time-budget")),
        ("metg", format!("{of_schedules} finest coarsest radix output-bytes steps")),
        ("workloads show null", "items stage seed".to_owned()),
        ("backends check native", "timeout".to_owned()),
        ("diff a b", "threshold".to_owned()),
        ("serve .", "port".to_owned()),
    ] {
        for option in arguments_in(&options) {
            let told = place.run(&format!("{verb} --{option} -1")).code(2);
            told.says(&format!("invalid value '-1' for '--{option} <"));
        }
    }
    // What only begins with a hyphen is another option.
    place.run("workloads show null --items 2 -v --seed 1 -q").code(0);
    place.run("workloads show null --items -v").code(2).says("a value is required for '--items <COUNT>'");
}

#[test]
fn counts_say_in_one_way_which_there_may_be() {
    let place = Place::new();
    for (words, least, most) in [
        ("run --nodes 0", 1, u32::MAX),
        ("run --cores 0", 1, u32::MAX),
        ("compare --blocks 0", 1, u32::MAX),
        ("run --parallelism 0", 1, 16_384),
        ("metg --steps 0", 32, 1 << 24),
    ] {
        place.run(words).code(2).says(&format!("\"0\" is not a whole number from {least} to {most}"));
    }
    for (words, most) in [
        ("run --seed", u64::MAX),
        ("compare --seed", u64::MAX),
        ("metg --seed", u64::MAX),
        ("compare --data-seed", u64::MAX),
        ("workloads show null --seed", u64::MAX),
        ("workloads show null --stage", usize::MAX as u64),
        ("metg --pattern nearest --radix", u64::MAX),
        ("metg --pattern nearest --output-bytes", u64::MAX),
        ("serve . --port", u16::MAX.into()),
    ] {
        for bad in ["x", "18446744073709551616"] {
            let told = place.run(&format!("{words} {bad}")).code(2);
            told.says(&format!("{bad:?} is not a whole number from 0 to {most}"));
        }
    }
    place.run("workloads show null --items 2 --seed 1e3").code(0);
    let compare = "compare --backends native --workloads null --blocks 1e1 --dry-run";
    let planned = place.run(compare).code(0).stdout();
    assert!(planned.contains("10 trials in 10 blocks"), "{planned}");
}

#[test]
fn a_parameter_out_of_range_is_2_and_leaves_no_record() {
    let place = Place::new();
    let run = ["run", "--backend", "native", "--workload", "pipeline", "--extra", "stages=1000"];
    place.crossrun(&run).code(2).says("--extra stages: 1000 is not a whole number from 1 to");
    assert!(!place.path().join("results").exists());
}

#[test]
fn an_unknown_backend_is_3_with_the_known_names_and_the_searched_folders() {
    let place = Place::new();
    let ran = place.crossrun(&["run", "--backend", "nosuch"]).code(3).says("nosuch").says("native");
    assert!(ran.stderr().contains(place.plugins().to_str().unwrap()), "{}", ran.explain());
    assert!(!place.path().join("results").exists());
}

#[test]
fn a_rejected_backend_is_3_with_the_reason() {
    let place = Place::new();
    std::fs::write(place.plugins().join("libmine_runner.so"), "rubbish").unwrap();
    place.crossrun(&["run", "--backend", "mine"]).code(3).says("was rejected").says("not a shared library");
}

#[test]
fn a_missing_default_backend_is_3() {
    Place::new().crossrun(&["run"]).code(3).says("\"sage\"").says("native");
}

#[test]
fn an_unknown_workload_is_3_with_the_known_names() {
    let place = Place::new();
    place.crossrun(&["run", "--backend", "native", "--workload", "nosuch"]).code(3).says("word_count");
    place.crossrun(&["workloads", "nosuch"]).code(3).says("word_count");
    // No name of a folder: it is looked for before the folder of the records, which is called as the workload.
    for name in ["../../proc/none", &"x".repeat(300)] {
        place.crossrun(&["run", "--backend", "native", "--workload", name]).code(3).says("word_count");
    }
    std::fs::write(place.plugins().join("libmine_runner.so"), "rubbish").unwrap();
    for verb in [&["run", "--backend", "native", "--workload"][..], &["workloads", "show"]] {
        let ran = place.crossrun(&[verb, &["nosuch"]].concat()).code(3);
        ran.says("1 file there rejected").says("try: crossrun workloads");
    }
}

#[test]
fn a_backend_that_refuses_a_valid_spec_is_4_and_recorded_and_one_that_was_given_an_option_is_2() {
    let place = Place::with_misbehaving();
    let run = |phase: &str, more: &[&str]| {
        let run = ["run", "--backend", "misbehaving", "--workload", "pipeline", "--extra", "stages=2"];
        let mut command = place.command(&[&run, more].concat());
        command.env("CROSSRUN_TEST_REFUSE", phase);
        Ran::of(command)
    };
    for (recorded, phase) in ["open", "prepare", "run"].into_iter().enumerate() {
        run(phase, &["--extra", "batch_size=2"]).code(4).says("misbehaving failed: what a spec");
        let trials = place.records("pipeline", "trials.jsonl");
        assert_eq!(trials.len(), recorded + 1);
        let error = &trials[recorded]["record"]["metadata"]["error"];
        assert_eq!((error["kind"].as_str(), error["phase"].as_str()), (Some("invalid_spec"), Some(phase)));
        for option in [&["--extra", "behaviour=none"][..], &["--scheduler", "mine"]] {
            run(phase, option).code(2).says("what a spec");
        }
        assert_eq!(place.records("pipeline", "trials.jsonl"), trials);
    }
}

#[test]
fn an_unavailable_backend_is_3_with_the_command_that_sets_it_up() {
    let place = Place::with_misbehaving();
    let mut command = place.command(&["run", "--backend", "misbehaving"]);
    command.env("CROSSRUN_TEST_PROBE", "unavailable");
    Ran::of(command).code(3).says("it is not in the mood").says("try: crossrun setup misbehaving");
}

#[test]
fn a_failed_trial_is_4() {
    let place = Place::with_misbehaving();
    place
        .misbehave("error", "run", &[])
        .code(4)
        .says("the engine is out of order")
        .says("try: restart the engine");
}

#[test]
fn a_wrong_answer_is_5() {
    Place::with_misbehaving()
        .misbehave("drop", "run", &[])
        .code(5)
        .says("9 items reached the sink, but 10 must");
}

#[test]
fn an_impossible_claim_is_6() {
    Place::with_misbehaving().misbehave("claim_more_time", "run", &[]).code(6).says("not valid");
}

#[test]
fn a_difference_is_7() {
    let place = Place::new();
    place.crossrun(&["backends", "lock"]).code(0);
    std::fs::remove_file(place.plugins().join("libnative_runner.so")).unwrap();
    place.crossrun(&["backends", "lock", "--check"]).code(7).says(": 1 plugin; try:");
}

#[test]
fn a_set_up_that_fails_is_8() {
    let place = Place::with_misbehaving();
    let mut command = place.command(&["setup", "misbehaving"]);
    command.env("CROSSRUN_TEST_SETUP", "error");
    Ran::of(command).code(8).says("the engine is out of order");
}

#[test]
fn an_interrupt_is_130_and_leaves_neither_a_record_nor_a_process() {
    let place = Place::with_misbehaving();
    let run = "run --backend misbehaving --workload null --extra behaviour=sleep --extra at=run";
    let mut command = place.command(&arguments_in(run));
    let child = command.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let pid = child.id();
    eventually("the worker runs", || processes_of_sessions_of(pid).len() >= 3);
    std::thread::sleep(Duration::from_millis(300));
    send_signal(pid, Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(shell_code(output.status), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!place.path().join("results").exists());
    eventually("nothing is left", || processes_of_sessions_of(pid).is_empty());
}

#[test]
fn errors_are_json_where_json_was_asked_for() {
    let error = Place::new().crossrun(&["run", "--json", "--backend", "nosuch"]).code(3).json();
    assert_eq!(error["error"]["exit_code"], 3);
    assert!(error["error"]["message"].as_str().unwrap().contains("nosuch"));
}

#[test]
fn a_broken_pipe_is_not_a_failure() {
    let place = Place::new();
    let mut command = place.command(&["workloads"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
