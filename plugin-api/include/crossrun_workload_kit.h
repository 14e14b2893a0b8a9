/*
 * For authors of workloads in C, who define what is particular to a workload and need nothing of the ABI.
 *
 * A library is one source file of the author's and kit/crossrun_workload_kit.c. The kit has the functions of
 * crossrun_workloads.h: batches, states, the sink with its checksum, JSON, parameters and errors.
 *
 *     cc -std=c99 -O2 -fPIC -shared -I include mine.c kit/crossrun_workload_kit.c -o libmine.so
 *
 * plugin-api/examples/c/minimal_workload.c in the repository of crossrun is a complete workload. Rules for each function of a workload:
 *
 *   - Its result depends only on its arguments, on any machine and in any order of calls. It is called from many threads
 *     at once. So it has no static data that changes, and does not call rand().
 *   - It returns null, or a message of one line, which is a string literal or lives as long as the process.
 *   - Its result must not depend on the order of items, above all in `fold` and `merge`.
 *   - No C++ exception and no longjmp may leave it. The kit is compiled as C, also beside a file in C++.
 */
#ifndef CROSSRUN_WORKLOAD_KIT_H
#define CROSSRUN_WORKLOAD_KIT_H

#include "crossrun.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Bytes ------------------------------------------------------------------------------------------------------ */

/* Bytes that are only read. In what the kit passes, `data` is not null, also if `length` is 0. */
typedef struct crossrun_slice {
    const uint8_t *data;
    size_t length;
} crossrun_slice;

/* Bytes that grow, such as the accumulator of a key. `data` is null until something was appended. To take bytes away, move those that
 * stay to the front and lower `length`. The kit frees what it passes, and sets `failed`, and checks it, if there is not enough memory. */
typedef struct crossrun_bytes {
    uint8_t *data;
    size_t length;
    size_t capacity;
    int failed;
} crossrun_bytes;

/* A list to which items are added. */
typedef struct crossrun_items crossrun_items;

/* Adds an item. */
void crossrun_push(crossrun_items *items, const void *data, size_t length);

/* Appends to bytes. `data` must not point into them, as they may move. */
void crossrun_append(crossrun_bytes *bytes, const void *data, size_t length);

/* Numbers in little-endian order on every machine, since the bytes of an item must be the same everywhere. */
static inline uint64_t crossrun_u64(const uint8_t *bytes) {
    uint64_t value = 0;
    int at;
    for (at = 7; at >= 0; at--) {
        value = value << 8 | bytes[at];
    }
    return value;
}

static inline void crossrun_write_u64(uint8_t *bytes, uint64_t value) {
    int at;
    for (at = 0; at < 8; at++, value >>= 8) {
        bytes[at] = (uint8_t)value;
    }
}

/* A random number for the source, which is the same for the same `seed` and `index`. */
static inline uint64_t crossrun_random(uint64_t seed, uint64_t index) {
    uint64_t mixed = seed ^ (index + 1) * UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ mixed >> 31;
}

/* ---- Parameters ------------------------------------------------------------------------------------------------- */

enum crossrun_domain {
    /* A whole number from `min` to `max`. */
    CROSSRUN_INTEGER,
    /* A number from `low` to `high`. */
    CROSSRUN_NUMBER,
    /* One of `choices`, which are separated by commas; the first is the default. */
    CROSSRUN_CHOICE,
    /* Any text. */
    CROSSRUN_TEXT
};

/* What a workload reads from `extra`. */
typedef struct crossrun_parameter {
    const char *name;
    const char *description;
    enum crossrun_domain domain;
    uint64_t integer, min, max;
    double number, low, high;
    /* The choices, or the default of a text. */
    const char *text;
} crossrun_parameter;

#define CROSSRUN_INTEGER_PARAMETER(name, description, otherwise, min, max)                                            \
    {name, description, CROSSRUN_INTEGER, otherwise, min, max, 0, 0, 0, NULL}
#define CROSSRUN_NUMBER_PARAMETER(name, description, otherwise, low, high)                                            \
    {name, description, CROSSRUN_NUMBER, 0, 0, 0, otherwise, low, high, NULL}
#define CROSSRUN_CHOICE_PARAMETER(name, description, choices)                                                         \
    {name, description, CROSSRUN_CHOICE, 0, 0, 0, 0, 0, 0, choices}
#define CROSSRUN_TEXT_PARAMETER(name, description, otherwise)                                                         \
    {name, description, CROSSRUN_TEXT, 0, 0, 0, 0, 0, 0, otherwise}

