//! Workloads that misbehave where an engine's worker calls them, and one whose oracle does: the items are numbers, and
//! the last of them is where it happens.

use std::time::Duration;

use plugin_api::serde_json::{Map, Value};
use plugin_api::{BatchBuilder, Parameters, Plan, StageKind, Workload, WorkloadError, WorkloadSpec};

plugin_api::export_workloads!(
    name = "misbehaving_workloads",
    workloads =
        [Crashing, Hanging, Corrupting, Panicking, LostOracle, EndlessOracle, SlowOracle, Patient, Verbose]
);

/// A workload on numbers whose operator does `$operator` to the last item, whose oracle begins with `$oracle`, and which does
/// `$open` when it is opened.
macro_rules! workload {
    ($type:ident, $name:literal, $operator:expr, $oracle:expr) => {
        workload!($type, $name, $operator, $oracle, || ());
    };
    ($type:ident, $name:literal, $operator:expr, $oracle:expr, $open:expr) => {
        struct $type {
            total_items: u64,
        }

        impl Workload for $type {
            const NAME: &'static str = $name;
            const DESCRIPTION: &'static str = concat!("Misbehaves: ", $name);

            fn open(spec: &WorkloadSpec, _parameters: &Parameters) -> Result<Self, WorkloadError> {
                let open: fn() = $open;
                open();
                Ok(Self { total_items: spec.total_items })
            }

            fn plan(&self) -> Plan {
                Plan::new().then(StageKind::Map, "misbehave")
            }

            fn source(&self, index: u64, out: &mut BatchBuilder) -> Result<(), WorkloadError> {
                out.push(&index.to_le_bytes());
                Ok(())
            }

            fn apply(&self, _stage: usize, item: &[u8], out: &mut BatchBuilder) -> Result<(), WorkloadError> {
                let mut item = item.to_vec();
                if item == (self.total_items - 1).to_le_bytes() {
                    let operator: fn(&mut [u8]) = $operator;
                    operator(&mut item);
                }
                out.push(&item);
                Ok(())
            }

            /// Of the workload "verbose": more of a single item, and less of each of several, than a host takes.
            fn describe(
                &self,
                _stage: usize,
                _item: &[u8],
            ) -> Result<Option<Map<String, Value>>, WorkloadError> {
                let length = if self.total_items == 1 { 65 << 20 } else { 33 << 20 };
                let text = || Map::from_iter([("text".to_owned(), "x".repeat(length).into())]);
                Ok((Self::NAME == "verbose").then(text))
            }

            fn oracle(&self, sink: &mut dyn FnMut(&[u8])) {
                let oracle: fn(u64) = $oracle;
                oracle(self.total_items);
                (0..self.total_items).for_each(|index| sink(&index.to_le_bytes()));
            }
        }
    };
}

workload!(Crashing, "crashing", |_| crash(), |_| ());
workload!(Hanging, "hanging", |_| hang(), |_| ());
workload!(Corrupting, "corrupting", |item| item[0] ^= 1, |_| ());
workload!(Panicking, "panicking", |_| panic!("this workload panics on request"), |_| ());
workload!(LostOracle, "lost_oracle", |_| (), |_| crash());
workload!(EndlessOracle, "endless_oracle", |_| (), |_| hang());
workload!(SlowOracle, "slow_oracle", |_| (), |items| if items > 100 {
    hang()
});

workload!(Verbose, "verbose", |_| (), |_| ());

workload!(Patient, "patient", |_| (), |_| (), await_work);

/// In the judge: waits until the backend has done what it does after its run (`work_afterwards`), for a minute at most. Before that
/// run there is nothing to wait for.
fn await_work() {
    let folder = std::path::PathBuf::from(std::env::var_os("CROSSRUN_TEST_AFTERWARDS").unwrap_or_default());
    let working = folder.join("working");
    if working.exists() {
        let _ = std::fs::write(folder.join("judging"), "");
    }
    for _ in 0..6000 {
        if !working.exists() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn crash() {
    // SAFETY: none: this is the crash that an engine and its host must survive.
    unsafe { std::ptr::without_provenance_mut::<u8>(8).write_volatile(1) }
}

fn hang() {
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}
