/* A serial run of any plan comes to what the oracle says. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crossrun_workloads.h"

enum { MOST_STAGES = 64 };

/* What a failed call says of itself, and the end of the test. */
static void must(int32_t status, const crossrun_buffer *message, const char *what) {
    if (status != CROSSRUN_OK) {
        fprintf(stderr, "%s: status %" PRId32 ": %.*s\n", what, status, (int)message->length, (const char *)message->data);
        exit(1);
    }
}

/* Says of each stage whether it is a keyed reduction; returns how many there are. The plan is JSON with a `kind` each. */
static uint32_t read_plan(const crossrun_workload *workload, int *is_keyed) {
    crossrun_buffer json = CROSSRUN_BUFFER_EMPTY;
    uint32_t count = 0;
    char *text, *at;
    must(crossrun_workload_plan(workload, &json), &json, "plan");
    text = calloc(1, json.length + 1);
    memcpy(text, json.data, json.length);
    for (at = strstr(text, "\"kind\""); at != NULL && count < MOST_STAGES; at = strstr(at + 6, "\"kind\"")) {
        const char *value = at + 6 + strspn(at + 6, ": \"");
        is_keyed[count++] = strncmp(value, "keyed_reduce", 12) == 0;
    }
    free(text);
    crossrun_workload_buffer_free(&json);
    return count;
}

/* The stages from `at + 1` on, as far as a keyed reduction or the sink. */
static uint32_t end_of_chain(const int *is_keyed, uint32_t at, uint32_t last) {
    do {
        at++;
    } while (at < last && !is_keyed[at]);
    return at;
}

static uint32_t items_in(const crossrun_buffer *batch) {
    const uint8_t *bytes = batch->data;
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/* Everything in batches of `size`, one after the other; the state of the sink. */
static crossrun_state *run(const crossrun_workload *workload, uint64_t items, uint64_t size) {
    crossrun_buffer in = CROSSRUN_BUFFER_EMPTY, out = CROSSRUN_BUFFER_EMPTY, error = CROSSRUN_BUFFER_EMPTY;
    crossrun_state *before = NULL, *state = NULL;
    int is_keyed[MOST_STAGES];
    uint32_t at, end, last = read_plan(workload, is_keyed) - 1;
    uint64_t first, count;
    for (at = 0; at < last; at = end) {
        end = end_of_chain(is_keyed, at, last);
        must(crossrun_workload_state_new(workload, end, &state, &error), &error, "state_new");
        for (first = 0, count = 1; count > 0; first += count) {
            if (at == 0) {
                count = items - first < size ? items - first : size;
                must(crossrun_workload_source(workload, first, count, end, &out), &out, "source");
            } else {
                must(crossrun_workload_state_emit(before, size, &in), &in, "state_emit");
                count = items_in(&in);
                must(crossrun_workload_run_stages(workload, at + 1, end, in.data, in.length, &out), &out, "run_stages");
            }
            must(crossrun_workload_state_fold(state, out.data, out.length, &error), &error, "state_fold");
        }
        crossrun_workload_state_free(before);
        before = state;
    }
    crossrun_workload_buffer_free(&in);
    crossrun_workload_buffer_free(&out);
    crossrun_workload_buffer_free(&error);
    return before;
}

/* The length of the count and the checksum, with which an outcome begins: what follows, such as how long operators wait, is of one side. */
static size_t compared(const crossrun_buffer *outcome) {
    size_t at;
    int commas = 0;
    for (at = 0; at < outcome->length && outcome->data[at] != '}'; at++) {
        commas += outcome->data[at] == ',';
        if (commas == 2) {
            break;
        }
    }
    return at;
}

/* One size: 1 if the run came to something else than the oracle. */
static int differs(uint64_t items, uint64_t size) {
    crossrun_buffer got = CROSSRUN_BUFFER_EMPTY, wanted = CROSSRUN_BUFFER_EMPTY, error = CROSSRUN_BUFFER_EMPTY;
    const crossrun_workload *workload = NULL;
    crossrun_state *sink;
    char spec[256];
    int length = snprintf(spec, sizeof spec, "{\"name\": \"{{name}}\", \"total_items\": %" PRIu64 ", \"seed\": 7}", items);
    int differ;
    must(crossrun_workload_open((const uint8_t *)spec, (size_t)length, &workload, &error), &error, "open");
    sink = run(workload, items, size);
    must(crossrun_workload_state_encode(sink, &error), &error, "state_encode");
    must(crossrun_workload_outcome(workload, error.data, error.length, &got), &got, "outcome");
    must(crossrun_workload_expected(workload, &wanted), &wanted, "expected");
    differ = compared(&got) != compared(&wanted) || memcmp(got.data, wanted.data, compared(&got)) != 0;
    if (differ) {
        fprintf(stderr, "%" PRIu64 " items in batches of %" PRIu64 " came to %.*s, and the oracle says %.*s\n", items, size,
                (int)got.length, (const char *)got.data, (int)wanted.length, (const char *)wanted.data);
    }
    crossrun_workload_state_free(sink);
    crossrun_workload_close(workload);
    crossrun_workload_buffer_free(&got);
    crossrun_workload_buffer_free(&wanted);
    crossrun_workload_buffer_free(&error);
    return differ;
}

int main(void) {
    static const uint64_t sizes[][2] = {{0, 1}, {1, 1}, {97, 1}, {97, 10}, {1000, 64}, {1000, 4096}};
    size_t at, failures = 0;
    for (at = 0; at < sizeof sizes / sizeof *sizes; at++) {
        failures += (size_t)differs(sizes[at][0], sizes[at][1]);
    }
    puts(failures == 0 ? "ok" : "FAILED");
    return failures != 0;
}
