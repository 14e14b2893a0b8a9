/*
 * The functions of a workload library, on top of what its author wrote: see crossrun_workload_kit.h. C99, and the
 * atomic built-ins of gcc and clang.
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
#include "crossrun_graph.h"
#include "crossrun_items.h"
#include "crossrun_json.h"
#include "crossrun_keyed.h"
#include "crossrun_open_loop.h"
#include "crossrun_spec.h"
#include "crossrun_workload_kit.h"

/* ---- A workload ------------------------------------------------------------------------------------------------- */

struct crossrun_workload {
    const crossrun_definition *definition;
    crossrun_opened opened;
    crossrun_value *values;
    /* The memory of the texts of the values. */
    crossrun_bytes *texts;
    /* The number of references, counted with the built-ins of gcc and clang. */
    size_t references;
    /* When an open loop starts, by the monotonic clock. Read and set with the same built-ins. */
    uint64_t start;
    /* Whether what has ended may be closed before the input ends. */
    int by_watermarks;
    struct graph graph;
};

static int is_open_loop(const crossrun_workload *workload) {
    return workload->definition->due != NULL;
}

static uint64_t start_of(const crossrun_workload *workload) {
    return __atomic_load_n(&workload->start, __ATOMIC_RELAXED);
}

static void free_workload(crossrun_workload *workload) {
    uint32_t at;
    for (at = 0; workload->texts != NULL && at < workload->definition->parameter_count; at++) {
        free_bytes(&workload->texts[at]);
    }
    free(workload->texts);
    free(workload->values);
    free(workload);
}

CROSSRUN_EXPORT void crossrun_workload_share(const crossrun_workload *workload) {
    if (workload != NULL) {
        __atomic_add_fetch(&((crossrun_workload *)workload)->references, 1, __ATOMIC_RELAXED);
    }
}

CROSSRUN_EXPORT void crossrun_workload_close(const crossrun_workload *workload) {
    crossrun_workload *own = (crossrun_workload *)workload;
    if (own != NULL && __atomic_sub_fetch(&own->references, 1, __ATOMIC_ACQ_REL) == 0) {
        if (own->definition->close != NULL) {
            own->definition->close(&own->opened);
        }
        free_workload(own);
    }
}

/* The number of the sink. */
static uint32_t sink_of(const crossrun_workload *workload) {
    return workload->definition->stage_count + 1;
}

static uint32_t kind_of(const crossrun_workload *workload, uint32_t stage) {
    if (stage == 0) {
        return CROSSRUN_STAGE_SOURCE;
    }
    return stage < sink_of(workload) ? workload->definition->stages[stage - 1].kind : CROSSRUN_STAGE_SINK;
}

static int is_stateless(uint32_t kind) {
    return kind == CROSSRUN_STAGE_MAP || kind == CROSSRUN_STAGE_FILTER || kind == CROSSRUN_STAGE_FLAT_MAP;
}

/* Whether the stages `from` to `to - 1` are a chain. */
static int is_chain(const crossrun_workload *workload, uint32_t from, uint32_t to) {
    uint32_t stage;
    if (from < 1 || from > to || to > sink_of(workload)) {
        return 0;
    }
    for (stage = from; stage < to; stage++) {
        if (!is_stateless(kind_of(workload, stage))) {
            return 0;
        }
    }
    return 1;
}

/* ---- Opening ---------------------------------------------------------------------------------------------------- */

/* Fills in the values of the parameters. */
static int32_t read_values(crossrun_workload *workload, const struct spec *spec, crossrun_buffer *error) {
    const crossrun_definition *definition = workload->definition;
    crossrun_bytes name = {NULL, 0, 0, 0};
    struct json json = spec->extra, value = {NULL, NULL, NULL};
    int32_t status = CROSSRUN_OK;
    uint32_t at;
    int first = 1;
    for (at = 0; at < definition->parameter_count; at++) {
        if (!default_value(&definition->parameters[at], &workload->values[at], &workload->texts[at])) {
            return out_of_memory(error);
        }
    }
    if (json.at != NULL) {
        json_take(&json, '{');
        while (status == CROSSRUN_OK && json_field(&json, &first, &name, &value)) {
            for (at = 0; at < definition->parameter_count; at++) {
                const crossrun_parameter *parameter = &definition->parameters[at];
                if (status == CROSSRUN_OK && is(&name, parameter->name)
                    && !read_value(parameter, value, &workload->values[at], &workload->texts[at])) {
                    status = outside(error, parameter, &value);
                }
            }
        }
        free_bytes(&name);
    }
    return status;
}

static const crossrun_definition *find(const crossrun_bytes *name) {
    size_t at;
    for (at = 0; crossrun_definitions[at] != NULL; at++) {
        if (is(name, crossrun_definitions[at]->name)) {
            return crossrun_definitions[at];
        }
    }
    return NULL;
}

static int32_t unknown(crossrun_buffer *error, const crossrun_bytes *name) {
    crossrun_bytes message = {NULL, 0, 0, 0};
    size_t at;
    int32_t status;
    json_put(&message, "there is no workload ");
    json_put_text(&message, (const char *)name->data, name->length);
    json_put(&message, " in this library; it has ");
    for (at = 0; crossrun_definitions[at] != NULL; at++) {
        json_put(&message, at == 0 ? "" : ", ");
        json_put(&message, crossrun_definitions[at]->name);
    }
    status = say(error, CROSSRUN_SPEC, "%.*s", (int)message.length, message.failed ? "" : (char *)message.data);
    free_bytes(&message);
    return status;
}

/* The first function that a stage of this kind needs and the workload lacks, or null. */
static const char *lacking_for(const crossrun_definition *definition, uint32_t kind) {
    if (kind == CROSSRUN_STAGE_KEYED_REDUCE) {
        return definition->fold == NULL    ? "fold"
               : definition->merge == NULL ? "merge"
               : definition->emit == NULL  ? "emit"
                                           : NULL;
    }
    return definition->apply == NULL ? "apply" : NULL;
}

