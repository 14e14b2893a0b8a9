//! Outputs destroy nothing that they are named after: devices, pipes, links, records, files of other programs.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, symlink};
use std::process::Command;

use rustix::fs::{CWD, FileType, mknodat};

use super::wrappers::{COMPARE, with_environment_of, wrapped};
use crate::support::{Place, Ran, not_run};

fn recorded() -> Place {
    let place = Place::new();
    place.crossrun(&["run", "--backend", "native", "--workload", "pipeline", "--no-lock"]).code(0);
    place
}

const RECORDS: &str = "results/pipeline";

#[test]
fn a_report_follows_links_and_writes_through_pipes_and_devices() {
    let place = recorded();
    let at = |name: &str| place.path().join(name);
    for (option, start) in [("--csv", "workload,items"), ("--md", "#"), ("--html", "<!doctype html>")] {
        // A link that leads nowhere yet, and then one that leads to a file.
        let (link, target) = (at(&format!("link{option}")), at(&format!("target{option}")));
        symlink(&target, &link).unwrap();
        for _ in 0..2 {
            place.crossrun(&["report", RECORDS, option, link.to_str().unwrap()]).code(0);
            assert!(link.is_symlink());
            let text = fs::read_to_string(&target).unwrap().to_lowercase();
            assert!(text.starts_with(start), "{option}: {text}");
            fs::set_permissions(&target, fs::Permissions::from_mode(0o600)).unwrap();
        }
        assert_eq!(target.metadata().unwrap().permissions().mode() & 0o777, 0o600, "its mode stays");

        let pipe = at(&format!("pipe{option}"));
        mknodat(CWD, &pipe, FileType::Fifo, 0o600.into(), 0).unwrap();
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || fs::read_to_string(pipe).unwrap()
        });
        place.crossrun(&["report", RECORDS, option, pipe.to_str().unwrap()]).code(0);
        assert!(pipe.metadata().unwrap().file_type().is_fifo());
        assert!(reader.join().unwrap().to_lowercase().starts_with(start));
        place.crossrun(&["report", RECORDS, option, "/dev/null"]).code(0);
        assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
        place.crossrun(&["report", RECORDS, option, "/dev/full"]).code(1).says("No space left on device");
    }
}

#[test]
fn a_report_that_cannot_be_written_keeps_no_other_from_being_written() {
    let place = recorded();
    let formats = [("html", "junit"), ("md", "parquet"), ("csv", "csv")];
    for (number, (full, format)) in formats.into_iter().enumerate() {
        let mut line = format!("report {RECORDS} --{full} /dev/full");
        let mut files: Vec<_> = ["html", "md", "csv"].into_iter().filter(|other| *other != full).collect();
        for other in &files {
            line += &format!(" --{other} {number}.{other}");
        }
        files.push("out");
        place.run(&format!("{line} --format {format} --output {number}.out")).code(1).says("/dev/full");
        for file in files {
            let written = fs::read(place.path().join(format!("{number}.{file}"))).unwrap();
            assert!(!written.is_empty(), "{line}: {file}");
        }
    }
}

#[test]
fn standard_output_has_a_name_and_gets_the_report_alone() {
    let place = recorded();
    let csv = place.crossrun(&["report", RECORDS, "--csv", "table.csv"]).code(0);
    assert!(csv.stdout().contains("parallelism"));
    let table = fs::read_to_string(place.path().join("table.csv")).unwrap();
    for name in ["-", "/dev/stdout", "/dev/fd/1"] {
        // A pipe, and a file that the shell has opened.
        assert_eq!(place.crossrun(&["report", RECORDS, "--csv", name]).code(0).stdout(), table, "{name}");
        let mut command = place.command(&["report", RECORDS, "--csv", name]);
        command.stdout(File::create(place.path().join("redirected")).unwrap());
        assert!(command.status().unwrap().success());
        assert_eq!(fs::read_to_string(place.path().join("redirected")).unwrap(), table, "{name}");
    }
    assert!(!place.path().join("-").exists());
    for two in [
        &["--csv", "-", "--md", "-"][..],
        &["--csv", "-", "--json"],
        &["--csv", "a", "--md", "a"],
        &["--csv", "a", "--md", "./a"],
    ] {
        place.crossrun(&[&["report", RECORDS], two].concat()).code(2);
    }
    assert!(!place.path().join("a").exists());
}

