//! Files as people have them: pipes, marks of editors, paths with blanks or bytes that are no UTF-8, mounts without execution,
//! plugins of other names.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::fs::{CWD, FileType, mknodat};
use rustix::process::Signal;

use super::outputs::may_mount;
use super::wrappers::{COMPARE, with_environment_of, wrapped};
use crate::support::{Place, Ran, arguments_in, eventually, plugin, send_signal, shell_code};

const RUN: [&str; 4] = ["run", "--backend", "native", "--no-lock"];

/// A comparison, whose table has more than one line of records.
fn recorded() -> Place {
    let place = Place::new();
    place.crossrun(&[&COMPARE[..], &["--aa"]].concat()).code(0);
    place
}

/// Runs a line of bash in which `crossrun` is the program.
fn bash(place: &Place, line: &str) -> Ran {
    let folder = crate::support::executable().parent().unwrap().display().to_string();
    let path = format!("{folder}:{}", std::env::var("PATH").unwrap());
    let mut command = Command::new("bash");
    command.args(["-c", line]).current_dir(place.path()).stdin(Stdio::null());
    let mut command = with_environment_of(&place.command(&[]), command);
    command.env("PATH", path);
    Ran::of(command)
}

#[test]
fn records_are_read_from_pipes_as_from_files() {
    let place = recorded();
    let trials = "results/c/trials.jsonl";
    let usual = place.crossrun(&["report", trials]).code(0).stdout();
    for line in [
        "crossrun report <(cat results/c/trials.jsonl)",
        "cat results/c/trials.jsonl | crossrun report /dev/stdin",
        "mkfifo f; cat results/c/trials.jsonl > f & crossrun report f",
    ] {
        assert_eq!(bash(&place, line).code(0).stdout(), usual, "{line}");
    }
    let differences = place.crossrun(&["diff", trials, trials]).code(0).stdout();
    let line = "crossrun diff <(cat results/c/trials.jsonl) <(cat results/c/trials.jsonl)";
    assert_eq!(bash(&place, line).code(0).stdout(), differences);
    let unified = place.crossrun(&["report", "results/c/unified_results.jsonl"]).code(0).stdout();
    let line = "crossrun report <(cat results/c/unified_results.jsonl)";
    assert_eq!(bash(&place, line).code(0).stdout(), unified);
    let listed = place.crossrun(&["show", "c"]).code(0).stdout();
    for line in ["crossrun show results/c/trials.jsonl", "crossrun show <(cat results/c/trials.jsonl)"] {
        assert_eq!(bash(&place, line).code(0).stdout(), listed, "{line}");
    }
}

#[test]
fn a_pipe_whose_reader_ends_early_is_no_failure() {
    let place = recorded();
    for reader in ["head -c 10 > /dev/null", "true"] {
        for option in ["--html", "--md", "--csv"] {
            let ran = bash(&place, &format!("crossrun report results/c {option} >({reader})")).code(0);
            assert!(!ran.stderr().contains("Broken pipe"), "{}", ran.explain());
        }
    }
}

#[test]
fn a_pipe_in_the_place_of_a_plugin_or_of_a_lock_file_is_told_from_one_that_is_not_there() {
    let place = Place::new();
    place.crossrun(&["backends", "lock", "--output", "lock"]).code(0);
    for line in [
        "crossrun backends --no-probe --plugin-dir plugins --locked=<(cat lock)",
        "crossrun backends check <(cat plugins/libnative_runner.so) --plugin-dir plugins",
        "crossrun run --no-lock --plugin-dir plugins --backend mine=<(cat plugins/libnative_runner.so)",
    ] {
        let ran = bash(&place, line).code(3).says("not a regular file");
        assert!(!ran.stderr().contains("there is no lock file"), "{}", ran.explain());
    }
}

