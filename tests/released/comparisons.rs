//! `compare` and `metg`: their events, what they print and record, and what they leave. The tables are pinned with their
//! figures by `reports`.

use serde_json::{Value, json};

use super::shapes::Shapes;
use super::text::{Wording, transcript};
use super::{both, files, json_of, lines_of, released, words};
use crate::support::{Place, without_chain};

/// Each line of `commands` with what came of it, without the charts: how wide they are depends on figures.
fn told(place: &Place, commands: &str) -> String {
    let commands = commands.lines().map(str::trim).filter(|line| !line.is_empty());
    let told = commands.map(|command| transcript(place, command, &words(place, command), Wording::Bare));
    told.map(|told| without_chart(&told)).collect()
}

fn without_chart(text: &str) -> String {
    let Some((before, rest)) = text.split_once("\nefficiency (share of the cores' time in kernels)") else {
        return text.into();
    };
    let Some((_, after)) = rest.split_once("* several\n") else { return text.into() };
    format!("{before}\nCHART\n{after}")
}

/// The keys of every event, and of every trial that is recorded.
#[derive(Default)]
struct Keys {
    events: Shapes,
    records: Shapes,
}

impl Keys {
    /// Adds what comes of a command, which is called `run`.
    fn add(&mut self, place: &Place, run: &str, command: &str) {
        let ran = words(place, &format!("{command} --json --run-id {run}"));
        let events = ran.stdout();
        let events: Vec<Value> = events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let folder = format!("results/{run}");
        let report = document(place, &format!("{folder}/report.json"));
        let last = events.last().unwrap();
        assert_eq!(last.get("comparison").or(last.get("metg")), Some(&report), "{}", ran.explain());
        for event in events {
            let kind = event["event"].as_str().unwrap().to_owned();
            // Whether a session is put off depends on what else the machine does.
            if kind == "put_off" {
                assert_eq!(
                    event.as_object().unwrap().keys().collect::<Vec<_>>(),
                    ["backend", "event", "reason"]
                );
                continue;
            }
            self.events.add(run, &json!({ format!("{kind} event"): event }));
        }
        let trials = lines_of(place, &format!("{folder}/trials.jsonl"));
        for trial in &trials {
            self.records.add(&format!("{run}:{}", trial["kind"].as_str().unwrap()), trial);
        }
        let measured = trials.iter().filter(|trial| trial["kind"] == "measured");
        let measured: Vec<_> = measured.map(|trial| trial["record"].clone()).collect();
        let unified = lines_of(place, &format!("{folder}/unified_results.jsonl"));
        assert_eq!(measured, unified.into_iter().map(without_chain).collect::<Vec<_>>());
    }
}

fn document(place: &Place, path: &str) -> Value {
    serde_json::from_slice(&std::fs::read(place.path().join(path)).unwrap()).unwrap()
}

const COMPARISONS: &str = "
    compare --backends native --workloads null,pipeline --items 10 --blocks 2 --dry-run
    compare --backends native --workloads null --items 10 --blocks 1 --run-id verified
    compare --resume verified
    compare --backends native --workloads null --items 10 --blocks 1 --run-id verified
    compare --backends native --workloads null --items 10 --blocks 2 --run-id brief --time-budget 1ms --no-lock
    compare --backends native --workloads null --items 10 --quick --aa --run-id quick --quiet
    compare --backends old=plugins/libnative_runner.so --workloads null --items 10 --blocks 1 --run-id named
    compare --backends misbehaving --workloads null --items 10 --blocks 1 --run-id wrong --extra behaviour=drop
    compare --backends misbehaving --workloads null --items 10 --blocks 1 --run-id failed --extra behaviour=segfault
    compare --backends misbehaving --workloads null --items 10 --blocks 1 --run-id invalid --extra behaviour=claim_more_time
    show verified
";

#[test]
fn comparisons() {
    let place = both();
    released("compare", told(&place, COMPARISONS));
    let mut plans = Shapes::default();
    plans.add("plan.json", &document(&place, "results/verified/plan.json"));
    let dry_run = "compare --backends native --workloads null --items 10 --blocks 1 --dry-run --json";
    plans.add("dry_run", &json_of(&place, dry_run));
    released("compare_plan", plans.render());
    released("compare_files", files(&place));
}

/// No engine hands out a task in the time of some iterations: no kernel of these sweeps reaches 90 % efficiency.
const SWEEPS: &str = "
    metg --blocks 1 --cores 1 --coarsest 40ns --backends native --run-id bound
    metg --blocks 1 --cores 1 --coarsest 40ns --backends misbehaving --run-id wrong --extra behaviour=drop
    metg --blocks 1 --cores 1 --coarsest 40ns --backends misbehaving --run-id failed --extra behaviour=segfault
";

#[test]
fn sweeps() {
    let place = both();
    released("metg", told(&place, SWEEPS));
    released("metg_files", files(&place));
}

#[test]
fn events_and_records() {
    let place = both();
    let mut keys = Keys::default();
    let small = "--workloads null --items 10 --blocks 1";
    keys.add(&place, "compare", &format!("compare --backends native --aa {small}"));
    for (run, behaviour) in [("compare_wrong", "drop"), ("compare_failed", "segfault")] {
        let extra = format!("--extra behaviour={behaviour}");
        keys.add(&place, run, &format!("compare --backends misbehaving {small} {extra}"));
    }
    let small = "--blocks 1 --cores 1 --coarsest 40ns";
    keys.add(&place, "metg", &format!("metg --backends native {small}"));
    keys.add(&place, "metg_wrong", &format!("metg --backends misbehaving {small} --extra behaviour=drop"));
    released("events", keys.events.render());
    released("comparison_records", keys.records.render());
}
