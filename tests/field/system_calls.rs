//! Old kernels, strict filters of system calls, and low limits.

use crate::field::wrappers::{COMPARE, nosyscall, wrapped};
use crate::support::{Place, Ran, not_run, plugin};

const RUN: [&str; 8] =
    ["run", "--json", "--backend", "native", "--workload", "null", "--items=10", "--no-lock"];

#[test]
fn missing_system_calls_are_done_without() {
    let Some(nosyscall) = nosyscall() else { return };
    let place = Place::new();
    // pidfd_open, memfd_create, unshare, prctl's and others of a supervisor; each as an old kernel and as a filter refuses it.
    for number in ["434", "319", "272"] {
        for errno in ["38", "1"] {
            let command = place.command(&RUN);
            Ran::of(wrapped(&nosyscall, &[number, errno], &command)).code(0);
        }
    }
    // Without memfd_create there is no copy of what is in a lock.
    place.crossrun(&["backends", "lock"]).code(0);
    for errno in ["38", "1", "13"] {
        let locked = place.command(&[&RUN[..], &["--locked"]].concat());
        let ran = Ran::of(wrapped(&nosyscall, &["319", errno], &locked));
        ran.says("for which this system has no memfd_create");
    }
}

#[test]
fn a_comparison_is_measured_into_a_file_system_without_links() {
    let Some(nosyscall) = nosyscall() else { return };
    let place = Place::new();
    // linkat and renameat2, as for a folder that a virtual machine or a cloud shares.
    let without_rename = wrapped(&nosyscall, &["316", "22"], &place.command(&COMPARE));
    Ran::of(wrapped(&nosyscall, &["265", "95"], &without_rename)).code(0);
    assert!(place.path().join("results/c/plan.json").metadata().unwrap().len() > 0);
}

#[test]
fn a_run_is_recorded_and_reported_in_a_file_system_without_times_modes_and_synchronization() {
    let Some(nosyscall) = nosyscall() else { return };
    // utimensat and fchmod, as of a disk of Windows, and fsync and fdatasync, as of one that a program serves. The lock has a mode, too.
    for (number, errno) in [("280", "1"), ("91", "1"), ("74", "22"), ("75", "22")] {
        let place = Place::new();
        Ran::of(wrapped(&nosyscall, &[number, errno], &place.command(&RUN[..RUN.len() - 1]))).code(0);
        let table = std::fs::read_to_string(place.path().join("results/null/unified_results.csv")).unwrap();
        assert_eq!(table.lines().count(), 2, "{number}: {table}");
        // The second one replaces the first.
        for _ in 0..2 {
            let report = place.command(&["report", "results/null", "--csv", "r.csv"]);
            Ran::of(wrapped(&nosyscall, &[number, errno], &report)).code(0);
        }
        assert!(place.path().join("r.csv").metadata().unwrap().len() > 0);
    }
    let place = Place::new();
    for rows in 1..=2 {
        Ran::of(wrapped(&nosyscall, &["280", "1"], &place.command(&RUN))).code(0);
        let table = std::fs::read_to_string(place.path().join("results/null/unified_results.csv")).unwrap();
        assert_eq!(table.lines().count(), 1 + rows, "{table}");
    }
}

#[test]
fn what_is_in_a_lock_is_loaded_where_no_copy_in_memory_may_be_a_program() {
    let place = Place::new();
    place.crossrun(&["backends", "lock"]).code(0);
    let locked = place.command(&[&RUN[..], &["--locked"]].concat());
    // The setting is that of a namespace of processes.
    let script = "echo 2 > /proc/sys/vm/memfd_noexec || exit 99; \"$@\"; exit $?";
    let words = ["--pid", "--fork", "--mount-proc", "sh", "-c", script, "sh"];
    let ran = Ran::of(wrapped("unshare", &words, &locked));
    if ran.output.status.code() == Some(99) || ran.stderr().contains("unshare: ") {
        return not_run("this user may not set vm.memfd_noexec, or the kernel does not know it");
    }
    assert_eq!(ran.code(0).json()["metadata"]["verified"], true);
}

#[test]
fn a_filter_that_refuses_limits_is_no_obstacle_and_one_that_refuses_processes_is_told() {
    let Some(nosyscall) = nosyscall() else { return };
    let place = Place::new();
    // prlimit64, as `SystemCallFilter=~@resources` of systemd has it, and what reads limits.
    Ran::of(wrapped(&nosyscall, &["302", "1"], &place.command(&RUN))).code(0);
    Ran::of(wrapped(&nosyscall, &["302", "1"], &place.command(&["doctor"]))).code(0);
    // clone3, for which an older container engine has this error: the C library then tries nothing else.
    let ran = Ran::of(wrapped(&nosyscall, &["435", "1"], &place.command(&RUN)));
    if ran.output.status.code() == Some(0) {
        return not_run("the C library needs no clone3");
    }
    ran.code(1).says("--security-opt seccomp=unconfined");
}

#[test]
fn a_supervisor_that_fails_is_heard_although_its_log_is_on_a_full_disk() {
    let Some(nosyscall) = nosyscall() else { return };
    let place = Place::new();
    let logs = place.data().join("logs/r");
    std::fs::create_dir_all(&logs).unwrap();
    for name in ["judge.log", "native.log"] {
        std::os::unix::fs::symlink("/dev/full", logs.join(name)).unwrap();
    }
    // setsid, the first that a supervisor does.
    let run = place.command(&[&RUN[..], &["--run-id", "r"]].concat());
    let ran = Ran::of(wrapped(&nosyscall, &["112", "1"], &run)).code(1);
    ran.says("Operation not permitted").says("--security-opt seccomp=unconfined");
}

#[test]
fn with_too_few_descriptors_the_remedy_raises_their_number() {
    // Wherever the descriptors end: with too few the system cannot start this program, and with some more there are enough. How many
    // that is depends on what this process has inherited.
    let (mut told, place) = (0, Place::new());
    // A path that is longer is replaced by one below `/tmp`.
    let temporary = tempfile::Builder::new().prefix("t").tempdir_in("/tmp").unwrap();
    let mut run = place.command(&RUN);
    run.env("TMPDIR", temporary.path());
    for limit in 4..=40 {
        let script = format!("ulimit -n {limit}; exec \"$@\"");
        let ran = Ran::of(wrapped("sh", &["-c", &script, "sh"], &run));
        match ran.output.status.code() {
            Some(0) if told > 0 => break,
            Some(1) => {
                ran.says("Too many open files").says("try: ulimit -n 1024");
                told += 1;
            }
            // By the shell or the dynamic linker.
            _ => assert!(told == 0 && !ran.stderr().contains("crossrun: "), "{limit}: {}", ran.explain()),
        }
    }
    assert!(told > 0, "no limit was too low");
    let left: Vec<_> = std::fs::read_dir(temporary.path()).unwrap().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn two_hundred_descriptors_are_enough() {
    let place = Place::new();
    place.stage(&plugin("python_runner"));
    for limit in ["200", "64"] {
        let script = format!("ulimit -n {limit}; exec \"$@\"");
        Ran::of(wrapped("sh", &["-c", &script, "sh"], &place.command(&RUN))).code(0);
        let python = place.command(&["run", "--backend", "python", "--workload", "null", "--no-lock"]);
        Ran::of(wrapped("sh", &["-c", &script, "sh"], &python)).code(0);
        let listed =
            Ran::of(wrapped("sh", &["-c", &script, "sh"], &place.command(&["backends", "--json"]))).code(0);
        assert!(!listed.stdout().contains("rejected"), "{}", listed.explain());
    }
}
