use std::time::UNIX_EPOCH;

use plugin_api::WorkloadSpec;
use plugin_api::workload::Outcome as Answer;
use serde_json::json;

use super::*;
use crate::compare::model::Source;
use crate::plan::{BackendChoice, Cell};
use crate::record::trial::examples;
use crate::record::{Library, SystemProfile};
use crate::run::outcome::Outcome;
use crate::run::session::{CallError, Fault};
use crate::run::task_graph::TaskGraph;
use crate::run::trial::{TrialResult, TrialSpec};

/// Seconds of an iteration.
const EACH: f64 = 1e-9;

struct Example {
    backend: &'static str,
    block: u32,
    iterations: u64,
    /// The overhead of a task in seconds of a core.
    overhead: f64,
    outcome: Outcome,
}

impl Example {
    fn new(backend: &'static str, block: u32, iterations: u64, overhead: f64) -> Self {
        Self { backend, block, iterations, overhead, outcome: Outcome::Verified }
    }

    fn warm_up(backend: &'static str, block: u32, iterations: u64) -> Input {
        Input { kind: Kind::Warmup, ..Self::new(backend, block, iterations, 1e-6).input() }
    }

    fn input(self) -> Input {
        let mut spec = WorkloadSpec::new("pipeline");
        spec.total_items = 1000;
        spec.extra.insert("iters".into(), self.iterations.into());
        let kernel_seconds = self.iterations as f64 * EACH;
        let answer = Answer { count: 500, checksum: "00".into(), latency: None, waiting_seconds: None };
        let seconds = 1000.0 * (kernel_seconds + self.overhead) / 2.0;
        let example = examples::Example {
            trial: TrialSpec {
                granularity: Some(Granularity {
                    seconds_per_iteration: EACH,
                    kernel_seconds,
                    ..Granularity::default()
                }),
                block: Some(self.block),
                cell: Cell {
                    point: String::new(),
                    run_id: format!("run/pipeline/iters={}", self.iterations),
                    spec,
                },
                backend: BackendChoice::new(self.backend),
                ..examples::example(Outcome::Verified).trial
            },
            result: TrialResult {
                actual: Some(answer.clone()),
                expected: Some(answer),
                finished: Some(examples::finished(seconds)),
                ..TrialResult::new(UNIX_EPOCH, self.outcome)
            },
            plugin: Some(Library::new("plugins/lib.so".as_ref(), "ab")),
            system_profile: SystemProfile::default(),
            ..examples::example(Outcome::Verified)
        };
        Input::trial(Source { file: "trials.jsonl".into(), line: 1 }, example.record())
    }
}

fn sweep(backend: &'static str, block: u32, overhead: f64) -> impl Iterator<Item = Input> {
    (0..20).map(move |exponent| Example::new(backend, block, 1 << exponent, overhead).input())
}

/// A sweep over the tasks of a graph of this workload with these options, after a change.
fn graph_sweep(
    backend: &'static str,
    overhead: f64,
    (workload, options): (&str, Json),
    change: impl Fn(&mut Input),
) -> Vec<Input> {
    let of_graph = sweep(backend, 0, overhead).map(|mut input| {
        input.record.workload = workload.into();
        input.record.metadata.extra.extend(options.as_object().unwrap().clone());
        change(&mut input);
        input
    });
    of_graph.collect()
}

