//! `scheduler_comparison`: every operator call waits. It is the workload of the original project, whose record
//! format crossrun writes.

use std::time::Duration;

use plugin_api::serde_json::{Map, Value};
use plugin_api::{
    BatchBuilder, Parameter, Parameters, Plan, StageKind, Workload, WorkloadError, WorkloadSpec,
};

use crate::decimal;
use crate::kernel::{MAX_SLEEP_US, sleep_us};
use crate::object::object;

const PROCESS: usize = 1;
const PREFIX: &[u8] = b"processed_";

/// Item `i` is the text `item_i`. The processor sleeps and puts `processed_` before it; the filter keeps even
/// numbers.
pub(crate) struct SchedulerComparison {
    total_items: u64,
    sleep_us: u64,
    fault: Option<Fault>,
}

/// The fault that the processor has at one item, to test how a backend handles it.
#[derive(Clone, Copy)]
enum Fault {
    Error,
    Panic,
}

impl Fault {
    const NAMES: [&'static str; 3] = ["none", "error", "panic"];

    fn named(name: &str) -> Option<Self> {
        match name {
            "error" => Some(Self::Error),
            "panic" => Some(Self::Panic),
            _ => None,
        }
    }

    #[expect(clippy::panic, reason = "the parameter asks for it, to test that it becomes an error")]
    fn strike(self) -> Result<(), WorkloadError> {
        match self {
            Self::Error => Err(WorkloadError::Operator("the processor failed, as it was told to".into())),
            Self::Panic => panic!("the processor panicked, as it was told to"),
        }
    }
}

impl Workload for SchedulerComparison {
    const NAME: &'static str = "scheduler_comparison";
    const DESCRIPTION: &'static str =
        "Sleeps in every item's processor and keeps every second item: how schedulers fill their workers";

    fn parameters() -> Vec<Parameter> {
        let description = "how long the processor sleeps for each item, in microseconds";
        let fault = "what the processor does to the item in the middle, to see what a backend makes of it";
        vec![
            Parameter::integer("sleep_us", description, 10_000, 0, MAX_SLEEP_US),
            Parameter::choice("fault", fault, &Fault::NAMES),
        ]
    }

    fn open(spec: &WorkloadSpec, parameters: &Parameters) -> Result<Self, WorkloadError> {
        let fault = Fault::named(parameters.choice("fault"));
        Ok(Self { total_items: spec.total_items, sleep_us: parameters.integer("sleep_us"), fault })
    }

    fn plan(&self) -> Plan {
        Plan::new().then(StageKind::Map, "process").then(StageKind::Filter, "even")
    }

    fn source(&self, index: u64, out: &mut BatchBuilder) -> Result<(), WorkloadError> {
        out.push_with(|bytes| numbered(b"item_", index, bytes));
        Ok(())
    }

    fn apply(&self, stage: usize, item: &[u8], out: &mut BatchBuilder) -> Result<(), WorkloadError> {
        if stage == PROCESS {
            if let Some(fault) = self.fault
                && number_of(item)? == self.total_items / 2
            {
                fault.strike()?;
            }
            sleep_us(self.sleep_us);
            out.push_with(|bytes| {
                bytes.extend_from_slice(PREFIX);
                bytes.extend_from_slice(item);
            });
        } else if number_of(item)?.is_multiple_of(2) {
            out.push(item);
        }
        Ok(())
    }

    fn waiting(&self) -> Duration {
        Duration::from_micros(self.sleep_us)
            .saturating_mul(u32::try_from(self.total_items).unwrap_or(u32::MAX))
    }

    fn describe(&self, _stage: usize, item: &[u8]) -> Result<Option<Map<String, Value>>, WorkloadError> {
        Ok(Some(object([("text", String::from_utf8_lossy(item).into())])))
    }

    fn oracle(&self, sink: &mut dyn FnMut(&[u8])) {
        let mut item = Vec::new();
        for index in (0..self.total_items).step_by(2) {
            item.clear();
            numbered(b"processed_item_", index, &mut item);
            sink(&item);
        }
    }
}

fn numbered(text: &[u8], number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(text);
    decimal::append(number, out);
}

fn number_of(item: &[u8]) -> Result<u64, WorkloadError> {
    decimal::trailing(item).ok_or_else(|| {
        WorkloadError::Operator(format!(
            "the item {:?} does not end in a number",
            item.escape_ascii().to_string()
        ))
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use plugin_api::{WorkloadError, workload::capi::status};

    use crate::conformance::{items_of, open, source};

    #[test]
    fn items_read_as_in_the_original() {
        let workload = open("scheduler_comparison", r#"{"sleep_us":0}"#, 5);
        let made: Vec<_> = ["item_0", "item_1", "item_2", "item_3", "item_4"].map(str::as_bytes).into();
        assert_eq!(items_of(&source(&workload, 0, 5, 1)), made);
        let kept: Vec<_> =
            ["processed_item_0", "processed_item_2", "processed_item_4"].map(str::as_bytes).into();
        assert_eq!(items_of(&source(&workload, 0, 5, 3)), kept);
    }

    #[test]
    fn half_of_the_items_rounded_up_reach_the_sink() {
        for n in [0, 1, 2, 7, 10] {
            let expected = open("scheduler_comparison", "{}", n).expected().unwrap();
            assert_eq!(expected.count, n.div_ceil(2));
        }
    }

    #[test]
    fn the_processor_sleeps_for_each_item() {
        let workload = open("scheduler_comparison", r#"{"sleep_us":5000}"#, 4);
        let started = Instant::now();
        source(&workload, 0, 4, 2);
        assert!(started.elapsed() >= Duration::from_millis(20));
    }

    #[test]
    fn the_processor_fails_at_the_item_in_the_middle_if_it_is_told_to() {
        for (extra, expected) in [
            (r#"{"sleep_us":0,"fault":"error"}"#, status::OPERATOR),
            (r#"{"sleep_us":0,"fault":"panic"}"#, status::PANIC),
        ] {
            let workload = open("scheduler_comparison", extra, 7);
            let mut out = workload.buffer();
            workload.source(0, 3, 3, &mut out).unwrap();
            let failed = workload.source(3, 1, 3, &mut out);
            let is_expected = matches!(failed, Err(WorkloadError::Call { status, .. }) if status == expected);
            assert!(is_expected, "{extra}: {failed:?}");
        }
    }

    #[test]
    fn the_oracle_does_not_sleep() {
        let workload = open("scheduler_comparison", r#"{"sleep_us":10000000}"#, 1000);
        let started = Instant::now();
        workload.expected().unwrap();
        assert!(started.elapsed() < Duration::from_secs(300));
    }
}
