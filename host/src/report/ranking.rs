//! Which rows of a point are the fastest: the order of every table, and the sentence that sums up a comparison.

use super::labels::{by_workload, compared_spread, name, succeeded};
use super::number;
use crate::compare::model::{Comparison, Point, Rigor, Row, Verdict};
use crate::text::plural;

/// How many backends the sentence names for each thing that it says.
const MAX_NAMES: usize = 4;

/// The rows of a point, the fastest first. Rows that cannot be compared, rows with a failure and rows in doubt come after those that
/// can: a backend that sometimes fails is not faster. Rows without a result come last.
pub(super) fn fastest_first(point: &Point) -> Vec<&Row> {
    let mut rows: Vec<_> = point.rows.iter().collect();
    rows.sort_by(|one, other| {
        let time = |row| estimated_time(row, point).unwrap_or(f64::INFINITY);
        class(one).cmp(&class(other)).then(time(one).total_cmp(&time(other)))
    });
    rows
}

fn class(row: &Row) -> u8 {
    match () {
        () if is_ranked(row) => 0,
        () if succeeded(&row.counts) => 1,
        () => 2,
    }
}

/// Whether the row can be compared, no trial of it failed, and it is not in doubt.
fn is_ranked(row: &Row) -> bool {
    let counts = &row.counts;
    let is_compared = (row.is_baseline || row.ratio.is_some()) && row.doubts.is_empty();
    is_compared && succeeded(counts) && counts.went_wrong() == 0
}

/// The seconds that are compared. With a ratio they follow from it and from the baseline, because verdicts are about the ratio: the
/// quotient of two medians may differ.
fn estimated_time(row: &Row, point: &Point) -> Option<f64> {
    let Some(ratio) = row.ratio.as_ref() else { return time(row) };
    point.compared_with(row).and_then(time).map(|seconds| seconds / ratio.estimate).or_else(|| time(row))
}

fn time(row: &Row) -> Option<f64> {
    compared_spread(row).map(|spread| spread.median)
}

/// `a was fastest on 3 of 4 workloads; b was within 5 % of the fastest on 2.` None without verdicts: a quick comparison
/// does not say which backend is faster.
pub(super) fn sentence(comparison: &Comparison) -> Option<String> {
    let points: Vec<_> = comparison
        .points
        .iter()
        .filter_map(|point| Some((ranking(point)?, least_factor(comparison, point))))
        .collect();
    if comparison.rigor == Rigor::Quick || points.is_empty() {
        return None;
    }
    let all = comparison.points.len();
    let (mut first, mut close) = (Tally::default(), Tally::default());
    for (rows, least) in &points {
        let is_clear = is_clearly_first(rows, *least);
        let near = |row: &&&Row| speed(rows[0]) / speed(row) <= comparison.margin;
        // The row with the best estimate is near itself, which says nothing.
        let is_told = is_clear || rows.iter().all(is_known) && rows.iter().filter(near).count() > 1;
        rows.iter().take(usize::from(is_clear)).for_each(|row| first.add(row));
        if is_told {
            rows.iter().skip(usize::from(is_clear)).filter(near).for_each(|row| close.add(row));
        }
    }
    let of = format!(" of {}", plural(all as u64, places(comparison)));
    let margin = number::tick(&number::percent(comparison.margin - 1.0));
    let is_close = format!("within {margin} of the fastest");
    let mut parts = vec![match (first.total(), all) {
        (0, 1) => "No backend was clearly the fastest".into(),
        (0, _) => format!("No backend was clearly the fastest on any{of}"),
        (_, 1) => first.told_of_one("fastest"),
        _ => first.told("fastest", &of),
    }];
    if close.total() > 0 {
        parts.push(if all == 1 { close.told_of_one(&is_close) } else { close.told(&is_close, "") });
    }
    let undecided = points.len() - first.total();
    if undecided > 0 && first.total() > 0 {
        parts.push(format!("on {undecided} no backend was clearly the fastest"));
    }
    if points.len() < all {
        parts.push(format!("on {} fewer than two backends can be compared", all - points.len()));
    }
    Some(parts.join("; ") + ".")
}

