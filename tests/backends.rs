//! `crossrun backends`: a sorted listing with a row for each library that was found, and which one shadows another.

use std::path::Path;

use serde_json::Value;

use crate::support::{Place, Ran, executable, hostile, plugin, without_settings};

fn rows(place: &Place) -> Vec<Value> {
    place.crossrun(&["backends", "--json"]).code(0).json().as_array().unwrap().clone()
}

fn row<'a>(rows: &'a [Value], file: &Path) -> &'a Value {
    let path = file.to_str().unwrap();
    rows.iter().find(|row| row["path"] == path).unwrap_or_else(|| panic!("no row of {path} in {rows:#?}"))
}

#[test]
fn every_row_has_name_status_version_path_reason_and_remedy() {
    let place = Place::new();
    let rows = rows(&place);
    let names: Vec<_> = rows.iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["native", "standard_workloads"]);
    for row in rows {
        assert_eq!(row["status"], "available");
        assert_eq!(row["version"], env!("CARGO_PKG_VERSION"));
        assert!(Path::new(row["path"].as_str().unwrap()).is_file());
        for key in ["reason", "remedy"] {
            assert_eq!(row.get(key), Some(&Value::Null), "{row}");
        }
        assert_eq!(row["build"]["target"].as_str().unwrap().split('-').next(), Some(std::env::consts::ARCH));
    }
}

#[test]
fn an_empty_folder_lists_nothing() {
    let place = Place::empty();
    assert!(rows(&place).is_empty());
    assert!(place.crossrun(&["backends"]).code(0).stdout().starts_with("no library was found in"));
}

#[test]
fn a_named_folder_that_does_not_exist_is_an_error() {
    let place = Place::empty();
    std::fs::remove_dir(place.plugins()).unwrap();
    place.crossrun(&["backends"]).code(2).says("there is no such folder");
}

#[test]
fn the_same_file_twice_is_one_plugin() {
    let place = Place::new();
    let copy = place.stage_as(&plugin("native_runner"), "libzz_copy.so");
    let rows = rows(&place);
    assert_eq!(row(&rows, &copy)["status"], "shadowed");
    assert!(row(&rows, &copy)["reason"].as_str().unwrap().contains("the same file"));
    place.crossrun(&["run", "--backend", "native", "--workload", "null"]).code(0);
}

#[test]
fn two_different_files_of_one_name_in_one_folder_are_an_error_that_names_both() {
    let place = Place::with_misbehaving();
    let first = place.plugins().join("libmisbehaving_runner.so");
    // Bytes at the end of a library make it another file, and change nothing else.
    let mut bytes = std::fs::read(hostile("misbehaving_runner")).unwrap();
    bytes.push(0);
    let second = place.plugins().join("libother.so");
    std::fs::write(&second, bytes).unwrap();
    let rows = rows(&place);
    for (file, other) in [(&first, &second), (&second, &first)] {
        let row = row(&rows, file);
        assert_eq!(row["status"], "rejected");
        assert!(row["reason"].as_str().unwrap().contains(other.to_str().unwrap()), "{row}");
    }
    let run = ["run", "--backend", "misbehaving", "--workload", "null"];
    let ran = place.crossrun(&run).code(3).says(first.to_str().unwrap()).says(second.to_str().unwrap());
    assert!(ran.stderr().contains("two files claim"), "{}", ran.explain());
}

#[test]
fn two_libraries_of_one_name_run_none_of_their_workloads() {
    let place = Place::new();
    let first = place.plugins().join("libstandard_workloads.so");
    let bytes = [std::fs::read(&first).unwrap(), vec![0]].concat();
    // By its name it comes first.
    let older = place.plugins().join("libstandard_workloads-old.so");
    std::fs::write(&older, bytes).unwrap();
    assert_eq!(row(&rows(&place), &first)["status"], "rejected");
    let run = ["run", "--backend", "native", "--workload", "null"];
    let ran = place.crossrun(&run).code(3).says(first.to_str().unwrap()).says(older.to_str().unwrap());
    assert!(ran.stderr().contains("two files claim"), "{}", ran.explain());
    assert!(!place.path().join("results").exists());
}

#[test]
fn an_earlier_folder_shadows_a_later_one() {
    let place = Place::with_misbehaving();
    let later = place.path().join("later");
    std::fs::create_dir(&later).unwrap();
    let mut bytes = std::fs::read(hostile("misbehaving_runner")).unwrap();
    bytes.push(0);
    let shadowed = later.join("libmisbehaving_runner.so");
    std::fs::write(&shadowed, bytes).unwrap();
    let mut command = place.command(&["backends", "--json"]);
    command.arg("--plugin-dir").arg(&later);
    let rows = Ran::of(command).code(0).json().as_array().unwrap().clone();
    assert_eq!(row(&rows, &shadowed)["status"], "shadowed");
    assert_eq!(row(&rows, &place.plugins().join("libmisbehaving_runner.so"))["status"], "available");
}

