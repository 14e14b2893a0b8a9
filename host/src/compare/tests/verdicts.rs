//! Which ratios have an interval, and which a verdict.

use std::cmp::Reverse;

use super::*;

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
fn few_blocks_or_a_quick_comparison_have_no_interval_and_no_verdict() {
    let five = ratio(&standard(pair(5)), "b");
    assert_eq!((five.interval, five.verdict, five.p_value), (None, None, None));
    assert_eq!((five.no_interval, five.blocks), (Some(NoInterval::TooFewBlocks), 5));
    assert!((five.estimate - 2.0).abs() < 0.02);
    let quick = ratio(&rigorous(Rigor::Quick, pair(7)), "b");
    assert_eq!((quick.interval, quick.verdict, quick.p_value), (None, None, None));
    assert_eq!(quick.no_interval, Some(NoInterval::Quick));
}

#[test]
fn the_noise_of_another_machine_withholds_no_verdict() {
    let noisy = same_file(blocks("pipeline", 7, &[("a", 1.0), ("a-again", 1.2)]));
    let noisy = changed(noisy, "", |example| example.system_profile.hostname = Some("noisy".into()));
    let quiet = blocks("pipeline", 7, &[("a", 1.0), ("b", 1.1)]);
    let comparison = standard(quiet.into_iter().chain(noisy));
    assert_eq!((ratio(&comparison, "b").verdict, comparison.noise_floor), (Some(Verdict::Faster), None));
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
fn two_names_of_which_one_has_failures_or_doubts_give_no_noise_floor() {
    let noisy = || same_file(blocks("pipeline", 12, &[("a", 1.0), ("a-again", 1.2), ("b", 1.1)]));
    let floor = |examples| {
        let comparison = standard(examples);
        (
            comparison.points[0].noise_floor.is_some(),
            comparison.noise_floor.is_some(),
            ratio(&comparison, "b"),
        )
    };
    assert_eq!(floor(noisy()).2.withheld, Some(Withheld::BelowNoiseFloor));
    let late = |example: &mut Example| {
        let seconds = example.finished().duration_seconds;
        let delay = if example.trial.backend.name == "a-again" { 0.4 } else { 0.0 };
        example.result.host_elapsed = Some(seconds + delay);
    };
    for (of_point, of_all, b) in [
        floor(changed_in(noisy(), "a-again", 3..4, fail)),
        floor(changed_in(noisy(), "a-again", 3..4, answer_wrongly)),
        floor(changed(noisy(), "", late)),
    ] {
        assert_eq!((of_point, of_all), (false, false));
        assert_eq!((b.verdict, b.withheld), (Some(Verdict::Faster), None));
    }
    // What another backend did says nothing of the two.
    assert!(floor(changed_in(noisy(), "b", 3..4, fail)).0);
}

/// Seven blocks. In these b is about 1.09 times as fast as a, by 8 % more or less.
fn unsteady(speeds: &[(&str, f64)]) -> Vec<Example> {
    changed(blocks("pipeline", 7, speeds), "b", |example| {
        let block = example.trial.block.unwrap();
        let drift = 1.0 + 0.1 * f64::from(block % 3);
        let unsteady = 1.0 + 0.08 * (f64::from(block * 5 % 7) - 3.0) / 3.0;
        example.result.finished = Some(finished(drift / (1.09 * unsteady)));
    })
}

#[test]
fn an_inconclusive_difference_below_the_noise_floor_is_resolved_by_no_number_of_blocks() {
    let speeds = [("a", 1.0), ("a-again", 1.2), ("b", 1.0)];
    let without = ratio(&standard(unsteady(&speeds)), "b");
    let Some(Verdict::Inconclusive { more_blocks: Some(_) }) = without.verdict else { panic!("{without:?}") };
    assert!(without.estimate > 1.05 && without.withheld.is_none(), "{without:?}");
    let b = ratio(&standard(same_file(unsteady(&speeds))), "b");
    assert_eq!(b.verdict, Some(Verdict::Inconclusive { more_blocks: None }));
    assert_eq!((b.withheld, b.interval), (Some(Withheld::BelowNoiseFloor), without.interval));
    // Within the margin more blocks may show that both are equally fast.
    let near =
        changed(same_file(unsteady(&speeds)), "b", |example| example.finished().duration_seconds *= 1.07);
    let b = ratio(&standard(near), "b");
    assert!(b.estimate < 1.05 && b.withheld.is_none(), "{b:?}");
    assert!(matches!(b.verdict, Some(Verdict::Inconclusive { .. })), "{b:?}");
}

#[test]
fn published_differences_are_significant_over_the_whole_table() {
    let speeds = [("a", 1.0), ("b", 1.2), ("c", 1.3), ("d", 1.4), ("e", 1.0)];
    // At 7 blocks the smallest p-value is 0.016: times four it is none.
    let seven = rigorous(Rigor::Publish, blocks("pipeline", 7, &speeds));
    for backend in ["b", "c", "d"] {
        let ratio = ratio(&seven, backend);
        assert_eq!((ratio.margin_p_value, ratio.withheld), (Some(2.0 / 128.0), Some(Withheld::Holm)));
        assert_eq!(ratio.adjusted_p_value, Some(4.0 * 2.0 / 128.0));
        assert_eq!(ratio.verdict, Some(Verdict::Inconclusive { more_blocks: None }));
    }
    assert_eq!(ratio(&seven, "e").verdict, Some(Verdict::Equivalent));
    let twelve = rigorous(Rigor::Publish, blocks("pipeline", 12, &speeds));
    for backend in ["b", "c", "d"] {
        assert_eq!(ratio(&twelve, backend).verdict, Some(Verdict::Faster));
        assert!(ratio(&twelve, backend).adjusted_p_value.is_some_and(|p| p < 0.05));
    }
    assert_eq!(ratio(&standard(blocks("pipeline", 7, &speeds)), "b").adjusted_p_value, None);
}

#[test]
fn a_difference_needs_more_blocks_to_be_published_beside_others() {
    let needed = |others, rigor| {
        let speeds = [("a", 1.0), ("b", 1.0), ("c", others), ("d", others), ("e", others), ("f", others)];
        match ratio(&rigorous(rigor, unsteady(&speeds)), "b").verdict {
            Some(Verdict::Inconclusive { more_blocks: Some(more_blocks) }) => more_blocks,
            verdict => panic!("{verdict:?}"),
        }
    };
    let alone = needed(1.0, Rigor::Standard);
    // The others are as fast as a, so that b's is the smallest p-value, which is multiplied by five.
    let beside_larger = needed(1.0, Rigor::Publish);
    assert!(beside_larger > alone, "{beside_larger} {alone}");
    // Of the others each block says that they are faster, so that b's is the largest p-value, and multiplied by one.
    assert_eq!(needed(1.3, Rigor::Publish), alone);
}

#[test]
fn an_a_a_comparison_of_whichever_backend_does_not_count_in_the_correction() {
    for (of, again, speed) in [("a", "a-again", 1.0), ("b", "b-again", 1.3)] {
        let examples = blocks("pipeline", 12, &[("a", 1.0), ("b", 1.3), (again, speed)]);
        let examples = changed(examples, again, |example| example.plugin = Some(library(of, true)));
        let comparison = rigorous(Rigor::Publish, examples);
        assert_eq!(ratio(&comparison, again).adjusted_p_value, None);
        let b = ratio(&comparison, "b");
        assert_eq!(b.adjusted_p_value, b.margin_p_value);
    }
}

#[test]
fn the_second_name_of_an_a_a_comparison_has_no_difference_that_is_not_significant_beside_all_others() {
    let speeds = [("a", 1.0), ("b", 1.3), ("b-again", 1.3), ("c", 1.3), ("d", 1.3), ("e", 1.3)];
    let published = |count| {
        let examples = blocks("pipeline", count, &speeds);
        let again = |example: &mut Example| example.plugin = Some(library("b", true));
        rigorous(Rigor::Publish, changed(examples, "b-again", again))
    };
    // 2/128 times four is above 5 %, and 2/4096 times four is not.
    let seven = published(7);
    for backend in ["b", "b-again"] {
        let ratio = ratio(&seven, backend);
        assert_eq!(ratio.verdict, Some(Verdict::Inconclusive { more_blocks: None }), "{backend}");
        assert_eq!(ratio.withheld, Some(Withheld::Holm), "{backend}");
    }
    assert_eq!(ratio(&seven, "b-again").adjusted_p_value, None);
    let again = ratio(&published(12), "b-again");
    assert_eq!((again.verdict, again.withheld), (Some(Verdict::Faster), None));
}

#[test]
fn both_names_of_a_file_have_one_verdict_beside_clearer_differences() {
    // By so many hundredths b is beyond the margin in each block, but for the one block in which it is that much below it. The rank of
    // that block is a third of it, and has the p-value.
    let beyond = [18, 36, 3, 27, 9, 33, 15, 24, 6, 30, 12, 21];
    let speeds = [("a", 1.0), ("b", 1.0), ("b-again", 1.0), ("c", 1.3), ("d", 1.3), ("e", 1.3)];
    for (below, p_values) in [(27, 0.0125..0.025), (33, 0.025..0.05)] {
        let examples = changed(blocks("pipeline", 12, &speeds), "", |example| {
            if example.trial.backend.name.starts_with('b') {
                let block = example.trial.block.unwrap();
                let drift = 1.0 + 0.1 * f64::from(block % 3);
                let hundredths = beyond[block as usize];
                let speed =
                    1.05 * (f64::from(if hundredths == below { -below } else { hundredths }) / 100.0).exp();
                example.finished().duration_seconds = drift / speed;
                example.plugin = Some(library("b", true));
            }
        });
        let comparison = rigorous(Rigor::Publish, examples);
        let [first, again] = ["b", "b-again"].map(|backend| ratio(&comparison, backend));
        // Times the four ratios of the table the first is above 5 %, and the second times two, if both names were in the table. Holm's
        // method multiplies the largest p-value of a table by one.
        assert!(again.margin_p_value.is_some_and(|p| p_values.contains(&p)), "{again:?}");
        assert_eq!((first.adjusted_p_value, again.adjusted_p_value), (first.margin_p_value, None));
        for ratio in [first, again] {
            assert_eq!((ratio.verdict, ratio.withheld), (Some(Verdict::Faster), None), "{ratio:?}");
        }
    }
}

#[test]
fn a_table_is_judged_by_what_its_verdicts_claim() {
    // All blocks say that b is a bit faster, and none that it is by more than the margin.
    let comparison = rigorous(Rigor::Publish, blocks("pipeline", 12, &[("a", 1.0), ("b", 1.03)]));
    let b = ratio(&comparison, "b");
    assert!(b.p_value.is_some_and(|p| p < 0.001), "{b:?}");
    assert_eq!((b.margin_p_value, b.adjusted_p_value), (Some(1.0), Some(1.0)));
}

#[test]
fn beside_a_failure_or_a_wrong_answer_there_is_no_verdict() {
    let faster = ratio(&standard(two("", .., |_| ())), "b");
    assert_eq!((faster.verdict, faster.withheld), (Some(Verdict::Faster), None));
    // Seven of twelve are verified, and those are faster.
    let b = ratio(&standard(two("b", 7.., fail)), "b");
    assert_eq!((b.verdict, b.withheld, b.blocks), (None, Some(Withheld::Failures), 7));
    assert!(b.interval.is_some_and(|interval| interval.low > 1.05));
    let b = ratio(&standard(two("a", 11.., fail)), "b");
    assert_eq!((b.verdict, b.withheld), (None, Some(Withheld::BaselineFailures)));
    let b = ratio(&standard(two("b", 3..4, answer_wrongly)), "b");
    assert_eq!((b.verdict, b.withheld), (None, Some(Withheld::WrongAnswers)));
}

#[test]
fn a_failure_of_either_side_is_the_reason_also_where_there_are_too_few_blocks_for_a_verdict() {
    let few = || blocks("pipeline", 3, &[("a", 1.0), ("b", 1.3)]);
    for (backend, why) in [("a", Withheld::BaselineFailures), ("b", Withheld::Failures)] {
        let b = ratio(&standard(changed_in(few(), backend, 1..2, fail)), "b");
        assert_eq!((b.verdict, b.withheld, b.no_interval), (None, Some(why), Some(NoInterval::TooFewBlocks)));
    }
    assert_eq!(ratio(&standard(few()), "b").withheld, None);
}

#[test]
fn the_mean_has_the_rare_slow_run_that_a_typical_run_has_not() {
    let comparison = standard(two("b", 3..4, |example| example.result.finished = Some(finished(10.0))));
    let b = ratio(&comparison, "b");
    assert!((b.estimate - 1.3).abs() < 0.02, "{b:?}");
    let mean = b.mean_ratio.unwrap();
    assert!(mean.estimate < 0.8, "{mean:?}");
    let spread = row(&comparison, "b").variation.unwrap();
    assert!(spread.coefficient > 1.0 && spread.slowest_to_fastest > 10.0, "{spread:?}");
    let b = ratio(&rigorous(Rigor::Quick, two("", .., |_| ())), "b");
    assert!(b.mean_ratio.is_some_and(|mean| mean.interval.is_none()));
}

#[test]
fn blocks_of_few_clock_ticks_have_no_interval_and_no_verdict() {
    let ticks = two("", .., |example| {
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
        let mut examples = two("", .., |example| {
            let block = example.trial.block.unwrap();
            let slower = if example.trial.backend.name == "b" { 1.0 + f64::from(block) / 50.0 } else { 1.0 };
            example.result.finished = Some(finished(slower));
        });
        if backwards {
            examples.sort_by_key(|example| Reverse(example.trial.block.unwrap() * 5 % 12));
        }
        ratio(&standard(examples), "b")
    };
    let b = drift(false);
    assert!(b.autocorrelation.is_some_and(|it| it > 0.5) && b.widened.is_some_and(|it| it > 2.0), "{b:?}");
    assert_eq!(drift(true), b);
}
