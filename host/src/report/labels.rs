//! The labels that the formats for people share: rows, verdicts, settings, failures and notes.

use std::collections::BTreeMap;

use serde::Serialize;

use super::number;
use crate::compare::model::{
    Comparison, Counts, Doubt, FailureGroup, Incomparable, MachineReading, NoRatio, Point, Ratio, Row,
    Spread, SystemProfile, Verdict, Withheld,
};
use crate::first_seen::grouped;
use crate::text::{is_invisible, plural, with_remedy};

/// The longest command. One that is cut could not be pasted.
pub(super) const MAX_COMMAND: usize = 20_000;

/// Shown in place of a value that does not exist.
pub(super) const NONE: &str = "–";

/// The formatted value, or [`NONE`].
pub(super) fn or_none<T>(value: Option<T>, format: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| NONE.into(), format)
}

/// The number of a block. People count from 1, records from 0.
pub(super) fn block(block: Option<u32>) -> String {
    or_none(block, |block| (u64::from(block) + 1).to_string())
}

/// Equal texts once, in their order, each with the blocks that it concerns: `blocks 1, 3`. Where one is in no block, the trials are
/// counted: `2 trials`.
pub(super) fn by_block(texts: impl Iterator<Item = (String, Option<u32>)>) -> Vec<(String, String)> {
    let labelled = |(text, numbers): (String, Vec<Option<u32>>)| {
        let noun = if numbers.len() == 1 { "block" } else { "blocks" };
        let blocks: Vec<_> = numbers.iter().map(|number| block(*number)).collect();
        let label = if numbers.contains(&None) {
            plural(numbers.len() as u64, "trial")
        } else {
            format!("{noun} {}", blocks.join(", "))
        };
        (text, label)
    };
    grouped(texts).into_iter().map(labelled).collect()
}

/// Whether a result is good or bad, which decides on its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Tone {
    Good,
    Bad,
    Even,
    Unsure,
}

/// The label of a row's verdict, with a sign that has the same meaning as its colour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct VerdictLabel {
    pub(super) tone: Tone,
    pub(super) sign: &'static str,
    pub(super) text: String,
}

impl VerdictLabel {
    fn new(tone: Tone, sign: &'static str, text: impl Into<String>) -> Self {
        Self { tone, sign, text: text.into() }
    }
}

/// The cells of a table row, the same in every format.
#[derive(Clone, Debug, Serialize)]
pub(super) struct TableRow {
    pub(super) label: String,
    pub(super) median: String,
    /// The coefficient of variation of the times; none of an open loop.
    pub(super) spread: String,
    pub(super) rate: String,
    pub(super) ratio: String,
    pub(super) interval: String,
    pub(super) mean_ratio: String,
    pub(super) efficiency: String,
    /// The overhead of an item.
    pub(super) overhead: String,
    pub(super) verdict: VerdictLabel,
    pub(super) verified: String,
    pub(super) all_verified: bool,
}

impl TableRow {
    pub(super) fn of(row: &Row) -> Self {
        let ratio = shown_ratio(row);
        Self {
            label: name(&row.label),
            median: format!("{}{}", if row.unsettled > 0 { "~" } else { "" }, compared(row)),
            spread: or_none(row.variation.filter(|_| row.open_loop.is_none()), |it| {
                number::percent(it.coefficient)
            }),
            rate: or_none(throughput(row), |(_, label)| label),
            ratio: match ratio {
                Some(ratio) => number::ratio(ratio.estimate),
                None if row.is_baseline && succeeded(&row.counts) => "1".into(),
                None => NONE.into(),
            },
            interval: or_none(ratio.and_then(|ratio| ratio.interval), |it| number::interval(it.low, it.high)),
            mean_ratio: or_none(ratio.and_then(|ratio| ratio.mean_ratio), |it| number::ratio(it.estimate)),
            efficiency: median(row.efficiency.and_then(|it| it.efficiency), number::percent),
            overhead: median(row.efficiency.and_then(|it| it.overhead_seconds_per_item), number::duration),
            verdict: verdict_of_row(row),
            verified: format!("{}/{}", row.counts.verified, row.counts.trials),
            all_verified: row.counts.verified == row.counts.trials,
        }
    }
}

