//! The labels that the formats for people share: rows, verdicts, settings, failures and notes.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::number;
use crate::compare::model::{
    Comparison, Counts, Doubt, FailureGroup, Geomean, Incomparable, MachineReading, NoRatio, Point, Ratio,
    Rigor, Row, Spread, SystemProfile, Verdict, Withheld,
};
use crate::first_seen::{distinct, grouped};
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

/// Equal texts once, in their order, each with the blocks that it concerns: `blocks 1, 3`.
pub(super) fn by_block(texts: impl Iterator<Item = (String, Option<u32>)>) -> Vec<(String, String)> {
    let labelled = |(text, numbers): (String, Vec<String>)| {
        let noun = if numbers.len() == 1 { "block" } else { "blocks" };
        (text, format!("{noun} {}", numbers.join(", ")))
    };
    grouped(texts.map(|(text, number)| (text, block(number)))).into_iter().map(labelled).collect()
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
            rate: rate(row),
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

fn rate(row: &Row) -> String {
    or_none(throughput(row), |(_, label)| label)
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
    counts.verified + counts.unverified > 0
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

/// The notes for the reader, the most serious first.
pub(super) fn notes(comparison: &Comparison) -> Vec<String> {
    let warnings = comparison.warnings.iter().map(|warning| one_line(&warning.message, 1000));
    let mut notes: Vec<_> = warnings.chain(incomparable_rows(comparison)).collect();
    notes.extend(doubts(comparison));
    if comparison.rigor == Rigor::Quick && comparison.points.iter().any(|point| point.rows.len() > 1) {
        notes.push("a quick comparison has no intervals and no verdicts".into());
    }
    notes.extend(noise(comparison));
    if comparison.rows().any(|(_, row)| row.unsettled > 0) {
        notes.push("~ marks rows with runs that were measured before the warm-ups had settled".into());
    }
    notes.extend(prepared(comparison));
    notes.extend(most_blocks(comparison));
    notes
}

/// What the A/A comparison shows to be noise: at each point something else.
fn noise(comparison: &Comparison) -> Option<String> {
    let factor = comparison.noise_floor?;
    let most = number::ratio(factor);
    let is_its = |point: &&Point| point.noise_floor.as_ref().is_some_and(|floor| floor.factor == factor);
    let point = comparison.points.iter().find(is_its).filter(|_| comparison.points.len() > 1);
    Some(match point.map(|point| name(&point.workload)) {
        None => format!("A/A comparison: differences of up to {most} are noise"),
        Some(of) => {
            format!(
                "A/A comparison: differences up to the noise floor of their point are noise (most: {most}, {of})"
            )
        }
    })
}

/// The rows whose trials show together what an honest backend's do not.
fn doubts(comparison: &Comparison) -> Vec<String> {
    let of_row = |(point, row): (&Point, &Row)| {
        let place = place(point, row);
        row.doubts.iter().map(|it| format!("in doubt ({place}): {}", doubt(it))).collect::<Vec<_>>()
    };
    comparison.rows().flat_map(of_row).collect()
}

/// The backend and the workload of a row.
fn place(point: &Point, row: &Row) -> String {
    format!("{}, {}", name(&row.label), name(&point.workload))
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
            "in the median the measured run took {} of the time of the last warm-ups before it; in {} it was faster than each of \
             them",
            number::percent(part),
            plural(blocks.into(), "block")
        ),
    }
}

/// Preparing a run is told where it takes more than this part of the run, and more than these seconds.
const PREPARED: (f64, f64) = (0.1, 0.1);

/// The rows whose runs take long to prepare: the time of a run does not have that.
fn prepared(comparison: &Comparison) -> Option<String> {
    let of_row = |(point, row): (&Point, &Row)| {
        let (prepare, run) = (row.stages.prepare?.median, row.duration?.median);
        let is_long = prepare > PREPARED.1.max(run * PREPARED.0);
        is_long.then(|| format!("{} ({})", number::duration(prepare), place(point, row)))
    };
    let rows: Vec<_> = comparison.rows().filter_map(of_row).collect();
    (!rows.is_empty())
        .then(|| format!("preparing a run is not part of its time, and takes {}", rows.join(", ")))
}

/// What the reader of the ratios and of their means must know.
pub(super) fn ratio_notes(comparison: &Comparison) -> Vec<String> {
    let notes = [paired_ratios, partly_paired, two_groups, without_mean];
    notes.into_iter().filter_map(|note| note(comparison)).collect()
}

