//! What tells of plugins and of the machine: `backends`, `workloads`, `setup`, `doctor`, `selftest`, and what writes files
//! for authors and shells.

use super::shapes::Shapes;
use super::text::Wording;
use super::{both, files, json_of, released, transcripts};
use crate::support::{Place, hostile, plugin};

/// Plugins of every status.
fn of_every_status() -> Place {
    let place = both();
    place.stage_as(&plugin("native_runner"), "libzz_copy.so");
    std::fs::write(place.plugins().join("librubbish_runner.so"), "rubbish").unwrap();
    place
}

const LISTINGS: &str = "
    backends
    CROSSRUN_TEST_PROBE=unavailable backends
    backends --no-probe
    backends inspect plugins/libmisbehaving_runner.so
    backends inspect plugins/libstandard_workloads.so
    backends inspect plugins/librubbish_runner.so
    backends lock --output a.lock --check
    backends --locked=a.lock
    workloads
    workloads word_count
    workloads open_loop
";

const AFTER_A_CHANGE: &str = "
    backends lock --output a.lock --check
    backends --locked=a.lock
    run --backend misbehaving --workload null --locked=a.lock
    run --backend native --workload null --locked=a.lock
";

#[test]
fn listings() {
    let place = of_every_status();
    let mut shapes = Shapes::default();
    let mut said = transcripts(&place, "backends lock --output a.lock", Wording::Bare);
    said += &transcripts(&place, LISTINGS, Wording::Named);
    for (name, command) in [
        ("backends", "CROSSRUN_TEST_PROBE=unavailable backends --json"),
        ("no_probe", "backends --no-probe --json"),
        ("inspect", "backends inspect plugins/libmisbehaving_runner.so --json"),
        ("inspect_workloads", "backends inspect plugins/libstandard_workloads.so --json"),
        ("inspect_rubbish", "backends inspect plugins/librubbish_runner.so --json"),
        ("lock", "backends lock --output a.lock --json"),
        ("locked", "backends --locked=a.lock --json"),
        ("workloads", "workloads --json"),
        ("workload", "workloads word_count --json"),
    ] {
        shapes.add(name, &json_of(&place, command));
    }
    let lock = std::fs::read(place.path().join("a.lock")).unwrap();
    shapes.add("lock_file", &serde_json::from_slice(&lock).unwrap());
    // One is gone, one is another file, and one is new.
    std::fs::remove_file(place.plugins().join("libnative_runner.so")).unwrap();
    std::fs::remove_file(place.plugins().join("libzz_copy.so")).unwrap();
    let changed = place.plugins().join("libmisbehaving_runner.so");
    let bytes = [std::fs::read(&changed).unwrap(), vec![0]].concat();
    std::fs::write(&changed, bytes).unwrap();
    place.stage(&hostile("deviant_runner"));
    said += &transcripts(&place, AFTER_A_CHANGE, Wording::Named);
    shapes.add("lock_check", &json_of(&place, "backends lock --output a.lock --check --json"));
    shapes.add("locked", &json_of(&place, "backends --locked=a.lock --json"));
    released("listings", said);
    released("listings_json", shapes.render());
}

#[test]
fn what_authors_and_machines_are_told_as_json() {
    let place = both();
    let mut shapes = Shapes::default();
    for (name, command) in [
        ("backend", "backends new made --json"),
        ("workloads", "workloads new made --json"),
        ("items", "workloads show word_count --items 2 --json"),
        ("expected", "workloads show word_count --items 2 --expected --json"),
        ("graph", "workloads task_graph --json"),
        ("man", "man pages --json"),
        ("reset", "doctor --reset --json"),
    ] {
        shapes.add(name, &json_of(&place, command));
    }
    released("made_json", shapes.render());
}

