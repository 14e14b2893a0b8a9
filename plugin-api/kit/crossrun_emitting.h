/*
 * What keyed reductions emit: what has ended by watermarks, and all of it at the end of the input.
 * Part of crossrun_workload_kit.c, which includes it once: it has functions of the library.
 */
#ifndef CROSSRUN_EMITTING_H
#define CROSSRUN_EMITTING_H

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "crossrun_items.h"
#include "crossrun_keyed.h"
#include "crossrun_open_loop.h"
#include "crossrun_opening.h"
#include "crossrun_states.h"
#include "crossrun_workload_kit.h"

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

#endif
