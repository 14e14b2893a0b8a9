/*
 * The functions of a workload library, on top of what its author wrote: see crossrun_workload_kit.h. C99, and the
 * atomic built-ins of gcc and clang. It is the only file here to compile: the headers beside it are its parts.
 */
/* For the clock of an open loop, which C99 does not have. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crossrun_catalogue.h"
#include "crossrun_emitting.h"
#include "crossrun_graph.h"
#include "crossrun_items.h"
#include "crossrun_json.h"
#include "crossrun_open_loop.h"
#include "crossrun_opening.h"
#include "crossrun_operators.h"
#include "crossrun_spec.h"
#include "crossrun_states.h"
#include "crossrun_workload_kit.h"

/* ---- The catalogue ---------------------------------------------------------------------------------------------- */

CROSSRUN_EXPORT uint32_t crossrun_workload_abi_version(void) {
    return CROSSRUN_WORKLOAD_ABI_VERSION;
}

/* Appends the entry of a workload. Its graph is that of the defaults and of no items, so that nothing large is made. */
static int32_t put_default_entry(crossrun_bytes *json, const crossrun_definition *definition, crossrun_buffer *error) {
    const struct spec spec = {{NULL, 0, 0, 0}, 0, 42, NO_START, {NULL, NULL, NULL}, {NULL, NULL, NULL}, 0};
    const crossrun_workload *opened = NULL;
    int32_t status = demand_texts(definition, error);
    if (status == CROSSRUN_OK && definition->graph != NULL) {
        status = demand_functions(definition, error);
    }
    if (status == CROSSRUN_OK && definition->graph != NULL) {
        status = open_definition(definition, &spec, &opened, error);
    }
    if (status == CROSSRUN_OK) {
        put_entry(json, definition, opened == NULL ? NULL : &opened->graph.size);
    }
    crossrun_workload_close(opened);
    return status;
}

CROSSRUN_EXPORT int32_t crossrun_workload_catalogue(crossrun_buffer *out) {
    crossrun_bytes json = {NULL, 0, 0, 0};
    int32_t status = CROSSRUN_OK;
    size_t at;
    if (out == NULL) {
        return CROSSRUN_ARGUMENT;
    }
    json_put(&json, "[");
    for (at = 0; status == CROSSRUN_OK && crossrun_definitions[at] != NULL; at++) {
        json_put(&json, at == 0 ? "" : ",");
        status = put_default_entry(&json, crossrun_definitions[at], out);
    }
    json_put(&json, "]");
    if (status == CROSSRUN_OK) {
        crossrun_bytes answer = taken(out);
        crossrun_append(&answer, json.data, json.length);
        answer.failed |= json.failed;
        status = given(out, &answer) ? CROSSRUN_OK : out_of_memory(out);
    }
    free_bytes(&json);
    return status;
}

CROSSRUN_EXPORT int32_t crossrun_workload_plan(const crossrun_workload *workload, crossrun_buffer *out) {
    crossrun_bytes json;
    if (out == NULL) {
        return CROSSRUN_ARGUMENT;
    }
    if (workload == NULL) {
        return null_pointer(out, "workload");
    }
    json = taken(out);
    put_plan(&json, workload->definition, workload->graph.of == NULL ? NULL : &workload->graph.size);
    return given(out, &json) ? CROSSRUN_OK : out_of_memory(out);
}

/* ---- The outcome ------------------------------------------------------------------------------------------------ */

static int32_t put_outcome(
    const struct digest *digest, double waiting, const struct latencies *latencies, crossrun_buffer *out) {
    crossrun_bytes json = taken(out);
    char checksum[40];
    json_put(&json, "{\"count\":");
    json_put_whole(&json, digest->count);
    snprintf(checksum, sizeof checksum, "%016" PRIx64 "%016" PRIx64, digest->sum, digest->xored);
    json_put(&json, ",");
    put_name(&json, "checksum", checksum);
    if (waiting > 0) {
        json_put(&json, ",\"waiting_seconds\":");
        json_put_number(&json, waiting);
    }
    if (latencies != NULL) {
        put_latency(&json, latencies);
    }
    json_put(&json, "}");
    return given(out, &json) ? CROSSRUN_OK : out_of_memory(out);
}

