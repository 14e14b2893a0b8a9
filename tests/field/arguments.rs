//! Arguments and variables of which one would be lost without a word.

use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::Value;

use crate::field::wrappers::{COMPARE, with_environment_of};
use crate::support::{Place, Ran, arguments_in, eventually, executable, hostile, plugin, send_signal};

#[test]
fn a_key_that_is_given_twice_is_an_error_that_names_both_values() {
    let place = Place::new();
    let twice = ["--extra", "batch_size=10", "--extra", "batch_size=20"];
    for verb in [
        &["run", "--backend", "native", "--workload", "null", "--no-lock"][..],
        &["compare", "--backends", "native", "--workloads", "null", "--items", "10", "--no-lock"],
        &["metg", "--backends", "native", "--no-lock"],
        &["metg", "--backends", "native", "--no-lock", "--pattern", "stencil_1d"],
        &["workloads", "show", "null"],
    ] {
        let ran = place.crossrun(&[verb, &twice].concat()).code(2);
        ran.says("--extra batch_size is given twice: 10 and 20; try: one of the two");
    }
    // Within the value, too: a parser of JSON keeps the last of the two.
    for (option, value) in [
        ("--extra", r#"note={"a":1,"a":2}"#),
        ("--extra", r#"note=[{"b":{"a":null,"a":null}}]"#),
        ("--vary", r#"note={"a":1,"a":2},3"#),
    ] {
        let compare = ["compare", "--backends", "native", "--workloads", "null", "--dry-run", "--json"];
        let ran = place.crossrun(&[&compare[..], &[option, value]].concat()).code(2);
        let message = ran.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(r#"the value of note has the key "a" twice"#), "{message}");
    }
    let mut command = place.command(&["backends"]);
    command.env("CROSSRUN_DEADLINES", "load=1s,probe=2s,load=3s");
    Ran::of(command).code(2).says("CROSSRUN_DEADLINES: load is given twice");
}

#[test]
fn a_tilde_that_no_shell_has_replaced_makes_no_folder_of_that_name() {
    let place = Place::new();
    let run = ["run", "--backend", "native", "--workload", "null", "--items=9", "--no-lock"];
    for (verb, option) in [
        (&run[..], "--output-dir=~/results"),
        (&COMPARE[..], "--output-dir=~"),
        (&["metg"][..], "--output-dir=~/results"),
        (&["backends", "new", "mine"][..], "--dir=~/mine"),
        (&["backends", "lock"][..], "--output=~/locks/plugins.lock"),
    ] {
        place.crossrun(&[verb, &[option]].concat()).code(2).says("./~ is a folder of that name");
    }
    let mut command = place.command(&run);
    command.env("CROSSRUN_DATA_DIR", "~/data");
    Ran::of(command).code(2).says("try: export CROSSRUN_DATA_DIR=\"$HOME\"/data");
    assert!(!place.path().join("~").exists());
    place.crossrun(&[&run[..], &["--output-dir=./~/results"]].concat()).code(0);
}

/// Runs a line in a shell that finds crossrun, and in which no variable is set that a printed command sets.
fn pasted(place: &Place, line: &str) -> Ran {
    let folder = executable().parent().unwrap().display();
    // Not every `sh` has a notation for ends of lines.
    let mut command = Command::new(if line.contains("$'") { "bash" } else { "sh" });
    command.args(["-c", line]).env("PATH", format!("{folder}:/usr/bin:/bin")).current_dir(place.path());
    Ran::of(with_environment_of(&place.command(&[]), command))
}

fn command_of(record: &Value) -> &str {
    record["metadata"]["command"].as_str().unwrap()
}

#[test]
fn a_printed_command_sets_the_variables_that_change_what_is_measured() {
    let place = Place::new();
    let run = ["run", "--backend", "native", "--workload", "null", "--no-lock", "--json"];
    let plain = place.crossrun(&run).code(0).json();
    assert!(command_of(&plain).starts_with("crossrun run "), "{plain}");
    let mut command = place.command(&run);
    command.env("CROSSRUN_DEADLINES", "load=50s, open=3m").env("CROSSRUN_NAMESPACES", "off");
    // Folders that are named come before those of the variable.
    command.env("CROSSRUN_PLUGIN_PATH", place.path());
    let changed = Ran::of(command).code(0).json();
    let start = "env 'CROSSRUN_DEADLINES=load=50s, open=3m' CROSSRUN_NAMESPACES=off crossrun run ";
    assert!(command_of(&changed).starts_with(start), "{changed}");
    let again = pasted(&place, &format!("{} --json", command_of(&changed))).code(0).json();
    assert!(command_of(&again).starts_with(start), "{again}");

    let mut command = with_environment_of(&place.command(&[]), Command::new(executable()));
    command.args(run).env("CROSSRUN_PLUGIN_PATH", place.plugins()).current_dir(place.path());
    let found = Ran::of(command).code(0).json();
    let start = format!("env CROSSRUN_PLUGIN_PATH={} crossrun run ", place.plugins().display());
    assert!(command_of(&found).starts_with(&start), "{found}");
    pasted(&place, command_of(&found)).code(0);
}

#[test]
fn a_comparison_is_repeated_and_resumed_under_the_same_variables() {
    let place = Place::new();
    let compare = "compare --quick --no-lock --backends native --workloads null --items=5 --run-id c";
    let mut command = place.command(&arguments_in(compare));
    command.env("CROSSRUN_NAMESPACES", "off");
    Ran::of(command).code(0);
    let trial = place.records("c", "trials.jsonl").remove(0);
    let full = trial["record"]["metadata"]["full_command"].as_str().unwrap();
    assert!(full.starts_with("env CROSSRUN_NAMESPACES=off crossrun compare "), "{full}");
    let mut again = place.command(&arguments_in(compare));
    again.env("CROSSRUN_NAMESPACES", "off");
    Ran::of(again).code(2).says("try: env CROSSRUN_NAMESPACES=off crossrun compare --resume c");
}

#[test]
fn a_value_of_a_variable_that_would_have_no_effect_is_an_error() {
    let place = Place::new();
    for value in ["0", "OFF", "off\r"] {
        let mut command = place.command(&["backends"]);
        command.env("CROSSRUN_NAMESPACES", value);
        Ran::of(command).code(2).says("is neither on nor off").says("try: unset CROSSRUN_NAMESPACES");
    }
    place.stage(&plugin("python_runner"));
    let run = ["run", "--backend", "python", "--workload", "null", "--no-lock"];
    for (value, why) in [("/x", "/x is not NAME=FOLDER"), ("python=/a:python=/b", "python is given twice")] {
        let mut command = place.command(&run);
        command.env("CROSSRUN_DRIVERS", value);
        Ran::of(command).code(3).says(why);
    }
}

#[test]
fn a_printed_command_names_a_backend_in_a_folder_with_a_comma() {
    let place = Place::new();
    let folder = place.path().join("run,1");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(plugin("native_runner"), folder.join("lib,native.so")).unwrap();
    std::os::unix::fs::symlink(folder.join("lib,native.so"), place.path().join("old.so")).unwrap();
    let compare =
        "compare --quick --no-lock --backends native,old=old.so --workloads null --items=5 --run-id c";
    place.run(compare).code(0);
    let trial = place.records("c", "trials.jsonl").remove(0);
    let full = trial["record"]["metadata"]["full_command"].as_str().unwrap();
    assert!(full.contains("run,1/lib,native.so"), "{full}");
    pasted(&place, &format!("{full} --run-id again")).code(0);
    place.run("compare --no-lock --resume c --backends native,old=run,1/lib,native.so").code(0);
}

#[test]
fn plugins_are_looked_for_where_cargo_has_built_them_and_a_named_folder_that_is_not_there_is_told() {
    let place = Place::new();
    let made = place.crossrun(&["backends", "new", "mine", "--json"]).code(0).json();
    let mut commands = made["commands"].as_array().unwrap().iter().filter_map(Value::as_str);
    let export = commands.find(|command| command.starts_with("export ")).unwrap();
    for (target, folder) in [
        (None, "/target/release"),
        (Some(""), "/target/release"),
        (Some("build"), "/build/release"),
        (Some("/t"), "/t/release"),
    ] {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("{export}; printf %s \"$CROSSRUN_PLUGIN_PATH\"")]);
        shell.current_dir(place.path());
        shell.env_remove("CARGO_TARGET_DIR").envs(target.map(|target| ("CARGO_TARGET_DIR", target)));
        let named = Ran::of(shell).code(0).stdout();
        assert!(named.starts_with('/') && named.ends_with(folder), "{named}");
    }

    let missing = place.path().join("target/release");
    let mut command = with_environment_of(&place.command(&[]), Command::new(executable()));
    command.args(["run", "--backend", "mine"]).current_dir(place.path());
    command.env("CROSSRUN_PLUGIN_PATH", std::env::join_paths([&place.plugins(), &missing]).unwrap());
    let ran = Ran::of(command).code(3).says("there is no backend \"mine\"");
    ran.says(&format!("; {}, of CROSSRUN_PLUGIN_PATH, is not there)", missing.display()));
}

#[test]
fn remedies_with_odd_paths_can_be_pasted() {
    let place = Place::new();
    let at = |name: &str| place.path().join(name);
    for (text, words) in [("", "try: rm ./-x/plan.json"), ("{", "try: crossrun report ./-x")] {
        std::fs::create_dir_all(at("-x")).unwrap();
        std::fs::write(at("-x/plan.json"), text).unwrap();
        place.run("compare --no-lock --resume c --output-dir=-x").code(2).says(words);
    }
    place.crossrun(&["backends", "new", "mine", "--dir=-m"]).code(0);
    assert!(at("-m/README.md").is_file());
    let printed = place.crossrun(&["workloads", "new", "ours", "--dir=-o"]).code(0).stdout();
    assert!(printed.contains("  cd ./-o\n"), "{printed}");

    // The shell would empty a file that is there, and perhaps the one that is read.
    for (name, target) in [("-r.jsonl", "records.jsonl"), ("records.jsonl", "records-1.jsonl")] {
        std::fs::write(at(name), b"\x1f\x8b\x08\0").unwrap();
        let mut report = place.command(&["report"]);
        report.args(["--", name]);
        let ran = Ran::of(report).code(2);
        let path = name.replacen("-r", "./-r", 1);
        ran.says(&format!("try: gunzip -c {path} > {target}"));
    }

    place.run("run --no-lock --backend native --workload null --items 5").code(0);
    std::fs::copy(at("results/null/unified_results.jsonl"), at("-u.jsonl")).unwrap();
    let mut show = place.command(&["show"]);
    show.args(["--", "-u.jsonl"]);
    Ran::of(show).code(2).says("try: crossrun report ./-u.jsonl\n");
    pasted(&place, "crossrun report ./-u.jsonl").code(0);
    remedies_name_the_runs_that_were_named(&place);

    let sweep = ["metg", "--blocks", "9", "--no-lock", "--backends", "native", "--output-dir", "a b"];
    let mut command = place.command(&sweep);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Before there is a measured trial, there is nothing to report.
    let has_measured = |text: String| text.contains("\"kind\":\"measured\"");
    let recorded = || std::fs::read_to_string(at("a b/trials.jsonl")).is_ok_and(has_measured);
    eventually("the sweep has begun", recorded);
    send_signal(child.id(), Signal::INT).unwrap();
    Ran::ended(child).code(130).says("try: crossrun report 'a b'\n");
    place.crossrun(&["history", "a b"]).code(2).says("try: crossrun report 'a b'\n");
    pasted(&place, "crossrun report 'a b'").code(0);
}

/// After a run that is recorded in `results/null`.
fn remedies_name_the_runs_that_were_named(place: &Place) {
    std::fs::create_dir(place.path().join("o d")).unwrap();
    let trials = |folder: &str| place.path().join(folder).join("trials.jsonl");
    std::fs::copy(trials("results/null"), trials("o d")).unwrap();
    place.run("run --no-lock --backend native --workload pipeline --items 5 --output-dir new").code(0);
    for (words, code, remedy) in [
        (&["show", "o d", "99"][..], 2, "crossrun show 'o d'"),
        (&["diff", "o d", "new"], 6, "crossrun show 'o d'"),
        // Of the commands that read runs, only `show` looks for an id.
        (&["report", "null"], 2, "crossrun report results/null"),
        (&["diff", "null", "o d"], 2, "crossrun diff results/null 'o d'"),
        (&["history", "o d", "null"], 2, "crossrun history 'o d' results/null"),
    ] {
        place.crossrun(words).code(code).says(&format!("; try: {remedy}\n"));
        pasted(place, remedy).code(0);
    }
    place.crossrun(&["serve", "null"]).code(2).says("; try: crossrun serve results/null\n");
    let told = place.crossrun(&["compare", "--resume", "results/null"]).code(2);
    told.says("give the id alone: --resume null\n");
    // What has no such id is looked for where it was named.
    place.crossrun(&["report", "nosuch"]).code(2).says("; try: ls .\n");
    std::fs::rename(place.path().join("results"), place.path().join("elsewhere")).unwrap();
    place.crossrun(&["show", "nosuch"]).code(2).says("; try: ls .\n");
}

#[test]
fn the_id_of_a_single_run_leads_to_the_folder_that_it_shares_with_others() {
    let place = Place::new();
    let run = "run --no-lock --backend native --workload word_count --items 50 --run-id";
    for id in ["monday", "20260221"] {
        place.run(&format!("{run} {id}")).code(0);
    }
    for (words, told, remedy) in [
        ("show monday", "monday", "crossrun show results/word_count 1"),
        ("show 20260221 1", "20260221", "crossrun show results/word_count 2"),
        ("report 20260221", "20260221", "crossrun report results/word_count"),
        ("history monday", "monday", "crossrun history results/word_count"),
    ] {
        let ran = place.run(words).code(2);
        ran.says(&format!("{told} is a run in results/word_count, not a folder; try: {remedy}\n"));
        pasted(&place, remedy).code(0);
    }
    place.run("serve monday").code(2).says("monday is a run in results/word_count, not a folder; try: ");
    // A remedy that keeps such an id would be refused in turn.
    std::fs::create_dir(place.path().join("results/tuesday")).unwrap();
    place.run("report monday tuesday").code(2).says("monday is a run in results/word_count");
    // A comparison of the folder with itself would say nothing.
    place.run("diff monday 20260221").code(2).says("; try: runs in folders of their own, ");
    place.run("show nosuch").code(2).says("there is no run \"nosuch\"").says("; try: ls results\n");
}

#[test]
fn a_printed_command_keeps_the_end_of_a_line_at_the_end_of_a_path() {
    let place = Place::new();
    let compare = [&COMPARE[..], &["--output-dir", "end\n"]].concat();
    place.crossrun(&compare).code(0);
    let told = place.crossrun(&compare).code(2).says(r"--output-dir $'end\012'").stderr();
    let (_, remedy) = told.trim_end().rsplit_once("; try: ").unwrap();
    let (command, _) = remedy.split_once(", or another").unwrap();
    pasted(&place, command).code(0);
    assert!(place.path().join("end\n/trials.jsonl").is_file() && !place.path().join("end").exists());
}

#[test]
fn a_path_with_the_end_of_a_line_adds_no_line_to_what_is_printed() {
    for (words, line) in [
        (
            arguments_in("run --no-lock --backend native --workload null --items 9 --output-dir"),
            r"recorded in a\nb as ",
        ),
        (arguments_in("backends new mine --dir"), r"created a\nb; its README"),
        (arguments_in("man"), r"wrote a\nb/crossrun.1 and"),
        (arguments_in("backends lock --output"), r" locked in a\nb"),
    ] {
        let printed = Place::new().crossrun(&[&words[..], &["a\nb"]].concat()).code(0).stdout();
        assert!(printed.contains(line), "{words:?}: {printed}");
    }
}

#[test]
fn a_name_that_is_spelled_alike_is_given_as_the_command_takes_it() {
    let place = Place::new();
    for (words, remedy) in [
        (&["run", "--backend", "natvie"][..], "--backend native"),
        (&["run", "--backend", "native", "--workload", "pipelin"], "--workload pipeline"),
        (&["compare", "--backends", "natvie"], "native in --backends"),
        (&["compare", "--backends", "native", "--workloads", "null,pipelin"], "pipeline in --workloads"),
        (&["metg", "--backends", "natvie"], "native in --backends"),
        (&["metg", "--backends", "native", "--workload", "task_grap"], "--workload task_graph"),
        (&["setup", "natvie"], "crossrun setup native"),
        (
            &["backends", "check", "natvie", "--include", "run"],
            "crossrun backends check native --include run",
        ),
        (&["backends", "check", "standard_workload"], "crossrun backends check standard_workloads"),
        (&["backends", "inspect", "natvie", "--hash"], "crossrun backends inspect native --hash"),
        (&["workloads", "pipelin"], "crossrun workloads pipeline"),
        (&["workloads", "show", "pipelin"], "crossrun workloads show pipeline"),
    ] {
        let ran = place.crossrun(words).code(3);
        let folders = format!(" --plugin-dir {}", place.plugins().display());
        let folders = if remedy.starts_with("crossrun ") { folders } else { String::new() };
        ran.says(&format!("; try: {remedy}{folders}\n"));
    }
}

#[test]
fn a_baseline_a_file_and_a_list_in_the_wrong_place_are_answered_with_what_may_be_meant() {
    let place = Place::new();
    let native = place.plugins().join("libnative_runner.so");
    let compare = ["compare", "--dry-run", "--workloads", "null", "--backends"];
    let backends = format!("native,old={}", native.display());
    let listing = format!("crossrun backends --plugin-dir {}", place.plugins().display());
    let (only_old, bare) = (&backends["native,".len()..], &compare[..compare.len() - 1]);
    for (backends, baseline, remedy) in [
        (&["--backends", &backends][..], "natvie", "--baseline native"),
        (&["--backends", only_old], "native", "--backends with native among its names"),
        (&["--backends", &backends], "spark", &listing),
        (&[], "spark", &listing),
    ] {
        let told = place.crossrun(&[bare, backends, &["--baseline", baseline]].concat()).code(2);
        told.says(&format!("--baseline {baseline} does not take part; try: {remedy}\n"));
    }
    for verb in [bare, &["report", "results"]] {
        let told = place.crossrun(&[verb, &["--baseline", ""]].concat()).code(2);
        told.says("a value is required for '--baseline <NAME>'");
    }
    // The second name in an A/A comparison is that of no backend that can be named.
    for aa in [&["--aa"][..], &[]] {
        let more = [&compare[..], &["native", "--baseline", "native-again"], aa].concat();
        let told = place.crossrun(&more).code(2);
        told.says("--baseline native-again does not take part; try: --baseline native\n");
    }
    place.run("run --no-lock --backend native --workload null").code(0);
    place.run("report results/null --baseline NATVIE").code(2).says("; try: --baseline native\n");

    let run = |backend: &str| place.crossrun(&["run", "--backend", backend]).code(3);
    let meant = format!("what follows = in a=native is a file; try: a={}\n", native.display());
    run("A=native").says(&meant);
    place.crossrun(&[&compare[..], &["a=native,old"]].concat()).code(3).says(&meant);
    let library = format!("a={}", place.plugins().join("libstandard_workloads.so").display());
    let told = run(&library).says("is a library of workloads, not a backend");
    told.says("; try: crossrun backends --no-probe --plugin-dir ");
    run("a=/no.so").says("what follows = in a=/no.so is a file; try: ls /\n");

    let folder = place.plugins().display().to_string();
    let remedy = format!("; try: crossrun compare --backends native,old --plugin-dir {folder}\n");
    run("native,old").says(&remedy);
}

#[test]
fn an_option_that_is_refused_has_another_in_its_place() {
    let place = Place::new();
    place.run("run --no-lock --backend native --workload null").code(0);
    let graphs = "metg --backends native --cores 1 --pattern fft";
    for (words, remedy) in [
        (format!("{graphs} --vary pattern=trivial,fft"), "--pattern trivial,fft"),
        (format!("{graphs} --vary output_bytes=64,128"), "--output-bytes 64,128"),
        (format!("{graphs} --vary items=100"), "--steps COUNT"),
        (format!("{graphs} --vary iters=8"), "leave --vary iters out"),
        (format!("{graphs} --extra radix=2"), "--radix 2"),
        ("metg --extra iters=5".to_owned(), "leave --extra iters out"),
        ("report results/null --baseline timely".to_owned(), "--baseline native"),
        ("backends lock --check --output -".to_owned(), "--output FILE, or leave --output out"),
    ] {
        place.run(&words).code(2).says(&format!("; try: {remedy}\n"));
    }
    for words in ["backends lock --locked", "backends lock --locked=my.lock"] {
        let told = place.run(words).code(2).stderr();
        let (_, remedy) = told.trim_end().rsplit_once("; try: ").unwrap();
        pasted(&place, remedy).code(0);
    }
    assert!(place.path().join("my.lock").is_file() && place.data().join("plugins.lock").is_file());
}

#[test]
fn the_command_that_sets_a_backend_up_finds_it_where_it_was_found() {
    let place = Place::with_misbehaving();
    for verb in [&["run", "--backend", "misbehaving"][..], &["compare", "--backends", "misbehaving"]] {
        let mut command = place.command(verb);
        command.env("CROSSRUN_TEST_PROBE", "not_set_up");
        let told = Ran::of(command).code(3).stderr();
        let (_, remedy) = told.trim_end().rsplit_once("; try: ").unwrap();
        assert!(remedy.starts_with("crossrun setup misbehaving --plugin-dir "), "{told}");
        pasted(&place, remedy).code(0);
        // Now it is set up.
        pasted(&place, &format!("{remedy} --remove")).code(0);
    }
    // One that is named by its file is in no folder of plugins.
    let place = Place::new();
    let file = format!("mine={}", hostile("misbehaving_runner").display());
    for verb in [
        &["run", "--no-lock", "--workload", "null", "--backend", &file][..],
        &["compare", "--dry-run", "--workloads", "null", "--backends", &file],
    ] {
        let at = |more: &[&str]| {
            let mut command = place.command(&[verb, more].concat());
            command.env("CROSSRUN_TEST_PROBE", "not_set_up");
            Ran::of(command)
        };
        at(&[]).code(3).says("; try: --setup\n");
        at(&["--setup"]).code(0);
        std::fs::remove_dir_all(place.data()).unwrap();
    }
}

#[test]
fn a_comparison_whose_trials_are_gone_does_not_get_them_twice_into_its_other_file() {
    let place = Place::new();
    place.crossrun(&COMPARE).code(0);
    let folder = place.path().join("results/c");
    let before = place.records("c", "unified_results.jsonl");
    std::fs::remove_file(folder.join("trials.jsonl")).unwrap();
    let ran = place.crossrun(&["compare", "--no-lock", "--resume", "c"]).code(2);
    let why = "results/c has unified_results.jsonl, but trials.jsonl lacks 3 trials of which it is made";
    let told = ran.says(why).stderr();
    assert_eq!(place.records("c", "unified_results.jsonl"), before);
    // What was measured is still reported, also beside a file without trials.
    assert!(!folder.join("trials.jsonl").exists());
    std::fs::write(folder.join("trials.jsonl"), "").unwrap();
    assert!(place.crossrun(&["report", "results/c"]).code(0).stdout().contains("native"));
    let (_, remedy) = told.trim_end().rsplit_once("; try: ").unwrap();
    pasted(&place, remedy).code(0);
    assert_eq!(place.records("c", "unified_results-1.jsonl"), before);
    assert_eq!(place.records("c", "unified_results.jsonl").len(), before.len());
}

#[test]
fn a_comparison_that_lacks_a_part_of_its_trials_does_not_get_them_twice_into_its_other_file() {
    let place = Place::new();
    let folder = place.path().join("results/c");
    for is_damaged in [false, true] {
        let _ = std::fs::remove_dir_all(&folder);
        place.crossrun(&COMPARE).code(0);
        let before = place.records("c", "unified_results.jsonl");
        let trials = std::fs::read_to_string(folder.join("trials.jsonl")).unwrap();
        let (others, last) = trials.trim_end().rsplit_once('\n').unwrap();
        let rest = if is_damaged { format!("{others}\n#{last}\n") } else { format!("{others}\n") };
        std::fs::write(folder.join("trials.jsonl"), rest).unwrap();
        let ran = place.crossrun(&["compare", "--no-lock", "--resume", "c"]).code(2);
        let told = ran.says("but trials.jsonl lacks 1 trial of which it is made").stderr();
        assert_eq!(place.records("c", "unified_results.jsonl"), before);
        let (_, remedy) = told.trim_end().rsplit_once("; try: ").unwrap();
        pasted(&place, remedy).code(0);
        assert_eq!(place.records("c", "unified_results-1.jsonl"), before);
        assert_eq!(place.records("c", "unified_results.jsonl").len(), before.len());
    }
}

#[test]
fn a_run_is_resumed_under_the_variables_with_which_it_began() {
    let place = Place::new();
    let compare = ["compare", "--quick", "--no-lock", "--backends", "native", "--workloads", "null"];
    for (run, begun, now, told) in [
        ("a", Some("off"), None, "env CROSSRUN_NAMESPACES=off crossrun compare --resume a --no-lock"),
        ("b", None, Some("off"), "env -u CROSSRUN_NAMESPACES crossrun compare --resume b --no-lock"),
        ("c", Some("off"), Some("on"), "env CROSSRUN_NAMESPACES=off crossrun compare --resume c --no-lock"),
    ] {
        let at = |value: Option<&str>, words: &[&str]| {
            let mut command = place.command(words);
            command.envs(value.map(|value| ("CROSSRUN_NAMESPACES", value)));
            Ran::of(command)
        };
        let begin = ["--items", "5", "--run-id", run, "--time-budget", "1ns"];
        at(begun, &[&compare[..], &begin].concat()).code(0);
        let before = place.records(run, "trials.jsonl");
        let ran = at(now, &["compare", "--resume", run]).code(2);
        let ran = ran.says("was started with another CROSSRUN_NAMESPACES");
        ran.says(&format!("; try: {told}\n"));
        assert_eq!(place.records(run, "trials.jsonl"), before);
        pasted(&place, told).code(0);
        assert!(place.records(run, "trials.jsonl").len() > before.len());
    }
    // Values that change nothing of a measurement.
    let begin = ["--items", "5", "--run-id", "d", "--time-budget", "1ns"];
    let mut command = place.command(&[&compare[..], &begin].concat());
    command.env("CROSSRUN_DEADLINES", "load=120s");
    Ran::of(command).code(0);
    let mut command = place.command(&["compare", "--no-lock", "--resume", "d"]);
    command.env("CROSSRUN_DEADLINES", "load=2m, reader=50s").env("CROSSRUN_NAMESPACES", "on");
    Ran::of(command).code(0);
}