/// Who has built a backend anew would get the figures of the old one.
#[test]
fn a_rejected_file_does_not_give_way_to_a_later_folder_without_a_word() {
    let place = Place::with_misbehaving();
    let later = place.path().join("later");
    std::fs::create_dir(&later).unwrap();
    let name = "libmisbehaving_runner.so";
    std::fs::rename(place.plugins().join(name), later.join(name)).unwrap();
    std::fs::write(place.plugins().join(name), "cut").unwrap();
    let mut command = place.command(&["run", "--backend", "misbehaving", "--no-lock"]);
    command.arg("--plugin-dir").arg(&later);
    let warning = format!("is rejected, and {} takes its place: ", later.join(name).display());
    Ran::of(command).code(0).says(&warning);
}

#[test]
fn an_unavailable_backend_is_listed_with_reason_and_remedy() {
    let place = Place::with_misbehaving();
    let mut command = place.command(&["backends", "--json"]);
    command.env("CROSSRUN_TEST_PROBE", "unavailable");
    let rows = Ran::of(command).code(0).json();
    let row = &rows[0];
    assert_eq!((row["name"].as_str(), row["status"].as_str()), (Some("misbehaving"), Some("unavailable")));
    assert_eq!(row["reason"], "it is not in the mood");
    let remedy = format!("crossrun setup misbehaving --plugin-dir {}", place.plugins().display());
    assert_eq!(row["remedy"], remedy);
}

#[test]
fn a_folder_of_the_environment_is_searched_before_the_usual_ones() {
    let place = Place::with_misbehaving();
    let mut command = std::process::Command::new(executable());
    without_settings(&mut command);
    command.args(["backends", "--json"]).env("CROSSRUN_PLUGIN_PATH", place.plugins());
    command.env("CROSSRUN_DATA_DIR", place.data());
    let rows = Ran::of(command).code(0).json();
    let path = place.plugins().join("libmisbehaving_runner.so");
    assert_eq!(row(rows.as_array().unwrap(), &path)["status"], "available");
}

#[test]
fn setup_is_idempotent_and_can_be_undone() {
    let place = Place::with_misbehaving();
    let installed = place.data().join("misbehaving.installed");
    for _ in 0..2 {
        let rows = place.crossrun(&["setup", "misbehaving", "--json"]).code(0).json();
        assert_eq!(rows[0]["setup"], "done");
        assert!(installed.exists());
    }
    place.crossrun(&["setup", "misbehaving", "--remove"]).code(0);
    assert!(!installed.exists());
    place.crossrun(&["setup", "nosuch"]).code(3);
    place
        .crossrun(&["setup", "misbehavin", "--remove"])
        .code(3)
        .says("try: crossrun setup misbehaving --remove --plugin-dir ");
}

#[test]
fn setup_of_several_says_once_why_one_of_them_failed() {
    let place = Place::with_misbehaving();
    let ran = place.crossrun(&["setup", "nosuch", "misbehaving"]).code(3);
    let said = ran.stderr();
    assert_eq!(said.matches("there is no backend \"nosuch\"").count(), 1, "{said}");
    assert!(
        said.contains("misbehaving: set-up done") && said.contains("error: not set up: nosuch"),
        "{said}"
    );
    assert!(place.data().join("misbehaving.installed").exists());
    // Commas separate names, too.
    let ran = place.crossrun(&["setup", "nosuch,misbehaving", "--json"]).code(3);
    let printed = ran.stdout();
    let lines: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [done, failed] = &lines[..] else { panic!("{printed}") };
    assert_eq!((done[0]["backend"].as_str(), done[0]["setup"].as_str()), (Some("misbehaving"), Some("done")));
    let message = failed["error"]["message"].to_string();
    assert!(message.contains("not set up: nosuch: there is no backend"), "{message}");
    // Nothing was done.
    let error = place.crossrun(&["setup", "nosuch,none", "--json"]).code(3).json();
    assert_eq!(error["error"]["exit_code"], 3);
    for words in [&["setup", "misbehaving", "nosuch", "--json"][..], &["setup", "nosuch,none", "--json"]] {
        let printed = place.crossrun(words).code(3).stdout();
        let error: Value = serde_json::from_str(printed.lines().last().unwrap()).unwrap();
        let remedy = error["error"]["remedy"].as_str().unwrap();
        assert!(remedy.starts_with("crossrun backends"), "{error}");
    }
}

#[test]
fn the_catalogue_has_parameters_defaults_and_plans() {
    let place = Place::new();
    let all = place.crossrun(&["workloads", "--json"]).code(0).json();
    let names: Vec<_> = all.as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap()).collect();
    for name in ["imbalance", "null", "open_loop", "pipeline", "scheduler_comparison", "word_count"] {
        assert!(names.contains(&name), "{name} is not among {names:?}");
    }
    assert!(names.is_sorted(), "{names:?}");
    let one = place.crossrun(&["workloads", "pipeline", "--json"]).code(0).json();
    assert_eq!(one["parameters"][0]["name"], "stages");
    assert_eq!(one["parameters"][0]["default"], 3);
    assert_eq!(one["plan"]["stages"][0]["kind"], "source");
    let text = place.crossrun(&["workloads", "word_count"]).code(0).stdout();
    assert!(text.contains("(keyed_reduce)") && text.contains("skew=1.2"), "{text}");
}

#[test]
fn completions_are_generated_for_every_shell() {
    let place = Place::empty();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(place.crossrun(&["completions", shell]).code(0).stdout().contains("crossrun"));
    }
}
