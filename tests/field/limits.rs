//! Where crossrun may have little: a small stack, long names, a current folder that is gone, and a `/proc` of somebody else.

use std::process::Command;

use serde_json::Value;

use crate::field::wrappers::{without_threads, wrapped};
use crate::support::{Place, Ran, arguments_in, not_run, plugin};

const RUN: [&str; 8] =
    ["run", "--json", "--backend", "native", "--workload", "null", "--items=10", "--no-lock"];

/// `command` after a line of a shell.
fn after(line: &str, command: &Command) -> Ran {
    Ran::of(wrapped("sh", &["-c", &format!("{line} && exec \"$@\""), "sh"], command))
}

#[test]
fn a_low_limit_of_the_stack_is_raised() {
    let place = Place::new();
    after("ulimit -S -s 64", &place.command(&RUN)).code(0);
    after("ulimit -S -s 64", &place.command(&["--help"])).code(0);
}

#[test]
fn a_worker_that_has_used_up_its_processor_time_leads_to_the_limit() {
    let place = Place::new();
    let run = "run --backend native --no-lock --workload pipeline --items 1000000 --timeout 1h";
    let run = place.command(&arguments_in(&format!("{run} --extra iters=100000")));
    // In the judge or the backend, whichever is there first.
    let ran = after("ulimit -t 2", &run);
    let ran = ran.code(4);
    ran.says("SIGKILL").says("`ulimit -t` is more than 2 s");
}

#[test]
fn a_driver_that_has_used_up_its_processor_time_leads_to_the_limit() {
    let place = Place::with_driven();
    let run = "run --backend driven --no-lock --workload null --items 10 --extra behaviour=spin --timeout 1h";
    let ran = after("ulimit -t 2", &place.command(&arguments_in(run))).code(4);
    ran.says("the driver of driven was killed by signal")
        .says("`ulimit -t` is more than 2 s")
        .says("if the driver has");
}

#[test]
fn a_backend_that_gets_no_memory_leads_to_the_limit() {
    let place = Place::with_misbehaving();
    for (option, kibibytes) in [("-v", "800000"), ("-d", "400000")] {
        let command = place.misbehaving_command("allocate", "run", &["--no-lock", "--memory-limit", "64GiB"]);
        let ran = after(&format!("ulimit {option} {kibibytes}"), &command).code(4);
        ran.says("memory allocation of").says(&format!("`ulimit {option}` is more than {kibibytes}"));
    }
}

#[test]
fn a_backend_that_uses_up_its_descriptors_is_a_row_and_the_others_go_on() {
    let place = Place::with_misbehaving();
    place.stage(&plugin("native_runner"));
    let compare =
        "compare --backends native,misbehaving --workloads null --items 20 --blocks 1 --run-id c --no-lock";
    let compare = format!("{compare} --extra behaviour=use_up_descriptors --extra at=open");
    let ran = after("ulimit -n 512", &place.command(&arguments_in(&compare))).code(4);
    let trials = place.records("c", "trials.jsonl");
    let (native, failed): (Vec<_>, Vec<_>) =
        trials.iter().partition(|trial| trial["record"]["backend"] == "native");
    assert!(!native.is_empty() && !failed.is_empty(), "{}", ran.explain());
    assert!(native.iter().all(|trial| trial["status"] == "verified"), "{}", ran.explain());
    for trial in failed {
        let message = trial["record"]["metadata"]["error"]["message"].as_str().unwrap();
        assert!(trial["status"] == "failed" && message.contains("Too many open files"), "{trial}");
    }
}

#[test]
fn a_backend_whose_log_is_larger_than_files_may_be_leads_to_the_limit() {
    let place = Place::with_misbehaving();
    let ran = after("ulimit -f 100", &place.misbehaving_command("print_much", "run", &["--no-lock"])).code(4);
    ran.says("SIGXFSZ").says("try: ulimit -f unlimited");
}

#[test]
fn a_limit_that_allows_priorities_gives_a_backend_none() {
    let place = Place::with_misbehaving();
    let command = place.misbehaving_command("raise_priority", "run", &["--no-lock"]);
    let ran = Ran::of(wrapped("prlimit", &["--nice=40:40", "--rtprio=50:50"], &command));
    if ran.stderr().contains("prlimit: ") {
        return not_run("this user may not raise the limits of priorities");
    }
    ran.code(0);
}

#[test]
fn where_no_thread_can_be_started_nothing_panics() {
    let Some(library) = without_threads() else { return not_run("there is no C compiler") };
    let place = Place::with_driven();
    let run = ["run", "--backend", "driven", "--no-lock", "--workload", "null", "--items", "10"];
    let mut command = place.command(&run);
    command.env("LD_PRELOAD", library);
    let ran = Ran::of(command).code(3);
    assert!(!ran.stderr().contains("panicked"), "{}", ran.explain());
    ran.says("Resource temporarily unavailable");
}

