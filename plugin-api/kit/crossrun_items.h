/*
 * Items, batches that are read and written, and the messages of calls that fail.
 */
#ifndef CROSSRUN_ITEMS_H
#define CROSSRUN_ITEMS_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crossrun_workload_kit.h"
#include "crossrun_xxh3.h"

/* ---- Bytes and items -------------------------------------------------------------------------------------------- */

/* Reserves memory for `more` bytes; returns 0 if there is not enough memory. */
static int reserve(crossrun_bytes *bytes, size_t more) {
    size_t capacity = bytes->capacity == 0 ? 16 : bytes->capacity;
    uint8_t *data;
    if (bytes->failed || more > SIZE_MAX / 4 - bytes->length) {
        bytes->failed = 1;
        return 0;
    }
    if (bytes->data != NULL && bytes->length + more <= bytes->capacity) {
        return 1;
    }
    while (capacity < bytes->length + more) {
        capacity *= 2;
    }
    data = realloc(bytes->data, capacity);
    if (data == NULL) {
        bytes->failed = 1;
        return 0;
    }
    bytes->data = data;
    bytes->capacity = capacity;
    return 1;
}

void crossrun_append(crossrun_bytes *bytes, const void *data, size_t length) {
    if (length > 0 && reserve(bytes, length)) {
        memcpy(bytes->data + bytes->length, data, length);
        bytes->length += length;
    }
}

static void free_bytes(crossrun_bytes *bytes) {
    free(bytes->data);
    memset(bytes, 0, sizeof *bytes);
}

static void put_u32(uint8_t *bytes, uint32_t value) {
    int at;
    for (at = 0; at < 4; at++, value >>= 8) {
        bytes[at] = (uint8_t)value;
    }
}

