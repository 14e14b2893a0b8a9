/*
 * The backend comes to what a serial computation comes to, on a workload of this test that has every kind of stage:
 * the numbers below `total_items`, each twice, without those that 3 divides, summed by their last digit, and negated.
 *
 * It stands in for the host and for a library of workloads, so it needs neither. Its batches are a count of 4 bytes and
 * numbers of 8: a backend looks at the count and at nothing else.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crossrun.h"

enum { SOURCE, TWICE, NO_THREES, SUM, NEGATE, SINK, STAGES };

static const uint32_t plan[STAGES] = {
    CROSSRUN_STAGE_SOURCE,       CROSSRUN_STAGE_FLAT_MAP, CROSSRUN_STAGE_FILTER,
    CROSSRUN_STAGE_KEYED_REDUCE, CROSSRUN_STAGE_MAP,      CROSSRUN_STAGE_SINK};

/* What came to a keyed reduction or the sink: count and sum for each digit. */
struct crossrun_state {
    uint32_t stage;
    uint64_t counts[10], sums[10];
};

/* ---- Batches ---------------------------------------------------------------------------------------------------- */

static void begin(crossrun_buffer *batch) {
    batch->data = batch->data == NULL ? calloc(1, 4) : batch->data;
    batch->length = 4;
    memset(batch->data, 0, 4);
}

static void push(crossrun_buffer *batch, uint64_t number) {
    uint32_t count = crossrun_item_count(batch) + 1, byte;
    batch->data = realloc(batch->data, batch->length + 8);
    memcpy(batch->data + batch->length, &number, 8);
    batch->length += 8;
    for (byte = 0; byte < 4; byte++) {
        batch->data[byte] = (uint8_t)(count >> (8 * byte));
    }
}

static uint64_t number_at(const uint8_t *batch, size_t length, size_t place) {
    uint64_t number = 0;
    if (4 + 8 * (place + 1) <= length) {
        memcpy(&number, batch + 4 + 8 * place, 8);
    }
    return number;
}

/* Takes one number through the stages `from` to `to - 1`. */
static void apply(uint64_t number, uint32_t from, uint32_t to, crossrun_buffer *out) {
    if (from >= to) {
        push(out, number);
    } else if (from == TWICE) {
        apply(number, from + 1, to, out);
        apply(number, from + 1, to, out);
    } else if (from == NEGATE) {
        apply(0 - number, from + 1, to, out);
    } else if (number % 3 != 0) {
        apply(number, from + 1, to, out);
    }
}

/* ---- A library of workloads ------------------------------------------------------------------------------------- */

static int32_t source(
    const crossrun_workload *workload, uint64_t first, uint64_t count, uint32_t to, crossrun_buffer *out) {
    uint64_t number;
    (void)workload;
    begin(out);
    for (number = first; number < first + count; number++) {
        apply(number, TWICE, to, out);
    }
    return CROSSRUN_OK;
}

static int32_t run_stages(
    const crossrun_workload *workload, uint32_t from, uint32_t to, const uint8_t *batch, size_t length,
    crossrun_buffer *out) {
    size_t place;
    (void)workload;
    begin(out);
    for (place = 0; 4 + 8 * place < length; place++) {
        apply(number_at(batch, length, place), from, to, out);
    }
    return CROSSRUN_OK;
}

static int32_t state_new(
    const crossrun_workload *workload, uint32_t stage, crossrun_state **state, crossrun_buffer *error) {
    (void)workload, (void)error;
    *state = calloc(1, sizeof **state);
    (*state)->stage = stage;
    return stage == SUM || stage == SINK ? CROSSRUN_OK : CROSSRUN_ARGUMENT;
}

static int32_t state_fold(crossrun_state *state, const uint8_t *batch, size_t length, crossrun_buffer *error) {
    size_t place;
    (void)error;
    for (place = 0; 4 + 8 * place < length; place++) {
        uint64_t number = number_at(batch, length, place), digit = state->stage == SUM ? number % 10 : 0;
        state->counts[digit]++;
        state->sums[digit] += number;
    }
    return CROSSRUN_OK;
}

