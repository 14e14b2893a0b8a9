//! Locks: one measurement at a time on a machine, and files of records that other processes hold.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::field::wrappers::{nosyscall, wrapped};
use crate::support::{
    Place, Ran, arguments_in, eventually, executable, is_root, not_run, send_signal, shell_code,
};

const RUN: [&str; 7] = ["run", "--json", "--backend", "native", "--workload", "null", "--items=10"];

/// Holds a lock on a file until it is dropped.
struct Held(std::process::Child);

impl Held {
    fn on(file: &std::path::Path) -> Self {
        let mut command = Command::new("flock");
        let held = Self(command.arg("--no-fork").arg(file).args(["sleep", "600"]).spawn().unwrap());
        let is_held =
            || !Command::new("flock").arg("--nonblock").arg(file).arg("true").status().unwrap().success();
        eventually("the lock is held", is_held);
        // It takes the lock before that.
        let line = format!("/proc/{}/cmdline", held.0.id());
        let is_command = || text(line.as_ref()).split('\0').eq(["sleep", "600", ""]);
        eventually("flock has become the command", is_command);
        held
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// As messages name the holder where `/proc/locks` does.
fn holder(held: &Held) -> String {
    // With --no-fork, flock becomes the command.
    format!("process {}: sleep 600", held.0.id())
}

/// The text of a file so far.
fn text(file: &std::path::Path) -> String {
    std::fs::read_to_string(file).unwrap_or_default()
}

#[test]
fn measurements_with_other_data_folders_wait_for_each_other() {
    let place = Place::new();
    let (lock, said) = (place.path().join("machine.lock"), place.path().join("said"));
    let held = Held::on(&lock);
    let mut command = place.command(&RUN);
    command.env("CROSSRUN_LOCK_FILE", &lock).env("CROSSRUN_DATA_DIR", place.path().join("other"));
    command.stdout(Stdio::piped()).stderr(std::fs::File::create(&said).unwrap());
    let waiting = command.spawn().unwrap();
    eventually("it waits", || text(&said).contains("waiting until no other measurement runs"));
    assert!(
        text(&said).contains(&holder(&held)) || text(&said).contains("another process"),
        "{}",
        text(&said)
    );
    drop(held);
    let record = Ran::ended(waiting).code(0).json();
    assert_eq!(record["metadata"]["locked"], true);
    assert_eq!(record["metadata"]["lock_file"], lock.to_str().unwrap());
}

#[test]
fn a_measurement_of_another_user_is_waited_for_too() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let (lock, said) = (folder.path().join("machine.lock"), folder.path().join("said"));
    std::fs::write(&lock, "").unwrap();
    std::fs::set_permissions(&lock, Permissions::from_mode(0o644)).unwrap();
    let held = Held::on(&lock);
    let mut command = place.command(&RUN);
    command.env("CROSSRUN_LOCK_FILE", &lock);
    if !place.give_to_nobody(&mut command) {
        return;
    }
    command.stdout(Stdio::piped()).stderr(std::fs::File::create(&said).unwrap());
    let waiting = command.spawn().unwrap();
    eventually("it waits", || text(&said).contains("waiting until no other measurement runs"));
    drop(held);
    assert_eq!(Ran::ended(waiting).code(0).json()["metadata"]["locked"], true);
}

#[test]
fn every_lock_that_is_waited_for_is_named_also_when_little_is_to_be_said_and_one_signal_ends_the_wait() {
    let place = Place::with_misbehaving();
    std::fs::create_dir(place.data()).unwrap();
    let run = ["run", "--backend", "misbehaving", "--workload", "null", "--quiet"];
    let setup = ["setup", "misbehaving", "--quiet"];
    let cases = [
        ("measurement.lock", &run[..]),
        ("measurement.lock", &setup[..]),
        ("measurement.lock", &["setup", "misbehaving", "--remove", "--quiet"][..]),
        ("setup-misbehaving.lock", &setup[..]),
    ];
    for (lock, verb) in cases {
        let (lock, said) = (place.data().join(lock), place.path().join("said"));
        let held = Held::on(&lock);
        let mut command = place.command(verb);
        if verb[0] == "setup" {
            command.env("CROSSRUN_TEST_PROBE", "not_set_up");
        }
        command.stdout(Stdio::null()).stderr(std::fs::File::create(&said).unwrap());
        let mut waiting = command.spawn().unwrap();
        eventually("it says for what it waits", || text(&said).contains("waiting until"));
        let named = text(&said).contains(&holder(&held)) || text(&said).contains("another process");
        assert!(named, "{}", text(&said));
        send_signal(waiting.id(), Signal::TERM).unwrap();
        assert_eq!(shell_code(waiting.wait().unwrap()), Some(130), "{}", text(&said));
    }
}

#[test]
fn a_set_up_before_a_measurement_does_not_wait_to_tell_what_is_wrong_without_it() {
    let place = Place::with_misbehaving();
    std::fs::create_dir(place.data()).unwrap();
    std::fs::create_dir_all(place.path().join("results/taken")).unwrap();
    std::fs::write(place.path().join("results/taken/trials.jsonl"), "of another run\n").unwrap();
    let _held = Held::on(&place.data().join("measurement.lock"));
    let compare = "compare --setup --workloads null --backends misbehaving";
    let metg = "metg --setup --cores 1 --backends misbehaving";
    let taken = "results/taken already holds a run; try: another --run-id";
    for (line, code, says) in [
        (format!("{compare},nope"), 3, "\"nope\""),
        ("compare --setup --workloads nope --backends misbehaving".to_owned(), 3, "\"nope\""),
        ("metg --setup --backends nope".to_owned(), 3, "\"nope\""),
        (format!("{compare} --run-id taken"), 2, taken),
        ("compare --setup --workloads null --run-id taken".to_owned(), 2, taken),
        (format!("{compare} --baseline native"), 2, "--baseline native does not take part"),
        ("compare --setup --workloads null --baseline misbehavin".to_owned(), 2, "--baseline misbehaving\n"),
        (format!("{compare} --extra fusion=of"), 2, "--extra fusion"),
        (format!("{compare} --vary color=1,2"), 2, "no workload of this comparison reads it"),
        (format!("{metg} --run-id taken"), 2, taken),
        (format!("{metg} --pattern nope"), 2, "--pattern: \"nope\" is not"),
        (format!("{metg},misbehaving"), 2, "misbehaving"),
    ] {
        let ran = place.run(&line).code(code).says(says);
        assert!(!ran.stderr().contains("waiting until"), "{}", ran.explain());
    }
    assert!(!place.path().join("results/taken/plan.json").exists());
}

#[test]
fn the_lock_is_that_of_the_machine_whatever_the_data_folder() {
    let place = Place::new();
    // In a namespace of its own: the machine's lock may be held by a measurement of somebody else.
    let script = "mount -t tmpfs -o mode=1777 tmpfs /tmp-of-test && exec \"$@\"";
    let folder = if std::path::Path::new("/run/lock").is_dir() { "/run/lock" } else { "/tmp" };
    if [place.path(), executable()].iter().any(|file| file.starts_with(folder)) {
        return not_run("what is mounted over the folder of the lock would hide the files of this test");
    }
    let script = script.replace("/tmp-of-test", folder);
    let mut command = place.command(&RUN);
    command.env_remove("CROSSRUN_LOCK_FILE");
    let ran = Ran::of(wrapped("unshare", &["--mount", "sh", "-c", &script, "sh"], &command));
    if ran.stderr().contains("unshare:") || ran.stderr().contains("mount:") {
        return not_run("this user may not mount a folder");
    }
    let record = ran.code(0).json();
    let file = record["metadata"]["lock_file"].as_str().unwrap();
    assert_eq!(file, format!("{folder}/crossrun-measurement.lock"));
}

/// As in a container that is read-only but for its `/tmp`.
#[test]
fn where_the_folder_of_the_lock_takes_no_files_the_next_one_has_the_lock() {
    let place = Place::new();
    let is_hidden = ["/tmp", "/run/lock"].iter().any(|folder| executable().starts_with(folder));
    if is_hidden || !std::path::Path::new("/run/lock").is_dir() {
        return not_run("this machine has no /run/lock, or the executable would be hidden");
    }
    let read_only = "mount -t tmpfs -o ro,mode=1777 tmpfs /run/lock";
    let with_file = "mount -t tmpfs -o mode=1777 tmpfs /run/lock && touch /run/lock/crossrun-measurement.lock && \
                     mount -o remount,ro /run/lock";
    for (mount, folder) in [(read_only, "/tmp"), (with_file, "/run/lock")] {
        // In folders of its own, in which that of the test is where it was.
        let script = format!(
            "mount --rbind \"$0\" /mnt && mount -t tmpfs -o mode=1777 tmpfs /tmp && mkdir -p \"$0\" && \
             mount --rbind /mnt \"$0\" && {mount} && cd \"$0\" && exec \"$@\""
        );
        let mut command = place.command(&RUN);
        command.env_remove("CROSSRUN_LOCK_FILE");
        let words = ["--mount", "sh", "-c", &script, place.path().to_str().unwrap()];
        let ran = Ran::of(wrapped("unshare", &words, &command));
        if ran.stderr().contains("unshare:") || ran.stderr().contains("mount:") {
            return not_run("this user may not mount a folder");
        }
        let record = ran.code(0).json();
        assert_eq!(record["metadata"]["lock_file"], format!("{folder}/crossrun-measurement.lock"));
        assert_eq!(record["metadata"]["locked"], true);
    }
}

#[test]
fn a_lock_file_that_is_none_is_told_and_left_alone() {
    let place = Place::new();
    let diary = place.path().join("diary");
    std::fs::write(&diary, "dear diary").unwrap();
    let mut command = place.command(&RUN);
    command.env("CROSSRUN_LOCK_FILE", place.path());
    let ran = Ran::of(command).code(0).says("there is no measurement lock");
    assert_eq!(ran.json()["metadata"]["locked"], false);
    let mut command = place.command(&RUN);
    command.env("CROSSRUN_LOCK_FILE", &diary);
    Ran::of(command).code(0);
    assert_eq!(text(&diary), "dear diary");
}

#[test]
fn records_that_another_process_holds_are_waited_for_and_one_signal_ends_the_wait() {
    let place = Place::new();
    place.crossrun(&RUN).code(0);
    let (records, said) = (place.path().join("results/null/trials.jsonl"), place.path().join("said"));
    let before = text(&records);
    let held = Held::on(&records);
    let mut command = place.command(&RUN);
    command.stdout(Stdio::null()).stderr(std::fs::File::create(&said).unwrap());
    let mut waiting = command.spawn().unwrap();
    eventually("it says for what it waits", || text(&said).contains("waiting for"));
    assert!(text(&said).contains("trials.jsonl"), "{}", text(&said));
    send_signal(waiting.id(), Signal::TERM).unwrap();
    assert_eq!(shell_code(waiting.wait().unwrap()), Some(130), "{}", text(&said));
    drop(held);
    assert_eq!(text(&records), before);
}

#[test]
fn another_set_up_is_waited_for_with_a_word_about_it() {
    let place = Place::new();
    std::fs::create_dir(place.data()).unwrap();
    let (lock, said) = (place.data().join("setup-native.lock"), place.path().join("said"));
    std::fs::write(&lock, "").unwrap();
    let held = Held::on(&lock);
    let mut command = place.command(&["setup", "native"]);
    let mut waiting = command.stderr(std::fs::File::create(&said).unwrap()).spawn().unwrap();
    eventually("it says for what it waits", || {
        text(&said).contains("waiting until another set-up of native has ended")
    });
    drop(held);
    assert_eq!(shell_code(waiting.wait().unwrap()), Some(0), "{}", text(&said));
}

#[test]
fn a_file_system_without_locks_is_told_and_measured_on() {
    let Some(nosyscall) = nosyscall() else { return };
    let place = Place::new();
    for more in [&[][..], &["--no-lock"]] {
        // flock fails with ENOSYS.
        let command = place.command(&[&RUN, more].concat());
        let ran = Ran::of(wrapped(&nosyscall, &["73", "38"], &command)).code(0).says("has no locks");
        assert_eq!(ran.json()["metadata"]["locked"], false);
    }
    assert_eq!(place.records("null", "trials.jsonl").len(), 2);
}

#[test]
fn logs_that_another_process_has_begun_are_not_taken_for_empty_ones() {
    let place = Place::new();
    let logs = place.data().join("logs/compare");
    std::fs::create_dir_all(&logs).unwrap();
    let (mark, log) = (logs.join(".crossrun-logs"), logs.join("native.log"));
    std::fs::write(&mark, "text").unwrap();
    std::fs::write(&log, "").unwrap();
    let held = std::fs::File::open(&mark).unwrap();
    held.lock_shared().unwrap();
    let compare = ["compare", "--dry-run", "--backends", "native", "--workloads", "null", "--items", "5"];
    place.crossrun(&compare).code(0);
    assert!(log.exists() && mark.exists());
    held.unlock().unwrap();
    place.crossrun(&compare).code(0);
    assert!(!logs.exists());
}

#[test]
fn a_set_up_without_the_lock_goes_on_beside_a_measurement() {
    let place = Place::new();
    std::fs::create_dir(place.data()).unwrap();
    let _held = Held::on(&place.data().join("measurement.lock"));
    place.crossrun(&["setup", "native", "--no-lock"]).code(0);
}

#[test]
fn a_set_up_of_a_backend_that_can_start_does_not_wait() {
    let place = Place::with_misbehaving();
    std::fs::create_dir(place.data()).unwrap();
    let _held = Held::on(&place.data().join("measurement.lock"));
    let ran = place.crossrun(&["setup", "misbehaving"]).code(0).says("misbehaving: set-up done");
    assert!(!ran.stderr().contains("waiting until"), "{}", ran.explain());
    // Nothing was done beside the measurement.
    assert!(!place.data().join("misbehaving.installed").exists(), "{}", ran.explain());
}

#[test]
fn a_run_that_waited_looks_again_whether_its_backends_can_start() {
    for verb in ["metg --quick --cores 1", "compare --quick --workloads null --items 5"] {
        looks_again_after_a_wait(verb);
    }
}

fn looks_again_after_a_wait(verb: &str) {
    let place = Place::with_misbehaving();
    std::fs::create_dir(place.data()).unwrap();
    let (installed, said) = (place.data().join("misbehaving.installed"), place.path().join("said"));
    std::fs::write(&installed, "").unwrap();
    let held = Held::on(&place.data().join("measurement.lock"));
    let line = format!("{verb} --backends misbehaving --run-id m");
    let mut command = place.command(&arguments_in(&line));
    command.env("CROSSRUN_TEST_PROBE", "not_set_up");
    command.stdout(Stdio::null()).stderr(std::fs::File::create(&said).unwrap());
    let mut waiting = command.spawn().unwrap();
    eventually("it waits", || text(&said).contains("waiting until no other measurement runs"));
    // A set-up with --remove waited too, and got the lock first.
    std::fs::remove_file(installed).unwrap();
    drop(held);
    assert_eq!(shell_code(waiting.wait().unwrap()), Some(3), "{}", text(&said));
    let remedy = if verb.starts_with("metg") { "crossrun setup misbehaving" } else { "--resume m --setup" };
    assert!(text(&said).contains(remedy), "{}", text(&said));
    assert_eq!(place.records_so_far("m"), 0, "{}", text(&said));
}

/// Another process may set up an engine during the wait.
#[test]
fn files_that_change_while_a_run_waits_are_no_change_by_a_backend() {
    let place = Place::new();
    let file = place.data().join("environments/x/hash/f");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, "before").unwrap();
    let said = place.path().join("said");
    let held = Held::on(&place.data().join("measurement.lock"));
    let compare = "compare --quick --backends native --workloads null --items 5 --run-id c";
    let mut command = place.command(&arguments_in(compare));
    command.stdout(Stdio::null()).stderr(std::fs::File::create(&said).unwrap());
    let mut waiting = command.spawn().unwrap();
    eventually("it waits", || text(&said).contains("waiting until no other measurement runs"));
    std::fs::write(&file, "while it waited").unwrap();
    drop(held);
    assert_eq!(shell_code(waiting.wait().unwrap()), Some(0), "{}", text(&said));
    let trials = text(&place.path().join("results/c/trials.jsonl"));
    assert!(trials.contains("\"measured\"") && !trials.contains("changed before the first"), "{trials}");
}

