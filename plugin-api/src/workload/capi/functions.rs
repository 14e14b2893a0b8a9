//! The list of functions.

/// The functions that are the same in every library, as `name(arguments)`: `$then!` is called with the list. A library that
/// was built against an earlier minor version lacks those after `@since`.
#[doc(hidden)]
#[macro_export]
macro_rules! __workload_functions {
    ($then:path) => {
        $then! {
            /// Adds a reference to an opened workload, which needs one more `close`.
            share(workload: *const RawWorkload) -> ();
            /// Gives a reference up. The last one frees the workload.
            close(workload: *const RawWorkload) -> ();
            /// The plan as JSON.
            plan(workload: *const RawWorkload, out: *mut RawBuffer) -> i32;
            /// Makes the items `first..first + count`, applies the stages `1..to`, and gives a batch.
            source(workload: *const RawWorkload, first: u64, count: u64, to: u32, out: *mut RawBuffer) -> i32;
            /// Applies the stages `from..to` to a batch, and gives a batch.
            run_stages(
                workload: *const RawWorkload, from: u32, to: u32, batch: *const u8, length: usize, out: *mut RawBuffer
            ) -> i32;
            /// Splits a batch by key for the keyed reduction `stage`: one batch for each of `partitions` buffers.
            split(
                workload: *const RawWorkload, stage: u32, batch: *const u8, length: usize, partitions: u32,
                outs: *mut RawBuffer, error: *mut RawBuffer
            ) -> i32;
            /// A new, empty state of the keyed reduction or sink `stage`.
            state_new(workload: *const RawWorkload, stage: u32, state: *mut *mut RawState, error: *mut RawBuffer) -> i32;
            /// Adds a batch to a state.
            state_fold(state: *mut RawState, batch: *const u8, length: usize, error: *mut RawBuffer) -> i32;
            /// Adds another, encoded state of the same stage to a state.
            state_merge(state: *mut RawState, encoded: *const u8, length: usize, error: *mut RawBuffer) -> i32;
            /// Encodes a state.
            state_encode(state: *mut RawState, out: *mut RawBuffer) -> i32;
            /// Removes up to `limit` keys from the state of a keyed reduction and gives their items as a batch. An
            /// empty batch means that no key is left.
            state_emit(state: *mut RawState, limit: u64, out: *mut RawBuffer) -> i32;
            /// Frees a state.
            state_free(state: *mut RawState) -> ();
            /// The outcome of an encoded state of the sink, as JSON: `count` and `checksum`.
            outcome(workload: *const RawWorkload, sink: *const u8, length: usize, out: *mut RawBuffer) -> i32;
            /// The expected outcome by the serial oracle, as JSON: `count` and `checksum`.
            expected(workload: *const RawWorkload, out: *mut RawBuffer) -> i32;
            /// Frees the memory of a buffer and empties the buffer.
            buffer_free(buffer: *mut RawBuffer) -> ();
            @since 1.1:
            /// An item as it leaves the stage `stage`, as a JSON object for people; empty if the workload does not describe
            /// its items.
            describe(
                workload: *const RawWorkload, stage: u32, item: *const u8, length: usize, out: *mut RawBuffer
            ) -> i32;
            /// Sets when an open loop starts, in nanoseconds of the machine's monotonic clock, instead of the spec's time.
            start(workload: *const RawWorkload, nanos: u64, error: *mut RawBuffer) -> i32;
            /// The inputs of up to `count` tasks of a row of the graph, from the one at place `first`: see
            /// [`GraphRow`](crate::workload::GraphRow).
            graph_edges(
                workload: *const RawWorkload, step: u32, first: u32, count: u32, out: *mut RawBuffer
            ) -> i32;
            /// Runs a task of the graph. `inputs` are as many outputs as its edges are, in their order. Its output is written to
            /// `output`, where `*output_length` bytes are, and its length to `*output_length`.
            graph_task(
                workload: *const RawWorkload, step: u32, point: u32, count: usize, inputs: *const *const u8,
                lengths: *const usize, output: *mut u8, output_length: *mut usize, error: *mut RawBuffer
            ) -> i32;
            /// Writes to `time` what no item from `number` on is earlier than; the largest number where no item comes any more.
            watermark(workload: *const RawWorkload, number: u64, time: *mut u64, error: *mut RawBuffer) -> i32;
            /// Gives the items of up to `limit` keys of a keyed reduction of which something ended at `time` or before, as a batch,
            /// and writes to `next` the time before which nothing that the state holds ends. An empty batch means that nothing
            /// more has ended.
            state_close(
                state: *mut RawState, time: u64, limit: u64, next: *mut u64, out: *mut RawBuffer
            ) -> i32;
            /// The key of each item of a batch for the keyed reduction `stage`, as a batch in the order of the items.
            keys(
                workload: *const RawWorkload, stage: u32, batch: *const u8, length: usize, out: *mut RawBuffer
            ) -> i32;
        }
    };
}