static uint32_t get_u32(const uint8_t *bytes) {
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/* The digest of the items that reached a sink. */
struct digest {
    uint64_t count, sum, xored;
};

static void digest_item(struct digest *digest, const void *data, size_t length) {
    const uint64_t hash = xxh3_64(data, length);
    digest->count++;
    digest->sum += hash;
    digest->xored ^= hash;
}

/* The most bytes that the items of a batch have together, which is the largest offset. Tests make it smaller. */
#ifndef CROSSRUN_KIT_BATCH_BYTES
#define CROSSRUN_KIT_BATCH_BYTES INT32_MAX
#endif

/* How many bytes an open loop puts behind each item. */
enum { CROSSRUN_STAMP_LENGTH = 16 };

/* A batch to which items are added. If it has a digest, only the digest of the items is kept. */
struct crossrun_items {
    crossrun_bytes ends, bytes;
    uint64_t count;
    struct digest *digest;
    /* What is put behind each item in an open loop, or null. */
    const uint8_t *stamp;
    /* Whether an item did not fit and was left out. */
    int too_large;
};

void crossrun_push(crossrun_items *items, const void *data, size_t length) {
    const size_t more = items->stamp == NULL ? 0 : CROSSRUN_STAMP_LENGTH;
    const size_t room = CROSSRUN_KIT_BATCH_BYTES - items->bytes.length;
    uint8_t end[4];
    if (items->digest != NULL) {
        items->count++;
        digest_item(items->digest, data, length);
        return;
    }
    if (length > room || more > room - length || items->count == UINT32_MAX) {
        items->too_large = 1;
        return;
    }
    items->count++;
    crossrun_append(&items->bytes, data, length);
    crossrun_append(&items->bytes, items->stamp, more);
    put_u32(end, (uint32_t)items->bytes.length);
    crossrun_append(&items->ends, end, sizeof end);
}

static void clear_items(crossrun_items *items) {
    items->ends.length = items->bytes.length = 0;
    items->count = 0;
    items->too_large = 0;
}

static void free_items(crossrun_items *items) {
    free_bytes(&items->ends);
    free_bytes(&items->bytes);
}

/* ---- Answers and errors ----------------------------------------------------------------------------------------- */

/* A buffer of the caller, as bytes that grow. It keeps its memory from one call to the next. */
static crossrun_bytes taken(crossrun_buffer *buffer) {
    crossrun_bytes bytes = {NULL, 0, 0, 0};
    bytes.data = buffer->data;
    bytes.capacity = buffer->capacity;
    memset(buffer, 0, sizeof *buffer);
    return bytes;
}

static int given(crossrun_buffer *buffer, const crossrun_bytes *bytes) {
    buffer->data = bytes->data;
    buffer->length = bytes->length;
    buffer->capacity = bytes->capacity;
    return !bytes->failed;
}

/* Puts a message into a buffer and returns the status. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
static int32_t say(crossrun_buffer *buffer, int32_t status, const char *format, ...) {
    crossrun_bytes bytes = taken(buffer);
    va_list arguments;
    int length;
    va_start(arguments, format);
    length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length > 0 && reserve(&bytes, (size_t)length + 1)) {
        va_start(arguments, format);
        vsnprintf((char *)bytes.data, (size_t)length + 1, format, arguments);
        va_end(arguments);
        bytes.length = (size_t)length;
    }
    given(buffer, &bytes);
    return status;
}

static int32_t null_pointer(crossrun_buffer *buffer, const char *what) {
    return say(buffer, CROSSRUN_ARGUMENT, "the pointer to a %s is null", what);
}

static int32_t out_of_memory(crossrun_buffer *buffer) {
    return say(buffer, CROSSRUN_OPERATOR, "out of memory");
}

static int32_t too_large(crossrun_buffer *buffer) {
    return say(
        buffer, CROSSRUN_TOO_LARGE, "a batch has more bytes of items than an offset reaches; use a smaller batch_size");
}

/* Writes a batch into a buffer. */
static int32_t encode_items(const crossrun_items *items, crossrun_buffer *buffer) {
    crossrun_bytes bytes = taken(buffer);
    uint8_t header[12] = {0};
    if (items->ends.failed || items->bytes.failed) {
        given(buffer, &bytes);
        return out_of_memory(buffer);
    }
    if (items->too_large) {
        given(buffer, &bytes);
        return too_large(buffer);
    }
    put_u32(header, (uint32_t)items->count);
    crossrun_append(&bytes, header, sizeof header);
    crossrun_append(&bytes, items->ends.data, items->ends.length);
    crossrun_append(&bytes, items->bytes.data, items->bytes.length);
    return given(buffer, &bytes) ? CROSSRUN_OK : out_of_memory(buffer);
}

/* ---- Batches that are read -------------------------------------------------------------------------------------- */

/* A batch whose offsets have all been checked. */
struct batch {
    uint32_t count;
    const uint8_t *ends, *bytes;
};

/* Null, or why the bytes are not a batch. */
static const char *parse_batch(const uint8_t *encoded, size_t length, struct batch *batch) {
    uint32_t at, before = 0;
    size_t rest;
    if (length < 12) {
        return "a batch is shorter than its header and its first offset";
    }
    batch->count = get_u32(encoded);
    if (get_u32(encoded + 4) != 0) {
        return "a batch has flags that this version does not know";
    }
    if (batch->count > (length - 12) / 4) {
        return "a batch is shorter than its offsets";
    }
    rest = length - 12 - 4 * (size_t)batch->count;
    batch->ends = encoded + 12;
    batch->bytes = batch->ends + 4 * (size_t)batch->count;
    for (at = 0; at < batch->count; at++) {
        const uint32_t end = get_u32(batch->ends + 4 * (size_t)at);
        if (end < before || end > INT32_MAX) {
            return "a batch's offsets fall";
        }
        before = end;
    }
    return get_u32(encoded + 8) == 0 && before == rest ? NULL : "a batch's offsets do not go from 0 to its end";
}

static crossrun_slice item_of(const struct batch *batch, uint32_t at) {
    const uint32_t start = at == 0 ? 0 : get_u32(batch->ends + 4 * (size_t)(at - 1));
    crossrun_slice item;
    item.data = batch->bytes + start;
    item.length = get_u32(batch->ends + 4 * (size_t)at) - start;
    return item;
}

#endif