/// The one that waits for the lock gets it before the folder is used no more.
#[test]
fn of_two_resumes_that_wait_the_second_measures_nothing_again() {
    let place = Place::new();
    let begin =
        "compare --quick --backends native --workloads pipeline --items 5 --run-id c --time-budget 1ns";
    place.run(begin).code(0);
    let held = Held::on(&place.data().join("measurement.lock"));
    let resumes = ["one", "two"].map(|name| {
        let said = place.path().join(name);
        let mut command = place.command(&["compare", "--resume", "c"]);
        command.stdout(Stdio::null()).stderr(std::fs::File::create(&said).unwrap());
        (said, command.spawn().unwrap())
    });
    for (said, _) in &resumes {
        eventually("it waits", || text(said).contains("waiting until no other measurement runs"));
    }
    drop(held);
    for (said, mut resume) in resumes {
        assert_eq!(shell_code(resume.wait().unwrap()), Some(0), "{}", text(&said));
    }
    let trials = place.records("c", "trials.jsonl");
    assert_eq!(trials.iter().filter(|trial| trial["kind"] == "measured").count(), 3);
}

#[test]
fn a_run_that_waited_is_not_mixed_with_another_one_in_its_folder() {
    let (metg, compare) = ("metg --quick --cores 1", "compare --quick --workloads null --items 5");
    let with_setup = format!("{metg} --setup");
    let taken = "results/m already holds a run; try: another --run-id";
    let replaced = "results/m/report.html is there already, and would be replaced";
    for (verb, file, why) in [
        (metg, "trials.jsonl", taken),
        (metg, "report.html", replaced),
        (with_setup.as_str(), "report.html", replaced),
        (compare, "trials.jsonl", taken),
    ] {
        is_not_mixed_after_a_wait(verb, file, why);
    }
}

