//! `crossrun setup` installs an engine whole or not at all. If it cannot, it prints one line that says what to do.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::support::{
    Place, Ran, eventually, hostile, plugin, processes_of_sessions_of, repository, send_signal, shell_code,
};

const SETUP: [&str; 2] = ["setup", "provisioned"];
const RUN: [&str; 5] = ["run", "--backend", "provisioned", "--workload", "word_count"];

fn place() -> Place {
    let place = Place::empty();
    place.stage(&plugin("standard_workloads"));
    place.stage(&hostile("provisioned_runner"));
    place
}

/// The folder of the fixtures' wheels, by a path in which the clone has no part: pip takes a blank in it for the end of a path.
pub(crate) fn wheels(place: &Place) -> PathBuf {
    let link = place.path().join("fixtures");
    // Whoever is the first makes it.
    let _ = std::os::unix::fs::symlink(repository().join("tests/fixtures/wheels"), &link);
    link
}

/// crossrun with the fixtures' wheels for an index, and no network.
fn command(place: &Place, arguments: &[&str]) -> Command {
    with_wheels_in(place, arguments, &wheels(place))
}

fn with_wheels_in(place: &Place, arguments: &[&str], wheels: &Path) -> Command {
    let mut command = place.command(arguments);
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("PIP_") || name.starts_with("UV_") {
            command.env_remove(name);
        }
    }
    command.env("PIP_CONFIG_FILE", "/dev/null").env("PIP_NO_INDEX", "1").env("PIP_FIND_LINKS", wheels);
    command
}

fn crossrun(place: &Place, arguments: &[&str]) -> Ran {
    Ran::of(command(place, arguments))
}

/// The folders of all environments, complete or not.
fn environments(place: &Place) -> Vec<PathBuf> {
    let folder = place.data().join("environments/provisioned");
    std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn site_packages(place: &Place) -> PathBuf {
    let lib = environments(place)[0].join("lib");
    let python = std::fs::read_dir(lib).unwrap().flatten().next().unwrap().path();
    python.join("site-packages")
}

/// A program in place of an interpreter: it claims to be Python 3.`minor`, and runs `script` when it is called for anything
/// else.
fn fake_python(place: &Place, minor: u8, script: &str) -> String {
    let path = place.path().join("fake_python");
    let answer = format!("[ \"$3\" = -c ] && echo '[[3, {minor}, 0], \"{}\"]' && exit", path.display());
    // Another process writes it: a file that this process has open for writing could not be executed.
    let write = "printf '#!/bin/sh\\n%s\\n' \"$1\" > \"$0\" && chmod 755 \"$0\"";
    let text = format!("{answer}\nfolder=\"$5\"\n{script}");
    assert!(Command::new("sh").args(["-c", write]).arg(&path).arg(text).status().unwrap().success());
    path.to_str().unwrap().to_owned()
}

/// Asserts one line of error, with a command to paste.
fn one_line(ran: &Ran) {
    let said = ran.stderr();
    let errors: Vec<&str> = said.lines().filter(|line| line.starts_with("error:")).collect();
    assert_eq!(errors.len(), 1, "{}", ran.explain());
    assert!(errors[0].contains("; try: "), "{}", ran.explain());
}

#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn an_engine_is_installed_used_repaired_and_removed() {
    let place = place();
    let missing =
        crossrun(&place, &RUN).code(3).says("provisioned is not set up; try: crossrun setup provisioned");
    one_line(&missing);

    crossrun(&place, &SETUP).code(0);
    let record = crossrun(&place, &[&RUN, ["--json"].as_slice()].concat()).verified();
    assert_eq!(record["metadata"]["versions"]["tiny_engine"], "1.0");

    let before = environments(&place);
    let mut again = with_wheels_in(&place, &SETUP, Path::new("/nowhere"));
    again.env("PATH", "");
    Ran::of(again).code(0);
    assert_eq!(environments(&place), before);

    std::fs::remove_dir_all(site_packages(&place).join("tiny_engine")).unwrap();
    one_line(&crossrun(&place, &RUN).code(3).says("is damaged").says("tiny_engine is gone"));
    crossrun(&place, &SETUP).code(0);
    crossrun(&place, &RUN).code(0);

    crossrun(&place, &["setup", "provisioned", "--remove"]).code(0);
    assert!(environments(&place).is_empty());
    crossrun(&place, &["setup", "provisioned", "--remove"]).code(0);
    crossrun(&place, &RUN).code(3).says("is not set up");
}

