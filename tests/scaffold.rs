//! A stranger begins a backend or a workload outside of this repository: it builds with the language's own tool and nothing
//! of ours but the executable, passes its own test, and computes what the others compute.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::session::is_of_the_machine;
use crate::support::{Place, Ran, built_outside, cargo, cargo_outside, plugin, repository};

/// A project that was made, and where crossrun runs what comes of it.
struct Project {
    folder: TempDir,
    place: Place,
    made: Value,
}

impl Project {
    /// Makes one with `arguments`, which name it.
    fn new(arguments: &[&str]) -> Self {
        let (folder, place) = (tempfile::tempdir().unwrap(), Place::new());
        place.stage(&plugin("python_runner"));
        place.stage(&plugin("timely_runner"));
        let dir = folder.path().join("of a stranger");
        let made = [arguments, &["--json", "--dir", dir.to_str().unwrap()]].concat();
        let made = place.crossrun(&made).code(0).json();
        assert_eq!(made["folder"], json!(dir));
        Self { folder, place, made }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("of a stranger")
    }

    /// Tests and builds it, and drops it in.
    fn build(&self) {
        cargo_outside(&self.path(), &["fmt", "--check"]);
        cargo_outside(&self.path(), &["test", "--quiet"]);
        cargo_outside(&self.path(), &["build", "--quiet"]);
        self.has_our_versions();
        let library = self.made["library"].as_str().unwrap();
        let library = Path::new(library).file_name().unwrap().to_str().unwrap();
        self.conforms(&self.place.stage(&built_outside(library)));
    }

    /// It keeps the contract as it is, before anything of it is changed.
    fn conforms(&self, library: &Path) {
        let check = ["backends", "check", library.to_str().unwrap(), "--exclude", "file.release", "--json"];
        let ran = self.place.crossrun(&check).code(0);
        assert_eq!(ran.json()["conformant"], true, "{}", ran.explain());
    }

    /// Tests and builds one in C, and drops it in.
    fn make(&self) {
        self.makes("test").code(0);
        self.makes("all").code(0);
        self.conforms(&self.place.stage(Path::new(self.made["library"].as_str().unwrap())));
    }

    /// What comes of a target of the `Makefile` of one in C.
    fn makes(&self, target: &str) -> Ran {
        let mut command = Command::new("make");
        // All of it anew: a source that was written within a moment of the last build is as old as that.
        command.args(["--silent", "--always-make", target, "CFLAGS=-O2 -Werror"]).current_dir(self.path());
        Ran::of(command)
    }

    /// Puts the text of a file of this repository, which `change` changes, in place of the author's own file.
    fn becomes(&self, own: &str, ours: &str, change: impl FnOnce(String) -> String) {
        let text = fs::read_to_string(repository().join(ours)).unwrap();
        fs::write(self.path().join(own), change(text)).unwrap();
    }

    /// Every package is one that the host was built with, in the same version.
    fn has_our_versions(&self) {
        let packages = |lock: &Path| -> BTreeSet<String> {
            let text = fs::read_to_string(lock).unwrap();
            let blocks = text.split("[[package]]\n").skip(1);
            blocks.map(|block| block.lines().take(2).collect::<Vec<_>>().join(" ")).collect()
        };
        let (own, ours) =
            (packages(&self.path().join("Cargo.lock")), packages(&repository().join("Cargo.lock")));
        let others: Vec<_> = own.difference(&ours).collect();
        assert_eq!(others.len(), 1, "only the project itself is new: {others:?}");
        assert!(own.len() < ours.len(), "{} packages", own.len());
    }

    /// Runs every backend in `backends` on every workload in `workloads`, and demands that each answer is right.
    fn compare(&self, backends: &str, workloads: &[String], extra: &[&str]) {
        let names = workloads.join(",");
        let compare = ["compare", "--backends", backends, "--workloads", &names, "--items", "101"];
        // A project in C is optimised in any profile.
        let few =
            ["--insist", "--blocks", "1", "--parallelism", "2", "--no-lock", "--run-id", "all", "--json"];
        let extra = extra.iter().flat_map(|extra| ["--extra", extra]);
        let ran = self.place.crossrun(&[&compare, few.as_slice(), &extra.collect::<Vec<_>>()].concat());
        let records = self.place.records_if_any("all", "unified_results.jsonl").unwrap_or_default();
        let whole = backends.split(',').count() * workloads.len();
        assert!(!records.is_empty() && records.len().is_multiple_of(whole), "{}", ran.explain());
        for record in records {
            let metadata = &record["metadata"];
            let told = format!("{} on {}: {}", record["backend"], record["workload"], metadata["error"]);
            assert_eq!(metadata["results_count"], metadata["expected_count"], "{told}");
            assert_eq!(metadata["checksum"], metadata["expected_checksum"], "{told}");
            assert!(metadata["checksum"].is_string(), "{told}");
            assert!(is_of_the_machine(metadata) || metadata["verified"] == true, "{told}");
        }
    }
}

