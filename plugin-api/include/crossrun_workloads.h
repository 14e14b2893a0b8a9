/*
 * The C ABI of a crossrun workload library, version 1.1.
 *
 * A workload library holds sources, operators, keyed states and sinks; its caller moves opaque batches between them.
 * ABI.md, one folder up, has the whole contract: the encoding of a batch, the JSON objects, threads, versions.
 *
 * Rules that hold for every function:
 *
 *   - If it returns int32_t, this is a status. Only CROSSRUN_OK means that it succeeded.
 *   - Its last argument is a buffer that must not be null. After CROSSRUN_OK an `out` buffer holds the answer, and
 *     the content of an `error` buffer has no meaning. After any other status the buffer holds a message for people, in
 *     UTF-8 without a NUL at its end. If the buffer is null, the status is CROSSRUN_ARGUMENT, without a message.
 *   - It reads its input (`spec`, `batch`, `encoded`, `sink`) during the call only. The input must not be in a buffer
 *     that the same call writes to.
 *   - It never calls longjmp, does not abort on malformed bytes, and starts no thread. A C++ exception should not leave it:
 *     the host's own callers then end their process, and so would a caller that was compiled without exceptions.
 *   - A function with "Since 1.1" is missing in a library of an earlier version. Look it up by its name with dlsym, or call it
 *     through the table of a run after CROSSRUN_CALLABLE has said that it is there.
 */
#ifndef CROSSRUN_WORKLOADS_H
#define CROSSRUN_WORKLOADS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What crossrun_workload_abi_version() returns: the major version in the upper 16 bits, the minor in the lower. */
#define CROSSRUN_WORKLOAD_ABI_VERSION UINT32_C(0x00010001)
/* A library can be called if its major version is that of CROSSRUN_WORKLOAD_ABI_VERSION. */
#define CROSSRUN_WORKLOAD_ABI_MAJOR(version) ((version) >> 16)

/* The most partitions of one split. */
#define CROSSRUN_MAX_PARTITIONS UINT32_C(65536)

/* Statuses. A later minor version may add some: treat a status that you do not know as a failure. */
enum {
    /* Done. */
    CROSSRUN_OK = 0,
    /* A null pointer, or a stage, slice or limit that does not exist, or a start that is not that of the run. */
    CROSSRUN_ARGUMENT = 1,
    /* A batch or a state has an invalid encoding. */
    CROSSRUN_MALFORMED = 2,
    /* The spec cannot be run: an unknown workload, or a parameter outside its range. */
    CROSSRUN_SPEC = 3,
    /* An operator of the workload failed. */
    CROSSRUN_OPERATOR = 4,
    /* The workload panicked; the handle is poisoned. */
    CROSSRUN_PANIC = 5,
    /* The handle was poisoned by an earlier panic. */
    CROSSRUN_POISONED = 6,
    /* A batch, or the state of a keyed reduction, is larger than a batch can be. */
    CROSSRUN_TOO_LARGE = 7,
    /* Only the judge may ask: a backend called `expected` of the table in its run. The buffer is empty. */
    CROSSRUN_JUDGE_ONLY = 8
};

/*
 * Bytes that the library allocated. The caller owns the struct and must set it to zero before its first use
 * (CROSSRUN_BUFFER_EMPTY); the library owns the memory at `data`. A buffer can be passed to any number of calls, but only
 * of one library: it keeps its memory and grows as needed. Free it with crossrun_workload_buffer_free, never with free().
 * While `length` is 0, `data` must not be read, whether it is null or not.
 */
typedef struct crossrun_buffer {
    uint8_t *data;
    size_t length;
    size_t capacity;
} crossrun_buffer;

#define CROSSRUN_BUFFER_EMPTY {NULL, 0, 0}

/* An opened workload. It is reference-counted, and any number of threads can use it at once. */
typedef struct crossrun_workload crossrun_workload;

/* The state of one keyed reduction or sink. Only one thread at a time may use it, but not always the same one. It may
 * outlive its workload. */