/* Refuses a graph that lacks a function, and a workload that has something beside its graph. */
static int32_t demand_graph(const crossrun_definition *definition, crossrun_buffer *error) {
    const char *lacking = lacking_for_graph(definition->graph);
    if (lacking != NULL) {
        return say(
            error, CROSSRUN_SPEC, "workload \"%s\" lacks the function %s, which its graph needs", definition->name, lacking);
    }
    if (definition->stage_count > 0 || definition->due != NULL) {
        return say(
            error, CROSSRUN_SPEC, "workload \"%s\" has a graph and %s, but a workload with a graph has nothing else to run",
            definition->name, definition->due != NULL ? "items that are due" : "stages");
    }
    if (!names_word(definition->needs, "graph")) {
        return say(
            error, CROSSRUN_SPEC, "workload \"%s\" has a graph, but does not need the word of its backend: add .needs = \"graph\"",
            definition->name);
    }
    return CROSSRUN_OK;
}

static int has_reduction(const crossrun_definition *definition) {
    uint32_t at;
    for (at = 0; at < definition->stage_count; at++) {
        if (definition->stages[at].kind == CROSSRUN_STAGE_KEYED_REDUCE) {
            return 1;
        }
    }
    return 0;
}

static int knows_watermarks(const crossrun_definition *definition) {
    return names_word(definition->uses, "watermarks") || names_word(definition->needs, "watermarks");
}

/* The first function that a workload with watermarks lacks, or null. */
static const char *lacking_for_watermarks(const crossrun_definition *definition) {
    if (definition->watermark == NULL) {
        return "watermark";
    }
    if (!has_reduction(definition)) {
        return NULL;
    }
    return definition->ends == NULL         ? "ends"
           : definition->closes == NULL     ? "closes"
           : definition->emit_ended == NULL ? "emit_ended"
                                            : NULL;
}

/* Refuses watermarks that lack a function, and an open loop of which it is not known when its results are due. */
static int32_t demand_watermarks(const crossrun_definition *definition, int is_granted, crossrun_buffer *error) {
    const int is_known = knows_watermarks(definition);
    const char *lacking = is_known ? lacking_for_watermarks(definition) : NULL;
    if (lacking != NULL) {
        return say(
            error, CROSSRUN_SPEC, "workload \"%s\" lacks the function %s, which its watermarks need", definition->name, lacking);
    }
    if (definition->due != NULL && has_reduction(definition) && !(is_known && is_granted)) {
        return say(
            error, CROSSRUN_SPEC,
            "workload \"%s\" is an open loop with a keyed reduction: when its results are due follows from watermarks, which %s",
            definition->name, is_known ? "the host or the backend does not support" : "it does not use");
    }
    return CROSSRUN_OK;
}

/* Refuses a workload without the functions that its stages need. */
static int32_t demand_functions(const crossrun_definition *definition, crossrun_buffer *error) {
    const int lacks_source = definition->source == NULL && definition->graph == NULL;
    const char *lacking = lacks_source ? "source" : definition->oracle == NULL ? "oracle" : NULL;
    uint32_t at;
    if (definition->graph != NULL && lacking == NULL) {
        return demand_graph(definition, error);
    }
    if (lacking != NULL) {
        return say(
            error, CROSSRUN_SPEC, "workload \"%s\" lacks the function %s, which every workload needs", definition->name,
            lacking);
    }
    for (at = 0; at < definition->stage_count; at++) {
        const crossrun_stage *stage = &definition->stages[at];
        if (stage->kind != CROSSRUN_STAGE_KEYED_REDUCE && !is_stateless(stage->kind)) {
            return say(
                error, CROSSRUN_SPEC, "stage \"%s\" of workload \"%s\" has kind %" PRIu32 ", which is none between source and sink",
                stage->name, definition->name, stage->kind);
        }
        lacking = lacking_for(definition, stage->kind);
        if (lacking != NULL) {
            return say(
                error, CROSSRUN_SPEC, "workload \"%s\" lacks the function %s, which its stage \"%s\" needs", definition->name,
                lacking, stage->name);
        }
    }
    return CROSSRUN_OK;
}

static int grants_watermarks(const struct spec *spec) {
    static const char WORD[] = "watermarks";
    return has_word(spec->granted, WORD, sizeof WORD - 1);
}

static int32_t open_definition(
    const crossrun_definition *definition, const struct spec *spec, const crossrun_workload **opened,
    crossrun_buffer *error) {
    const size_t parameters = (size_t)definition->parameter_count + 1;
    crossrun_workload *workload = calloc(1, sizeof *workload);
    const char *why;
    int32_t status;
    if (workload == NULL) {
        return out_of_memory(error);
    }
    workload->definition = definition;
    workload->references = 1;
    workload->values = calloc(parameters, sizeof *workload->values);
    workload->texts = calloc(parameters, sizeof *workload->texts);
    workload->opened.total_items = spec->total_items;
    workload->opened.seed = spec->seed;
    workload->start = spec->start != 0 ? spec->start : monotonic_nanos();
    workload->by_watermarks = grants_watermarks(spec) && knows_watermarks(definition);
    workload->opened.values = workload->values;
    if (workload->values == NULL || workload->texts == NULL) {
        free_workload(workload);
        return out_of_memory(error);
    }
    status = read_values(workload, spec, error);
    if (status == CROSSRUN_OK && definition->open != NULL && (why = definition->open(&workload->opened)) != NULL) {
        status = say(error, CROSSRUN_SPEC, "%s", why);
    }
    if (status != CROSSRUN_OK) {
        free_workload(workload);
        return status;
    }
    workload->graph.of = definition->graph;
    workload->graph.opened = &workload->opened;
    if (definition->graph != NULL && (why = read_size(&workload->graph)) != NULL) {
        crossrun_workload_close(workload);
        return say(error, CROSSRUN_SPEC, "%s", why);
    }
    *opened = workload;
    return CROSSRUN_OK;
}

