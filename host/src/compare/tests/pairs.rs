//! What is compared with what.

use super::*;

#[test]
fn another_baseline_inverts_the_ratio() {
    let inputs = recorded(pair(7));
    let other = Options { baseline: Some("B".into()), ..Options::default() };
    let [there, back] = [&Options::default(), &other].map(|options| compare(&inputs, options).unwrap());
    let (there, back) = (ratio(&there, "b"), ratio(&back, "a"));
    assert!((there.estimate * back.estimate - 1.0).abs() < 1e-12);
    assert_eq!(there.p_value, back.p_value);
    assert_eq!(back.verdict, Some(Verdict::Slower));
}

#[test]
fn an_unknown_baseline_is_an_error_with_the_known_ones() {
    let inputs = recorded(pair(1));
    let error = compare(&inputs, &Options { baseline: Some("x".into()), ..Options::default() }).unwrap_err();
    assert_eq!(error.to_string(), "no record is of the baseline `x`; there are records of a, b");
}

#[test]
fn trials_without_blocks_have_a_ratio_of_medians_and_no_interval() {
    let unpaired = changed(pair(7), "", |example| example.trial.block = None);
    let comparison = standard(unpaired);
    let ratio = ratio(&comparison, "b");
    assert_eq!((ratio.paired, ratio.blocks, ratio.interval, ratio.verdict), (false, 0, None, None));
    assert_eq!(ratio.no_interval, Some(NoInterval::Unpaired));
    let medians = ["a", "b"].map(|backend| row(&comparison, backend).duration.unwrap().median);
    assert_eq!(ratio.estimate, medians[0] / medians[1]);
    warns(&comparison, WarningKind::Unpaired);
}

#[test]
fn a_ratio_of_single_runs_beyond_all_numbers_is_one_of_them() {
    let estimate = |seconds: [f64; 2]| {
        let timed = |(backend, seconds): (&str, f64)| example(backend, "pipeline", 0, seconds);
        let runs = ["a", "b"].into_iter().zip(seconds).map(timed).collect();
        let single = changed(runs, "", |example| example.trial.block = None);
        ratio(&standard(single), "b").estimate
    };
    assert_eq!(estimate([1e-200, 1e200]), f64::MIN_POSITIVE);
    assert_eq!(estimate([1e200, 1e-200]), f64::MAX);
}

#[test]
fn trials_are_paired_by_block_whatever_their_order() {
    let mut examples = pair(7);
    let ordered = ratio(&standard(examples.clone()), "b");
    // The first record must stay first: it decides on the baseline.
    examples[1..].reverse();
    assert_eq!(ratio(&standard(examples), "b"), ordered);
}

#[test]
fn a_block_that_only_one_finished_does_not_count_in_the_ratio() {
    let mut examples = pair(8);
    fail(&mut examples[5]);
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
fn without_a_successful_baseline_there_is_no_ratio() {
    let examples = pair(7);
    let failed = changed(examples.clone(), "a", fail);
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
fn trials_of_one_block_have_the_same_data_or_are_of_two_runs() {
    // Two runs with one id, of which one file has been made: in each, one of the backends did not take part.
    let other_data = changed(pair(7), "b", |example| example.trial.data_seed = 8);
    assert_eq!(row(&standard(other_data), "b").no_ratio, Some(NoRatio::NoCommonBlock));
}

#[test]
fn two_runs_with_different_seeds_each_have_their_baseline() {
    let later = changed(pair(7), "", |example| {
        example.trial.cell.spec.seed = 43;
        example.trial.cell.run_id = example.trial.cell.run_id.replace("night", "day");
    });
    let comparison = standard(pair(7).into_iter().chain(later));
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

/// Seven blocks of a run that began at this second, in which b has this speed.
fn named_run(run: &str, second: u64, speed: f64) -> Vec<Input> {
    let examples = changed(blocks("pipeline", 7, &[("a", 1.0), ("b", speed)]), "", |example| {
        example.trial.cell.run_id = example.trial.cell.run_id.replace("night", run);
    });
    of_run(examples, second)
}

#[test]
fn blocks_of_several_runs_follow_each_other_as_they_were_run() {
    // In the later run b is faster by a tenth: the blocks of each run are alike.
    let both = [named_run("one", 1000, 1.0), named_run("later", 2000, 1.1)].concat();
    let ratio = ratio(&compare(&both, &Options::default()).unwrap(), "b");
    assert!(ratio.autocorrelation > Some(0.7) && ratio.widened > Some(2.0), "{ratio:?}");
}

#[test]
fn the_interval_of_a_geometric_mean_is_over_the_blocks_of_several_runs_as_they_were_run() {
    // Of three runs, two have one id, and the second is of a faster b.
    let runs = [("nightly", 1000, 1.0), ("again", 2000, 1.1), ("nightly", 3000, 1.0)];
    let runs = runs.map(|(run, second, speed)| named_run(run, second, speed));
    let comparison = compare(&runs.concat(), &Options::default()).unwrap();
    let ratio = ratio(&comparison, "b");
    assert!(ratio.blocks == 21 && ratio.interval.is_some(), "{ratio:?}");
    // Over one point it is that of its ratio.
    assert_eq!(comparison.geomeans[0].interval, ratio.interval);
}

#[test]
fn trials_on_fewer_cores_and_single_runs_are_rows_of_their_own_with_baselines_of_their_own() {
    let run = |run: &str, factor: f64, change: fn(&mut Input)| {
        let examples = changed(pair(7), "", |example| {
            example.trial.cell.run_id = example.trial.cell.run_id.replace("night", run);
            example.finished().duration_seconds *= factor;
        });
        let mut inputs = recorded(examples);
        inputs.iter_mut().for_each(change);
        inputs
    };
    let runs = [
        run("all", 1.0, |_| ()),
        run("fewer", 3.0, |input| input.record.metadata.cores = Some(vec![0])),
        run("single", 5.0, |input| input.record.metadata.block = None),
    ];
    let comparison = compare(&runs.concat(), &Options::default()).unwrap();
    let rows = &comparison.points[0].rows;
    let labels: Vec<_> = rows.iter().map(|row| (row.label.as_str(), row.is_baseline)).collect();
    let [all, fewer, single] = ["all cores, in blocks", "1 core, in blocks", "all cores, single runs"];
    let expected = ["a", "b"].map(|name| [all, fewer, single].map(|how| format!("{name} ({how})"))).concat();
    let expected: Vec<_> =
        expected.iter().zip(0..).map(|(label, place)| (label.as_str(), place < 3)).collect();
    assert_eq!(labels, expected);
    let medians: Vec<_> = rows.iter().map(|row| row.duration.unwrap().median).collect();
    assert!((medians[1] / medians[0] - 3.0).abs() < 1e-9 && (medians[2] / medians[0] - 5.0).abs() < 1e-9);
    for (row, baseline) in rows[3..].iter().zip(rows) {
        assert_eq!(row.compared_with.as_ref(), Some(&baseline.label));
        assert!((row.ratio.unwrap().estimate - 2.0).abs() < 0.02, "{row:?}");
    }
}