#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn two_concurrent_set_ups_make_one_environment() {
    let place = place();
    let start = || command(&place, &SETUP).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let children = [start(), start()];
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(environments(&place).len(), 1);
    crossrun(&place, &RUN).code(0);
}

#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn the_environment_of_a_killed_set_up_is_never_used_and_the_next_set_up_deletes_it() {
    let place = place();
    let python = fake_python(&place, 11, "mkdir -p \"$folder/bin\"\ntouch \"$folder/bin/python\"\nsleep 600");
    let mut child = command(&place, &["setup", "provisioned", "--python", &python]).spawn().unwrap();
    eventually("half an environment is there", || {
        environments(&place).first().is_some_and(|folder| folder.join("bin/python").exists())
    });
    let half = environments(&place).remove(0);
    child.kill().unwrap();
    child.wait().unwrap();
    eventually("nothing of the set-up runs", || processes_of_sessions_of(child.id()).is_empty());
    crossrun(&place, &RUN).code(3).says("provisioned is not set up");
    crossrun(&place, &SETUP).code(0);
    assert!(!half.exists());
    assert_eq!(environments(&place).len(), 1);
    crossrun(&place, &RUN).code(0);
}

#[test]
fn an_interrupted_set_up_leaves_nothing() {
    let place = place();
    let python = fake_python(&place, 11, "mkdir -p \"$folder/bin\"\nsleep 600");
    let mut child = command(&place, &["setup", "provisioned", "--python", &python]).spawn().unwrap();
    eventually("half an environment is there", || !environments(&place).is_empty());
    send_signal(child.id(), Signal::INT).unwrap();
    assert_eq!(shell_code(child.wait().unwrap()), Some(130));
    eventually("nothing of the set-up runs", || processes_of_sessions_of(child.id()).is_empty());
    assert!(environments(&place).is_empty());
}

#[test]
fn a_python_of_an_unsupported_version_is_refused_before_anything_is_made() {
    let place = place();
    let python = fake_python(&place, 8, "exit 1");
    let ran = crossrun(&place, &["setup", "provisioned", "--python", &python]).code(8);
    one_line(&ran.says("is Python 3.8.0, but 3.9 to 3.14 is needed"));
    let none = place.path().join("none");
    let ran = crossrun(&place, &["setup", "provisioned", "--python", none.to_str().unwrap()]).code(8);
    one_line(&ran.says("is not a Python that works"));
    assert!(environments(&place).is_empty());
}

#[test]
fn a_missing_python_is_reported() {
    let place = place();
    let mut setup = command(&place, &SETUP);
    setup.env("PATH", place.path());
    one_line(&Ran::of(setup).code(8).says("no Python 3.9 to 3.14 is on the PATH"));
}

#[test]
fn a_python_without_venv_is_reported() {
    let place = place();
    let python = fake_python(&place, 11, "echo \"$0: No module named venv\" >&2; exit 1");
    let ran = crossrun(&place, &["setup", "provisioned", "--python", &python]).code(8);
    one_line(&ran.says("has no module venv"));
}

#[test]
fn a_killed_installer_is_reported_with_its_signal() {
    let place = place();
    let python = fake_python(&place, 11, "kill -9 $$");
    let ran = crossrun(&place, &["setup", "provisioned", "--python", &python]).code(8);
    one_line(&ran.says("the installer was killed by signal 9 (SIGKILL)"));
    assert!(environments(&place).is_empty());
}