#[test]
fn a_backend_has_the_value_of_its_blocks_and_the_smallest_comes_first() {
    let slow = (0..7).flat_map(|block| sweep("slow", block, 50e-6 * (1.0 + 0.01 * f64::from(block * 3 % 7))));
    let quick = (0..7).flat_map(|block| sweep("quick", block, 1e-6 * (1.0 + 0.01 * f64::from(block))));
    let sweeps = sweeps(&slow.chain(quick).collect::<Vec<_>>());
    assert_eq!(sweeps.rows.iter().map(|row| row.backend.as_str()).collect::<Vec<_>>(), ["quick", "slow"]);
    let row = &sweeps.rows[0];
    let Some(Value::At { seconds }) = row.value else { panic!("{:?}", row.value) };
    assert!((seconds / 1.03e-6 - 1.0).abs() < 0.01, "{seconds}");
    assert_eq!(row.metg, Some(Value::At { seconds: 2.0 * seconds }));
    let interval = row.interval.unwrap();
    assert!(interval.low <= seconds && seconds <= interval.high && interval.confidence >= 0.95);
    let published = row.metg_interval.unwrap();
    assert_eq!((published.low, published.high), (2.0 * interval.low, 2.0 * interval.high));
    assert!(
        matches!(row.blocks[0].outcome, SweepOutcome::Value { metg, value } if metg.seconds() == 2.0 * value.seconds())
    );
    assert!((row.floor.unwrap() / 1.03e-6 - 1.0).abs() < 0.01);
    assert_eq!((row.cores, row.blocks_with_value, row.blocks.len(), row.curve.len()), (2, 7, 7, 20));
    assert!(row.curve.is_sorted_by(|one, next| one.efficiency < next.efficiency));
    // A task of 16 iterations takes 16 ns and the overhead, which is 1.03 µs in the middle block.
    assert!((row.curve[4].granularity_seconds / 1.046e-6 - 1.0).abs() < 0.001);
    let point = &row.blocks[0].points[4];
    assert!((point.granularity_seconds.unwrap() / 1.016e-6 - 1.0).abs() < 1e-9);
    assert!(sweeps.warnings.is_empty(), "{:?}", sweeps.warnings);
}

#[test]
fn a_sweep_that_was_interrupted_before_a_longer_kernel_did_not_end_with_a_low_efficiency() {
    // Of a kernel of 64 ns with an overhead of 1 µs, 6 % is work.
    let first = |is_longest| {
        let mut input = Example::new("one", 0, 1 << 6, 1e-6).input();
        input.record.metadata.metg.as_mut().unwrap().is_longest = is_longest;
        sweeps(&[Example::warm_up("one", 0, 1), input]).rows[0].blocks[0].outcome.clone()
    };
    assert_eq!(first(Some(false)), SweepOutcome::Unfinished);
    // It was the longest, or that is not known.
    for is_longest in [Some(true), None] {
        assert!(matches!(first(is_longest), SweepOutcome::NeverEfficient { .. }), "{is_longest:?}");
    }
}

#[test]
fn sweeps_of_a_run_that_are_missing_are_counted() {
    let warned = |planned, blocks: std::ops::Range<u32>| {
        let mut inputs: Vec<_> = blocks.flat_map(|block| sweep("one", block, 1e-6)).collect();
        inputs.iter_mut().for_each(|input| input.record.metadata.sweeps = planned);
        sweeps(&inputs).warnings.into_iter().find(|warning| warning.starts_with("unfinished: "))
    };
    let warning = warned(Some(3), 0..2).unwrap();
    assert!(warning.starts_with("unfinished: 2 of 3 sweeps of run run came to an end; "), "{warning}");
    assert_eq!((warned(Some(3), 0..3), warned(None, 0..2)), (None, None));
}

