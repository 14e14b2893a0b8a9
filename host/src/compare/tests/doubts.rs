//! Rows whose trials are each possible, and not all of them together.

use super::*;
use crate::run::reference::TrialReference;
use crate::run::trial::RunUsage;
use crate::sandbox::Usage;
use crate::worker::protocol::SerialSample;

/// The seconds of work of each run, all of it in operators; a run of b takes 1 / 1.3 s and one of a a second, and two operators run at
/// once.
const WORK: f64 = 1.5;

/// Blocks of a and b, both honest, after a change of one of them in some of the blocks.
fn honest_but(
    backend: &str,
    in_blocks: impl RangeBounds<u32>,
    change: impl Fn(&mut Example),
) -> Vec<Example> {
    let honest = two("", .., |example| {
        let sample = SerialSample { cpu_seconds: WORK, least_cpu_seconds: WORK, ..SerialSample::default() };
        let result = &mut example.result;
        result.reference = Some(TrialReference {
            sample: Some(sample),
            least_cpu_seconds: Some(WORK),
            operator_share: 1.0,
            ..TrialReference::default()
        });
        result.work_checked = true;
        result.host_elapsed = result.finished.as_ref().map(|finished| finished.duration_seconds + 0.03);
        set_cpu(result, WORK);
        example.system_profile.cpu_logical_cores = Some(2);
    });
    changed_in(honest, backend, in_blocks, change)
}

fn set_cpu(result: &mut TrialResult, cpu_seconds: f64) {
    let used = Usage { cpu_seconds, ..Usage::default() };
    result.usage = Some(RunUsage { used, ..RunUsage::default() });
}

/// What is doubtful of each of the rows, and why b has no verdict.
fn doubts(examples: Vec<Example>) -> ([Vec<Doubt>; 2], Option<Withheld>) {
    let comparison = standard(examples);
    let of = |backend| row(&comparison, backend).doubts.clone();
    ([of("a"), of("b")], ratio(&comparison, "b").withheld)
}

#[test]
fn honest_rows_have_no_doubts() {
    assert_eq!(doubts(honest_but("b", .., |_| ())), ([vec![], vec![]], None));
    // A busy machine delays some of the replies, and all of every backend.
    let late = |example: &mut Example| *example.result.host_elapsed.as_mut().unwrap() += 0.2;
    assert_eq!(doubts(honest_but("b", ..5, late)).1, None);
    assert_eq!(doubts(honest_but("", .., late)).1, None);
    // Records without these figures.
    let comparison = standard(two("b", .., |_| ()));
    assert!(row(&comparison, "b").doubts.is_empty());
}

#[test]
fn an_honest_row_under_a_quota_of_one_and_a_half_cores_has_no_doubts() {
    // The profile says that there is one core, on which the work would take 1.5 s. Runs take from 1 s on, as they may.
    let under_quota = |example: &mut Example| {
        (example.system_profile.cpu_logical_cores, example.system_profile.cpu_quota) = (Some(1), Some(1.5));
        let seconds = 1.31 * example.finished().duration_seconds;
        example.finished().duration_seconds = seconds;
        example.result.host_elapsed = Some(seconds + 0.03);
    };
    assert_eq!(doubts(honest_but("", .., under_quota)), ([vec![], vec![]], None));
    let one_core = |example: &mut Example| {
        under_quota(example);
        example.system_profile.cpu_quota = Some(1.0);
    };
    assert!(matches!(doubts(honest_but("", .., one_core)).0[1][..], [Doubt::Duration { .. }]));
}

#[test]
fn an_honest_row_that_uses_up_a_quota_on_more_cores_has_no_doubts() {
    // Two cores take 0.75 s for the work. On eight of them, a part of it is done before the quota of the first 100 ms is used up, and a
    // part when there is a new one.
    let at_once = |cores: u64, quota: f64, factor: f64| {
        honest_but("", .., |example| {
            (example.system_profile.cpu_logical_cores, example.system_profile.cpu_quota) =
                (Some(cores), Some(quota));
            example.trial.cell.spec.parallelism = 8;
            let seconds = factor * example.finished().duration_seconds;
            example.finished().duration_seconds = seconds;
            example.result.host_elapsed = Some(seconds + 0.03);
        })
    };
    assert_eq!(doubts(at_once(2, 2.0, 0.75)), ([vec![], vec![]], None));
    assert!(matches!(doubts(at_once(2, 2.0, 0.5)).0[1][..], [Doubt::Duration { .. }]));
    // A quota of less than a core takes longer than a core does.
    assert!(matches!(doubts(at_once(1, 0.5, 2.5)).0[1][..], [Doubt::Duration { .. }]));
    assert_eq!(doubts(at_once(1, 0.5, 3.5)), ([vec![], vec![]], None));
}

#[test]
fn a_clock_that_is_a_bit_slow_in_most_blocks_costs_the_verdict() {
    let late = |example: &mut Example| *example.result.host_elapsed.as_mut().unwrap() += 0.2;
    let ([a, b], withheld) = doubts(honest_but("b", 3.., late));
    assert!(matches!(b[..], [Doubt::Clock { seconds }] if (seconds - 0.2).abs() < 1e-9), "{b:?}");
    assert_eq!((a.len(), withheld), (0, Some(Withheld::Doubts)));
    let ([a, b], withheld) = doubts(honest_but("a", 3.., late));
    assert_eq!((a.len(), b.len(), withheld), (1, 0, Some(Withheld::BaselineDoubts)));
    let comparison = standard(honest_but("a", 3.., late));
    assert!(warns(&comparison, WarningKind::Doubts).message.contains("no verdict"));
}