#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn without_a_package_index_nothing_is_left_behind() {
    let place = place();
    let empty = place.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let ran = Ran::of(with_wheels_in(&place, &SETUP, &empty)).code(8);
    one_line(&ran.says("no package index could be reached").says("tiny-engine==1.0"));
    assert!(environments(&place).is_empty());
}

#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn a_package_with_another_hash_is_refused() {
    let place = place();
    let forged = place.path().join("forged");
    std::fs::create_dir(&forged).unwrap();
    let name = "tiny_engine-1.0-py3-none-any.whl";
    let mut wheel = std::fs::read(repository().join("tests/fixtures/wheels").join(name)).unwrap();
    let place_of_text = wheel.windows(3).position(|bytes| bytes == b"1.0").unwrap();
    wheel[place_of_text] = b'2';
    std::fs::write(forged.join(name), wheel).unwrap();
    let ran = Ran::of(with_wheels_in(&place, &SETUP, &forged)).code(8);
    one_line(&ran.says("THESE PACKAGES DO NOT MATCH THE HASHES"));
    assert!(environments(&place).is_empty());
}

/// A backend whose engine is published as source only.
fn built() -> Place {
    let place = Place::empty();
    place.stage(&plugin("standard_workloads"));
    place.stage(&hostile("built_runner"));
    place
}

/// A folder with the fixtures' source archive, and with `tool` as the wheel of the build tool.
fn wheels_with(place: &Place, tool: Option<Vec<u8>>) -> PathBuf {
    let folder = place.path().join("wheels");
    std::fs::create_dir(&folder).unwrap();
    let archive = "tiny_engine-2.0.tar.gz";
    std::fs::copy(repository().join("tests/fixtures/wheels").join(archive), folder.join(archive)).unwrap();
    if let Some(tool) = tool {
        std::fs::write(folder.join("tiny_builder-1.0-py3-none-any.whl"), tool).unwrap();
    }
    folder
}

#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn a_source_package_is_built_with_the_declared_build_tool() {
    let place = built();
    crossrun(&place, &["setup", "built"]).code(0);
    let run = ["run", "--json", "--backend", "built", "--workload", "word_count"];
    let record = crossrun(&place, &run).verified();
    assert_eq!(record["metadata"]["versions"]["tiny_engine"], "2.0");
}

#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn a_build_tool_with_another_hash_is_refused_and_nothing_is_built() {
    let tool = repository().join("tests/fixtures/wheels/tiny_builder-1.0-py3-none-any.whl");
    let mut forged = std::fs::read(tool).unwrap();
    let place_of_text = forged.windows(8).position(|bytes| bytes == b"as small").unwrap();
    forged[place_of_text] = b'A';
    for (tool, words) in
        [(None, "tiny-builder==1.0"), (Some(forged), "THESE PACKAGES DO NOT MATCH THE HASHES")]
    {
        let place = built();
        let ran = Ran::of(with_wheels_in(&place, &["setup", "built"], &wheels_with(&place, tool))).code(8);
        let ran = ran.says(words);
        one_line(&ran);
        assert!(!ran.stderr().contains("tiny-engine"), "{}", ran.explain());
        let left = std::fs::read_dir(place.data().join("environments/built")).into_iter().flatten();
        assert_eq!(left.count(), 0, "{}", ran.explain());
    }
}

#[test]
fn a_full_disk_is_reported() {
    let place = place();
    // A real Python makes the environment. Every write to the device behind its first file finds no space.
    let python = fake_python(
        &place,
        11,
        "mkdir \"$folder\"; ln -s /dev/full \"$folder/pyvenv.cfg\"; exec python3 \"$@\"",
    );
    let ran = crossrun(&place, &["setup", "provisioned", "--python", &python]).code(8);
    let remedy =
        "; try: export CROSSRUN_DATA_DIR=A_FOLDER_WITH_MORE_SPACE && crossrun setup provisioned --python ";
    one_line(&ran.says("no space is left in").says(remedy));
    assert!(environments(&place).is_empty());
}