/// Whether there is an interval, or the row is what others are compared with. Without one nothing is known closely.
fn is_known(row: &&Row) -> bool {
    row.is_baseline || row.ratio.is_some_and(|ratio| ratio.interval.is_some())
}

/// The row that the verdicts of this point call faster than every other, as the sentence counts it.
pub(super) fn fastest<'a>(comparison: &Comparison, point: &'a Point) -> Option<&'a Row> {
    let rows = ranking(point).filter(|_| comparison.rigor != Rigor::Quick)?;
    is_clearly_first(&rows, least_factor(comparison, point)).then(|| rows[0])
}

/// What the numbers of the sentence count.
fn places(comparison: &Comparison) -> &'static str {
    if by_workload(comparison).len() == comparison.points.len() { "workload" } else { "point" }
}

/// The rows that can be compared with each other, the fastest first; none with fewer than two. Of several baselines, as of two seeds, those
/// beside the first with any count, and those in blocks before single runs.
fn ranking(point: &Point) -> Option<Vec<&Row>> {
    let counts = |row: &&Row| is_ranked(row) && !is_again(row, point);
    let ranked: Vec<_> = fastest_first(point).into_iter().filter(counts).collect();
    let beside = |baseline: &Row| {
        let is_beside =
            |row: &Row| row.label == baseline.label || row.compared_with.as_deref() == Some(&*baseline.label);
        let in_same_way = |row: &Row| is_in_blocks(row) == is_in_blocks(baseline);
        ranked.iter().copied().filter(|row| is_beside(row) && in_same_way(row)).collect::<Vec<_>>()
    };
    let baselines = point.rows.iter().filter(|row| row.is_baseline && is_ranked(row));
    baselines.map(beside).filter(|rows| rows.len() > 1).min_by_key(|rows| !is_in_blocks(rows[0]))
}

/// Whether a row has the second name of an A/A comparison: it is no other backend than the row with the first.
pub(super) fn is_again(row: &Row, point: &Point) -> bool {
    let Some(floor) = &point.noise_floor else { return false };
    let names = &floor.names;
    // The baseline stays, or else the first of the two.
    let stays = |other: &Row| other.is_baseline || other.label == names[0];
    let is_twin = |other: &Row| names.contains(&other.label) && other.label != row.label;
    names.contains(&row.label)
        && !row.is_baseline
        && point.rows.iter().any(|other| is_twin(other) && is_ranked(other) && stays(other))
}

/// A single run is the first of its engine, and has no verdict.
fn is_in_blocks(row: &Row) -> bool {
    row.samples.iter().any(|sample| sample.block.is_some())
}

/// In relation to the baseline.
fn speed(row: &Row) -> f64 {
    row.ratio.map_or(1.0, |ratio| ratio.estimate)
}

/// The factor by which two rows of a point differ at least for a verdict: the margin, and what an A/A comparison differed by. `None`
/// where verdicts hold together: rows that were only compared with the baseline then have none between them.
fn least_factor(comparison: &Comparison, point: &Point) -> Option<f64> {
    let noise = point.noise_floor.as_ref().map_or(1.0, |noise| noise.factor);
    (comparison.rigor != Rigor::Publish).then_some(comparison.margin.max(noise))
}

/// Whether the verdicts say that the first of these rows is faster than every other. Two rows that were both compared with the
/// baseline only differ if their intervals are apart by `least_factor`.
fn is_clearly_first(rows: &[&Row], least_factor: Option<f64>) -> bool {
    let Some((first, others)) = rows.split_first() else { return false };
    let verdict =
        |row: &Row| row.ratio.filter(|ratio| ratio.withheld.is_none()).and_then(|ratio| ratio.verdict);
    let interval = |row: &Row| row.ratio.and_then(|ratio| ratio.interval);
    let is_slower = |other: &&Row| match (first.is_baseline, other.is_baseline) {
        (true, _) => verdict(other) == Some(Verdict::Slower),
        (false, true) => verdict(first) == Some(Verdict::Faster),
        // The baseline is between the two: their verdicts hold together.
        (false, false)
            if verdict(first) == Some(Verdict::Faster) && verdict(other) == Some(Verdict::Slower) =>
        {
            true
        }
        (false, false) => interval(first)
            .zip(interval(other))
            .zip(least_factor)
            .is_some_and(|((first, other), least)| other.high * least < first.low),
    };
    others.iter().all(is_slower)
}

