//! The fence: whatever a plugin does by accident, the host survives, reports it, finishes the other backends, and leaves
//! nothing behind. `docs/fence.md` has the same tables.

mod files;
mod harms;
mod workloads;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use serde_json::Value;

use crate::installed_engine::Installed;
use crate::support::{
    Place, Ran, continued, eventually, executable, hostile, plugin, portable_host, processes_of_sessions_of,
    processes_with_variable, repository, short_folder,
};
use files::{LIBRARIES, SUSPECT, SUSPECTS};
use harms::{Close, HARMS, Harm, Load, Outcome, Phase, Probe, Run};

/// How many trials are under way at once: most of them wait.
pub(crate) const AT_ONCE: usize = 4;

/// One line of a table, run.
pub(crate) type Case = Box<dyn Fn() + Send + Sync>;

/// What is run of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cover {
    /// Each harm in one phase, with namespaces or without.
    Reduced,
    /// Each harm in every phase, with namespaces and without.
    Full,
}

#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn every_misbehaviour_fails_its_own_row_and_nothing_else() {
    hold(Cover::Reduced);
}

#[test]
#[ignore = "takes minutes"]
fn every_misbehaviour_in_every_phase_fails_its_own_row_and_nothing_else() {
    hold(Cover::Full);
}

fn hold(cover: Cover) {
    let mut cases: Vec<Case> = Vec::new();
    for (number, harm) in HARMS.iter().enumerate().filter(|(_, harm)| cover == Cover::Full || !harm.only_full)
    {
        for (place, phase) in harm.phases.iter().copied().enumerate() {
            for (order, shelter) in ["on", "off"].into_iter().enumerate() {
                let chosen = place == number % harm.phases.len() && order == number % 2;
                if cover == Cover::Full || chosen {
                    cases.push(Box::new(move || trial(executable(), harm, phase, shelter)));
                }
            }
        }
    }
    cases.push(Box::new(|| comparison(&["segfault", "sleep", "drop"])));
    cases.extend(SUSPECTS.iter().map(|suspect| Box::new(move || listing(suspect)) as Case));
    cases.push(Box::new(libraries));
    for harm in workloads::HARMS {
        for engine in ["native", "timely", "python"] {
            cases.push(Box::new(move || workload(harm, engine)));
        }
    }
    in_parallel(&cases, AT_ONCE);
}

/// What a process group alone does not hold: limits, what leaves the group, and a folder that its owner may not enter.
fn needs_linux(harm: &Harm) -> bool {
    let needs = ["allocate", "grandchild", "litter", "print_much"];
    needs.contains(&harm.behaviour) || harm.behaviour.starts_with("fork")
}

#[test]
#[ignore = "builds the host once more: .ci/run --full"]
fn what_needs_no_feature_of_linux_fails_its_own_row_in_a_process_group_too() {
    static HOST: OnceLock<PathBuf> = OnceLock::new();
    let host = HOST.get_or_init(portable_host).as_path();
    let mut cases: Vec<Case> = Vec::new();
    cases.push(Box::new(move || worker_of_a_killed_host(host)));
    for harm in HARMS.iter().filter(|harm| !needs_linux(harm)) {
        for phase in harm.phases.iter().copied() {
            cases.push(Box::new(move || trial(host, harm, phase, "off")));
        }
    }
    in_parallel(&cases, AT_ONCE);
}

/// It ends although its plugin never returns.
fn worker_of_a_killed_host(host: &Path) {
    let place = Place::with_misbehaving();
    let (temporary, note) = (short_folder(), place.path().join("note"));
    let command = place.misbehaving_command("rename_temporary+sleep", "run", &["--no-lock"]);
    let mut command = continued(Command::new(host), &command);
    command.env("TMPDIR", temporary.path()).env("CROSSRUN_TEST_LITTER", &note);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    eventually("the plugin runs", || note.exists());
    let workers = || processes_with_variable(&format!("TMPDIR={}/", temporary.path().display()));
    assert!(!workers().is_empty());
    child.kill().unwrap();
    child.wait().unwrap();
    eventually("no worker is left", || workers().is_empty());
}

