mod comparability;
mod open_loop;

use std::time::{Duration, UNIX_EPOCH};

use plugin_api::WorkloadSpec;
use plugin_api::random::mix;
use plugin_api::workload::Outcome as Answer;
use serde_json::{Map, json};

use super::model::*;
use super::*;
use crate::plan::{self, BackendChoice, Cell, Purpose};
use crate::record::latency;
use crate::record::trial::examples::{Example, error, finished};
use crate::record::{Library, SystemProfile};
use crate::run::outcome::Outcome;
use crate::run::session::{CallError, Fault};
use crate::run::trial::{Phases, RunUsage, TrialResult, TrialSpec};
use crate::sandbox::Usage;
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

fn failure() -> CallError {
    CallError { remedy: Some("see the log".into()), ..error("run", Fault::Crashed, "ended by SIGSEGV") }
}

fn failed(mut example: Example) -> Example {
    example.result = TrialResult::new(example.result.started, Outcome::Failed(failure()));
    example
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

/// The examples of a backend, or all, after a change.
fn changed(examples: Vec<Example>, backend: &str, change: impl Fn(&mut Example)) -> Vec<Example> {
    let concerned = |example: &Example| backend.is_empty() || example.trial.backend.name == backend;
    let changed = |example: Example| if concerned(&example) { example.with(&change) } else { example };
    examples.into_iter().map(changed).collect()
}

fn standard(examples: impl IntoIterator<Item = Example>) -> Comparison {
    compare(&recorded(examples), &Options::default()).unwrap()
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

#[test]
fn no_records_are_an_empty_comparison() {
    let nothing = standard([]);
    assert_eq!((nothing.points.len(), nothing.baseline, nothing.warnings.len()), (0, None, 0));
}

#[test]
fn each_verdict_is_reached() {
    let speeds = [("a", 1.0), ("fast", 2.0), ("slow", 0.5), ("same", 1.0), ("near", 1.05)];
    let comparison = standard(blocks("pipeline", 7, &speeds));
    assert_eq!(comparison.baseline.as_deref(), Some("a"));
    let verdict = |backend| ratio(&comparison, backend).verdict.unwrap();
    assert_eq!(verdict("fast"), Verdict::Faster);
    assert_eq!(verdict("slow"), Verdict::Slower);
    assert_eq!(verdict("same"), Verdict::Equivalent);
    assert!(matches!(verdict("near"), Verdict::Inconclusive { .. }));
    assert!(row(&comparison, "a").is_baseline && row(&comparison, "a").ratio.is_none());
    let fast = ratio(&comparison, "fast");
    assert!((fast.estimate - 2.0).abs() < 0.02, "{fast:?}");
    let interval = fast.interval.unwrap();
    assert!(interval.low < fast.estimate && fast.estimate < interval.high);
    assert_eq!((fast.blocks, interval.confidence, fast.p_value), (7, 0.953_125, Some(2.0 / 128.0)));
    assert!(comparison.warnings.is_empty(), "{:?}", comparison.warnings);
}

#[test]
fn a_drift_that_all_share_does_not_widen_the_interval() {
    let comparison = standard(blocks("pipeline", 12, &[("a", 1.0), ("b", 1.0)]));
    let RatioInterval { low, high, .. } = ratio(&comparison, "b").interval.unwrap();
    assert!(low > 0.99 && high < 1.01, "{low} {high}");
    let Spread { min, max, n, .. } = row(&comparison, "b").duration.unwrap();
    assert!(max / min > 1.15 && n == 12);
}

#[test]
fn another_baseline_inverts_the_ratio() {
    let inputs = recorded(blocks("pipeline", 7, &[("a", 1.0), ("b", 2.0)]));
    let other = Options { baseline: Some("B".into()), ..Options::default() };
    let [there, back] = [&Options::default(), &other].map(|options| compare(&inputs, options).unwrap());
    let (there, back) = (ratio(&there, "b"), ratio(&back, "a"));
    assert!((there.estimate * back.estimate - 1.0).abs() < 1e-12);
    assert_eq!(there.p_value, back.p_value);
    assert_eq!(back.verdict, Some(Verdict::Slower));
}

#[test]
fn an_unknown_baseline_is_an_error_with_the_known_ones() {
    let inputs = recorded(blocks("pipeline", 1, &[("a", 1.0), ("b", 2.0)]));
    let error = compare(&inputs, &Options { baseline: Some("x".into()), ..Options::default() }).unwrap_err();
    assert_eq!(error.to_string(), "no record is of the baseline `x`; there are records of a, b");
}

#[test]
fn few_blocks_or_a_quick_comparison_have_no_interval_and_no_verdict() {
    let five = ratio(&standard(blocks("pipeline", 5, &[("a", 1.0), ("b", 2.0)])), "b");
    assert_eq!((five.interval, five.verdict, five.p_value), (None, None, None));
    assert_eq!((five.no_interval, five.blocks), (Some(NoInterval::TooFewBlocks), 5));
    assert!((five.estimate - 2.0).abs() < 0.02);
    let quick = Options { rigor: Rigor::Quick, ..Options::default() };
    let inputs = recorded(blocks("pipeline", 7, &[("a", 1.0), ("b", 2.0)]));
    let quick = ratio(&compare(&inputs, &quick).unwrap(), "b");
    assert_eq!((quick.interval, quick.verdict, quick.p_value), (None, None, None));
    assert_eq!(quick.no_interval, Some(NoInterval::Quick));
}

#[test]
fn trials_without_blocks_have_a_ratio_of_medians_and_no_interval() {
    let speeds = [("a", 1.0), ("b", 2.0)];
    let unpaired = changed(blocks("pipeline", 7, &speeds), "", |example| example.trial.block = None);
    let comparison = standard(unpaired);
    let ratio = ratio(&comparison, "b");
    assert_eq!((ratio.paired, ratio.blocks, ratio.interval, ratio.verdict), (false, 0, None, None));
    assert_eq!(ratio.no_interval, Some(NoInterval::Unpaired));
    let medians = ["a", "b"].map(|backend| row(&comparison, backend).duration.unwrap().median);
    assert_eq!(ratio.estimate, medians[0] / medians[1]);
    warns(&comparison, WarningKind::Unpaired);
}

#[test]
fn trials_are_paired_by_block_whatever_their_order() {
    let mut examples = blocks("pipeline", 7, &[("a", 1.0), ("b", 2.0)]);
    let ordered = ratio(&standard(examples.clone()), "b");
    // The first record must stay first: it decides on the baseline.
    examples[1..].reverse();
    assert_eq!(ratio(&standard(examples), "b"), ordered);
}

#[test]
fn a_block_that_only_one_finished_does_not_count_in_the_ratio() {
    let mut examples = blocks("pipeline", 8, &[("a", 1.0), ("b", 2.0)]);
    examples[5] = failed(examples[5].clone());
    let comparison = standard(examples);
    assert_eq!(ratio(&comparison, "b").blocks, 7);
    let Row { counts, failures, input_rate, .. } = row(&comparison, "b");
    assert_eq!((counts.trials, counts.verified, counts.failed), (8, 7, 1));
    assert_eq!(input_rate.unwrap().n, 7);
    assert_eq!((failures.len(), failures[0].count, failures[0].samples.as_slice()), (1, 1, [2].as_slice()));
    assert_eq!((failures[0].phase.as_str(), failures[0].kind.as_str()), ("run", "crashed"));
    assert_eq!(
        warns(&comparison, WarningKind::Failures).message,
        "1 of 16 trials failed, gave a wrong answer or cannot be right"
    );
}

#[test]
fn a_wrong_answer_is_a_failure_however_fast_it_was() {
    let wrong = changed(blocks("pipeline", 7, &[("a", 1.0), ("b", 100.0)]), "b", |example| {
        example.result.outcome =
            Outcome::Wrong(error("judge", Fault::WrongAnswer, "499 items, but 500 must"));
    });
    let comparison = standard(wrong);
    let row = row(&comparison, "b");
    assert_eq!((row.ratio, row.no_ratio, row.duration), (None, Some(NoRatio::Failed), None));
    assert_eq!((row.counts.wrong, row.counts.verified), (7, 0));
    assert_eq!((row.failures[0].status, row.failures[0].count), (Status::Wrong, 7));
    assert!(row.samples.iter().all(|sample| sample.duration.is_none()));
}

#[test]
fn a_record_that_contradicts_itself_is_invalid() {
    let mut inputs = recorded(blocks("pipeline", 1, &[("a", 1.0)]));
    inputs[0].record.metadata.checksum = Some("beef".into());
    inputs[0].outcome = inputs[0].record.outcome();
    let comparison = compare(&inputs, &Options::default()).unwrap();
    assert_eq!(row(&comparison, "a").counts.invalid, 1);
    assert_eq!(row(&comparison, "a").failures[0].kind, "contradiction");
}

#[test]
fn without_a_successful_baseline_there_is_no_ratio() {
    let examples = blocks("pipeline", 7, &[("a", 1.0), ("b", 2.0)]);
    let failed = changed(examples.clone(), "a", |example| *example = failed(example.clone()));
    assert_eq!(row(&standard(failed), "b").no_ratio, Some(NoRatio::BaselineFailed));
    let in_other_blocks =
        changed(examples, "b", |example| example.trial.block = example.trial.block.map(|block| block + 100));
    assert_eq!(row(&standard(in_other_blocks), "b").no_ratio, Some(NoRatio::NoCommonBlock));
    let absent = blocks("null", 7, &[("a", 1.0)]).into_iter().chain(blocks("pipeline", 7, &[("b", 1.0)]));
    let comparison = standard(absent);
    let alone = comparison.points.iter().find(|point| point.workload == "pipeline").unwrap();
    assert_eq!(alone.rows[0].no_ratio, Some(NoRatio::NoBaseline));
}

#[test]
fn two_runs_with_different_seeds_each_have_their_baseline() {
    let later = changed(blocks("pipeline", 7, &[("a", 1.0), ("b", 2.0)]), "", |example| {
        example.trial.cell.spec.seed = 43;
        example.trial.cell.run_id = example.trial.cell.run_id.replace("night", "day");
    });
    let comparison = standard(blocks("pipeline", 7, &[("a", 1.0), ("b", 2.0)]).into_iter().chain(later));
    let rows = &comparison.points[0].rows;
    let labels: Vec<_> = rows.iter().map(|row| (row.label.as_str(), row.is_baseline)).collect();
    assert_eq!(
        labels,
        [("a (seed 42)", true), ("a (seed 43)", true), ("b (seed 42)", false), ("b (seed 43)", false)]
    );
    assert_eq!(rows[3].compared_with.as_deref(), Some("a (seed 43)"));
    assert!(rows[2].ratio.is_some() && rows[3].ratio.is_some());
}

#[test]
fn two_files_under_one_name_are_two_rows_and_the_later_is_compared_with_the_first() {
    let newer = changed(blocks("pipeline", 7, &[("a", 1.5)]), "", |example| {
        example.plugin = Some(library("newer", true));
    });
    let comparison = standard(blocks("pipeline", 7, &[("a", 1.0)]).into_iter().chain(newer));
    let rows = &comparison.points[0].rows;
    assert_eq!(rows[0].label, "a (plugin a0000000)");
    assert_eq!(rows[1].label, "a (plugin newer000)");
    assert!((rows[1].ratio.unwrap().estimate - 1.5).abs() < 0.02);
}

#[test]
fn one_trial_recorded_twice_counts_once() {
    let mut examples = blocks("pipeline", 7, &[("a", 1.0), ("b", 2.0)]);
    let again = examples[13].clone().with(|example| example.finished().duration_seconds = 1e-6);
    let once = standard(examples.clone());
    examples.push(again);
    let twice = standard(examples);
    assert_eq!(once.points, twice.points);
    assert_eq!(
        warns(&twice, WarningKind::Doubled).message,
        "only the first record of a trial is used: 1 duplicate left out"
    );
}

/// As `--aa` records it: the same file under a second name.
fn same_file(examples: Vec<Example>) -> Vec<Example> {
    changed(examples, "a-again", |example| example.plugin = Some(library("a", true)))
}

#[test]
fn a_difference_below_the_noise_floor_has_no_verdict() {
    let speeds = [("a", 1.0), ("a-again", 1.2), ("b", 1.1), ("c", 2.0)];
    let without = standard(blocks("pipeline", 7, &speeds));
    assert_eq!((without.noise_floor, ratio(&without, "b").verdict), (None, Some(Verdict::Faster)));
    let comparison = standard(same_file(blocks("pipeline", 7, &speeds)));
    let floor = comparison.points[0].noise_floor.clone().unwrap();
    assert_eq!(floor.names, ["a", "a-again"]);
    assert_eq!(floor.factor, floor.ratio.high);
    assert!((1.2..1.22).contains(&floor.factor) && comparison.noise_floor == Some(floor.factor));
    let b = ratio(&comparison, "b");
    assert_eq!(b.verdict, Some(Verdict::Inconclusive { more_blocks: None }));
    assert_eq!(b.withheld, Some(Withheld::BelowNoiseFloor));
    assert!(b.interval.is_some_and(|interval| interval.low > 1.05));
    let c = ratio(&comparison, "c");
    assert_eq!((c.verdict, c.withheld), (Some(Verdict::Faster), None));
}

#[test]
fn published_differences_are_significant_over_the_whole_table() {
    let publish = Options { rigor: Rigor::Publish, ..Options::default() };
    let speeds = [("a", 1.0), ("b", 1.2), ("c", 1.3), ("d", 1.4), ("e", 1.0)];
    // At 7 blocks the smallest p-value is 0.016: times four it is none.
    let seven = compare(&recorded(blocks("pipeline", 7, &speeds)), &publish).unwrap();
    for backend in ["b", "c", "d"] {
        let ratio = ratio(&seven, backend);
        assert_eq!((ratio.margin_p_value, ratio.withheld), (Some(2.0 / 128.0), Some(Withheld::Holm)));
        assert_eq!(ratio.adjusted_p_value, Some(4.0 * 2.0 / 128.0));
        assert_eq!(ratio.verdict, Some(Verdict::Inconclusive { more_blocks: None }));
    }
    assert_eq!(ratio(&seven, "e").verdict, Some(Verdict::Equivalent));
    let twelve = compare(&recorded(blocks("pipeline", 12, &speeds)), &publish).unwrap();
    for backend in ["b", "c", "d"] {
        assert_eq!(ratio(&twelve, backend).verdict, Some(Verdict::Faster));
        assert!(ratio(&twelve, backend).adjusted_p_value.is_some_and(|p| p < 0.05));
    }
    assert_eq!(ratio(&standard(blocks("pipeline", 7, &speeds)), "b").adjusted_p_value, None);
}

/// Blocks of two backends that are as fast as each other but for `change`.
fn two(change: impl Fn(&mut Example)) -> Vec<Example> {
    let mut examples = blocks("pipeline", 12, &[("a", 1.0), ("b", 1.3)]);
    examples.iter_mut().for_each(change);
    examples
}

#[test]
fn beside_a_failure_or_a_wrong_answer_there_is_no_verdict() {
    let faster = ratio(&standard(two(|_| ())), "b");
    assert_eq!((faster.verdict, faster.withheld), (Some(Verdict::Faster), None));
    let failing = |backend: &'static str, from: u32| {
        two(move |example| {
            if example.trial.backend.name == backend && example.trial.block >= Some(from) {
                *example = failed(example.clone());
            }
        })
    };
    // Seven of twelve are verified, and those are faster.
    let b = ratio(&standard(failing("b", 7)), "b");
    assert_eq!((b.verdict, b.withheld, b.blocks), (None, Some(Withheld::Failures), 7));
    assert!(b.interval.is_some_and(|interval| interval.low > 1.05));
    let b = ratio(&standard(failing("a", 11)), "b");
    assert_eq!((b.verdict, b.withheld), (None, Some(Withheld::BaselineFailures)));
    let wrong = two(|example| {
        if example.trial.backend.name == "b" && example.trial.block == Some(3) {
            example.result.outcome = Outcome::Wrong(error("judge", Fault::WrongAnswer, "another checksum"));
        }
    });
    let b = ratio(&standard(wrong), "b");
    assert_eq!((b.verdict, b.withheld), (None, Some(Withheld::WrongAnswers)));
}

#[test]
fn without_an_interval_no_verdict_is_withheld() {
    let mut examples = blocks("pipeline", 3, &[("a", 1.0), ("b", 1.3)]);
    examples[1] = failed(examples[1].clone());
    let b = ratio(&standard(examples), "b");
    assert_eq!((b.verdict, b.withheld, b.no_interval), (None, None, Some(NoInterval::TooFewBlocks)));
}

#[test]
fn the_mean_has_the_rare_slow_run_that_a_typical_run_has_not() {
    let slow = two(|example| {
        if example.trial.backend.name == "b" && example.trial.block == Some(3) {
            example.result.finished = Some(finished(10.0));
        }
    });
    let comparison = standard(slow);
    let b = ratio(&comparison, "b");
    assert!((b.estimate - 1.3).abs() < 0.02, "{b:?}");
    let mean = b.mean_ratio.unwrap();
    assert!(mean.estimate < 0.8, "{mean:?}");
    let spread = row(&comparison, "b").variation.unwrap();
    assert!(spread.coefficient > 1.0 && spread.slowest_to_fastest > 10.0, "{spread:?}");
    let quick = Options { rigor: Rigor::Quick, ..Options::default() };
    let b = ratio(&compare(&recorded(two(|_| ())), &quick).unwrap(), "b");
    assert!(b.mean_ratio.is_some_and(|mean| mean.interval.is_none()));
}

#[test]
fn a_row_counts_the_trials_that_had_not_settled() {
    let comparison = standard(two(|example| {
        if example.trial.backend.name == "b" && example.trial.block < Some(2) {
            example.result.warnings.push("did not settle in 20 warm-ups".into());
        }
    }));
    assert_eq!(["a", "b"].map(|backend| row(&comparison, backend).unsettled), [0, 2]);
    assert_eq!(warns(&comparison, WarningKind::Noted).message, "did not settle in 20 warm-ups (2 trials)");
}

#[test]
fn blocks_of_few_clock_ticks_have_no_interval_and_no_verdict() {
    let ticks = two(|example| {
        let ticks = if example.trial.backend.name == "a" { 0.004 } else { 0.003 };
        example.result.finished = Some(finished(ticks));
    });
    let b = ratio(&standard(ticks), "b");
    assert!((b.estimate - 4.0 / 3.0).abs() < 1e-9);
    assert_eq!((b.interval, b.no_interval, b.verdict, b.p_value), (None, Some(NoInterval::Tied), None, None));
}

#[test]
fn blocks_that_follow_each_other_have_a_wider_interval_in_whatever_order_they_are_recorded() {
    let drift = |backwards: bool| {
        let mut examples = two(|example| {
            let block = example.trial.block.unwrap();
            let slower = if example.trial.backend.name == "b" { 1.0 + f64::from(block) / 50.0 } else { 1.0 };
            example.result.finished = Some(finished(slower));
        });
        if backwards {
            examples.sort_by_key(|example| std::cmp::Reverse(mixed(example.trial.block)));
        }
        ratio(&standard(examples), "b")
    };
    let b = drift(false);
    assert!(b.autocorrelation.is_some_and(|it| it > 0.5) && b.widened.is_some_and(|it| it > 2.0), "{b:?}");
    assert_eq!(drift(true), b);
}

/// Another order of blocks.
fn mixed(block: Option<u32>) -> u32 {
    block.unwrap_or_default() * 5 % 12
}

#[test]
fn an_a_a_comparison_does_not_count_in_the_correction() {
    let publish = Options { rigor: Rigor::Publish, ..Options::default() };
    let examples = same_file(blocks("pipeline", 12, &[("a", 1.0), ("a-again", 1.0), ("b", 1.3)]));
    let comparison = compare(&recorded(examples), &publish).unwrap();
    assert_eq!(ratio(&comparison, "a-again").adjusted_p_value, None);
    let b = ratio(&comparison, "b");
    assert_eq!(b.adjusted_p_value, b.margin_p_value);
}

#[test]
fn a_table_is_judged_by_what_its_verdicts_claim() {
    let publish = Options { rigor: Rigor::Publish, ..Options::default() };
    // All blocks say that b is a bit faster, and none that it is by more than the margin.
    let comparison =
        compare(&recorded(blocks("pipeline", 12, &[("a", 1.0), ("b", 1.03)])), &publish).unwrap();
    let b = ratio(&comparison, "b");
    assert!(b.p_value.is_some_and(|p| p < 0.001), "{b:?}");
    assert_eq!((b.margin_p_value, b.adjusted_p_value), (Some(1.0), Some(1.0)));
}

#[test]
fn a_geomean_is_over_the_points_that_all_finished() {
    let speeds = [("a", 1.0), ("b", 2.0), ("c", 4.0)];
    let mut examples = blocks("null", 7, &speeds);
    examples.extend(blocks("pipeline", 7, &[("a", 1.0), ("b", 8.0), ("c", 1.0)]));
    // One crash of c, fast before it: pipeline counts for nobody.
    let mut third = blocks("word_count", 7, &[("a", 1.0), ("b", 0.01), ("c", 100.0)]);
    third[2] = failed(third[2].clone());
    examples.extend(third);
    let comparison = standard(examples);
    let [b, c] = comparison.geomeans.as_slice() else { panic!("{:?}", comparison.geomeans) };
    assert_eq!((b.backend.as_str(), b.covered, b.points), ("b", 2, 3));
    assert!((b.ratio.unwrap() - 4.0).abs() < 0.05 && (c.ratio.unwrap() - 2.0).abs() < 0.05);
}

#[test]
fn points_are_sorted_though_records_are_shuffled() {
    let sized = |items: u64, parallelism: u32| {
        changed(blocks("pipeline", 1, &[("a", 1.0)]), "", |example| {
            example.trial.cell.spec.total_items = items;
            example.trial.cell.spec.parallelism = parallelism;
        })
    };
    let null = blocks("null", 1, &[("a", 1.0)]);
    let comparison = standard([sized(1000, 4), sized(20, 1), null, sized(1000, 1)].concat());
    let ids: Vec<_> = comparison.points.iter().map(|point| point.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "null/items=1000/parallelism=2/scheduler=default",
            "pipeline/items=20/parallelism=1/scheduler=default",
            "pipeline/items=1000/parallelism=1/scheduler=default",
            "pipeline/items=1000/parallelism=4/scheduler=default",
        ]
    );
}

