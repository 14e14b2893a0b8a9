//! What a session leaves outside of its process tree.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::field::wrappers::wrapped;
use crate::support::{Place, Ran, eventually, not_run, processes_of_sessions_of, send_signal, warnings};

/// A number that no other test has.
fn number() -> String {
    (std::process::id() as i32).to_string()
}

/// What is in shared memory after a command, a line each, beside what the command printed. It runs in a namespace of its own, so that
/// no other test sees what it leaves.
fn left_by(command: &Command) -> Option<(Ran, String)> {
    let script = "mount -t tmpfs tmpfs /dev/shm && { \"$@\"; code=$?; ls /dev/shm >&3; cat /proc/sysvipc/shm /proc/sysvipc/sem /proc/sysvipc/msg >&3; exit $code; } 3>left";
    let outer = wrapped("unshare", &["--mount", "--ipc", "sh", "-c", script, "sh"], command);
    let folder = command.get_current_dir().unwrap().to_owned();
    let ran = Ran::of(outer);
    let left = std::fs::read_to_string(folder.join("left")).unwrap_or_default();
    let has_namespace = !ran.stderr().contains("unshare:") && !ran.stderr().contains("mount:");
    has_namespace.then_some((ran, left))
}

#[test]
fn shared_memory_vanishes_with_its_namespace_and_is_removed_or_told_elsewhere() {
    let place = Place::with_misbehaving();
    let number = number();
    let (file, key) = (format!("crossrun-test-{number}"), format!(" {number} "));
    for namespaces in ["on", "off"] {
        let mut command = place.misbehaving_command("leave_shared_memory", "run", &["--no-lock", "-v"]);
        command.env("CROSSRUN_NAMESPACES", namespaces).env("CROSSRUN_TEST_SHARED", &number);
        let Some((ran, left)) = left_by(&command) else {
            return not_run("this user may not enter namespaces");
        };
        let has_own = namespaces == "on" && !ran.stderr().contains("no namespace for workers here");
        let record = ran.code(0).json();
        let told = warnings(&record).join("\n");
        if has_own {
            assert!(!left.contains(&file) && !left.contains(&key) && told.is_empty(), "{left}{told}");
        } else {
            // The system says who made shared memory of System V, and of nothing else.
            assert_eq!(left.matches(&key).count(), 2, "{left}");
            assert!(left.contains(&file) && !told.contains("System V shared memory"), "{left}{told}");
            assert!(told.contains("shared memory was left behind") && told.contains(&file), "{told}");
            let others = [&format!("sem.{file}"), "System V semaphores", "System V message queue"];
            for other in others {
                assert!(told.contains(other), "no {other:?} in {told}");
            }
        }
    }
}

#[test]
fn a_message_queue_that_is_made_by_its_file_vanishes_with_its_namespace_or_is_told() {
    // A `/dev` with queues of a namespace of its own, as not every machine has any.
    let script = "mkdir -p d && mount -t tmpfs tmpfs d && mkdir d/shm d/mqueue && ln -s /proc/self/fd d/fd || exit 99
        for name in null zero full random urandom; do touch d/$name && mount --bind /dev/$name d/$name || exit 99; done
        mount --rbind d /dev && mount -t tmpfs tmpfs /dev/shm && mount -t mqueue mqueue /dev/mqueue || exit 99
        \"$@\"; code=$?; ls /dev/mqueue > left; exit $code";
    let place = Place::with_misbehaving();
    let number = number();
    let queue = format!("crossrun-test-{number}");
    for namespaces in ["on", "off"] {
        let mut command = place.misbehaving_command("leave_message_queue", "run", &["--no-lock", "-v"]);
        command.env("CROSSRUN_NAMESPACES", namespaces).env("CROSSRUN_TEST_SHARED", &number);
        let ran = Ran::of(wrapped("unshare", &["--mount", "--ipc", "sh", "-c", script, "sh"], &command));
        if ran.output.status.code() == Some(99) || ran.stderr().contains("unshare:") {
            return not_run("this user may not mount message queues");
        }
        let has_own = namespaces == "on" && !ran.stderr().contains("no namespace for workers here");
        let told = warnings(&ran.code(0).json()).join("\n");
        let left = std::fs::read_to_string(place.path().join("left")).unwrap();
        assert_eq!(left.contains(&queue), !has_own, "{left}");
        assert_eq!(told.contains(&format!("/dev/mqueue/{queue}")), !has_own, "{told}");
    }
}

