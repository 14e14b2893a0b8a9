//! Notes below the tables: what the reader of a comparison, of its ratios and of their means must know.

use std::collections::BTreeSet;

use super::labels::{by_workload, compared_spread, doubt, incomparable, name, one_line, shown_ratio};
use super::number;
use super::ranking::is_again;
use crate::compare::model::{Comparison, Geomean, NoInterval, NoRatio, Point, Rigor, Row, Verdict};
use crate::first_seen::distinct;
use crate::stats::{MAX_MORE_BLOCKS, MIN_BLOCKS};
use crate::text::plural;

/// The notes for the reader, the most serious first.
pub(super) fn notes(comparison: &Comparison) -> Vec<String> {
    let warnings = comparison.warnings.iter().map(|warning| one_line(&warning.message, 1000));
    let mut notes: Vec<_> = warnings.chain(incomparable_rows(comparison)).collect();
    notes.extend(doubts(comparison));
    if comparison.rigor == Rigor::Quick && comparison.points.iter().any(|point| point.rows.len() > 1) {
        notes.push("a quick comparison has no intervals and no verdicts".into());
    }
    notes.extend(without_interval(comparison));
    notes.extend(noise(comparison));
    notes.extend(without_noise_floor(comparison));
    if comparison.rows().any(|(_, row)| row.unsettled > 0) {
        notes.push("~ marks rows with runs that were measured before the warm-ups had settled".into());
    }
    notes.extend(prepared(comparison));
    notes.extend(most_blocks(comparison));
    notes
}

/// Why rows have a ratio, and neither an interval nor a verdict.
fn without_interval(comparison: &Comparison) -> Vec<String> {
    let is_for = |why: NoInterval| {
        let lacks = |row: &Row| shown_ratio(row).is_some_and(|ratio| ratio.no_interval == Some(why));
        comparison.rows().any(|(_, row)| lacks(row))
    };
    let few =
        || format!("fewer than {MIN_BLOCKS} blocks that both sides finished give no interval and no verdict");
    let tied = || {
        let where_tied = "no interval and no verdict where at most half of the blocks have different ratios";
        format!("{where_tied}: the runs are too short for their clock")
    };
    let few = is_for(NoInterval::TooFewBlocks).then(few);
    few.into_iter().chain(is_for(NoInterval::Tied).then(tied)).collect()
}

/// What the A/A comparison shows to be noise: at each point something else.
fn noise(comparison: &Comparison) -> Option<String> {
    let factor = comparison.noise_floor?;
    // Two decimals of a factor would make nothing of a small one.
    let most = number::percent(factor - 1.0);
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

/// At which points an A/A comparison gave no noise floor, as what its two sides differ by is not noise alone, or as they have too few
/// blocks in common, or equal ones.
fn without_noise_floor(comparison: &Comparison) -> Vec<String> {
    if comparison.rigor == Rigor::Quick {
        return Vec::new();
    }
    let note = |(is_sound, why): (bool, &str)| {
        let lacks = |point: &&Point| point.noise_floor.is_none() && has_sound_aa(point) == Some(is_sound);
        let of = distinct(comparison.points.iter().filter(lacks).map(|point| name(&point.workload)));
        let at = if comparison.points.len() > 1 { format!(" ({})", of.join(", ")) } else { String::new() };
        (!of.is_empty()).then(|| format!("A/A comparison: there is no noise floor, as {why}{at}"))
    };
    let why = [(false, "one of its two rows has failures or is in doubt"), (true, "it has no interval")];
    why.into_iter().filter_map(note).collect()
}

/// Whether two rows of a point, with one plugin file under two names, in blocks and on the machine of the baseline, have neither failures
/// nor doubts. `None` if there are no such two rows at all.
fn has_sound_aa(point: &Point) -> Option<bool> {
    let is_compared = |row: &&Row| {
        let is_paired = row.ratio.map_or_else(|| lacks_ratio_by_failures(row), |ratio| ratio.paired);
        row.is_baseline || row.incomparable.is_empty() && is_paired
    };
    let compared: Vec<_> = point.rows.iter().filter(is_compared).collect();
    let is_same_file = |one: &Row, other: &Row| {
        let files = one.plugin.as_ref().zip(other.plugin.as_ref());
        one.backend != other.backend && files.is_some_and(|(one, other)| one.sha256 == other.sha256)
    };
    let again = |one: &Row| {
        let others = compared.iter().filter(|other| is_same_file(one, other));
        others.map(|other| one.is_sound() && other.is_sound()).max()
    };
    compared.iter().filter_map(|one| again(one)).max()
}

/// Whether a row in blocks has no ratio, as it failed in each of them or its baseline did.
fn lacks_ratio_by_failures(row: &Row) -> bool {
    let is_in_blocks = row.samples.iter().any(|sample| sample.block.is_some());
    is_in_blocks && matches!(row.no_ratio, Some(NoRatio::Failed | NoRatio::BaselineFailed))
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
        let runs = row.counts.with_result();
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
    let baseline = point.compared_with(row)?;
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

/// The differences between rows and the baseline, once for each label: they are the same at most points.
fn incomparable_rows(comparison: &Comparison) -> Vec<String> {
    let rows = comparison.rows().map(|(_, row)| row);
    distinct(rows.filter(|row| !row.incomparable.is_empty()).map(|row| {
        let differences: Vec<_> = row.incomparable.iter().map(incomparable).collect();
        format!("{} differs from the baseline: {}", name(&row.label), differences.join("; "))
    }))
}

/// An estimate of how many more blocks an inconclusive verdict needs.
pub(super) fn more_blocks(row: &Row, point: &Point) -> Option<u32> {
    needed_blocks(row, point)?
}

/// The same of each such verdict, with `None` within where that would be too many. That on the second name of an A/A comparison is about
/// the noise, and nobody waits for it.
fn needed_blocks(row: &Row, point: &Point) -> Option<Option<u32>> {
    let ratio = row.ratio.filter(|_| !is_again(row, point))?;
    match ratio.verdict {
        Some(Verdict::Inconclusive { more_blocks }) if ratio.withheld.is_none() => Some(more_blocks),
        _ => None,
    }
}

/// How many more blocks the least certain row needs of those that have a number, and how many rows these are. Where none has one, more
/// blocks are no way out.
fn most_blocks(comparison: &Comparison) -> Option<String> {
    let inconclusive: Vec<_> =
        comparison.rows().filter_map(|(point, row)| needed_blocks(row, point)).collect();
    let known: Vec<u32> = inconclusive.iter().copied().flatten().collect();
    let Some(most) = known.iter().max() else {
        let needed = format!(
            "more than {MAX_MORE_BLOCKS} more blocks would be needed to resolve the inconclusive verdicts; \
             crossrun doctor says what makes the machine noisy"
        );
        return (!inconclusive.is_empty()).then_some(needed);
    };
    let blocks = plural((*most).into(), "more block");
    let which = match (known.len(), inconclusive.len()) {
        (some, all) if some == all => "the inconclusive verdicts".to_owned(),
        (some, all) => format!("{some} of {all} inconclusive verdicts"),
    };
    Some(format!("about {blocks} may resolve {which}"))
}

#[cfg(test)]
mod tests;