#[test]
fn a_report_does_not_replace_the_records_that_it_is_about() {
    let place = recorded();
    let trials = place.path().join(RECORDS).join("trials.jsonl");
    let before = fs::read(&trials).unwrap();
    symlink(&trials, place.path().join("link")).unwrap();
    for name in [trials.to_str().unwrap(), "link"] {
        for option in ["--csv", "--md", "--html"] {
            let ran = place.crossrun(&["report", RECORDS, option, name]).code(2);
            ran.says("holds the records that are reported");
        }
    }
    assert_eq!(fs::read(&trials).unwrap(), before);
}

#[test]
fn no_output_replaces_a_file_of_a_run() {
    let place = recorded();
    // Another run than the one that is reported.
    place.crossrun(&[&COMPARE[..], &["--aa", "--output-dir", "other"]].concat()).code(0);
    fs::create_dir(place.path().join("elsewhere")).unwrap();
    let graph = ["workloads", "show", "task_graph", "--svg"];
    for name in ["plan.json", "trials.jsonl", "unified_results.jsonl", "unified_results.csv"] {
        let file = format!("other/{name}");
        let before = fs::read(place.path().join(&file)).unwrap();
        for report in ["--csv", "--md", "--html"] {
            place.crossrun(&["report", RECORDS, report, &file]).code(2).says("is a file of a run");
        }
        place.crossrun(&[&graph[..], &[&file]].concat()).code(2).says("is a file of a run");
        assert_eq!(fs::read(place.path().join(&file)).unwrap(), before);
        // The name alone makes no file of a run.
        let file = format!("elsewhere/{name}");
        fs::write(place.path().join(&file), "{\"some\": \"text\"}\n").unwrap();
        place.crossrun(&["report", RECORDS, "--md", &file]).code(0);
    }
}

#[test]
fn the_path_of_a_folder_is_not_taken_for_that_of_a_file() {
    let place = recorded();
    let kept = place.path().join("kept.csv");
    fs::write(&kept, "kept").unwrap();
    fs::create_dir(place.path().join("there")).unwrap();
    for output in [
        &["report", RECORDS, "--csv"][..],
        &["report", RECORDS, "--md"],
        &["report", RECORDS, "--html"],
        &["report", RECORDS, "--format", "json", "--output"],
        &["report", RECORDS, "--format", "parquet", "--output"],
        &["history", RECORDS, "--html"],
        &["workloads", "show", "task_graph", "--svg"],
        &["backends", "lock", "--output"],
    ] {
        for (name, file) in [
            ("new/", "new, without a slash at its end"),
            ("kept.csv/", "kept-1.csv, without a slash at its end"),
            ("there/", "there/FILE, with the name of a file"),
            ("there", "there/FILE, with the name of a file"),
        ] {
            let what = if output[0] == "backends" { "the lock file " } else { "" };
            let ran = place.crossrun(&[output, &[name]].concat()).code(2);
            let why = "this is the path of a folder, and that of a file is expected";
            let ran = ran.says(&format!("cannot write {what}{name}: {why}; try: {file}"));
            // It is refused before anything is shown.
            assert_eq!(ran.stdout(), "", "{}", ran.explain());
        }
    }
    assert!(!place.path().join("new").exists());
    assert_eq!(fs::read_dir(place.path().join("there")).unwrap().count(), 0);
    assert_eq!(fs::read_to_string(kept).unwrap(), "kept");
}

#[test]
fn a_file_in_a_folder_that_is_not_there_is_refused_with_the_command_that_makes_it() {
    let place = recorded();
    fs::write(place.path().join("kept"), "kept").unwrap();
    symlink("nowhere", place.path().join("link")).unwrap();
    for output in [
        &["report", RECORDS, "--csv"][..],
        &["report", RECORDS, "--format", "parquet", "--output"],
        &["history", RECORDS, "--html"],
        &["workloads", "show", "task_graph", "--items", "12", "--extra", "width=4", "--svg"],
    ] {
        for (file, remedy) in [
            ("nope/deep/x", "mkdir -p nope/deep\n"),
            // Commands that would fail.
            ("kept/x", "another file, "),
            ("link/x", "another file, "),
        ] {
            let ran = place.crossrun(&[output, &[file]].concat()).code(2);
            let ran = ran.says(&format!("cannot write {file}: ")).says(&format!("; try: {remedy}"));
            assert_eq!(ran.stdout(), "", "{}", ran.explain());
        }
    }
    let told = place.crossrun(&["report", RECORDS, "--md", "nope/x"]).code(2).stderr();
    follow(&place, &told);
    place.crossrun(&["report", RECORDS, "--md", "nope/x"]).code(0);
    assert!(place.path().join("nope/x").is_file());
    assert_eq!(fs::read_to_string(place.path().join("kept")).unwrap(), "kept");
}

