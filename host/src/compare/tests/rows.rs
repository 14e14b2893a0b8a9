//! What a row has of its trials.

use super::*;
use crate::run::trial::RunUsage;
use crate::sandbox::Usage;

#[test]
fn a_wrong_answer_is_a_failure_however_fast_it_was() {
    let fast = blocks("pipeline", 7, &[("a", 1.0), ("b", 100.0)]);
    let comparison = standard(changed(fast, "b", answer_wrongly));
    let row = row(&comparison, "b");
    assert_eq!((row.ratio, row.no_ratio, row.duration), (None, Some(NoRatio::Failed), None));
    assert_eq!((row.counts.wrong, row.counts.verified), (7, 0));
    assert_eq!((row.failures[0].status, row.failures[0].count), (Status::Wrong, 7));
    assert!(row.samples.iter().all(|sample| sample.duration.is_none()));
}

#[test]
fn the_rate_of_a_row_is_that_of_its_median_duration() {
    // Between 0.2 s and 2 s lie 1.1 s; the mean of the two rates is that of 0.36 s.
    for seconds in [&[0.2, 2.0][..], &[0.2, 2.0, 0.5], &[0.2, 2.0, 0.5, 0.7]] {
        let of_block = |(block, seconds): (u32, &f64)| example("a", "pipeline", block, *seconds);
        let comparison = standard((0..).zip(seconds).map(of_block));
        let Row { input_rate, output_rate, duration, .. } = row(&comparison, "a");
        let duration = duration.unwrap().median;
        let items = [input_rate, output_rate].map(|rate| rate.unwrap().median * duration);
        assert!((items[0] / 1000.0 - 1.0).abs() < 1e-12, "{items:?}");
        assert!((items[1] / 500.0 - 1.0).abs() < 1e-12, "{items:?}");
    }
}

