//! A workload for tests, with every kind of stage.

#[cfg(test)]
use std::{path::Path, sync::OnceLock};

#[cfg(test)]
use plugin_api::workload::{WorkloadFunctions, WorkloadHandle, WorkloadLibrary};
use plugin_api::{
    BatchBuilder, Parameters, Plan, StageKind, Workload, WorkloadError, WorkloadSpec,
};

plugin_api::export_workloads!(name = "sums", workloads = [Sums]);

/// The numbers below `total_items`, each twice, without those that 3 divides, summed by their last decimal digit.
struct Sums {
    total: u64,
}

impl Workload for Sums {
    const NAME: &'static str = "sums";
    const DESCRIPTION: &'static str = "sums of numbers by their last digit";

    fn open(spec: &WorkloadSpec, _parameters: &Parameters) -> Result<Self, WorkloadError> {
        Ok(Self {
            total: spec.total_items,
        })
    }

    fn plan(&self) -> Plan {
        let plan = Plan::new()
            .then(StageKind::FlatMap, "twice")
            .then(StageKind::Filter, "no threes");
        plan.then(StageKind::KeyedReduce, "sum")
            .then(StageKind::Map, "negate")
    }

    fn source(&self, index: u64, out: &mut BatchBuilder) -> Result<(), WorkloadError> {
        out.push(&item((index % 10) as u8, index));
        Ok(())
    }

    fn apply(
        &self,
        stage: usize,
        item: &[u8],
        out: &mut BatchBuilder,
    ) -> Result<(), WorkloadError> {
        let (digit, number) = read(item)?;
        match stage {
            1 => (0..2).for_each(|_| out.push(item)),
            2 if number % 3 == 0 => {}
            2 => out.push(item),
            _ => out.push(&self::item(digit, number.wrapping_neg())),
        }
        Ok(())
    }

    fn key<'a>(&self, _stage: usize, item: &'a [u8]) -> &'a [u8] {
        item.get(..1).unwrap_or_default()
    }

    fn fold(&self, _stage: usize, sum: &mut Vec<u8>, item: &[u8]) -> Result<(), WorkloadError> {
        let before = if sum.is_empty() { 0 } else { read(sum)?.1 };
        let (digit, number) = read(item)?;
        *sum = self::item(digit, before.wrapping_add(number));
        Ok(())
    }

    fn merge(&self, stage: usize, sum: &mut Vec<u8>, other: &[u8]) -> Result<(), WorkloadError> {
        self.fold(stage, sum, other)
    }

    fn emit(
        &self,
        _stage: usize,
        _key: &[u8],
        sum: &[u8],
        out: &mut BatchBuilder,
    ) -> Result<(), WorkloadError> {
        out.push(sum);
        Ok(())
    }

    fn oracle(&self, sink: &mut dyn FnMut(&[u8])) {
        for digit in 0..10 {
            let kept = (digit..self.total)
                .step_by(10)
                .filter(|number| number % 3 != 0);
            let sum = kept.clone().sum::<u64>() * 2;
            if kept.count() > 0 {
                sink(&item(digit as u8, sum.wrapping_neg()));
            }
        }
    }
}

/// A digit, and then a number.
fn item(digit: u8, number: u64) -> Vec<u8> {
    [&[digit], number.to_le_bytes().as_slice()].concat()
}

/// The digit and the number of an item. A workload is given any bytes, and no bytes may make it panic.
fn read(item: &[u8]) -> Result<(u8, u64), WorkloadError> {
    let malformed = |_| WorkloadError::Malformed("an item has 9 bytes");
    let [digit, number @ ..]: [u8; 9] = item.try_into().map_err(malformed)?;
    Ok((digit, u64::from_le_bytes(number)))
}

/// Opens it for a run; whoever opens it anew, in another process, does so by `file` and its hash.
#[cfg(test)]
pub(crate) fn open(spec: &WorkloadSpec, file: &Path, sha256: &str) -> WorkloadHandle {
    static TABLE: OnceLock<WorkloadFunctions> = OnceLock::new();
    let table = TABLE.get_or_init(__crossrun_workloads::table);
    // SAFETY: the table has the functions that this crate exports, and this crate is never unloaded.
    #[allow(unsafe_code)]
    let library = unsafe { WorkloadLibrary::new(table, file, sha256) };
    library.open(spec).unwrap()
}
