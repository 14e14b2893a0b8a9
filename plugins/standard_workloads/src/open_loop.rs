//! `open_loop`: a `pipeline` whose items arrive when they are due, whether or not the engine is ready for them.

use std::time::Duration;

use plugin_api::serde_json::{Map, Value};
use plugin_api::{BatchBuilder, Parameter, Parameters, Plan, Workload, WorkloadError, WorkloadSpec};

use crate::chain::{Chain, iters_parameter, stages_parameter};
use crate::kernel::BusyProduct;
use crate::schedule::Schedule;

/// Every map runs the same number of iterations for every item.
pub(crate) struct OpenLoop {
    chain: Chain,
    iters: u64,
    schedule: Schedule,
}

impl Workload for OpenLoop {
    const NAME: &'static str = "open_loop";
    const DESCRIPTION: &'static str =
        "A pipeline whose items come by a schedule, however busy the engine is: latency under load";

    fn parameters() -> Vec<Parameter> {
        let spread = "how they are spread: independent of each other, in equal steps, in bursts of 0.1 s at 1.8 times the mean \
                      with as long a lull after each, or faster and faster from 0.5 to 1.5 times the mean";
        vec![
            Parameter::integer("rate", "how many items come in a second, in the mean", 1000, 1, 10_000_000),
            Parameter::choice("schedule", spread, &Schedule::NAMES),
            stages_parameter(1),
            iters_parameter("iterations of the kernel for an item in each map"),
        ]
    }

    fn open(spec: &WorkloadSpec, parameters: &Parameters) -> Result<Self, WorkloadError> {
        let (name, rate) = (parameters.choice("schedule"), parameters.integer("rate") as f64);
        Ok(Self {
            chain: Chain::open(spec, parameters),
            iters: parameters.integer("iters"),
            schedule: Schedule::named(name, rate, spec.total_items, spec.seed)?,
        })
    }

    fn plan(&self) -> Plan {
        self.chain.plan()
    }

    fn due(&self, index: u64) -> Option<Duration> {
        Some(Duration::from_nanos(self.schedule.due(index)))
    }

    fn source(&self, index: u64, out: &mut BatchBuilder) -> Result<(), WorkloadError> {
        self.chain.source(index, out);
        Ok(())
    }

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
