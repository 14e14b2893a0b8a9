//! Tests of the notes below the tables.

use super::*;
use crate::compare::model::Stages;
use crate::report::examples;

/// The notes of a comparison that has these rows at one point.
fn notes_of(rows: Vec<Row>) -> Vec<String> {
    let point = Point { rows, ..examples::point("pipeline", Some(1000), 2) };
    notes(&Comparison { points: vec![point], ..examples::empty() })
}

#[test]
fn a_ratio_over_a_part_of_the_runs_of_a_row_is_told() {
    let mut point = examples::point("pipeline", Some(1000), 2);
    let mut row = examples::row("x", Some(0.5));
    row.ratio.as_mut().unwrap().blocks = 7;
    row.counts.verified = 14;
    point.rows = vec![row];
    let comparison = Comparison { points: vec![point], ..Comparison::default() };
    let notes = ratio_notes(&comparison);
    assert!(
        notes.iter().any(|note| note.ends_with("have other runs too: x, pipeline (7 of 14)")),
        "{notes:?}"
    );
}

#[test]
fn preparing_is_told_where_it_takes_a_tenth_of_the_run_and_of_a_second() {
    let told = |run: f64, prepare: Option<f64>| {
        let mut row = examples::row("beta", None);
        (row.duration, row.stages.prepare) = (Some(examples::spread(run)), prepare.map(examples::spread));
        notes_of(vec![row]).into_iter().find(|note| note.starts_with("preparing a run"))
    };
    let note = |seconds| Some(format!("preparing a run is not part of its time, and takes {seconds}"));
    assert_eq!(told(0.5, Some(0.12)), note("120 ms (beta, pipeline)"));
    assert_eq!(told(3.0, Some(0.31)), note("310 ms (beta, pipeline)"));
    for (run, prepare) in [(0.5, Some(0.09)), (3.0, Some(0.29)), (0.5, None)] {
        assert_eq!(told(run, prepare), None, "{run} {prepare:?}");
    }
}

#[test]
fn all_rows_that_take_long_to_prepare_are_told_in_one_note() {
    let row = |label, prepare| {
        let row = examples::row(label, None);
        Row { stages: Stages { prepare: Some(examples::spread(prepare)), ..row.stages }, ..row }
    };
    let notes = notes_of(vec![row("alpha", 0.2), row("beta", 0.01), row("gamma", 0.4)]);
    let of_prepare: Vec<_> = notes.iter().filter(|note| note.contains("preparing")).collect();
    assert!(
        of_prepare.len() == 1
            && of_prepare[0].ends_with("200 ms (alpha, pipeline), 400 ms (gamma, pipeline)")
    );
}

#[test]
fn a_ratio_without_an_interval_is_explained() {
    let told = |why: &[Option<NoInterval>]| {
        let row = |why: &Option<NoInterval>| {
            let mut row = examples::row("beta", Some(1.3));
            let ratio = row.ratio.as_mut().unwrap();
            if why.is_some() {
                (ratio.interval, ratio.verdict, ratio.no_interval) = (None, None, *why);
            }
            row
        };
        notes_of(why.iter().map(row).collect())
    };
    let (few, tied) = (Some(NoInterval::TooFewBlocks), Some(NoInterval::Tied));
    let of_few = "fewer than 6 blocks that both sides finished give no interval and no verdict";
    let of_tied = "no interval and no verdict where at most half of the blocks have different ratios: the runs are too short \
                   for their clock";
    assert_eq!(told(&[few, few]), [of_few]);
    assert_eq!(told(&[None, few]), [of_few]);
    assert_eq!(told(&[None, tied, tied]), [of_tied]);
    assert_eq!(told(&[tied, few]), [of_few, of_tied]);
    assert!(told(&[None, Some(NoInterval::Unpaired)]).is_empty());
}

#[test]
fn more_blocks_are_said_to_resolve_the_verdicts_that_they_may() {
    let told = |needed: &[Option<u32>]| {
        let row = |more_blocks: &Option<u32>| {
            let mut row = examples::row("beta", Some(1.0));
            row.ratio.as_mut().unwrap().verdict = Some(Verdict::Inconclusive { more_blocks: *more_blocks });
            row
        };
        let notes = notes_of(needed.iter().map(row).collect());
        notes.into_iter().find(|note| note.contains("more block"))
    };
    let note = |what: &str| Some(format!("about {what}"));
    assert_eq!(told(&[Some(3), Some(5)]), note("5 more blocks may resolve the inconclusive verdicts"));
    assert_eq!(told(&[Some(1), None]), note("1 more block may resolve 1 of 2 inconclusive verdicts"));
    let beyond = "more than 100 more blocks would be needed to resolve the inconclusive verdicts; crossrun doctor says what \
                  makes the machine noisy";
    assert_eq!(told(&[None, None]).as_deref(), Some(beyond));
    assert_eq!(told(&[]), None);
}