#[test]
fn records_that_are_mounted_under_another_name_are_not_replaced_either() {
    let Some(()) = may_mount() else { return };
    let place = recorded();
    let trials = place.path().join(RECORDS).join("trials.jsonl");
    let before = fs::read(&trials).unwrap();
    fs::write(place.path().join("report.md"), "").unwrap();
    let report = place.command(&["report", RECORDS, "--md", "report.md"]);
    let script = format!("mount --bind {RECORDS}/trials.jsonl report.md && exec \"$@\"");
    let ran =
        Ran::of(wrapped("unshare", &["--mount", "--map-root-user", "sh", "-c", &script, "sh"], &report));
    ran.code(2).says("holds the records that are reported");
    assert_eq!(fs::read(&trials).unwrap(), before);
}

#[test]
fn a_file_that_is_mounted_by_itself_gets_the_report() {
    let Some(()) = may_mount() else { return };
    let place = recorded();
    fs::write(place.path().join("mounted"), "old").unwrap();
    fs::write(place.path().join("report.md"), "").unwrap();
    let report = place.command(&["report", RECORDS, "--md", "report.md"]);
    let script = "mount --bind mounted report.md && exec \"$@\"";
    Ran::of(wrapped("unshare", &["--mount", "--map-root-user", "sh", "-c", script, "sh"], &report)).code(0);
    assert!(fs::read_to_string(place.path().join("mounted")).unwrap().starts_with('#'));
}

/// `None` where this user can have no mount namespace: this then says that the test is not run.
pub(super) fn may_mount() -> Option<()> {
    let mut probe = Command::new("unshare");
    probe.args(["--mount", "--map-root-user", "sh", "-c", "mount -t tmpfs -o size=4k tmpfs /mnt"]);
    if probe.output().is_ok_and(|output| output.status.success()) {
        return Some(());
    }
    not_run("this user may not mount");
    None
}

#[test]
fn a_file_that_is_no_lock_file_is_neither_replaced_nor_named_in_a_remedy() {
    let place = Place::new();
    let precious = place.path().join("precious");
    for text in ["precious\n", "{\"version\": \"1.0\", \"name\": \"a package\"}", "[]"] {
        fs::write(&precious, text).unwrap();
        let name = precious.to_str().unwrap();
        let ran = place.crossrun(&["backends", "lock", "--output", name]).code(2).says("is no lock file");
        let (_, remedy) =
            ran.stderr().rsplit_once("; try: ").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        assert!(!remedy.contains("precious"), "{remedy}");
        for verb in [
            &["backends"][..],
            &["run", "--backend", "native"],
            &["backends", "lock", "--check", "--output", name],
        ] {
            let locked = format!("--locked={name}");
            let more = if verb.contains(&"--check") { vec![] } else { vec![locked.as_str()] };
            let told = place.crossrun(&[verb, &more].concat()).code(3).stderr();
            let (_, remedy) = told.rsplit_once("; try: ").unwrap();
            assert!(!remedy.contains("precious"), "{told}");
        }
        assert_eq!(fs::read_to_string(&precious).unwrap(), text);
    }
    // An empty file and a lock file of a later version may be replaced.
    for text in ["", "{\"version\": 9, \"plugins\": []}"] {
        fs::write(&precious, text).unwrap();
        place.crossrun(&["backends", "lock", "--output", "precious"]).code(0);
        place.crossrun(&["backends", "lock", "--check", "--output", "precious"]).code(0);
    }
    let printed = place.crossrun(&["backends", "lock", "--output", "-"]).code(0).stdout();
    assert_eq!(printed, fs::read_to_string(&precious).unwrap());
}