/// The value by which rows are compared.
pub(super) fn compared(row: &Row) -> String {
    let percentile = row.compared_latency.as_ref().map(|latency| format!("{} ", latency.percentile));
    percentile.unwrap_or_default() + &median(compared_spread(row), number::duration)
}

/// The time of a run or, in an open loop, a percentile of latency: how long its runs take depends on the schedule alone.
pub(super) fn compared_spread(row: &Row) -> Option<Spread> {
    match &row.compared_latency {
        Some(latency) => Some(latency.spread),
        None => row.duration.filter(|_| row.open_loop.is_none()),
    }
}

pub(super) fn median(spread: Option<Spread>, format: fn(f64) -> String) -> String {
    or_none(spread, |spread| format(spread.median))
}

/// Input items per second, or output items where the records do not count the input, with the label.
pub(super) fn throughput(row: &Row) -> Option<(Spread, String)> {
    match (row.input_rate, row.output_rate) {
        (Some(input), _) => Some((input, number::quantity(input.median))),
        (None, Some(output)) => Some((output, format!("{} out", number::quantity(output.median)))),
        (None, None) => None,
    }
}

/// The ratio, where it may be shown: of a row that is not whole it says nothing of the backend.
pub(super) fn shown_ratio(row: &Row) -> Option<&Ratio> {
    row.ratio.as_ref().filter(|_| not_whole(row).is_none())
}

/// Why a ratio is not that of all blocks: where trials of either side went wrong, the blocks that are left may be the easy ones. Or why
/// it cannot be right.
pub(super) fn not_whole(row: &Row) -> Option<Withheld> {
    let Counts { wrong, invalid, failed, .. } = row.counts;
    let of_baseline = [Withheld::BaselineFailures, Withheld::BaselineDoubts];
    match () {
        () if wrong > 0 => Some(Withheld::WrongAnswers),
        () if invalid + failed > 0 => Some(Withheld::Failures),
        () if !row.doubts.is_empty() => Some(Withheld::Doubts),
        () => row.ratio.and_then(|ratio| ratio.withheld).filter(|why| of_baseline.contains(why)),
    }
}

/// Whether any trial has a result.
pub(super) fn succeeded(counts: &Counts) -> bool {
    counts.with_result() > 0
}

fn verdict_of_row(row: &Row) -> VerdictLabel {
    if !succeeded(&row.counts) {
        let kind = row.failures.first().map_or_else(|| "no result".into(), |failure| kind(&failure.kind));
        return VerdictLabel::new(Tone::Bad, "✗", kind);
    }
    match (&row.ratio, row.no_ratio) {
        _ if row.is_baseline && row.doubts.is_empty() => VerdictLabel::new(Tone::Unsure, "", "baseline"),
        // Also where there would be no verdict for another reason, such as few blocks.
        (Some(ratio), _) => verdict(&Ratio { withheld: not_whole(row).or(ratio.withheld), ..*ratio }),
        // What went wrong in the row itself comes before why it has no ratio.
        (None, _) if not_whole(row).is_some() => {
            verdict(&Ratio { withheld: not_whole(row), ..Ratio::default() })
        }
        (None, Some(why)) => VerdictLabel::new(Tone::Unsure, "", no_ratio(why)),
        (None, None) => VerdictLabel::new(Tone::Unsure, "", "no verdict"),
    }
}

fn verdict(ratio: &Ratio) -> VerdictLabel {
    let (tone, sign, text) = match (ratio.withheld, ratio.verdict) {
        (Some(Withheld::BelowNoiseFloor), _) => (Tone::Unsure, "?", "within noise"),
        (Some(Withheld::Holm), _) => (Tone::Unsure, "?", "n.s. (Holm)"),
        (Some(Withheld::WrongAnswers), _) => (Tone::Bad, "✗", "wrong answer"),
        (Some(Withheld::Failures), _) => (Tone::Bad, "✗", "has failures"),
        (Some(Withheld::BaselineFailures | Withheld::BaselineDoubts), _) => {
            (Tone::Unsure, "?", "bad baseline")
        }
        (Some(Withheld::Doubts), _) => (Tone::Bad, "✗", "in doubt"),
        (None, Some(Verdict::Faster)) => (Tone::Good, "▲", "faster"),
        (None, Some(Verdict::Slower)) => (Tone::Bad, "▼", "slower"),
        (None, Some(Verdict::Equivalent)) => (Tone::Even, "≈", "equivalent"),
        (None, Some(Verdict::Inconclusive { .. })) => (Tone::Unsure, "?", "inconclusive"),
        (None, None) => (Tone::Unsure, "", "no verdict"),
    };
    VerdictLabel::new(tone, sign, text)
}

