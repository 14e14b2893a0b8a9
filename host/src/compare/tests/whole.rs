//! The comparison as a whole: its points, its geometric means, its JSON and its size.

use std::time::Instant;

use plugin_api::ErrorKind;

use super::*;
use crate::run::session::NEGOTIATION;

#[test]
fn no_records_are_an_empty_comparison() {
    let nothing = standard([]);
    assert_eq!((nothing.points.len(), nothing.baseline, nothing.warnings.len()), (0, None, 0));
}

#[test]
fn a_reading_for_which_a_session_was_postponed_is_not_that_of_the_session_that_was_run_next() {
    let mut examples = blocks("null", 1, &[("a", 1.0), ("b", 1.0)]);
    let reading = |nanos: f64| MachineCheck { nanos_per_iteration: nanos, ..MachineCheck::default() };
    let after = MachineCheck { after_session: true, ..reading(1.0) };
    examples[0].result.machine_checks = vec![reading(9.0), reading(8.0), reading(1.0)];
    examples[1].result.machine_checks = vec![reading(1.0), after];
    let checks = standard(examples).machine_checks;
    let is_told = |told: Option<bool>| told == Some(true);
    let read: Vec<_> = checks.iter().map(|it| (it.backend.as_str(), is_told(it.check.postponed))).collect();
    assert_eq!(read, [("a", true), ("a", true), ("a", false), ("b", false), ("b", false)]);
}

#[test]
fn a_reading_for_which_a_session_was_postponed_stands_for_no_session_whose_own_reading_failed() {
    let mut examples = blocks("null", 1, &[("a", 1.0), ("b", 1.0)]);
    let reading = |postponed| MachineCheck { postponed: Some(postponed), ..MachineCheck::default() };
    examples[0].result.machine_checks = vec![reading(true)];
    // The session before had no trial that could have the first of these.
    examples[1].result.machine_checks = vec![reading(false), reading(false)];
    let checks = standard(examples).machine_checks;
    let read: Vec<_> = checks.iter().map(|it| (it.backend.as_str(), it.check.postponed)).collect();
    assert_eq!(read, [("a", Some(true)), ("b", Some(false)), ("b", Some(false))]);
}

#[test]
fn a_geomean_is_over_the_points_that_all_finished() {
    let speeds = [("a", 1.0), ("b", 2.0), ("c", 4.0)];
    let mut examples = blocks("null", 7, &speeds);
    examples.extend(blocks("pipeline", 7, &[("a", 1.0), ("b", 8.0), ("c", 1.0)]));
    // One crash of c, fast before it: pipeline counts for nobody.
    let mut third = blocks("word_count", 7, &[("a", 1.0), ("b", 0.01), ("c", 100.0)]);
    fail(&mut third[2]);
    examples.extend(third);
    let comparison = standard(examples);
    let [b, c] = comparison.geomeans.as_slice() else { panic!("{:?}", comparison.geomeans) };
    assert_eq!((b.backend.as_str(), b.covered, b.points), ("b", 2, 3));
    assert!((b.ratio.unwrap() - 4.0).abs() < 0.05, "{b:?}");
    // Or else it could fail where it is slow.
    assert_eq!((c.ratio, c.interval), (None, None));
}

/// Says beforehand that it does not support the point.
fn refuse(example: &mut Example) {
    let unsupported = error(NEGOTIATION, Fault::Reported(ErrorKind::Unsupported), "needs time");
    example.result = TrialResult::new(example.result.started, Outcome::Failed(unsupported));
}

#[test]
fn a_backend_that_says_that_it_does_not_support_a_point_has_a_mean_of_the_others() {
    let speeds = [("a", 1.0), ("b", 2.0), ("c", 4.0)];
    let mut examples = blocks("null", 7, &speeds);
    examples.extend(changed(blocks("pipeline", 7, &speeds), "c", refuse));
    let comparison = standard(examples);
    let [b, c] = comparison.geomeans.as_slice() else { panic!("{:?}", comparison.geomeans) };
    assert_eq!((b.covered, b.points, c.covered), (1, 2, 1));
    assert!((b.ratio.unwrap() - 2.0).abs() < 0.05 && (c.ratio.unwrap() - 4.0).abs() < 0.05);
}

