/*
 * Open loops: the clock of a run, the stamps of items, and the histograms of a sink. ABI.md says what a stamp is.
 */
#ifndef CROSSRUN_OPEN_LOOP_H
#define CROSSRUN_OPEN_LOOP_H

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crossrun_items.h"
#include "crossrun_json.h"

/* ---- Stamps ----------------------------------------------------------------------------------------------------- */

/* When an item was due and when it was made, in nanoseconds from the start of the run. */
struct stamp {
    uint64_t due;
    /* STAMP_NOT_MADE of what a keyed reduction made of many items. */
    uint64_t made;
    /* Whether the item was requested before it was due, so that the source waited. */
    int awaited;
};

enum { STAMP_LENGTH = CROSSRUN_STAMP_LENGTH };

/* The bit of `made` that is set if the source waited. */
#define STAMP_AWAITED (UINT64_C(1) << 63)
/* Stands for no time at which an item was made. */
#define STAMP_NOT_MADE (STAMP_AWAITED - 1)

static void write_stamp(uint8_t *bytes, struct stamp stamp) {
    crossrun_write_u64(bytes, stamp.due);
    crossrun_write_u64(bytes + 8, (stamp.made & ~STAMP_AWAITED) | (stamp.awaited ? STAMP_AWAITED : 0));
}

/* The stamp of what a keyed reduction makes of many items. */
static void write_stamp_of_result(uint8_t *bytes, uint64_t due) {
    struct stamp stamp = {0, STAMP_NOT_MADE, 0};
    stamp.due = due;
    write_stamp(bytes, stamp);
}

/* Takes the stamp off an item; returns 0 if it has none. */
static int take_stamp(crossrun_slice *item, struct stamp *stamp) {
    uint64_t made;
    if (item->length < STAMP_LENGTH) {
        return 0;
    }
    item->length -= STAMP_LENGTH;
    stamp->due = crossrun_u64(item->data + item->length);
    made = crossrun_u64(item->data + item->length + 8);
    stamp->made = made & ~STAMP_AWAITED;
    stamp->awaited = made != stamp->made;
    return 1;
}

static const char NO_STAMP[] = "an item of an open loop has no stamp";

/* ---- The clock -------------------------------------------------------------------------------------------------- */

/* The source wakes so long before an item is due, and then reads the clock until it is due, as waking takes about so long. */
enum { WAKE_UP_NANOS = 60 * 1000 };