fn is_not_mixed_after_a_wait(verb: &str, file: &str, why: &str) {
    let place = Place::new();
    std::fs::create_dir(place.data()).unwrap();
    let (folder, said) = (place.path().join("results/m"), place.path().join("said"));
    let held = Held::on(&place.data().join("measurement.lock"));
    let line = format!("{verb} --backends native --run-id m");
    let mut command = place.command(&arguments_in(&line));
    command.stdout(Stdio::null()).stderr(std::fs::File::create(&said).unwrap());
    let mut waiting = command.spawn().unwrap();
    eventually("it waits", || text(&said).contains("waiting until no other measurement runs"));
    // Another run into this folder was started before it, and has measured by now; or a report of others was put there.
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(file), "of another run\n").unwrap();
    drop(held);
    assert_eq!(shell_code(waiting.wait().unwrap()), Some(2), "{}", text(&said));
    assert!(text(&said).contains(why), "{}", text(&said));
    assert_eq!(text(&folder.join(file)), "of another run\n");
    assert!(!folder.join("plan.json").exists(), "{verb}");
}

/// The resume waited too, and got the lock first.
#[test]
fn a_run_that_was_resumed_while_it_waited_keeps_its_plan() {
    let place = Place::new();
    let line =
        "compare --quick --backends native --workloads pipeline --items 5 --run-id c --time-budget 1ns";
    place.run(line).code(0);
    let (folder, said) = (place.path().join("results/c"), place.path().join("said"));
    let trials = text(&folder.join("trials.jsonl"));
    std::fs::remove_dir_all(&folder).unwrap();
    let held = Held::on(&place.data().join("measurement.lock"));
    let mut command = place.command(&arguments_in(line));
    command.stdout(Stdio::null()).stderr(std::fs::File::create(&said).unwrap());
    let mut waiting = command.spawn().unwrap();
    eventually("it waits", || text(&said).contains("waiting until no other measurement runs"));
    let first = format!("{}\n", trials.lines().next().unwrap());
    std::fs::write(folder.join("trials.jsonl"), &first).unwrap();
    drop(held);
    assert_eq!(shell_code(waiting.wait().unwrap()), Some(2), "{}", text(&said));
    let why = "results/c already holds a run; try: crossrun compare --resume c";
    assert!(text(&said).contains(why), "{}", text(&said));
    assert!(folder.join("plan.json").exists(), "{}", text(&said));
    assert_eq!(text(&folder.join("trials.jsonl")), first);
}
