//! Points that are compared by latency.

use super::*;
use crate::compare::history::{ChangeVerdict, history};
use crate::compare::trends::trends;

/// The source was late by itself, whatever the backend did.
fn invalidate(example: &mut Example) {
    let late = error("judge", Fault::LateSource, "the source was late by itself");
    example.result.outcome = Outcome::Invalid(late);
}

#[test]
fn an_open_loop_is_compared_by_its_latency_and_not_by_how_long_its_schedule_is() {
    let of_backend = |backend: &'static str, count: u64, p95: f64| {
        let of_block =
            move |block| with_latency(backend, block, count, [1.0, p95 + f64::from(block) / 100.0, 9.0]);
        (0..7).map(of_block)
    };
    let comparison = standard(of_backend("a", 500, 2.0).chain(of_backend("b", 500, 4.0)));
    let slower = row(&comparison, "b");
    assert_eq!(slower.ratio.as_ref().unwrap().verdict, Some(Verdict::Slower));
    assert!((slower.ratio.as_ref().unwrap().estimate - 0.505).abs() < 0.01);
    let compared = slower.compared_latency.as_ref().unwrap();
    assert_eq!((compared.percentile.as_str(), compared.spread.n), ("p95", 7));
    assert!((compared.spread.median - 0.00403).abs() < 1e-9, "{compared:?}");
    // Too few items for any percentile: there is nothing to compare, least of all the duration.
    let few = standard(of_backend("a", 5, 2.0).chain(of_backend("b", 5, 4.0)));
    assert_eq!((row(&few, "b").ratio, row(&few, "b").no_ratio), (None, Some(NoRatio::NoLatency)));
}

/// As `docs/method.md` and the page say.
#[test]
fn of_two_blocks_in_the_middle_the_median_is_the_mean_and_the_curve_that_of_the_faster_one() {
    let of_block = |block: u32| with_latency("a", block, 500, [1.0, 2.0 + f64::from(block), 9.0]);
    let comparison = standard([1, 0].map(of_block));
    let compared = row(&comparison, "a").compared_latency.as_ref().unwrap();
    assert!((compared.spread.median - 0.0025).abs() < 1e-9, "{compared:?}");
    assert!(compared.scheduled.contains(&(0.95, 2.0)), "{compared:?}");
}

#[test]
fn a_percentile_stands_only_where_every_trial_that_counts_has_the_items_for_it() {
    let with_items = |counts: [u64; 3]| {
        let of_block = |(block, count)| with_latency("a", block, count, [1.0 + f64::from(block), 4.0, 9.0]);
        (0..).zip(counts).map(of_block)
    };
    let comparison = standard(with_items([700, 500, 700]));
    let table = row(&comparison, "a").open_loop.as_ref().unwrap();
    assert_eq!((table.shared_clock, table.samples, table.percentiles.len()), (true, 500, 5));
    let [p50, _, p95, p99, _] = table.percentiles.as_slice() else { panic!("{table:?}") };
    assert_eq!(
        (p50.name.as_str(), p50.scheduled.unwrap().median, p50.scheduled.unwrap().n),
        ("p50", 0.002, 3)
    );
    assert_eq!((p95.service.unwrap().max, p95.samples_needed), (0.004, 130));
    // One of three blocks has 500 items: a 99th percentile takes 662.
    assert_eq!((p99.scheduled, p99.samples_needed), (None, 662));
    let latency = row(&comparison, "a").latency.unwrap();
    assert_eq!((latency.p50, latency.p95, latency.p99), (p50.scheduled, p95.scheduled, None));
    let comparison = standard(with_items([700; 3]));
    assert_eq!(row(&comparison, "a").open_loop.as_ref().unwrap().percentiles[3].scheduled.unwrap().n, 3);
}

#[test]
fn an_invalid_open_loop_makes_no_figure() {
    let invalid = with_latency("a", 0, 700, [1.0, 4.0, 9.0]).with(|example| {
        let latency = example.result.actual.as_mut().unwrap().latency.as_mut().unwrap();
        latency.lag = latency.scheduled.clone();
        invalidate(example);
    });
    let comparison = standard([invalid]);
    let row = row(&comparison, "a");
    assert_eq!((row.counts.invalid, &row.open_loop, &row.latency), (1, &None, &None));
}

#[test]
fn an_open_loop_without_a_valid_trial_is_no_point_of_a_geometric_mean() {
    let late = ["a", "b"].map(|backend| {
        example(backend, "mine", 0, 1.0).with(|example| {
            set_latency(example, 700, [1.0, 4.0, 9.0]);
            invalidate(example);
        })
    });
    // Of one that crashed, no record says that it is an open loop, but its name does.
    let crashed = ["a", "b"].map(|backend| example(backend, "open_loop", 0, 1.0).with(fail));
    let comparison = standard(pair(7).into_iter().chain(late).chain(crashed));
    assert_eq!(comparison.points.len(), 3);
    assert_eq!((comparison.geomeans[0].covered, comparison.geomeans[0].points), (1, 1));
}