static uint64_t monotonic_nanos(void) {
    struct timespec now = {0, 0};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Nanoseconds since the start of the run. */
static uint64_t run_clock(uint64_t start) {
    const uint64_t now = monotonic_nanos();
    return now > start ? now - start : 0;
}

/* Waits until an item is due. A signal may end a sleep early. */
static struct stamp await_due(uint64_t start, uint64_t due) {
    const uint64_t until = due < UINT64_MAX - start ? start + due : UINT64_MAX;
    struct stamp stamp = {0, 0, 0};
    uint64_t now;
    stamp.due = due;
    for (now = monotonic_nanos(); now < until; now = monotonic_nanos()) {
        stamp.awaited = 1;
        if (until - now > WAKE_UP_NANOS) {
            const uint64_t left = until - now - WAKE_UP_NANOS;
            struct timespec wait;
            wait.tv_sec = (time_t)(left / 1000000000);
            wait.tv_nsec = (long)(left % 1000000000);
            nanosleep(&wait, NULL);
        }
    }
    stamp.made = run_clock(start);
    return stamp;
}

/* ---- Histograms ------------------------------------------------------------------------------------------------- */

/* The longest time that is recorded exactly: one day. Longer times count as this. */
#define LONGEST_NANOS (UINT64_C(24) * 3600 * 1000000000)

/* Values of this many bits have a bucket each. Of longer ones the first so many bits count, so that a bucket is as wide as 1/1024
 * of its values at most. */
enum { BUCKET_BITS = 11, BUCKET_HALF = 1 << (BUCKET_BITS - 1) };

/* How often each value was seen. It grows with the values, as a sink may be made for a single batch. */
struct histogram {
    uint64_t *counts;
    size_t length;
    uint64_t total;
};

/* How many bits of a value its bucket does not tell apart. */
static unsigned bucket_shift(uint64_t value) {
    return value < 2 * BUCKET_HALF ? 0 : 64 - BUCKET_BITS - (unsigned)__builtin_clzll(value);
}

static size_t bucket_of(uint64_t value) {
    const unsigned shift = bucket_shift(value);
    return (size_t)shift * BUCKET_HALF + (size_t)(value >> shift);
}

/* The least value of a bucket; that of the next one is one more than its highest value. */
static uint64_t bucket_start(size_t bucket) {
    const size_t shift = bucket < 2 * BUCKET_HALF ? 0 : bucket / BUCKET_HALF - 1;
    return (uint64_t)(bucket - shift * BUCKET_HALF) << shift;
}

static uint64_t bucket_end(size_t bucket) {
    return bucket_start(bucket + 1) - 1;
}

/* Records a value `count` times; returns 0 if there is not enough memory, or if the counts would overflow. */
static int record_value(struct histogram *histogram, uint64_t value, uint64_t count) {
    const size_t bucket = bucket_of(value < LONGEST_NANOS ? value : LONGEST_NANOS);
    if (count > UINT64_MAX - histogram->total) {
        return 0;
    }
    if (bucket >= histogram->length) {
        const size_t length = (bucket / BUCKET_HALF + 1) * BUCKET_HALF;
        uint64_t *counts = realloc(histogram->counts, length * sizeof *counts);
        if (counts == NULL) {
            return 0;
        }
        memset(counts + histogram->length, 0, (length - histogram->length) * sizeof *counts);
        histogram->counts = counts;
        histogram->length = length;
    }
    histogram->counts[bucket] += count;
    histogram->total += count;
    return 1;
}

/* From when an item was due and from when it was made until it arrived, and how late the source itself was. */
struct latencies {
    struct histogram scheduled, service, lag;
};

static void free_latencies(struct latencies *latencies) {
    free(latencies->scheduled.counts);
    free(latencies->service.counts);
    free(latencies->lag.counts);
    memset(latencies, 0, sizeof *latencies);
}

static uint64_t since(uint64_t from, uint64_t to) {
    return to > from ? to - from : 0;
}

/* Records an item that arrived at `now`. What was requested too late says nothing of the source. */
static int record_arrival(struct latencies *latencies, struct stamp stamp, uint64_t now) {
    if (!record_value(&latencies->scheduled, since(stamp.due, now), 1)) {
        return 0;
    }
    return stamp.made == STAMP_NOT_MADE
        || (record_value(&latencies->service, since(stamp.made, now), 1)
            && record_value(&latencies->lag, stamp.awaited ? since(stamp.due, stamp.made) : 0, 1));
}

/* Whether they are those of so many items: of items that the source made, or else of results of a keyed reduction. */
static int are_of(const struct latencies *latencies, uint64_t count, int of_source) {
    const uint64_t made = of_source ? count : 0;
    return latencies->scheduled.total == count && latencies->service.total == made && latencies->lag.total == made;
}

/* ---- In a sink's state ------------------------------------------------------------------------------------------ */

/* Appends how many buckets have values, and of each its least value and how many there are. */
static void put_histogram(crossrun_bytes *out, const struct histogram *histogram) {
    uint8_t number[8];
    uint64_t used = 0;
    size_t at;
    for (at = 0; at < histogram->length; at++) {
        used += histogram->counts[at] > 0;
    }
    crossrun_write_u64(number, used);
    crossrun_append(out, number, sizeof number);
    for (at = 0; at < histogram->length; at++) {
        if (histogram->counts[at] > 0) {
            crossrun_write_u64(number, bucket_start(at));
            crossrun_append(out, number, sizeof number);
            crossrun_write_u64(number, histogram->counts[at]);
            crossrun_append(out, number, sizeof number);
        }
    }
}

/* Takes eight bytes as a number; returns 0 at the end. */
static int take_number(crossrun_slice *bytes, uint64_t *number) {
    if (bytes->length < 8) {
        return 0;
    }
    *number = crossrun_u64(bytes->data);
    bytes->data += 8;
    bytes->length -= 8;
    return 1;
}

/* Adds what put_histogram wrote: the values ascend, each is the least of its bucket, and each was seen. */
static int take_histogram(crossrun_slice *bytes, struct histogram *histogram) {
    uint64_t buckets, value, count, above = 0;
    if (!take_number(bytes, &buckets)) {
        return 0;
    }
    for (; buckets > 0; buckets--) {
        if (!take_number(bytes, &value) || !take_number(bytes, &count) || value < above || value > LONGEST_NANOS
            || count == 0 || bucket_start(bucket_of(value)) != value || !record_value(histogram, value, count)) {
            return 0;
        }
        above = value + 1;
    }
    return 1;
}

static void put_latencies(crossrun_bytes *out, const struct latencies *latencies) {
    put_histogram(out, &latencies->scheduled);
    put_histogram(out, &latencies->service);
    put_histogram(out, &latencies->lag);
}

/* Reads what put_latencies wrote, and nothing more. */
static int decode_latencies(crossrun_slice bytes, struct latencies *latencies) {
    return take_histogram(&bytes, &latencies->scheduled) && take_histogram(&bytes, &latencies->service)
        && take_histogram(&bytes, &latencies->lag) && bytes.length == 0;
}

static int merge_histogram(struct histogram *histogram, const struct histogram *other) {
    size_t at;
    for (at = 0; at < other->length; at++) {
        if (other->counts[at] > 0 && !record_value(histogram, bucket_start(at), other->counts[at])) {
            return 0;
        }
    }
    return 1;
}

static int merge_latencies(struct latencies *latencies, const struct latencies *other) {
    return merge_histogram(&latencies->scheduled, &other->scheduled)
        && merge_histogram(&latencies->service, &other->service) && merge_histogram(&latencies->lag, &other->lag);
}

/* ---- In an outcome ---------------------------------------------------------------------------------------------- */

/* The quantiles that a reader looks up, above which a curve has some more. */
static const double LOOKED_UP[] = {0, 0.5, 0.9, 0.95, 0.99, 0.999};

/* The next quantile of a curve after `quantile`: four each time the part above is halved, and those that are looked up. */
static double next_quantile(double quantile) {
    double step = 0.25, next;
    size_t at;
    while (step > (1 - quantile) / 4) {
        step /= 2;
    }
    next = quantile + step;
    for (at = 0; at < sizeof LOOKED_UP / sizeof *LOOKED_UP; at++) {
        if (LOOKED_UP[at] > quantile && LOOKED_UP[at] < next) {
            next = LOOKED_UP[at];
        }
    }
    return next;
}

static double mean_of(const struct histogram *histogram) {
    double sum = 0;
    size_t at;
    for (at = 0; at < histogram->length; at++) {
        const double middle = ((double)bucket_start(at) + (double)bucket_end(at)) / 2;
        sum += middle * (double)histogram->counts[at];
    }
    return histogram->total == 0 ? 0 : sum / (double)histogram->total;
}

static void put_point(crossrun_bytes *out, double quantile, uint64_t nanos) {
    json_put(out, quantile > 0 ? ",[" : "[");
    json_put_number(out, quantile);
    json_put(out, ",");
    json_put_whole(out, nanos);
    json_put(out, "]");
}

/* The curve: ascending quantiles, each with the value that so large a part of all does not exceed. */
static void put_curve(crossrun_bytes *out, const struct histogram *histogram) {
    const double total = (double)histogram->total;
    uint64_t seen = 0;
    double quantile = 0;
    size_t at;
    for (at = 0; at < histogram->length && seen < histogram->total; at++) {
        seen += histogram->counts[at];
        for (; histogram->counts[at] > 0 && seen < histogram->total && quantile * total <= (double)seen;
             quantile = next_quantile(quantile)) {
            put_point(out, quantile, bucket_end(at));
        }
    }
    /* The last bucket with values has the rest. */
    for (; at > 0 && quantile <= LOOKED_UP[sizeof LOOKED_UP / sizeof *LOOKED_UP - 1]; quantile = next_quantile(quantile)) {
        put_point(out, quantile, bucket_end(at - 1));
    }
    if (at > 0) {
        put_point(out, 1, bucket_end(at - 1));
    }
}

static void put_distribution(crossrun_bytes *out, const char *name, const struct histogram *histogram) {
    json_put_text(out, name, strlen(name));
    json_put(out, ":{\"count\":");
    json_put_whole(out, histogram->total);
    json_put(out, ",\"mean_nanos\":");
    json_put_number(out, mean_of(histogram));
    json_put(out, ",\"curve\":[");
    put_curve(out, histogram);
    json_put(out, "]}");
}

static void put_latency(crossrun_bytes *out, const struct latencies *latencies) {
    json_put(out, ",\"latency\":{");
    put_distribution(out, "scheduled", &latencies->scheduled);
    json_put(out, ",");
    put_distribution(out, "service", &latencies->service);
    json_put(out, ",");
    put_distribution(out, "lag", &latencies->lag);
    json_put(out, "}");
}

/* Adds the times of a stamp to the object that describes an item. */
static void describe_stamp(crossrun_bytes *out, struct stamp stamp) {
    size_t end = out->length;
    while (end > 0 && out->data[end - 1] != '}') {
        end--;
    }
    if (end == 0) {
        return;
    }
    out->length = --end;
    while (end > 0 && strchr(" \t\r\n", out->data[end - 1]) != NULL) {
        end--;
    }
    json_put(out, end > 0 && out->data[end - 1] == '{' ? "" : ",");
    json_put(out, "\"due_nanos\":");
    json_put_whole(out, stamp.due);
    if (stamp.made != STAMP_NOT_MADE) {
        json_put(out, ",\"made_nanos\":");
        json_put_whole(out, stamp.made);
    }
    json_put(out, "}");
}

#endif
