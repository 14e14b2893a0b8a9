/*
 * A library of one workload in C, which is a graph of tasks: the cheapest way through a grid, from one corner to the opposite one,
 * by steps to the right and down. A task is a cell. It needs the cells to the left and above, which are on the diagonal before.
 *
 *     cc -std=c99 -O2 -fPIC -shared -I plugin-api/include grid_workload.c plugin-api/kit/crossrun_workload_kit.c -o libgrid.so
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "crossrun_workload_kit.h"

enum { WIDTH };
static const crossrun_parameter PARAMETERS[] = {
    CROSSRUN_INTEGER_PARAMETER("width", "how many columns the grid has", 64, 1, 65536)};

static uint64_t columns_of(const crossrun_opened *opened) {
    return opened->values[WIDTH].integer;
}

static uint64_t rows_of(const crossrun_opened *opened) {
    return opened->total_items / columns_of(opened);
}

static uint64_t cost_of(const crossrun_opened *opened, uint64_t row, uint64_t column) {
    return crossrun_random(opened->seed, row * columns_of(opened) + column) % 1000;
}

/* ---- The graph: a step is a diagonal, and the point of a cell is its column ------------------------------------- */

static const char *size(const crossrun_opened *opened, crossrun_graph_size *size) {
    const uint64_t rows = rows_of(opened), columns = columns_of(opened);
    size->steps = rows == 0 ? 0 : rows + columns - 1;
    size->width = rows < columns ? rows : columns;
    size->output_bytes = 24;
    size->whole_rows = 1;
    return NULL;
}

static void row(const crossrun_opened *opened, uint32_t step, uint32_t *first, uint32_t *count) {
    const uint64_t rows = rows_of(opened), columns = columns_of(opened);
    const uint64_t last = step < columns ? step : columns - 1;
    *first = (uint32_t)(step < rows ? 0 : step - rows + 1);
    *count = (uint32_t)(last - *first + 1);
}

static void inputs(const crossrun_opened *opened, uint32_t step, uint32_t point, crossrun_inputs *out) {
    (void)opened;
    if (point > 0) crossrun_add_input(out, point - 1);
    if (point < step) crossrun_add_input(out, point);
}

/* An output is the step, the point, and the cost of the cheapest way to this cell, each 8 bytes. */
static void write_output(uint8_t *output, uint64_t step, uint64_t point, uint64_t cost) {
    crossrun_write_u64(output, step);
    crossrun_write_u64(output + 8, point);
    crossrun_write_u64(output + 16, cost);
}

static const char *task(
    const crossrun_opened *opened, uint32_t step, uint32_t point, const crossrun_slice *inputs, size_t count,
    uint8_t *output, size_t *length) {
    uint64_t least = step == 0 ? 0 : UINT64_MAX;
    uint32_t expected = point > 0 ? point - 1 : point;
    size_t at;
    if (count != (size_t)(point > 0) + (size_t)(point < step)) return "a cell does not have as many inputs as neighbours";
    for (at = 0; at < count; at++, expected++) {
        const uint8_t *input = inputs[at].data;
        if (inputs[at].length != 24 || crossrun_u64(input) + 1 != step || crossrun_u64(input + 8) != expected) {
            return "an input of a cell is not that of its neighbour";
        }
        if (crossrun_u64(input + 16) < least) least = crossrun_u64(input + 16);
    }
    write_output(output, step, point, least + cost_of(opened, step - point, point));
    *length = 24;
    return NULL;
}

/* ---- The oracle: row by row, along the steps of a way ----------------------------------------------------------- */

static const char *oracle(const crossrun_opened *opened, crossrun_items *sink) {
    const uint64_t rows = rows_of(opened), columns = columns_of(opened);
    uint64_t *ways = calloc(columns, sizeof *ways), row, column;
    uint8_t output[24];
    if (ways == NULL) return "out of memory";
    for (row = 0; row < rows; row++) {
        for (column = 0; column < columns; column++) {
            if (column > 0 && (row == 0 || ways[column - 1] < ways[column])) ways[column] = ways[column - 1];
            ways[column] += cost_of(opened, row, column);
        }
    }
    if (rows > 0) {
        write_output(output, rows + columns - 2, columns - 1, ways[columns - 1]);
        crossrun_push(sink, output, sizeof output);
    }
    free(ways);
    return NULL;
}

static const char *describe(const crossrun_opened *opened, uint32_t stage, crossrun_slice item, crossrun_bytes *out) {
    char json[128];
    (void)opened, (void)stage;
    if (item.length != 24) return "an output has 24 bytes";
    snprintf(
        json, sizeof json, "{\"step\":%" PRIu64 ",\"point\":%" PRIu64 ",\"cost\":%" PRIu64 "}", crossrun_u64(item.data),
        crossrun_u64(item.data + 8), crossrun_u64(item.data + 16));
    crossrun_append(out, json, strlen(json));
    return NULL;
}

static const crossrun_graph GRAPH = {.size = size, .row = row, .inputs = inputs, .task = task};
static const crossrun_definition CHEAPEST_WAY = {
    .name = "cheapest_way", .description = "The cheapest way through a grid", .parameters = PARAMETERS,
    .parameter_count = 1, .oracle = oracle, .describe = describe, .needs = "graph", .graph = &GRAPH};

CROSSRUN_WORKLOADS("grid", "0.1.0", "A graph of tasks in C", "MIT OR Apache-2.0", "cheapest_way", &CHEAPEST_WAY);