#[test]
fn a_sweep_that_was_interrupted_says_nothing_of_its_block() {
    let warm_up = |block| Example::warm_up("one", block, 1);
    let whole = (0..6).flat_map(|block| sweep("one", block, 1e-6 * (1.0 + 0.01 * f64::from(block))));
    // Interrupted at a kernel of 65 µs, where 98 % is work, or short of one that was to be doubled.
    let cut = |block, from: u32, to: u32| {
        (from..to).map(move |exponent| Example::new("one", block, 1 << exponent, 1e-6).input())
    };
    let found = sweeps(&(0..7).map(warm_up).chain(whole).chain(cut(6, 16, 20)).collect::<Vec<_>>());
    let row = &found.rows[0];
    assert!(matches!(row.metg, Some(Value::At { .. })) && row.metg_interval.is_some(), "{row:?}");
    assert_eq!((row.blocks.len(), row.blocks_with_value), (7, 6));
    assert_eq!((&row.blocks[6].outcome, row.blocks[6].floor), (&SweepOutcome::Unfinished, None));
    for (from, to) in [(16, 20), (9, 11), (10, 11)] {
        let alone = &sweeps(&iter::once(warm_up(0)).chain(cut(0, from, to)).collect::<Vec<_>>()).rows[0];
        assert_eq!((alone.metg, alone.floor), (None, None));
        assert_eq!(alone.blocks[0].outcome, SweepOutcome::Unfinished, "{from}");
    }
    // It ends where little of the time is work, or with its shortest kernel.
    let ended = &sweeps(&iter::once(warm_up(0)).chain(cut(0, 6, 20)).collect::<Vec<_>>()).rows[0];
    assert_eq!(ended.blocks_with_value, 1, "{ended:?}");
    let ended = &sweeps(&iter::once(warm_up(0)).chain(cut(0, 0, 20)).collect::<Vec<_>>()).rows[0];
    assert_eq!(ended.blocks_with_value, 1, "{ended:?}");
    // Records that say which kernel is the shortest need no warm-ups for it.
    let said = |from: u32| {
        let mut inputs: Vec<_> = cut(0, from, 20).collect();
        for (exponent, input) in (from..).zip(&mut inputs) {
            input.record.metadata.metg.as_mut().unwrap().is_shortest = Some(exponent == 0);
        }
        sweeps(&inputs).rows[0].blocks[0].outcome.clone()
    };
    assert_eq!(said(16), SweepOutcome::Unfinished);
    for from in [0, 6] {
        assert!(matches!(said(from), SweepOutcome::Value { .. }), "{from}");
    }
}

#[test]
fn two_sweeps_with_one_id_are_two_sweeps_and_a_copy_of_one_is_none() {
    let of_run = |started: &str, overhead: f64| {
        let mut inputs: Vec<_> = sweep("a", 0, overhead).collect();
        inputs.iter_mut().for_each(|input| input.record.timestamp = started.into());
        crate::compare::mark_runs(&mut inputs);
        inputs
    };
    let (one, other) = (of_run("2026-01-01T00:00:00Z", 1e-6), of_run("2026-01-02T00:00:00Z", 50e-6));
    let both = sweeps(&[one.clone(), other].concat());
    assert_eq!((both.rows[0].blocks.len(), both.rows[0].blocks_with_value), (2, 2));
    let runs: Vec<_> = both.rows[0].blocks.iter().map(|block| block.run.as_str()).collect();
    assert_eq!(runs, ["run of 2026-01-01T00:00:00Z", "run of 2026-01-02T00:00:00Z"]);
    let copied = sweeps(&[one.clone(), one.clone()].concat());
    assert_eq!((copied.rows[0].blocks.len(), copied.rows[0].blocks[0].points.len()), (1, 20));
    assert!(copied.warnings.iter().any(|warning| warning.contains("20 duplicates left out")));
    assert_eq!(copied.rows, sweeps(&one).rows);
}

#[test]
fn blocks_of_several_runs_are_in_the_order_in_which_they_were_run() {
    let of_run = |run: &str, started: &str, overhead: f64| {
        let mut inputs: Vec<_> = sweep("a", 0, overhead).collect();
        for input in &mut inputs {
            input.record.timestamp = started.into();
            input.record.run_id = input.record.run_id.replace("run/", &format!("{run}/"));
        }
        crate::compare::mark_runs(&mut inputs);
        inputs
    };
    let (first, later) =
        (of_run("z", "2026-01-01T00:00:00Z", 1e-6), of_run("a", "2026-01-02T00:00:00Z", 50e-6));
    let values: Vec<_> = sweeps(&[later, first].concat()).rows[0]
        .blocks
        .iter()
        .map(|block| block.value().unwrap().seconds())
        .collect();
    assert!(values.len() == 2 && values[0] < values[1], "{values:?}");
}

