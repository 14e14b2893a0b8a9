//! What the formats that people read have in common: how a row, a verdict and a failure are put into words.

use serde::Serialize;

use super::figure;
use crate::compare::model::{
    Comparison, Counts, FailureGroup, Incomparable, NoRatio, Point, Ratio, Rigor, Row, Spread, Verdict,
    Withheld,
};

/// What stands where there is no figure.
pub(super) const NONE: &str = "–";

/// The number of a block. People count from 1, records from 0.
pub(super) fn block(block: Option<u32>) -> String {
    block.map_or_else(|| NONE.into(), |block| (u64::from(block) + 1).to_string())
}

/// How good the news is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Tone {
    Good,
    Bad,
    Even,
    Unsure,
}

/// What may be said of a row, with a sign that tells it without colour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Call {
    pub(super) tone: Tone,
    pub(super) sign: &'static str,
    pub(super) word: String,
}

impl Call {
    fn new(tone: Tone, sign: &'static str, word: impl Into<String>) -> Self {
        Self { tone, sign, word: word.into() }
    }
}

/// A row of a table: the same words in every format.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Line {
    pub(super) label: String,
    pub(super) median: String,
    pub(super) rate: String,
    pub(super) ratio: String,
    pub(super) interval: String,
    pub(super) call: Call,
    pub(super) verified: String,
    pub(super) all_verified: bool,
}

impl Line {
    pub(super) fn of(row: &Row) -> Self {
        let ratio = row.ratio.as_ref();
        let interval = ratio.and_then(|ratio| ratio.interval);
        Self {
            label: line(&row.label, 60),
            median: compared(row),
            rate: rate(row),
            ratio: match ratio {
                Some(ratio) => figure::ratio(ratio.estimate),
                None if row.is_baseline && succeeded(&row.counts) => "1".into(),
                None => NONE.into(),
            },
            interval: interval.map_or_else(|| NONE.into(), |found| figure::interval(found.low, found.high)),
            call: call(row),
            verified: format!("{}/{}", row.counts.verified, row.counts.trials),
            all_verified: row.counts.verified == row.counts.trials,
        }
    }
}

/// What rows are compared by: the time of a run or, in an open loop, a percentile of latency.
fn compared(row: &Row) -> String {
    match &row.compared_latency {
        Some(latency) => format!("{} {}", latency.percentile, figure::duration(latency.spread.median)),
        None => median(row.duration.as_ref(), figure::duration),
    }
}

/// The middle of a spread.
pub(super) fn median(spread: Option<&Spread>, unit: fn(f64) -> String) -> String {
    spread.map_or_else(|| NONE.into(), |spread| unit(spread.median))
}

/// Items that went in per second; of records that do not count them, items that came out.
fn rate(row: &Row) -> String {
    match (&row.input_rate, &row.output_rate) {
        (Some(input), _) => figure::quantity(input.median),
        (None, Some(output)) => format!("{} out", figure::quantity(output.median)),
        (None, None) => NONE.into(),
    }
}

/// Whether any trial has figures.
pub(super) fn succeeded(counts: &Counts) -> bool {
    counts.verified + counts.unverified > 0
}

fn call(row: &Row) -> Call {
    if !succeeded(&row.counts) {
        let word = row.failures.first().map_or_else(|| "no result".into(), |failure| kind(&failure.kind));
        return Call::new(Tone::Bad, "✗", word);
    }
    match (&row.ratio, row.no_ratio) {
        _ if row.is_baseline => Call::new(Tone::Unsure, "", "baseline"),
        (Some(ratio), _) => verdict(ratio),
        (None, Some(why)) => Call::new(Tone::Unsure, "", no_ratio(why)),
        (None, None) => Call::new(Tone::Unsure, "", "no verdict"),
    }
}

fn verdict(ratio: &Ratio) -> Call {
    match (ratio.withheld, ratio.verdict) {
        (Some(Withheld::BelowNoiseFloor), _) => Call::new(Tone::Unsure, "?", "within noise"),
        (Some(Withheld::Holm), _) => Call::new(Tone::Unsure, "?", "not by Holm"),
        (None, Some(Verdict::Faster)) => Call::new(Tone::Good, "▲", "faster"),
        (None, Some(Verdict::Slower)) => Call::new(Tone::Bad, "▼", "slower"),
        (None, Some(Verdict::Equivalent)) => Call::new(Tone::Even, "≈", "equivalent"),
        (None, Some(Verdict::Inconclusive { .. })) => Call::new(Tone::Unsure, "?", "inconclusive"),
        (None, None) => Call::new(Tone::Unsure, "", "no verdict"),
    }
}

