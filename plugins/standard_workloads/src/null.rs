//! `null`: items are made, passed on and counted, and nothing else.

use plugin_api::serde_json::{Map, Value};
use plugin_api::{BatchBuilder, Parameters, Plan, StageKind, Workload, WorkloadError, WorkloadSpec};

use crate::object::object;

/// Each item is its index, 8 bytes. One map passes it on unchanged.
pub(crate) struct Null {
    total_items: u64,
}

impl Workload for Null {
    const NAME: &'static str = "null";
    const DESCRIPTION: &'static str = "Hands 8-byte items on unchanged: the floor of harness and engine";

    fn open(spec: &WorkloadSpec, _parameters: &Parameters) -> Result<Self, WorkloadError> {
        Ok(Self { total_items: spec.total_items })
    }

    fn plan(&self) -> Plan {
        Plan::new().then(StageKind::Map, "identity")
    }

    #[inline]
    fn source(&self, index: u64, out: &mut BatchBuilder) -> Result<(), WorkloadError> {
        out.push(&index.to_le_bytes());
        Ok(())
    }

    #[inline]
    fn apply(&self, _stage: usize, item: &[u8], out: &mut BatchBuilder) -> Result<(), WorkloadError> {
        out.push(item);
        Ok(())
    }

    fn describe(&self, _stage: usize, item: &[u8]) -> Result<Option<Map<String, Value>>, WorkloadError> {
        let Ok(index) = item.try_into().map(u64::from_le_bytes) else { return Ok(None) };
        Ok(Some(object([("index", index.into())])))
    }

    fn oracle(&self, sink: &mut dyn FnMut(&[u8])) {
        (0..self.total_items).for_each(|index| sink(&index.to_le_bytes()));
    }
}
