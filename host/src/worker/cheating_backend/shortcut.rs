//! The right answer without the work: the items of `pipeline`, whose kernel has a closed form.

use plugin_api::random::mix;
use plugin_api::{Batch, BatchBuilder, RunnerError, StageKind, WorkloadHandle, WorkloadSpec};

const MODULUS: u64 = 2_147_483_647;

/// How many items reach the sink, and its state.
pub(super) fn answer(spec: &WorkloadSpec, workload: &WorkloadHandle) -> Result<(u64, Vec<u8>), RunnerError> {
    let (mut sink, mut made) = (workload.new_sink()?, workload.buffer());
    workload.source(0, spec.total_items, 1, &mut made)?;
    let iterations = spec.extra.get("iters").and_then(|value| value.as_u64()).unwrap_or(1000);
    let factor = power(139, iterations);
    let maps = workload.plan().stages.iter().filter(|stage| stage.kind == StageKind::Map).count() as u64;
    let items: Vec<_> = Batch::parse(&made)?.iter().filter_map(|item| result(item, factor, maps)).collect();
    let mut encoded = Vec::new();
    items.iter().map(|item| item.as_slice()).collect::<BatchBuilder>().encode(&mut encoded)?;
    sink.fold(&encoded)?;
    Ok((items.len() as u64, sink.encode()?.to_vec()))
}

/// What becomes of an item; nothing of one that the filter drops.
fn result(item: &[u8], factor: u64, maps: u64) -> Option<[u8; 16]> {
    let item = u128::from_le_bytes(item.try_into().ok()?);
    let (index, value) = (item as u64, (item >> 64) as u64);
    let mapped = |value: u64, stage: u64| {
        let kernel = (value | 1) % MODULUS * factor % MODULUS;
        mix(value ^ kernel ^ (stage << 32))
    };
    let value = (1..=maps).fold(value, mapped);
    index.is_multiple_of(2).then(|| (u128::from(value) << 64 | u128::from(index)).to_le_bytes())
}

fn power(mut base: u64, mut exponent: u64) -> u64 {
    let mut product = 1;
    while exponent > 0 {
        if exponent & 1 == 1 {
            product = product * base % MODULUS;
        }
        base = base * base % MODULUS;
        exponent >>= 1;
    }
    product
}
