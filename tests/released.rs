//! The released interface, word by word: options, exit codes, JSON keys, file names, and printed output. Users and their scripts
//! notice a change to a file in `tests/released`; CONTRIBUTING.md says how such a change is made.

mod comparisons;
pub(crate) mod planted;
mod plugins;
mod reports;
mod runs;
mod shapes;
mod text;

use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use self::text::{Wording, transcript, worded};
use crate::support::{Place, Ran, arguments_in, eventually, hostile, repository, send_signal};

/// Pins the keys of what `crossrun selftest --json` prints: its test has it, and it takes long.
pub(crate) fn selftest(outcome: &Value) {
    let mut shapes = shapes::Shapes::default();
    shapes.add("selftest", outcome);
    released("selftest", shapes.render());
}

/// Compares `text` with the file of that name in `tests/released`.
fn released(name: &str, text: impl AsRef<str>) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("released");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text.as_ref()));
}

/// The native backend, the one that misbehaves, and the standard workloads.
fn both() -> Place {
    let place = Place::new();
    place.stage(&hostile("misbehaving_runner"));
    place
}

/// Runs crossrun with the arguments in `command`. Leading words with `=` are environment variables.
fn words(place: &Place, command: &str) -> Ran {
    let mut words = command.split_whitespace().peekable();
    let mut variables = Vec::new();
    while let Some((name, value)) = words.peek().and_then(|word| word.split_once('=')) {
        variables.push((name, value));
        words.next();
    }
    let mut command = place.command(&words.collect::<Vec<_>>());
    command.envs(variables);
    Ran::of(command)
}

/// Runs each line of `commands` and tells what came of it.
fn transcripts(place: &Place, commands: &str, wording: Wording) -> String {
    let commands = commands.lines().map(str::trim).filter(|line| !line.is_empty());
    commands.map(|command| transcript(place, command, &words(place, command), wording)).collect()
}

/// The one line of JSON that comes of a command.
fn json_of(place: &Place, command: &str) -> Value {
    words(place, command).json()
}

/// The help of a command and of all commands below it.
fn helps(place: &Place, path: &str) -> String {
    let help = words(place, &format!("{path} --help")).code(0).stdout();
    let listed = help.split_once("\nCommands:\n").map_or("", |(_, listed)| listed);
    let listed = listed.lines().take_while(|line| !line.is_empty());
    // What is further to the right goes on with the line above.
    let verbs = listed.filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')));
    let verbs: Vec<_> =
        verbs.filter_map(|line| line.split(' ').next()).filter(|verb| *verb != "help").collect();
    let below =
        verbs.iter().map(|verb| helps(place, format!("{path} {verb}").trim_start())).collect::<String>();
    format!("$ {path} --help\n{}\n{below}", worded(place, &help, Wording::Exact))
}

#[test]
fn options() {
    let place = Place::empty();
    let all = helps(&place, "");
    assert!(all.contains("$ backends check --help") && all.contains("--locked"), "{all}");
    // Most commands have these in the words of the first.
    let (first, others) = all.split_once("\n$ run --help").unwrap();
    let (_, common) = first.split_once("\nOptions of every command:\n").unwrap();
    let (common, _) = common.split_once("\n\n").unwrap();
    let names = "  as above: --plugin-dir --allow-untrusted --locked --json --quiet --verbose";
    let all = format!("{first}\n$ run --help{}", others.replace(common, names));
    // What no help names: it says what it takes when that is missing.
    released("options", all + &transcripts(&place, "--version\nbackends --plugin-path", Wording::Named));
}

