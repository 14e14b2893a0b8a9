/*
 * The fields of a spec, and the values of a workload's parameters in it.
 */
#ifndef CROSSRUN_SPEC_H
#define CROSSRUN_SPEC_H

#include "crossrun_catalogue.h"
#include "crossrun_items.h"
#include "crossrun_json.h"

/* Stands for no start in the spec: the machine may have started at 0. */
#define NO_START UINT64_MAX

/* The fields of a spec that a workload needs. */
struct spec {
    crossrun_bytes name;
    uint64_t total_items, seed;
    /* When an open loop starts; NO_START if it is when the workload is opened. */
    uint64_t start;
    /* The values of `extra` and `use`; `at` is null if there is none. */
    struct json extra, granted;
    /* A bit for each of SPEC_FIELDS that was read. */
    uint32_t seen;
};

#define SPEC_FIELD(name) {name, "it has `" name "` twice"}

/* The fields that a spec has once, each with what is said if it has two of them. */
static const struct spec_field {
    const char *name, *twice;
} SPEC_FIELDS[] = {
    SPEC_FIELD("name"), SPEC_FIELD("total_items"), SPEC_FIELD("parallelism"), SPEC_FIELD("scheduler_name"),
    SPEC_FIELD("seed"), SPEC_FIELD("extra"), SPEC_FIELD("start_nanos"), SPEC_FIELD("use")};

static int is(const crossrun_bytes *name, const char *word) {
    return name->length == strlen(word) && (name->length == 0 || memcmp(name->data, word, name->length) == 0);
}

/* Null, or why a field must not come now: as two values would be one too many, it comes once. */
static const char *see_field(struct spec *spec, const crossrun_bytes *name) {
    size_t at;
    for (at = 0; at < sizeof SPEC_FIELDS / sizeof *SPEC_FIELDS; at++) {
        const uint32_t bit = UINT32_C(1) << at;
        if (is(name, SPEC_FIELDS[at].name)) {
            if (spec->seen & bit) {
                return SPEC_FIELDS[at].twice;
            }
            spec->seen |= bit;
        }
    }
    return NULL;
}

/* Null, or why a field of the spec is not valid. */
static const char *read_field(struct spec *spec, const crossrun_bytes *name, struct json value) {
    uint64_t number = 1;
    if (is(name, "schema")) {
        return json_whole(&value, &number) && number == 1 ? NULL : "its schema is not 1, which is what this side reads";
    }
    if (is(name, "name")) {
        return json_string(&value, &spec->name) ? NULL : "its name is no string";
    }
    if (is(name, "total_items")) {
        return json_whole(&value, &spec->total_items) ? NULL : "total_items is no whole number";
    }
    if (is(name, "seed")) {
        return json_whole(&value, &spec->seed) ? NULL : "seed is no whole number";
    }
    if (is(name, "start_nanos")) {
        return *value.at == 'n' || json_whole(&value, &spec->start) ? NULL : "start_nanos is no whole number";
    }
    if (is(name, "parallelism")) {
        return json_whole(&value, &number) && number >= 1 && number <= UINT32_MAX
            ? NULL : "parallelism is no whole number that is at least 1";
    }
    if (is(name, "extra")) {
        spec->extra = value;
        return *value.at == '{' ? NULL : "extra is no object";
    }
    if (is(name, "use")) {
        spec->granted = value;
        return *value.at == '[' ? NULL : "use is no array";
    }
    return NULL;
}

/* Whether the array `words` has a string of `length` bytes that is `word`. */
static int has_word(struct json words, const char *word, size_t length) {
    crossrun_bytes one = {NULL, 0, 0, 0};
    int found = 0;
    if (words.at != NULL && json_take(&words, '[')) {
        do {
            found = json_string(&words, &one) && one.length == length
                && (length == 0 || memcmp(one.data, word, length) == 0);
        } while (!found && words.why == NULL && json_take(&words, ','));
    }
    free_bytes(&one);
    return found;
}

/* The first of the words that a workload needs and that the spec does not grant, or null. */
static const char *lacking(const struct spec *spec, const char *needs) {
    while (needs != NULL && *needs != 0) {
        const size_t length = word_length(needs);
        if (!has_word(spec->granted, needs, length)) {
            return needs;
        }
        needs += length + (needs[length] == ',');
    }
    return NULL;
}

/* Whether `word` is one of words that are separated by commas; null has none. */
static int names_word(const char *words, const char *word) {
    while (words != NULL && *words != 0) {
        const size_t length = word_length(words);
        if (length == strlen(word) && memcmp(words, word, length) == 0) {
            return 1;
        }
        words += length + (words[length] == ',');
    }
    return 0;
}