/// On how many points something holds for a backend, those with the most points first.
#[derive(Default)]
struct Tally(Vec<(String, u32)>);

impl Tally {
    fn add(&mut self, row: &Row) {
        let label = name(&row.label);
        match self.0.iter_mut().find(|(known, _)| *known == label) {
            Some((_, count)) => *count += 1,
            None => self.0.push((label, 1)),
        }
    }

    fn total(&self) -> usize {
        self.0.iter().map(|(_, count)| *count as usize).sum()
    }

    /// `a was fastest on 3 of 4 workloads, b on 1`.
    fn told(&self, what: &str, of: &str) -> String {
        let mut counts = self.0.clone();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let part = |(place, (label, count)): (usize, &(String, u32))| match place {
            0 => format!("{label} was {what} on {count}{of}"),
            _ => format!("{label} on {count}"),
        };
        let parts: Vec<_> = counts.iter().take(MAX_NAMES).enumerate().map(part).collect();
        parts.join(", ") + &self.more()
    }

    /// `a and b were fastest`, of a single point.
    fn told_of_one(&self, what: &str) -> String {
        let labels: Vec<_> = self.0.iter().take(MAX_NAMES).map(|(label, _)| label.as_str()).collect();
        let verb = if self.0.len() == 1 { "was" } else { "were" };
        format!("{}{} {verb} {what}", labels.join(if self.0.len() > 2 { ", " } else { " and " }), self.more())
    }