fn no_ratio(why: NoRatio) -> &'static str {
    match why {
        NoRatio::NoBaseline | NoRatio::BaselineFailed => "no baseline",
        NoRatio::Failed => "failed",
        NoRatio::NoLatency => "no latency",
        NoRatio::NoCommonBlock => "no pairs",
        NoRatio::Incomparable => "incomparable",
    }
}

/// A difference between a row and the baseline's row.
pub(super) fn incomparable(difference: &Incomparable) -> String {
    let with_keys = |what: &str, keys: &[String]| {
        let keys = one_line(&keys.join(", "), 200);
        if keys.is_empty() { what.to_owned() } else { format!("{what} ({keys})") }
    };
    match difference {
        Incomparable::Machine { keys } => with_keys("machine", keys),
        Incomparable::Configuration { keys } => with_keys("configuration", keys),
        Incomparable::DebugBesideRelease { this_is_debug: true } => {
            "a debug build instead of a release build".into()
        }
        Incomparable::DebugBesideRelease { this_is_debug: false } => {
            "a release build instead of a debug build".into()
        }
        Incomparable::WorkloadLibrary => "workload library".into(),
        Incomparable::GraphForm => "form of the graph".into(),
    }
}

/// The workload and the settings of a point: `pipeline, 1000 items, parallelism 2`.
pub(super) fn point(point: &Point) -> String {
    format!("{}, {}", name(&point.workload), settings(point))
}

/// The points grouped by workload, in the order in which the workloads first appear.
pub(super) fn by_workload(comparison: &Comparison) -> Vec<Vec<&Point>> {
    let points = comparison.points.iter().map(|point| (&point.workload, point));
    grouped(points).into_iter().map(|(_, points)| points).collect()
}

/// The settings of a point without the defaults: `1000 items, parallelism 2, iters=5`.
pub(super) fn settings(point: &Point) -> String {
    let mut parts = Vec::new();
    parts.extend(point.items.map(number::items));
    if point.parallelism > 0 {
        parts.push(format!("parallelism {}", point.parallelism));
    }
    if point.scheduler != "default" {
        parts.push(format!("scheduler {}", one_line(&point.scheduler, 40)));
    }
    if point.nodes != 1 {
        parts.push(format!("{} nodes", point.nodes));
    }
    parts.extend(point.extra.iter().map(|(key, value)| one_line(&format!("{key}={value}"), 80)));
    parts.join(", ")
}

/// A failure in one line: what failed, where, how often, and what to do.
pub(super) fn failure(failure: &FailureGroup, row: &Row) -> String {
    let FailureGroup { phase, kind: word, message, other_messages, remedy, count, .. } = failure;
    let others = match other_messages {
        0 => String::new(),
        others => format!(", {others} of them with another message"),
    };
    let trials = plural(row.counts.trials.into(), "trial");
    let place = format!("{} ({count} of {trials}{others})", one_line(phase, 40));
    reason(&kind(word), &place, message, remedy.as_deref())
}

pub(super) fn reason(what: &str, place: &str, message: &str, remedy: Option<&str>) -> String {
    let remedy = remedy.map(|remedy| one_line(remedy, 300));
    with_remedy(&format!("{what} in {place}: {}", one_line(message, 1000)), remedy.as_deref())
}

/// The failures of a row, each after `place`.
pub(super) fn failures(row: &Row, place: &str) -> Vec<String> {
    row.failures.iter().map(|it| format!("{place}: {}", failure(it, row))).collect()
}

/// `wrong_answer` is the name for programs.
fn kind(kind: &str) -> String {
    one_line(kind, 40).replace('_', " ")
}