#[test]
fn checks() {
    let place = both();
    place.stage(&hostile("deviant_runner"));
    let some = "--include file --include load.name --include spec.fusion";
    let deviant = "CROSSRUN_TEST_DEVIATION=takes_any_fusion backends check plugins/libdeviant_runner.so";
    let absent = "CROSSRUN_TEST_PROBE=unavailable backends check plugins/libmisbehaving_runner.so";
    let library = "backends check plugins/libstandard_workloads.so";
    let said = transcripts(
        &place,
        &format!(
            "{deviant} {some}
             {deviant} {some} --junit
             {absent} --include probe --include load.name --include run.sizes
             {library} --include file.metadata --include load.name"
        ),
        Wording::Named,
    );
    let list = transcripts(&place, "backends check --list", Wording::Exact);
    let mut shapes = Shapes::default();
    shapes.add("list", &json_of(&place, "backends check --list --json"));
    shapes.add("deviant", &json_of(&place, &format!("{deviant} {some} --json")));
    shapes.add("absent", &json_of(&place, &format!("{absent} --include probe --include load.name --json")));
    shapes.add("workloads", &json_of(&place, &format!("{library} --include file.metadata --json")));
    released("check", list + &without_times(&said));
    released("check_json", shapes.render());
}

/// What JUnit says of times.
fn without_times(text: &str) -> String {
    let mut parts = text.split(" time=\"");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + " time=\"0\"" + part.split_once('"').map_or("", |(_, rest)| rest))
}

#[test]
fn set_up() {
    let place = Place::with_misbehaving();
    let said = transcripts(
        &place,
        "setup misbehaving
         setup misbehaving --remove
         CROSSRUN_TEST_SETUP=error setup misbehaving",
        Wording::Named,
    );
    let mut shapes = Shapes::default();
    shapes.add("done", &json_of(&place, "setup misbehaving --json"));
    let after = files(&place);
    shapes.add("removed", &json_of(&place, "setup misbehaving --remove --json"));
    shapes.add("failed", &json_of(&place, "CROSSRUN_TEST_SETUP=error setup misbehaving --json"));
    released("setup", format!("{said}{}\n{after}\n", shapes.render()));
}

#[test]
fn doctor() {
    let place = both();
    let mut shapes = Shapes::default();
    let report = json_of(&place, "CROSSRUN_TEST_PROBE=unavailable doctor --json");
    shapes.add("doctor", &report);
    let looked_at = report["machine"].as_array().unwrap().iter();
    let looked_at: Vec<_> = looked_at.map(|finding| finding["id"].as_str().unwrap()).collect();
    let text = super::words(&place, "CROSSRUN_TEST_PROBE=unavailable doctor").code(0).stdout();
    let text = text.replace(place.path().to_str().unwrap(), "PLACE");
    let headings: Vec<_> = text.lines().next().unwrap().split_whitespace().collect();
    // What is found, and which programs there are, differs between machines.
    let backends = text.lines().skip_while(|line| !line.starts_with("uv: ")).skip(1);
    let backends = backends
        .map(|line| line.split_once(" that may make measurements noisy").map_or(line, |(_, rest)| rest));
    let backends = backends.collect::<Vec<_>>().join("\n");
    let (headings, looked_at) = (headings.join(" "), looked_at.join(" "));
    released("doctor", format!("{headings}\n{looked_at}\n{backends}\n\n{}", shapes.render()));
}

#[test]
fn what_is_written_for_authors_and_shells() {
    let place = both();
    let said = transcripts(
        &place,
        "backends new mine
         workloads new yours
         man pages",
        Wording::Named,
    );
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = super::words(&place, &format!("completions {shell}")).code(0).stdout();
        assert!(script.contains("allow-untrusted") && script.contains("resume"), "{shell}: {script}");
    }
    // The sources of our own crates are as they are.
    let written = files(&place);
    let written: Vec<_> = written.lines().filter(|name| !name.contains("/vendor/")).collect();
    released("written", format!("{said}{}\n", written.join("\n")));
}
