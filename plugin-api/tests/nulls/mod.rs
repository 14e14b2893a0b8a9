//! A null pointer where something is needed is a status of a library of workloads, and no crash.

use std::ptr::{null, null_mut};

use plugin_api::workload::WorkloadFunctions;
use plugin_api::workload::capi::{RawBuffer, RawState, RawWorkload, status};

/// Calls each function of the library `f` with null where something is needed. The second stage of the workload of `spec` is a
/// reduction.
#[allow(unsafe_code)]
pub(crate) fn are_refused(f: &WorkloadFunctions, spec: &[u8]) {
    let (describe, start, keys) = (f.describe.unwrap(), f.start.unwrap(), f.keys.unwrap());
    let (edges, task) = (f.graph_edges.unwrap(), f.graph_task.unwrap());
    let (watermark, state_close) = (f.watermark.unwrap(), f.state_close.unwrap());
    let mut time = 0;
    let (mut opened, mut out, mut state) = (null::<RawWorkload>(), RawBuffer::EMPTY, null_mut::<RawState>());
    // A batch without items.
    let batch = [0_u8; 12];
    let (bytes, length, mut room, mut output) = (batch.as_ptr(), batch.len(), 1_usize, [0_u8]);
    let mut part = RawBuffer::EMPTY;
    // SAFETY: each pointer is good or null, which is what every function must bear; what was opened is closed at the end.
    let codes = unsafe {
        assert_eq!((f.open)(spec.as_ptr(), spec.len(), &mut opened, &mut out), status::OK);
        let workload = opened;
        [
            (f.catalogue)(null_mut()),
            (f.open)(null(), 0, &mut null(), &mut out),
            (f.open)(spec.as_ptr(), spec.len(), null_mut(), &mut out),
            (f.open)(spec.as_ptr(), spec.len(), &mut null(), null_mut()),
            (f.plan)(null(), &mut out),
            (f.plan)(workload, null_mut()),
            (f.source)(null(), 0, 1, 1, &mut out),
            (f.source)(workload, 0, 1, 1, null_mut()),
            (f.run_stages)(workload, 1, 2, null(), 12, &mut out),
            (f.run_stages)(workload, 1, 2, bytes, usize::MAX, &mut out),
            (f.split)(workload, 2, bytes, length, 1, null_mut(), &mut out),
            (f.split)(workload, 2, bytes, length, 1, &mut part, null_mut()),
            (f.state_new)(workload, 2, null_mut(), &mut out),
            (f.state_new)(null(), 2, &mut state, &mut out),
            (f.state_fold)(null_mut(), bytes, length, &mut out),
            (f.state_merge)(null_mut(), bytes, length, &mut out),
            (f.state_encode)(null_mut(), &mut out),
            (f.state_emit)(null_mut(), 1, &mut out),
            (f.outcome)(workload, null(), 32, &mut out),
            describe(null(), 0, bytes, length, &mut out),
            describe(workload, 0, null(), 0, &mut out),
            describe(workload, 0, bytes, length, null_mut()),
            start(null(), 0, &mut out),
            start(workload, 0, null_mut()),
            keys(null(), 2, bytes, length, &mut out),
            keys(workload, 2, null(), 0, &mut out),
            keys(workload, 2, bytes, usize::MAX, &mut out),
            keys(workload, 2, bytes, length, null_mut()),
            edges(null(), 0, 0, 1, &mut out),
            edges(workload, 0, 0, 1, null_mut()),
            task(null(), 0, 0, 0, null(), null(), output.as_mut_ptr(), &mut room, &mut out),
            task(workload, 0, 0, 0, null(), null(), null_mut(), &mut room, &mut out),
            task(workload, 0, 0, 1, null(), &length, output.as_mut_ptr(), &mut room, &mut out),
            task(workload, 0, 0, 0, null(), null(), output.as_mut_ptr(), &mut room, null_mut()),
            watermark(null(), 0, &mut time, &mut out),
            watermark(workload, 0, null_mut(), &mut out),
            watermark(workload, 0, &mut time, null_mut()),
            state_close(null_mut(), 0, 1, &mut time, &mut out),
            state_close(null_mut(), 0, 1, &mut time, null_mut()),
            (f.expected)(null(), &mut out),
        ]
    };
    assert_eq!(codes, [status::ARGUMENT; 40]);
    assert!(state.is_null() && time == 0);
    // SAFETY: the library left that many bytes there.
    let message = unsafe { std::slice::from_raw_parts(out.data, out.length) };
    assert!(String::from_utf8_lossy(message).contains("workload is null"));
    // SAFETY: null is allowed in the first four; the others were made above.
    unsafe {
        (f.share)(null());
        (f.close)(null());
        (f.state_free)(null_mut());
        (f.buffer_free)(null_mut());
        (f.close)(opened);
        (f.buffer_free)(&mut out);
    }
}