pub(super) fn doubt(doubt: &Doubt) -> String {
    match *doubt {
        Doubt::Clock { seconds } => format!(
            "in the median the host's clock shows {} more than the worker's, beyond what it shows of other backends",
            number::duration(seconds)
        ),
        Doubt::CpuTime { part } => format!(
            "in the median its processes used {} of the CPU time that the work takes at least",
            number::percent(part)
        ),
        Doubt::Duration { part } => format!(
            "in the median a run took {} of the time that the work takes at least",
            number::percent(part)
        ),
        Doubt::WarmUps { part, blocks } => format!(
            "in the median the time of the measured run, or its latency in an open loop, was {} of that of the last warm-ups before \
             it; in {} it was less than that of each of them",
            number::percent(part),
            plural(blocks.into(), "block")
        ),
    }
}

/// What is compared of an open loop, after its point: ` (p99 latency)`. Empty for work of which the time is compared.
pub(super) fn latency(of: &str, percentile: Option<&str>) -> String {
    match (of, percentile) {
        ("latency", Some(percentile)) => format!(" ({percentile} latency)"),
        ("latency", None) => " (latency)".into(),
        _ => String::new(),
    }
}

/// How trials were run, after their point: ` (2 cores)`, ` (single runs)`. Empty for those of a comparison on all cores.
pub(super) fn run_as(cores: Option<usize>, is_single: bool) -> String {
    let cores = cores.map_or_else(String::new, |cores| format!(" ({})", plural(cores as u64, "core")));
    cores + if is_single { " (single runs)" } else { "" }
}

/// The machines, and each reading of the machine check, a line each, for readers who ask for details.
pub(crate) fn conditions(machines: &[SystemProfile], checks: &[MachineReading]) -> String {
    let machines = machines.iter().map(machine);
    let checks = checks.iter().map(|reading| {
        let MachineReading { run, block: number, backend, check } = reading;
        let when = match (check.postponed, check.after_session) {
            (Some(true), _) => "a session was postponed".to_owned(),
            (_, true) => format!("after {}", name(backend)),
            (_, false) => format!("before {}", name(backend)),
        };
        format!(
            "machine check of {}, block {}, {when}: {} an iteration, {} stolen, {}, pressure {}",
            name(run),
            block(*number),
            number::duration(check.nanos_per_iteration * 1e-9),
            or_none(check.steal_share, number::percent),
            plural(check.preemptions, "preemption"),
            or_none(check.pressure, number::percent),
        )
    });
    machines.chain(checks).map(|line| line + "\n").collect()
}

fn machine(profile: &SystemProfile) -> String {
    let text = |text: &Option<String>| or_none(text.as_deref(), |text| one_line(text, 100));
    let smt = match profile.smt {
        Some(true) => "on",
        Some(false) => "off",
        None => NONE,
    };
    format!(
        "machine {}: {}, {}, {} hardware threads, several threads a core (SMT): {smt}, quota of processor time: {}, \
         mitigations: {}",
        text(&profile.hostname),
        text(&profile.os),
        text(&profile.cpu_model),
        or_none(profile.cpu_logical_cores, |count| count.to_string()),
        or_none(profile.cpu_quota, |cores| format!("{cores} cores")),
        or_none(profile.mitigations.as_ref(), mitigations),
    )
}

/// What the kernel does about weaknesses of the processor.
pub(super) fn mitigations(mitigations: &BTreeMap<String, String>) -> String {
    let each: Vec<_> = mitigations.iter().map(|(weakness, state)| format!("{weakness}: {state}")).collect();
    if each.is_empty() { "none needed".into() } else { one_line(&each.join("; "), 1000) }
}

/// A name from a plugin or a record, as [`short_name`].
pub(super) fn name(name: &str) -> String {
    short_name(name, 60)
}

/// What tells a cell from others of its backend and point, behind its point: ` (seed 42)`.
pub(super) fn distinction(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" {}", one_line(text, 80)) }
}

/// Text from a plugin or a record as one line of at most `limit` characters, without characters that control a terminal
/// or change the direction of the text around them.
pub(super) fn one_line(text: &str, limit: usize) -> String {
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

/// A name in one line of at most `limit` characters. It is cut in its middle: what tells two rows of a backend apart is at the end.
pub(super) fn short_name(name: &str, limit: usize) -> String {
    let line = one_line(name, usize::MAX);
    let length = line.chars().count();
    if length <= limit {
        return line;
    }
    let end = limit * 2 / 3;
    let start = limit.saturating_sub(end + 1);
    line.chars().take(start).chain(['…']).chain(line.chars().skip(length - end)).collect()
}

#[cfg(test)]
mod tests;
