/*
 * A library of one workload in C: it sums the values of random readings for each sensor.
 *
 *     cc -std=c99 -O2 -fPIC -shared -I plugin-api/include sensors_workload.c plugin-api/kit/crossrun_workload_kit.c \
 *         -o libsensors.so
 */
#include <stdlib.h>

#include "crossrun_workload_kit.h"

enum { SENSORS };
static const crossrun_parameter PARAMETERS[] = {
    CROSSRUN_INTEGER_PARAMETER("sensors", "how many sensors there are", 100, 1, 1000000)};
static const crossrun_stage STAGES[] = {{CROSSRUN_STAGE_MAP, "reading"}, {CROSSRUN_STAGE_KEYED_REDUCE, "sum"}};

/* An item is a random number; a reading is its sensor and its value, each 8 bytes. */
static const char *source(const crossrun_opened *run, uint64_t index, crossrun_items *out) {
    uint8_t item[8];
    crossrun_write_u64(item, crossrun_random(run->seed, index));
    crossrun_push(out, item, sizeof item);
    return NULL;
}
static const char *apply(const crossrun_opened *run, uint32_t stage, crossrun_slice item, crossrun_items *out) {
    uint8_t reading[16];
    (void)stage;
    if (item.length != 8) return "an item is not 8 bytes";
    crossrun_write_u64(reading, crossrun_u64(item.data) % run->values[SENSORS].integer);
    crossrun_write_u64(reading + 8, crossrun_u64(item.data) >> 32);
    crossrun_push(out, reading, sizeof reading);
    return NULL;
}
static crossrun_slice key(const crossrun_opened *run, uint32_t stage, crossrun_slice item) {
    (void)run, (void)stage;
    item.length = item.length < 8 ? item.length : 8;
    return item;
}
/* The accumulator of a sensor is its sum. The last 8 bytes of `item` are the value of a reading; those of another sum, the sum. */
static const char *add(const crossrun_opened *run, uint32_t stage, crossrun_bytes *sum, crossrun_slice item) {
    uint8_t total[8] = {0};
    (void)run, (void)stage;
    if (item.length < 8 || (sum->length != 0 && sum->length != 8)) return "a reading or a sum has another length";
    crossrun_write_u64(total, (sum->length == 8 ? crossrun_u64(sum->data) : 0) + crossrun_u64(item.data + item.length - 8));
    sum->length = 0;
    crossrun_append(sum, total, sizeof total);
    return NULL;
}
static const char *emit(
    const crossrun_opened *run, uint32_t stage, crossrun_slice sensor, crossrun_slice sum, crossrun_items *out) {
    uint8_t item[16];
    (void)run, (void)stage;
    if (sensor.length != 8 || sum.length != 8) return "a sensor or a sum has another length";
    memcpy(item, sensor.data, 8);
    memcpy(item + 8, sum.data, 8);
    crossrun_push(out, item, sizeof item);
    return NULL;
}
/* The same without the functions above: a table of sums. */
static const char *oracle(const crossrun_opened *run, crossrun_items *sink) {
    const uint64_t sensors = run->values[SENSORS].integer;
    uint64_t (*sums)[2] = calloc(sensors, sizeof *sums), at;
    if (sums == NULL) return "out of memory";
    for (at = 0; at < run->total_items; at++) {
        const uint64_t number = crossrun_random(run->seed, at);
        sums[number % sensors][0]++;
        sums[number % sensors][1] += number >> 32;
    }
    for (at = 0; at < sensors; at++) {
        uint8_t item[16];
        crossrun_write_u64(item, at);
        crossrun_write_u64(item + 8, sums[at][1]);
        if (sums[at][0] > 0) crossrun_push(sink, item, sizeof item);
    }
    free(sums);
    return NULL;
}

static const crossrun_definition SENSOR_SUMS = {
    .name = "sensor_sums", .description = "Sums random readings by sensor",
    .parameters = PARAMETERS, .parameter_count = 1, .stages = STAGES, .stage_count = 2,
    .source = source, .apply = apply, .key = key, .fold = add, .merge = add, .emit = emit, .oracle = oracle};

CROSSRUN_WORKLOADS("sensors", "0.1.0", "Workloads of sensors, in C", "MIT OR Apache-2.0", "sensor_sums", &SENSOR_SUMS);