/// Runs a command where a shell has changed what is mounted; `None` where this user may not.
fn with_mounts(line: &str, command: &Command) -> Option<Ran> {
    let script = format!("{line} || exit 99; exec \"$@\"");
    let ran =
        Ran::of(wrapped("unshare", &["--mount", "--map-root-user", "sh", "-c", &script, "sh"], command));
    let refused = ran.output.status.code() == Some(99) || ran.stderr().contains("unshare: ");
    (!refused).then_some(ran)
}

#[test]
fn a_null_device_that_is_missing_or_a_file_is_named() {
    let place = Place::new();
    std::fs::write(place.path().join("file"), "").unwrap();
    let file = format!("mount --bind '{}' /dev/null", place.path().join("file").display());
    let mut told = 0;
    for line in ["mount -t tmpfs tmpfs /dev", &file] {
        let Some(ran) = with_mounts(line, &place.command(&RUN)) else {
            return not_run("this user may not mount");
        };
        if ran.output.status.code() != Some(0) {
            ran.code(1).says("/dev/null").says("; try: ");
            told += 1;
        }
    }
    assert!(told > 0, "both were as good as the device");
}

/// What `doctor` finds after such a line.
fn found(line: &str, id: &str) -> Option<Value> {
    let ran = with_mounts(line, &Place::empty().command(&["doctor", "--json"]))?;
    let report = ran.code(0).json();
    Some(report["machine"].as_array().unwrap().iter().find(|finding| finding["id"] == id).unwrap().clone())
}

#[test]
fn shared_memory_that_is_missing_or_on_a_disk_is_found() {
    // Devices without a folder for it, and a folder that is not of its own.
    let missing = "mkdir d && mount -t tmpfs tmpfs d && ln -s /proc/self/fd d/fd && \
                   for name in null zero full random urandom; do touch d/$name && mount --bind /dev/$name d/$name; done && \
                   mount --rbind d /dev";
    let on_disk = "mkdir d && [ \"$(stat -f -c %T d)\" != tmpfs ] && mount --bind d /dev/shm";
    for (line, told) in [(missing, "there is no /dev/shm"), (on_disk, "/dev/shm is a folder on a disk")] {
        let Some(finding) = found(line, "shm") else {
            return not_run("this user may not mount, or files of tests are in memory");
        };
        assert!(finding["level"] == "bad" && finding["found"] == told, "{finding}");
        assert!(finding["remedy"].as_str().unwrap().contains("--shm-size"), "{finding}");
    }
}

#[test]
fn a_file_system_that_does_not_say_its_size_is_not_full() {
    for (line, id, told) in [
        ("mount -t tmpfs -o size=0 tmpfs /dev/shm", "shm", "/dev/shm has no limit of its own"),
        (
            "mkdir data && mount -t tmpfs -o size=0,mode=755 tmpfs data",
            "disk",
            "does not say how much is free",
        ),
    ] {
        let Some(finding) = found(line, id) else { return not_run("this user may not mount") };
        assert!(finding["level"] == "good" && finding["found"].as_str().unwrap().contains(told), "{finding}");
    }
}

#[test]
fn without_proc_one_sentence_says_what_to_mount() {
    let place = Place::new();
    let Some(ran) = with_mounts("mount -t tmpfs tmpfs /proc", &place.command(&RUN)) else {
        return not_run("this user may not mount");
    };
    ran.code(1).says("/proc").says("; try: mount -t proc proc /proc");
    assert!(!place.path().join("results").exists());
}

#[test]
fn a_folder_of_plugins_without_execution_is_found() {
    let Some(finding) =
        found("mkdir -p plugins && mount -t tmpfs -o noexec,mode=755 tmpfs plugins", "noexec")
    else {
        return not_run("this user may not mount");
    };
    let told = finding["found"].as_str().unwrap();
    assert!(finding["level"] == "bad" && told.contains("nothing may be executed in"), "{finding}");
    assert!(told.contains("plugins") && finding["remedy"].is_string(), "{finding}");
}

#[test]
fn the_clock_rates_are_those_of_the_cores_that_may_be_used() {
    if std::thread::available_parallelism().map_or(1, usize::from) < 2 {
        return not_run("this process may use one core only");
    }
    // Core 0 is offline. A machine may have hundreds, of which this process may use the last.
    let line = "mkdir -p $(seq -f c/cpu%.0f/cpufreq 1 600) && \
                echo powersave | tee $(seq -f c/cpu%.0f/cpufreq/scaling_governor 1 600) > told && \
                mount --bind c /sys/devices/system/cpu";
    let Some(finding) = found(line, "governor") else { return not_run("this user may not mount") };
    assert!(
        finding["level"] == "bad" && finding["found"].as_str().unwrap().contains("powersave"),
        "{finding}"
    );
}

