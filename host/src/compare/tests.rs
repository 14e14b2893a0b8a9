//! Comparisons of records that are made here.

mod comparability;
mod doubts;
mod open_loop;
mod pairs;
mod rows;
mod trends;
mod verdicts;
mod whole;

use std::ops::RangeBounds;
use std::time::{Duration, UNIX_EPOCH};

use plugin_api::WorkloadSpec;
use plugin_api::random::mix;
use plugin_api::workload::Outcome as Answer;
use serde_json::{Map, json};

use super::model::*;
use super::*;
use crate::plan::{self, BackendChoice, Cell, Purpose};
use crate::record::machine_history::AaFactors;
use crate::record::trial::examples::{Example, error, finished};
use crate::record::{Library, SystemProfile, latency};
use crate::run::outcome::Outcome;
use crate::run::session::{CallError, Fault};
use crate::run::task_graph::TaskGraph;
use crate::run::trial::{Phases, TrialResult, TrialSpec};
use crate::worker::protocol::Finished;

fn library(name: &str, release: bool) -> Library {
    let build = json!({"opt_level": if release { "3" } else { "0" }, "debug_assertions": !release});
    Library {
        build: build.as_object().unwrap().clone(),
        ..Library::new(format!("plugins/lib{name}.so").as_ref(), format!("{name:0<16}"))
    }
}

fn example(backend: &str, workload: &str, block: u32, seconds: f64) -> Example {
    let mut spec = WorkloadSpec::new(workload);
    spec.total_items = 1000;
    let point = plan::Point {
        workload,
        items: Some(1000),
        parallelism: 2,
        scheduler: "default",
        nodes: 1,
        extra: &Map::new(),
    };
    let answer = Answer { count: 500, checksum: "00ff".into(), waiting_seconds: None, latency: None };
    let started = UNIX_EPOCH + Duration::from_secs(1_771_646_327 + u64::from(block));
    Example {
        trial: TrialSpec {
            backend: BackendChoice::new(backend),
            cell: Cell { run_id: format!("night/{point}"), point: point.to_string(), spec },
            nodes: 1,
            block: Some(block),
            purpose: Purpose::Measured,
            data_seed: 7,
            granularity: None,
        },
        result: TrialResult {
            actual: Some(answer.clone()),
            expected: Some(answer),
            finished: Some(Finished {
                scheduler_name: "default".into(),
                metrics: Map::new(),
                ..finished(seconds)
            }),
            phases: Phases { load_seconds: Some(0.25), open_seconds: Some(2.0), ..Phases::default() },
            ..TrialResult::new(started, Outcome::Verified)
        },
        plugin: Some(library(backend, true)),
        workload_library: Some(library("workloads", true)),
        system_profile: SystemProfile { hostname: Some("machine".into()), ..SystemProfile::default() },
        locked: true,
        command: format!("crossrun run --backend {backend}"),
        log: None,
    }
}

fn fail(example: &mut Example) {
    let failure = error("run", Fault::Crashed, "ended by SIGSEGV");
    let failure = CallError { remedy: Some("see the log".into()), ..failure };
    example.result = TrialResult::new(example.result.started, Outcome::Failed(failure));
}

/// The graph that a trial ran in this form.
fn graph(form: Form) -> Option<TaskGraph> {
    Some(TaskGraph { form, steps: 4, width: 8, output_bytes: 64 })
}

fn answer_wrongly(example: &mut Example) {
    example.result.outcome = Outcome::Wrong(error("judge", Fault::WrongAnswer, "another checksum"));
}

/// A trial of an open loop with the latencies of so many items.
fn with_latency(backend: &str, block: u32, items: u64, milliseconds: [f64; 3]) -> Example {
    example(backend, "open_loop", block, 1.0).with(|example| set_latency(example, items, milliseconds))
}

fn set_latency(example: &mut Example, items: u64, milliseconds: [f64; 3]) {
    let latency = latency::examples::latency(items, milliseconds);
    example.result.actual.as_mut().unwrap().latency = Some(latency);
}

fn record(example: Example, line: u64) -> Input {
    let source = Source { file: "trials.jsonl".into(), line };
    Input::trial(source, example.record())
}