#[test]
fn a_temporary_folder_that_was_renamed_is_removed() {
    let place = Place::with_misbehaving();
    let (temporary, note) = (place.path().join("t"), place.path().join("note"));
    std::fs::create_dir(&temporary).unwrap();
    for namespaces in ["on", "off"] {
        let mut command = place.misbehaving_command("rename_temporary", "run", &["--no-lock"]);
        command.env("CROSSRUN_NAMESPACES", namespaces).env("TMPDIR", &temporary);
        command.env("CROSSRUN_TEST_LITTER", &note);
        let ran = Ran::of(command).code(0);
        assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0, "{}", ran.explain());
        // The path of a long folder is replaced by one below /tmp.
        let renamed = std::fs::read_to_string(&note).unwrap();
        assert!(renamed.ends_with(".renamed") && !Path::new(&renamed).exists(), "{}", ran.explain());
        std::fs::remove_file(&note).unwrap();
    }
}

#[test]
fn memory_that_is_mapped_nowhere_counts_against_the_limit() {
    let free = rustix::fs::statvfs("/dev/shm").map_or(0, |it| it.f_bavail * it.f_frsize);
    if free < 700 << 20 {
        return not_run("/dev/shm has no 700 MiB");
    }
    let place = Place::with_misbehaving();
    for namespaces in ["on", "off"] {
        let mut command = place.misbehaving_command(
            "fill_shared_memory",
            "run",
            &["--no-lock", "--memory-limit", "300MiB"],
        );
        command.env("CROSSRUN_NAMESPACES", namespaces);
        let record = Ran::of(command).code(4).json();
        assert_eq!(record["metadata"]["error"]["kind"], "memory_limit", "{record}");
    }
}

#[test]
fn temporary_folders_of_a_session_that_was_killed_whole_are_removed_by_the_next_command() {
    let place = Place::with_misbehaving();
    let (temporary, go) = (place.path().join("t"), place.path().join("go"));
    std::fs::create_dir(&temporary).unwrap();
    let mut command = place.misbehaving_command("wait", "run", &["--no-lock"]);
    command.env("TMPDIR", &temporary).env("CROSSRUN_TEST_GO", &go);
    let mut host = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    eventually("the backend waits", || go.with_extension("begun").exists());
    let tree = processes_of_sessions_of(host.id());
    let folders: BTreeSet<_> = tree.iter().filter_map(|pid| variable(*pid, "TMPDIR")).collect();
    assert!(!folders.is_empty());
    // As a batch system ends a job: no supervisor can remove anything.
    let send_to_all = |signal: Signal| {
        for pid in &tree {
            // One may be gone.
            let _ = send_signal(*pid, signal);
        }
    };
    send_to_all(Signal::STOP);
    host.kill().unwrap();
    host.wait().unwrap();
    send_to_all(Signal::KILL);
    eventually("all processes are gone", || processes_of_sessions_of(host.id()).is_empty());
    assert!(folders.iter().all(|folder| Path::new(folder).is_dir()), "{folders:?}");
    let mut next = place.command(&["backends"]);
    next.env("TMPDIR", &temporary);
    Ran::of(next).code(0);
    assert!(!folders.iter().any(|folder| Path::new(folder).exists()), "{folders:?}");
}

#[test]
fn a_backend_that_kills_its_supervisor_where_that_alone_finds_its_processes_is_told_of() {
    let place = Place::with_misbehaving();
    let mut command = place.misbehaving_command("kill_supervisor", "close", &["--no-lock"]);
    command.env("CROSSRUN_NAMESPACES", "off");
    let record = Ran::of(command).code(0).json();
    let told = warnings(&record).join("\n");
    assert!(told.contains("was killed: some of them may still run"), "{told}");
}

/// A variable of a running process.
fn variable(pid: u32, name: &str) -> Option<String> {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    let mut variables = environment.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    variables.find_map(|variable| Some(variable.strip_prefix(name)?.strip_prefix('=')?.to_owned()))
}