/// The rows of which some blocks show another ratio than the rest.
fn two_groups(comparison: &Comparison) -> Option<String> {
    let of_row = |(point, row): (&Point, &Row)| {
        let [low, high] = shown_ratio(row)?.groups?;
        let (lower, higher) = (number::ratio(low.ratio), number::ratio(high.ratio));
        let blocks = plural(low.blocks.into(), "block");
        Some(format!("{} ({blocks} near {lower}, {} near {higher})", place(point, row), high.blocks))
    };
    let rows: Vec<_> = comparison.rows().filter_map(of_row).collect();
    let what = "the blocks fall into two groups, so that a ratio between them is that of no run";
    (!rows.is_empty()).then(|| format!("{what}: {}", rows.join("; ")))
}

/// Why some backends have no geometric mean of several points, or why there is none at all.
fn without_mean(comparison: &Comparison) -> Option<String> {
    let lacks = |mean: &&Geomean| mean.ratio.is_none() && mean.points > 1;
    let missing: Vec<_> = comparison.geomeans.iter().filter(lacks).collect();
    if missing.first()?.covered == 0 {
        let why =
            "there is no geometric mean: at no point has every backend a ratio without a failure or a doubt";
        let single =
            if leaves_out_single_runs(comparison) { "; single runs beside blocks do not count" } else { "" };
        return Some(format!("{why}{single}"));
    }
    let of = |mixed: bool, why: &str| {
        let names = missing.iter().filter(|mean| mean.mixed == mixed).map(|mean| name(&mean.backend));
        let names: Vec<_> = names.collect();
        let has = if names.len() == 1 { "has" } else { "have" };
        (!names.is_empty()).then(|| format!("{} {has} no geometric mean: {why}", names.join(", ")))
    };
    let unsound = of(false, "at some point a trial failed, was wrong or invalid, or the row is in doubt");
    let why = "the ratios are of several machines, numbers of cores, files of plugins, or rows of one point";
    let mixed = of(true, why);
    Some(unsound.into_iter().chain(mixed).collect::<Vec<_>>().join("; "))
}

/// Which ratios are not those of the medians beside them: a ratio compares the runs of one block with each other.
fn paired_ratios(comparison: &Comparison) -> Option<String> {
    let factor = |(point, row): (&Point, &Row)| Some((from_medians(row, point)?, place(point, row)));
    let factors = comparison.rows().filter_map(factor);
    let differ: Vec<_> = factors.filter(|(factor, _)| *factor > comparison.margin).collect();
    let (most, row) = differ.iter().max_by(|one, other| one.0.total_cmp(&other.0))?;
    let differs = if differ.len() == 1 { "differs" } else { "differ" };
    Some(format!(
        "ratios are paired by block: {} of them {differs} from the quotient of the medians by more than {} (most: {row}, {})",
        differ.len(),
        number::percent(comparison.margin - 1.0),
        number::percent(most - 1.0),
    ))
}

/// The rows of which some runs are in no ratio, as the other side has none in their blocks: their medians are of more runs.
fn partly_paired(comparison: &Comparison) -> Option<String> {
    let of_row = |(point, row): (&Point, &Row)| {
        let ratio = shown_ratio(row).filter(|ratio| ratio.paired)?;
        let runs = row.counts.verified + row.counts.unverified;
        (ratio.blocks < runs).then(|| format!("{} ({} of {runs})", place(point, row), ratio.blocks))
    };
    let rows: Vec<_> = comparison.rows().filter_map(of_row).collect();
    let what = "a ratio is over the blocks in which both sides ran, and these rows have other runs too";
    (!rows.is_empty()).then(|| format!("{what}: {}", rows.join("; ")))
}

/// The factor of at least 1 by which a paired ratio differs from the quotient of the medians that are shown.
fn from_medians(row: &Row, point: &Point) -> Option<f64> {
    let shown = |row: &Row| compared_spread(row).map(|spread| spread.median);
    let ratio = shown_ratio(row).filter(|ratio| ratio.paired)?;
    let baseline = point.rows.iter().find(|other| Some(&other.label) == row.compared_with.as_ref())?;
    let factor = ratio.estimate / (shown(baseline)? / shown(row)?);
    Some(factor.max(1.0 / factor)).filter(|factor| factor.is_finite())
}