fn recorded(examples: impl IntoIterator<Item = Example>) -> Vec<Input> {
    examples.into_iter().zip(1..).map(|(example, line)| record(example, line)).collect()
}

/// `blocks` blocks of each backend at its speed over 1, with a drift that all share and a little noise of its own.
fn blocks(workload: &str, blocks: u32, speeds: &[(&str, f64)]) -> Vec<Example> {
    let trial = |block: u32, (place, (backend, speed)): (usize, &(&str, f64))| {
        let drift = 1.0 + 0.1 * f64::from(block % 3);
        let noise = 1.0 + 8e-6 * (mix(u64::from(block) * 16 + place as u64) % 1000) as f64;
        example(backend, workload, block, drift * noise / speed)
    };
    (0..blocks).flat_map(|block| speeds.iter().enumerate().map(move |speed| trial(block, speed))).collect()
}

/// On a machine of which the records say what it does about a weakness of its processor, or do not say it, as earlier ones.
fn mitigate(example: &mut Example, with: Option<&str>) {
    let mitigations = with.map(|with| [("spectre_v1".to_owned(), with.to_owned())].into());
    example.system_profile.mitigations = mitigations;
}

/// The examples of a backend, or all, after a change.
fn changed(examples: Vec<Example>, backend: &str, change: impl Fn(&mut Example)) -> Vec<Example> {
    let concerned = |example: &Example| backend.is_empty() || example.trial.backend.name == backend;
    let changed = |example: Example| if concerned(&example) { example.with(&change) } else { example };
    examples.into_iter().map(changed).collect()
}

/// The records of a run that began at this second, with a block each second.
fn of_run(examples: Vec<Example>, second: u64) -> Vec<Input> {
    let mut inputs = recorded(changed(examples, "", |example| {
        let block = u64::from(example.trial.block.unwrap());
        example.result.started = UNIX_EPOCH + Duration::from_secs(second + block);
    }));
    mark_runs(&mut inputs);
    inputs
}

/// The same in some of the blocks.
fn changed_in(
    examples: Vec<Example>,
    backend: &str,
    in_blocks: impl RangeBounds<u32>,
    change: impl Fn(&mut Example),
) -> Vec<Example> {
    changed(examples, backend, |example| {
        if example.trial.block.is_some_and(|block| in_blocks.contains(&block)) {
            change(example);
        }
    })
}

/// Blocks of a, and of b, which is twice as fast.
fn pair(count: u32) -> Vec<Example> {
    blocks("pipeline", count, &[("a", 1.0), ("b", 2.0)])
}

/// Twelve blocks of a, and of b, which is faster, after a change of one of them, or of both, in some of the blocks.
fn two(backend: &str, in_blocks: impl RangeBounds<u32>, change: impl Fn(&mut Example)) -> Vec<Example> {
    changed_in(blocks("pipeline", 12, &[("a", 1.0), ("b", 1.3)]), backend, in_blocks, change)
}

/// As `--aa` records it: the same file under a second name.
fn same_file(examples: Vec<Example>) -> Vec<Example> {
    changed(examples, "a-again", |example| example.plugin = Some(library("a", true)))
}

fn standard(examples: impl IntoIterator<Item = Example>) -> Comparison {
    rigorous(Rigor::Standard, examples)
}

fn rigorous(rigor: Rigor, examples: impl IntoIterator<Item = Example>) -> Comparison {
    compare(&recorded(examples), &Options { rigor, ..Options::default() }).unwrap()
}

fn row<'a>(comparison: &'a Comparison, backend: &str) -> &'a Row {
    comparison.points[0].rows.iter().find(|row| row.backend == backend).unwrap()
}

fn ratio(comparison: &Comparison, backend: &str) -> Ratio {
    row(comparison, backend).ratio.unwrap()
}

fn warns(comparison: &Comparison, kind: WarningKind) -> &Warning {
    let found = comparison.warnings.iter().find(|warning| warning.kind == kind);
    found.unwrap_or_else(|| panic!("no {kind:?} in {:?}", comparison.warnings))
}
