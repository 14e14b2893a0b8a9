//! Which files are loaded: crossrun refuses a file that somebody else could have written, the environment cannot name
//! just any folder, and a lock file pins the bytes of each plugin.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use rustix::fs::StatVfsMountFlags;
use serde_json::Value;

use crate::support::{
    Place, Ran, SOMEBODY, build_outside, copy_executable, executable, is_root, not_run, plugin,
    with_environment_of,
};

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn rows(place: &Place, more: &[&str]) -> Vec<Value> {
    let words = [&["backends", "--json", "--no-probe"], more].concat();
    place.crossrun(&words).code(0).json().as_array().unwrap().clone()
}

fn row(place: &Place, path: &Path) -> Value {
    let rows = rows(place, &[]);
    let path = path.to_str().unwrap();
    rows.iter()
        .find(|row| row["path"] == path)
        .unwrap_or_else(|| panic!("no row of {path} in {rows:#?}"))
        .clone()
}

fn refused(place: &Place, path: &Path, reason: &str, remedy: &str) {
    let row = row(place, path);
    assert_eq!(row["status"], "rejected", "{row}");
    assert!(row["reason"].as_str().unwrap().contains(reason), "{row}");
    assert!(row["remedy"].as_str().unwrap().contains(remedy), "{row}");
}

const RUN: [&str; 5] = ["run", "--backend", "native", "--workload", "null"];

#[test]
fn a_file_that_others_can_write_is_refused_and_the_remedy_works() {
    let place = Place::new();
    let file = place.plugins().join("libnative_runner.so");
    chmod(&file, 0o666);
    refused(&place, &file, "can be written by everyone", &format!("chmod o-w {}", file.display()));
    place.crossrun(&RUN).code(3).says("was rejected").says("--allow-untrusted");
    place.crossrun(&[&RUN, ["--allow-untrusted"].as_slice()].concat()).code(0);
    let record = place.records("null", "unified_results.jsonl").pop().unwrap();
    assert!(record["metadata"]["command"].as_str().unwrap().contains("--allow-untrusted"), "{record}");
    // The remedy is the command in the message.
    let remedy = row(&place, &file)["remedy"].as_str().unwrap().to_owned();
    assert!(Command::new("sh").args(["-c", &remedy]).status().unwrap().success());
    chmod(&file, file.metadata().unwrap().mode() & !0o020);
    place.crossrun(&RUN).code(0);
}

#[test]
fn a_folder_that_others_can_write_is_not_searched() {
    let own = |place: &Place| format!("chmod o-w {}", place.plugins().display());
    // A folder such as /tmp stays as it is.
    let shared = |place: &Place| format!("install -D -m 755 -t {}", place.data().join("plugins").display());
    for (mode, remedy) in [(0o777, own as fn(&Place) -> String), (0o1777, shared)] {
        let place = Place::new();
        chmod(&place.plugins(), mode);
        let remedy = remedy(&place);
        refused(&place, &place.plugins(), "it can be written by everyone", &remedy);
        assert_eq!(rows(&place, &[]).len(), 1);
        place.crossrun(&RUN).code(3).says("it can be written by everyone").says(&format!("try: {remedy}"));
        assert_eq!(rows(&place, &["--allow-untrusted"]).len(), 2);
    }
}

#[test]
fn a_writable_folder_above_is_refused_unless_its_sticky_bit_protects_its_entries() {
    let (place, other) = (Place::new(), tempfile::tempdir().unwrap());
    // The data folder is elsewhere: it is refused for the same reason.
    let rows = || {
        let mut command = place.command(&["backends", "--json", "--no-probe"]);
        command.env("CROSSRUN_DATA_DIR", other.path());
        let rows = Ran::of(command).code(0).json();
        rows.as_array().unwrap().clone()
    };
    chmod(place.path(), 0o777);
    let reasons: Vec<_> = rows().iter().map(|row| row["reason"].to_string()).collect();
    assert!(reasons[0].contains("above it can be written by everyone"), "{reasons:?}");
    place.crossrun(&["backends"]).code(3).says("the data folder").says("above it can be written by everyone");
    chmod(place.path(), 0o1777);
    assert_eq!(rows().iter().filter(|row| row["status"] == "found").count(), 2);
}

