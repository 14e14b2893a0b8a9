//! A run is verified and recorded, for every workload and in every way to run it.

use std::io::Write as _;
use std::process::Stdio;

use crate::field::wrappers::{with_environment_of, wrapped};
use crate::installed_engine::{FUSION, WORKLOADS};
use crate::pairwise::cover;
use crate::support::{Place, run_arguments, warnings};

#[test]
fn the_seeds_workload_is_verified_on_native_threads() {
    let place = Place::new();
    let record = place.run("run --backend native --items 100 --parallelism 4 --json").code(0).json();
    assert_eq!(record["backend"], "native");
    assert_eq!(record["workload"], "scheduler_comparison");
    assert_eq!(record["parallelism"], 4);
    assert_eq!(record["success_rate"], 1.0);
    let metadata = &record["metadata"];
    assert_eq!(metadata["results_count"], 50);
    assert_eq!(metadata["expected_count"], 50);
    assert_eq!(metadata["verified"], true);
    assert_eq!(metadata["checksum"], metadata["expected_checksum"]);
}

#[test]
fn every_workload_is_verified_under_every_scheduler_and_fusion() {
    const SCHEDULERS: [&str; 3] = ["default", "fifo", "load_aware"];
    let place = Place::new();
    for [workload, scheduler, fusion] in cover([WORKLOADS.len(), SCHEDULERS.len(), FUSION.len()]) {
        let how = format!("--scheduler {} fusion={}", SCHEDULERS[scheduler], FUSION[fusion]);
        let what = format!("--workload {} --items 333 --parallelism 3 batch_size=8", WORKLOADS[workload]);
        place.crossrun(&run_arguments(&format!("--backend native {what} {how}"))).verified();
    }
}

#[test]
fn a_run_of_no_items_is_verified() {
    let place = Place::new();
    for workload in ["null", "word_count"] {
        let run = ["run", "--json", "--backend", "native", "--workload", workload, "--items", "0"];
        let record = place.crossrun(&run).code(0).json();
        assert_eq!(record["metadata"]["results_count"], 0);
    }
}

#[test]
fn a_run_prints_a_summary_and_writes_a_record() {
    let place = Place::new();
    let ran = place.crossrun(&["run", "--backend", "native", "--workload", "null", "--items", "1e3"]).code(0);
    let text = ran.stdout();
    assert!(text.starts_with("[native] scheduler=default results=1000 elapsed="), "{text}");
    assert!(text.contains("verified: 1000 items with checksum"), "{text}");
    assert!(text.contains("recorded in results/null as "), "{text}");
    assert_eq!(place.records("null", "unified_results.jsonl").len(), 1);
    // A run that waits for a core between two readings of its time is warned of, and nothing else is.
    let said = ran.stderr();
    let more: Vec<_> = said.lines().filter(|line| !line.ends_with("the worker's time counts")).collect();
    assert_eq!(more, [""; 0]);
}

#[test]
fn a_scheduler_that_native_does_not_know_runs_as_default_with_a_warning() {
    let place = Place::new();
    let run = ["run", "--json", "--backend", "native", "--workload", "null", "--scheduler", "magic"];
    let ran = place.crossrun(&run).code(0).says("magic");
    let record = ran.json();
    assert_eq!(record["metadata"]["scheduler_name"], "default");
    assert!(warnings(&record)[0].contains("magic"), "{record}");
}

#[test]
fn a_key_that_nobody_reads_is_warned_of() {
    let place = Place::new();
    let run = ["run", "--json", "--backend", "native", "--workload", "null", "--extra", "batchsize=3"];
    place.crossrun(&run).code(0).says("extra.batchsize has no effect");
}

#[test]
fn more_nodes_than_a_backend_has_are_a_failure_and_not_a_smaller_run() {
    let place = Place::new();
    let run = ["run", "--json", "--backend", "native", "--workload", "null", "--nodes", "2"];
    let ran = place.crossrun(&run).code(4).says("this machine only");
    assert_eq!(ran.json()["metadata"]["error"]["kind"], "unsupported");
}

#[test]
fn without_isolation_the_answer_is_the_same() {
    let place = Place::new();
    let run = ["run", "--json", "--backend", "native", "--workload", "pipeline", "--items", "500"];
    let isolated = place.crossrun(&run).code(0).json();
    let here = place.crossrun(&[&run, ["--isolation", "none"].as_slice()].concat()).code(0).json();
    assert_eq!(isolated["metadata"]["checksum"], here["metadata"]["checksum"]);
    assert_eq!(here["metadata"]["isolation"], "none");
}

