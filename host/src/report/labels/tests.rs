//! Labels as people read them.

use proptest::prelude::*;

use super::*;
use crate::report::examples;

#[test]
fn text_from_plugins_becomes_one_line_without_control_characters() {
    assert_eq!(one_line("a\x1b[2J\nb\u{202e}c", 99), "a\u{fffd}[2J b\u{fffd}c");
    assert_eq!((one_line("abcdef", 4), one_line("abcd", 4)), ("abc…".into(), "abcd".into()));
}

#[test]
fn the_settings_of_a_point_leave_out_the_defaults() {
    let mut at = examples::point("pipeline", Some(1000), 2);
    assert_eq!(point(&at), "pipeline, 1\u{202f}000 items, parallelism 2");
    (at.items, at.nodes, at.scheduler) = (None, 3, "fifo".into());
    at.extra.insert("iters".into(), 5.into());
    assert_eq!(settings(&at), "parallelism 2, scheduler fifo, 3 nodes, iters=5");
}

#[test]
fn trials_in_no_block_are_counted() {
    let texts = [("a", Some(0)), ("b", None), ("a", Some(2)), ("b", None), ("c", Some(1)), ("d", None)];
    let found = by_block(texts.into_iter().map(|(text, number)| (text.to_owned(), number)));
    let expected = [("a", "blocks 1, 3"), ("b", "2 trials"), ("c", "block 2"), ("d", "1 trial")];
    assert_eq!(found, expected.map(|(text, label)| (text.to_owned(), label.to_owned())));
}

#[test]
fn what_went_wrong_in_a_row_without_a_ratio_is_its_verdict() {
    let mut row = examples::row("x", None);
    assert_eq!(verdict_of_row(&row).text, "baseline");
    row.doubts.push(Doubt::CpuTime { part: 0.8 });
    assert_eq!(verdict_of_row(&row).text, "in doubt");
    let mut row = examples::row("x", None);
    (row.is_baseline, row.no_ratio) = (false, Some(NoRatio::Incomparable));
    assert_eq!(verdict_of_row(&row).text, "incomparable");
    (row.counts.verified, row.counts.wrong) = (5, 2);
    assert_eq!(verdict_of_row(&row).text, "wrong answer");
}

#[test]
fn a_row_that_is_not_whole_has_no_ratio_and_says_why() {
    let shown = |change: fn(&mut Row)| {
        let mut row = examples::row("x", Some(1.5));
        change(&mut row);
        let TableRow { ratio, interval, mean_ratio, verdict, .. } = TableRow::of(&row);
        ([ratio, interval, mean_ratio].map(|text| text == NONE), verdict.text)
    };
    assert_eq!(shown(|_| ()), ([false; 3], "faster".into()));
    let none = |why: &str| ([true; 3], why.to_owned());
    assert_eq!(shown(|row| (row.counts.verified, row.counts.wrong) = (6, 1)), none("wrong answer"));
    assert_eq!(shown(|row| (row.counts.verified, row.counts.invalid) = (5, 2)), none("has failures"));
    assert_eq!(shown(|row| row.doubts.push(Doubt::CpuTime { part: 0.8 })), none("in doubt"));
    // Few blocks have no verdict anyway.
    assert_eq!(
        shown(|row| {
            (row.counts.verified, row.counts.failed) = (6, 1);
            row.ratio.as_mut().unwrap().verdict = None;
        }),
        none("has failures")
    );
    assert_eq!(
        shown(|row| row.ratio.as_mut().unwrap().withheld = Some(Withheld::BaselineFailures)),
        none("bad baseline")
    );
    assert_eq!(
        shown(|row| row.ratio.as_mut().unwrap().withheld = Some(Withheld::BelowNoiseFloor)),
        ([false; 3], "within noise".into())
    );
    assert_eq!(
        shown(|row| row.ratio.as_mut().unwrap().withheld = Some(Withheld::Holm)),
        ([false; 3], "n.s. (Holm)".into())
    );
}

#[test]
fn a_row_without_a_successful_trial_has_its_failure_as_verdict() {
    let row = examples::failed_row("x", "wrong_answer", "499 items");
    let TableRow { median, rate, ratio, interval, verdict, verified, all_verified, .. } = TableRow::of(&row);
    assert_eq!([median, rate, ratio, interval], [NONE; 4]);
    assert_eq!((verdict.text.as_str(), verdict.tone), ("wrong answer", Tone::Bad));
    assert_eq!((verified.as_str(), all_verified), ("0/7", false));
}

#[test]
fn an_open_loop_shows_neither_how_long_its_schedule_is_nor_how_much_that_varies() {
    let comparison = examples::open_loop();
    let rows: Vec<_> = comparison.points[0].rows.iter().map(TableRow::of).collect();
    // Of gamma, which ran on several machines, no latency is known.
    for (row, median) in rows.iter().zip(["p99 3.93 ms", "p99 44.2 ms", NONE]) {
        assert_eq!((row.median.as_str(), row.spread.as_str()), (median, NONE), "{}", row.label);
    }
}

#[test]
fn failures_with_several_messages_do_not_look_like_those_with_one() {
    let mut row = examples::failed_row("x", "wrong_answer", "499 items");
    let told = "b: wrong answer in run (7 of 7 trials): 499 items; try: crossrun run --isolation none";
    assert_eq!(failures(&row, "b"), [told]);
    row.failures[0].other_messages = 6;
    assert_eq!(failures(&row, "b"), [told.replace("trials)", "trials, 6 of them with another message)")]);
}

proptest! {
    #[test]
    fn no_text_is_longer_than_its_limit_or_has_a_control_character(text in any::<String>(), limit in 1..50usize) {
        for line in [one_line(&text, limit), short_name(&text, limit)] {
            prop_assert!(line.chars().count() <= limit);
            prop_assert!(!line.contains(|c: char| c.is_control() || is_invisible(c)));
        }
    }
}
