//! A fault of the machine is no result of a backend: the comparison stops, records nothing for it, says what to do, and can be
//! resumed.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::field::wrappers::{with_environment_of, wrapped};
use crate::support::{
    Place, Ran, arguments_in, copy_executable, eventually, executable, give, is_root, not_run, plugin,
    short_folder,
};

/// `compare` of two backends in eight blocks, as the run `c`. One of them waits in its third session until [`go`].
const COMPARE: &str = "compare --no-lock --json --run-id c --workloads pipeline --items 20 --blocks 8 --insist \
                       --extra behaviour=wait_in_third --extra at=open";
const TRIALS: usize = 16;

/// The measured trials of the run `c`.
fn measured(place: &Place) -> Vec<Value> {
    let trials = place.records("c", "trials.jsonl");
    trials.into_iter().filter(|trial| trial["kind"] == "measured").collect()
}

fn two_backends() -> (Place, Command) {
    let place = Place::with_misbehaving();
    let second = place.path().join("second.so");
    fs::copy(plugin("native_runner"), &second).unwrap();
    let mut command = place.command(&arguments_in(COMPARE));
    command.args(["--backends", &format!("misbehaving,second={}", second.display())]);
    (place, command)
}

/// Starts the comparison, and returns while it waits: some trials are measured, and others are not.
fn started(place: &Place, mut command: Command) -> Child {
    command.env("CROSSRUN_TEST_GO", place.path().join("go"));
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    eventually("the backend waits", || place.path().join("go.begun").exists());
    assert!((2..TRIALS).contains(&measured(place).len()));
    child
}

/// Lets the comparison go on.
fn go(place: &Place) {
    fs::write(place.path().join("go"), "").unwrap();
}

/// Asserts that the comparison stopped for the machine's fault, and that the rest is measured when the fault is gone.
fn stops_and_resumes(place: &Place, child: Child, words: &str, mend: impl FnOnce()) {
    go(place);
    let ran = Ran::ended(child);
    let before = measured(place);
    assert!(before.iter().all(|trial| trial["status"] == "verified"), "{}", ran.explain());
    let ran = ran.code(1).says(words).says("--resume c");
    assert!(ran.stderr().contains("; try: "), "{}", ran.explain());
    mend();
    place.crossrun(&["compare", "--no-lock", "--resume", "c"]).code(0);
    let after = measured(place);
    assert_eq!(after.len(), TRIALS);
    assert!(after.iter().all(|trial| trial["status"] == "verified"));
    assert_eq!(after[..before.len()], before);
}

#[test]
fn a_folder_for_temporary_files_that_goes_away_stops_a_comparison() {
    let (place, mut command) = two_backends();
    let temporary = short_folder();
    command.env("TMPDIR", temporary.path());
    let child = started(&place, command);
    // The engine that waits has a folder in it.
    fs::remove_dir_all(temporary.path()).unwrap();
    stops_and_resumes(&place, child, "make a temporary folder in", || ());
}

#[test]
fn a_missing_folder_for_temporary_files_is_named_with_a_remedy_and_recorded_by_nobody() {
    let (place, short) = (Place::new(), short_folder());
    let missing = short.path().join("no such");
    for verb in [&["run", "--backend", "native", "--no-lock"][..], &["workloads", "pipeline"]] {
        let mut command = place.command(verb);
        command.env("TMPDIR", &missing);
        let ran = Ran::of(command).code(1).says(missing.to_str().unwrap());
        ran.says(&format!("mkdir -p '{}'", missing.display()));
    }
    // No folder can be made through a link that leads nowhere.
    let link = short.path().join("l");
    std::os::unix::fs::symlink(&missing, &link).unwrap();
    for named in [link.clone(), link.join("b")] {
        let mut command = place.command(&["run", "--backend", "native", "--no-lock"]);
        command.env("TMPDIR", named);
        Ran::of(command).code(1).says("; try: export TMPDIR=DIR");
    }
    assert!(!place.path().join("results").exists());
    // No plugin is to blame.
    let mut command = place.command(&["backends", "--json"]);
    command.env("TMPDIR", &missing);
    let rows = Ran::of(command).code(0).json();
    let native = rows.as_array().unwrap().iter().find(|row| row["name"] == "native").unwrap();
    assert_eq!(native["status"], "unavailable");
}