#[test]
fn a_block_with_a_wrong_answer_or_a_failure_has_no_value_and_says_why() {
    let failure = CallError {
        remedy: Some("crossrun run".into()),
        ..examples::error("run", Fault::Crashed, "it died")
    };
    for (outcome, status) in [
        (Outcome::Wrong(examples::error("judge", Fault::WrongAnswer, "499")), Status::Wrong),
        (Outcome::Invalid(examples::error("judge", Fault::InvalidMeasurement, "a claim")), Status::Invalid),
        (Outcome::Failed(failure), Status::Failed),
    ] {
        let mut inputs: Vec<_> = (0..3).flat_map(|block| sweep("one", block, 1e-6)).collect();
        inputs[5] = Example { outcome, ..Example::new("one", 0, 1 << 5, 1e-6) }.input();
        let sweeps = sweeps(&inputs);
        let row = &sweeps.rows[0];
        assert_eq!((row.blocks_with_value, row.blocks.len()), (2, 3));
        assert!(
            matches!(&row.blocks[0].outcome, SweepOutcome::Failed { status: it, .. } if *it == status),
            "{:?}",
            row.blocks[0].outcome
        );
        assert_eq!((row.blocks[0].floor, row.interval), (None, None));
        assert!(matches!(row.value, Some(Value::At { .. })));
    }
}

#[test]
fn a_block_in_which_the_clock_of_the_worker_is_slow_has_no_value() {
    let by_host = |more: f64| {
        let mut inputs: Vec<_> = sweep("a", 0, 1e-6).collect();
        for metadata in inputs.iter_mut().map(|input| &mut input.record.metadata) {
            metadata.host_elapsed = metadata.worker_elapsed.map(|seconds| seconds + more);
        }
        sweeps(&inputs).rows.remove(0)
    };
    assert_eq!(by_host(0.015).blocks_with_value, 1);
    let row = by_host(0.03);
    assert_eq!((row.blocks_with_value, row.metg), (0, None));
    let SweepOutcome::Failed { status: Status::Invalid, message, .. } = &row.blocks[0].outcome else {
        panic!("{:?}", row.blocks[0].outcome)
    };
    assert!(message.contains("the host's clock shows 0.030 s more"), "{message}");
}

#[test]
fn a_row_in_which_the_clock_of_the_worker_is_slow_where_it_decides_has_no_value() {
    // With 512 iterations efficiency is 34 %, and with 1024 it is 51 %.
    let by_host = |blocks: u32, near: [f64; 2], others: f64| {
        let mut inputs: Vec<_> = (0..blocks).flat_map(|block| sweep("a", block, 1e-6)).collect();
        for metadata in inputs.iter_mut().map(|input| &mut input.record.metadata) {
            let more = match metadata.extra.get(ITERATIONS).and_then(Json::as_u64) {
                Some(512) => near[0],
                Some(1024) => near[1],
                _ => others,
            };
            metadata.host_elapsed = metadata.worker_elapsed.map(|seconds| seconds + more);
        }
        sweeps(&inputs).rows.remove(0)
    };
    // As much at all points as at these, nearly as much, less than is needed, and too few points.
    for (blocks, near, others) in
        [(3, [0.015; 2], 0.015), (3, [0.03; 2], 0.015), (3, [0.015; 2], 0.0), (2, [0.03; 2], 0.0)]
    {
        assert_eq!(by_host(blocks, near, others).blocks_with_value, blocks, "{near:?} {others}");
    }
    // At both, and on one side of the value.
    for (blocks, near) in [(3, [0.03; 2]), (6, [0.0, 0.03]), (6, [0.03, 0.0])] {
        let row = by_host(blocks, near, 0.002);
        assert_eq!((row.blocks_with_value, row.metg, row.floor), (0, None, None), "{near:?}");
        for block in &row.blocks {
            let SweepOutcome::Failed { status: Status::Invalid, message, .. } = &block.outcome else {
                panic!("{:?}", block.outcome)
            };
            let told = "an efficiency near 50 %, which decide the value, the host's clock shows 0.030 s more";
            assert!(message.contains(told), "{message}");
        }
    }
}