/// What cannot be asked for.
const REFUSED: &str = "
    dance
    run --items many
    run --parallelism 0
    run --timeout soon
    run --nodes 0
    run --extra nothing
    run --run-id ../x
    run --isolation some
    run --memory-limit much
    run --process-limit 0
    run --backend native --extra batch_size=0
    run --backend native --extra fusion=of
    run --backend native --extra max_wait_seconds=-1
    run --backend native --cores 1 --isolation none
    run --backend native --workload pipeline --extra stages=1000
    run --backend native --workload null --nodes 2
    run --backend nosuch
    run --backend nosuch --json
    run --backend mine
    run
    run --backend native --workload nosuch
    run --backend native --locked
    run --backend native --plugin-dir nowhere
    CROSSRUN_TEST_PROBE=unavailable run --backend misbehaving
    CROSSRUN_DEADLINES=load=soon backends
    CROSSRUN_MEMORY_LIMIT=much backends
    CROSSRUN_PROCESS_LIMIT=none backends
    CROSSRUN_LOG_LIMIT=much backends
    compare --quick --publish
    compare --backends nosuch
    compare --backends native --workloads nosuch
    compare --backends native --baseline misbehaving
    compare --backends native,native
    compare --resume nosuch
    metg --quick --blocks 5
    metg --extra iters=5
    metg --backends nosuch
    metg --backends native --coarsest 1us --finest 1ms
    report nosuch.jsonl
    report plugins
    diff nosuch.jsonl nosuch.jsonl
    diff a b --threshold much
    show nosuch
    workloads nosuch
    workloads new word_count
    workloads new ../x
    backends new native
    backends lock --locked
    backends lock --check
    backends inspect nosuch.so
    backends check nosuch.so
    backends check --list --include nosuch
    backends check plugins/libnative_runner.so --junit --json
    setup nosuch
    CROSSRUN_TEST_SETUP=error setup misbehaving
    completions nosuch
";

#[test]
fn exit_codes() {
    let place = both();
    std::fs::write(place.plugins().join("libmine_runner.so"), "rubbish").unwrap();
    let refused = transcripts(&place, REFUSED, Wording::Named);
    let cores = "run --backend native --cores 100000\nmetg --cores 100000";
    let cores = transcripts(&place, cores, Wording::Bare);
    // A machine may have one core, or several.
    let cores = cores.replace("may use 0 core;", "may use 0 cores;");
    assert!(!place.path().join("results/nosuch").exists());
    let results = place.path().join("results");
    let _ = std::fs::remove_dir_all(&results);
    std::fs::write(&results, "not a folder").unwrap();
    let unwritable = transcripts(
        &place,
        "run --backend native --workload null
         compare --backends native --workloads null --items 1 --blocks 1 --run-id a
         metg --backends native --blocks 1 --cores 1 --coarsest 40ns --run-id a",
        Wording::Named,
    );
    let folders = transcripts(
        &Place::empty(),
        "backends
         workloads
         backends lock
         selftest
         compare",
        Wording::Named,
    );
    released("exit_codes", refused + &cores + &unwritable + &folders + &interrupted());
}

/// A comparison that is interrupted while it measures.
fn interrupted() -> String {
    let place = Place::new();
    let compare = "compare --backends native --workloads null --items 10 --blocks 10000 --run-id a --quiet";
    let mut command = place.command(&arguments_in(compare));
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    eventually("there are some trials", || place.records_so_far("a") > 3);
    send_signal(child.id(), rustix::process::Signal::INT).unwrap();
    transcript(&place, compare, &Ran::ended(child), Wording::Named)
}

