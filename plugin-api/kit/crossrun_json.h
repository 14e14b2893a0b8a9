/*
 * The part of JSON that a workload needs: to read an object, which is refused unless it is well-formed and UTF-8, and to
 * write JSON.
 */
#ifndef CROSSRUN_JSON_H
#define CROSSRUN_JSON_H

#include <float.h>
#include <locale.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crossrun_workload_kit.h"

/* More levels than any spec has. The reader is recursive, so its depth must be bounded. */
enum { JSON_DEPTH = 100 };

/* A position in a text. */
struct json {
    const uint8_t *at, *end;
    /* Why the text is not JSON, once an error was found. */
    const char *why;
};

static int json_fail(struct json *json, const char *why) {
    if (json->why == NULL) {
        json->why = why;
    }
    return 0;
}

static void json_space(struct json *json) {
    while (json->at < json->end && (*json->at == ' ' || *json->at == '\t' || *json->at == '\n' || *json->at == '\r')) {
        json->at++;
    }
}

/* Skips `expected`, if it comes next. */
static int json_take(struct json *json, char expected) {
    json_space(json);
    if (json->at < json->end && *json->at == (uint8_t)expected) {
        json->at++;
        return 1;
    }
    return 0;
}

/* Whether bytes are UTF-8. */
static int json_is_utf8(const uint8_t *bytes, size_t length) {
    size_t at = 0;
    while (at < length) {
        const uint8_t first = bytes[at++];
        uint32_t code, least;
        int more;
        if (first < 0x80) {
            continue;
        }
        more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
        if (first < 0xc2 || first > 0xf4 || length - at < (size_t)more) {
            return 0;
        }
        code = first & (0x3fu >> more);
        least = more == 3 ? 0x10000u : more == 2 ? 0x800u : 0x80u;
        for (; more > 0; more--) {
            if ((bytes[at] & 0xc0) != 0x80) {
                return 0;
            }
            code = code << 6 | (bytes[at++] & 0x3fu);
        }
        if (code < least || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) {
            return 0;
        }
    }
    return 1;
}

static void json_append_utf8(crossrun_bytes *out, uint32_t code) {
    uint8_t bytes[4];
    size_t length = 0;
    if (code < 0x80) {
        bytes[length++] = (uint8_t)code;
    } else {
        if (code < 0x800) {
            bytes[length++] = (uint8_t)(0xc0 | code >> 6);
        } else {
            if (code < 0x10000) {
                bytes[length++] = (uint8_t)(0xe0 | code >> 12);
            } else {
                bytes[length++] = (uint8_t)(0xf0 | code >> 18);
                bytes[length++] = (uint8_t)(0x80 | (code >> 12 & 0x3f));
            }
            bytes[length++] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
        }
        bytes[length++] = (uint8_t)(0x80 | (code & 0x3f));
    }
    crossrun_append(out, bytes, length);
}

/* The four digits of an escape. */
static int json_hex(struct json *json, uint32_t *code) {
    int digit;
    *code = 0;
    for (digit = 0; digit < 4; digit++) {
        const uint8_t byte = json->at < json->end ? *json->at++ : 0;
        uint32_t value;
        if (byte >= '0' && byte <= '9') {
            value = byte - (uint32_t)'0';
        } else if ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'f') {
            value = (byte | 0x20u) - (uint32_t)'a' + 10;
        } else {
            return json_fail(json, "an escape in a string has four hex digits");
        }
        *code = *code << 4 | value;
    }
    return 1;
}