#[test]
fn the_target_of_a_link_is_checked() {
    let place = Place::empty();
    let elsewhere = place.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let file = elsewhere.join("libnative_runner.so");
    fs::copy(plugin("native_runner"), &file).unwrap();
    let link = place.plugins().join("libnative_runner.so");
    symlink(&file, &link).unwrap();
    assert_eq!(rows(&place, &[])[0]["status"], "found");
    chmod(&elsewhere, 0o777);
    refused(&place, &link, "elsewhere above it can be written by everyone", "chmod o-w");
    chmod(&elsewhere, 0o755);
    chmod(&file, 0o666);
    refused(&place, &link, "elsewhere/libnative_runner.so can be written by everyone", "chmod o-w");
}

#[test]
fn root_refuses_the_files_of_other_users_too() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let file = place.plugins().join("libnative_runner.so");
    chown(&file, Some(SOMEBODY), None).unwrap();
    refused(&place, &file, "belongs to user 54321", "install -D -m 755 -t");
    place.crossrun(&RUN).code(3).says("belongs to user 54321, who is neither you nor root");
    chown(&file, Some(0), None).unwrap();
    chown(place.plugins(), Some(SOMEBODY), None).unwrap();
    refused(&place, &place.plugins(), "it belongs to user 54321", "/*.so");
    chown(place.plugins(), Some(0), None).unwrap();
    // Root's own group is private; another group is not.
    chown(&file, None, Some(SOMEBODY)).unwrap();
    chmod(&file, 0o664);
    refused(&place, &file, "can be written by group 54321, which is not yours alone", "chmod g-w");
}

#[test]
fn a_file_named_on_the_command_line_is_checked_too() {
    let place = Place::new();
    let file = place.path().join("libmine.so");
    fs::copy(plugin("native_runner"), &file).unwrap();
    chmod(&file, 0o666);
    let named = format!("mine={}", file.display());
    let compare = ["compare", "--workloads", "null", "--dry-run", "--backends", named.as_str()];
    place.crossrun(&compare).code(3).says("can be written by everyone");
    place.crossrun(&[&compare, ["--allow-untrusted"].as_slice()].concat()).code(0);
}

/// crossrun without `--plugin-dir`, so that the environment counts.
fn usual(place: &Place, executable: &Path) -> Command {
    let mut command = with_environment_of(&place.command(&[]), Command::new(executable));
    command.args(["backends", "--json", "--no-probe"]).current_dir(place.path());
    command
}

fn paths(ran: &Ran) -> Vec<PathBuf> {
    let rows = ran.json();
    rows.as_array().unwrap().iter().map(|row| row["path"].as_str().unwrap().into()).collect()
}

#[test]
fn the_current_folder_is_searched_only_if_it_is_named_on_the_command_line() {
    let place = Place::new();
    let is_ours = |path: &PathBuf| path.starts_with(place.path());
    for named in ["plugins", ":", ".", "/nowhere:./plugins"] {
        let mut command = usual(&place, executable());
        command.env("CROSSRUN_PLUGIN_PATH", named);
        let ran = Ran::of(command).code(0).says("may name absolute folders only");
        assert!(!paths(&ran).iter().any(is_ours), "{}", ran.explain());
    }
    let mut command = usual(&place, executable());
    command.env("CROSSRUN_DATA_DIR", ".");
    let ran = Ran::of(command).code(0).says("CROSSRUN_DATA_DIR");
    assert!(!paths(&ran).iter().any(is_ours), "{}", ran.explain());
    let mut command = usual(&place, executable());
    command.args(["--plugin-dir", "."]).current_dir(place.plugins());
    assert_eq!(paths(&Ran::of(command).code(0)).len(), 2);
}

#[test]
fn a_folder_that_is_not_there_is_not_refused_for_the_one_above_it() {
    let place = Place::new();
    let shared = place.path().join("shared");
    let named = shared.join("plugins");
    fs::create_dir(&shared).unwrap();
    chmod(&shared, 0o777);
    let listed = || {
        let mut command = usual(&place, executable());
        command.env("CROSSRUN_PLUGIN_PATH", &named);
        paths(&Ran::of(command).code(0))
    };
    assert!(!listed().contains(&named), "{:?}", listed());
    // As soon as it is there, anybody could have made it.
    fs::create_dir(&named).unwrap();
    assert!(listed().contains(&named), "{:?}", listed());
}

/// Why a program in this folder gets no rights of its owner, or not those to read the folder.
fn no_raised_privileges(place: &Place) -> Option<&'static str> {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    if status.lines().any(|line| line == "NoNewPrivs:\t1") {
        return Some("this process may get no new rights");
    }
    if rustix::fs::statvfs(place.path()).unwrap().f_flag.contains(StatVfsMountFlags::NOSUID) {
        return Some("the folder for temporary files is mounted with nosuid");
    }
    (!place.others_may_enter()).then_some("other users may not enter the folder for temporary files")
}

