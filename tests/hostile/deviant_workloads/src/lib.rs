//! Workloads that keep the contract, but for the one rule that `CROSSRUN_TEST_DEVIATION` names. Each of its deviations
//! fails a check of `crossrun backends check`.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use plugin_api::{
    BatchBuilder, Parameter, Parameters, Plan, StageKind, Workload, WorkloadError, WorkloadSpec,
};

plugin_api::export_workloads!(name = "deviant_workloads", workloads = [Deviant, DeviantWindows]);

type Done = Result<(), WorkloadError>;

/// Whether this is the rule that is broken.
fn deviates(name: &str) -> bool {
    std::env::var("CROSSRUN_TEST_DEVIATION").is_ok_and(|deviation| deviation == name)
}

/// The items are numbers, to which one is added.
struct Deviant {
    total_items: u64,
}

static CALLS: AtomicU64 = AtomicU64::new(0);

impl Workload for Deviant {
    const NAME: &'static str = "deviant";
    const DESCRIPTION: &'static str = "Adds one to numbers";

    fn parameters() -> Vec<Parameter> {
        let calls = CALLS.fetch_add(1, Ordering::Relaxed);
        assert!(calls == 0 || !deviates("forgetful"), "what were they");
        let default = if deviates("default") { 11 } else { 1 };
        let name = if deviates("taken_name") { "batch_size" } else { "step" };
        vec![Parameter::integer(name, "which nobody reads", default, 0, 10)]
    }

    fn open(spec: &WorkloadSpec, _parameters: &Parameters) -> Result<Self, WorkloadError> {
        Ok(Self { total_items: spec.total_items })
    }

    fn plan(&self) -> Plan {
        Plan::new().then(StageKind::Map, "add")
    }

    fn source(&self, index: u64, out: &mut BatchBuilder) -> Done {
        out.push(&index.to_le_bytes());
        Ok(())
    }

    /// As an author has it who reads it from a table with an entry for each item.
    fn due(&self, _index: u64) -> Option<Duration> {
        (deviates("due_of_a_table") && self.total_items > 0).then_some(Duration::ZERO)
    }

    fn apply(&self, _stage: usize, item: &[u8], out: &mut BatchBuilder) -> Done {
        let number = if deviates("trusting") {
            u64::from_le_bytes(item[..8].try_into().unwrap())
        } else {
            let bytes = item.try_into().map_err(|_| WorkloadError::Operator("that is no number".into()))?;
            u64::from_le_bytes(bytes)
        };
        out.push(&number.wrapping_add(step()).to_le_bytes());
        Ok(())
    }

    fn oracle(&self, sink: &mut dyn FnMut(&[u8])) {
        let last = self.total_items - u64::from(deviates("oracle") && self.total_items > 1);
        (0..last).for_each(|index| sink(&(index + own()).to_le_bytes()));
    }
}

/// How many numbers a window has.
const WINDOW: u64 = 10;

/// The sum of the numbers of each window: a number is its own time.
struct DeviantWindows {
    total_items: u64,
}

fn number(bytes: &[u8]) -> Result<u64, WorkloadError> {
    let bytes = bytes.try_into().map_err(|_| WorkloadError::Operator("that is no number".into()))?;
    Ok(u64::from_le_bytes(bytes))
}

impl Workload for DeviantWindows {
    const NAME: &'static str = "deviant_windows";
    const DESCRIPTION: &'static str = "Adds up the numbers of windows";

    fn uses() -> Vec<&'static str> {
        vec![plugin_api::workload::WATERMARKS]
    }

    fn open(spec: &WorkloadSpec, _parameters: &Parameters) -> Result<Self, WorkloadError> {
        Ok(Self { total_items: spec.total_items })
    }

    fn plan(&self) -> Plan {
        Plan::new().then(StageKind::FlatMap, "by window").then(StageKind::KeyedReduce, "sum")
    }

    fn source(&self, index: u64, out: &mut BatchBuilder) -> Done {
        out.push(&index.to_le_bytes());
        Ok(())
    }

    fn apply(&self, _stage: usize, item: &[u8], out: &mut BatchBuilder) -> Done {
        let end = (number(item)? / WINDOW).saturating_add(1).saturating_mul(WINDOW);
        out.push(&[end.to_le_bytes().as_slice(), item].concat());
        Ok(())
    }

    fn key<'a>(&self, _stage: usize, item: &'a [u8]) -> &'a [u8] {
        item.get(..8).unwrap_or_default()
    }

    fn fold(&self, stage: usize, sum: &mut Vec<u8>, item: &[u8]) -> Done {
        self.merge(stage, sum, item.get(8..).unwrap_or_default())
    }

    fn merge(&self, _stage: usize, sum: &mut Vec<u8>, other: &[u8]) -> Done {
        let before = if sum.is_empty() { 0 } else { number(sum)? };
        *sum = before.wrapping_add(number(other)?).to_le_bytes().to_vec();
        Ok(())
    }

    fn emit(&self, _stage: usize, key: &[u8], sum: &[u8], out: &mut BatchBuilder) -> Done {
        out.push(&[key, sum].concat());
        Ok(())
    }

    fn watermark(&self, index: u64) -> u64 {
        index
    }

    fn ends(&self, stage: usize, item: &[u8]) -> Result<u64, WorkloadError> {
        if deviates("unending") { Ok(u64::MAX) } else { number(self.key(stage, item)) }
    }

    fn closes(&self, _stage: usize, key: &[u8], _sum: &[u8]) -> Result<u64, WorkloadError> {
        let end = number(key)?;
        Ok(if deviates("early") { end.saturating_sub(WINDOW / 2) } else { end })
    }

    fn close(&self, stage: usize, _time: u64, key: &[u8], sum: &mut Vec<u8>, out: &mut BatchBuilder) -> Done {
        self.emit(stage, key, sum, out)?;
        sum.clear();
        Ok(())
    }

    fn oracle(&self, sink: &mut dyn FnMut(&[u8])) {
        for first in (0..self.total_items).step_by(WINDOW as usize) {
            let numbers = first..self.total_items.min(first + WINDOW);
            let sum: u64 = numbers.sum();
            sink([first + WINDOW, sum].map(u64::to_le_bytes).as_flattened());
        }
    }
}

/// What the clock shows.
fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// What is added.
fn step() -> u64 {
    if deviates("order") { CALLS.fetch_add(1, Ordering::Relaxed) } else { own() }
}

fn own() -> u64 {
    if deviates("clock") {
        // Whatever is asked in this process, it is the same.
        static LOADED: LazyLock<u64> = LazyLock::new(seconds);
        return *LOADED;
    }
    if !deviates("process") {
        return 1;
    }
    // In a namespace every worker has the same number.
    static ADDRESS: u8 = 0;
    (&raw const ADDRESS).addr() as u64
}