#[test]
fn a_backend_that_supports_a_point_in_some_blocks_only_has_no_mean() {
    let speeds = [("a", 1.0), ("b", 2.0), ("c", 4.0)];
    let mut examples = blocks("null", 7, &speeds);
    examples.extend(changed_in(blocks("pipeline", 7, &speeds), "c", 3..4, refuse));
    let comparison = standard(examples);
    assert_eq!(comparison.geomeans[1].ratio, None, "{:?}", comparison.geomeans);
}

#[test]
fn points_are_sorted_though_records_are_shuffled() {
    let sized = |items: u64, parallelism: u32| {
        changed(blocks("pipeline", 1, &[("a", 1.0)]), "", |example| {
            example.trial.cell.spec.total_items = items;
            example.trial.cell.spec.parallelism = parallelism;
        })
    };
    let null = blocks("null", 1, &[("a", 1.0)]);
    let comparison = standard([sized(1000, 4), sized(20, 1), null, sized(1000, 1)].concat());
    let ids: Vec<_> = comparison.points.iter().map(|point| point.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "null/items=1000/parallelism=2/scheduler=default",
            "pipeline/items=20/parallelism=1/scheduler=default",
            "pipeline/items=1000/parallelism=1/scheduler=default",
            "pipeline/items=1000/parallelism=4/scheduler=default",
        ]
    );
}

#[test]
fn the_json_is_what_it_was() {
    let mut examples = pair(6);
    for example in &mut examples {
        // Round figures, so that the snapshot does not hang on the last digit of a logarithm.
        example.finished().duration_seconds = 0.5;
    }
    fail(&mut examples[3]);
    examples.truncate(4);
    let mut inputs = recorded(examples);
    for input in &mut inputs {
        input.record.metadata.versions = Map::from_iter([("crossrun".to_owned(), json!("0.1.0"))]);
    }
    let comparison = compare(&inputs, &Options::default()).unwrap();
    let text = serde_json::to_string_pretty(&comparison).unwrap() + "\n";
    let expected = include_str!("../../../../tests/fixtures/comparison_1.json");
    assert_eq!(text, expected);
    assert_eq!(serde_json::from_str::<Comparison>(expected).unwrap(), comparison);
}

#[test]
fn every_comparison_survives_json() {
    let speeds = [("a", 1.0), ("a-again", 1.0), ("b", 1.3), ("c", 0.7)];
    let examples = same_file(blocks("pipeline", 12, &speeds));
    for rigor in [Rigor::Quick, Rigor::Standard, Rigor::Publish] {
        let comparison = rigorous(rigor, examples.clone());
        let text = serde_json::to_string(&comparison).unwrap();
        assert_eq!(serde_json::from_str::<Comparison>(&text).unwrap(), comparison);
    }
}

/// How long that takes is measured by the benchmark `harness`; what would take time that grows with the square is found here.
#[test]
fn ten_thousand_records_are_compared() {
    let inputs = recorded((0..50).flat_map(|at| {
        let workload = format!("w{at}");
        (0..50)
            .flat_map(move |block| {
                ["a", "b", "c", "d"]
                    .map(|backend| example(backend, &workload, block, 1.0 + f64::from(block) / 1e3))
            })
            .collect::<Vec<_>>()
    }));
    assert_eq!(inputs.len(), 10_000);
    let started = Instant::now();
    let comparison = compare(&inputs, &Options { rigor: Rigor::Publish, ..Options::default() }).unwrap();
    assert!(started.elapsed() < Duration::from_secs(600), "{:?}", started.elapsed());
    assert_eq!(comparison.points.len(), 50);
}

#[test]
fn points_are_in_the_order_of_the_numbers_that_are_varied() {
    let with = |keys: u64| {
        changed(blocks("pipeline", 1, &[("a", 1.0)]), "", |example| {
            example.trial.cell.spec.extra.insert("keys".into(), keys.into());
        })
    };
    let comparison = standard([with(10_000), with(2000), with(100)].concat());
    let keys: Vec<_> = comparison.points.iter().map(|point| point.extra["keys"].as_u64()).collect();
    assert_eq!(keys, [Some(100), Some(2000), Some(10_000)]);
}