CROSSRUN_EXPORT int32_t crossrun_workload_open(
    const uint8_t *text, size_t length, const crossrun_workload **opened, crossrun_buffer *error) {
    struct spec spec = {{NULL, 0, 0, 0}, 10, 42, 0, {NULL, NULL, NULL}, {NULL, NULL, NULL}, 0};
    const crossrun_definition *definition;
    const char *why, *word;
    int32_t status;
    if (error == NULL) {
        return CROSSRUN_ARGUMENT;
    }
    if (text == NULL || opened == NULL || length > SIZE_MAX / 4) {
        return null_pointer(error, text == NULL || opened != NULL ? "spec" : "place for the workload");
    }
    why = read_spec(&spec, text, length);
    definition = why == NULL ? find(&spec.name) : NULL;
    if (why != NULL) {
        status = say(error, CROSSRUN_SPEC, "the spec is not valid: %s", why);
    } else if (definition == NULL) {
        status = unknown(error, &spec.name);
    } else if ((word = lacking(&spec, definition->needs)) != NULL) {
        status = say(
            error, CROSSRUN_SPEC, "workload \"%s\" needs %.*s, which the host or the backend does not support",
            definition->name, (int)word_length(word), word);
    } else {
        /* What no function mends is said first. */
        status = demand_watermarks(definition, grants_watermarks(&spec), error);
        if (status == CROSSRUN_OK) {
            status = demand_functions(definition, error);
        }
        if (status == CROSSRUN_OK) {
            status = open_definition(definition, &spec, opened, error);
        }
    }
    free_bytes(&spec.name);
    return status;
}

/* ---- The catalogue ---------------------------------------------------------------------------------------------- */

CROSSRUN_EXPORT uint32_t crossrun_workload_abi_version(void) {
    return CROSSRUN_WORKLOAD_ABI_VERSION;
}