fn no_ratio(why: NoRatio) -> &'static str {
    match why {
        NoRatio::NoBaseline => "no baseline",
        NoRatio::BaselineFailed => "no baseline",
        NoRatio::Failed => "failed",
        NoRatio::NoLatency => "no latency",
        NoRatio::NoCommonBlock => "no pairs",
        NoRatio::Incomparable => "incomparable",
    }
}

/// What differs between a row and the baseline's, as the end of a sentence.
pub(super) fn incomparable(difference: &Incomparable) -> String {
    let keys = |keys: &[String]| {
        let keys = line(&keys.join(", "), 200);
        if keys.is_empty() { String::new() } else { format!(" ({keys})") }
    };
    match difference {
        Incomparable::Machine { keys: which } => format!("another machine{}", keys(which)),
        Incomparable::Configuration { keys: which } => format!("another configuration{}", keys(which)),
        Incomparable::DebugBesideRelease { this_is_debug: true } => {
            "a debug build beside a release build".into()
        }
        Incomparable::DebugBesideRelease { this_is_debug: false } => {
            "a release build beside a debug build".into()
        }
        Incomparable::WorkloadLibrary => "another workload library".into(),
    }
}

/// The workload of a point and how it was run: `pipeline, 1000 items, parallelism 2`.
pub(super) fn point(point: &Point) -> String {
    format!("{}, {}", line(&point.workload, 60), settings(point))
}

/// The points of each workload together, in the order in which the workloads first appear.
pub(super) fn by_workload(comparison: &Comparison) -> Vec<Vec<&Point>> {
    let mut workloads: Vec<Vec<&Point>> = Vec::new();
    for point in &comparison.points {
        let same =
            |points: &&mut Vec<&Point>| points.first().is_some_and(|first| first.workload == point.workload);
        match workloads.iter_mut().find(same) {
            Some(points) => points.push(point),
            None => workloads.push(vec![point]),
        }
    }
    workloads
}

/// How a point was run, without what is usual: `1000 items, parallelism 2, iters=5`.
pub(super) fn settings(point: &Point) -> String {
    let mut parts = Vec::new();
    parts.extend(point.items.map(|items| {
        let noun = if items == 1 { "item" } else { "items" };
        format!("{} {noun}", figure::count(items))
    }));
    if point.parallelism > 0 {
        parts.push(format!("parallelism {}", point.parallelism));
    }
    if point.scheduler != "default" {
        parts.push(format!("scheduler {}", line(&point.scheduler, 40)));
    }
    if point.nodes != 1 {
        parts.push(format!("{} nodes", point.nodes));
    }
    parts.extend(point.extra.iter().map(|(key, value)| line(&format!("{key}={value}"), 80)));
    parts.join(", ")
}

/// A failure in one line: what, where, how often, and what to do.
pub(super) fn failure(failure: &FailureGroup, row: &Row) -> String {
    let FailureGroup { phase, kind: word, message, remedy, count, .. } = failure;
    let often = format!("{count} of {}", crate::text::plural(row.counts.trials.into(), "trial"));
    let remedy = remedy.as_ref().map_or_else(String::new, |remedy| format!("; try: {}", line(remedy, 300)));
    format!("{} in {} ({often}): {}{remedy}", kind(word), line(phase, 40), line(message, 1000))
}

/// `wrong_answer` is for programs.
fn kind(kind: &str) -> String {
    line(kind, 40).replace('_', " ")
}

/// What the reader must know beside the tables, the gravest first.
pub(super) fn notes(comparison: &Comparison) -> Vec<String> {
    let mut notes: Vec<_> = comparison.warnings.iter().map(|warning| line(&warning.message, 1000)).collect();
    notes.extend(incomparable_rows(comparison));
    if comparison.rigor == Rigor::Quick && comparison.points.iter().any(|point| point.rows.len() > 1) {
        notes.push("a quick comparison has neither intervals nor verdicts".into());
    }
    if let Some(factor) = comparison.noise_floor {
        let floor = figure::ratio(factor);
        notes.push(format!("one backend under two names differed by up to {floor}: less than that is noise"));
    }
    notes.extend(most_blocks(comparison));
    notes
}