#[test]
fn a_hyphen_is_standard_input() {
    let place = recorded();
    let trials = "results/c/trials.jsonl";
    let before = fs::read(place.path().join(trials)).unwrap();
    for verb in ["report", "show", "history"] {
        let usual = place.crossrun(&[verb, trials]).code(0).stdout();
        for line in [
            format!("cat {trials} | crossrun {verb} -"),
            format!("crossrun {verb} - < {trials}"),
            // The name is not that of a file.
            format!("touch ./-; cat {trials} | crossrun {verb} -; code=$?; rm ./-; exit $code"),
        ] {
            assert_eq!(bash(&place, &line).code(0).stdout(), usual, "{line}");
        }
    }
    let differences = place.crossrun(&["diff", trials, trials]).code(0).stdout();
    for pair in [format!("{trials} -"), format!("- {trials}")] {
        let line = format!("cat {trials} | crossrun diff {pair}");
        assert_eq!(bash(&place, &line).code(0).stdout(), differences, "{line}");
    }
    // A socket has no file behind its name.
    for name in ["-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"] {
        let (mut writer, reader) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut command = place.command(&["show", name]);
        command.stdin(std::os::fd::OwnedFd::from(reader)).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        drop(command);
        writer.write_all(&before).unwrap();
        drop(writer);
        assert_eq!(Ran::ended(child).code(0).stdout(), place.crossrun(&["show", trials]).stdout(), "{name}");
    }
    // What was read cannot be read again, so that no remedy waits for more of it.
    let measured = "results/c/unified_results.jsonl";
    for (file, words, verb) in [(trials, "show - 999", "show"), (measured, "show -", "report")] {
        let ran = bash(&place, &format!("cat {file} | crossrun {words}")).code(2);
        ran.says(&format!("; try: crossrun {verb}, with the file itself in place of -\n"));
    }
    for twice in ["report - -", "diff - -", "diff - /dev/stdin", "report /dev/fd/0 /proc/self/fd/0"] {
        bash(&place, &format!("cat {trials} | crossrun {twice}")).code(2).says("can be read once only");
    }
    // The file behind it is not replaced by what is made of it.
    bash(&place, &format!("crossrun report - --md {trials} < {trials}")).code(2).says("holds the records");
    assert_eq!(fs::read(place.path().join(trials)).unwrap(), before);
    // As an output, the same name is standard output.
    let table = bash(&place, &format!("crossrun report - --csv - < {trials}")).code(0).stdout();
    assert!(table.starts_with("workload,items"), "{table}");
}

#[test]
fn standard_input_that_cannot_be_read_is_named_and_no_folder_is_to_be_moved() {
    let place = recorded();
    for (given, why) in [("< .", "Is a directory"), ("0> written", "Bad file descriptor")] {
        for verb in ["report -", "show -", "history -", "diff - results/c"] {
            let ran = bash(&place, &format!("crossrun {verb} {given}")).code(2);
            let ran = ran.says(&format!("cannot read standard input: {why}"));
            let ran = ran.says("; try: redirect a file of records to it");
            assert!(!ran.stderr().contains("move"), "{}", ran.explain());
        }
    }
}

#[test]
fn of_records_that_cannot_be_read_nothing_is_to_be_moved_or_removed() {
    let place = recorded();
    let unified = "results/c/unified_results.jsonl";
    for (command, why) in [
        ("report results/c/trials.jsonl/", "try: ls results/c"),
        ("history results/c/trials.jsonl/", "try: ls results/c"),
        (&format!("show {unified}"), "crossrun report results/c/unified_results.jsonl"),
    ] {
        let said = bash(&place, &format!("crossrun {command}")).code(2).says(why).stderr();
        assert!(!["move", "remove", "write to"].iter().any(|word| said.contains(word)), "{said}");
    }
}

/// Runs a command that waits without end, or reads without end, if it is wrong.
fn in_time(command: &Command) -> Ran {
    Ran::of(wrapped("timeout", &["200"], command))
}

fn pipe(path: &Path) {
    let _ = fs::remove_file(path);
    mknodat(CWD, path, FileType::Fifo, 0o600.into(), 0).unwrap();
}

#[test]
fn a_pipe_that_a_backend_puts_in_the_place_of_its_log_is_not_waited_for() {
    let place = Place::with_misbehaving();
    // The end of the log is read when the worker is lost.
    in_time(&place.misbehaving_command("pipe_for_log+exit_1", "run", &["--no-lock"])).code(4);
    // And the next session of the same run opens it.
    let compare = "compare --backends misbehaving --workloads null --items 10 --blocks 2 --no-lock";
    let mut command = place.command(&arguments_in(compare));
    command.args(["--extra", "behaviour=pipe_for_log+exit_1"]);
    in_time(&command).code(1).says("cannot open the log");
}