/* The value of a parameter. It is within the parameter's range. */
typedef struct crossrun_value {
    /* The whole number; or of a choice, its index among the choices. */
    uint64_t integer;
    double number;
    /* The choice or the text. */
    const char *text;
} crossrun_value;

/* ---- A workload ------------------------------------------------------------------------------------------------- */

/* A stage between the source and the sink: one of CROSSRUN_STAGE_MAP, _FILTER, _FLAT_MAP and _KEYED_REDUCE. The first
 * has the number 1. */
typedef struct crossrun_stage {
    uint32_t kind;
    const char *name;
} crossrun_stage;

/* A workload that was opened. */
typedef struct crossrun_opened {
    uint64_t total_items;
    uint64_t seed;
    /* One for each parameter, in the same order. */
    const crossrun_value *values;
    /* What `open` stored here. */
    void *own;
} crossrun_opened;

/* The size of a graph of tasks. */
typedef struct crossrun_graph_size {
    /* How many rows of tasks there are, one after the other; 0 if there is nothing to run. At most 2^32 - 1. */
    uint64_t steps;
    /* The most tasks of a row; at most 2^32 - 1. */
    uint64_t width;
    /* The most bytes of an output. */
    uint64_t output_bytes;
    /* Not 0 if only a multiple of the parameter `width` of all items is used: the host then rounds the items down to that. */
    int whole_rows;
} crossrun_graph_size;

/* The inputs of a task: points of the row before. */
typedef struct crossrun_inputs crossrun_inputs;

/* Adds the output of a point as the next input. A point may be added twice; its output is then given twice. */
void crossrun_add_input(crossrun_inputs *inputs, uint32_t point);

/*
 * A graph of tasks, of which each needs outputs of tasks of the row before. A backend runs each task once, in any order in which its
 * inputs are there, in many threads and processes. An output that is no input of the next row is an item of the sink.
 */
typedef struct crossrun_graph {
    /* The size, by the items and the parameters. It is also asked for 0 items. */
    const char *(*size)(const crossrun_opened *opened, crossrun_graph_size *size);
    /* The points of a row: at least one, and at most `width`. If null, each row has the points 0 to `width` - 1. */
    void (*row)(const crossrun_opened *opened, uint32_t step, uint32_t *first, uint32_t *count);
    /* Adds the inputs of a task, in the order in which `task` gets them. It is not asked for the first row, step 0. */
    void (*inputs)(const crossrun_opened *opened, uint32_t step, uint32_t point, crossrun_inputs *out);
    /* Writes the output of a task to `output`, where `output_bytes` of the size are, and how many bytes it has to `*length`. A
     * backend may be wrong: check that there are as many inputs as there should be, and that each is the one that it should be. So
     * put step and point into each output. */
    const char *(*task)(
        const crossrun_opened *opened, uint32_t step, uint32_t point, const crossrun_slice *inputs, size_t count,
        uint8_t *output, size_t *length);
} crossrun_graph;

