/*
 * The C ABI of a crossrun workload library, version 1.0.
 *
 * A workload library holds sources, operators, keyed states and sinks; its caller moves opaque batches between them.
 * ABI.md, one folder up, has the whole contract: the encoding of a batch, the JSON objects, threads, versions.
 *
 * Rules that hold for every function:
 *
 *   - One that returns int32_t returns a status. Only CROSSRUN_OK means that it did what it says.
 *   - Its last argument is a buffer that must not be null. After CROSSRUN_OK an `out` buffer holds the answer, and
 *     what an `error` buffer holds has no meaning. After any other status either holds a message for people, in UTF-8
 *     without a NUL at its end; after CROSSRUN_ARGUMENT because of a null buffer there is no message.
 *   - What it is given to read (`spec`, `batch`, `encoded`, `sink`) is read during the call only, and must not lie in
 *     a buffer that the same call writes to.
 *   - It never unwinds, longjmps, aborts on malformed bytes, or starts a thread.
 */
#ifndef CROSSRUN_WORKLOADS_H
#define CROSSRUN_WORKLOADS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What crossrun_workload_abi_version() returns: the major version in the upper 16 bits, the minor in the lower. */
#define CROSSRUN_WORKLOAD_ABI_VERSION UINT32_C(0x00010000)
/* A library can be called if this is the same of its version and of the one above. */
#define CROSSRUN_WORKLOAD_ABI_MAJOR(version) ((version) >> 16)

/* The most partitions of one split. */
#define CROSSRUN_MAX_PARTITIONS UINT32_C(65536)

/* Statuses. A later minor version may add some: take any that is not known for a failure. */
enum {
    /* Done. */
    CROSSRUN_OK = 0,
    /* A null pointer, or a stage, slice or limit that makes no sense. */
    CROSSRUN_ARGUMENT = 1,
    /* A batch or a state is not what it should be. */
    CROSSRUN_MALFORMED = 2,
    /* The spec cannot be run: an unknown workload, or a parameter outside its range. */
    CROSSRUN_SPEC = 3,
    /* An operator of the workload failed. */
    CROSSRUN_OPERATOR = 4,
    /* The workload panicked; the handle is poisoned. */
    CROSSRUN_PANIC = 5,
    /* The handle was poisoned by an earlier panic. */
    CROSSRUN_POISONED = 6,
    /* A batch outgrew its offsets. */
    CROSSRUN_TOO_LARGE = 7
};

/*
 * Bytes that the library allocated. The caller owns the struct and must set it to zero before its first use
 * (CROSSRUN_BUFFER_EMPTY); the library owns what `data` points to. Pass the same buffer again and again, to functions
 * of the same library only: it keeps its memory and grows as needed. Free it with crossrun_workload_buffer_free, never
 * with free(). While `length` is 0, `data` must not be read, whether it is null or not.
 */
typedef struct crossrun_buffer {
    uint8_t *data;
    size_t length;
    size_t capacity;
} crossrun_buffer;

#define CROSSRUN_BUFFER_EMPTY {NULL, 0, 0}

/* An opened workload: reference-counted, and usable from any number of threads at once. */
typedef struct crossrun_workload crossrun_workload;

/* The state of one keyed reduction or sink: for one thread at a time, not always the same one. It may outlive the
 * workload that it was made from. */
typedef struct crossrun_state crossrun_state;

/* ---- The library ------------------------------------------------------------------------------------------------ */

/* The version of the ABI that the library was built with. Ask for it before anything else. */
uint32_t crossrun_workload_abi_version(void);

/* Puts the library's workloads into `out`, as a JSON array. */
int32_t crossrun_workload_catalogue(crossrun_buffer *out);

/* Opens the workload that the JSON object at `spec` names and puts it into `opened`, which is written to after
 * CROSSRUN_OK only. The caller owns one reference: one close is due. May take long, as what the calls share is computed
 * here. */