#[test]
fn start_first_run_steady_state_and_shutdown_are_separate_values() {
    let warm_up = |block: u32, seconds: f64| {
        example("a", "pipeline", block, seconds).with(|example| {
            example.trial.purpose = Purpose::WarmUp(0);
        })
    };
    let measured = |block| {
        example("a", "pipeline", block, 1.0).with(|example| example.result.phases.close_seconds = Some(0.5))
    };
    let examples = [warm_up(0, 9.0), warm_up(0, 2.0), measured(0), warm_up(1, 7.0), measured(1)];
    let comparison = standard(examples);
    let Row { stages, duration, samples, counts, .. } = row(&comparison, "a");
    let median = |spread: Option<Spread>| spread.map(|spread| (spread.n, spread.median));
    // Each trial records the phases of its engine, but there is one engine in each block.
    assert_eq!(median(stages.open), Some((2, 2.0)));
    assert_eq!(median(stages.load), Some((2, 0.25)));
    assert_eq!(median(stages.first), Some((2, 8.0)));
    assert_eq!(median(stages.close), Some((2, 0.5)));
    assert_eq!(median(*duration), Some((2, 1.0)));
    assert_eq!((samples.len(), counts.trials), (2, 2));
}

#[test]
fn latencies_become_seconds_and_resources_are_carried_over() {
    let examples = (0..3).map(|block| {
        example("a", "open_loop", block, 1.0).with(|example| {
            let latency = latency::examples::latency(500, [1.5 + f64::from(block), 4.0, 5.0]);
            example.result.actual.as_mut().unwrap().latency = Some(latency);
            example.result.usage = Some(RunUsage {
                used: Usage { cpu_seconds: 1.25, peak_memory_bytes: 1 << 20, ..Usage::default() },
                ..RunUsage::default()
            });
        })
    });
    let comparison = standard(examples);
    let Row { latency, resources, .. } = row(&comparison, "a");
    let latency = latency.unwrap();
    assert_eq!(latency.p50.map(|p50| (p50.min, p50.median, p50.max)), Some((0.0015, 0.0025, 0.0035)));
    assert_eq!((latency.p95.unwrap().median, latency.p99), (0.004, None));
    let resources = resources.unwrap();
    assert_eq!(resources.cpu_seconds.unwrap().median, 1.25);
    assert_eq!(resources.peak_memory_bytes.unwrap().max, 1_048_576.0);
}

