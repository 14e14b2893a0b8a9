//! Every way to run a workload gives what its oracle expects.

use plugin_api::WorkloadSpec;
use proptest::prelude::*;

use super::runs::{FUSIONS, SCHEDULERS, run};
use super::support::{open, spec, with};

const WORKLOADS: [&str; 3] = ["chain", "tally", "totals"];

fn check(spec: &WorkloadSpec) {
    let workload = open(spec);
    let result = run(spec).unwrap();
    let outcome = workload.outcome(&result.sink_state).unwrap();
    assert_eq!(outcome, workload.expected().unwrap(), "{spec:?}");
    assert_eq!(result.results_count, outcome.count, "{spec:?}");
    assert_eq!(result.scheduler_name, spec.scheduler_name);
    assert!(result.elapsed_time > 0.0);
}

fn point(
    workload: &str,
    scheduler: &str,
    fusion: &str,
    parallelism: u32,
    batch: u64,
    items: u64,
) -> WorkloadSpec {
    let mut spec = with(with(spec(workload), "batch_size", batch), "fusion", fusion);
    spec.scheduler_name = scheduler.into();
    (spec.parallelism, spec.total_items) = (parallelism, items);
    spec
}

#[test]
fn every_scheduler_fusion_parallelism_and_batch_size_gives_what_the_oracle_expects() {
    for workload in WORKLOADS {
        for scheduler in SCHEDULERS {
            for fusion in FUSIONS {
                for parallelism in 1..=4 {
                    for (batch, items) in
                        [(1, 0), (1, 1), (1, 50), (7, 3), (7, 100), (64, 1000), (1 << 20, 1000)]
                    {
                        check(&point(workload, scheduler, fusion, parallelism, batch, items));
                    }
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn any_run_gives_what_the_oracle_expects(
        workload in prop::sample::select(WORKLOADS.to_vec()),
        scheduler in prop::sample::select(SCHEDULERS.to_vec()),
        fusion in prop::sample::select(FUSIONS.to_vec()),
        parallelism in 1_u32..9,
        batch in 1_u64..80,
        items in 0_u64..400,
        seed: u64,
    ) {
        let mut spec = point(workload, scheduler, fusion, parallelism, batch, items);
        spec.seed = seed;
        check(&spec);
    }
}

#[test]
fn one_runner_runs_again_and_again() {
    for parallelism in [3, 1, 4] {
        check(&point("totals", "default", "auto", parallelism, 16, 500));
    }
}
