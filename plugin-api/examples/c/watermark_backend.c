/*
 * A backend in C that emits what has ended of a keyed reduction while the input goes on, in one thread.
 *
 *     cc -std=c99 -O2 -fPIC -shared -I plugin-api/include watermark_backend.c -o libwatermark_runner.so
 *
 * It has a state for each keyed reduction, and one for the sink. After each slice of the source all that was made of it is folded, so
 * that the reductions may close up to the watermark of the next item: the first reduction first, as what it emits is folded by the next.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "crossrun.h"

CROSSRUN_BACKEND_METADATA("watermark", "0.1.0", "Emits what has ended, in C", "MIT OR Apache-2.0");

/* A run. */
struct path {
    const crossrun_run *run;
    crossrun_reply *reply;
    /* The states, each at the number of its stage, and null at other stages. */
    crossrun_state **states;
    uint64_t results;
};

/* Whether a call of the workload succeeded. If it failed, its message is reported. */
static int succeeded(struct path *path, int32_t status, const crossrun_buffer *message) {
    if (status != CROSSRUN_OK) {
        path->reply->workload_failed(path->reply, status, message);
    }
    return status == CROSSRUN_OK;
}

/* Whether the host lets the run go on, which is asked once a batch. If not, that is reported. */
static int goes_on(struct path *path) {
    const crossrun_host *host = path->run->host;
    const int32_t is_cancelled = host->cancelled(host);
    if (is_cancelled) {
        path->reply->fail(path->reply, CROSSRUN_ERROR_CANCELLED, "cancelled by the host", NULL);
    }
    return !is_cancelled;
}

/* Takes a batch that has left `stage` to the next keyed reduction, or to the sink. The batch changes. */
static int pass_on(struct path *path, uint32_t stage, crossrun_buffer *batch) {
    const crossrun_workload_functions *call = path->run->functions;
    crossrun_buffer out = CROSSRUN_BUFFER_EMPTY, swap;
    int good = 1;
    for (stage++; good && path->states[stage] == NULL; stage++) {
        good = succeeded(
            path, call->run_stages(path->run->workload, stage, stage + 1, batch->data, batch->length, &out), &out);
        swap = *batch, *batch = out, out = swap;
    }
    good = good && succeeded(path, call->state_fold(path->states[stage], batch->data, batch->length, &out), &out);
    if (good && stage + 1 == path->run->stage_count) {
        path->results += crossrun_item_count(batch);
    }
    call->buffer_free(&out);
    return good;
}

/* Passes on what a keyed reduction emits, until that is nothing: what ended at `*time` or before, or all of it if `time` is null. */
static int drain(struct path *path, uint32_t stage, const uint64_t *time) {
    const crossrun_workload_functions *call = path->run->functions;
    const uint64_t limit = path->run->batch_size;
    crossrun_state *state = path->states[stage];
    crossrun_buffer batch = CROSSRUN_BUFFER_EMPTY;
    uint64_t next;
    int good;
    do {
        good = goes_on(path) && succeeded(
            path,
            time != NULL ? call->state_close(state, *time, limit, &next, &batch) : call->state_emit(state, limit, &batch),
            &batch);
    } while (good && crossrun_item_count(&batch) > 0 && (good = pass_on(path, stage, &batch)));
    call->buffer_free(&batch);
    return good;
}

static int drain_all(struct path *path, const uint64_t *time) {
    uint32_t stage;
    int good = 1;
    for (stage = 1; good && stage + 1 < path->run->stage_count; stage++) {
        good = path->states[stage] == NULL || drain(path, stage, time);
    }
    return good;
}

/* Whether reductions may emit before the input ends. The workload refuses to answer if it has no watermarks, or if the host does not
 * know them. */
static int has_watermarks(const crossrun_run *run) {
    const crossrun_workload_functions *call = run->functions;
    crossrun_buffer error = CROSSRUN_BUFFER_EMPTY;
    uint64_t time;
    int answers = CROSSRUN_CALLABLE(crossrun_workload_functions, call, watermark)
        && CROSSRUN_CALLABLE(crossrun_workload_functions, call, state_close)
        && call->watermark(run->workload, 0, &time, &error) == CROSSRUN_OK;
    call->buffer_free(&error);
    return answers;
}