#[test]
fn the_executable_may_be_moved_or_replaced_while_it_runs() {
    let (place, usual) = two_backends();
    let copy = place.path().join("copy");
    copy_executable(&copy);
    let mut command = Command::new(&copy);
    command.args(usual.get_args()).current_dir(place.path());
    let child = started(&place, with_environment_of(&usual, command));
    fs::remove_file(&copy).unwrap();
    fs::write(&copy, "another program").unwrap();
    go(&place);
    let ran = Ran::ended(child).code(0);
    assert_eq!(measured(&place).len(), TRIALS, "{}", ran.explain());
}

/// The dynamic loader that the executable names.
fn loader() -> Option<PathBuf> {
    let bytes = fs::read(executable()).unwrap();
    // Its path is near the beginning, between zeros.
    let mut words = bytes.get(..4096)?.split(|byte| *byte == 0);
    let path = words.find(|word| word.starts_with(b"/") && word.windows(3).any(|part| part == b"/ld"))?;
    Some(PathBuf::from(OsStr::from_bytes(path)))
}

#[test]
fn an_executable_that_was_started_through_its_dynamic_loader_says_so() {
    let Some(loader) = loader() else { return not_run("the executable names no dynamic loader") };
    let place = Place::new();
    let usual = place.command(&["run", "--backend", "native", "--no-lock"]);
    let ran = Ran::of(wrapped(&loader, &[], &usual)).code(2).says("was started by the dynamic loader");
    ran.says("; try: start it by itself, after patchelf --set-interpreter /");
    assert!(!place.path().join("results").exists());
}

/// Puts another file in the place of a plugin, as a linker does, and returns the old bytes.
fn replace(file: &PathBuf) -> Vec<u8> {
    let bytes = fs::read(file).unwrap();
    fs::remove_file(file).unwrap();
    fs::write(file, [bytes.as_slice(), b"built again"].concat()).unwrap();
    bytes
}

#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn a_plugin_that_is_built_again_stops_a_comparison_until_its_bytes_are_back() {
    for of_workloads in [false, true] {
        let (place, command) = two_backends();
        let child = started(&place, command);
        let file = if of_workloads {
            place.plugins().join("libstandard_workloads.so")
        } else {
            place.path().join("second.so")
        };
        let bytes = replace(&file);
        stops_and_resumes(&place, child, file.to_str().unwrap(), || {
            let refused = place.crossrun(&["compare", "--no-lock", "--resume", "c"]).code(6);
            refused.says("has changed");
            fs::write(&file, bytes).unwrap();
        });
    }
}

#[test]
fn a_backend_that_fails_on_a_sound_machine_is_a_failed_row_as_before() {
    let place = Place::with_misbehaving();
    place.misbehave("panic", "run", &[]).code(4);
    place.misbehave("abort", "open", &[]).code(4);
    let trials = place.records("null", "trials.jsonl");
    assert_eq!(trials.len(), 2);
    assert!(trials.iter().all(|trial| trial["status"] == "failed"));
}

#[test]
fn a_user_without_processes_left_is_told_so_and_nothing_is_recorded() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let mut command = place.command(&["run", "--backend", "native", "--no-lock", "--json"]);
    if !place.give_to_nobody(&mut command) {
        return;
    }
    // A user of this test alone: others run processes as nobody meanwhile, which count.
    let user = 50_000 + std::process::id() % 10_000;
    give(place.path(), user);
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let mut limited = Command::new("prlimit");
    let ids = [format!("--reuid={user}"), format!("--regid={user}")];
    limited.args(["--nproc=1:1", "setpriv"]).args(ids).arg("--clear-groups").args(words);
    let mut limited = with_environment_of(&command, limited);
    limited.env("TMPDIR", place.path().join("t")).current_dir(place.path());
    let Ok(output) = limited.output() else { return not_run("this machine has no prlimit") };
    let ran = Ran { output, command: format!("{limited:?}") };
    ran.code(1).says("ulimit -u");
    assert!(!place.path().join("results").exists());
}
