//! Control groups, of either version: what a limit of memory, of processes or of processor time says.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::field::wrappers::wrapped;
use crate::support::{Place, Ran, arguments_in, eventually, not_run, plugin, processes_of_sessions_of};

const MOUNTED: &str = "/sys/fs/cgroup";

/// A group of its own, which is removed when this is dropped.
struct Group(PathBuf);

impl Group {
    /// A group of either version, with the limit that the file of that version gives. `None` where this user cannot make one.
    fn with(controller: &str, [first, second]: [(&str, &str); 2]) -> Option<Self> {
        Self::below(&Path::new(MOUNTED).join(controller).join(own(controller)), first)
            .or_else(|| Self::below(Path::new(MOUNTED), second))
    }

    fn below(above: &Path, (file, limit): (&str, &str)) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("crossrun-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let group = Self(above.join(name));
        fs::create_dir(&group.0).ok()?;
        // Without the controller there is no such file, and where this is no group, one would be made.
        let limited = group.0.join(file).is_file() && fs::write(group.0.join(file), limit).is_ok();
        limited.then_some(group)
    }

    /// `command`, in this group.
    fn around(&self, command: &Command) -> Command {
        let script = "echo $$ > \"$0/cgroup.procs\" && exec \"$@\"";
        wrapped("sh", &["-c", script, self.0.to_str().unwrap()], command)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A process that has just ended may still be in it.
        for _ in 0..100 {
            match fs::remove_dir(&self.0) {
                Err(_) if self.0.exists() => std::thread::sleep(Duration::from_millis(20)),
                _ => return,
            }
        }
    }
}

/// The path of this process's group below the folder of a controller of version 1.
fn own(controller: &str) -> PathBuf {
    let lines = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let path = lines.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        controllers.split(',').any(|one| one == controller).then(|| path.trim_start_matches('/').to_owned())
    });
    // In a container, the group may be mounted in the place of the root.
    let path = PathBuf::from(path.unwrap_or_default());
    if Path::new(MOUNTED).join(controller).join(&path).is_dir() { path } else { PathBuf::new() }
}

const NONE: &str = "this user cannot make control groups here";

#[test]
fn a_backend_that_the_system_kills_for_lack_of_memory_is_told_from_a_crash() {
    let limits = [("memory.limit_in_bytes", "300M"), ("memory.max", "300M")];
    let Some(group) = Group::with("memory", limits) else { return not_run(NONE) };
    // Otherwise memory goes to the disk for minutes.
    let [swap, both] = ["memory.swap.max", "memory.memsw.limit_in_bytes"].map(|file| group.0.join(file));
    let limited = fs::write(swap, "0").or_else(|_| fs::write(both, "300M")).is_ok();
    if !limited && !fs::read_to_string("/proc/swaps").is_ok_and(|swaps| swaps.lines().count() == 1) {
        return not_run("this machine has swap space that a control group does not limit");
    }
    let place = Place::with_misbehaving();
    let command = place.misbehaving_command("allocate", "run", &["--no-lock", "--memory-limit", "64GiB"]);
    let ran = Ran::of(group.around(&command)).code(4);
    let error = &ran.json()["metadata"]["error"];
    assert_eq!(error["kind"], "crashed", "{}", ran.explain());
    assert!(error["message"].as_str().unwrap().contains("for lack of memory"), "{}", ran.explain());
    assert!(error["remedy"].as_str().unwrap().contains("more memory for the container"), "{}", ran.explain());
    // By default no more is allowed than the group has, and the limit is named.
    let ran = Ran::of(group.around(&place.misbehaving_command("allocate", "run", &["--no-lock"]))).code(4);
    let error = &ran.json()["metadata"]["error"];
    assert!(["crashed", "memory_limit"].contains(&error["kind"].as_str().unwrap()), "{}", ran.explain());
}

#[test]
fn a_group_that_is_slowed_down_beyond_its_memory_has_that_as_its_limit() {
    let high = ("memory.high", "300M");
    let Some(group) = Group::below(Path::new(MOUNTED), high) else { return not_run(NONE) };
    let place = Place::with_misbehaving();
    let ran = Ran::of(group.around(&place.misbehaving_command("allocate", "run", &["--no-lock"]))).code(4);
    assert_eq!(ran.json()["metadata"]["error"]["kind"], "memory_limit", "{}", ran.explain());
    ran.says("but may have 240 MiB");
}