#[test]
fn failures_of_one_kind_say_how_many_have_another_message_than_the_first() {
    let others = |items: fn(u32) -> u32| {
        let wrong = changed(pair(7), "b", |example| {
            let message = format!("{} items reached the sink", items(example.trial.block.unwrap()));
            example.result.outcome = Outcome::Wrong(error("judge", Fault::WrongAnswer, &message));
        });
        let [group] = row(&standard(wrong), "b").failures.clone().try_into().unwrap();
        (group.message, group.count, group.other_messages)
    };
    assert_eq!(others(|_| 499), ("499 items reached the sink".into(), 7, 0));
    assert_eq!(others(|block| 499 - block.min(1)), ("499 items reached the sink".into(), 7, 6));
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
fn a_record_that_says_verified_without_an_answer_is_unverified() {
    let without: [fn(&mut Input); 4] = [
        |input| input.record.metadata.checksum = None,
        |input| input.record.metadata.expected_checksum = None,
        |input| input.record.metadata.results_count = None,
        |input| input.record.metadata.expected_count = None,
    ];
    for remove in without {
        let mut inputs = recorded(blocks("pipeline", 1, &[("a", 1.0)]));
        remove(&mut inputs[0]);
        inputs[0].outcome = inputs[0].record.outcome();
        let comparison = compare(&inputs, &Options::default()).unwrap();
        let counts = row(&comparison, "a").counts;
        assert_eq!((counts.verified, counts.unverified), (0, 1));
        warns(&comparison, WarningKind::Unverified);
    }
}

#[test]
fn one_trial_recorded_twice_counts_once() {
    let mut examples = pair(7);
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

/// A run of [`pair`], in a file of its own, that began at this second and took so many times as long.
fn run_of(file: &str, second: u64, factor: f64) -> Vec<Input> {
    let slower = changed(pair(7), "", |example| example.finished().duration_seconds *= factor);
    let mut inputs = of_run(slower, second);
    inputs.iter_mut().for_each(|input| input.source.file = file.into());
    inputs
}

#[test]
fn two_runs_with_one_id_are_two_runs_and_a_copy_of_one_is_none() {
    let compared = |inputs: &[Input]| compare(inputs, &Options::default()).unwrap();
    let (one, other, copy) =
        (run_of("one", 1000, 1.0), run_of("other", 2000, 3.0), run_of("copy", 1000, 1.0));
    let both = compared(&[one.clone(), other].concat());
    assert_eq!(["a", "b"].map(|backend| row(&both, backend).counts.trials), [14, 14]);
    assert!(both.warnings.iter().all(|warning| warning.kind != WarningKind::Doubled));
    // Each trial is compared with that of its own run: across the runs, the ratios would be from 0.67 to 6.
    assert!((ratio(&both, "b").estimate - 2.0).abs() < 0.1, "{:?}", ratio(&both, "b"));
    // A copy without the first trials of its run is a copy, too.
    let mut part = copy[4..].to_vec();
    mark_runs(&mut part);
    for copy in [copy, part] {
        let twice = compared(&[one.clone(), copy].concat());
        assert_eq!(["a", "b"].map(|backend| row(&twice, backend).counts.trials), [7, 7]);
        warns(&twice, WarningKind::Doubled);
    }
}

#[test]
fn a_part_of_a_run_beside_its_copy_splits_no_block_in_whatever_order() {
    let (whole, other) = (run_of("whole", 1000, 1.0), run_of("other", 5000, 1.0));
    let part = |from: usize, to: usize| {
        let mut part = run_of("part", 1000, 1.0)[from..to].to_vec();
        mark_runs(&mut part);
        part
    };
    // The first lacks the baseline's trial of its first block. The second has a trial in common with the first alone.
    let (first, second) = (part(5, 12), part(11, 14));
    for mut inputs in [
        [second.clone(), first.clone(), whole.clone()].concat(),
        [first.clone(), whole.clone(), second.clone()].concat(),
        [whole.clone(), second.clone(), first.clone()].concat(),
        [second, first, part(0, 6)].concat(),
    ] {
        inputs.extend(other.clone());
        join_copies(&mut inputs);
        let options = Options { baseline: Some("a".into()), ..Options::default() };
        let comparison = compare(&inputs, &options).unwrap();
        // Another run with the same id stays another one.
        assert_eq!(["a", "b"].map(|backend| row(&comparison, backend).counts.trials), [14, 14]);
        assert_eq!(ratio(&comparison, "b").blocks, 14);
    }
}

#[test]
fn a_warm_up_that_is_recorded_twice_counts_once() {
    let warm_up = example("a", "pipeline", 0, 2.0).with(|example| {
        example.trial.purpose = Purpose::WarmUp(0);
        example.result.warnings = vec!["the machine was busy".into()];
    });
    let comparison = standard([warm_up.clone(), warm_up, example("a", "pipeline", 0, 1.0)]);
    assert_eq!(warns(&comparison, WarningKind::Noted).message, "the machine was busy (1 trial)");
}

#[test]
fn a_run_without_a_tick_of_cpu_time_counts_in_what_an_item_takes() {
    let examples = [0.0, 0.0, 0.01].into_iter().zip(0..).map(|(cpu_seconds, block)| {
        example("a", "pipeline", block, 1.0).with(|example| {
            let used = Usage { cpu_seconds, ..Usage::default() };
            example.result.usage = Some(RunUsage { used, ..RunUsage::default() });
        })
    });
    let resources = row(&standard(examples), "a").resources.unwrap();
    for spread in [resources.cpu_seconds, resources.cpu_seconds_per_item, resources.cores_used] {
        assert_eq!(spread.map(|spread| (spread.n, spread.median)), Some((3, 0.0)));
    }
    assert_eq!(resources.cpu_seconds_per_item.unwrap().max, 0.00001);
}

#[test]
fn a_row_of_two_versions_of_an_engine_has_both() {
    let versions = |engine: &str| Map::from_iter([("engine".to_owned(), json!(engine))]);
    let reports = |inputs: &mut [Input], engine: &str| {
        inputs.iter_mut().for_each(|input| input.record.metadata.versions = versions(engine));
    };
    let mut inputs = recorded(blocks("pipeline", 3, &[("a", 1.0)]));
    reports(&mut inputs, "9.1");
    let of_row = |inputs: &[Input]| row(&compare(inputs, &Options::default()).unwrap(), "a").versions.clone();
    assert_eq!(of_row(&inputs), versions("9.1"));
    reports(&mut inputs[1..], "9.2");
    assert_eq!(of_row(&inputs), versions("9.1, 9.2"));
}

#[test]
fn a_row_counts_the_trials_that_had_not_settled() {
    let comparison = standard(two("b", ..2, |example| {
        example.result.warnings.push("did not settle in 20 warm-ups".into());
    }));
    assert_eq!(["a", "b"].map(|backend| row(&comparison, backend).unsettled), [0, 2]);
    assert_eq!(warns(&comparison, WarningKind::Noted).message, "did not settle in 20 warm-ups (b: 2 trials)");
}

#[test]
fn start_first_run_steady_state_and_shutdown_are_separate_values() {
    let warm_up = |block: u32, seconds: f64| {
        example("a", "pipeline", block, seconds).with(|example| {
            example.trial.purpose = Purpose::WarmUp(0);
            example.result.phases.prepare_seconds = Some(3.0);
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
    // What an engine does while its first run is prepared is a part of its start.
    assert_eq!(median(stages.first), Some((2, 11.0)));
    assert_eq!(median(stages.close), Some((2, 0.5)));
    assert_eq!(median(*duration), Some((2, 1.0)));
    assert_eq!((samples.len(), counts.trials), (2, 2));
}

#[test]
fn latencies_become_seconds_and_resources_are_carried_over() {
    let examples = (0..3).map(|block| {
        with_latency("a", block, 500, [1.5 + f64::from(block), 4.0, 5.0]).with(|example| {
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
