/*
 * A workload that is open: how it is opened and shared, and which definitions are refused.
 * Part of crossrun_workload_kit.c, which includes it once: it has functions of the library.
 */
#ifndef CROSSRUN_OPENING_H
#define CROSSRUN_OPENING_H

#include <inttypes.h>
#include <stdlib.h>

#include "crossrun_catalogue.h"
#include "crossrun_graph.h"
#include "crossrun_items.h"
#include "crossrun_json.h"
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

/* The first text or list of the definition itself that is needed and was forgotten, or null. */
static const char *forgotten(const crossrun_definition *definition) {
    return definition->name == NULL                                                 ? "name"
           : definition->description == NULL                                        ? "description"
           : (definition->parameters == NULL) != (definition->parameter_count == 0) ? "parameters with their parameter_count"
           : (definition->stages == NULL) != (definition->stage_count == 0)         ? "stages with their stage_count"
                                                                                    : NULL;
}

static const char *forgotten_of_parameter(const crossrun_parameter *parameter) {
    const int has_text = parameter->domain == CROSSRUN_CHOICE || parameter->domain == CROSSRUN_TEXT;
    return parameter->name == NULL               ? "name"
           : parameter->description == NULL      ? "description"
           : has_text && parameter->text == NULL ? "text"
                                                 : NULL;
}

/* Refuses a definition in which a text or a list was forgotten. The catalogue has them all, and is asked for before anything is opened. */
static int32_t demand_texts(const crossrun_definition *definition, crossrun_buffer *error) {
    const char *lacking = forgotten(definition), *name = definition->name == NULL ? "?" : definition->name;
    uint32_t at;
    if (lacking != NULL) {
        return say(error, CROSSRUN_SPEC, "the definition of workload \"%s\" lacks .%s", name, lacking);
    }
    for (at = 0; at < definition->parameter_count; at++) {
        lacking = forgotten_of_parameter(&definition->parameters[at]);
        if (lacking != NULL) {
            return say(error, CROSSRUN_SPEC, "parameter %" PRIu32 " of workload \"%s\" lacks .%s", at + 1, name, lacking);
        }
    }
    for (at = 0; at < definition->stage_count; at++) {
        if (definition->stages[at].name == NULL) {
            return say(error, CROSSRUN_SPEC, "stage %" PRIu32 " of workload \"%s\" lacks .name", at + 1, name);
        }
    }
    return CROSSRUN_OK;
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
    workload->start = spec->start != NO_START ? spec->start : monotonic_nanos();
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
    struct spec spec = {{NULL, 0, 0, 0}, 10, 42, NO_START, {NULL, NULL, NULL}, {NULL, NULL, NULL}, 0};
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

#endif