/// The lines of JSON in a file of a place.
fn lines_of(place: &Place, file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(place.path().join(file)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Every file and folder in a place but the plugins.
fn files(place: &Place) -> String {
    let mut paths = Vec::new();
    below(place.path(), &mut paths);
    let prefix = format!("{}/", place.path().display());
    let mut names: Vec<_> = paths.iter().map(|path| path.strip_prefix(&prefix).unwrap()).collect();
    names.retain(|name| !name.starts_with("plugins/"));
    names.sort_unstable();
    names.join("\n")
}

fn below(folder: &Path, paths: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let (path, is_folder) = (entry.path(), entry.file_type().unwrap().is_dir());
        paths.push(format!("{}{}", path.display(), if is_folder { "/" } else { "" }));
        if is_folder {
            below(&path, paths);
        }
    }
}

fn page(path: &str) -> String {
    std::fs::read_to_string(repository().join(path)).unwrap()
}

/// The keys of a report.
const REPORT: &str = "report_json.snap";

/// The keys in a snapshot, at every level.
fn keys(snapshot: &str) -> std::collections::BTreeSet<String> {
    let text = page(&format!("tests/released/{snapshot}"));
    let paths = text.lines().filter_map(|line| line.split_once(": ")).map(|(path, _)| path);
    // A snapshot may begin with what is printed for people. The machines of a report are as in a record.
    let paths =
        paths.filter(|path| !(path.contains(' ') || snapshot == REPORT && path.starts_with("machines[].")));
    const OPAQUE: [&str; 7] =
        ["extra", "versions", "profile", "plugin", "workload_library", "build", "items"];
    // What stands below these is somebody else's, or as in a record.
    let ours = paths.map(|path| {
        let names = path.split('.').map(|name| name.replace("[]", ""));
        let mut opaque = false;
        let names = names.take_while(move |name| {
            let is_below = opaque;
            opaque = OPAQUE.contains(&name.as_str());
            !is_below
        });
        names.collect::<Vec<_>>()
    });
    ours.flatten().filter(|key| key != "source" && !key.is_empty()).collect()
}

/// A page has each of these keys.
#[track_caller]
pub(crate) fn assert_has_keys<'k>(path: &str, keys: impl IntoIterator<Item = &'k String>) {
    let page = page(path);
    let missing: Vec<_> = keys.into_iter().filter(|key| !page.contains(&format!("`{key}`"))).collect();
    assert!(missing.is_empty(), "{path} lacks {missing:?}");
}

#[test]
fn the_page_on_reports_has_every_key() {
    let mut all: std::collections::BTreeSet<_> =
        [REPORT, "diff.snap", "history.snap"].into_iter().flat_map(keys).collect();
    let events = page("tests/released/events.snap");
    let events = events.lines().filter_map(|line| line.split_once(" event.")?.1.split_once(": "));
    // A report in an event is the same, and a machine check is as in a record.
    all.extend(events.map(|(path, _)| path).filter(|path| !path.contains('.')).map(str::to_owned));
    for key in
        ["margin_p_value", "granularity_seconds", "seconds_per_iteration", "done", "other_plugin", "noise"]
    {
        assert!(all.contains(key), "{all:?}");
    }
    assert_has_keys("docs/report-format.md", &all);
}

#[test]
fn the_page_on_json_has_every_other_command_and_its_keys() {
    let snapshots = ["listings_json", "check_json", "selftest", "setup", "doctor", "made_json"];
    let mut all: std::collections::BTreeSet<_> =
        snapshots.iter().flat_map(|name| keys(&format!("{name}.snap"))).collect();
    // The rest of that snapshot is the file of a plan, which is not for programs.
    let plan = page("tests/released/compare_plan.snap");
    let of_dry_run = |line: &str| line.ends_with("(dry_run)") || line.starts_with("plan_hash");
    let plan = plan.lines().filter(|line| of_dry_run(line)).filter_map(|line| line.split_once(": "));
    all.extend(plan.flat_map(|(path, _)| path.split('.').map(|name| name.replace("[]", ""))));
    all.remove("");
    for key in ["floor_seconds", "conformant", "kernel_stage", "most_seconds", "forgotten", "commands"] {
        assert!(all.contains(key), "{all:?}");
    }
    assert_has_keys("docs/json.md", &all);
    let (options, page) = (page("tests/released/options.snap"), page("docs/json.md"));
    let commands = options.lines().filter_map(|line| line.strip_prefix("$ ")?.strip_suffix(" --help"));
    for command in commands.map(str::trim).filter(|command| !command.is_empty()) {
        let is_there = page.lines().any(|line| {
            let (cells, command) = (line.split('|').nth(1).unwrap_or_default(), format!("`{command}`"));
            cells.split(',').any(|cell| cell.trim() == command)
        });
        assert!(is_there, "docs/json.md does not say what `{command}` prints");
    }
}
