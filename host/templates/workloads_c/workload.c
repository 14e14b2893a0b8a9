/* The workload {{name}}: numbers are squared, and those that `divisor` divides are dropped. Yours go where these are. */
#include "crossrun_workload_kit.h"

enum { DIVISOR };
static const crossrun_parameter PARAMETERS[] = {
    CROSSRUN_INTEGER_PARAMETER("divisor", "whose multiples are dropped", 3, 2, 99)};

enum { SQUARE = 1, DROP };
static const crossrun_stage STAGES[] = {{CROSSRUN_STAGE_MAP, "square"}, {CROSSRUN_STAGE_FILTER, "drop"}};

static void push_number(crossrun_items *out, uint64_t number) {
    uint8_t item[8];
    crossrun_write_u64(item, number);
    crossrun_push(out, item, sizeof item);
}

/* Item number `index`: the same in every process, in whatever order they are made. */
static const char *source(const crossrun_opened *run, uint64_t index, crossrun_items *out) {
    push_number(out, crossrun_random(run->seed, index) >> 32);
    return NULL;
}

/* One item through one stage. What is returned, if not NULL, is why it failed. */
static const char *apply(const crossrun_opened *run, uint32_t stage, crossrun_slice item, crossrun_items *out) {
    uint64_t number;
    if (item.length != 8) {
        return "an item is not 8 bytes";
    }
    number = crossrun_u64(item.data);
    if (stage == SQUARE) {
        push_number(out, number * number);
    } else if (number % run->values[DIVISOR].integer != 0) {
        push_number(out, number);
    }
    return NULL;
}

/* What must reach the sink, computed in another way than by the stages. */
static const char *oracle(const crossrun_opened *run, crossrun_items *sink) {
    const uint64_t divisor = run->values[DIVISOR].integer;
    uint64_t index, root, rest;
    for (index = 0; index < run->total_items; index++) {
        root = crossrun_random(run->seed, index) >> 32;
        rest = root % divisor;
        if (rest * rest % divisor != 0) {
            push_number(sink, root * root);
        }
    }
    return NULL;
}

static const crossrun_definition WORKLOAD = {
    .name = "{{name}}", .description = "Squares numbers and drops some of them", .parameters = PARAMETERS,
    .parameter_count = 1, .stages = STAGES, .stage_count = 2, .source = source, .apply = apply, .oracle = oracle};

CROSSRUN_WORKLOADS("{{name}}", "0.1.0", "The workload {{name}}", "MIT OR Apache-2.0", "{{name}}", &WORKLOAD);