static int run_source(struct path *path, int closes) {
    const crossrun_run *run = path->run;
    const crossrun_workload_functions *call = run->functions;
    crossrun_buffer batch = CROSSRUN_BUFFER_EMPTY, error = CROSSRUN_BUFFER_EMPTY;
    uint64_t first, count, time;
    int good = 1;
    for (first = 0; good && first < run->total_items; first += count) {
        count = run->total_items - first < run->batch_size ? run->total_items - first : run->batch_size;
        good = succeeded(path, call->source(run->workload, first, count, 1, &batch), &batch) && pass_on(path, 0, &batch);
        if (good && closes) {
            good = succeeded(path, call->watermark(run->workload, first + count, &time, &error), &error)
                && drain_all(path, &time);
        }
        run->host->progress(run->host, first + count, run->total_items, NULL);
        good = good && goes_on(path);
    }
    call->buffer_free(&batch);
    call->buffer_free(&error);
    return good;
}

static int make_states(struct path *path) {
    const crossrun_run *run = path->run;
    crossrun_buffer error = CROSSRUN_BUFFER_EMPTY;
    uint32_t stage;
    int good = 1;
    for (stage = 1; good && stage < run->stage_count; stage++) {
        if (run->stages[stage] == CROSSRUN_STAGE_KEYED_REDUCE || stage + 1 == run->stage_count) {
            good = succeeded(
                path, run->functions->state_new(run->workload, stage, &path->states[stage], &error), &error);
        }
    }
    run->functions->buffer_free(&error);
    return good;
}

static int32_t answer(struct path *path, int closes, uint64_t started) {
    const crossrun_run *run = path->run;
    crossrun_reply *reply = path->reply;
    crossrun_buffer encoded = CROSSRUN_BUFFER_EMPTY;
    int32_t status = CROSSRUN_FAILED;
    char json[256];
    if (succeeded(path, run->functions->state_encode(path->states[run->stage_count - 1], &encoded), &encoded)) {
        snprintf(
            json, sizeof json,
            "{\"scheduler_name\": \"default\", \"elapsed_time\": %" PRIu64 "e-9, \"results_count\": %" PRIu64
            ", \"metrics\": {\"closes\": %s}}",
            run->host->clock_nanos(run->host) - started, path->results, closes ? "true" : "false");
        reply->sink(reply, encoded.data, encoded.length);
        status = reply->answer(reply, json);
    }
    run->functions->buffer_free(&encoded);
    return status;
}

static int32_t run(void *unused, const crossrun_run *run, crossrun_reply *reply) {
    const uint64_t started = run->host->clock_nanos(run->host);
    const int closes = has_watermarks(run);
    struct path path = {NULL, NULL, NULL, 0};
    int32_t status = CROSSRUN_FAILED;
    uint32_t stage;
    (void)unused;
    path.run = run;
    path.reply = reply;
    path.states = calloc(run->stage_count, sizeof *path.states);
    if (path.states == NULL) {
        return reply->fail(reply, CROSSRUN_ERROR_ENGINE, "out of memory", NULL);
    }
    /* At the end all is emitted that has not ended, or that was not closed. */
    if (make_states(&path) && run_source(&path, closes) && drain_all(&path, NULL)) {
        status = answer(&path, closes, started);
    }
    for (stage = 0; stage < run->stage_count; stage++) {
        run->functions->state_free(path.states[stage]);
    }
    free(path.states);
    return status;
}

static int32_t describe(void *unused, crossrun_reply *reply) {
    (void)unused;
    return reply->answer(reply, "{\"supports\": [\"watermarks\"]}");
}

const crossrun_backend_functions crossrun_backend = {
    .size = sizeof crossrun_backend,
    .abi_version = CROSSRUN_BACKEND_ABI_VERSION,
    .describe = describe,
    .run = run,
};
