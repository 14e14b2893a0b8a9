//! A null pointer where something is needed is a status of the kit, and no crash.

use std::ptr::{null, null_mut};

use plugin_api::workload::capi::{RawBuffer, RawState, RawWorkload, status};

use super::libraries::sensors;
use crate::fuzz_corpus::resolved;

const SPEC: &[u8] = br#"{"name":"sensor_sums","total_items":9}"#;

#[test]
#[allow(unsafe_code)]
fn null_where_something_is_needed_is_an_argument_error() {
    let f = resolved(sensors());
    let (describe, start, keys) = (f.describe.unwrap(), f.start.unwrap(), f.keys.unwrap());
    let (edges, task) = (f.graph_edges.unwrap(), f.graph_task.unwrap());
    let (mut opened, mut out, mut state) = (null::<RawWorkload>(), RawBuffer::EMPTY, null_mut::<RawState>());
    // A batch without items.
    let batch = [0_u8; 12];
    let (bytes, length, mut room, mut output) = (batch.as_ptr(), batch.len(), 1_usize, [0_u8]);
    let mut part = RawBuffer::EMPTY;
    // SAFETY: each pointer is good or null, which is what every function must bear; what was opened is closed at the end.
    let codes = unsafe {
        assert_eq!((f.open)(SPEC.as_ptr(), SPEC.len(), &mut opened, &mut out), status::OK);
        let workload = opened;
        [
            (f.catalogue)(null_mut()),
            (f.open)(null(), 0, &mut null(), &mut out),
            (f.open)(SPEC.as_ptr(), SPEC.len(), null_mut(), &mut out),
            (f.open)(SPEC.as_ptr(), SPEC.len(), &mut null(), null_mut()),
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
            (f.expected)(null(), &mut out),
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
        ]
    };
    assert_eq!(codes, [status::ARGUMENT; 35]);
    assert!(state.is_null());
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