static int32_t state_merge(crossrun_state *state, const uint8_t *encoded, size_t length, crossrun_buffer *error) {
    crossrun_state other;
    size_t digit;
    (void)error;
    if (length != sizeof other) {
        return CROSSRUN_MALFORMED;
    }
    memcpy(&other, encoded, length);
    for (digit = 0; digit < 10; digit++) {
        state->counts[digit] += other.counts[digit];
        state->sums[digit] += other.sums[digit];
    }
    return CROSSRUN_OK;
}

static int32_t state_encode(crossrun_state *state, crossrun_buffer *out) {
    out->data = realloc(out->data, sizeof *state);
    out->length = sizeof *state;
    memcpy(out->data, state, sizeof *state);
    return CROSSRUN_OK;
}

static int32_t state_emit(crossrun_state *state, uint64_t limit, crossrun_buffer *out) {
    size_t digit;
    begin(out);
    for (digit = 0; digit < 10 && limit > 0; digit++) {
        if (state->counts[digit] > 0) {
            push(out, state->sums[digit]);
            state->counts[digit] = 0;
            limit--;
        }
    }
    return CROSSRUN_OK;
}

static int32_t split(
    const crossrun_workload *workload, uint32_t stage, const uint8_t *batch, size_t length, uint32_t partitions,
    crossrun_buffer *outs, crossrun_buffer *error) {
    uint32_t part;
    size_t place;
    (void)workload, (void)stage, (void)error;
    for (part = 0; part < partitions; part++) {
        begin(&outs[part]);
    }
    for (place = 0; 4 + 8 * place < length; place++) {
        uint64_t number = number_at(batch, length, place);
        push(&outs[number % 10 % partitions], number);
    }
    return CROSSRUN_OK;
}

static void state_free(crossrun_state *state) {
    free(state);
}

static void buffer_free(crossrun_buffer *buffer) {
    free(buffer->data);
    memset(buffer, 0, sizeof *buffer);
}

static void nothing(const crossrun_workload *workload) {
    (void)workload;
}

static const crossrun_workload_functions functions = {
    .size = sizeof functions, .share = nothing, .close = nothing, .source = source, .run_stages = run_stages,
    .split = split, .state_new = state_new, .state_fold = state_fold, .state_merge = state_merge,
    .state_encode = state_encode, .state_emit = state_emit, .state_free = state_free, .buffer_free = buffer_free};

/* ---- A host ----------------------------------------------------------------------------------------------------- */

static int32_t is_cancelled;

static void log_record(const crossrun_host *host, uint32_t level, const char *target, const char *message) {
    (void)host, (void)target;
    fprintf(stderr, "log %" PRIu32 ": %s\n", level, message);
}

static void progress(const crossrun_host *host, uint64_t done, uint64_t total, const char *message) {
    (void)host, (void)done, (void)total, (void)message;
}

static int32_t cancelled(const crossrun_host *host) {
    (void)host;
    return is_cancelled;
}

static uint64_t clock_nanos(const crossrun_host *host) {
    static uint64_t now;
    (void)host;
    return now += 1000;
}

static const crossrun_host host = {
    .size = sizeof host, .abi_version = CROSSRUN_BACKEND_ABI_VERSION, .log = log_record, .progress = progress,
    .cancelled = cancelled, .clock_nanos = clock_nanos};

/* What the backend said. */
static struct {
    crossrun_state sink;
    int has_sink, answers;
    uint64_t results;
    int32_t failure;
} said;

static int32_t answer(crossrun_reply *reply, const char *json) {
    const char *count = strstr(json, "\"results_count\":");
    (void)reply;
    said.answers++;
    said.results = count == NULL ? UINT64_MAX : strtoull(count + strlen("\"results_count\":"), NULL, 10);
    return CROSSRUN_OK;
}

static int32_t sink(crossrun_reply *reply, const uint8_t *bytes, size_t length) {
    (void)reply;
    said.has_sink = length == sizeof said.sink;
    if (said.has_sink) {
        memcpy(&said.sink, bytes, length);
    }
    return CROSSRUN_OK;
}

