/*
 * The states of keyed reductions and of the sink: folding, merging, encoding.
 * Part of crossrun_workload_kit.c, which includes it once: it has functions of the library.
 */
#ifndef CROSSRUN_STATES_H
#define CROSSRUN_STATES_H

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "crossrun_items.h"
#include "crossrun_keyed.h"
#include "crossrun_open_loop.h"
#include "crossrun_opening.h"
#include "crossrun_operators.h"
#include "crossrun_workload_kit.h"

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

/* Why a sink of an open loop cannot be: it has items that a source made where the plan has results of a reduction, or the other
 * way round. */
static const char OTHER_TIMES[] = "a sink has other times than its plan, or none where its plan has some";

/* Whether a sink of an open loop with so many items has the times of its plan. */
static int has_times_of_plan(const crossrun_workload *workload, const struct latencies *latencies, uint64_t count) {
    return are_of(latencies, count, !has_reduction(workload->definition));
}

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
    return has_times && !has_times_of_plan(state->workload, &state->latencies, state->digest.count)
        ? say(error, CROSSRUN_MALFORMED, "%s", OTHER_TIMES) : CROSSRUN_OK;
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
    uint32_t at;
    int32_t status = read_batch(state, "state", encoded, length, &batch, error);
    if (status != CROSSRUN_OK) {
        return status;
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
    if (!is_open_loop(workload)) {
        return rest.length == 0;
    }
    return decode_latencies(rest, latencies) && has_times_of_plan(workload, latencies, digest->count);
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
    return is_open_loop(state->workload)
            && !has_times_of_plan(state->workload, &state->latencies, state->digest.count)
        ? say(error, CROSSRUN_MALFORMED, "%s", OTHER_TIMES) : CROSSRUN_OK;
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

#endif