#[test]
fn a_backend_that_claims_other_machines_in_some_trials_hides_their_latency_and_has_none() {
    let of_block = |block| {
        ["a", "b"]
            .map(|backend| with_latency(backend, block, 500, [1.0, 4.0 + f64::from(block) / 100.0, 9.0]))
    };
    let comparison = standard(with_a_hidden_latency((0..8).flat_map(of_block).collect()));
    let b = row(&comparison, "b");
    assert_eq!((b.counts.verified, b.ratio, b.no_ratio), (8, None, Some(NoRatio::NoLatency)));
    assert_eq!(b.compared_latency, None);
    assert!(row(&comparison, "a").compared_latency.is_some());
}

/// Blocks of two backends in an open loop. Every other block has too few items for the 99th percentile, which is the same for both;
/// the 95th is that of the backend.
fn uneven(first_second: u64) -> Vec<Example> {
    let of_backend = |backend: &'static str, p95: f64| {
        (0..8).map(move |block| {
            let items = if block % 2 == 0 { 700 } else { 500 };
            with_latency(backend, block, items, [1.0, p95 + f64::from(block) / 100.0, 90.0])
                .with(|example| example.result.started += Duration::from_secs(first_second))
        })
    };
    of_backend("a", 2.0).chain(of_backend("b", 4.0)).collect()
}

#[test]
fn blocks_with_more_and_fewer_items_are_compared_by_a_percentile_that_all_have() {
    let comparison = standard(uneven(0));
    let b = row(&comparison, "b");
    assert!((b.ratio.unwrap().estimate - 0.505).abs() < 0.01, "{:?}", b.ratio);
    let compared = b.compared_latency.as_ref().unwrap();
    assert_eq!((compared.percentile.as_str(), compared.spread.n), ("p95", 8));
    assert!((compared.spread.median - 0.004_035).abs() < 1e-8, "{compared:?}");
    assert!(b.median_intervals.unwrap().latency.is_some_and(|it| it.high < 0.005));
    // An open loop is no part of a geometric mean, whatever percentiles it has.
    assert!(comparison.geomeans.iter().all(|mean| mean.points == 0), "{:?}", comparison.geomeans);
}

/// The same, in which the first block of b, and of a if `both`, has too few items for any percentile.
fn with_few_items(first_second: u64, both: bool) -> Vec<Example> {
    let few = |example: &mut Example| set_latency(example, 5, [1.0, 2.0, 3.0]);
    changed_in(uneven(first_second), if both { "" } else { "b" }, ..1, few)
}

#[test]
fn with_a_block_that_has_too_few_items_for_any_percentile_there_is_none_to_compare() {
    let comparison = standard(with_few_items(0, false));
    let b = row(&comparison, "b");
    assert_eq!((b.ratio, b.no_ratio), (None, Some(NoRatio::NoLatency)));
    assert!(b.compared_latency.is_none() && b.counts.verified == 8, "{b:?}");
    let table = b.open_loop.as_ref().unwrap();
    assert_eq!((table.samples, table.percentiles[0].scheduled), (5, None));
}

#[test]
fn a_verified_run_with_too_few_items_for_a_percentile_has_not_failed() {
    let calls = |old: Vec<Example>, new: Vec<Example>| {
        let found = history(&recorded(old), &recorded(new), 0.05, |_| AaFactors::default()).unwrap();
        found.changes.iter().map(|it| (it.call, it.fails, it.new.trials)).collect::<Vec<_>>()
    };
    let too_few = vec![(ChangeVerdict::TooFew, false, 8); 2];
    assert_eq!(calls(uneven(0), with_few_items(9, true)), too_few);
    assert_eq!(calls(with_few_items(0, true), with_few_items(9, true)), too_few);
    // What crashed has failed.
    let crashed = changed(uneven(9), "b", fail);
    let expected = [(ChangeVerdict::Unchanged, false, 8), (ChangeVerdict::NowFails, true, 8)];
    assert_eq!(calls(uneven(0), crashed), expected);
    // And what ran before is missing, whatever could be compared of it.
    let mut without_b = with_few_items(9, true);
    without_b.retain(|example| example.trial.backend.name == "a");
    let expected = [(ChangeVerdict::TooFew, false, 8), (ChangeVerdict::Missing, true, 0)];
    assert_eq!(calls(with_few_items(0, true), without_b), expected);
}

#[test]
fn two_runs_are_compared_by_a_percentile_that_both_have() {
    let all_have_p99 = changed(uneven(9), "", |example| {
        let latency = example.result.actual.as_mut().unwrap().latency.as_mut().unwrap();
        latency.scheduled.count = 700;
    });
    let found =
        history(&recorded(uneven(0)), &recorded(all_have_p99), 0.05, |_| AaFactors::default()).unwrap();
    for change in found.changes {
        let compared = (change.of.as_str(), change.percentile.as_deref());
        assert_eq!(
            (compared, change.old.median),
            (("latency", Some("p95")), change.new.median),
            "{change:?}"
        );
        assert!(change.new.median.is_some_and(|seconds| seconds < 0.005), "{change:?}");
    }
}