#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn a_pipe_in_the_place_of_a_file_that_crossrun_writes_is_not_waited_for() {
    let place = recorded();
    let run = place.path().join("results/c");
    // A record that came from elsewhere names a log.
    let log = place.path().join("log");
    pipe(&log);
    let mut trials = place.records("c", "trials.jsonl");
    trials[0]["record"]["metadata"]["log"] = log.to_str().unwrap().into();
    let trials: String = trials.iter().map(|trial| format!("{trial}\n")).collect();
    fs::write(run.join("trials.jsonl"), trials).unwrap();
    in_time(&place.command(&["show", "c", "1"])).code(0);
    pipe(&run.join("plan.json"));
    in_time(&place.command(&["compare", "--no-lock", "--resume", "c"])).code(2).says("not a regular file");
    in_time(&place.command(&["report", "results/c"])).code(0);
    // Only a pipe that is named is read.
    pipe(&place.path().join("results/other.jsonl"));
    in_time(&place.command(&["report", "results"])).code(0);
    let compare = ["compare", "--quick", "--no-lock", "--backends", "native", "--aa", "--workloads", "null"];
    for file in ["history.jsonl", "history.lock"] {
        pipe(&place.data().join(file));
        let compare = place.command(&[&compare[..], &["--items", "5", "--run-id", file]].concat());
        in_time(&compare).code(0).says("the history of this machine: cannot").says("not a regular file");
        fs::remove_file(place.data().join(file)).unwrap();
    }
    // What a comparison writes beside its records.
    for file in ["report.html", "report.md", "report.json", "unified_results.csv"] {
        let place = recorded();
        let path = place.path().join("results/c").join(file);
        pipe(&path);
        let ran = in_time(&place.command(&["compare", "--no-lock", "--resume", "c"])).code(1);
        ran.says(file).says("not a regular file");
        assert!(!path.is_file());
    }
    fs::create_dir(place.path().join("man")).unwrap();
    pipe(&place.path().join("man/crossrun.1"));
    in_time(&place.command(&["man", "man"])).code(1).says("man").says("not a regular file");
    let place = Place::with_misbehaving();
    fs::create_dir(place.data()).unwrap();
    pipe(&place.data().join("setup-misbehaving.lock"));
    in_time(&place.command(&["setup", "misbehaving"])).code(8).says("not a regular file");
}

#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn a_device_that_has_no_end_is_read_no_further_than_a_line_may_be_long() {
    let place = recorded();
    let holes = place.path().join("holes.jsonl");
    fs::File::create(&holes).unwrap().set_len(10 << 30).unwrap();
    let holes = holes.to_str().unwrap();
    let lines = place.path().join("lines.jsonl");
    fs::write(&lines, "no\n".repeat(100_002)).unwrap();
    for (file, why) in [
        ("/dev/zero", "more than 64 MiB"),
        ("/dev/full", "more than 64 MiB"),
        (holes, "more than 64 MiB"),
        (lines.to_str().unwrap(), "more than 100000 lines are no records"),
        // What it is taken for depends on its first bytes.
        ("/dev/urandom", ""),
    ] {
        for verb in [&["report", file][..], &["show", file], &["history", file], &["diff", file, "results/c"]]
        {
            in_time(&place.command(verb)).code(2).says(file).says(why);
        }
    }
    for (file, why) in [("/dev/zero", "not a regular file"), (holes, "more than 16 MiB")] {
        let locked = format!("--locked={file}");
        in_time(&place.command(&["backends", &locked])).code(3).says(why);
        in_time(&place.command(&["backends", "inspect", file])).code(3);
    }
    // A link that leads to itself, and a folder that holds itself.
    for (name, target) in [("loop", "loop"), ("within/again", ".")] {
        fs::create_dir_all(place.path().join("within")).unwrap();
        std::os::unix::fs::symlink(target, place.path().join(name)).unwrap();
    }
    in_time(&place.command(&["report", "loop"])).code(2).says("loop");
    in_time(&place.command(&["report", "within"])).code(2).says("holds no records");
    // What stands in the place of a run's own files.
    for (file, words) in
        [("plan.json", "more than 256 MiB"), ("trials.jsonl", "more than 64 MiB and is no record")]
    {
        let folder = place.path().join("in-place");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        fs::File::create(folder.join(file)).unwrap().set_len(10 << 30).unwrap();
        let resume = ["compare", "--no-lock", "--resume", "c", "--output-dir", "in-place"];
        let run = [&RUN[..], &["--output-dir", "in-place"]].concat();
        let ran = in_time(&place.command(if file == "plan.json" { &resume[..] } else { &run[..] }));
        assert_ne!(ran.output.status.code(), Some(0), "{}", ran.explain());
        ran.says(words);
    }
}

