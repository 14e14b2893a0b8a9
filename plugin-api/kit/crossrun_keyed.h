/*
 * The keys of a keyed reduction with their accumulators: a hash table and, once something was closed, a heap by when each key ends.
 */
#ifndef CROSSRUN_KEYED_H
#define CROSSRUN_KEYED_H

#include <stdlib.h>
#include <string.h>

#include "crossrun_items.h"

/* The end of what never ends before the input does. */
#define NEVER UINT64_MAX

/* A key and its accumulator. */
struct entry {
    uint64_t hash;
    /* When the first part of the accumulator ends, if the entries are a heap. */
    uint64_t end;
    crossrun_bytes key, accumulator;
};

struct keyed {
    /* The entries, and a hash table of their indexes plus one, of which at most half is used. */
    struct entry *entries;
    size_t count, capacity;
    size_t *slots;
    size_t slot_count;
};

/* Bytes as an author reads them. They have an address also where there are none: C has no arithmetic and no memcpy with null. */
static crossrun_slice slice_of(const crossrun_bytes *bytes) {
    crossrun_slice slice;
    slice.data = bytes->data == NULL ? (const uint8_t *)"" : bytes->data;
    slice.length = bytes->length;
    return slice;
}

/* ---- The hash table --------------------------------------------------------------------------------------------- */

/* Puts every entry into a table of `slot_count` slots, a power of two. */
static int make_slots(struct keyed *keyed, size_t slot_count) {
    size_t *slots = calloc(slot_count, sizeof *slots);
    size_t at;
    if (slots == NULL) {
        return 0;
    }
    for (at = 0; at < keyed->count; at++) {
        size_t slot = (size_t)keyed->entries[at].hash & (slot_count - 1);
        while (slots[slot] != 0) {
            slot = (slot + 1) & (slot_count - 1);
        }
        slots[slot] = at + 1;
    }
    free(keyed->slots);
    keyed->slots = slots;
    keyed->slot_count = slot_count;
    return 1;
}

/* Makes the table again after entries were taken off the end, which does not keep it. */
static int need_slots(struct keyed *keyed) {
    return keyed->slots != NULL || make_slots(keyed, keyed->slot_count == 0 ? 64 : keyed->slot_count);
}

static int make_room(struct keyed *keyed) {
    if (keyed->count == keyed->capacity) {
        const size_t capacity = keyed->capacity == 0 ? 16 : keyed->capacity * 2;
        struct entry *entries = realloc(keyed->entries, capacity * sizeof *entries);
        if (entries == NULL) {
            return 0;
        }
        keyed->entries = entries;
        keyed->capacity = capacity;
    }
    return need_slots(keyed)
        && (2 * (keyed->count + 1) <= keyed->slot_count || make_slots(keyed, keyed->slot_count * 2));
}

/* The entry of a key, with an empty accumulator if the key is new; null if there is not enough memory. */
static struct entry *entry_of(struct keyed *keyed, crossrun_slice key) {
    const uint64_t hash = xxh3_64(key.data, key.length);
    struct entry *entry;
    size_t slot;
    if (!make_room(keyed)) {
        return NULL;
    }
    slot = (size_t)hash & (keyed->slot_count - 1);
    for (; keyed->slots[slot] != 0; slot = (slot + 1) & (keyed->slot_count - 1)) {
        entry = &keyed->entries[keyed->slots[slot] - 1];
        if (entry->hash == hash && entry->key.length == key.length
            && (key.length == 0 || memcmp(entry->key.data, key.data, key.length) == 0)) {
            return entry;
        }
    }
    entry = &keyed->entries[keyed->count];
    memset(entry, 0, sizeof *entry);
    entry->hash = hash;
    /* The end of a heap is where what never ends may be. */
    entry->end = NEVER;
    crossrun_append(&entry->key, key.data, key.length);
    if (entry->key.failed) {
        return NULL;
    }
    keyed->slots[slot] = ++keyed->count;
    return entry;
}

/* The slot of the entry at an index. */
static size_t slot_of(const struct keyed *keyed, size_t index) {
    size_t slot = (size_t)keyed->entries[index].hash & (keyed->slot_count - 1);
    while (keyed->slots[slot] != index + 1) {
        slot = (slot + 1) & (keyed->slot_count - 1);
    }
    return slot;
}

/* Empties a slot. An entry behind it, which would not be found any more, takes its place, and so on. */
static void empty_slot(struct keyed *keyed, size_t empty) {
    const size_t mask = keyed->slot_count - 1;
    size_t slot;
    for (slot = (empty + 1) & mask; keyed->slots[slot] != 0; slot = (slot + 1) & mask) {
        const size_t first = (size_t)keyed->entries[keyed->slots[slot] - 1].hash & mask;
        /* An entry is found from its first slot on, up to an empty one. */
        if (((slot - first) & mask) >= ((slot - empty) & mask)) {
            keyed->slots[empty] = keyed->slots[slot];
            empty = slot;
        }
    }
    keyed->slots[empty] = 0;
}

static void free_entry(struct entry *entry) {
    free_bytes(&entry->key);
    free_bytes(&entry->accumulator);
}

static void free_keyed(struct keyed *keyed) {
    while (keyed->count > 0) {
        free_entry(&keyed->entries[--keyed->count]);
    }
    free(keyed->entries);
    free(keyed->slots);
}

/* ---- The heap --------------------------------------------------------------------------------------------------- */

/* No entry ends before the one at half its place. So the first one ends first, and the last one may be taken away. */

static void swap_entries(struct keyed *keyed, size_t one, size_t other) {
    const size_t slot = slot_of(keyed, one), other_slot = slot_of(keyed, other);
    const struct entry entry = keyed->entries[one];
    keyed->entries[one] = keyed->entries[other];
    keyed->entries[other] = entry;
    keyed->slots[slot] = other + 1;
    keyed->slots[other_slot] = one + 1;
}

static void move_towards_end(struct keyed *keyed, size_t at) {
    for (;;) {
        size_t child = 2 * at + 1, least = at;
        if (child < keyed->count && keyed->entries[child].end < keyed->entries[least].end) {
            least = child;
        }
        if (++child < keyed->count && keyed->entries[child].end < keyed->entries[least].end) {
            least = child;
        }
        if (least == at) {
            return;
        }
        swap_entries(keyed, at, least);
        at = least;
    }
}

/* Makes a heap of entries whose ends were set. */
static void make_heap(struct keyed *keyed) {
    size_t at;
    for (at = keyed->count / 2; at > 0; at--) {
        move_towards_end(keyed, at - 1);
    }
}

/* Sets when an entry of a heap ends. It has another place afterwards. */
static void set_end(struct keyed *keyed, size_t at, uint64_t end) {
    keyed->entries[at].end = end;
    while (at > 0 && end < keyed->entries[(at - 1) / 2].end) {
        swap_entries(keyed, at, (at - 1) / 2);
        at = (at - 1) / 2;
    }
    move_towards_end(keyed, at);
}

/* Removes the first entry of a heap. */
static void forget_first(struct keyed *keyed) {
    const size_t last = keyed->count - 1;
    swap_entries(keyed, 0, last);
    empty_slot(keyed, slot_of(keyed, last));
    free_entry(&keyed->entries[last]);
    keyed->count = last;
    move_towards_end(keyed, 0);
}

#endif
