//! Whatever a backend does to its process fails one row with a reason, and none of its processes is left.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::{
    NOBODY, Place, Ran, arguments_in, can_give, eventually, give, processes_of_sessions_of,
    processes_with_word, short_folder,
};

/// Runs with namespaces and without: both ways of keeping a tree together must hold.
const SHELTERS: [&str; 2] = ["on", "off"];

fn misbehave_in(place: &Place, shelter: &str, behaviour: &str, phase: &str, more: &[&str]) -> Ran {
    let mut command = place.misbehaving_command(behaviour, phase, more);
    command.env("CROSSRUN_NAMESPACES", shelter);
    Ran::of(command)
}

#[test]
fn a_hanging_run_is_killed_and_is_a_row() {
    let place = Place::with_misbehaving();
    for shelter in SHELTERS {
        let ran = misbehave_in(&place, shelter, "sleep", "run", &["--timeout", "300ms"]).code(4);
        let error = &ran.json()["metadata"]["error"];
        assert_eq!(error["kind"], "timed_out", "{}", ran.explain());
        assert!(error["message"].as_str().unwrap().contains("within 0.3 s"), "{error}");
    }
}

#[test]
fn a_grandchild_in_a_session_of_its_own_does_not_outlive_the_trial() {
    for (number, (shelter, behaviour)) in SHELTERS
        .into_iter()
        .flat_map(|shelter| ["grandchild", "grandchild+abort", "grandchild+sleep"].map(|it| (shelter, it)))
        .enumerate()
    {
        let place = Place::with_misbehaving();
        // A number of seconds for which no other process sleeps.
        let seconds = format!("{}.{}", 600 + number, std::process::id());
        let extra = format!("behaviour={behaviour}");
        let run = ["run", "--backend", "misbehaving", "--workload", "null", "--extra", &extra];
        let mut command = place.command(&run);
        if behaviour == "grandchild+sleep" {
            command.args(["--timeout", "5s"]);
        }
        command.env("CROSSRUN_NAMESPACES", shelter).env("CROSSRUN_TEST_GRANDCHILD", &seconds);
        let ran = Ran::of(command);
        if behaviour == "grandchild" {
            ran.code(0).says("left 1 process behind");
        } else {
            ran.code(4);
        }
        assert_eq!(processes_with_word(&seconds), [0_u32; 0], "{behaviour} with namespaces {shelter}");
    }
}

#[test]
fn killing_the_host_leaves_nothing_running() {
    for (number, shelter) in SHELTERS.into_iter().enumerate() {
        let place = Place::with_misbehaving();
        let seconds = format!("{}.{}", 700 + number, std::process::id());
        let run = "run --backend misbehaving --workload null --extra behaviour=grandchild+sleep";
        let mut command = place.command(&arguments_in(run));
        command.env("CROSSRUN_NAMESPACES", shelter).env("CROSSRUN_TEST_GRANDCHILD", &seconds);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        eventually("the grandchild sleeps", || !processes_with_word(&seconds).is_empty());
        child.kill().unwrap();
        child.wait().unwrap();
        eventually("nothing is left", || {
            processes_with_word(&seconds).is_empty() && processes_of_sessions_of(child.id()).is_empty()
        });
    }
}

#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn the_temporary_folder_of_a_session_is_removed_however_the_session_ends() {
    let place = Place::with_misbehaving();
    // Where this host makes temporary folders, and no other process does.
    let short = short_folder();
    let temporary = short.path();
    if can_give() {
        give(temporary, NOBODY);
    }
    let note = place.path().join("note");
    for shelter in SHELTERS {
        for (behaviour, code) in [("litter", 0), ("litter+segfault", 4), ("litter+sleep", 4)] {
            // One that sleeps is ended by this time, in which a busy machine may not come to the litter.
            let times: &[&str] = if behaviour.ends_with("sleep") { &["5s", "30s", "5m"] } else { &["5m"] };
            for &timeout in times {
                let more = ["--timeout", timeout, "--no-lock"];
                let mut command = place.misbehaving_command(behaviour, "run", &more);
                command.env("CROSSRUN_NAMESPACES", shelter).env("TMPDIR", temporary);
                command.env("CROSSRUN_TEST_LITTER", &note);
                // Root may enter every folder.
                if !place.give_to_nobody(&mut command) {
                    return;
                }
                Ran::of(command).code(code);
                if note.exists() {
                    break;
                }
            }
            let folder = PathBuf::from(std::fs::read_to_string(&note).unwrap());
            assert_eq!(folder.parent(), Some(temporary), "{behaviour}");
            assert_eq!(entries(temporary), 0, "{behaviour} with namespaces {shelter}");
            assert!(place.plugins().exists(), "a link was followed");
            std::fs::remove_file(&note).unwrap();
        }
        let mut command = place.misbehaving_command("litter+sleep", "run", &["--no-lock"]);
        command.env("CROSSRUN_NAMESPACES", shelter).env("TMPDIR", temporary);
        command.env("CROSSRUN_TEST_LITTER", &note);
        if !place.give_to_nobody(&mut command) {
            return;
        }
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        eventually("the backend litters", || note.exists());
        child.kill().unwrap();
        child.wait().unwrap();
        eventually("the folder is gone", || entries(temporary) == 0);
        assert!(place.plugins().exists(), "a link was followed");
        std::fs::remove_file(&note).unwrap();
    }
}