CROSSRUN_EXPORT int32_t crossrun_workload_outcome(
    const crossrun_workload *workload, const uint8_t *sink, size_t length, crossrun_buffer *out) {
    struct digest digest;
    struct latencies latencies;
    int32_t status;
    if (out == NULL) {
        return CROSSRUN_ARGUMENT;
    }
    if (workload == NULL || sink == NULL || length > SIZE_MAX / 4) {
        return null_pointer(out, workload == NULL ? "workload" : "state of a sink");
    }
    if (decode_sink(workload, sink, length, &digest, &latencies)) {
        status = put_outcome(&digest, 0, is_open_loop(workload) ? &latencies : NULL, out);
    } else {
        status = say(out, CROSSRUN_MALFORMED, "%s", NO_SINK);
    }
    free_latencies(&latencies);
    return status;
}

CROSSRUN_EXPORT int32_t crossrun_workload_expected(const crossrun_workload *workload, crossrun_buffer *out) {
    const crossrun_definition *definition;
    struct digest digest = {0, 0, 0};
    crossrun_items items;
    const char *why;
    if (out == NULL) {
        return CROSSRUN_ARGUMENT;
    }
    if (workload == NULL) {
        return null_pointer(out, "workload");
    }
    definition = workload->definition;
    memset(&items, 0, sizeof items);
    items.digest = &digest;
    why = definition->oracle(&workload->opened, &items);
    if (why != NULL) {
        return say(out, CROSSRUN_OPERATOR, "%s", why);
    }
    return put_outcome(
        &digest, definition->waiting_seconds == NULL ? 0 : definition->waiting_seconds(&workload->opened), NULL, out);
}

CROSSRUN_EXPORT int32_t crossrun_workload_describe(
    const crossrun_workload *workload, uint32_t stage, const uint8_t *item, size_t length, crossrun_buffer *out) {
    crossrun_bytes json;
    crossrun_slice slice;
    struct stamp stamp = {0, 0, 0};
    const char *why;
    if (out == NULL) {
        return CROSSRUN_ARGUMENT;
    }
    if (workload == NULL || item == NULL || length > SIZE_MAX / 4) {
        return null_pointer(out, workload == NULL ? "workload" : "item");
    }
    if (stage >= sink_of(workload)) {
        return say(out, CROSSRUN_ARGUMENT, "no item leaves stage %" PRIu32 " of this workload", stage);
    }
    slice.data = item;
    slice.length = length;
    if (is_open_loop(workload) && !take_stamp(&slice, &stamp)) {
        return say(out, CROSSRUN_MALFORMED, "%s", NO_STAMP);
    }
    json = taken(out);
    why = workload->definition->describe == NULL
        ? NULL : workload->definition->describe(&workload->opened, stage, slice, &json);
    if (why == NULL && is_open_loop(workload)) {
        describe_stamp(&json, stamp);
    }
    if (!given(out, &json)) {
        return out_of_memory(out);
    }
    return why == NULL ? CROSSRUN_OK : say(out, CROSSRUN_OPERATOR, "%s", why);
}

CROSSRUN_EXPORT int32_t crossrun_workload_start(
    const crossrun_workload *workload, uint64_t nanos, crossrun_buffer *error) {
    if (error == NULL) {
        return CROSSRUN_ARGUMENT;
    }
    if (workload == NULL) {
        return null_pointer(error, "workload");
    }
    if (!is_open_loop(workload)) {
        return say(error, CROSSRUN_ARGUMENT, "the workload is no open loop, and has no start");
    }
    __atomic_store_n(&((crossrun_workload *)workload)->start, nanos, __ATOMIC_RELAXED);
    return CROSSRUN_OK;
}

CROSSRUN_EXPORT int32_t crossrun_workload_graph_edges(
    const crossrun_workload *workload, uint32_t step, uint32_t first, uint32_t count, crossrun_buffer *out) {
    if (out == NULL) {
        return CROSSRUN_ARGUMENT;
    }
    return workload == NULL ? null_pointer(out, "workload") : put_edges(&workload->graph, step, first, count, out);
}

CROSSRUN_EXPORT int32_t crossrun_workload_graph_task(
    const crossrun_workload *workload, uint32_t step, uint32_t point, size_t count, const uint8_t *const *inputs,
    const size_t *lengths, uint8_t *output, size_t *output_length, crossrun_buffer *error) {
    if (error == NULL) {
        return CROSSRUN_ARGUMENT;
    }
    return workload == NULL
        ? null_pointer(error, "workload")
        : run_task(&workload->graph, step, point, count, inputs, lengths, output, output_length, error);
}

CROSSRUN_EXPORT void crossrun_workload_buffer_free(crossrun_buffer *buffer) {
    if (buffer != NULL) {
        free(buffer->data);
        memset(buffer, 0, sizeof *buffer);
    }
}