#[test]
fn the_command_in_the_record_runs_the_same_again() {
    let place = Place::new();
    let run = "run --json --backend NATIVE --workload pipeline --items 64 --seed 7 --extra iters=5";
    let first = place.run(run).code(0).json();
    let command = first["metadata"]["command"].as_str().unwrap();
    let folder = crate::support::executable().parent().unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let mut shell = std::process::Command::new("sh");
    shell.arg("-c").arg(format!("{command} --json")).env("PATH", path).current_dir(place.path());
    let second = crate::support::Ran::of(with_environment_of(&place.command(&[]), shell)).code(0).json();
    assert_eq!(first["config_hash"], second["config_hash"]);
    assert_eq!(first["metadata"]["checksum"], second["metadata"]["checksum"]);
}

#[test]
fn the_backend_may_come_from_the_environment() {
    let place = Place::new();
    let mut command = place.command(&["run", "--json", "--workload", "null"]);
    command.env("CROSSRUN_BACKEND", "native");
    assert_eq!(crate::support::Ran::of(command).code(0).json()["backend"], "native");
}

/// Runs the default backend, which is not set up, with `answer` on standard input, on a pseudo-terminal or without one. Returns
/// the exit code and everything that was printed.
fn run_before_set_up(place: &Place, more: &[&str], answer: &str, terminal: bool) -> (i32, String) {
    const ON_A_TERMINAL: &str =
        "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
    let mut command = place.command(&[&["run", "--workload", "null"], more].concat());
    if terminal {
        command = wrapped("python3", &["-c", ON_A_TERMINAL], &command);
    }
    command.env("CROSSRUN_BACKEND", "misbehaving").env("CROSSRUN_TEST_PROBE", "not_set_up");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // One that asks nothing may have ended by now, and nobody reads the answer.
    let _ = child.stdin.take().unwrap().write_all(answer.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (output.status.code().unwrap(), text.concat())
}

#[test]
fn on_a_terminal_the_default_backend_is_set_up_if_the_user_says_so() {
    let place = Place::with_misbehaving();
    const QUESTION: &str = "is not set up: it is not installed. Set it up now? [y/N]";
    const REMEDY: &str = "try: crossrun setup misbehaving";
    for (more, answer, terminal, asks) in [
        ([].as_slice(), "n\n", true, true),
        (&[], "\n", true, true),
        (&[], "y\n", false, false),
        (&["--json"], "y\n", true, false),
        (&["--backend", "misbehaving"], "y\n", true, false),
    ] {
        let (code, text) = run_before_set_up(&place, more, answer, terminal);
        assert_eq!((code, text.contains(QUESTION)), (3, asks), "{more:?} {answer:?}: {text}");
        assert!(text.contains(REMEDY), "{text}");
    }
    let (code, text) = run_before_set_up(&place, &[], "y\n", true);
    assert!(code == 0 && text.contains(QUESTION) && text.contains("verified: "), "{code}: {text}");
    let (code, text) = run_before_set_up(&place, &[], "", true);
    assert!(code == 0 && !text.contains(QUESTION), "{code}: {text}");
}

#[test]
fn a_task_graph_runs_whole_steps_and_says_how_many_items_that_are() {
    let place = Place::new();
    let run = "run --backend native --json --workload task_graph --items 100 --extra width=8 --extra iters=1";
    let ran = place.run(run).code(0);
    let ran = ran.says("task_graph runs whole steps: 100 items are rounded down to 96\n");
    assert_eq!(ran.json()["metadata"]["total_items"], 96);
    let compare = "compare --backends native --workloads task_graph,null --items 100 --dry-run --blocks 1";
    let ran = place.run(&format!("{compare} --vary width=8,10,30")).code(0);
    for words in ["are rounded down to 96\n", "are rounded down to 90\n"] {
        assert_eq!(ran.stderr().matches(words).count(), 1, "{}", ran.explain());
    }
    for point in ["task_graph/items=96/", "task_graph/items=100/", "task_graph/items=90/", "null/items=100/"]
    {
        assert!(ran.stdout().contains(point), "no {point} in {}", ran.explain());
    }
}