#[test]
fn a_name_that_is_too_long_and_a_current_folder_that_is_gone_are_told_with_a_remedy() {
    let place = Place::new();
    let long = "x".repeat(256);
    place.crossrun(&[&RUN[..], &["--output-dir", &long]].concat()).code(1).says("try: a shorter name");
    let gone = after("mkdir gone && cd gone && rmdir ../gone", &place.command(&RUN)).code(1);
    gone.says("results/null").says("try: cd \"$HOME\", as the current folder was removed");
    let new = place.command(&["backends", "new", "mine"]);
    let gone = after("mkdir gone && cd gone && rmdir ../gone", &new).code(1);
    gone.says("mine_runner").says("try: cd \"$HOME\", as the current folder was removed");
    let doctor = place.command(&["doctor"]);
    after("mkdir gone && cd gone && rmdir ../gone", &doctor).code(0);
}

#[test]
fn in_a_process_namespace_with_the_proc_of_another_nothing_false_is_measured() {
    let words = ["--user", "--map-root-user", "--pid", "--fork"];
    let can = Command::new("unshare").args(words).arg("true").output();
    if !can.is_ok_and(|output| output.status.success()) {
        return not_run("this user may not have a namespace of processes");
    }
    let place = Place::new();
    for namespaces in ["on", "off"] {
        let mut command = place.command(&RUN);
        command.env("CROSSRUN_NAMESPACES", namespaces);
        let ran = Ran::of(wrapped("unshare", &words, &command)).code(0);
        let metadata = &ran.json()["metadata"];
        assert!(metadata["verified"] == true && metadata["resources"]["cpu_seconds"].is_null(), "{metadata}");
        ran.says("/proc is that of another PID namespace").says("mount -t proc proc /proc");
    }
}

/// `command` after a line of a shell whose user may not raise hard limits; `None` where root cannot give up that right.
fn after_without_the_right(line: &str, command: &Command) -> Option<Ran> {
    const RIGHT: &str = "--bounding-set=-sys_resource";
    let script = format!("{line} && exec \"$@\"");
    if !rustix::process::geteuid().is_root() {
        return Some(after(line, command));
    }
    Command::new("setpriv").args([RIGHT, "true"]).output().ok().filter(|probe| probe.status.success())?;
    let words = [RIGHT, "sh", "-c", &script, "sh"];
    Some(Ran::of(wrapped("setpriv", &words, command)))
}

#[test]
fn a_remedy_with_ulimit_says_who_raises_the_hard_limit() {
    let (place, native) = (Place::with_misbehaving(), Place::new());
    let (doctor, help) = (place.command(&["doctor", "--json"]), place.command(&["--help"]));
    let (run, lock) = (native.command(&RUN), native.command(&["backends", "lock"]));
    let allocate = place.misbehaving_command("allocate", "run", &["--no-lock", "--memory-limit", "64GiB"]);
    for (line, command, told, name) in [
        ("ulimit -n 256", &doctor, "ulimit -n 4096", "nofile"),
        ("ulimit -s 64", &help, "ulimit -s 1024", "stack"),
        ("ulimit -f 1", &run, "ulimit -f unlimited", "fsize"),
        ("ulimit -f 0", &lock, "ulimit -f unlimited", "fsize"),
        ("ulimit -v 800000", &allocate, "`ulimit -v` is more than 800000 KiB", "as"),
    ] {
        let Some(ran) = after_without_the_right(line, command) else {
            return not_run("root cannot give up a right with setpriv here");
        };
        let text = ran.stdout() + &ran.stderr();
        assert!(text.contains(&format!("{told}, once root has raised the hard limit")), "{}", ran.explain());
        assert!(text.contains(&format!("{name} in /etc/security/limits.conf")), "{}", ran.explain());
        // Where the hard limit is high enough, the user raises the soft one.
        let soft = line.replace("ulimit ", "ulimit -S ");
        let ran = after_without_the_right(&soft, command).unwrap();
        let text = ran.stdout() + &ran.stderr();
        assert!(!text.contains("once root has raised"), "{}", ran.explain());
    }
}

#[test]
fn a_stack_that_is_too_small_is_told_to_programs_too() {
    let place = Place::new();
    let Some(ran) = after_without_the_right("ulimit -s 64", &place.command(&RUN)) else {
        return not_run("root cannot give up a right with setpriv here");
    };
    let error = ran.code(1).json()["error"].clone();
    assert!(error["remedy"].as_str().unwrap().starts_with("ulimit -s 1024"), "{error}");
}

#[test]
fn with_too_few_descriptors_and_a_hard_limit_the_remedy_says_who_raises_it() {
    let (mut told, place) = (0, Place::new());
    for limit in 4..=40 {
        let Some(ran) = after_without_the_right(&format!("ulimit -n {limit}"), &place.command(&RUN)) else {
            return not_run("root cannot give up a right with setpriv here");
        };
        match ran.output.status.code() {
            // With more there are enough, too.
            Some(0) if told > 0 => return,
            Some(1) if ran.stderr().contains("Too many open files") => {
                ran.says("try: ulimit -n 1024, once root has raised the hard limit");
                told += 1;
            }
            // By the shell or the dynamic linker.
            _ => (),
        }
    }
    assert!(told > 0, "no limit was too low");
}