#[test]
fn warnings_of_trials_and_of_sleeping_workloads_are_shown() {
    let noted = changed(blocks("scheduler_comparison", 2, &[("a", 1.0)]), "", |example| {
        example.result.warnings = vec!["the machine was busy".into()];
        example.locked = false;
    });
    let comparison = standard(noted);
    assert_eq!(warns(&comparison, WarningKind::Noted).message, "the machine was busy (2 trials)");
    assert!(warns(&comparison, WarningKind::OnlySleep).message.contains("only sleeps"));
    warns(&comparison, WarningKind::Unlocked);
    let mixed =
        blocks("scheduler_comparison", 1, &[("a", 1.0)]).into_iter().chain(blocks("null", 1, &[("a", 1.0)]));
    assert!(standard(mixed).warnings.iter().all(|warning| warning.kind != WarningKind::OnlySleep));
}

#[test]
fn the_json_is_what_it_was() {
    let mut examples = blocks("pipeline", 6, &[("a", 1.0), ("b", 2.0)]);
    for example in &mut examples {
        // Round figures, so that the snapshot does not hang on the last digit of a logarithm.
        example.finished().duration_seconds = 0.5;
    }
    examples[3] = failed(examples[3].clone());
    examples.truncate(4);
    let mut inputs = recorded(examples);
    for input in &mut inputs {
        input.record.metadata.versions = Map::from_iter([("crossrun".to_owned(), json!("0.1.0"))]);
    }
    let comparison = compare(&inputs, &Options::default()).unwrap();
    let text = serde_json::to_string_pretty(&comparison).unwrap() + "\n";
    let expected = include_str!("../../../tests/fixtures/comparison_1.json");
    assert_eq!(text, expected);
    assert_eq!(serde_json::from_str::<Comparison>(expected).unwrap(), comparison);
}

