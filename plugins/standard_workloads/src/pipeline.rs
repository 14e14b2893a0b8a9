//! `pipeline`: maps of a kernel of a given length, then a filter. The kernel's length is the size of a task.

use plugin_api::serde_json::{Map, Value};
use plugin_api::{BatchBuilder, Parameter, Parameters, Plan, Workload, WorkloadError, WorkloadSpec};

use crate::chain::{Chain, iters_parameter, stages_parameter};
use crate::kernel::BusyProduct;

/// Every map runs the same number of iterations for every item.
pub(crate) struct Pipeline {
    chain: Chain,
    iters: u64,
}

impl Workload for Pipeline {
    const NAME: &'static str = "pipeline";
    const DESCRIPTION: &'static str =
        "Computes in a chain of maps and keeps every second item: how small tasks may be";

    fn parameters() -> Vec<Parameter> {
        vec![stages_parameter(3), iters_parameter("iterations of the kernel for an item in each map")]
    }

    fn open(spec: &WorkloadSpec, parameters: &Parameters) -> Result<Self, WorkloadError> {
        Ok(Self { chain: Chain::open(spec, parameters), iters: parameters.integer("iters") })
    }

    fn plan(&self) -> Plan {
        self.chain.plan()
    }

    #[inline]
    fn source(&self, index: u64, out: &mut BatchBuilder) -> Result<(), WorkloadError> {
        self.chain.source(index, out);
        Ok(())
    }

    #[inline]
    fn apply(&self, stage: usize, item: &[u8], out: &mut BatchBuilder) -> Result<(), WorkloadError> {
        self.chain.apply(stage, item, |_| self.iters, out)
    }

    fn describe(&self, _stage: usize, item: &[u8]) -> Result<Option<Map<String, Value>>, WorkloadError> {
        Chain::describe(item)
    }

    fn oracle(&self, sink: &mut dyn FnMut(&[u8])) {
        let product = BusyProduct::of(self.iters);
        self.chain.oracle(|_| product, sink);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use crate::conformance::{items_of, open, run_stages, source};

    #[test]
    fn a_map_left_out_done_twice_or_out_of_turn_shows() {
        let workload = open("pipeline", r#"{"iters":5}"#, 2);
        let made = source(&workload, 0, 2, 1);
        let through = |stages: &[usize]| {
            let batch = stages
                .iter()
                .fold(made.clone(), |batch, stage| run_stages(&workload, *stage, *stage + 1, &batch));
            items_of(&batch).concat()
        };
        let right = through(&[1, 2, 3]);
        assert_eq!(right, items_of(&source(&workload, 0, 2, 4)).concat());
        for wrong in [&[1, 2][..], &[1, 3], &[2, 3], &[1, 1, 3], &[1, 2, 2], &[2, 1, 3], &[1, 2, 3, 3]] {
            assert_ne!(through(wrong), right, "{wrong:?}");
        }
    }

    #[test]
    fn the_number_of_iterations_shows() {
        let outcomes = [0, 1, 2, 1000].map(|iters| {
            open("pipeline", &format!(r#"{{"iters":{iters}}}"#), 10).expected().unwrap().checksum
        });
        for (at, one) in outcomes.iter().enumerate() {
            assert!(!outcomes[at + 1..].contains(one));
        }
    }

    #[test]
    fn the_oracle_does_not_iterate() {
        // Run as a loop this would take hours.
        let workload = open("pipeline", r#"{"iters":1000000000,"stages":64}"#, 1000);
        let started = Instant::now();
        assert_eq!(workload.expected().unwrap().count, 500);
        assert!(started.elapsed() < Duration::from_secs(300));
    }

    #[test]
    fn an_item_of_another_length_is_an_error_of_the_operator() {
        let workload = open("pipeline", "{}", 1);
        let mut out = workload.buffer();
        let batch = crate::conformance::batch_of(&[vec![0; 15]]);
        let error = workload.run_stages(1, 2, &batch, &mut out).unwrap_err().to_string();
        assert!(error.contains("15 bytes"), "{error}");
    }
}
