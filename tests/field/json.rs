//! What programs read: a result or an error is JSON for every verb, whatever the folders are called.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::ffi::OsStrExt as _;
use std::process::Stdio;

use serde_json::Value;

use crate::support::{Place, Ran, plugin, repository};

/// A name that is not UTF-8.
fn odd(place: &Place) -> OsString {
    place.path().join(OsStr::from_bytes(b"odd\xff")).into()
}

/// The path of a file or folder in it.
fn in_odd(place: &Place, name: &str) -> OsString {
    std::path::Path::new(&odd(place)).join(name).into()
}

#[test]
fn every_verb_prints_json_about_paths_that_are_no_utf_8() {
    let place = Place::new();
    let runs = in_odd(&place, "runs");
    fs::create_dir_all(&runs).unwrap();
    let records = repository().join("tests/fixtures/format_1/trials.jsonl");
    fs::copy(records, in_odd(&place, "runs/trials.jsonl")).unwrap();
    let library = in_odd(&place, "libnative_runner.so");
    fs::copy(plugin("native_runner"), &library).unwrap();
    let words = |text: &str, path: OsString| {
        let words: Vec<_> = text.split(' ').map(OsString::from).collect();
        [words, vec![path]].concat()
    };
    let null = "run --no-lock --backend native --workload null --output-dir";
    for (arguments, code) in [
        (words("man", in_odd(&place, "man")), 0),
        (words("backends new mine --dir", in_odd(&place, "backend")), 0),
        (words("workloads new ours --dir", in_odd(&place, "workloads")), 0),
        (words("report", runs.clone()), 0),
        (words("report", in_odd(&place, "none")), 2),
        (words("show", runs.clone()), 0),
        (words("history", in_odd(&place, "none")), 2),
        (words("serve --port 0", in_odd(&place, "none")), 2),
        (words("backends inspect", library.clone()), 0),
        (words("backends lock --output", in_odd(&place, "lock")), 0),
        (words("backends lock --output", "-".into()), 0),
        (words(null, in_odd(&place, "out")), 0),
    ] {
        let mut command = place.command(&["--json"]);
        command.args(&arguments);
        let ran = Ran::of(command).code(code);
        let parsed = ran.stdout().lines().all(|line| serde_json::from_str::<Value>(line).is_ok());
        assert!(parsed && !ran.stdout().is_empty(), "{}", ran.explain());
    }
    let mut command = place.command(&["--json", "serve", "--port", "0"]);
    let mut served = command.arg(&runs).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(served.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    served.kill().unwrap();
    served.wait().unwrap();
    let serving: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
    assert!(serving["folder"].as_str().unwrap().contains("odd"), "{serving}");
}