typedef struct crossrun_state crossrun_state;

/* ---- The library ------------------------------------------------------------------------------------------------ */

/* The version of the ABI that the library was built with. Call this first. */
uint32_t crossrun_workload_abi_version(void);

/* Puts the library's workloads into `out`, as a JSON array. */
int32_t crossrun_workload_catalogue(crossrun_buffer *out);

/* Opens the workload that the JSON object at `spec` names and puts it into `opened`, which is written to after
 * CROSSRUN_OK only. The caller owns one reference, and must close it. This may take long: whatever the other calls share
 * is computed here. */
int32_t crossrun_workload_open(
    const uint8_t *spec, size_t length, const crossrun_workload **opened, crossrun_buffer *error);

/* ---- A workload ------------------------------------------------------------------------------------------------- */

/* Adds a reference, which needs one more close. Does nothing to null. */
void crossrun_workload_share(const crossrun_workload *workload);

/* Gives a reference up. The last one frees the workload. Does nothing to null. */
void crossrun_workload_close(const crossrun_workload *workload);

/* Puts the workload's plan into `out`, as JSON: its stages in order. A stage's number is its index, from 0. */
int32_t crossrun_workload_plan(const crossrun_workload *workload, crossrun_buffer *out);

/* Makes the items `first` to `first + count - 1`, applies the stages 1 to `to - 1` to them, which must be maps, filters or
 * flat maps, and puts the batch into `out`. If `to` is 1, no stage is applied. */
int32_t crossrun_workload_source(
    const crossrun_workload *workload, uint64_t first, uint64_t count, uint32_t to, crossrun_buffer *out);

/* Applies the stages `from` to `to - 1`, which must be maps, filters or flat maps, to a batch, and puts the new batch into
 * `out`. If `to` equals `from`, this is a copy. */
int32_t crossrun_workload_run_stages(
    const crossrun_workload *workload, uint32_t from, uint32_t to, const uint8_t *batch, size_t length,
    crossrun_buffer *out);

/* Splits a batch by key for the keyed reduction `stage`: `outs` is an array of `partitions` buffers, and each gets one
 * batch. A key goes to the same partition in every process and on every machine. After a failure any of `outs` may have
 * been written to. */
int32_t crossrun_workload_split(
    const crossrun_workload *workload, uint32_t stage, const uint8_t *batch, size_t length, uint32_t partitions,
    crossrun_buffer *outs, crossrun_buffer *error);

/* Makes an empty state of the keyed reduction or sink `stage` and puts it into `state`, which is written to after
 * CROSSRUN_OK only. The caller owns it, and must free it with state_free. */
int32_t crossrun_workload_state_new(
    const crossrun_workload *workload, uint32_t stage, crossrun_state **state, crossrun_buffer *error);

/* ---- A state ---------------------------------------------------------------------------------------------------- */

/* Adds a batch to the state. After a failure a part of the batch may be in it: do not use the state any more. */
int32_t crossrun_workload_state_fold(
    crossrun_state *state, const uint8_t *batch, size_t length, crossrun_buffer *error);

/* Adds another state of the same stage, given by its encoding. After a failure do not use the state any more. */
int32_t crossrun_workload_state_merge(
    crossrun_state *state, const uint8_t *encoded, size_t length, crossrun_buffer *error);

/* Puts the encoding of the state into `out`. The state does not change. */
int32_t crossrun_workload_state_encode(crossrun_state *state, crossrun_buffer *out);

/* Removes up to `limit` keys, which is at least 1, from the state of a keyed reduction, and puts their items into `out` as
 * a batch. A batch without items means that no key is left: call this until then. */
int32_t crossrun_workload_state_emit(crossrun_state *state, uint64_t limit, crossrun_buffer *out);

/* Frees a state. Does nothing to null. */
void crossrun_workload_state_free(crossrun_state *state);

/* ---- The result ------------------------------------------------------------------------------------------------- */

