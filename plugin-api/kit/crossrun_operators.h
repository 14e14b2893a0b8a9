/*
 * The source, the operators, and the keys of items, batch by batch.
 * Part of crossrun_workload_kit.c, which includes it once: it has functions of the library.
 */
#ifndef CROSSRUN_OPERATORS_H
#define CROSSRUN_OPERATORS_H

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "crossrun_items.h"
#include "crossrun_keyed.h"
#include "crossrun_open_loop.h"
#include "crossrun_opening.h"
#include "crossrun_workload_kit.h"
#include "crossrun_xxh3.h"

/* The batch that a caller passed to `handle`, which is called `what` in messages. */
static int32_t read_batch(
    const void *handle, const char *what, const uint8_t *encoded, size_t length, struct batch *batch, crossrun_buffer *error) {
    const char *why;
    if (error == NULL) {
        return CROSSRUN_ARGUMENT;
    }
    if (handle == NULL || encoded == NULL || length > SIZE_MAX / 4) {
        return null_pointer(error, handle == NULL ? what : "batch");
    }
    why = parse_batch(encoded, length, batch);
    return why == NULL ? CROSSRUN_OK : say(error, CROSSRUN_MALFORMED, "%s", why);
}

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
    uint32_t at;
    int32_t status = read_batch(workload, "workload", encoded, length, &batch, out);
    if (status != CROSSRUN_OK) {
        return status;
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
    uint32_t at;
    int32_t status = read_batch(workload, "workload", encoded, length, &batch, out);
    if (status != CROSSRUN_OK) {
        return status;
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

#endif