/* A workload. A field may be null only where its comment says so. */
typedef struct crossrun_definition {
    /* 1 to 64 of a-z, 0-9, _ and -. */
    const char *name;
    const char *description;
    const crossrun_parameter *parameters;
    uint32_t parameter_count;
    uint32_t stage_count;
    const crossrun_stage *stages;

    /* Prepares what all calls share, and stores it in `own`. Its time is not measured. May be null. */
    const char *(*open)(crossrun_opened *opened);
    /* Frees `own`. It is called if `open` returned null. May be null. */
    void (*close)(crossrun_opened *opened);
    /* Pushes item number `index`, and nothing else. May be null if there is a graph. */
    const char *(*source)(const crossrun_opened *opened, uint64_t index, crossrun_items *out);
    /* Applies a map (it pushes one item), a filter (it pushes the item unchanged, or nothing) or a flat map (it pushes
     * any number of items). May be null if there is no such stage. */
    const char *(*apply)(const crossrun_opened *opened, uint32_t stage, crossrun_slice item, crossrun_items *out);
    /* The key of an item for a keyed reduction, which is a part of the item. If null, the key is the whole item. */
    crossrun_slice (*key)(const crossrun_opened *opened, uint32_t stage, crossrun_slice item);
    /* Adds an item to the accumulator of its key, which is empty at first. `fold`, `merge` and `emit` may be null if there
     * is no keyed reduction. */
    const char *(*fold)(const crossrun_opened *opened, uint32_t stage, crossrun_bytes *accumulator, crossrun_slice item);
    /* Adds another accumulator of the same key to `accumulator`, which may be empty. */
    const char *(*merge)(
        const crossrun_opened *opened, uint32_t stage, crossrun_bytes *accumulator, crossrun_slice other);
    /* Pushes the items of a key when the input has ended. */
    const char *(*emit)(
        const crossrun_opened *opened, uint32_t stage, crossrun_slice key, crossrun_slice accumulator,
        crossrun_items *out);
    /* The serial oracle: it pushes every item that must reach the sink, in any order. It should not call `apply`, so that
     * a mistake there is found. */
    const char *(*oracle)(const crossrun_opened *opened, crossrun_items *sink);
    /* The least number of seconds that all operators together only wait in a run. May be null. */
    double (*waiting_seconds)(const crossrun_opened *opened);
    /* Appends an item, as it leaves the stage `stage`, to `out` as one JSON object for people. The items of the source leave
     * stage 0. May be null. */
    const char *(*describe)(
        const crossrun_opened *opened, uint32_t stage, crossrun_slice item, crossrun_bytes *out);
    /* The words of what a backend must support to run it, beyond its stages, separated by commas. May be null. */
    const char *needs;
    /* In an open loop: when item number `index` is due, in nanoseconds from the start of the run, and not before the item with
     * the number below. The source waits until then, and the sink measures how much later the item arrives. An open loop has
     * keyed reductions only if it uses the word `watermarks`. Null if items are made when they are asked for. */
    uint64_t (*due)(const crossrun_opened *opened, uint64_t index);
    /* The graph of tasks that is the work of this workload. It then has no stages, and `needs` has the word `graph`. May be
     * null. */
    const crossrun_graph *graph;
    /* The words of what it makes use of on a backend that supports it, and does without elsewhere, separated by commas. May be
     * null. */
    const char *uses;
    /* Applies a map, filter or flat map to a whole batch, which may be empty, as `apply` does to each item: for operators that gain by
     * several items at once. A map pushes one item for each, in their order. If it is not null, it is asked in place of `apply` for all
     * stages; but filters and flat maps of an open loop are applied item by item, as each item that is made keeps the times of its
     * own. */
    const char *(*apply_batch)(
        const crossrun_opened *opened, uint32_t stage, const crossrun_slice *items, size_t count, crossrun_items *out);

    /* The next four are needed, and called, if `uses` or `needs` has the word `watermarks`; the last three only with a keyed
     * reduction. A time is in the items and follows from their numbers. UINT64_MAX is the end of what ends with the input only, and
     * what `*end` is before a call. */

    /* What no item from number `index` on is earlier than. It never falls as `index` grows. */
    uint64_t (*watermark)(const crossrun_opened *opened, uint64_t index);
    /* When what an item of a keyed reduction is a part of can end at the earliest, if only this item is known: later than the time of
     * the item, and for what a reduction before it emits of an end, not earlier than that end. */
    const char *(*ends)(const crossrun_opened *opened, uint32_t stage, crossrun_slice item, uint64_t *end);
    /* When the first part of an accumulator ends. */
    const char *(*closes)(
        const crossrun_opened *opened, uint32_t stage, crossrun_slice key, crossrun_slice accumulator, uint64_t *end);
    /* Pushes the items of what ended at `time` or before, and takes it out of the accumulator: no item that comes now is earlier than
     * `time`. If the accumulator is empty then (its `length` is 0), the key is forgotten. In an open loop it is called once for each
     * time at which something ends. */
    const char *(*emit_ended)(
        const crossrun_opened *opened, uint32_t stage, uint64_t time, crossrun_slice key, crossrun_bytes *accumulator,
        crossrun_items *out);
} crossrun_definition;

/* The workloads of the library, and a null at the end. The macro below defines it. */
extern const crossrun_definition *const crossrun_definitions[];

/*
 * Write this once in a library, outside of any function, with a semicolon. It takes the library's name, version,
 * description and licence, the names of its workloads, separated by commas, and the addresses of their definitions.
 *
 *     CROSSRUN_WORKLOADS("mine", "0.1.0", "What they are", "MIT", "doubles,triples", &doubles, &triples);
 */
#define CROSSRUN_WORKLOADS(name, version, description, license, names, ...)                                            \
    CROSSRUN_METADATA("kind=workloads\nname=" name "\nworkloads=" names "\n", version, description, license);           \
    const crossrun_definition *const crossrun_definitions[] = {__VA_ARGS__, NULL}

#ifdef __cplusplus
}
#endif

#endif
