//! What outgrows a batch is an error of its own, wherever it happens, and leaves the workload usable. In these tests a
//! batch holds much less than elsewhere.

// The setting that allows these in tests covers functions with `#[test]` only, not the helpers beside them.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;
use std::time::Duration;

use super::instance::Instance;
use super::*;
use crate::spec::WorkloadSpec;

/// What one item of [`Growing`] grows to: two of them fit into a batch, and three do not.
const GROWN: usize = 25_000;

/// A map that keeps what comes, another that makes each item larger, and a reduction by number.
struct Growing {
    total_items: u64,
    open_loop: bool,
}

impl Workload for Growing {
    const NAME: &'static str = "growing";
    const DESCRIPTION: &'static str = "items that grow";

    fn parameters() -> Vec<Parameter> {
        vec![Parameter::choice("loop", "of which kind", &["closed", "open"])]
    }

    fn open(spec: &WorkloadSpec, parameters: &Parameters) -> Result<Self, WorkloadError> {
        Ok(Self { total_items: spec.total_items, open_loop: parameters.choice("loop") == "open" })
    }

    fn plan(&self) -> Plan {
        let plan = Plan::new().then(StageKind::Map, "grow").then(StageKind::Map, "shrink");
        if self.open_loop { plan } else { plan.then(StageKind::KeyedReduce, "keep") }
    }

    fn due(&self, _index: u64) -> Option<Duration> {
        self.open_loop.then_some(Duration::ZERO)
    }

    fn source(&self, index: u64, out: &mut BatchBuilder) -> Result<(), WorkloadError> {
        out.push(&index.to_le_bytes());
        Ok(())
    }

    fn apply(&self, stage: usize, item: &[u8], out: &mut BatchBuilder) -> Result<(), WorkloadError> {
        match stage {
            1 => out.push_with(|bytes| {
                bytes.extend_from_slice(item);
                bytes.resize(bytes.len() + GROWN - item.len(), 0);
            }),
            _ => out.push(&item[..8]),
        }
        Ok(())
    }

    fn fold(&self, _: usize, accumulator: &mut Vec<u8>, _item: &[u8]) -> Result<(), WorkloadError> {
        accumulator.resize(GROWN, 0);
        Ok(())
    }

    fn merge(&self, _: usize, accumulator: &mut Vec<u8>, other: &[u8]) -> Result<(), WorkloadError> {
        *accumulator = other.to_vec();
        Ok(())
    }

    fn emit(
        &self,
        _: usize,
        _: &[u8],
        accumulator: &[u8],
        out: &mut BatchBuilder,
    ) -> Result<(), WorkloadError> {
        out.push(accumulator);
        Ok(())
    }

    fn oracle(&self, sink: &mut dyn FnMut(&[u8])) {
        (0..self.total_items).for_each(|_| sink(&[0; GROWN]));
    }
}

fn opened(kind: &str) -> Arc<dyn Instance> {
    let mut spec = WorkloadSpec::new(Growing::NAME);
    spec.extra.insert("loop".into(), kind.into());
    Definition::open(&[Definition::of::<Growing>()], &spec).unwrap()
}

fn is_too_large<T>(result: Result<T, WorkloadError>) -> bool {
    match result {
        Err(WorkloadError::TooLarge { bytes }) => bytes > 2 * GROWN,
        Err(other) => panic!("{other}"),
        Ok(_) => false,
    }
}

#[test]
fn a_batch_that_outgrows_its_offsets_between_two_stages_is_an_error() {
    for workload in ["closed", "open"].map(opened) {
        assert_eq!(workload.source(0, 2, 3).unwrap().len(), 2);
        assert!(is_too_large(workload.source(0, 3, 3)));
        assert!(is_too_large(workload.source(0, 3, 2)));
        let items = workload.source(0, 3, 1).unwrap();
        assert!(is_too_large(workload.run_stages(1, 3, items.as_batch())));
        assert_eq!(workload.source(0, 2, 3).unwrap().len(), 2);
    }
}

#[test]
fn emitting_more_keys_than_fit_is_an_error_and_no_early_end() {
    let workload = opened("closed");
    let items = workload.source(0, 3, 1).unwrap();
    let folded = || {
        let mut state = Arc::clone(&workload).new_state(3).unwrap();
        state.fold(items.as_batch()).unwrap();
        state
    };
    let mut state = folded();
    assert_eq!([2, 2, 2].map(|limit| state.emit(limit).unwrap().len()), [2, 1, 0]);
    assert!(is_too_large(folded().emit(3)));
}

#[test]
fn a_keyed_state_that_does_not_fit_says_what_helps() {
    let workload = opened("closed");
    let items = workload.source(0, 3, 1).unwrap();
    let mut state = Arc::clone(&workload).new_state(3).unwrap();
    state.fold(items.as_batch()).unwrap();
    let error = state.encode(&mut Vec::new()).unwrap_err();
    assert!(matches!(error, WorkloadError::StateTooLarge { bytes } if bytes > 2 * GROWN), "{error:?}");
    assert!(
        error.to_string().contains("more partitions") && !error.to_string().contains("batch_size"),
        "{error}"
    );
    state.emit(1).unwrap();
    state.encode(&mut Vec::new()).unwrap();
}

#[test]
#[allow(unsafe_code)]
fn a_table_that_is_smaller_than_that_of_api_1_0_is_refused_by_its_size() {
    // A table that ends before its last function: only its size may be read.
    let table = size_of::<WorkloadFunctions>() - size_of::<usize>();
    let (functions, path) = ((&raw const table).cast(), "linked".as_ref());
    // SAFETY: the size can be read, and nothing else is.
    let handle =
        unsafe { WorkloadHandle::from_raw(functions, std::ptr::null(), path, "", &WorkloadSpec::new("a")) };
    let error = handle.err().unwrap().to_string();
    assert!(error.contains(&format!("has {table} bytes")), "{error}");
}