/// All that the standard library has.
fn standard_workloads(place: &Place) -> Vec<String> {
    let listed = place.crossrun(&["workloads", "--json"]).code(0).json();
    let names = listed.as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap().to_owned());
    let names: Vec<_> = names.collect();
    assert!(names.len() >= 6, "{names:?}");
    names
}

#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn a_backend_in_rust_is_built_outside_and_runs_everything() {
    let project = Project::new(&["backends", "new", "stranger-1"]);
    project.build();
    project.compare("native,stranger-1", &standard_workloads(&project.place), &["batch_size=7"]);
    refuses_what_is_not_written_yet(&project, "stranger-1");
    refuses_more_machines(&project, "stranger-1");
}

#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn a_backend_in_python_is_built_outside_and_runs_everything() {
    let project = Project::new(&["backends", "new", "stranger_2", "--lang", "python"]);
    project.build();
    project.compare("native,stranger_2", &standard_workloads(&project.place), &["batch_size=7"]);
    fs::remove_dir_all(project.place.path().join("results")).unwrap();
    // Of chains and of what is emitted, each stage as a step of its own.
    let chains = ["pipeline".into(), "word_count".into()];
    project.compare("native,stranger_2", &chains, &["batch_size=7", "fusion=off"]);
    refuses_more_machines(&project, "stranger_2");
}

#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn a_backend_in_c_is_built_outside_and_runs_everything() {
    let project = Project::new(&["backends", "new", "stranger-4", "--lang", "c"]);
    project.make();
    let options = ["batch_size=7"].as_slice();
    project.compare("native,stranger-4", &standard_workloads(&project.place), options);
    refuses_what_is_not_written_yet(&project, "stranger-4");
    refuses_more_machines(&project, "stranger-4");
}

/// An engine may set the locale of its process.
#[test]
fn a_backend_in_c_answers_in_json_where_the_decimal_point_is_a_comma() {
    let project = Project::new(&["backends", "new", "stranger-6", "--lang", "c"]);
    let flags = format!("CFLAGS=-O2 -Werror -include '{}'", crate::c_backend::decimal_comma().display());
    let mut make = Command::new("make");
    make.args(["--silent", &flags]).current_dir(project.path());
    Ran::of(make).code(0);
    project.place.stage(Path::new(project.made["library"].as_str().unwrap()));
    project.place.run("run --backend stranger-6 --workload null").code(0);
}

#[test]
fn a_workload_in_c_is_built_outside_and_runs_on_every_kind_of_backend() {
    let project = Project::new(&["workloads", "new", "stranger-5", "--lang", "c"]);
    project.make();
    project.compare("native,python,timely", &["stranger-5".into()], &["batch_size=7", "divisor=5"]);
    project.place.run("run --backend native --workload stranger-5 --extra divisor=1").code(2).says("divisor");
}

/// A run without fusion that has it would be faster than all others.
fn refuses_what_is_not_written_yet(project: &Project, backend: &str) {
    let run =
        ["run", "--backend", backend, "--workload", "pipeline", "--items", "10", "--extra", "fusion=off"];
    project.place.crossrun(&run).code(4).says("fusion=off is ").says("--extra fusion=auto");
}

#[test]
fn the_test_of_a_workload_in_c_passes_whatever_only_the_oracle_says() {
    let project = Project::new(&["workloads", "new", "its", "--lang", "c"]);
    let (path, definition) = (project.path().join("workload.c"), ".name = ");
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.matches(definition).count(), 1, "{text}");
    let waiting = "static double waits(const crossrun_opened *opened) {\n    return (double)opened->total_items;\n}\n\n\
                   static const crossrun_definition";
    let text = text.replace(definition, ".waiting_seconds = waits, .name = ");
    fs::write(path, text.replace("static const crossrun_definition", waiting)).unwrap();
    project.make();
}

/// Both need a word of their backend: the test grants it.
#[test]
fn the_test_of_a_workload_in_c_runs_graphs_and_open_loops() {
    let project = Project::new(&["workloads", "new", "its", "--lang", "c"]);
    let (grid, windows) = ("plugin-api/examples/c/grid_workload.c", "tests/fixtures/c/windows_workload.c");
    for workload in [grid, windows] {
        project.becomes("workload.c", workload, |text| text);
        project.makes("test").code(0);
    }
    project.becomes("workload.c", grid, |text| text.replace("least + cost_of", "least + 1 + cost_of"));
    project.makes("test").code(2).says("cheapest_way: 97 items").says("and the oracle says");
}

/// What is said of machines in a record is true.
fn refuses_more_machines(project: &Project, backend: &str) {
    let run = ["run", "--backend", backend, "--workload", "null", "--nodes", "2", "--json"];
    let record = project.place.crossrun(&run).code(4).says("--nodes 1").json();
    assert_eq!(record["metadata"]["error"]["kind"], "unsupported", "{record}");
}