#[test]
fn a_pipe_that_nobody_writes_to_is_waited_for_by_name_until_one_signal() {
    let place = recorded();
    let named = place.path().join("p.jsonl");
    pipe(&named);
    for (verb, signal) in [
        (&["report", "p.jsonl"][..], Signal::INT),
        (&["show", "p.jsonl"], Signal::TERM),
        (&["diff", "results/c", "p.jsonl"], Signal::INT),
        (&["history", "p.jsonl", "--json"], Signal::TERM),
    ] {
        let (said, printed) = (place.path().join("said"), place.path().join("printed"));
        let mut command = place.command(verb);
        command.stdout(fs::File::create(&printed).unwrap()).stderr(fs::File::create(&said).unwrap());
        let mut waiting = command.spawn().unwrap();
        let text = || fs::read_to_string(&said).unwrap();
        eventually("it says for what it waits", || text().contains("waiting for the writer of p.jsonl"));
        send_signal(waiting.id(), signal).unwrap();
        assert_eq!(shell_code(waiting.wait().unwrap()), Some(130), "{}", text());
        if verb.contains(&"--json") {
            let told: serde_json::Value = serde_json::from_slice(&fs::read(&printed).unwrap()).unwrap();
            assert_eq!(told["error"]["exit_code"], 130, "{told}");
        }
    }
}

#[test]
fn marks_that_editors_add_change_nothing() {
    let place = recorded();
    let folder = place.path().join("results/c");
    let usual = place.crossrun(&["report", "results/c"]).code(0).stdout();
    let marked = |text: &str| format!("\u{feff}{}", text.replace('\n', "\r\n"));
    for name in ["trials.jsonl", "unified_results.jsonl", "plan.json"] {
        let text = fs::read_to_string(folder.join(name)).unwrap();
        fs::write(folder.join(name), marked(&text)).unwrap();
    }
    let ran = place.crossrun(&["report", "results/c"]).code(0);
    assert_eq!(ran.stdout(), usual, "{}", ran.explain());
    assert_eq!(place.crossrun(&["show", "c"]).code(0).stderr(), "");
    place.crossrun(&["compare", "--no-lock", "--resume", "c"]).code(0);
    place.crossrun(&["backends", "lock"]).code(0);
    let lock = place.data().join("plugins.lock");
    fs::write(&lock, marked(&fs::read_to_string(&lock).unwrap())).unwrap();
    place.crossrun(&["backends", "lock", "--check"]).code(0);
}

#[test]
fn a_run_behind_a_link_is_not_left_out_without_a_word() {
    let place = recorded();
    let (linked, elsewhere) = (place.path().join("results/c"), place.path().join("elsewhere"));
    fs::rename(&linked, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &linked).unwrap();
    let words = "results/c is not searched for records: it is a link to a folder";
    place.crossrun(&["report", "results"]).code(2).says(words);
    place.crossrun(&["report", "results/c"]).code(0);
}

#[test]
fn a_file_of_a_later_version_is_told_as_such_whatever_else_it_has() {
    let place = Place::new();
    let later = "{\"version\": 2, \"steps\": []}";
    let words = "it has version 2, this crossrun knows 1";
    fs::create_dir_all(place.path().join("results/later")).unwrap();
    fs::write(place.path().join("results/later/plan.json"), later).unwrap();
    place.crossrun(&["compare", "--no-lock", "--resume", "later"]).code(2).says(words);
    place.crossrun(&["backends", "lock"]).code(0);
    fs::write(place.data().join("plugins.lock"), later).unwrap();
    place.crossrun(&["backends", "lock", "--check"]).code(3).says(words);
    place.crossrun(&[&RUN[..], &["--locked"]].concat()).code(3).says(words);
}