/* Null, or why the text is not a spec. */
static const char *read_spec(struct spec *spec, const uint8_t *text, size_t length) {
    struct json json = {NULL, NULL, NULL}, value = {NULL, NULL, NULL};
    crossrun_bytes name = {NULL, 0, 0, 0};
    const char *why = NULL;
    int first = 1;
    json.at = text;
    json.end = text + length;
    if (!json_is_utf8(text, length)) {
        return "it is not UTF-8";
    }
    if (!json_take(&json, '{')) {
        return "it is no object";
    }
    while (why == NULL && json_field(&json, &first, &name, &value)) {
        why = see_field(spec, &name);
        why = why != NULL ? why : read_field(spec, &name, value);
    }
    free_bytes(&name);
    json_space(&json);
    if (why == NULL && json.why == NULL && json.at != json.end) {
        json.why = "something follows its end";
    }
    return why != NULL ? why : json.why;
}

/* The index of a word among words that are separated by commas, or -1. */
static int place_of(const char *words, const crossrun_bytes *word) {
    int place = 0;
    for (;;) {
        const size_t length = word_length(words);
        if (length == word->length && memcmp(words, word->data, length) == 0) {
            return place;
        }
        if (words[length] == 0) {
            return -1;
        }
        words += length + 1;
        place++;
    }
}

/* Reads the value of a parameter from `extra`; returns 0 if it is not in the parameter's range. */
static int read_value(
    const crossrun_parameter *parameter, struct json json, crossrun_value *value, crossrun_bytes *text) {
    int place;
    switch (parameter->domain) {
    case CROSSRUN_INTEGER:
        return json_whole(&json, &value->integer) && value->integer >= parameter->min
            && value->integer <= parameter->max;
    case CROSSRUN_NUMBER:
        return json_number(&json, &value->number) && value->number >= parameter->low
            && value->number <= parameter->high;
    case CROSSRUN_CHOICE:
    case CROSSRUN_TEXT:
        break;
    }
    if (parameter->domain == CROSSRUN_CHOICE && *json.at != '"' && *json.at != '[' && *json.at != '{') {
        /* A word such as true or 8: where an option is read as JSON, it is no string. */
        text->length = 0;
        crossrun_append(text, json.at, (size_t)(json.end - json.at));
    } else if (*json.at != '"' || !json_string(&json, text)) {
        return 0;
    }
    if (text->length > 0 && memchr(text->data, 0, text->length)) {
        return 0;
    }
    if (parameter->domain == CROSSRUN_CHOICE) {
        place = text->length == 0 ? -1 : place_of(parameter->text, text);
        if (place < 0) {
            return 0;
        }
        value->integer = (uint64_t)place;
    }
    crossrun_append(text, "", 1);
    value->text = (const char *)text->data;
    return !text->failed;
}

/* The default value of a parameter. */
static int default_value(const crossrun_parameter *parameter, crossrun_value *value, crossrun_bytes *text) {
    value->integer = parameter->integer;
    value->number = parameter->number;
    if (parameter->text != NULL) {
        const int is_choice = parameter->domain == CROSSRUN_CHOICE;
        crossrun_append(text, parameter->text, is_choice ? word_length(parameter->text) : strlen(parameter->text));
        crossrun_append(text, "", 1);
        value->text = (const char *)text->data;
    }
    return !text->failed;
}

static void put_range(crossrun_bytes *out, const crossrun_parameter *parameter) {
    switch (parameter->domain) {
    case CROSSRUN_INTEGER:
        json_put(out, "a whole number from ");
        json_put_whole(out, parameter->min);
        json_put(out, " to ");
        json_put_whole(out, parameter->max);
        break;
    case CROSSRUN_NUMBER:
        json_put(out, "a number from ");
        json_put_number(out, parameter->low);
        json_put(out, " to ");
        json_put_number(out, parameter->high);
        break;
    case CROSSRUN_CHOICE:
        json_put(out, "one of ");
        json_put(out, parameter->text);
        break;
    case CROSSRUN_TEXT:
        json_put(out, "any text without a NUL");
        break;
    }
}

static int32_t outside(crossrun_buffer *error, const crossrun_parameter *parameter, const struct json *value) {
    crossrun_bytes message = {NULL, 0, 0, 0};
    int32_t status;
    json_put(&message, "extra.");
    json_put(&message, parameter->name);
    json_put(&message, " is ");
    crossrun_append(&message, value->at, (size_t)(value->end - value->at));
    json_put(&message, ", but must be ");
    put_range(&message, parameter);
    json_put(&message, "; try: --extra ");
    json_put(&message, parameter->name);
    json_put(&message, "=");
    put_default(&message, parameter);
    status = say(error, CROSSRUN_SPEC, "%.*s", (int)message.length, message.failed ? "" : (char *)message.data);
    free_bytes(&message);
    return status;
}

#endif