#[test]
fn a_backend_beside_itself_needs_no_more_blocks() {
    let needs = |label: &str, more_blocks: u32| {
        let mut row = examples::row(label, Some(1.0));
        row.ratio.as_mut().unwrap().verdict = Some(Verdict::Inconclusive { more_blocks: Some(more_blocks) });
        row
    };
    let mut point = Point {
        rows: vec![examples::row("alpha", None), needs("alpha-again", 90), needs("beta", 3)],
        noise_floor: examples::noise_floor(["alpha", "alpha-again"], 1.02),
        ..examples::point("pipeline", Some(1000), 2)
    };
    let known: Vec<_> = point.rows.iter().map(|row| more_blocks(row, &point)).collect();
    assert_eq!(known, [None, None, Some(3)]);
    let told = |point: &Point| {
        let notes = notes(&Comparison { points: vec![point.clone()], ..examples::empty() });
        notes.into_iter().find(|note| note.contains("more block"))
    };
    let note = "about 3 more blocks may resolve the inconclusive verdicts";
    assert_eq!(told(&point).as_deref(), Some(note));
    point.rows.pop();
    assert_eq!(told(&point), None);
}

#[test]
fn an_a_a_comparison_without_an_interval_is_said_to_give_no_noise_floor() {
    // Of two backends beside the baseline each has an interval with it, and they may have too few blocks in common.
    let again = |of: &str| {
        let twin = examples::row(&format!("{of}-again"), Some(1.0));
        let rows = vec![examples::row("alpha", None), examples::row("beta", Some(1.0)), twin];
        let mut point = Point { rows, ..examples::point("null", Some(1000), 2) };
        let file = point.rows.iter().find(|row| row.backend == of).and_then(|row| row.plugin.clone());
        point.rows[2].plugin = file.or_else(|| point.rows[2].plugin.clone());
        point
    };
    let told = |rigor, points: &[Point]| {
        let notes = notes(&Comparison { rigor, points: points.to_vec(), ..examples::empty() });
        notes.into_iter().find(|note| note.starts_with("A/A comparison"))
    };
    let note = "A/A comparison: there is no noise floor, as it has no interval";
    for of in ["alpha", "beta"] {
        assert_eq!(told(Rigor::Standard, &[again(of)]).as_deref(), Some(note), "{of}");
    }
    assert_eq!(told(Rigor::Standard, &[again("gamma")]), None);
    assert_eq!(told(Rigor::Quick, &[again("beta")]), None);
    let pipeline = Point { workload: "pipeline".into(), ..again("beta") };
    assert_eq!(told(Rigor::Standard, &[again("alpha"), pipeline]), Some(format!("{note} (null, pipeline)")));
    let mut failed = again("alpha");
    failed.rows[2].counts.failed = 1;
    let note = "A/A comparison: there is no noise floor, as one of its two rows has failures or is in doubt";
    assert_eq!(told(Rigor::Standard, &[failed]).as_deref(), Some(note));
    for (failed, why) in [(2, NoRatio::Failed), (0, NoRatio::BaselineFailed)] {
        let mut in_every_block = again("alpha");
        in_every_block.rows[failed].counts.failed = 7;
        (in_every_block.rows[2].ratio, in_every_block.rows[2].no_ratio) = (None, Some(why));
        assert_eq!(told(Rigor::Standard, &[in_every_block]).as_deref(), Some(note), "{why:?}");
    }
    let mut single = again("alpha");
    single.rows[2].ratio.as_mut().unwrap().paired = false;
    assert_eq!(told(Rigor::Standard, &[single]), None);
    let noise_floor = examples::noise_floor(["beta", "beta-again"], 1.02);
    let known = Point { noise_floor, ..again("beta") };
    assert_eq!(told(Rigor::Standard, &[known]), None);
}

#[test]
fn a_floor_of_noise_is_said_to_be_that_of_its_point() {
    let told = |factors: &[f64]| {
        let at = |factor: &f64| {
            let noise_floor = examples::noise_floor(["a", "b"], *factor);
            Point { noise_floor, ..examples::point("pipeline", Some(1000), 2) }
        };
        let points: Vec<_> = factors.iter().map(at).collect();
        let noise_floor = factors.iter().copied().max_by(f64::total_cmp);
        notes(&Comparison { points, noise_floor, ..examples::empty() })
    };
    assert_eq!(told(&[1.02]), ["A/A comparison: differences of up to 2.0 % are noise"]);
    assert_eq!(told(&[1.003]), ["A/A comparison: differences of up to 0.300 % are noise"]);
    let several = "A/A comparison: differences up to the noise floor of their point are noise (most: 140.0 %, pipeline)";
    assert_eq!(told(&[1.02, 2.4, 1.1]), [several]);
    assert!(told(&[]).is_empty());
}