#[test]
fn the_system_ends_a_backend_that_takes_all_memory_before_what_watches_it_and_that_before_the_host() {
    let score = |process: u32| -> Option<i32> {
        fs::read_to_string(format!("/proc/{process}/oom_score_adj")).ok()?.trim().parse().ok()
    };
    let place = Place::with_misbehaving();
    for shelter in ["on", "off"] {
        let mut command = place.misbehaving_command("grandchild+sleep", "run", &["--no-lock"]);
        command.env("CROSSRUN_NAMESPACES", shelter).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let sleeps = |process: &u32| {
            fs::read_to_string(format!("/proc/{process}/comm")).is_ok_and(|name| name.trim() == "sleep")
        };
        eventually("the grandchild sleeps", || processes_of_sessions_of(child.id()).iter().any(sleeps));
        let own = score(child.id()).unwrap();
        let tree = processes_of_sessions_of(child.id());
        let of_grandchild = tree.iter().find(|process| sleeps(process)).and_then(|&process| score(process));
        let lowest = tree.into_iter().filter_map(score).min().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        eventually("nothing is left", || processes_of_sessions_of(child.id()).is_empty());
        // Of a test that was itself given the highest score, nothing can be told apart.
        assert!(own < lowest || own == 1000, "{shelter}: {own} {lowest}");
        assert!(
            of_grandchild == Some(1000) && lowest < 1000 || own == 1000,
            "{shelter}: {of_grandchild:?} {lowest}"
        );
    }
}

#[test]
fn a_group_without_processes_left_is_named_with_its_limit() {
    let (mut told, place) = (0, Place::new());
    for limit in 1..=6 {
        let limit = limit.to_string();
        let Some(group) = Group::with("pids", [("pids.max", &limit); 2]) else { return not_run(NONE) };
        let run = ["run", "--backend", "native", "--workload", "null", "--items=10", "--no-lock"];
        let ran = Ran::of(group.around(&place.command(&run)));
        // How many processes a run needs is no promise.
        if ran.output.status.code() != Some(0) {
            ran.code(1).says(&format!("pids.max of the control group, which is {limit}"));
            told += 1;
        }
    }
    assert!(told > 0, "no limit was too low");
    // Perhaps no limit was high enough.
    let trials = place.records_if_any("null", "trials.jsonl").unwrap_or_default();
    assert!(trials.iter().all(|trial| trial["status"] == "verified"));
}

#[test]
fn a_backend_that_takes_all_processes_of_a_group_is_a_row_and_the_others_go_on() {
    // The engine of the second goes on, and gives what is no state of a sink.
    for behaviour in ["many_threads", "hold_threads"] {
        let Some(group) = Group::with("pids", [("pids.max", "80"); 2]) else { return not_run(NONE) };
        let place = Place::with_misbehaving();
        place.stage(&plugin("native_runner"));
        let compare =
            "compare --backends native,misbehaving --workloads null --items 20 --blocks 1 --run-id c";
        let compare = format!("{compare} --no-lock --process-limit 10000 --extra behaviour={behaviour}");
        let ran = Ran::of(group.around(&place.command(&arguments_in(&compare)))).code(4);
        for trial in place.records("c", "trials.jsonl") {
            let expected = if trial["record"]["backend"] == "native" { "verified" } else { "failed" };
            assert_eq!(trial["status"], expected, "{}", ran.explain());
        }
        assert!(place.path().join("results/c/report.html").exists(), "{}", ran.explain());
    }
}

#[test]
fn a_quota_of_the_own_group_is_found() {
    let first = (Path::new(MOUNTED).join("cpu").join(own("cpu")), ("cpu.cfs_quota_us", "50000"));
    let second = (PathBuf::from(MOUNTED), ("cpu.max", "50000 100000"));
    for (version, (above, limit)) in [(1, first), (2, second)] {
        let Some(group) = Group::below(&above, limit) else {
            not_run(&format!("this user has no processor time in version {version} of control groups"));
            continue;
        };
        let ran = Ran::of(group.around(&Place::new().command(&["doctor"])));
        assert!(ran.stdout().contains("a control group leaves 0.5 cores' time"), "{}", ran.explain());
    }
}

#[test]
fn doctor_finds_the_limit_of_processes_of_a_group() {
    let Some(group) = Group::with("pids", [("pids.max", "300"); 2]) else { return not_run(NONE) };
    let ran = Ran::of(group.around(&Place::new().command(&["doctor"]))).code(0);
    let words = "300 processes and threads may run in a control group";
    assert!(ran.stdout().contains(words) && ran.stdout().contains("--pids-limit="), "{}", ran.explain());
}

#[test]
fn a_quota_is_found_wherever_the_groups_are_mounted() {
    // The usual place has nothing any more.
    let script = "mkdir groups && mount --rbind /sys/fs/cgroup groups && mount -t tmpfs tmpfs /sys/fs/cgroup || exit 99
        exec \"$@\"";
    let limits = [("cpu.cfs_quota_us", "50000"), ("cpu.max", "50000 100000")];
    let Some(group) = Group::with("cpu", limits) else { return not_run(NONE) };
    let place = Place::new();
    let doctor = wrapped("unshare", &["--mount", "sh", "-c", script, "sh"], &place.command(&["doctor"]));
    let ran = Ran::of(group.around(&doctor));
    if ran.output.status.code() == Some(99) || ran.stderr().contains("unshare: ") {
        return not_run("this user may not mount");
    }
    assert!(ran.stdout().contains("a control group leaves 0.5 cores' time"), "{}", ran.explain());
}