#[test]
fn an_impossible_efficiency_has_no_value() {
    // With 20 % of a kernel's time saved, efficiency is 1.25.
    let inputs: Vec<_> = sweep("liar", 0, 1e-6)
        .chain([Example::new("liar", 0, 1 << 20, -0.2 * EACH * f64::from(1 << 20)).input()])
        .collect();
    let sweeps = sweeps(&inputs);
    assert!(matches!(sweeps.rows[0].blocks[0].outcome, SweepOutcome::Invalid { .. }));
    assert_eq!((sweeps.rows[0].metg, sweeps.rows[0].value), (None, None));
}

#[test]
fn a_block_that_never_reaches_90_percent_has_no_value() {
    // The longest kernel takes 524 µs: with 100 µs of overhead, its efficiency is 84 %.
    let inputs: Vec<_> = sweep("one", 0, 100e-6).chain(sweep("one", 1, 1e-6)).collect();
    let row = &sweeps(&inputs).rows[0];
    let SweepOutcome::NeverEfficient { kernel_seconds, efficiency } = row.blocks[0].outcome else {
        panic!("{:?}", row.blocks[0].outcome)
    };
    assert!((kernel_seconds / (EACH * f64::from(1 << 19)) - 1.0).abs() < 1e-9);
    assert!((efficiency - 0.84).abs() < 0.001, "{efficiency}");
    assert_eq!((row.blocks[0].floor, row.blocks_with_value, row.blocks.len()), (None, 1, 2));
    // The other block alone decides.
    assert!((row.metg.unwrap().seconds() / 2e-6 - 1.0).abs() < 0.01, "{:?}", row.metg);

    let row = &sweeps(&sweep("slow", 0, 1.0).collect::<Vec<_>>()).rows[0];
    assert_eq!((row.metg, row.value, row.floor, row.blocks_with_value), (None, None, None, 0));
}

#[test]
fn an_efficiency_just_below_what_is_needed_is_not_rounded_up_to_it() {
    // The longest kernel takes 524.288 µs, and has 89.96 %.
    let overhead = EACH * f64::from(1 << 19) * (1.0 / 0.8996 - 1.0);
    let warnings = sweeps(&sweep("one", 0, overhead).collect::<Vec<_>>()).warnings;
    let told = "reached an efficiency of 89.9 %, and 90 % are needed";
    assert!(warnings.iter().any(|warning| warning.contains(told)), "{warnings:?}");
}

#[test]
fn a_row_that_ran_the_longest_kernel_is_not_told_to_try_a_longer_one() {
    let warnings = |last: u32| {
        let points = (20..=last).map(|exponent| Example::new("one", 0, 1 << exponent, 1.0).input());
        sweeps(&points.collect::<Vec<_>>()).warnings
    };
    for (last, told) in [
        (28, "90 % are needed; try a longer --coarsest, or a quieter machine"),
        (29, "90 % are needed; no longer kernel can be asked for; try a quieter machine"),
    ] {
        assert!(warnings(last).iter().any(|warning| warning.ends_with(told)), "{:?}", warnings(last));
    }
}

#[test]
fn other_records_and_warm_ups_are_ignored() {
    let mut other = Example::new("one", 0, 8, 1e-6).input();
    other.record.metadata.metg = None;
    assert!(sweeps(&[other, Example::warm_up("one", 0, 8)]).rows.is_empty());
}

#[test]
fn warnings_of_trials_are_counted() {
    let mut inputs: Vec<_> = sweep("one", 0, 1e-6).collect();
    inputs[0].record.metadata.warnings.push("put off".into());
    inputs[1].record.metadata.warnings.push("put off".into());
    inputs[2].record.metadata.locked = Some(false);
    let build = json!({"opt_level": "0"});
    for input in &mut inputs {
        input.record.metadata.plugin.as_mut().unwrap().build = build.as_object().unwrap().clone();
    }
    let warnings = sweeps(&inputs).warnings;
    for words in
        ["debug builds were measured (one)", "another measurement", "no interval", "put off (2 trials)"]
    {
        assert!(warnings.iter().any(|warning| warning.contains(words)), "{words}: {warnings:?}");
    }
    let copied = sweeps(&[inputs.clone(), inputs].concat()).warnings;
    assert!(copied.iter().any(|warning| warning == "put off (2 trials)"), "{copied:?}");
}