#[test]
fn with_raised_privileges_the_environment_is_ignored() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    if let Some(why) = no_raised_privileges(&place) {
        return not_run(why);
    }
    // A program that runs as somebody else, who may read what it needs.
    let program = place.path().join("bin/crossrun");
    fs::create_dir(program.parent().unwrap()).unwrap();
    copy_executable(&program);
    chown(&program, Some(SOMEBODY), None).unwrap();
    chmod(&program, 0o4755);
    chmod(place.path(), 0o755);
    let run = |data: &Path| {
        let mut command = usual(&place, &program);
        command.env("CROSSRUN_PLUGIN_PATH", place.plugins()).env("CROSSRUN_DATA_DIR", data);
        Ran::of(command)
    };
    let ran = run(place.path()).code(0).says("CROSSRUN_PLUGIN_PATH is ignored").says("CROSSRUN_DATA_DIR");
    assert!(paths(&ran).is_empty(), "{}", ran.explain());
    chmod(&program, 0o755);
    chown(&program, Some(0), None).unwrap();
    let ran = run(place.path()).code(0);
    assert_eq!(paths(&ran).len(), 2, "{}", ran.explain());
}

/// The lock of a place, written.
fn locked(place: &Place) -> PathBuf {
    place.crossrun(&["backends", "lock"]).code(0);
    place.data().join("plugins.lock")
}