#[test]
fn a_file_that_cannot_be_read_is_not_said_to_be_no_lock_file() {
    let place = Place::new();
    let lock = ["backends", "lock", "--output", "mine.lock"];
    place.crossrun(&lock).code(0);
    let mode =
        |mode| fs::set_permissions(place.path().join("mine.lock"), Permissions::from_mode(mode)).unwrap();
    let locked = || {
        let mut command = place.command(&lock);
        place.give_to_nobody(&mut command).then(|| Ran::of(command))
    };
    mode(0o200);
    let Some(ran) = locked() else { return };
    let ran =
        ran.code(2).says("mine.lock cannot be read, so that it may be no lock file, and stays as it is");
    ran.says("; try: chmod u+rX mine.lock\n");
    // As the remedy does.
    mode(0o600);
    locked().unwrap().code(0);
}

/// Does what an error proposes, in a shell.
fn follow(place: &Place, told: &str) {
    let (_, remedy) = told.trim().rsplit_once("; try: ").unwrap();
    let executable = crate::support::executable().display().to_string();
    let script = remedy.replacen("crossrun ", &format!("'{executable}' "), 1);
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).current_dir(place.path());
    Ran::of(with_environment_of(&place.command(&[]), shell)).code(0);
}

#[test]
fn the_remedy_for_a_damaged_lock_file_works_and_keeps_every_damaged_file() {
    let place = Place::new();
    fs::create_dir_all(place.data()).unwrap();
    for (damaged, kept) in [("one", "plugins.damaged"), ("two", "plugins-1.damaged")] {
        fs::write(place.data().join("plugins.lock"), damaged).unwrap();
        let told = place.crossrun(&["backends", "--locked"]).code(3).stderr();
        follow(&place, &told);
        place.crossrun(&["backends", "--locked", "--no-probe"]).code(0);
        assert_eq!(fs::read_to_string(place.data().join(kept)).unwrap(), damaged);
    }
    assert_eq!(fs::read_to_string(place.data().join("plugins.damaged")).unwrap(), "one");
}

#[test]
fn a_named_file_that_is_no_lock_file_leads_to_a_new_one_beside_it() {
    let place = Place::new();
    let at = |name: &str| place.path().join(name);
    fs::write(at("junk.lock"), "junk").unwrap();
    fs::create_dir(at("folder")).unwrap();
    let run = ["run", "--no-lock", "--backend", "native", "--workload", "null"];
    let stays = "and stays as it is: name another one; try: ";
    for (words, told, new) in [
        (&[&run[..], &["--locked=junk.lock"]].concat()[..], stays, "plugins.lock"),
        (&["backends", "lock", "--check", "--output", "junk.lock"], stays, "plugins-1.lock"),
        (&[&run[..], &["--locked=folder"]].concat(), "Is a directory", "folder/plugins.lock"),
    ] {
        let told = place.crossrun(words).code(3).says(told).stderr();
        follow(&place, &told);
        place.crossrun(&["backends", "lock", "--check", "--output", new]).code(0);
        let locked = format!("--locked={new}");
        place.crossrun(&[&run[..], &[locked.as_str()]].concat()).code(0);
    }
    assert_eq!(fs::read_to_string(at("junk.lock")).unwrap(), "junk");
    assert!(!place.data().join("plugins.lock").exists());
}

#[test]
fn a_project_that_does_not_fit_on_the_disk_leaves_nothing_and_says_so() {
    let Some(()) = may_mount() else { return };
    let place = Place::empty();
    fs::create_dir(place.path().join("small")).unwrap();
    // The root of the disk is there and empty; the other folder is not there.
    for (folder, verb) in [("small", "backends"), ("small/a/b", "backends"), ("small", "workloads")] {
        let new = place.command(&[verb, "new", "mine", "--dir", folder]);
        let script =
            "mount -t tmpfs -o size=32k tmpfs small && { \"$@\"; code=$?; ls -A small; exit $code; }";
        let words = ["--mount", "--map-root-user", "sh", "-c", script, "sh"];
        let ran = Ran::of(wrapped("unshare", &words, &new)).code(1);
        assert_eq!(ran.stdout(), "", "{}", ran.explain());
        ran.says("No space left on device").says("nothing of the project stays").says("free some space");
    }
}