int32_t crossrun_workload_open(
    const uint8_t *spec, size_t length, const crossrun_workload **opened, crossrun_buffer *error);

/* ---- A workload ------------------------------------------------------------------------------------------------- */

/* Adds a reference: one more close is due. Does nothing to null. */
void crossrun_workload_share(const crossrun_workload *workload);

/* Gives a reference up; with the last one the workload is freed. Does nothing to null. */
void crossrun_workload_close(const crossrun_workload *workload);

/* Puts the workload's plan into `out`, as JSON: its stages in order. A stage's number is its place, from 0. */
int32_t crossrun_workload_plan(const crossrun_workload *workload, crossrun_buffer *out);

/* Makes the items `first` to `first + count - 1`, takes them through the stages 1 to `to - 1`, which must be maps,
 * filters or flat maps, and puts the batch into `out`. With `to` 1 they are as the source made them. */
int32_t crossrun_workload_source(
    const crossrun_workload *workload, uint64_t first, uint64_t count, uint32_t to, crossrun_buffer *out);

/* Takes a batch through the stages `from` to `to - 1`, which must be maps, filters or flat maps, and puts the batch
 * that comes of it into `out`. With `to` equal to `from` it is copied. */
int32_t crossrun_workload_run_stages(
    const crossrun_workload *workload, uint32_t from, uint32_t to, const uint8_t *batch, size_t length,
    crossrun_buffer *out);

/* Splits a batch by key for the keyed reduction `stage`: `outs` is an array of `partitions` buffers, and gets one batch
 * in each. One key goes to one partition, in every process and on every machine. After a failure any of `outs` may
 * have been written to. */
int32_t crossrun_workload_split(
    const crossrun_workload *workload, uint32_t stage, const uint8_t *batch, size_t length, uint32_t partitions,
    crossrun_buffer *outs, crossrun_buffer *error);

/* Makes an empty state of the keyed reduction or sink `stage` and puts it into `state`, which is written to after
 * CROSSRUN_OK only. The caller owns it: one state_free is due. */
int32_t crossrun_workload_state_new(
    const crossrun_workload *workload, uint32_t stage, crossrun_state **state, crossrun_buffer *error);

/* ---- A state ---------------------------------------------------------------------------------------------------- */

/* Takes a batch in. After a failure part of it may be in: the state is of no more use. */
int32_t crossrun_workload_state_fold(
    crossrun_state *state, const uint8_t *batch, size_t length, crossrun_buffer *error);

/* Takes in all that another state of the same stage took in, from its encoding. A failure is as in state_fold. */
int32_t crossrun_workload_state_merge(
    crossrun_state *state, const uint8_t *encoded, size_t length, crossrun_buffer *error);

/* Puts the bytes in which the state travels into `out`. The state stays as it is. */
int32_t crossrun_workload_state_encode(crossrun_state *state, crossrun_buffer *out);

/* Takes up to `limit` keys, at least 1, out of the state of a keyed reduction, and puts their items into `out` as a
 * batch. A batch without items means that no key is left: call until then. */
int32_t crossrun_workload_state_emit(crossrun_state *state, uint64_t limit, crossrun_buffer *out);

/* Frees a state. Does nothing to null. */
void crossrun_workload_state_free(crossrun_state *state);

/* ---- What came out ---------------------------------------------------------------------------------------------- */

/* Puts what an encoded state of the sink came to into `out`, as JSON: `count` and `checksum`. */
int32_t crossrun_workload_outcome(
    const crossrun_workload *workload, const uint8_t *sink, size_t length, crossrun_buffer *out);

/* Puts what must come out into `out`, as the same JSON. The serial oracle may take as long as a run. */
int32_t crossrun_workload_expected(const crossrun_workload *workload, crossrun_buffer *out);

/* Frees what a buffer holds and sets it to zero; it may be used again. Does nothing to null or to an empty one. */
void crossrun_workload_buffer_free(crossrun_buffer *buffer);

#ifdef __cplusplus
}
#endif

#endif