#[test]
fn a_lock_file_lists_every_plugin_and_check_reports_each_difference() {
    let place = Place::new();
    let made = place.crossrun(&["backends", "lock", "--json"]).code(0).json();
    let path = place.data().join("plugins.lock");
    assert_eq!(made["path"], path.to_str().unwrap());
    let lock: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!((&lock["version"], &lock["plugins"]), (&made["version"], &made["plugins"]));
    let names: Vec<_> = lock["plugins"].as_array().unwrap().iter().map(|listed| &listed["name"]).collect();
    assert_eq!(names, ["native", "standard_workloads"]);
    let native = place.plugins().join("libnative_runner.so");
    assert_eq!(lock["plugins"][0]["kind"], "runner");
    assert_eq!(lock["plugins"][0]["source"], native.to_str().unwrap());
    assert_eq!(lock["plugins"][0]["size"], native.metadata().unwrap().len());
    assert_eq!(lock["plugins"][0]["sha256"], crossrun::internals::plugin::sha256_of(&native).unwrap());
    let check = ["backends", "lock", "--check"];
    assert!(place.crossrun(&check).code(0).stdout().starts_with("all plugins match"));

    let mut bytes = fs::read(&native).unwrap();
    bytes.push(0);
    fs::write(&native, bytes).unwrap();
    fs::remove_file(place.plugins().join("libstandard_workloads.so")).unwrap();
    place.stage(&plugin("python_runner"));
    let ran =
        place.crossrun(&[&check, ["--json"].as_slice()].concat()).code(7).says("try: crossrun backends lock");
    let changes: Vec<_> = ran.json()["differences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|difference| (difference["name"].as_str().unwrap().to_owned(), difference["change"].clone()))
        .collect();
    let expected = [("native", "changed"), ("python", "unlisted"), ("standard_workloads", "missing")];
    assert_eq!(changes, expected.map(|(name, change)| (name.to_owned(), change.into())));
    let text = place.crossrun(&check).code(7).stdout();
    assert!(text.starts_with(" CHANGE    KIND       NAME"), "{text}");
}

#[test]
fn a_lock_file_may_be_anywhere_and_the_error_says_how_to_write_it_anew() {
    let place = Place::new();
    place.crossrun(&["backends", "lock", "--output", "here.lock"]).code(0);
    assert!(!place.data().join("plugins.lock").exists());
    let run = [&RUN, ["--locked=here.lock"].as_slice()].concat();
    place.crossrun(&run).code(0);
    let here = fs::canonicalize(place.path().join("here.lock")).unwrap();
    let record = place.records("null", "unified_results.jsonl").pop().unwrap();
    for library in ["plugin", "workload_library"] {
        assert_eq!(record["metadata"][library]["locked_by"], here.to_str().unwrap(), "{record}");
    }
    assert!(record["metadata"]["command"].as_str().unwrap().contains("--locked="), "{record}");
    fs::remove_file(here).unwrap();
    let ran = place
        .crossrun(&run)
        .code(3)
        .says("there is no lock file")
        .says("try: crossrun backends lock --output ");
    assert_eq!(ran.stderr().lines().count(), 1, "{}", ran.explain());
}

#[test]
fn a_lock_file_that_others_can_write_is_refused() {
    let place = Place::new();
    let lock = locked(&place);
    chmod(&lock, 0o666);
    place
        .crossrun(&[&RUN, ["--locked"].as_slice()].concat())
        .code(3)
        .says("the lock file")
        .says("by everyone");
}

#[test]
fn only_listed_plugins_are_loaded_and_one_line_says_what_to_do() {
    let place = Place::new();
    let lock = locked(&place);
    let run = [&RUN, ["--locked"].as_slice()].concat();
    place.crossrun(&run).code(0);

    // Another file.
    let native = place.plugins().join("libnative_runner.so");
    let whole = fs::read(&native).unwrap();
    fs::write(&native, [whole.as_slice(), b"\0"].concat()).unwrap();
    let says = format!("changed since it was locked: {}; try: crossrun backends lock", lock.display());
    let ran = place.crossrun(&run).code(3).says(&says);
    assert_eq!(ran.stderr().lines().count(), 1, "{}", ran.explain());
    let listed = rows(&place, &["--locked"]);
    assert_eq!((&listed[0]["name"], &listed[0]["status"]), (&"native".into(), &"rejected".into()));
    assert_eq!(listed[1]["status"], "found");
    for verb in [["setup", "native"].as_slice(), &["compare", "--backends", "native", "--workloads", "null"]]
    {
        place.crossrun(&[verb, &["--locked"]].concat()).code(3).says("changed since it was locked");
    }

    // The same file, where no lock file has it: to write the lock file again would not help.
    let elsewhere = format!("mine={}", native.display());
    let says = "is not listed in";
    let ran = place
        .crossrun(&["run", "--backend", &elsewhere, "--workload", "null", "--locked"])
        .code(3)
        .says(says);
    assert!(ran.stderr().contains("leave out --locked"), "{}", ran.explain());
    fs::write(&native, &whole).unwrap();
    place.crossrun(&["run", "--backend", &elsewhere, "--workload", "null", "--locked"]).code(0);

    // No file.
    fs::remove_file(&native).unwrap();
    place
        .crossrun(&run)
        .code(3)
        .says("native is listed in")
        .says("was not found")
        .says("crossrun backends lock");
    assert!(rows(&place, &["--locked"])[0]["reason"].as_str().unwrap().contains("was not found"));
    fs::write(&native, whole).unwrap();
    fs::remove_file(place.plugins().join("libstandard_workloads.so")).unwrap();
    place.crossrun(&run).code(3).says("standard_workloads is listed in").says("was not found");
    place.stage(&plugin("standard_workloads"));

    // A file that is not listed.
    place.stage(&plugin("timely_runner"));
    let run = ["run", "--backend", "timely", "--workload", "null", "--locked"];
    place.crossrun(&run).code(3).says("libtimely_runner.so is not listed in");
    let setup = place.crossrun(&["setup", "native", "--locked", "--json"]).code(0).json();
    assert_eq!(setup[0]["locked_by"], lock.to_str().unwrap());
    assert_eq!(place.crossrun(&["workloads", "--locked", "--json"]).code(0).json()[0]["name"], "group");
    place.crossrun(&["backends", "lock", "--locked"]).code(2);
}

/// A workload library that replaces its own file when a workload of seven items is opened for the second time. The judge opens it
/// first, the backend's worker second, and an engine's own process, if there is one, third.
const REPLACES_ITSELF: &str = r#"
use plugin_api::{BatchBuilder, Parameters, Plan, Workload, WorkloadError, WorkloadSpec};

plugin_api::export_workloads!(name = "replaces_itself", workloads = [Replaced]);

struct Replaced(u64);

impl Workload for Replaced {
    const NAME: &'static str = "replaced";
    const DESCRIPTION: &'static str = "overwrites its file";

    fn open(spec: &WorkloadSpec, _: &Parameters) -> Result<Self, WorkloadError> {
        // Not when the catalogue is made, which uses another number of items.
        let file = std::env::var("CROSSRUN_TEST_REPLACE").ok().filter(|_| spec.total_items == 7);
        if let Some(file) = file {
            // The judge opens it twice, for the oracle and for the serial reference.
            let opened = format!("{file}.opened");
            let times = std::fs::read(&opened).map_or(0, |times| times.len());
            if times == 2 {
                // Not written in place: without a lock that would change the code that runs.
                std::fs::write(format!("{file}.new"), "no library any more").unwrap();
                std::fs::rename(format!("{file}.new"), file).unwrap();
            } else {
                std::fs::write(opened, vec![0; times + 1]).unwrap();
            }
        }
        Ok(Self(spec.total_items))
    }

    fn plan(&self) -> Plan {
        Plan::new()
    }

    fn source(&self, index: u64, out: &mut BatchBuilder) -> Result<(), WorkloadError> {
        out.push(&index.to_le_bytes());
        Ok(())
    }

    fn apply(&self, _: usize, item: &[u8], out: &mut BatchBuilder) -> Result<(), WorkloadError> {
        out.push(item);
        Ok(())
    }

    fn oracle(&self, sink: &mut dyn FnMut(&[u8])) {
        (0..self.0).for_each(|index| sink(&index.to_le_bytes()));
    }
}
"#;

/// Runs `backend` on a library that is replaced after the worker copied it and before any other process opens it.
fn replaced_meanwhile(backend: &str, more: &[&str]) -> (Place, Ran) {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let library = BUILT.get_or_init(|| build_outside("replaces_itself", REPLACES_ITSELF));
    let place = Place::empty();
    place.stage(&plugin(&format!("{backend}_runner")));
    let file = place.stage(library);
    place.crossrun(&["backends", "lock"]).code(0);
    let mut command =
        place.command(&["run", "--json", "--backend", backend, "--workload", "replaced", "--items", "7"]);
    command.args(more).env("CROSSRUN_TEST_REPLACE", &file);
    let ran = Ran::of(command);
    assert_eq!(fs::read(&file).unwrap(), b"no library any more", "{}", ran.explain());
    (place, ran)
}

#[test]
fn an_engines_own_process_loads_the_bytes_that_were_hashed() {
    for backend in ["native", "python"] {
        let (_place, ran) = replaced_meanwhile(backend, &["--locked"]);
        ran.verified();
    }
}

#[test]
fn without_a_lock_file_an_engines_own_process_refuses_a_replaced_library() {
    let (_place, ran) = replaced_meanwhile("python", &[]);
    ran.code(1).says("is not the file that takes part any more: it has other bytes");
}

#[test]
fn replacing_a_file_does_not_change_its_sealed_copy() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("libworkloads.so");
    fs::copy(plugin("standard_workloads"), &file).unwrap();
    let sha256 = crossrun::internals::plugin::sha256_of(&file).unwrap();
    let (copy, copied) = crossrun::internals::worker::load::sealed_copy(&file).unwrap();
    // Written in place: the same file with other bytes.
    fs::write(&file, fs::read(plugin("native_runner")).unwrap()).unwrap();
    assert_eq!(copied, sha256);
    assert_eq!(crossrun::internals::plugin::sha256_of(&copy).unwrap(), sha256);
    // A worker that expects the old hash refuses other bytes, sealed or not.
    for sealed in [true, false] {
        let library =
            crossrun::internals::worker::LibraryFile { path: file.clone(), sha256: sha256.clone(), sealed };
        let error = crossrun::internals::worker::load::workloads(&library).err().unwrap().to_string();
        assert!(error.contains("was replaced after it was inspected"), "{error}");
    }
}

#[test]
fn a_comparison_is_resumed_under_the_lock_file_with_which_it_was_started() {
    let place = Place::new();
    locked(&place);
    let compare = "compare --backends native --workloads null --items 100 --blocks 1";
    place.run(&format!("{compare} --run-id locked --locked")).code(0);
    let plan = fs::read_to_string(place.path().join("results/locked/plan.json")).unwrap();
    let plan: Value = serde_json::from_str(&plan).unwrap();
    let lock = place.data().join("plugins.lock");
    assert_eq!(plan["backends"]["native"]["library"]["locked_by"], lock.to_str().unwrap());
    place.crossrun(&["compare", "--resume", "locked", "--locked"]).code(0);
    place.run(&format!("{compare} --run-id open")).code(0);
    place.crossrun(&["compare", "--resume", "open"]).code(0);
    place.crossrun(&["compare", "--resume", "open", "--locked"]).code(2).says("started without --locked");
    chmod(&place.plugins().join("libnative_runner.so"), 0o666);
    place.crossrun(&["compare", "--resume", "open"]).code(3).says("can be written by everyone");
}