/// What differs where it should not, once for each label: it is the same at most points.
fn incomparable_rows(comparison: &Comparison) -> Vec<String> {
    let mut told: Vec<String> = Vec::new();
    for row in comparison.points.iter().flat_map(|point| &point.rows) {
        if row.incomparable.is_empty() {
            continue;
        }
        let why: Vec<_> = row.incomparable.iter().map(incomparable).collect();
        let note = format!("{} beside the baseline: {}", line(&row.label, 60), why.join("; "));
        if !told.contains(&note) {
            told.push(note);
        }
    }
    told
}

/// About how many more blocks would tell.
pub(super) fn more_blocks(ratio: &Ratio) -> Option<u32> {
    match ratio.verdict {
        Some(Verdict::Inconclusive { more_blocks }) if ratio.withheld.is_none() => more_blocks,
        _ => None,
    }
}

/// How many more blocks the least certain row needs.
fn most_blocks(comparison: &Comparison) -> Option<String> {
    let ratios = comparison.points.iter().flat_map(|point| &point.rows).filter_map(|row| row.ratio.as_ref());
    ratios.filter_map(more_blocks).max().map(|blocks| {
        let blocks = crate::text::plural(blocks.into(), "more block");
        format!("about {blocks} would settle what is inconclusive")
    })
}

/// Text of others as one line of at most `limit` characters, without what could steer a terminal or turn the
/// direction of the text around it.
pub(super) fn line(text: &str, limit: usize) -> String {
    let mut line = String::new();
    for (place, c) in text.trim().chars().enumerate() {
        if place == limit {
            line.pop();
            line.push('…');
            break;
        }
        line.push(match c {
            '\n' | '\t' | '\r' => ' ',
            c if c.is_control() || is_invisible(c) => '\u{fffd}',
            c => c,
        });
    }
    line
}

/// Marks of direction, joiners and the like: a name that contains them is not what it looks like.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::report::examples;

    #[test]
    fn text_of_others_is_one_line_that_steers_nothing() {
        assert_eq!(line("a\x1b[2J\nb\u{202e}c", 99), "a\u{fffd}[2J b\u{fffd}c");
        assert_eq!((line("abcdef", 4), line("abcd", 4)), ("abc…".into(), "abcd".into()));
    }

    #[test]
    fn a_point_tells_only_what_is_not_usual() {
        let mut at = examples::point("pipeline", Some(1000), 2);
        assert_eq!(point(&at), "pipeline, 1\u{202f}000 items, parallelism 2");
        (at.items, at.nodes, at.scheduler) = (None, 3, "fifo".into());
        at.extra.insert("iters".into(), 5.into());
        assert_eq!(settings(&at), "parallelism 2, scheduler fifo, 3 nodes, iters=5");
    }

    #[test]
    fn a_verdict_that_was_withheld_is_not_told() {
        let mut row = examples::row("x", Some(0.5));
        let ratio = row.ratio.as_mut().unwrap();
        assert_eq!(verdict(ratio).word, "slower");
        ratio.withheld = Some(Withheld::BelowNoiseFloor);
        assert_eq!(verdict(ratio).word, "within noise");
        ratio.withheld = Some(Withheld::Holm);
        assert_eq!(call(&row).tone, Tone::Unsure);
    }

    #[test]
    fn a_row_without_success_says_how_it_failed_instead_of_a_verdict() {
        let row = examples::failed_row("x", "wrong_answer", "499 items");
        let Line { median, rate, ratio, interval, call, verified, all_verified, .. } = Line::of(&row);
        assert_eq!([median, rate, ratio, interval], [NONE; 4]);
        assert_eq!((call.word.as_str(), call.tone), ("wrong answer", Tone::Bad));
        assert_eq!((verified.as_str(), all_verified), ("0/7", false));
    }

    proptest! {
        #[test]
        fn no_text_is_longer_than_its_limit_or_has_a_control_character(text in any::<String>(), limit in 1..50usize) {
            let line = line(&text, limit);
            prop_assert!(line.chars().count() <= limit);
            prop_assert!(!line.contains(|c: char| c.is_control() || is_invisible(c)));
        }
    }
}