fn entries(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

#[test]
fn a_temporary_folder_has_a_short_path_even_below_a_long_one() {
    let place = Place::with_misbehaving();
    let long = place.path().join("a_folder_with_a_name_that_leaves_no_room_for_the_path_of_a_socket");
    std::fs::create_dir(&long).unwrap();
    let note = place.path().join("note");
    let mut command = place.misbehaving_command("litter", "run", &[]);
    command.env("TMPDIR", &long).env("CROSSRUN_TEST_LITTER", &note);
    Ran::of(command).code(0);
    let folder = std::fs::read_to_string(&note).unwrap();
    assert!(folder.len() <= 41, "{folder}");
    assert!(!Path::new(&folder).exists(), "{folder}");
    assert_eq!(entries(&long), 0);
}

#[test]
fn a_backend_over_a_limit_is_killed_and_the_row_names_the_option_to_raise_it() {
    let place = Place::with_misbehaving();
    let cases = [
        ("allocate", ["--memory-limit", "300MiB"], "memory_limit", "but may have 300 MiB"),
        ("fork_bomb", ["--process-limit", "64"], "process_limit", "processes and threads, but may have 64"),
    ];
    for (shelter, (behaviour, limit, kind, words)) in
        SHELTERS.into_iter().flat_map(|shelter| cases.map(|case| (shelter, case)))
    {
        let ran = misbehave_in(&place, shelter, behaviour, "run", &limit).code(4).says(words);
        let error = &ran.json()["metadata"]["error"];
        assert_eq!((&error["kind"], &error["phase"]), (&kind.into(), &"run".into()), "{}", ran.explain());
        let remedy = format!("{} with more than", limit[0]);
        assert!(error["remedy"].as_str().unwrap().contains(&remedy), "{}", ran.explain());
    }
    // A report has the kinds of the records.
    let junit = place.crossrun(&["report", "results", "--format", "junit"]).stdout();
    for (_, _, kind, _) in cases {
        assert!(junit.contains(&format!("type=\"{kind}\"")), "{junit}");
    }
}

#[test]
fn processes_that_start_another_and_exit_are_killed_too() {
    for shelter in SHELTERS {
        let place = Place::with_misbehaving();
        let mut command = place.misbehaving_command("fork_chains", "run", &[]);
        command.env("CROSSRUN_NAMESPACES", shelter).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        assert!(child.wait().unwrap().success());
        assert_eq!(processes_of_sessions_of(child.id()), [0_u32; 0], "with namespaces {shelter}");
    }
}

/// A run whose backend sleeps.
fn sleeping(place: &Place, shelter: &str) -> Child {
    let note = place.path().join("note");
    let _ = std::fs::remove_file(&note);
    let mut command = place.misbehaving_command("litter+sleep", "run", &["--no-lock"]);
    command.env("CROSSRUN_TEST_LITTER", &note).env("CROSSRUN_NAMESPACES", shelter);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    eventually("the plugin runs", || note.exists());
    child
}

#[test]
fn a_worker_has_no_right_to_go_before_others_or_to_look_into_them() {
    // By the numbers of the capabilities: tracing, administration, priorities, the clock.
    const RIGHTS: u64 = 1 << 19 | 1 << 21 | 1 << 23 | 1 << 25;
    let place = Place::with_misbehaving();
    for shelter in SHELTERS {
        let mut child = sleeping(&place, shelter);
        // Those that started a worker name it in their arguments.
        let [workers, init, supervisors] = ["__worker", "__init", "__supervise"].map(processes_with_word);
        let is_worker =
            |pid: &u32| workers.contains(pid) && !init.contains(pid) && !supervisors.contains(pid);
        let own = processes_of_sessions_of(child.id()).into_iter().filter(is_worker);
        let rights = |pid: u32| {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix("CapPrm:")).unwrap();
            u64::from_str_radix(line.trim(), 16).unwrap()
        };
        let rights: Vec<_> = own.map(rights).collect();
        assert!(!rights.is_empty() && rights.iter().all(|rights| rights & RIGHTS == 0), "{rights:x?}");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[test]
fn this_process_never_maps_a_plugin_even_while_it_runs() {
    let place = Place::with_misbehaving();
    let mut child = sleeping(&place, "on");
    let maps = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    // The file itself, or a sealed copy of it.
    let maps_plugin = |pid| {
        let mapped = maps(pid);
        mapped.contains(place.plugins().to_str().unwrap()) || mapped.contains("/memfd:")
    };
    assert!(maps(child.id()).contains("crossrun"), "this process's maps cannot be read");
    assert!(!maps_plugin(child.id()), "{}", maps(child.id()));
    // A worker does, or this would prove nothing.
    assert!(processes_of_sessions_of(child.id()).into_iter().any(maps_plugin));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_user_without_rights_gets_a_namespace_too_where_the_system_allows_it() {
    let place = Place::with_misbehaving();
    let mut command = place.misbehaving_command("litter", "run", &["-v"]);
    if !place.give_to_nobody(&mut command) {
        return;
    }
    let mut probe = Command::new("unshare");
    probe.args(["--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "true"]);
    if rustix::process::geteuid().is_root() {
        probe.uid(NOBODY).gid(NOBODY);
    }
    let allowed = probe.status().is_ok_and(|status| status.success());
    let ran = Ran::of(command).code(0);
    assert_eq!(!ran.stderr().contains("no namespace for workers here"), allowed, "{}", ran.explain());
}