    /// How many backends are not named.
    fn more(&self) -> String {
        let more = self.0.len().saturating_sub(MAX_NAMES);
        if more == 0 { String::new() } else { format!(" and {more} more") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::model::{Doubt, NoRatio, Ratio, Sample, Withheld};
    use crate::report::examples;

    fn labels(point: &Point) -> Vec<&str> {
        fastest_first(point).into_iter().map(|row| row.label.as_str()).collect()
    }

    fn comparison(points: impl IntoIterator<Item = Vec<Row>>) -> Comparison {
        let at = |(place, rows)| Point { rows, ..examples::point(&format!("w{place}"), Some(1000), 2) };
        Comparison { points: points.into_iter().enumerate().map(at).collect(), ..examples::empty() }
    }

    fn rows(others: &[(&str, f64)]) -> Vec<Row> {
        let others = others.iter().map(|(label, ratio)| examples::row(label, Some(*ratio)));
        [examples::row("alpha", None)].into_iter().chain(others).collect()
    }

    #[test]
    fn rows_are_in_the_order_of_their_ratios_and_failures_come_last() {
        let mut all = rows(&[("slow", 0.5), ("fast", 2.0), ("sometimes_wrong", 9.0), ("other_machine", 1.0)]);
        all[3].counts.wrong = 1;
        (all[4].ratio, all[4].no_ratio) = (None, Some(NoRatio::Incomparable));
        all.insert(0, examples::failed_row("crashed", "crashed", "it crashed"));
        let comparison = comparison([all]);
        let expected = ["fast", "alpha", "slow", "sometimes_wrong", "other_machine", "crashed"];
        assert_eq!(labels(&comparison.points[0]), expected);
    }

    #[test]
    fn a_row_in_doubt_comes_after_the_others_and_nobody_is_close_to_it() {
        let mut all = rows(&[("cheat", 3.0), ("beta", 0.98)]);
        all[1].doubts = vec![Doubt::CpuTime { part: 0.5 }];
        let ratio = all[1].ratio.as_mut().unwrap();
        (ratio.verdict, ratio.withheld) = (None, Some(Withheld::Doubts));
        let mut comparison = comparison([all]);
        assert_eq!(labels(&comparison.points[0]), ["alpha", "beta", "cheat"]);
        let told = sentence(&comparison).unwrap();
        assert_eq!(
            told,
            "No backend was clearly the fastest; alpha and beta were within 5 % of the fastest."
        );
        // With the baseline in doubt, nothing is left to compare with.
        comparison.points[0].rows[0].doubts = vec![Doubt::CpuTime { part: 0.5 }];
        assert_eq!(sentence(&comparison), None);
    }

    #[test]
    fn the_ratio_decides_and_not_the_quotient_of_the_medians() {
        let mut all = rows(&[("beta", 1.1)]);
        all[1].duration = Some(examples::spread(99.0));
        assert_eq!(labels(&comparison([all]).points[0]), ["beta", "alpha"]);
    }

    #[test]
    fn the_sentence_names_the_fastest_and_who_is_close() {
        let three = |beta, gamma| rows(&[("beta", beta), ("gamma", gamma)]);
        let told = |points: &[Vec<Row>]| sentence(&comparison(points.to_vec())).unwrap();
        for (points, expected) in [
            (
                vec![three(0.5, 0.1), three(0.9, 0.2), three(1.5, 0.2), three(1.0, 0.9)],
                "alpha was fastest on 2 of 4 workloads, beta on 1; alpha was within 5 % of the fastest on 1, beta on 1; on 1 no \
                 backend was clearly the fastest.",
            ),
            (vec![three(0.5, 0.1)], "alpha was fastest."),
            (
                vec![three(1.0, 0.1)],
                "No backend was clearly the fastest; alpha and beta were within 5 % of the fastest.",
            ),
            // Both are faster than the baseline, but their intervals of 4 % are less than 5 % apart.
            (
                vec![three(1.5, 1.46), three(1.5, 1.44)],
                "No backend was clearly the fastest on any of 2 workloads; beta was within 5 % of the fastest on 2, gamma on 2.",
            ),
            (vec![three(1.5, 1.2), three(1.5, 1.2)], "beta was fastest on 2 of 2 workloads."),
        ] {
            assert_eq!(told(&points), expected);
        }
    }

    #[test]
    fn two_rows_that_differ_by_less_than_noise_or_have_no_verdict_together_are_not_told_apart() {
        let told = |change: fn(&mut Comparison)| {
            let mut comparison = comparison([rows(&[("beta", 1.5), ("gamma", 1.2)])]);
            change(&mut comparison);
            sentence(&comparison).unwrap()
        };
        assert_eq!(told(|_| ()), "beta was fastest.");
        let nobody = "No backend was clearly the fastest.";
        assert_eq!(told(|it| it.rigor = Rigor::Publish), nobody);
        assert_eq!(
            told(|it| it.margin = 1.3),
            "No backend was clearly the fastest; beta and gamma were within 30 % of the fastest."
        );
        let noise = |it: &mut Comparison| {
            it.points[0].noise_floor = examples::noise_floor(["beta", "beta_again"], 1.4);
        };
        assert_eq!(told(noise), nobody);
    }

    #[test]
    fn of_several_baselines_one_in_blocks_is_ranked_with_the_rows_that_are_compared_with_it() {
        let single = |row: Row| {
            let samples = row.samples.into_iter().map(|sample| Sample { block: None, ..sample }).collect();
            let ratio = row.ratio.map(|ratio| Ratio { estimate: ratio.estimate, ..Ratio::default() });
            Row { label: format!("{} (single runs)", row.label), samples, ratio, ..row }
        };
        let fastest_of = |all: Vec<Row>| {
            let comparison = comparison([all]);
            let marked = fastest(&comparison, &comparison.points[0]).map(|row| row.label.clone());
            (marked, sentence(&comparison))
        };
        let beta = (Some("beta".to_owned()), Some("beta was fastest.".to_owned()));
        // Single runs of the baseline, and of the other, which are compared with the blocks of the baseline.
        for (at, row) in [(0, examples::row("alpha", None)), (2, examples::row("beta", Some(0.5)))] {
            let mut all = rows(&[("beta", 1.5)]);
            all.insert(at, single(row));
            assert_eq!(fastest_of(all), beta);
        }
        // Nothing is compared with the first baseline.
        let mut all = rows(&[("beta", 1.5)]);
        all.insert(0, Row { label: "alpha (seed 7)".into(), ..examples::row("alpha", None) });
        assert_eq!(fastest_of(all), beta);
        // Records without blocks have no verdicts, but can be compared.
        let all = rows(&[("beta", 1.5)]).into_iter().map(single).collect::<Vec<_>>();
        let told = fastest_of(
            all.into_iter()
                .map(|row| Row {
                    compared_with: row.compared_with.map(|_| "alpha (single runs)".into()),
                    ..row
                })
                .collect(),
        );
        assert_eq!(told, (None, Some("No backend was clearly the fastest.".into())));
    }

    #[test]
    fn who_is_near_the_fastest_is_told_of_several_with_intervals_only() {
        let told = |others: &[(&str, f64)], change: fn(&mut Vec<Row>)| {
            let mut rows = rows(others);
            change(&mut rows);
            sentence(&comparison([rows])).unwrap()
        };
        let nobody = "No backend was clearly the fastest.";
        assert_eq!(
            told(&[("beta", 1.01)], |_| ()),
            "No backend was clearly the fastest; beta and alpha were within 5 % of the fastest."
        );
        assert_eq!(told(&[("beta", 1.01)], |rows| rows[1].ratio.as_mut().unwrap().interval = None), nobody);
    }

    #[test]
    fn nobody_is_the_fastest_without_a_verdict() {
        let mut withheld = rows(&[("beta", 2.0)]);
        withheld[1].ratio.as_mut().unwrap().withheld = Some(Withheld::Holm);
        let told = sentence(&comparison([withheld])).unwrap();
        assert_eq!(told, "No backend was clearly the fastest.");
        assert_eq!(sentence(&examples::quick()), None);
        assert_eq!(sentence(&examples::empty()), None);
        assert_eq!(sentence(&comparison([rows(&[])])), None);
        // The baseline is wrong: nothing is left to compare with.
        let mut wrong = rows(&[("beta", 2.0)]);
        wrong[0].counts.wrong = 1;
        assert_eq!(sentence(&comparison([wrong])), None);
    }

    #[test]
    fn points_without_a_pair_are_said_to_be_left_out() {
        let told = sentence(&comparison([rows(&[("beta", 0.5)]), rows(&[])])).unwrap();
        assert_eq!(
            told,
            "alpha was fastest on 1 of 2 workloads; on 1 fewer than two backends can be compared."
        );
    }

    #[test]
    fn several_points_of_a_workload_are_counted_as_points() {
        let told = sentence(&examples::scaling()).unwrap();
        assert!(told.contains(" of 6 points"), "{told}");
    }

    #[test]
    fn the_second_name_of_an_a_a_comparison_is_no_other_backend() {
        let told = |others: &[(&str, f64)], names: [&str; 2]| {
            let mut comparison = comparison([rows(others)]);
            comparison.points[0].noise_floor = examples::noise_floor(names, 1.02);
            sentence(&comparison)
        };
        let alpha = ["alpha", "alpha-again"];
        for again in [0.99, 1.0, 1.01] {
            let found = told(&[("alpha-again", again), ("beta", 0.5)], alpha);
            assert_eq!(found.as_deref(), Some("alpha was fastest."));
        }
        let found = told(&[("beta", 2.0), ("beta-again", 2.0)], ["beta", "beta-again"]);
        assert_eq!(found.as_deref(), Some("beta was fastest."));
        assert_eq!(told(&[("alpha-again", 1.0)], alpha), None);
    }

    #[test]
    fn a_row_is_faster_than_one_on_the_other_side_of_the_baseline() {
        let mut between = comparison([rows(&[("beta", 1.5), ("gamma", 0.5)])]);
        between.rigor = Rigor::Publish;
        assert_eq!(sentence(&between).unwrap(), "beta was fastest.");
    }
}