#[test]
fn less_work_than_there_is_in_most_blocks_costs_the_verdict() {
    let less = |example: &mut Example| set_cpu(&mut example.result, 0.85 * WORK);
    let ([_, b], withheld) = doubts(honest_but("b", 3.., less));
    assert!(matches!(b[..], [Doubt::CpuTime { part }] if (part - 0.85).abs() < 1e-9), "{b:?}");
    assert_eq!(withheld, Some(Withheld::Doubts));
    // Within the tolerance, or in few blocks.
    assert_eq!(doubts(honest_but("b", .., |example| set_cpu(&mut example.result, 0.95 * WORK))).1, None);
    assert_eq!(doubts(honest_but("b", ..5, less)).1, None);
    // The ticks of the system may hide 20 ms.
    assert_eq!(doubts(honest_but("b", .., |example| set_cpu(&mut example.result, 0.89 * WORK))).1, None);
    // One operator at a time takes all of the work's time.
    let alone = |example: &mut Example| example.trial.cell.spec.parallelism = 1;
    let comparison = standard(honest_but("", .., alone));
    let found = &row(&comparison, "b").doubts;
    assert!(matches!(found[..], [Doubt::Duration { part }] if part < 0.6), "{found:?}");
}

#[test]
fn an_engine_that_partitions_before_it_reduces_has_no_doubts() {
    // The fold of the serial reference takes 0.75 of it, and counts for a fifth in what the work takes at least.
    let with_least = |least: f64| {
        honest_but("b", .., |example| {
            set_cpu(&mut example.result, 0.53 * WORK);
            if let Some(reference) = &mut example.result.reference {
                (reference.least_cpu_seconds, reference.operator_share) = (Some(least), 0.0);
            }
        })
    };
    assert_eq!(doubts(with_least(0.4 * WORK)), ([vec![], vec![]], None));
    // Of the same work without a reduction it did a half.
    let ([_, b], withheld) = doubts(with_least(WORK));
    assert!(matches!(b[..], [Doubt::CpuTime { part }] if (part - 0.53).abs() < 1e-9), "{b:?}");
    assert_eq!(withheld, Some(Withheld::Doubts));
}

#[test]
fn references_that_other_work_made_too_long_cast_no_doubt_where_later_ones_are_shorter() {
    // Other programs took the caches while the references of the first blocks were taken, and not in the runs.
    let too_long = |example: &mut Example| {
        if let Some(reference) = &mut example.result.reference {
            reference.least_cpu_seconds = Some(2.0 * WORK);
        }
    };
    assert_eq!(doubts(honest_but("", ..9, too_long)), ([vec![], vec![]], None));
    // Those of the other backend are of the same work.
    assert_eq!(doubts(honest_but("b", .., too_long)), ([vec![], vec![]], None));
    // With none that is shorter, they count.
    assert!(!doubts(honest_but("", .., too_long)).0[1].is_empty());
}

/// The same with five warm-ups before each measured run, which take `factor` times as long.
fn with_warm_ups(examples: Vec<Example>, factor: f64) -> Vec<Example> {
    let warm_up = |example: &Example, number| {
        example.clone().with(|example| {
            example.trial.purpose = Purpose::WarmUp(number);
            example.finished().duration_seconds *= factor + 0.001 * f64::from(number);
        })
    };
    let before = |example: &Example| (0..5).map(|number| warm_up(example, number)).collect::<Vec<_>>();
    examples.iter().flat_map(|example| [before(example), vec![example.clone()]].concat()).collect()
}

#[test]
fn a_row_whose_measured_latency_is_lower_than_that_of_its_warm_ups_has_no_verdict() {
    // The schedule decides how long each run takes. The latency of the warm-ups of b is so many times that of its measured run.
    let open_loops = |factor: f64| {
        let of_block = |backend: &str, p95: f64, factor: f64, block: u32| {
            let p95 = p95 + f64::from(block) / 100.0;
            let warm_up = |number: u32| {
                with_latency(backend, block, 500, [1.0, factor * p95, 20.0]).with(|example| {
                    example.trial.purpose = Purpose::WarmUp(number);
                    example.finished().duration_seconds += 0.001 * f64::from(number);
                })
            };
            let measured = with_latency(backend, block, 500, [1.0, p95, 20.0]);
            (0..5).map(warm_up).chain([measured]).collect::<Vec<_>>()
        };
        let blocks = 0..12;
        let both = |block| [of_block("a", 4.0, 1.0, block), of_block("b", 3.0, factor, block)].concat();
        blocks.flat_map(both).collect::<Vec<_>>()
    };
    for factor in [1.0, 1.04] {
        assert_eq!(doubts(open_loops(factor)), ([vec![], vec![]], None));
    }
    let ([a, b], withheld) = doubts(open_loops(1.3));
    assert!(matches!(b[..], [Doubt::WarmUps { blocks: 12, .. }]) && a.is_empty(), "{a:?} {b:?}");
    assert_eq!(withheld, Some(Withheld::Doubts));
}

#[test]
fn a_row_whose_measured_runs_are_faster_than_its_warm_ups_has_no_verdict() {
    assert_eq!(doubts(with_warm_ups(honest_but("b", .., |_| ()), 1.0)).1, None);
    assert_eq!(doubts(with_warm_ups(honest_but("b", .., |_| ()), 1.04)).1, None);
    let ([a, b], _) = doubts(with_warm_ups(honest_but("b", .., |_| ()), 1.3));
    assert!(matches!(b[..], [Doubt::WarmUps { blocks: 12, .. }]) && a.len() == 1, "{a:?} {b:?}");
    // One that had not settled has its own mark.
    let unsettled = honest_but("b", .., |example| {
        example.result.warnings.push("did not settle in 20 warm-ups".into());
    });
    let ([a, b], _) = doubts(with_warm_ups(unsettled, 1.3));
    assert_eq!((a.len(), b.len()), (1, 0));
}