/* An escape whose `\u` has been read. Each half of a surrogate pair needs the other. */
static int json_unicode(struct json *json, crossrun_bytes *out) {
    uint32_t code, low;
    if (!json_hex(json, &code)) {
        return 0;
    }
    if (code >= 0xd800 && code < 0xe000) {
        if (code >= 0xdc00 || json->end - json->at < 2 || json->at[0] != '\\' || json->at[1] != 'u') {
            return json_fail(json, "half of a character in a string");
        }
        json->at += 2;
        if (!json_hex(json, &low)) {
            return 0;
        }
        if (low < 0xdc00 || low >= 0xe000) {
            return json_fail(json, "half of a character in a string");
        }
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    json_append_utf8(out, code);
    return 1;
}

/* Reads a string into `out`, which is emptied first. */
static int json_string(struct json *json, crossrun_bytes *out) {
    static const char ESCAPES[] = "\"\\/bfnrt", MEANINGS[] = "\"\\/\b\f\n\r\t";
    out->length = 0;
    if (!json_take(json, '"')) {
        return json_fail(json, "a string is missing");
    }
    while (json->at < json->end && *json->at != '"') {
        const char *escape;
        if (*json->at < ' ') {
            return json_fail(json, "a control character in a string");
        }
        if (*json->at != '\\') {
            crossrun_append(out, json->at++, 1);
            continue;
        }
        if (++json->at == json->end) {
            break;
        }
        if (*json->at == 'u') {
            json->at++;
            if (!json_unicode(json, out)) {
                return 0;
            }
            continue;
        }
        escape = *json->at == 0 ? NULL : strchr(ESCAPES, *json->at);
        if (escape == NULL) {
            return json_fail(json, "an escape that JSON does not have");
        }
        crossrun_append(out, &MEANINGS[escape - ESCAPES], 1);
        json->at++;
    }
    if (json->at == json->end) {
        return json_fail(json, "a string has no end");
    }
    json->at++;
    return out->failed ? json_fail(json, "out of memory") : 1;
}

static int json_digits(struct json *json) {
    const uint8_t *start = json->at;
    while (json->at < json->end && *json->at >= '0' && *json->at <= '9') {
        json->at++;
    }
    return json->at > start;
}

static int json_skip_number(struct json *json) {
    const uint8_t *first;
    if (json->at < json->end && *json->at == '-') {
        json->at++;
    }
    first = json->at;
    if (!json_digits(json) || (*first == '0' && json->at - first > 1)) {
        return json_fail(json, "a value is none");
    }
    if (json->at < json->end && *json->at == '.') {
        json->at++;
        if (!json_digits(json)) {
            return json_fail(json, "a number ends with its point");
        }
    }
    if (json->at < json->end && (*json->at | 0x20) == 'e') {
        json->at++;
        if (json->at < json->end && (*json->at == '+' || *json->at == '-')) {
            json->at++;
        }
        if (!json_digits(json)) {
            return json_fail(json, "a number ends with its exponent");
        }
    }
    return 1;
}

static int json_skip(struct json *json, int depth);

/* Skips the content of brackets; in an object each value has a name. */
static int json_skip_inside(struct json *json, char end, int depth) {
    crossrun_bytes name = {NULL, 0, 0, 0};
    int good = 1;
    if (json_take(json, end)) {
        return 1;
    }
    do {
        if (end == '}') {
            good = json_string(json, &name) && (json_take(json, ':') || json_fail(json, "a colon is missing"));
        }
        good = good && json_skip(json, depth + 1);
    } while (good && json_take(json, ','));
    free(name.data);
    return good && (json_take(json, end) || json_fail(json, "a bracket has no end"));
}

/* Skips a value of any kind. */
static int json_skip(struct json *json, int depth) {
    static const char *const WORDS[] = {"null", "true", "false"};
    size_t word;
    if (depth > JSON_DEPTH) {
        return json_fail(json, "it is too deep");
    }
    if (json_take(json, '{')) {
        return json_skip_inside(json, '}', depth);
    }
    if (json_take(json, '[')) {
        return json_skip_inside(json, ']', depth);
    }
    if (json->at < json->end && *json->at == '"') {
        crossrun_bytes text = {NULL, 0, 0, 0};
        const int good = json_string(json, &text);
        free(text.data);
        return good;
    }
    for (word = 0; word < 3; word++) {
        const size_t length = strlen(WORDS[word]);
        if ((size_t)(json->end - json->at) >= length && memcmp(json->at, WORDS[word], length) == 0) {
            json->at += length;
            return 1;
        }
    }
    return json_skip_number(json);
}

/* Gives the next field of an object whose opening bracket was read: its name in `name`, its value in `value`. Returns 0 at
 * the end, or if the text is not JSON. `first` is 1 before the first call. */
static int json_field(struct json *json, int *first, crossrun_bytes *name, struct json *value) {
    if (json_take(json, '}')) {
        return 0;
    }
    if (!*first && !json_take(json, ',')) {
        return json_fail(json, "a comma is missing");
    }
    *first = 0;
    if (!json_string(json, name) || !(json_take(json, ':') || json_fail(json, "a colon is missing"))) {
        return 0;
    }
    json_space(json);
    value->at = json->at;
    value->why = NULL;
    if (!json_skip(json, 1)) {
        return 0;
    }
    value->end = json->at;
    return 1;
}

/* Whether a value is a whole number that is not negative. Gives it in `number`. */
static int json_whole(const struct json *value, uint64_t *number) {
    const uint8_t *at;
    uint64_t read = 0;
    for (at = value->at; at < value->end; at++) {
        const uint64_t digit = (uint64_t)(*at - '0');
        if (*at < '0' || *at > '9' || read > (UINT64_MAX - digit) / 10) {
            return 0;
        }
        read = read * 10 + digit;
    }
    *number = read;
    return value->at < value->end;
}

/*
 * Puts one decimal point in the place of another, for which `text` has room. The C library reads and writes numbers with
 * that of the locale, which may differ from that of JSON, and have several bytes.
 */
static void json_exchange(char *text, const char *from, const char *to) {
    char *point = strstr(text, from);
    if (point != NULL) {
        const char *rest = point + strlen(from);
        memmove(point + strlen(to), rest, strlen(rest) + 1);
        memcpy(point, to, strlen(to));
    }
}

/* Whether a value is a number. Gives it in `number`. */
static int json_number(const struct json *value, double *number) {
    char text[64];
    const char *const point = localeconv()->decimal_point;
    const size_t length = (size_t)(value->end - value->at);
    if (length == 0 || length + strlen(point) > sizeof text
        || !(*value->at == '-' || (*value->at >= '0' && *value->at <= '9'))) {
        return 0;
    }
    memcpy(text, value->at, length);
    text[length] = 0;
    json_exchange(text, ".", point);
    *number = strtod(text, NULL);
    return 1;
}

/* ---- Writing ---------------------------------------------------------------------------------------------------- */

static void json_put(crossrun_bytes *out, const char *text) {
    crossrun_append(out, text, strlen(text));
}

static void json_put_whole(crossrun_bytes *out, uint64_t number) {
    char text[32];
    snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    json_put(out, text);
}

/* JSON has no infinity: that of a range without an end is the largest number. */
static void json_put_number(crossrun_bytes *out, double number) {
    const double finite = number > DBL_MAX ? DBL_MAX : number < -DBL_MAX ? -DBL_MAX : number;
    char text[40];
    snprintf(text, sizeof text, "%.17g", finite);
    json_exchange(text, localeconv()->decimal_point, ".");
    json_put(out, text);
}

static void json_put_text(crossrun_bytes *out, const char *text, size_t length) {
    size_t at;
    json_put(out, "\"");
    for (at = 0; at < length; at++) {
        const uint8_t byte = (uint8_t)text[at];
        char escape[8];
        if (byte < ' ' || byte == '"' || byte == '\\') {
            snprintf(escape, sizeof escape, "\\u%04x", byte);
            json_put(out, escape);
        } else {
            crossrun_append(out, &byte, 1);
        }
    }
    json_put(out, "\"");
}

#endif