static int32_t fail(crossrun_reply *reply, int32_t kind, const char *message, const char *remedy) {
    (void)reply, (void)message, (void)remedy;
    said.failure = kind;
    return CROSSRUN_FAILED;
}

static int32_t workload_failed(crossrun_reply *reply, int32_t status, const crossrun_buffer *message) {
    (void)status, (void)message;
    return fail(reply, CROSSRUN_ERROR_WORKLOAD, "", NULL);
}

static crossrun_reply reply = {
    .size = sizeof reply, .answer = answer, .sink = sink, .fail = fail, .workload_failed = workload_failed};

/* ---- The tests -------------------------------------------------------------------------------------------------- */

static int failures;

static void demand(int condition, const char *what, uint64_t items, uint64_t batch_size) {
    if (!condition) {
        fprintf(stderr, "%s, with %" PRIu64 " items in batches of %" PRIu64 "\n", what, items, batch_size);
        failures++;
    }
}

/* Opens the backend, runs once, and closes it, as a host does. */
static int32_t run_once(uint64_t items, uint64_t batch_size) {
    const crossrun_backend_functions *backend = &crossrun_backend;
    const crossrun_session session = {
        .size = sizeof session, .parallelism = 2, .nodes = 1, .data_dir = ".", .log_dir = ".", .session = "{}",
        .host = &host};
    const crossrun_run run = {
        .size = sizeof run, .parallelism = 2, .total_items = items, .batch_size = batch_size, .seed = 42,
        .remaining_nanos = CROSSRUN_NO_DEADLINE, .stage_count = STAGES, .stages = plan, .workload_name = "sums",
        .scheduler_name = "default", .functions = &functions, .library_path = "", .library_sha256 = "",
        .data_dir = ".", .log_dir = ".", .spec = "{}", .context = "{}", .host = &host};
    void *made = NULL;
    int32_t status = CROSSRUN_OK;
    memset(&said, 0, sizeof said);
    if (backend->create != NULL) {
        status = backend->create(&host, &made, &reply);
    }
    if (status == CROSSRUN_OK && backend->open != NULL) {
        status = backend->open(made, &session, &reply);
    }
    said.answers = 0;
    if (status == CROSSRUN_OK && (status = backend->run(made, &run, &reply)) == CROSSRUN_OK && backend->close != NULL) {
        status = backend->close(made, &reply);
    }
    if (backend->destroy != NULL) {
        backend->destroy(made);
    }
    return status;
}

static void every_size_comes_to_what_is_computed_serially(void) {
    static const uint64_t sizes[][2] = {{0, 1}, {1, 1}, {97, 1}, {97, 10}, {1000, 64}, {1000, 4096}};
    size_t at;
    for (at = 0; at < sizeof sizes / sizeof *sizes; at++) {
        uint64_t items = sizes[at][0], batch_size = sizes[at][1], sum = 0, digits = 0, number;
        int seen[10] = {0};
        for (number = 0; number < items; number++) {
            if (number % 3 != 0) {
                sum -= 2 * number;
                digits += !seen[number % 10];
                seen[number % 10] = 1;
            }
        }
        demand(run_once(items, batch_size) == CROSSRUN_OK, "the run failed", items, batch_size);
        demand(said.has_sink && said.answers == 1, "sink and answer are handed over once", items, batch_size);
        demand(said.sink.counts[0] == digits && said.sink.sums[0] == sum, "a wrong answer", items, batch_size);
        demand(said.results == digits, "another count than the sink's", items, batch_size);
    }
}

static void a_run_that_is_not_wanted_stops(void) {
    is_cancelled = 1;
    demand(run_once(1000, 1) != CROSSRUN_OK && said.failure == CROSSRUN_ERROR_CANCELLED, "it went on", 1000, 1);
    is_cancelled = 0;
}

int main(void) {
    every_size_comes_to_what_is_computed_serially();
    a_run_that_is_not_wanted_stops();
    puts(failures == 0 ? "ok" : "FAILED");
    return failures != 0;
}