/// A library of workloads in C, at `path`.
pub(crate) fn library_in_c(source: &str, path: &Path) {
    files::c_library(&format!("{}{source}", files::c_metadata()), path);
}

/// Runs all cases, and then reports each failed case in full.
pub(crate) fn in_parallel(cases: &[Case], at_once: usize) {
    // Whatever is built is built before the clocks run.
    let _ = (plugin("native_runner"), hostile("misbehaving_runner"));
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(case));
                    if let Err(panic) = caught {
                        let fixed = panic.downcast_ref::<&str>().copied().unwrap_or_default();
                        let text = panic.downcast_ref::<String>().map_or(fixed, String::as_str).to_owned();
                        failures.lock().unwrap().push(text);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} failed:\n\n{}", failures.len(), failures.join("\n\n"));
}

/// A command that was run in a place of its own, and of which nothing may be left.
struct Fenced {
    place: Place,
    ran: Ran,
}

impl Fenced {
    fn run(place: Place, mut command: Command, what: &str) -> Self {
        let temporary = place.path().join("t");
        std::fs::create_dir_all(&temporary).unwrap();
        // Nobody else makes temporary folders there.
        command.env("TMPDIR", &temporary).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        let pid = child.id();
        let output = child.wait_with_output().unwrap();
        let ran = Ran { output, command: format!("{what}: {command:?}") };
        let explain = || ran.explain();
        assert!(ran.output.status.code().is_some(), "the host was killed: {}", explain());
        for stream in [&ran.output.stdout, &ran.output.stderr] {
            assert!(!stream.contains(&0x1b), "an escape sequence: {}", explain());
            assert!(
                !String::from_utf8_lossy(stream).contains('\u{9b}'),
                "a control character: {}",
                explain()
            );
        }
        assert!(!ran.stderr().contains("panicked at host"), "{}", explain());
        // A worker without the marker of a session has its temporary folder there.
        let start = format!("TMPDIR={}/", temporary.display());
        eventually("nothing is left running", || {
            processes_of_sessions_of(pid).is_empty() && processes_with_variable(&start).is_empty()
        });
        let left: Vec<_> =
            std::fs::read_dir(&temporary).unwrap().flatten().map(|entry| entry.path()).collect();
        assert!(left.is_empty(), "{left:?} is left: {}", explain());
        check_records(&place.path().join("results"), &ran);
        Self { place, ran }
    }
}

/// No file of records may be half-written, or hold more than anyone can read.
fn check_records(folder: &Path, ran: &Ran) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            check_records(&path, ran);
            continue;
        }
        let name = path.file_name().unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.len() < 3 << 20, "{name} has {} bytes: {}", text.len(), ran.explain());
        match name.rsplit_once('.').unwrap_or_default().1 {
            "jsonl" => {
                assert!(text.is_empty() || text.ends_with('\n'), "{name} is torn: {}", ran.explain());
                for line in text.lines() {
                    let parsed: Result<Value, _> = serde_json::from_str(line);
                    assert!(parsed.is_ok(), "{name}: {line:.200}");
                }
            }
            "json" => drop(serde_json::from_str::<Value>(&text).unwrap()),
            "csv" | "md" | "html" => {
                assert!(!text.contains(|c: char| c.is_control() && c != '\n' && c != '\t'), "{name}")
            }
            _ => panic!("{name} should not be there: {}", ran.explain()),
        }
    }
}