#[test]
fn each_graph_is_a_row_of_its_own_and_rows_of_one_graph_stand_together() {
    let graph = |backend, overhead, mut options: Json| {
        (options["width"], options["output_bytes"]) = (json!(8), json!(64));
        graph_sweep(backend, overhead, ("task_graph", options), |input| {
            let form = if backend == "a" { Form::Graph } else { Form::Stages };
            input.record.metadata.graph = Some(TaskGraph { form, steps: 125, width: 8, output_bytes: 64 });
        })
    };
    let nearest = |radix: u64| json!({"pattern": "nearest", "radix": radix});
    let mut failed = graph("b", 2e-6, nearest(3)).swap_remove(0);
    // It failed before it began.
    failed.record.metadata.graph = None;
    let inputs = [
        vec![failed],
        graph("a", 3e-6, json!({"pattern": "trivial"})),
        graph("a", 4e-6, nearest(3)),
        graph("a", 1e-6, nearest(5)),
        graph("b", 2e-6, nearest(3)),
        sweep("a", 0, 1e-6).collect(),
    ];
    let sweeps = sweeps(&inputs.concat());
    let names: Vec<_> = sweeps.rows.iter().map(Row::name).collect();
    let expected =
        ["a", "b nearest(3) 64 B, stages", "a nearest(3) 64 B", "a nearest(5) 64 B", "a trivial 64 B"];
    assert_eq!(names, expected);
    assert!((sweeps.rows[2].metg.unwrap().seconds() / 8e-6 - 1.0).abs() < 0.01);
    let graph = sweeps.rows[1].graph.as_ref().unwrap();
    assert_eq!((graph.steps, graph.width, graph.form), (125, 8, Some(Form::Stages)));
    assert!(sweeps.warnings.contains(&STAGES.to_owned()), "{:?}", sweeps.warnings);
}

#[test]
fn graphs_of_other_workloads_and_with_other_options_are_rows_of_their_own() {
    let graph = |workload: &str, mut options: Json| {
        options["width"] = json!(8);
        let graph = TaskGraph { form: Form::Graph, steps: 125, width: 8, output_bytes: 24 };
        let change = |input: &mut Input| input.record.metadata.graph = Some(graph);
        graph_sweep("a", 1e-6, (workload, options), change)
    };
    let mut failed = graph("mine", json!({"shift": 10})).swap_remove(0);
    failed.record.metadata.graph = None;
    let known = json!({"pattern": "random_nearest", "radix": 3, "output_bytes": 64});
    let mut denser = known.clone();
    denser["fraction_connected"] = json!(0.5);
    let inputs = [
        vec![failed],
        graph("mine", json!({"shift": 10})),
        graph("mine", json!({"shift": 2})),
        graph("task_graph", denser),
        graph("task_graph", known),
    ];
    let sweeps = sweeps(&inputs.concat());
    let names: Vec<_> = sweeps.rows.iter().map(Row::name).collect();
    let expected = [
        "a mine shift=2 24 B",
        "a mine shift=10 24 B",
        "a random_nearest(3) 64 B",
        "a random_nearest(3) fraction_connected=0.5 64 B",
    ];
    assert_eq!(names, expected);
    assert_eq!(sweeps.tables.iter().map(|table| table.by.as_str()).collect::<Vec<_>>(), ["shift"]);
}

