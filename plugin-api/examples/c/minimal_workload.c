/*
 * A library of one workload in C: it multiplies random numbers and keeps the even ones.
 *
 *     cc -std=c99 -O2 -fPIC -shared -I plugin-api/include minimal_workload.c plugin-api/kit/crossrun_workload_kit.c \
 *         -o libnumbers.so
 */
#include "crossrun_workload_kit.h"

enum { FACTOR };
static const crossrun_parameter PARAMETERS[] = {
    CROSSRUN_INTEGER_PARAMETER("factor", "what each number is multiplied by", 3, 1, 1000000)};

enum { MULTIPLY = 1, EVEN };
static const crossrun_stage STAGES[] = {{CROSSRUN_STAGE_MAP, "multiply"}, {CROSSRUN_STAGE_FILTER, "even"}};

static void push_number(crossrun_items *out, uint64_t number) {
    uint8_t item[8];
    crossrun_write_u64(item, number);
    crossrun_push(out, item, sizeof item);
}

/* Item number `index`. It is the same in every process and on every machine. */
static const char *source(const crossrun_opened *run, uint64_t index, crossrun_items *out) {
    push_number(out, crossrun_random(run->seed, index));
    return NULL;
}

static const char *apply(const crossrun_opened *run, uint32_t stage, crossrun_slice item, crossrun_items *out) {
    uint64_t number;
    if (item.length != 8) {
        return "an item is not 8 bytes";
    }
    number = crossrun_u64(item.data);
    if (stage == MULTIPLY) {
        push_number(out, number * run->values[FACTOR].integer);
    } else if (number % 2 == 0) {
        push_number(out, number);
    }
    return NULL;
}

/* The items that must reach the sink, computed in another way than by the stages. */
static const char *oracle(const crossrun_opened *run, crossrun_items *sink) {
    const uint64_t factor = run->values[FACTOR].integer;
    for (uint64_t index = 0; index < run->total_items; index++) {
        const uint64_t number = crossrun_random(run->seed, index);
        if (factor % 2 == 0 || number % 2 == 0) {
            push_number(sink, number * factor);
        }
    }
    return NULL;
}

static const crossrun_definition EVEN_MULTIPLES = {
    .name = "even_multiples", .description = "Multiplies random numbers and keeps the even ones",
    .parameters = PARAMETERS, .parameter_count = 1, .stages = STAGES, .stage_count = 2,
    .source = source, .apply = apply, .oracle = oracle};

CROSSRUN_WORKLOADS("numbers", "0.1.0", "Numbers, in C", "MIT OR Apache-2.0", "even_multiples", &EVEN_MULTIPLES);