#[test]
fn a_slower_latency_counts_beyond_what_latencies_differ_by_and_a_slower_run_beyond_what_runs_do() {
    use crate::compare::history::history;
    let fails = |old: Vec<Example>, new: Vec<Example>, time: f64, latency: f64| {
        let factors = || AaFactors { time: vec![time; 5], latency: vec![latency; 5] };
        let found = history(&recorded(old), &recorded(new), 0.05, |_| factors()).unwrap();
        let all: Vec<_> = found.changes.iter().map(|it| it.fails).collect();
        (all.contains(&true), found.aa_of_latency.is_some())
    };
    let later = |examples| changed(examples, "", |example| example.result.started += Duration::from_secs(9));
    let slower_runs = || {
        let slow = |example: &mut Example| example.finished().duration_seconds *= 1.5;
        later(changed(pair(7), "", slow))
    };
    assert_eq!(fails(pair(7), slower_runs(), 1.1, 2.0), (true, false));
    assert_eq!(fails(pair(7), slower_runs(), 2.0, 1.1), (false, false));
    let open = |p95: f64| {
        let of_block =
            move |block| with_latency("a", block, 500, [1.0, p95 + f64::from(block) / 100.0, 90.0]);
        (0..8).map(of_block).collect::<Vec<_>>()
    };
    assert_eq!(fails(open(2.0), later(open(3.0)), 2.0, 1.1), (true, true));
    assert_eq!(fails(open(2.0), later(open(3.0)), 1.1, 2.0), (false, true));
}

#[test]
fn the_noise_of_latencies_is_that_of_a_cell_of_latencies_in_the_history() {
    use crate::compare::trends::trends;
    let factors = || AaFactors { time: vec![1.01; 5], latency: vec![1.5; 5] };
    let trends = trends(&mut recorded(uneven(0)), None, |_| factors());
    let noise = trends.machines[0].latency_noise.unwrap();
    assert_eq!((noise.factor, noise.aa_comparisons), (1.5, 5));
    let text = crate::report::trends(&trends, false);
    let told = "changes below 1.0 % are not reported (5 A/A comparisons known of this machine), and those of a latency below \
                50.0 % (5 A/A comparisons of open loops)\n";
    assert!(text.contains(told), "{text}");
}

#[test]
fn with_few_open_loops_latencies_differ_by_no_less_than_times() {
    use crate::compare::trends::trends;
    let comparisons = |number: usize| crate::text::plural(number as u64, "A/A comparison");
    let noise = |time: &[f64], latency: &[f64]| {
        let factors = || AaFactors { time: time.to_vec(), latency: latency.to_vec() };
        let trends = trends(&mut recorded(uneven(0)), None, |_| factors());
        let noise = trends.machines[0].latency_noise.unwrap();
        let source = format!("({} of open loops, so no less than of times)\n", comparisons(latency.len()));
        assert_eq!(crate::report::trends(&trends, false).contains(&source), latency.len() < 5, "{source}");
        (noise.factor, noise.aa_comparisons)
    };
    assert_eq!(noise(&[1.2; 5], &[1.5; 4]), (1.2, 4));
    assert_eq!(noise(&[1.01; 5], &[1.5; 4]), (1.05, 4));
    assert_eq!(noise(&[1.2; 4], &[]), (1.05, 0));
    assert_eq!(noise(&[1.2; 5], &[1.1; 5]), (1.1, 5));
}

/// The same, in which b says that another machine took part in a block, of which there is no latency then.
fn with_a_hidden_latency(examples: Vec<Example>) -> Vec<Example> {
    changed_in(examples, "b", 3..4, |example| {
        drop(example.finished().metrics.insert("nodes".into(), 2.into()))
    })
}

#[test]
fn what_is_left_of_a_run_that_hides_a_latency_is_not_compared_with_another_run() {
    let hiding = with_a_hidden_latency(uneven(9));
    let found = history(&recorded(uneven(0)), &recorded(hiding), 0.05, |_| AaFactors::default()).unwrap();
    let calls: Vec<_> =
        found.changes.iter().map(|it| (it.call, it.new.trials, it.new.median.is_some())).collect();
    assert_eq!(calls, [(ChangeVerdict::Unchanged, 8, true), (ChangeVerdict::TooFew, 8, false)]);
}

#[test]
fn a_run_that_hides_a_latency_has_no_value_in_the_history_and_counts_its_verified_trials() {
    let run_of_b = |examples: Vec<Example>| {
        let cells = trends(&mut recorded(examples), None, |_| AaFactors::default()).cells;
        let cell = cells.into_iter().find(|it| it.cell.backend == "b").unwrap();
        let [run] = cell.runs.as_slice() else { panic!("{:?}", cell.runs) };
        (run.trials, run.verified, run.successes, run.median.is_some())
    };
    assert_eq!(run_of_b(uneven(0)), (8, 8, 8, true));
    assert_eq!(run_of_b(with_a_hidden_latency(uneven(0))), (8, 8, 0, false));
    assert_eq!(run_of_b(with_few_items(0, false)), (8, 8, 0, false));
}
