/*
 * A graph of tasks: its size, its rows and their edges, and the call of a task.
 */
#ifndef CROSSRUN_GRAPH_H
#define CROSSRUN_GRAPH_H

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "crossrun_items.h"
#include "crossrun_workload_kit.h"

/* The graph of a workload that is open; `of` is null if the workload has none. */
struct graph {
    const crossrun_graph *of;
    const crossrun_opened *opened;
    crossrun_graph_size size;
};

/* The points of a row. */
struct row {
    uint32_t first, count;
};

struct crossrun_inputs {
    crossrun_bytes points;
};

void crossrun_add_input(crossrun_inputs *inputs, uint32_t point) {
    uint8_t bytes[4];
    put_u32(bytes, point);
    crossrun_append(&inputs->points, bytes, sizeof bytes);
}

/* The function that a graph lacks, or null. */
static const char *lacking_for_graph(const crossrun_graph *graph) {
    return graph->size == NULL ? "size" : graph->inputs == NULL ? "inputs" : graph->task == NULL ? "task" : NULL;
}

/* Asks the author for the size. Null, or why the workload cannot be opened. */
static const char *read_size(struct graph *graph) {
    crossrun_graph_size *size = &graph->size;
    const char *why;
    memset(size, 0, sizeof *size);
    why = graph->of->size(graph->opened, size);
    if (why != NULL) {
        return why;
    }
    if (size->steps > UINT32_MAX || size->width > UINT32_MAX || size->output_bytes > SIZE_MAX / 4) {
        return "the graph has more steps, points of a row or bytes of an output than a backend can have";
    }
    if (size->steps > 0 && size->width == 0) {
        return "the graph has steps, but no points";
    }
    /* By the width a backend knows that there is a graph. */
    size->width = size->width == 0 ? 1 : size->width;
    return NULL;
}

/* Asks the author for the points of a row, and checks them. */
static int32_t read_row(const struct graph *graph, uint32_t step, struct row *row, crossrun_buffer *error) {
    if (graph->of == NULL || step >= graph->size.steps) {
        return say(error, CROSSRUN_ARGUMENT, "this workload has no graph with a step %" PRIu32, step);
    }
    row->first = 0;
    row->count = (uint32_t)graph->size.width;
    if (graph->of->row != NULL) {
        graph->of->row(graph->opened, step, &row->first, &row->count);
    }
    if (row->count == 0 || row->count > graph->size.width || row->first > UINT32_MAX - row->count) {
        return say(
            error, CROSSRUN_OPERATOR,
            "step %" PRIu32 " of the graph has %" PRIu32 " points from %" PRIu32 " on, but a row has 1 to %" PRIu64, step,
            row->count, row->first, graph->size.width);
    }
    return CROSSRUN_OK;
}

/* Whether a row has a point. */
static int has_point(const struct row *row, uint32_t point) {
    return point >= row->first && point - row->first < row->count;
}

/* Adds the inputs of a task, which are points of the row before. */
static int32_t read_inputs(
    const struct graph *graph, uint32_t step, uint32_t point, const struct row *before, crossrun_inputs *inputs,
    crossrun_buffer *error) {
    size_t at = inputs->points.length;
    graph->of->inputs(graph->opened, step, point, inputs);
    for (; at < inputs->points.length; at += 4) {
        const uint32_t from = get_u32(inputs->points.data + at);
        if (!has_point(before, from)) {
            return say(
                error, CROSSRUN_OPERATOR,
                "point %" PRIu32 " of step %" PRIu32 " needs point %" PRIu32 ", which the step before does not have", point,
                step, from);
        }
    }
    return CROSSRUN_OK;
}

/* Adds the inputs of `count` tasks from the point `first` on, and appends to `ends` where those of each end. */
static int32_t read_edges(
    const struct graph *graph, uint32_t step, uint32_t first, uint32_t count, crossrun_inputs *ends,
    crossrun_inputs *inputs, crossrun_buffer *error) {
    struct row before = {0, 0};
    uint32_t place;
    int32_t status = step == 0 ? CROSSRUN_OK : read_row(graph, step - 1, &before, error);
    for (place = 0; status == CROSSRUN_OK && place < count; place++) {
        /* The first row has no inputs. */
        if (step > 0) {
            status = read_inputs(graph, step, first + place, &before, inputs, error);
        }
        if (status == CROSSRUN_OK && inputs->points.length / 4 > UINT32_MAX) {
            status = say(error, CROSSRUN_TOO_LARGE, "a row of the graph has more than 2^32 edges; ask for fewer points");
        }
        crossrun_add_input(ends, (uint32_t)(inputs->points.length / 4));
    }
    return status;
}