/* Puts the outcome of an encoded state of the sink into `out`, as JSON: `count` and `checksum`. */
int32_t crossrun_workload_outcome(
    const crossrun_workload *workload, const uint8_t *sink, size_t length, crossrun_buffer *out);

/* Puts the expected outcome into `out`, as the same JSON. The serial oracle may take as long as a run. */
int32_t crossrun_workload_expected(const crossrun_workload *workload, crossrun_buffer *out);

/* Frees the memory of a buffer and sets the buffer to zero; it may be used again. Does nothing to null or to an empty
 * buffer. */
void crossrun_workload_buffer_free(crossrun_buffer *buffer);

/* Puts an item, as it leaves the stage `stage`, into `out` as a JSON object for people; `out` is empty if the workload does not
 * describe its items. Since 1.1. */
int32_t crossrun_workload_describe(
    const crossrun_workload *workload, uint32_t stage, const uint8_t *item, size_t length, crossrun_buffer *out);

/* Sets when an open loop starts, in nanoseconds of the machine's monotonic clock, instead of the spec's `start_nanos`: a workload
 * that was opened before the run need not be opened again. Call it before the first item is asked for. A workload that is no open
 * loop answers CROSSRUN_ARGUMENT. A host may hand on a backend's call only for the `start_nanos` of the run's spec. Since 1.1. */
int32_t crossrun_workload_start(const crossrun_workload *workload, uint64_t nanos, crossrun_buffer *error);

/* Puts the edges of up to `count` tasks of a row of the graph, from the one at place `first` (from 0), into `out`, as little-endian
 * u32: the first point of the row, the number of its points, where the inputs of each of these tasks begin and where those of the
 * last end, and the inputs, which are points of the row before. A point stands twice if its output is needed twice. Since 1.1. */
int32_t crossrun_workload_graph_edges(
    const crossrun_workload *workload, uint32_t step, uint32_t first, uint32_t count, crossrun_buffer *out);

/* Runs a task of the graph. `inputs` and `lengths` are the outputs that it needs, `count` of them, in the order of its edges. Its
 * output is written to `output`, where `*output_length` bytes are, and its length to `*output_length`. The `output_bytes` of the
 * plan's graph are enough; with fewer the answer is CROSSRUN_ARGUMENT. Nothing is kept of either. An output that no task needs is an
 * item of the sink. Since 1.1. */
int32_t crossrun_workload_graph_task(
    const crossrun_workload *workload, uint32_t step, uint32_t point, size_t count, const uint8_t *const *inputs,
    const size_t *lengths, uint8_t *output, size_t *output_length, crossrun_buffer *error);

/* Puts into `time` what no item from number `number` on is earlier than, in a time that is in the items; UINT64_MAX where no item
 * comes any more. It never falls as `number` grows. Without the word `watermarks` in `use`, the answer is CROSSRUN_ARGUMENT.
 * Since 1.1. */
int32_t crossrun_workload_watermark(
    const crossrun_workload *workload, uint64_t number, uint64_t *time, crossrun_buffer *error);

/* Puts the items of up to `limit` keys, which is at least 1, of a keyed reduction of which something ended at `time` or before into
 * `out`, as a batch, and the time before which nothing that the state holds ends into `next`. A batch without items means that
 * nothing more has ended: call this until then. From now on the state refuses what ended at `time` or before, with
 * CROSSRUN_OPERATOR: all of it must have been folded or merged. ABI.md says who may close, and up to which time. As above, without
 * `watermarks` in `use` the answer is CROSSRUN_ARGUMENT. Since 1.1. */
int32_t crossrun_workload_state_close(
    crossrun_state *state, uint64_t time, uint64_t limit, uint64_t *next, crossrun_buffer *out);

/* Puts the key of each item of a batch for the keyed reduction `stage` into `out`, as a batch in the order of the items: for an
 * engine with a join or keyed state of its own. Since 1.1. */
int32_t crossrun_workload_keys(
    const crossrun_workload *workload, uint32_t stage, const uint8_t *batch, size_t length, crossrun_buffer *out);

#ifdef __cplusplus
}
#endif

#endif