#[test]
fn every_comparison_survives_json() {
    let speeds = [("a", 1.0), ("a-again", 1.0), ("b", 1.3), ("c", 0.7)];
    let examples = same_file(blocks("pipeline", 12, &speeds));
    for rigor in [Rigor::Quick, Rigor::Standard, Rigor::Publish] {
        let comparison =
            compare(&recorded(examples.clone()), &Options { rigor, ..Options::default() }).unwrap();
        let text = serde_json::to_string(&comparison).unwrap();
        assert_eq!(serde_json::from_str::<Comparison>(&text).unwrap(), comparison);
    }
}

/// How long that takes is measured by the benchmark `harness`; what would take time that grows with the square is found here.
#[test]
fn ten_thousand_records_are_compared() {
    let inputs = recorded((0..50).flat_map(|at| {
        let workload = format!("w{at}");
        (0..50)
            .flat_map(move |block| {
                ["a", "b", "c", "d"]
                    .map(|backend| example(backend, &workload, block, 1.0 + f64::from(block) / 1e3))
            })
            .collect::<Vec<_>>()
    }));
    assert_eq!(inputs.len(), 10_000);
    let started = std::time::Instant::now();
    let comparison = compare(&inputs, &Options { rigor: Rigor::Publish, ..Options::default() }).unwrap();
    assert!(started.elapsed() < Duration::from_secs(120), "{:?}", started.elapsed());
    assert_eq!(comparison.points.len(), 50);
}