/* Answers with the edges of up to `count` tasks from the place `first` of a row on. */
static int32_t put_edges(
    const struct graph *graph, uint32_t step, uint32_t first, uint32_t count, crossrun_buffer *out) {
    crossrun_inputs words, inputs;
    struct row row;
    int32_t status = read_row(graph, step, &row, out);
    if (status != CROSSRUN_OK) {
        return status;
    }
    memset(&words, 0, sizeof words);
    memset(&inputs, 0, sizeof inputs);
    first = first < row.count ? first : row.count;
    count = count < row.count - first ? count : row.count - first;
    crossrun_add_input(&words, row.first);
    crossrun_add_input(&words, row.count);
    crossrun_add_input(&words, 0);
    status = read_edges(graph, step, row.first + first, count, &words, &inputs, out);
    if (status == CROSSRUN_OK) {
        crossrun_bytes answer = taken(out);
        crossrun_append(&answer, words.points.data, words.points.length);
        crossrun_append(&answer, inputs.points.data, inputs.points.length);
        answer.failed |= words.points.failed | inputs.points.failed;
        status = given(out, &answer) ? CROSSRUN_OK : out_of_memory(out);
    }
    free_bytes(&words.points);
    free_bytes(&inputs.points);
    return status;
}

/* A task with more inputs than this has memory for them of its own. */
enum { FEW_INPUTS = 16 };

/* Runs a task whose step and point exist, and which has room for its output. */
static int32_t call_task(
    const struct graph *graph, uint32_t step, uint32_t point, size_t count, const uint8_t *const *inputs,
    const size_t *lengths, uint8_t *output, size_t *output_length, crossrun_buffer *error) {
    crossrun_slice few[FEW_INPUTS] = {{NULL, 0}}, *all = count <= FEW_INPUTS ? few : calloc(count, sizeof *all);
    const char *why = NULL;
    size_t at, length = 0;
    int has_null = 0;
    if (all == NULL) {
        return out_of_memory(error);
    }
    for (at = 0; at < count; at++) {
        all[at].data = inputs[at];
        all[at].length = lengths[at];
        has_null |= inputs[at] == NULL;
    }
    if (!has_null) {
        why = graph->of->task(graph->opened, step, point, all, count, output, &length);
    }
    if (all != few) {
        free(all);
    }
    if (has_null) {
        return null_pointer(error, "input");
    }
    if (why != NULL) {
        return say(error, CROSSRUN_OPERATOR, "%s", why);
    }
    if (length > graph->size.output_bytes) {
        return say(
            error, CROSSRUN_OPERATOR, "an output has %" PRIu64 " bytes, but the graph says that it has at most %" PRIu64,
            (uint64_t)length, graph->size.output_bytes);
    }
    *output_length = length;
    return CROSSRUN_OK;
}

static int32_t run_task(
    const struct graph *graph, uint32_t step, uint32_t point, size_t count, const uint8_t *const *inputs,
    const size_t *lengths, uint8_t *output, size_t *output_length, crossrun_buffer *error) {
    struct row row;
    int32_t status;
    if (output == NULL || output_length == NULL || (count > 0 && (inputs == NULL || lengths == NULL))) {
        return say(error, CROSSRUN_ARGUMENT, "a pointer to inputs or to the output of a task is null");
    }
    status = read_row(graph, step, &row, error);
    if (status != CROSSRUN_OK) {
        return status;
    }
    if (!has_point(&row, point)) {
        return say(error, CROSSRUN_ARGUMENT, "step %" PRIu32 " of the graph has no point %" PRIu32, step, point);
    }
    if (*output_length < graph->size.output_bytes) {
        return say(
            error, CROSSRUN_ARGUMENT, "the output of a task needs %" PRIu64 " bytes, but there are %" PRIu64,
            graph->size.output_bytes, (uint64_t)*output_length);
    }
    return call_task(graph, step, point, count, inputs, lengths, output, output_length, error);
}

#endif
