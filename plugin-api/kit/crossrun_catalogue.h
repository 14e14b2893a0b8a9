/*
 * The catalogue of a library's workloads, as JSON.
 */
#ifndef CROSSRUN_CATALOGUE_H
#define CROSSRUN_CATALOGUE_H

#include "crossrun_json.h"
#include "crossrun_workload_kit.h"

static void put_name(crossrun_bytes *out, const char *key, const char *text) {
    json_put_text(out, key, strlen(key));
    json_put(out, ":");
    json_put_text(out, text, strlen(text));
}

static void put_graph(crossrun_bytes *out, const crossrun_graph_size *size) {
    json_put(out, ",\"graph\":{\"steps\":");
    json_put_whole(out, size->steps);
    json_put(out, ",\"width\":");
    json_put_whole(out, size->width);
    json_put(out, ",\"output_bytes\":");
    json_put_whole(out, size->output_bytes);
    json_put(out, size->whole_rows ? ",\"whole_rows\":true}" : "}");
}

/* The plan; `graph` is null if there is none. */
static void put_plan(crossrun_bytes *out, const crossrun_definition *definition, const crossrun_graph_size *graph) {
    static const char *const KINDS[] = {"source", "map", "filter", "flat_map", "keyed_reduce", "sink"};
    uint32_t at;
    json_put(out, "{\"stages\":[{\"kind\":\"source\",\"name\":\"source\"}");
    for (at = 0; at < definition->stage_count; at++) {
        const crossrun_stage *stage = &definition->stages[at];
        json_put(out, ",{");
        put_name(out, "kind", KINDS[stage->kind < 6 ? stage->kind : CROSSRUN_STAGE_SINK]);
        json_put(out, ",");
        put_name(out, "name", stage->name);
        json_put(out, "}");
    }
    json_put(out, ",{\"kind\":\"sink\",\"name\":\"sink\"}]");
    if (graph != NULL) {
        put_graph(out, graph);
    }
    json_put(out, definition->due == NULL ? "}" : ",\"open_loop\":true}");
}

/* The length of the first of several words that are separated by commas. */
static size_t word_length(const char *words) {
    return strcspn(words, ",");
}

/* Words that are separated by commas, as an array. */
static void put_words(crossrun_bytes *out, const char *words) {
    json_put(out, "[");
    for (;;) {
        const size_t length = word_length(words);
        json_put_text(out, words, length);
        if (words[length] == 0) {
            break;
        }
        json_put(out, ",");
        words += length + 1;
    }
    json_put(out, "]");
}

static void put_default(crossrun_bytes *out, const crossrun_parameter *parameter) {
    switch (parameter->domain) {
    case CROSSRUN_INTEGER:
        json_put_whole(out, parameter->integer);
        break;
    case CROSSRUN_NUMBER:
        json_put_number(out, parameter->number);
        break;
    case CROSSRUN_CHOICE:
        json_put_text(out, parameter->text, word_length(parameter->text));
        break;
    case CROSSRUN_TEXT:
        json_put_text(out, parameter->text, strlen(parameter->text));
        break;
    }
}

static void put_domain(crossrun_bytes *out, const crossrun_parameter *parameter) {
    switch (parameter->domain) {
    case CROSSRUN_INTEGER:
        json_put(out, "{\"type\":\"integer\",\"min\":");
        json_put_whole(out, parameter->min);
        json_put(out, ",\"max\":");
        json_put_whole(out, parameter->max);
        break;
    case CROSSRUN_NUMBER:
        json_put(out, "{\"type\":\"number\",\"min\":");
        json_put_number(out, parameter->low);
        json_put(out, ",\"max\":");
        json_put_number(out, parameter->high);
        break;
    case CROSSRUN_CHOICE:
        json_put(out, "{\"type\":\"choice\",\"options\":");
        put_words(out, parameter->text);
        break;
    case CROSSRUN_TEXT:
        json_put(out, "{\"type\":\"text\"");
        break;
    }
    json_put(out, "}");
}

static void put_entry(crossrun_bytes *out, const crossrun_definition *definition, const crossrun_graph_size *graph) {
    uint32_t at;
    json_put(out, "{");
    put_name(out, "name", definition->name);
    json_put(out, ",");
    put_name(out, "description", definition->description);
    json_put(out, ",\"parameters\":[");
    for (at = 0; at < definition->parameter_count; at++) {
        const crossrun_parameter *parameter = &definition->parameters[at];
        json_put(out, at == 0 ? "{" : ",{");
        put_name(out, "name", parameter->name);
        json_put(out, ",");
        put_name(out, "description", parameter->description);
        json_put(out, ",\"domain\":");
        put_domain(out, parameter);
        json_put(out, ",\"default\":");
        put_default(out, parameter);
        json_put(out, "}");
    }
    json_put(out, "],\"plan\":");
    put_plan(out, definition, graph);
    if (definition->needs != NULL) {
        json_put(out, ",\"needs\":");
        put_words(out, definition->needs);
    }
    if (definition->uses != NULL) {
        json_put(out, ",\"uses\":");
        put_words(out, definition->uses);
    }
    json_put(out, "}");
}

#endif