/* Appends the entry of a workload. Its graph is that of the defaults and of no items, so that nothing large is made. */
static int32_t put_default_entry(crossrun_bytes *json, const crossrun_definition *definition, crossrun_buffer *error) {
    const struct spec spec = {{NULL, 0, 0, 0}, 0, 42, 0, {NULL, NULL, NULL}, {NULL, NULL, NULL}, 0};
    const crossrun_workload *opened = NULL;
    int32_t status = definition->graph == NULL ? CROSSRUN_OK : demand_functions(definition, error);
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

/* ---- Operators -------------------------------------------------------------------------------------------------- */

/* The items as a batch to read. */
static struct batch viewed(const crossrun_items *items) {
    struct batch batch;
    batch.count = (uint32_t)items->count;
    batch.ends = items->ends.data;
    batch.bytes = slice_of(&items->bytes).data;
    return batch;
}

/* Hands a whole batch to the author, and checks that the stage made as many items as its kind allows. */
static int32_t call_batch(
    const crossrun_workload *workload, uint32_t stage, const crossrun_slice *items, uint32_t count, crossrun_items *out,
    crossrun_buffer *error) {
    const uint32_t kind = kind_of(workload, stage);
    const char *why = workload->definition->apply_batch(&workload->opened, stage, items, count, out);
    if (why != NULL) {
        return say(error, CROSSRUN_OPERATOR, "%s", why);
    }
    if (out->too_large) {
        return too_large(error);
    }
    if (out->bytes.failed || out->ends.failed) {
        return out_of_memory(error);
    }
    if ((kind == CROSSRUN_STAGE_MAP && out->count != count) || (kind == CROSSRUN_STAGE_FILTER && out->count > count)) {
        return say(
            error, CROSSRUN_OPERATOR, "stage %" PRIu32 " is a %s, but made %" PRIu64 " items of %" PRIu32, stage,
            kind == CROSSRUN_STAGE_MAP ? "map" : "filter", out->count, count);
    }
    return CROSSRUN_OK;
}

/* As `call_batch` for a map of an open loop: the item that it made of each gets the stamp behind that one. */
static int32_t map_stamped(
    const crossrun_workload *workload, uint32_t stage, const crossrun_slice *items, uint32_t count, crossrun_items *out,
    crossrun_buffer *error) {
    crossrun_items made;
    int32_t status;
    memset(&made, 0, sizeof made);
    status = call_batch(workload, stage, items, count, &made, error);
    if (status == CROSSRUN_OK) {
        const struct batch batch = viewed(&made);
        uint32_t at;
        for (at = 0; at < count; at++) {
            const crossrun_slice item = item_of(&batch, at);
            out->stamp = items[at].data + items[at].length;
            crossrun_push(out, item.data, item.length);
        }
        out->stamp = NULL;
        status = out->too_large ? too_large(error) : CROSSRUN_OK;
    }
    free_items(&made);
    return status;
}

/* Applies one stage to a batch by the author's function for whole batches. */
static int32_t apply_batch(
    const crossrun_workload *workload, uint32_t stage, const struct batch *batch, crossrun_items *out,
    crossrun_buffer *error) {
    crossrun_slice *items = calloc((size_t)batch->count + 1, sizeof *items);
    struct stamp stamp;
    uint32_t at;
    int32_t status = CROSSRUN_OK;
    clear_items(out);
    if (items == NULL) {
        return out_of_memory(error);
    }
    for (at = 0; status == CROSSRUN_OK && at < batch->count; at++) {
        items[at] = item_of(batch, at);
        if (is_open_loop(workload) && !take_stamp(&items[at], &stamp)) {
            status = say(error, CROSSRUN_MALFORMED, "%s", NO_STAMP);
        }
    }
    if (status == CROSSRUN_OK) {
        status = (is_open_loop(workload) ? map_stamped : call_batch)(workload, stage, items, batch->count, out, error);
    }
    free(items);
    return status;
}

/* Applies one stage to a batch, and checks that each item becomes as many items as the stage's kind allows. */
static int32_t apply(
    const crossrun_workload *workload, uint32_t stage, const struct batch *batch, crossrun_items *out,
    crossrun_buffer *error) {
    const uint32_t kind = kind_of(workload, stage);
    struct stamp stamp;
    uint32_t at;
    if (workload->definition->apply_batch != NULL && (kind == CROSSRUN_STAGE_MAP || !is_open_loop(workload))) {
        return apply_batch(workload, stage, batch, out, error);
    }
    clear_items(out);
    for (at = 0; at < batch->count; at++) {
        const uint64_t before = out->count;
        crossrun_slice item = item_of(batch, at);
        const char *why;
        uint64_t made;
        /* All items that are made of an item get its stamp. */
        if (is_open_loop(workload) && !take_stamp(&item, &stamp)) {
            return say(error, CROSSRUN_MALFORMED, "%s", NO_STAMP);
        }
        out->stamp = is_open_loop(workload) ? item.data + item.length : NULL;
        why = workload->definition->apply(&workload->opened, stage, item, out);
        out->stamp = NULL;
        made = out->count - before;
        if (why != NULL) {
            return say(error, CROSSRUN_OPERATOR, "%s", why);
        }
        if (out->too_large) {
            return too_large(error);
        }
        if ((kind == CROSSRUN_STAGE_MAP && made != 1) || (kind == CROSSRUN_STAGE_FILTER && made > 1)) {
            return say(
                error, CROSSRUN_OPERATOR, "stage %" PRIu32 " is a %s, but made %" PRIu64 " items of one", stage,
                kind == CROSSRUN_STAGE_MAP ? "map" : "filter", made);
        }
    }
    return CROSSRUN_OK;
}

/* Applies the stages `from` to `to - 1` to `items`, and writes the result into `out`. */
static int32_t run_chain(
    const crossrun_workload *workload, uint32_t from, uint32_t to, crossrun_items *items, crossrun_buffer *out) {
    crossrun_items next;
    int32_t status = CROSSRUN_OK;
    memset(&next, 0, sizeof next);
    for (; status == CROSSRUN_OK && from < to; from++) {
        const struct batch batch = viewed(items);
        const crossrun_items swap = *items;
        if (items->bytes.failed || items->ends.failed) {
            break;
        }
        status = apply(workload, from, &batch, &next, out);
        *items = next;
        next = swap;
    }
    if (status == CROSSRUN_OK) {
        status = encode_items(items, out);
    }
    free_items(&next);
    return status;
}

static int32_t no_chain(crossrun_buffer *out, uint32_t from, uint32_t to) {
    return say(
        out, CROSSRUN_ARGUMENT, "stages %" PRIu32 "..%" PRIu32 " are not a chain of maps, filters and flat maps", from,
        to);
}

CROSSRUN_EXPORT int32_t crossrun_workload_source(
    const crossrun_workload *workload, uint64_t first, uint64_t count, uint32_t to, crossrun_buffer *out) {
    crossrun_items items;
    uint8_t stamp[STAMP_LENGTH];
    uint64_t at;
    int32_t status = CROSSRUN_OK;
    if (out == NULL) {
        return CROSSRUN_ARGUMENT;
    }
    if (workload == NULL) {
        return null_pointer(out, "workload");
    }
    if (workload->definition->source == NULL) {
        return say(out, CROSSRUN_ARGUMENT, "this workload runs a graph of tasks, and makes no items");
    }
    if (!is_chain(workload, 1, to)) {
        return no_chain(out, 1, to);
    }
    if (first > workload->opened.total_items || count > workload->opened.total_items - first) {
        return say(
            out, CROSSRUN_ARGUMENT,
            "the source has %" PRIu64 " items, so it has no %" PRIu64 " from number %" PRIu64 " on",
            workload->opened.total_items, count, first);
    }
    memset(&items, 0, sizeof items);
    for (at = 0; status == CROSSRUN_OK && at < count; at++) {
        const char *why;
        if (is_open_loop(workload)) {
            write_stamp(stamp, await_due(start_of(workload), workload->definition->due(&workload->opened, first + at)));
            items.stamp = stamp;
        }
        why = workload->definition->source(&workload->opened, first + at, &items);
        if (why != NULL) {
            status = say(out, CROSSRUN_OPERATOR, "%s", why);
        } else if (items.too_large) {
            status = too_large(out);
        } else if (items.count != at + 1) {
            status = say(out, CROSSRUN_OPERATOR, "the source did not make one item of number %" PRIu64, first + at);
        } else if (items.bytes.failed || items.ends.failed) {
            break;
        }
    }
    items.stamp = NULL;
    if (status == CROSSRUN_OK) {
        status = run_chain(workload, 1, to, &items, out);
    }
    free_items(&items);
    return status;
}

CROSSRUN_EXPORT int32_t crossrun_workload_run_stages(
    const crossrun_workload *workload, uint32_t from, uint32_t to, const uint8_t *encoded, size_t length,
    crossrun_buffer *out) {
    struct batch batch;
    crossrun_items items;
    const char *why;
    uint32_t at;
    int32_t status = CROSSRUN_OK;
    if (out == NULL) {
        return CROSSRUN_ARGUMENT;
    }
    if (workload == NULL || encoded == NULL || length > SIZE_MAX / 4) {
        return null_pointer(out, workload == NULL ? "workload" : "batch");
    }
    why = parse_batch(encoded, length, &batch);
    if (why != NULL) {
        return say(out, CROSSRUN_MALFORMED, "%s", why);
    }
    if (!is_chain(workload, from, to)) {
        return no_chain(out, from, to);
    }
    memset(&items, 0, sizeof items);
    if (from == to) {
        for (at = 0; at < batch.count; at++) {
            const crossrun_slice item = item_of(&batch, at);
            crossrun_push(&items, item.data, item.length);
        }
    } else {
        status = apply(workload, from++, &batch, &items, out);
    }
    if (status == CROSSRUN_OK) {
        status = run_chain(workload, from, to, &items, out);
    }
    free_items(&items);
    return status;
}

/* The key of an item without its stamp. */
static crossrun_slice key_of(const crossrun_workload *workload, uint32_t stage, crossrun_slice item) {
    return workload->definition->key == NULL ? item : workload->definition->key(&workload->opened, stage, item);
}

/* Gives the key of an item, of which the author does not see the stamp; returns 0 if it has none in an open loop. */
static int take_key(const crossrun_workload *workload, uint32_t stage, crossrun_slice item, crossrun_slice *key) {
    struct stamp stamp;
    if (is_open_loop(workload) && !take_stamp(&item, &stamp)) {
        return 0;
    }
    *key = key_of(workload, stage, item);
    return 1;
}

CROSSRUN_EXPORT int32_t crossrun_workload_split(
    const crossrun_workload *workload, uint32_t stage, const uint8_t *encoded, size_t length, uint32_t partitions,
    crossrun_buffer *outs, crossrun_buffer *error) {
    struct batch batch;
    crossrun_items *parts;
    const char *why;
    uint32_t at;
    int32_t status = CROSSRUN_OK;
    if (error == NULL) {
        return CROSSRUN_ARGUMENT;
    }
    if (workload == NULL || encoded == NULL || length > SIZE_MAX / 4) {
        return null_pointer(error, workload == NULL ? "workload" : "batch");
    }
    if (outs == NULL || partitions < 1 || partitions > CROSSRUN_MAX_PARTITIONS) {
        return say(
            error, CROSSRUN_ARGUMENT, "split needs buffers for 1 to %" PRIu32 " partitions", CROSSRUN_MAX_PARTITIONS);
    }
    why = parse_batch(encoded, length, &batch);
    if (why != NULL) {
        return say(error, CROSSRUN_MALFORMED, "%s", why);
    }
    if (kind_of(workload, stage) != CROSSRUN_STAGE_KEYED_REDUCE) {
        return say(error, CROSSRUN_ARGUMENT, "stage %" PRIu32 " is no keyed reduction of this workload", stage);
    }
    parts = calloc(partitions, sizeof *parts);
    if (parts == NULL) {
        return out_of_memory(error);
    }
    for (at = 0; status == CROSSRUN_OK && at < batch.count; at++) {
        const crossrun_slice item = item_of(&batch, at);
        crossrun_slice key;
        if (take_key(workload, stage, item, &key)) {
            /* This mixes the hash differently than the states' tables do, so that the keys of a partition do not collide there. */
            const uint64_t hash = crossrun_random(1, xxh3_64(key.data, key.length)) >> 32;
            crossrun_push(&parts[hash * partitions >> 32], item.data, item.length);
        } else {
            status = say(error, CROSSRUN_MALFORMED, "%s", NO_STAMP);
        }
    }
    for (at = 0; at < partitions; at++) {
        if (status == CROSSRUN_OK && (status = encode_items(&parts[at], &outs[at])) != CROSSRUN_OK) {
            say(error, status, "%.*s", (int)outs[at].length, outs[at].length == 0 ? "" : (char *)outs[at].data);
        }
        free_items(&parts[at]);
    }
    free(parts);
    return status;
}

CROSSRUN_EXPORT int32_t crossrun_workload_keys(
    const crossrun_workload *workload, uint32_t stage, const uint8_t *encoded, size_t length, crossrun_buffer *out) {
    struct batch batch;
    crossrun_items keys;
    const char *why;
    uint32_t at;
    int32_t status = CROSSRUN_OK;
    if (out == NULL) {
        return CROSSRUN_ARGUMENT;
    }
    if (workload == NULL || encoded == NULL || length > SIZE_MAX / 4) {
        return null_pointer(out, workload == NULL ? "workload" : "batch");
    }
    why = parse_batch(encoded, length, &batch);
    if (why != NULL) {
        return say(out, CROSSRUN_MALFORMED, "%s", why);
    }
    if (kind_of(workload, stage) != CROSSRUN_STAGE_KEYED_REDUCE) {
        return say(out, CROSSRUN_ARGUMENT, "stage %" PRIu32 " is no keyed reduction of this workload", stage);
    }
    memset(&keys, 0, sizeof keys);
    for (at = 0; status == CROSSRUN_OK && at < batch.count; at++) {
        crossrun_slice key;
        if (take_key(workload, stage, item_of(&batch, at), &key)) {
            crossrun_push(&keys, key.data, key.length);
        } else {
            status = say(out, CROSSRUN_MALFORMED, "%s", NO_STAMP);
        }
    }
    if (status == CROSSRUN_OK) {
        status = encode_items(&keys, out);
    }
    free_items(&keys);
    return status;
}

/* ---- States ----------------------------------------------------------------------------------------------------- */

struct crossrun_state {
    const crossrun_workload *workload;
    uint32_t stage;
    int is_sink;
    struct digest digest;
    struct latencies latencies;
    struct keyed keyed;
    /* Whether it was closed, and the latest time at which it was. The entries are a heap from then on. */
    int is_closing;
    uint64_t closed;
    /* Whether it is known when what ends at `asked_end` is due, and when that is. */
    int knows_due;
    uint64_t asked_end, due;
};

CROSSRUN_EXPORT void crossrun_workload_state_free(crossrun_state *state) {
    if (state != NULL) {
        free_keyed(&state->keyed);
        free_latencies(&state->latencies);
        crossrun_workload_close(state->workload);
        free(state);
    }
}

CROSSRUN_EXPORT int32_t crossrun_workload_state_new(
    const crossrun_workload *workload, uint32_t stage, crossrun_state **state, crossrun_buffer *error) {
    crossrun_state *made;
    if (error == NULL) {
        return CROSSRUN_ARGUMENT;
    }
    if (workload == NULL || state == NULL) {
        return null_pointer(error, workload == NULL ? "workload" : "place for the state");
    }
    if (stage != sink_of(workload) && kind_of(workload, stage) != CROSSRUN_STAGE_KEYED_REDUCE) {
        return say(error, CROSSRUN_ARGUMENT, "stage %" PRIu32 " is no keyed reduction of this workload", stage);
    }
    made = calloc(1, sizeof *made);
    if (made == NULL) {
        return out_of_memory(error);
    }
    crossrun_workload_share(workload);
    made->workload = workload;
    made->stage = stage;
    made->is_sink = stage == sink_of(workload);
    *state = made;
    return CROSSRUN_OK;
}

/* Takes an item into a sink. All items of a batch arrive together, at `now`. Null, or why it cannot be taken in. */
static const char *arrive(crossrun_state *state, crossrun_slice item, uint64_t now) {
    struct stamp stamp;
    if (is_open_loop(state->workload)) {
        if (!take_stamp(&item, &stamp)) {
            return NO_STAMP;
        }
        if (!record_arrival(&state->latencies, stamp, now)) {
            return "out of memory";
        }
    }
    digest_item(&state->digest, item.data, item.length);
    return NULL;
}

/* Why a sink of an open loop cannot be: no plan has both reach its sink. */
static const char BOTH_KINDS[] = "a sink has items that a source made and results of a keyed reduction";

/* Folds the items of a batch into a sink. */
static int32_t fold_into_sink(crossrun_state *state, const struct batch *batch, crossrun_buffer *error) {
    const int has_times = is_open_loop(state->workload);
    const uint64_t now = has_times ? run_clock(start_of(state->workload)) : 0;
    uint32_t at;
    for (at = 0; at < batch->count; at++) {
        const char *why = arrive(state, item_of(batch, at), now);
        if (why != NULL) {
            return say(error, why == NO_STAMP ? CROSSRUN_MALFORMED : CROSSRUN_OPERATOR, "%s", why);
        }
    }
    return has_times && !are_of(&state->latencies, state->digest.count)
        ? say(error, CROSSRUN_MALFORMED, "%s", BOTH_KINDS) : CROSSRUN_OK;
}

/* When the first part of an accumulator ends. */
static const char *ask_end(
    const crossrun_state *state, crossrun_slice key, crossrun_slice accumulator, uint64_t *end) {
    const crossrun_workload *workload = state->workload;
    *end = NEVER;
    return workload->definition->closes(&workload->opened, state->stage, key, accumulator, end);
}

/* What a function of the author that said `why`, or null, means for a call. What comes now and ended at `end` may come too late. */
static int32_t in_time(const crossrun_state *state, const char *why, uint64_t end, crossrun_buffer *error) {
    if (why != NULL) {
        return say(error, CROSSRUN_OPERATOR, "%s", why);
    }
    if (end <= state->closed) {
        return say(
            error, CROSSRUN_OPERATOR, "what ended at time %" PRIu64 " came after the state was closed at time %" PRIu64, end,
            state->closed);
    }
    return CROSSRUN_OK;
}

/* Ends the fold or the merge of an entry, of which the author said `why` or null: in a state that was closed, it may close now at
 * another time. */
static int32_t changed(crossrun_state *state, struct entry *entry, const char *why, crossrun_buffer *error) {
    struct keyed *keyed = &state->keyed;
    uint64_t end = NEVER;
    if (why == NULL && entry->accumulator.failed) {
        why = "out of memory";
    }
    if (why == NULL && state->is_closing) {
        why = ask_end(state, slice_of(&entry->key), slice_of(&entry->accumulator), &end);
    }
    if (why != NULL) {
        return say(error, CROSSRUN_OPERATOR, "%s", why);
    }
    if (state->is_closing) {
        set_end(keyed, (size_t)(entry - keyed->entries), end);
    }
    return CROSSRUN_OK;
}

/* Folds an item into the accumulator of its key. */
static int32_t fold_item(crossrun_state *state, crossrun_slice item, crossrun_buffer *error) {
    const crossrun_workload *workload = state->workload;
    const crossrun_definition *definition = workload->definition;
    struct entry *entry;
    struct stamp stamp;
    int32_t status = CROSSRUN_OK;
    if (is_open_loop(workload) && !take_stamp(&item, &stamp)) {
        return say(error, CROSSRUN_MALFORMED, "%s", NO_STAMP);
    }
    if (state->is_closing) {
        uint64_t end = NEVER;
        const char *why = definition->ends(&workload->opened, state->stage, item, &end);
        status = in_time(state, why, end, error);
    }
    if (status != CROSSRUN_OK) {
        return status;
    }
    entry = entry_of(&state->keyed, key_of(workload, state->stage, item));
    if (entry == NULL) {
        return out_of_memory(error);
    }
    return changed(
        state, entry, definition->fold(&workload->opened, state->stage, &entry->accumulator, item), error);
}

CROSSRUN_EXPORT int32_t crossrun_workload_state_fold(
    crossrun_state *state, const uint8_t *encoded, size_t length, crossrun_buffer *error) {
    struct batch batch;
    const char *why;
    uint32_t at;
    int32_t status = CROSSRUN_OK;
    if (error == NULL) {
        return CROSSRUN_ARGUMENT;
    }
    if (state == NULL || encoded == NULL || length > SIZE_MAX / 4) {
        return null_pointer(error, state == NULL ? "state" : "batch");
    }
    why = parse_batch(encoded, length, &batch);
    if (why != NULL) {
        return say(error, CROSSRUN_MALFORMED, "%s", why);
    }
    if (state->is_sink) {
        return fold_into_sink(state, &batch, error);
    }
    for (at = 0; status == CROSSRUN_OK && at < batch.count; at++) {
        status = fold_item(state, item_of(&batch, at), error);
    }
    return status;
}

/* The first bytes of the encoded state of a sink; count, sum and xor follow as u64, and the latencies of an open loop. */
static const uint8_t SINK[8] = {'c', 'r', 'c', 'k', 'i', 't', 1, 0};
enum { SINK_LENGTH = 32 };

/* Reads the state of a sink of the workload. `latencies` has memory afterwards, whatever comes of it. */
static int decode_sink(
    const crossrun_workload *workload, const uint8_t *encoded, size_t length, struct digest *digest,
    struct latencies *latencies) {
    crossrun_slice rest;
    memset(latencies, 0, sizeof *latencies);
    if (length < SINK_LENGTH || memcmp(encoded, SINK, sizeof SINK) != 0) {
        return 0;
    }
    digest->count = crossrun_u64(encoded + 8);
    digest->sum = crossrun_u64(encoded + 16);
    digest->xored = crossrun_u64(encoded + 24);
    rest.data = encoded + SINK_LENGTH;
    rest.length = length - SINK_LENGTH;
    return is_open_loop(workload) ? decode_latencies(rest, digest->count, latencies) : rest.length == 0;
}

static const char NO_SINK[] = "these bytes are no state of a sink of this workload";

/* Adds the encoded state of a sink to a sink. */
static int32_t merge_sink(crossrun_state *state, const uint8_t *encoded, size_t length, crossrun_buffer *error) {
    struct digest digest;
    struct latencies latencies;
    const int is_sink = decode_sink(state->workload, encoded, length, &digest, &latencies);
    const int is_merged = is_sink && merge_latencies(&state->latencies, &latencies);
    free_latencies(&latencies);
    if (!is_sink) {
        return say(error, CROSSRUN_MALFORMED, "%s", NO_SINK);
    }
    if (!is_merged) {
        return out_of_memory(error);
    }
    state->digest.count += digest.count;
    state->digest.sum += digest.sum;
    state->digest.xored ^= digest.xored;
    return is_open_loop(state->workload) && !are_of(&state->latencies, state->digest.count)
        ? say(error, CROSSRUN_MALFORMED, "%s", BOTH_KINDS) : CROSSRUN_OK;
}

/* Adds the entries of an encoded state. Each is an item: the key's length as u32, the key, the accumulator. */
static int32_t merge_entries(crossrun_state *state, const struct batch *batch, crossrun_buffer *error) {
    const crossrun_workload *workload = state->workload;
    uint32_t at;
    int32_t status = CROSSRUN_OK;
    for (at = 0; status == CROSSRUN_OK && at < batch->count; at++) {
        const crossrun_slice item = item_of(batch, at);
        crossrun_slice key, other;
        struct entry *entry;
        if (item.length < 4 || get_u32(item.data) > item.length - 4) {
            return say(error, CROSSRUN_MALFORMED, "an entry of a keyed state is shorter than its key");
        }
        key.data = item.data + 4;
        key.length = get_u32(item.data);
        other.data = key.data + key.length;
        other.length = item.length - 4 - key.length;
        if (state->is_closing) {
            uint64_t end;
            const char *why = ask_end(state, key, other, &end);
            status = in_time(state, why, end, error);
        }
        if (status != CROSSRUN_OK) {
            break;
        }
        entry = entry_of(&state->keyed, key);
        if (entry == NULL) {
            return out_of_memory(error);
        }
        status = changed(
            state, entry, workload->definition->merge(&workload->opened, state->stage, &entry->accumulator, other), error);
    }
    return status;
}

CROSSRUN_EXPORT int32_t crossrun_workload_state_merge(
    crossrun_state *state, const uint8_t *encoded, size_t length, crossrun_buffer *error) {
    struct batch batch;
    const char *why;
    if (error == NULL) {
        return CROSSRUN_ARGUMENT;
    }
    if (state == NULL || encoded == NULL || length > SIZE_MAX / 4) {
        return null_pointer(error, state == NULL ? "state" : "state that is encoded");
    }
    if (state->is_sink) {
        return merge_sink(state, encoded, length, error);
    }
    why = parse_batch(encoded, length, &batch);
    return why != NULL ? say(error, CROSSRUN_MALFORMED, "%s", why) : merge_entries(state, &batch, error);
}

CROSSRUN_EXPORT int32_t crossrun_workload_state_encode(crossrun_state *state, crossrun_buffer *out) {
    crossrun_items items;
    crossrun_bytes entry = {NULL, 0, 0, 0};
    uint8_t numbers[SINK_LENGTH];
    int32_t status;
    size_t at;
    if (out == NULL) {
        return CROSSRUN_ARGUMENT;
    }
    if (state == NULL) {
        return null_pointer(out, "state");
    }
    if (state->is_sink) {
        memcpy(numbers, SINK, sizeof SINK);
        crossrun_write_u64(numbers + 8, state->digest.count);
        crossrun_write_u64(numbers + 16, state->digest.sum);
        crossrun_write_u64(numbers + 24, state->digest.xored);
        entry = taken(out);
        crossrun_append(&entry, numbers, sizeof numbers);
        if (is_open_loop(state->workload)) {
            put_latencies(&entry, &state->latencies);
        }
        return given(out, &entry) ? CROSSRUN_OK : out_of_memory(out);
    }
    memset(&items, 0, sizeof items);
    for (at = 0; at < state->keyed.count && !items.too_large; at++) {
        const struct entry *from = &state->keyed.entries[at];
        entry.length = 0;
        put_u32(numbers, (uint32_t)from->key.length);
        crossrun_append(&entry, numbers, 4);
        crossrun_append(&entry, from->key.data, from->key.length);
        crossrun_append(&entry, from->accumulator.data, from->accumulator.length);
        crossrun_push(&items, entry.data, entry.length);
    }
    items.bytes.failed |= entry.failed;
    if (items.too_large) {
        status = say(
            out, CROSSRUN_TOO_LARGE,
            "the state of a keyed reduction has more bytes than a batch holds; more partitions make it smaller, which most "
            "backends have with a larger parallelism");
    } else {
        status = encode_items(&items, out);
    }
    free_bytes(&entry);
    free_items(&items);
    return status;
}

/* When what ends at `end` is due: with the item before the first one whose watermark reaches that end, or with the last item. That
 * depends on the items alone, so that a late backend does not move the moment. */
static uint64_t due_of(crossrun_state *state, uint64_t end) {
    const crossrun_workload *workload = state->workload;
    const uint64_t total = workload->opened.total_items;
    uint64_t from = end == NEVER ? total : 0, to = total;
    if (state->knows_due && state->asked_end == end) {
        return state->due;
    }
    /* A watermark never falls. */
    while (from < to) {
        const uint64_t middle = from + (to - from) / 2;
        if (workload->definition->watermark(&workload->opened, middle) >= end) {
            to = middle;
        } else {
            from = middle + 1;
        }
    }
    state->knows_due = 1;
    state->asked_end = end;
    state->due = workload->definition->due(&workload->opened, from == 0 ? 0 : from - 1);
    return state->due;
}

/* Closes the parts of an entry that ended at `time` or before; those of an open loop one after the other, as each is due at a time of
 * its own. Gives whether something is left of it, and when the next part ends then. */
static int32_t close_parts(
    crossrun_state *state, struct entry *entry, uint64_t time, int *is_left, uint64_t *end, crossrun_items *items,
    crossrun_buffer *error) {
    const crossrun_workload *workload = state->workload;
    const crossrun_slice key = slice_of(&entry->key);
    const char *why = ask_end(state, key, slice_of(&entry->accumulator), end);
    *is_left = 1;
    while (why == NULL && *end <= time) {
        const uint64_t until = is_open_loop(workload) ? *end : time;
        uint8_t stamp[STAMP_LENGTH];
        if (is_open_loop(workload)) {
            write_stamp_of_result(stamp, due_of(state, until));
            items->stamp = stamp;
        }
        why = workload->definition->emit_ended(&workload->opened, state->stage, until, key, &entry->accumulator, items);
        items->stamp = NULL;
        if (why != NULL) {
            break;
        }
        if (items->too_large) {
            return too_large(error);
        }
        if (entry->accumulator.failed) {
            return out_of_memory(error);
        }
        if (entry->accumulator.length == 0) {
            *is_left = 0;
            return CROSSRUN_OK;
        }
        why = ask_end(state, key, slice_of(&entry->accumulator), end);
        if (why == NULL && *end <= until) {
            return say(
                error, CROSSRUN_OPERATOR,
                "stage %" PRIu32 " was closed at time %" PRIu64 ", but kept what ended at time %" PRIu64, state->stage, until,
                *end);
        }
    }
    return why == NULL ? CROSSRUN_OK : say(error, CROSSRUN_OPERATOR, "%s", why);
}

/* Refuses from now on what ended at `time` or before. At the first call each key is asked when it ends. */
static int32_t begin_closing(crossrun_state *state, uint64_t time, crossrun_buffer *error) {
    struct keyed *keyed = &state->keyed;
    size_t at;
    if (!need_slots(keyed)) {
        return out_of_memory(error);
    }
    for (at = 0; !state->is_closing && at < keyed->count; at++) {
        struct entry *entry = &keyed->entries[at];
        const char *why = ask_end(state, slice_of(&entry->key), slice_of(&entry->accumulator), &entry->end);
        if (why != NULL) {
            return say(error, CROSSRUN_OPERATOR, "%s", why);
        }
    }
    if (!state->is_closing) {
        make_heap(keyed);
    }
    state->is_closing = 1;
    state->closed = time > state->closed ? time : state->closed;
    return CROSSRUN_OK;
}

static int32_t no_watermarks(crossrun_buffer *error) {
    return say(error, CROSSRUN_ARGUMENT, "reductions are to emit at the end: `use` has no `watermarks`");
}

CROSSRUN_EXPORT int32_t crossrun_workload_watermark(
    const crossrun_workload *workload, uint64_t number, uint64_t *time, crossrun_buffer *error) {
    if (error == NULL) {
        return CROSSRUN_ARGUMENT;
    }
    if (workload == NULL || time == NULL) {
        return null_pointer(error, workload == NULL ? "workload" : "time");
    }
    if (!workload->by_watermarks) {
        return no_watermarks(error);
    }
    *time = number < workload->opened.total_items ? workload->definition->watermark(&workload->opened, number) : NEVER;
    return CROSSRUN_OK;
}

CROSSRUN_EXPORT int32_t crossrun_workload_state_close(
    crossrun_state *state, uint64_t time, uint64_t limit, uint64_t *next, crossrun_buffer *out) {
    crossrun_items items;
    struct keyed *keyed;
    uint64_t taken_out = 0;
    int32_t status;
    if (out == NULL) {
        return CROSSRUN_ARGUMENT;
    }
    if (state == NULL || next == NULL) {
        return null_pointer(out, state == NULL ? "state" : "time");
    }
    if (state->is_sink) {
        return say(out, CROSSRUN_ARGUMENT, "a sink closes nothing");
    }
    if (!state->workload->by_watermarks) {
        return no_watermarks(out);
    }
    if (limit == 0) {
        return say(out, CROSSRUN_ARGUMENT, "close needs a limit of at least 1");
    }
    /* The largest time is that of what never ends. */
    time = time < NEVER ? time : NEVER - 1;
    memset(&items, 0, sizeof items);
    keyed = &state->keyed;
    status = begin_closing(state, time, out);
    /* As in `emit`: a key may emit nothing, but an empty batch means that nothing more has ended. */
    while (status == CROSSRUN_OK && keyed->count > 0 && keyed->entries[0].end <= time
           && (taken_out < limit || items.count == 0)) {
        uint64_t end = NEVER;
        int is_left = 0;
        status = close_parts(state, &keyed->entries[0], time, &is_left, &end, &items, out);
        if (status == CROSSRUN_OK && is_left) {
            set_end(keyed, 0, end);
        } else if (status == CROSSRUN_OK) {
            forget_first(keyed);
        }
        taken_out++;
    }
    if (status == CROSSRUN_OK) {
        status = encode_items(&items, out);
    }
    if (status == CROSSRUN_OK) {
        *next = keyed->count > 0 ? keyed->entries[0].end : NEVER;
    }
    free_items(&items);
    return status;
}

/* Emits all of an entry when the input has ended; in an open loop, each part with when it is due. */
static int32_t emit_entry(crossrun_state *state, struct entry *entry, crossrun_items *items, crossrun_buffer *error) {
    const crossrun_workload *workload = state->workload;
    const char *why;
    uint8_t stamp[STAMP_LENGTH];
    if (is_open_loop(workload)) {
        uint64_t end;
        int is_left;
        const int32_t status = close_parts(state, entry, NEVER - 1, &is_left, &end, items, error);
        if (status != CROSSRUN_OK || !is_left) {
            return status;
        }
        write_stamp_of_result(stamp, due_of(state, NEVER));
        items->stamp = stamp;
    }
    why = workload->definition->emit(
        &workload->opened, state->stage, slice_of(&entry->key), slice_of(&entry->accumulator), items);
    items->stamp = NULL;
    if (why != NULL) {
        return say(error, CROSSRUN_OPERATOR, "%s", why);
    }
    return items->too_large ? too_large(error) : CROSSRUN_OK;
}

CROSSRUN_EXPORT int32_t crossrun_workload_state_emit(crossrun_state *state, uint64_t limit, crossrun_buffer *out) {
    crossrun_items items;
    struct keyed *keyed;
    int32_t status = CROSSRUN_OK;
    uint64_t taken_out = 0;
    if (out == NULL) {
        return CROSSRUN_ARGUMENT;
    }
    if (state == NULL) {
        return null_pointer(out, "state");
    }
    if (state->is_sink || limit == 0) {
        const char *why = state->is_sink ? "a sink emits nothing" : "emit needs a limit of at least 1";
        return say(out, CROSSRUN_ARGUMENT, "%s", why);
    }
    memset(&items, 0, sizeof items);
    keyed = &state->keyed;
    free(keyed->slots);
    keyed->slots = NULL;
    /* A key may emit nothing, but an empty batch means the end. So this goes on until there is an item. */
    while (status == CROSSRUN_OK && keyed->count > 0 && (taken_out < limit || items.count == 0)) {
        struct entry *entry = &keyed->entries[--keyed->count];
        status = emit_entry(state, entry, &items, out);
        free_entry(entry);
        taken_out++;
    }
    if (status == CROSSRUN_OK) {
        status = encode_items(&items, out);
    }
    free_items(&items);
    return status;
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