#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn a_workload_in_rust_is_built_outside_and_runs_on_every_kind_of_backend() {
    let project = Project::new(&["workloads", "new", "stranger-3"]);
    project.build();
    project.compare("native,python,timely", &["stranger-3".into()], &["batch_size=7", "divisor=5"]);
    let bad = ["run", "--backend", "native", "--workload", "stranger-3", "--extra", "divisor=1"];
    project.place.crossrun(&bad).code(2).says("is not a whole number from 2 to 99");
    // Its test runs a graph of tasks as well, which needs a word of its backend.
    project.becomes("src/lib.rs", "tests/hostile/graph_workloads/src/lib.rs", |text| {
        let needing = text.replace("fn uses()", "fn needs()");
        needing.replace("\"rotating_graph\"", "\"stranger-3\"") + "\n#[cfg(test)]\nmod tests;\n"
    });
    cargo_outside(&project.path(), &["test", "--quiet"]);
}

#[test]
fn what_is_next_is_told_for_people_and_for_programs() {
    let place = Place::new();
    let made = place.crossrun(&["backends", "new", "mine", "--json"]).code(0).json();
    assert_eq!(made["folder"], json!(place.path().join("mine_runner")));
    let commands: Vec<_> = made["commands"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(commands[0], "cd mine_runner");
    assert!(commands.contains(&"crossrun compare --backends native,mine --quick"), "{commands:?}");
    for file in made["files"].as_array().unwrap() {
        assert!(place.path().join("mine_runner").join(file.as_str().unwrap()).is_file(), "{file}");
    }
    let told = place.crossrun(&["workloads", "new", "its"]).code(0);
    for words in ["created its_workloads", "  cd its_workloads\n", "  cargo test\n", "--workloads its "] {
        assert!(told.stdout().contains(words), "{}", told.explain());
    }
}

#[test]
fn a_name_or_a_folder_that_cannot_be_is_refused_and_nothing_is_written() {
    let place = Place::new();
    fs::create_dir(place.path().join("full")).unwrap();
    fs::write(place.path().join("full/kept"), "").unwrap();
    let before = listing(place.path());
    for (arguments, words) in [
        (["backends", "new", "Mine"].as_slice(), "is not a valid name for a plugin"),
        (&["backends", "new", "a/b"], "is not a valid name for a plugin"),
        (&["backends", "new", "native"], "there is a backend \"native\" already"),
        (
            &["backends", "new", "native", "--lang", "c", "--dir", "its"],
            "try: crossrun backends new my_native --lang c --dir its",
        ),
        (&["backends", "new", "sage"], "there is a backend \"sage\" already"),
        (&["workloads", "new", "word_count"], "there is a workload \"word_count\" already"),
        (&["workloads", "new", "standard_workloads"], "already"),
        (&["workloads", "new", "show"], "already"),
        (&["workloads", "new", "help"], "already"),
        (&["backends", "new", "mine", "--dir", "full"], "exists already, and is not an empty folder"),
        (&["backends", "new", "mine", "--plugin-api", "full"], "not a checkout of plugin-api"),
    ] {
        place.crossrun(arguments).code(2).says(words).says("try: ");
    }
    assert_eq!(listing(place.path()), before);
}

#[test]
fn a_project_where_nothing_may_be_written_is_told_so() {
    let place = Place::new();
    let closed = place.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o500)).unwrap();
    let remedies = [
        (
            &["backends", "new", "mine", "--dir", "closed/mine"][..],
            "--dir DIR, in a folder that you may write to",
        ),
        (&["man", "closed/man"], "another folder, which you may write to"),
    ];
    for (arguments, remedy) in remedies {
        let mut command = place.command(arguments);
        if place.give_to_nobody(&mut command) {
            Ran::of(command).code(1).says(&format!("; try: {remedy}\n"));
        }
    }
}

fn listing(folder: &Path) -> BTreeSet<PathBuf> {
    fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()).collect()
}

#[test]
fn a_checkout_can_be_built_on() {
    let place = Place::new();
    let checkout = repository().join("plugin-api");
    let new = ["backends", "new", "mine", "--plugin-api", checkout.to_str().unwrap()];
    place.crossrun(&new).code(0);
    let folder = place.path().join("mine_runner");
    assert!(!folder.join("vendor").exists());
    let metadata = ["metadata", "--offline", "--format-version", "1", "--no-deps"];
    let mut command = cargo();
    command.args(metadata).current_dir(&folder);
    let metadata = Ran::of(command).code(0).json();
    let api = &metadata["packages"][0]["dependencies"][1];
    assert_eq!((&api["name"], &api["path"]), (&json!("plugin-api"), &json!(checkout)), "{metadata}");
}