#[test]
fn records_that_cannot_be_read_are_a_usage_error_of_every_verb() {
    let place = Place::empty();
    for (text, name) in [("garbage\n", "trials.jsonl"), ("{\"record\":{}}\n", "trials.jsonl")] {
        fs::create_dir_all(place.path().join("r")).unwrap();
        fs::write(place.path().join("r").join(name), text).unwrap();
        for verb in [&["report", "r"][..], &["show", "r"], &["diff", "r", "r"], &["history", "r"]] {
            place.crossrun(verb).code(2).says("cannot be read");
        }
    }
    // What of one file cannot be read is no difference from the other.
    let place = recorded();
    fs::create_dir(place.path().join("bad")).unwrap();
    fs::write(place.path().join("bad/trials.jsonl"), "garbage\n").unwrap();
    for pair in [["results/c", "bad"], ["bad", "results/c"]] {
        place.crossrun(&[&["diff"][..], &pair].concat()).code(2).says("correct or remove");
    }
}

#[test]
fn paths_that_are_no_utf_8_work_or_are_refused_before_a_trial() {
    let place = Place::new();
    let odd = |name: &str| place.path().join(OsStr::from_bytes(&[name.as_bytes(), b"\xe9"].concat()));
    let (output, temporary, plugins, current, data) = (odd("o"), odd("t"), odd("p"), odd("w"), odd("d"));
    for folder in [&temporary, &plugins, &current] {
        fs::create_dir(folder).unwrap();
    }
    for name in ["native_runner", "standard_workloads"] {
        fs::copy(plugin(name), plugins.join(format!("lib{name}.so"))).unwrap();
    }
    let mut command = place.command(&RUN);
    command.arg("--output-dir").arg(&output).env("TMPDIR", &temporary);
    Ran::of(command).code(0);
    assert!(output.join("trials.jsonl").is_file());
    let usual = place.command(&[]);
    let mut command = Command::new(usual.get_program());
    command.args(RUN).arg("--plugin-dir").arg(&plugins).current_dir(&current);
    Ran::of(with_environment_of(&usual, command)).code(0);
    let mut command = place.command(&[&RUN[..], &["--output-dir", "none"]].concat());
    command.env("CROSSRUN_DATA_DIR", &data);
    Ran::of(command).code(2).says("export CROSSRUN_DATA_DIR=DIR, with a path in UTF-8");
    assert!(!place.path().join("none").exists());
}

#[test]
fn blanks_and_letters_beyond_ascii_reach_engines_unharmed() {
    let place = Place::new();
    place.stage(&plugin("python_runner"));
    let folder = place.path().join("a b 'é\" $x");
    fs::create_dir_all(folder.join("t")).unwrap();
    fs::rename(place.plugins(), folder.join("plugins")).unwrap();
    for (backend, locale) in [("native", "C"), ("python", "C"), ("python", "C.UTF-8")] {
        let usual = place.command(&[]);
        let mut command = with_environment_of(&usual, Command::new(usual.get_program()));
        command.args(["run", "--no-lock", "--backend", backend]);
        command.args(["--plugin-dir", "plugins", "--output-dir", "o ö"]);
        command.env("CROSSRUN_DATA_DIR", folder.join("data ß")).env("TMPDIR", folder.join("t"));
        command.env("LC_ALL", locale).current_dir(&folder);
        Ran::of(command).code(0);
    }
}

#[test]
fn a_mount_without_execution_is_named() {
    let Some(()) = may_mount() else { return };
    let place = Place::new();
    fs::create_dir(place.path().join("nx")).unwrap();
    let script = "mount -t tmpfs -o noexec,mode=755 tmpfs nx && cp plugins/*.so nx && \
                  crossrun backends --plugin-dir nx --json; crossrun run --backend native --plugin-dir nx";
    let script = format!("unshare --mount --map-root-user sh -c '{script}'");
    let ran = bash(&place, &script).code(3);
    let rows: serde_json::Value = serde_json::from_str(ran.stdout().lines().next().unwrap()).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 2);
    for row in rows.as_array().unwrap() {
        assert_eq!(row["status"], "rejected");
        assert!(row["reason"].as_str().unwrap().contains("mounted noexec") && row["remedy"].is_string());
    }
    ran.says("mounted noexec");
}