#[test]
fn graphs_that_two_builds_ran_are_not_in_one_column() {
    let graph = |pattern: &str, build: &str| {
        let options = json!({"pattern": pattern, "width": 8});
        let change = |input: &mut Input| input.record.metadata.plugin.as_mut().unwrap().sha256 = build.into();
        graph_sweep("a", 1e-6, ("task_graph", options), change)
    };
    let found = sweeps(&[graph("fft", "ab"), graph("trivial", "cd")].concat());
    let names: Vec<_> = found.rows.iter().map(Row::name).collect();
    assert_eq!(names, ["a (plugin ab) fft", "a (plugin cd) trivial"]);
    let [table] = found.tables.as_slice() else { panic!("{:?}", found.tables) };
    let columns: Vec<_> = table.columns.iter().map(|column| column.backend.as_str()).collect();
    assert_eq!((table.by.as_str(), columns), ("pattern", vec!["a (plugin ab)", "a (plugin cd)"]));
    // Those of one build are.
    let found = sweeps(&[graph("fft", "ab"), graph("trivial", "ab")].concat());
    assert_eq!((found.rows[0].name(), found.tables[0].columns.len()), ("a fft".to_owned(), 1));
}

#[test]
fn graphs_of_two_sizes_are_told_apart_by_their_names() {
    let graph = |run: &str, width: u64| {
        let options = json!({"pattern": "fft", "width": width});
        let change = |input: &mut Input| input.record.run_id = format!("{run}/{}", input.record.run_id);
        graph_sweep("a", 1e-6, ("task_graph", options), change)
    };
    let found = sweeps(&[graph("one", 8), graph("other", 4)].concat());
    let mut names: Vec<_> = found.rows.iter().map(Row::name).collect();
    let steps = found.rows.iter().map(|row| row.graph.as_ref().unwrap().steps).collect::<Vec<_>>();
    let of = |width: u64, steps: u64| format!("a ({width} wide, {steps} steps) fft");
    let mut expected =
        vec![of(4, steps.iter().copied().max().unwrap()), of(8, steps.iter().copied().min().unwrap())];
    names.sort();
    expected.sort();
    assert_eq!(names, expected);
}

#[test]
fn sweeps_of_other_builds_machines_and_options_are_rows_of_their_own() {
    let run = |run: &str, overhead: f64, change: fn(&mut Input)| {
        let of_block = |block| sweep("a", block, overhead * (1.0 + 0.01 * f64::from(block * 3 % 7)));
        let mut inputs: Vec<_> = (0..7).flat_map(of_block).collect();
        inputs.iter_mut().for_each(|input| {
            input.record.run_id = input.record.run_id.replace("run", run);
            change(input);
        });
        inputs
    };
    let rows = |change: fn(&mut Input)| {
        let sweeps = sweeps(&[run("one", 1e-6, |_| ()), run("other", 50e-6, change)].concat());
        sweeps.rows.iter().map(|row| (row.name(), row.metg.unwrap().seconds() / 2e-6)).collect::<Vec<_>>()
    };
    type Change = (fn(&mut Input), [&'static str; 2]);
    let changes: [Change; 5] = [
        (
            |input| input.record.metadata.plugin.as_mut().unwrap().sha256 = "cd".into(),
            ["plugin ab", "plugin cd"],
        ),
        (
            |input| {
                let profile = input.record.metadata.system_profile.as_mut();
                profile.unwrap().hostname = Some("elsewhere".into());
            },
            ["on an unknown machine", "on elsewhere"],
        ),
        // Two machines of one name, as after an update of the system.
        (
            |input| input.record.metadata.system_profile.as_mut().unwrap().os = Some("newer".into()),
            ["on an unknown machine", "on an unknown machine #2"],
        ),
        (
            |input| input.record.metadata.workload_library.as_mut().unwrap().sha256 = "ef".into(),
            ["workloads cd34", "workloads ef"],
        ),
        (
            |input| drop(input.record.metadata.extra.insert("queue".into(), json!(64))),
            ["no options", "queue=64"],
        ),
    ];
    for (change, labels) in changes {
        let [one, other] = rows(change).try_into().unwrap();
        assert_eq!([&one.0, &other.0], [&format!("a ({})", labels[0]), &format!("a ({})", labels[1])]);
        assert!(
            (one.1 / 1.03 - 1.0).abs() < 0.01 && (other.1 / 51.5 - 1.0).abs() < 0.01,
            "{one:?} {other:?}"
        );
    }
    let same = rows(|_| ());
    assert_eq!((same.len(), same[0].0.as_str()), (1, "a"));
}