/// Whether a backend has single runs beside blocks: its geometric mean is that of the blocks.
fn leaves_out_single_runs(comparison: &Comparison) -> bool {
    let backends = |paired: bool| {
        let is_such = |row: &Row| row.ratio.is_some_and(|ratio| ratio.paired == paired);
        let counts =
            |point: &Point| !comparison.geomeans.iter().any(|mean| mean.left_out.contains(&point.id));
        let rows =
            comparison.rows().filter(|(point, row)| is_such(row) && row.open_loop.is_none() && counts(point));
        rows.map(|(_, row)| &row.backend).collect::<BTreeSet<_>>()
    };
    !backends(true).is_disjoint(&backends(false))
}

/// Over which points the geometric means are; `None` with a single point, whose table has the same ratios, and without a mean.
pub(super) fn geomeans_over(comparison: &Comparison) -> Option<String> {
    let mean = comparison.geomeans.iter().find(|mean| mean.ratio.is_some())?;
    let over = format!("{} of {}", mean.covered, plural(mean.points.into(), "point"));
    let slept: Vec<_> = by_workload(comparison)
        .into_iter()
        .filter(|points| points.iter().any(|point| mean.left_out.contains(&point.id)))
        .map(|points| name(&points[0].workload))
        .collect();
    let without = match slept.as_slice() {
        [] => String::new(),
        slept => format!(", without {}, which only sleeps", slept.join(", ")),
    };
    let single = if leaves_out_single_runs(comparison) { ", without single runs" } else { "" };
    (comparison.points.len() > 1).then(|| over + &without + single)
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

/// The machine, and each reading of the machine check, for readers who ask for details.
pub(super) fn conditions(machines: &[SystemProfile], checks: &[MachineReading]) -> Vec<String> {
    let machines = machines.iter().map(machine);
    let checks = checks.iter().map(|reading| {
        let MachineReading { run, block: number, backend, check } = reading;
        let when = if check.after_session { "after" } else { "before" };
        format!(
            "machine check of {}, block {}, {when} {}: {} an iteration, {} stolen, {}, pressure {}",
            name(run),
            block(*number),
            name(backend),
            number::duration(check.nanos_per_iteration * 1e-9),
            or_none(check.steal_share, number::percent),
            plural(check.preemptions, "preemption"),
            or_none(check.pressure, number::percent),
        )
    });
    machines.chain(checks).collect()
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

/// The differences between rows and the baseline, once for each label: they are the same at most points.
fn incomparable_rows(comparison: &Comparison) -> Vec<String> {
    let rows = comparison.rows().map(|(_, row)| row);
    distinct(rows.filter(|row| !row.incomparable.is_empty()).map(|row| {
        let differences: Vec<_> = row.incomparable.iter().map(incomparable).collect();
        format!("{} differs from the baseline: {}", name(&row.label), differences.join("; "))
    }))
}

/// An estimate of how many more blocks an inconclusive verdict needs.
pub(super) fn more_blocks(ratio: &Ratio) -> Option<u32> {
    needed_blocks(ratio)?
}

/// The same of each such verdict, with `None` within where that would be too many.
fn needed_blocks(ratio: &Ratio) -> Option<Option<u32>> {
    match ratio.verdict {
        Some(Verdict::Inconclusive { more_blocks }) if ratio.withheld.is_none() => Some(more_blocks),
        _ => None,
    }
}

/// How many more blocks the least certain row needs of those that have a number, and how many rows these are.
fn most_blocks(comparison: &Comparison) -> Option<String> {
    let ratios = comparison.rows().filter_map(|(_, row)| row.ratio.as_ref());
    let inconclusive: Vec<_> = ratios.filter_map(needed_blocks).collect();
    let known: Vec<u32> = inconclusive.iter().copied().flatten().collect();
    let blocks = plural((*known.iter().max()?).into(), "more block");
    let which = match (known.len(), inconclusive.len()) {
        (some, all) if some == all => "the inconclusive verdicts".to_owned(),
        (some, all) => format!("{some} of {all} inconclusive verdicts"),
    };
    Some(format!("about {blocks} would resolve {which}"))
}

/// A name from a plugin or a record, as [`short_name`].
pub(super) fn name(name: &str) -> String {
    short_name(name, 60)
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