/// As that of an image into which engines were installed, if its container is read-only.
#[test]
fn a_data_folder_that_takes_no_files_needs_none() {
    let Some(()) = may_mount() else { return };
    let place = Place::new();
    place.stage(&plugin("python_runner"));
    fs::create_dir_all(place.data()).unwrap();
    fs::create_dir(place.path().join("t")).unwrap();
    let script = "mount -t tmpfs -o ro,mode=755 tmpfs data && export TMPDIR=$PWD/t && \
                  crossrun run --backend python --no-lock --plugin-dir plugins --allow-untrusted";
    let ran = bash(&place, &format!("unshare --mount --map-root-user sh -c '{script}'")).code(0);
    let ran = ran.says("takes no files");
    assert!(ran.stdout().contains("verified"), "{}", ran.explain());
    let script = script.replace("run --backend python --no-lock", "setup python");
    let ran = bash(&place, &format!("unshare --mount --map-root-user sh -c '{script}'")).code(8);
    ran.says("cannot lock").says("export CROSSRUN_DATA_DIR=DIR");
}

#[test]
fn a_plugin_with_another_file_name_has_a_row_that_says_what_it_must_be_called() {
    let place = Place::empty();
    for name in ["native_runner.so", "libnative_runner.so.1"] {
        place.stage_as(&plugin("native_runner"), name);
    }
    // These are no plugins.
    fs::write(place.plugins().join("other.so"), "text").unwrap();
    fs::write(place.plugins().join("notes.so.txt"), "text").unwrap();
    let rows = place.crossrun(&["backends", "--json"]).code(0).json();
    assert_eq!(rows.as_array().unwrap().len(), 2, "{rows}");
    for row in rows.as_array().unwrap() {
        let told = |key: &str| row[key].as_str().unwrap().to_owned();
        assert_eq!(told("status"), "rejected");
        assert!(told("reason").contains("must be called libnative_runner.so"), "{row}");
    }
    let remedy = rows[0]["remedy"].as_str().unwrap();
    assert!(Command::new("sh").args(["-c", remedy]).status().unwrap().success(), "{remedy}");
    let rows = place.crossrun(&["backends", "--json"]).code(0).json();
    assert!(rows.as_array().unwrap().iter().any(|row| row["status"] == "available"), "{rows}");
}

#[test]
fn no_remedy_moves_a_plugin_over_another_file() {
    let place = Place::empty();
    place.stage_as(&plugin("native_runner"), "libnative_runner.so.1");
    let listed = || place.crossrun(&["backends", "--no-probe", "--json"]).code(0).json();
    // A library with its version in the name, and the link by which it is used.
    let link = place.plugins().join("libnative_runner.so");
    std::os::unix::fs::symlink("libnative_runner.so.1", &link).unwrap();
    let rows = listed();
    assert!(rows.as_array().unwrap().len() == 1 && rows[0]["status"] == "found", "{rows}");
    fs::remove_file(&link).unwrap();
    place.stage_as(&plugin("standard_workloads"), "libnative_runner.so");
    let rows = listed();
    let rejected = rows.as_array().unwrap().iter().find(|row| row["status"] == "rejected").unwrap();
    assert!(!rejected["remedy"].as_str().unwrap().starts_with("mv "), "{rejected}");
}

#[test]
fn what_this_user_may_not_read_has_a_remedy_that_does_not_fail_for_that() {
    let place = Place::new();
    let closed = place.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, Permissions::from_mode(0o000)).unwrap();
    let ask = "ask its owner for the permission to read it";
    for (words, code, remedy) in [
        ("backends inspect closed/x", 3, "ls -ld closed"),
        ("run --backend a=closed/x", 3, "ls -ld closed"),
        ("backends --plugin-dir closed", 2, "ls -ld closed"),
        ("backends --locked=closed/x", 3, ask),
        ("serve closed", 2, "chmod u+rX closed"),
        ("report closed", 2, "chmod u+rX closed"),
    ] {
        let mut command = place.command(&arguments_in(words));
        if !place.give_to_nobody(&mut command) {
            break;
        }
        Ran::of(command).code(code).says(&format!("; try: {remedy}\n"));
    }
    fs::set_permissions(&closed, Permissions::from_mode(0o700)).unwrap();
}