fn trial(program: &Path, harm: &Harm, phase: Phase, shelter: &str) {
    // Several bombs at once would use up the machine's numbers for processes.
    static BOMB: Mutex<()> = Mutex::new(());
    let bombs = harm.behaviour.starts_with("fork");
    let _one = bombs.then(|| BOMB.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    let what = format!("{} in {} with namespaces {shelter}", harm.what, phase.word());
    let in_spec = !matches!(phase, Load | Probe);
    let (spec, at) = if in_spec { (harm.behaviour, phase) } else { ("none", Run) };
    let (place, environment) = (Place::with_misbehaving(), environment(harm, phase, shelter));
    let options: Vec<_> = harm.options.iter().copied().filter(|option| !is_variable(option)).collect();
    let options = if phase == Run { options } else { Vec::new() };
    let command = place.misbehaving_command(spec, at.word(), &[&options[..], &["--no-lock"]].concat());
    let mut command = continued(Command::new(program), &command);
    command.envs(environment.iter().cloned());
    let Fenced { place, ran } = Fenced::run(place, command, &what);
    check_trial(harm, phase, &ran);
    if !in_spec {
        place.stage(&plugin("native_runner"));
        let mut command = continued(Command::new(program), &place.command(&["backends", "--json"]));
        command.envs(environment);
        let ran = Fenced::run(place, command, &what).ran.code(0);
        check_listing(harm, phase, &ran);
    }
}

fn is_variable(option: &str) -> bool {
    option.starts_with("CROSSRUN_")
}

fn environment(harm: &Harm, phase: Phase, shelter: &str) -> Vec<(String, String)> {
    let given = harm.options.iter().filter(|option| is_variable(option)).filter_map(|it| it.split_once('='));
    // Other plugins are loaded and asked in these phases too.
    let limit = if matches!(phase, Load | Probe) { "10s" } else { "2s" };
    let value = |value: &str| value.replace("{phase}", phase.word()).replace("{limit}", limit);
    let mut all: Vec<_> = given.map(|(name, text)| (name.to_owned(), value(text))).collect();
    if phase == Run {
        // A run has an option of its own.
        all.retain(|(name, _)| name != "CROSSRUN_DEADLINES");
    }
    match phase {
        Load => all.push(("CROSSRUN_TEST_LOAD".into(), harm.behaviour.into())),
        Probe => all.push(("CROSSRUN_TEST_PROBE".into(), harm.behaviour.into())),
        _ => {}
    }
    all.push(("CROSSRUN_NAMESPACES".into(), shelter.into()));
    all
}

fn check_trial(harm: &Harm, phase: Phase, ran: &Ran) {
    let words = |says: &str| says.replace("{phase}", phase.word());
    let demand = |code: i32| assert_eq!(ran.output.status.code(), Some(code), "{}", ran.explain());
    let says = |words: &str| assert!(ran.stderr().contains(words), "no {words:?}: {}", ran.explain());
    let verified = || {
        demand(0);
        assert_eq!(ran.json()["metadata"]["verified"], true, "{}", ran.explain());
    };
    match harm.outcome {
        Outcome::Fails(_, message) if phase == Close => {
            verified();
            says("closing the backend failed");
            says(&words(message));
        }
        Outcome::Fails(kind, message) => {
            demand(4);
            let record = ran.json();
            let error = &record["metadata"]["error"];
            assert_eq!(record["success_rate"], 0.0, "{}", ran.explain());
            assert!(error["message"].as_str().unwrap().contains(&words(message)), "{}", ran.explain());
            assert!(error["message"].as_str().unwrap().len() < 8192);
            assert_eq!(error["kind"], kind, "{}", ran.explain());
            // What a workload says of a state, and not what it says to a backend that asks for an answer.
            let judged = kind == "workload" && !message.starts_with("only the judge");
            assert_eq!(error["phase"], if judged { "judge" } else { phase.word() }, "{}", ran.explain());
            let remedy = error["remedy"].as_str().unwrap_or_default();
            assert!(remedy.starts_with(harm.remedy), "{}", ran.explain());
        }
        Outcome::Warns(warning) => {
            verified();
            let warnings = ran.json()["metadata"]["warnings"].to_string();
            assert!(warnings.contains(warning), "{}", ran.explain());
            says("warning: ");
        }
        Outcome::Nothing => verified(),
        Outcome::Wrong(why) => {
            demand(5);
            says(why);
        }
        Outcome::Invalid(why) => {
            demand(6);
            says(why);
        }
    }
}

fn check_listing(harm: &Harm, phase: Phase, ran: &Ran) {
    let rows = ran.json();
    let row = |name: &str| rows.as_array().unwrap().iter().find(|row| row["name"] == name).unwrap().clone();
    assert_eq!(row("native")["status"], "available", "{}", ran.explain());
    let misbehaving = row("misbehaving");
    match harm.outcome {
        Outcome::Fails(_, words) => {
            assert_eq!(misbehaving["status"], "rejected", "{}", ran.explain());
            let reason = misbehaving["reason"].as_str().unwrap();
            assert!(reason.contains(&words.replace("{phase}", phase.word())), "{}", ran.explain());
        }
        _ => assert_eq!(misbehaving["status"], "available", "{}", ran.explain()),
    }
}

/// Beside a backend that is well, in one comparison after the other.
fn comparison(behaviours: &[&str]) {
    for behaviour in behaviours {
        let place = Place::with_misbehaving();
        place.stage(&plugin("native_runner"));
        let extra = format!("behaviour={behaviour}");
        let words = ["compare", "--backends", "native,misbehaving", "--workloads", "null", "--items", "20"];
        // Within which the backend that is well answers on a busy machine too.
        let timeout = if *behaviour == "sleep" { "10s" } else { "5m" };
        let more = ["--blocks", "1", "--insist", "--no-lock", "--timeout", timeout, "--extra", &extra];
        let more = [&more[..], &["--output-dir", "results/it"]].concat();
        let command = place.command(&[&words[..], &more].concat());
        let Fenced { place, ran } = Fenced::run(place, command, behaviour);
        assert!([4, 5].contains(&ran.output.status.code().unwrap()), "{}", ran.explain());
        let text = std::fs::read_to_string(place.path().join("results/it/trials.jsonl")).unwrap();
        let trials = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let measured: Vec<_> = trials.filter(|trial| trial["kind"] == "measured").collect();
        let status = |name: &str| {
            let mine = measured.iter().filter(|trial| trial["record"]["backend"] == name);
            mine.map(|trial| trial["status"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(status("native"), ["verified"], "{}", ran.explain());
        let theirs = if *behaviour == "drop" { "wrong" } else { "failed" };
        assert_eq!(status("misbehaving"), [theirs], "{}", ran.explain());
    }
}

fn listing(suspect: &files::Suspect) {
    let place = files::place(suspect);
    let trace = place.path().join("trace");
    let mut command = place.command(&["backends", "--json"]);
    command.env("CROSSRUN_TEST_TRACE", &trace);
    if !place.give_to_nobody(&mut command) {
        return;
    }
    let ran = Fenced::run(place, command, suspect.what).ran.code(0);
    assert!(!trace.exists(), "it was opened: {}", ran.explain());
    let rows = ran.json();
    let mut rows_of = rows.as_array().unwrap().iter();
    let row = rows_of.find(|row| row["path"].as_str().unwrap().ends_with(SUSPECT));
    let row = row.unwrap_or_else(|| panic!("{}: no row: {}", suspect.what, ran.explain()));
    assert_eq!(row["status"], suspect.status, "{}", ran.explain());
    let reason = row["reason"].as_str().unwrap();
    assert!(reason.contains(suspect.reason) && reason.lines().count() == 1, "{}", ran.explain());
    // The others are listed none the less, but for the one whose name is claimed twice.
    let is_well = |row: &Value| row["name"] == "native" && row["status"] == "available";
    let clash = suspect.reason == "has the same name";
    assert!(clash || rows.as_array().unwrap().iter().any(is_well), "{}", ran.explain());
}

fn libraries() {
    let place = Place::new();
    place.stage(&hostile("no_layout_runner"));
    let command = place.command(&["run", "--backend", "no_layout", "--workload", "null"]);
    Fenced::run(place, command, "a runner without a layout").ran.code(3);
    for (what, source, words) in LIBRARIES {
        let place = Place::new();
        library_in_c(source, &place.plugins().join("libin_c.so"));
        let command = place.command(&["workloads", "--json"]);
        let ran = Fenced::run(place, command, what).ran.code(0).says(words);
        let names = ran.json().to_string();
        assert!(names.contains("\"word_count\""), "{}", ran.explain());
    }
}

fn workload(harm: &workloads::Harm, engine: &str) {
    let place = Place::new();
    if engine != "native" {
        place.stage(&plugin(&format!("{engine}_runner")));
    }
    let command = workload_command(&place, harm, engine, "5s");
    check_workload(harm, engine, Fenced::run(place, command, harm.what).ran);
}

/// On an engine that has to be installed, and takes longer to notice.
fn workload_on_installed(harm: &workloads::Harm, engine: &'static str) {
    let installed = Installed::new(engine);
    let mut command = workload_command(&installed.place, harm, engine, "60s");
    command.env("CROSSRUN_DATA_DIR", installed.data());
    check_workload(harm, engine, Fenced::run(installed.place, command, harm.what).ran);
}

fn workload_command(place: &Place, harm: &workloads::Harm, engine: &str, timeout: &str) -> Command {
    place.stage(&hostile("misbehaving_workloads"));
    let words = ["run", "--json", "--no-lock", "--backend", engine, "--workload", harm.workload];
    let mut command = place.command(&[&words[..], &["--items", "20"]].concat());
    // Short for what hangs, and for nothing else: this machine may be busy.
    if harm.says[0].starts_with("no answer to ") {
        command.args(["--timeout", timeout]);
    }
    if harm.says[0].starts_with("no answer to expect") {
        command.env("CROSSRUN_DEADLINES", "expect=5s");
    }
    command
}

fn check_workload(harm: &workloads::Harm, engine: &str, ran: Ran) {
    assert_eq!(ran.output.status.code(), Some(harm.code), "{engine}: {}", ran.explain());
    assert!(harm.says.iter().any(|words| ran.stderr().contains(words)), "{engine}: {}", ran.explain());
}

/// On the engines that are large to install.
#[test]
#[ignore = "installs engines, and takes minutes"]
fn a_workload_that_misbehaves_inside_an_installed_engine_fails_its_row() {
    let engines = ["sage", "ray", "dask", "spark"];
    // What happens in the judge is the same on every engine.
    let harms = || workloads::HARMS.iter().filter(|harm| !harm.workload.ends_with("oracle"));
    let cases = engines.into_iter().flat_map(|engine| harms().map(move |harm| (engine, harm)));
    let cases: Vec<Case> =
        cases.map(|(engine, harm)| Box::new(move || workload_on_installed(harm, engine)) as Case).collect();
    // An engine starts a dozen processes: one at a time.
    in_parallel(&cases, 1);
}

/// The tables of `docs/fence.md`, made from those above.
fn document() -> String {
    let mut page =
        String::from("| what the backend does | in | outcome | message | remedy |\n|---|---|---|---|---|\n");
    for Harm { what, phases, outcome, remedy, .. } in HARMS {
        let phases: Vec<_> = phases.iter().map(|phase| phase.word()).collect();
        let (outcome, says) = match outcome {
            Outcome::Fails(kind, says) => (format!("failed: `{kind}`"), *says),
            Outcome::Warns(says) => ("verified, with a warning".to_owned(), *says),
            Outcome::Nothing => ("verified".to_owned(), ""),
            Outcome::Wrong(says) => ("a wrong answer".to_owned(), *says),
            Outcome::Invalid(says) => ("invalid".to_owned(), *says),
        };
        let says = if says.is_empty() { String::new() } else { format!("… {says} …") };
        page += &format!("| {what} | {} | {outcome} | {says} | {remedy} |\n", phases.join(", "));
    }
    page += "\n| what the workload does | exit code | message |\n|---|---|---|\n";
    for workloads::Harm { what, code, says, .. } in workloads::HARMS {
        page += &format!("| {what} | {code} | … {} … |\n", says[0]);
    }
    page += "\n| what is in the plugins folder | status | reason |\n|---|---|---|\n";
    for files::Suspect { what, status, reason, .. } in SUSPECTS {
        page += &format!("| {what} | {status} | … {reason} … |\n");
    }
    for (what, _, words) in LIBRARIES {
        page += &format!("| {what} | left out of the workloads | … {words} … |\n");
    }
    page
}

#[test]
fn the_document_has_the_tables_of_the_test() {
    let page = std::fs::read_to_string(repository().join("docs/fence.md")).unwrap();
    let tables = document();
    assert!(page.contains(&tables), "docs/fence.md should have:\n{tables}");
}
