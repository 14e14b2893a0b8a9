/* What the backend and rank 0 send each other. Both are built from this folder, for machines of one byte order. */
#ifndef MESSAGES_H
#define MESSAGES_H

#include <stdint.h>

enum {
    /* To rank 0. OPEN: an `opening`, and the spec after it. The ranks open the workload. */
    OPEN = 1,
    /* The bytes of the library, after NEEDED. */
    LIBRARY,
    /* RUN: a `running`, and the kinds of its stages after it. */
    RUN,
    CANCEL,

    /* From rank 0. READY: a `ready`, after the start, and without content when the workload is open. */
    READY = 101,
    /* A machine does not have the library yet. */
    NEEDED,
    /* How many items the ranks have made, about: a u64. */
    PROGRESS,
    /* A `finished`, and the encoded state of all sinks after it. */
    FINISHED,
    /* A `failure`, and its message after it. */
    FAILURE
};

struct ready {
    uint32_t ranks, machines;
};

struct opening {
    char sha256[65];
};

struct running {
    uint64_t total_items, batch_size, start_nanos;
    uint32_t fusion_off, open_loop, stage_count;
};

struct finished {
    uint64_t results;
};

struct failure {
    /* A status of the workload, or 0 if it is a failure of the engine; whether the run was cancelled. */
    int32_t status;
    uint32_t cancelled;
};

#endif
