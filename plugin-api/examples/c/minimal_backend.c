/*
 * A backend in C that is as small as possible: one thread, one batch after the other, no keyed reductions.
 *
 *     cc -std=c99 -O2 -fPIC -shared -I plugin-api/include minimal_backend.c -o libminimal_runner.so
 */
#include <inttypes.h>
#include <stdio.h>

#include "crossrun.h"
CROSSRUN_BACKEND_METADATA("minimal", "0.1.0", "The smallest backend in C", "MIT OR Apache-2.0");

static int32_t run(void *unused, const crossrun_run *run, crossrun_reply *reply) {
    const crossrun_host *host = run->host;
    const crossrun_workload_functions *call = run->functions;
    const uint64_t started = host->clock_nanos(host);
    crossrun_buffer batch = CROSSRUN_BUFFER_EMPTY, out = CROSSRUN_BUFFER_EMPTY, swap;
    crossrun_state *sink = NULL;
    uint64_t first, count, results = 0;
    uint32_t stage, last = run->stage_count - 1;
    int32_t status, cancelled = 0;
    char json[128];
    (void)unused;
    for (stage = 1; stage < last; stage++) {
        if (run->stages[stage] == CROSSRUN_STAGE_KEYED_REDUCE) {
            return reply->fail(reply, CROSSRUN_ERROR_UNSUPPORTED, "this backend has no keyed reduction", NULL);
        }
    }
    status = call->state_new(run->workload, last, &sink, &out);
    for (first = 0; status == CROSSRUN_OK && first < run->total_items && !cancelled; first += count) {
        count = run->total_items - first < run->batch_size ? run->total_items - first : run->batch_size;
        /* Put your engine here: it takes each batch from one stage to the next. */
        status = call->source(run->workload, first, count, 1, &out);
        for (stage = 1; status == CROSSRUN_OK && stage <= last; stage++) {
            swap = batch, batch = out, out = swap;
            status = stage < last
                ? call->run_stages(run->workload, stage, stage + 1, batch.data, batch.length, &out)
                : call->state_fold(sink, batch.data, batch.length, &out);
        }
        results += crossrun_item_count(&batch);
        host->progress(host, first + count, run->total_items, NULL);
        cancelled = host->cancelled(host);
    }
    if (status == CROSSRUN_OK && (status = call->state_encode(sink, &out)) == CROSSRUN_OK && !cancelled) {
        snprintf(json, sizeof json,
                 "{\"scheduler_name\": \"default\", \"elapsed_time\": %" PRIu64 "e-9, \"results_count\": %" PRIu64 "}",
                 host->clock_nanos(host) - started, results);
        reply->sink(reply, out.data, out.length);
        status = reply->answer(reply, json);
    } else {
        status = cancelled ? reply->fail(reply, CROSSRUN_ERROR_CANCELLED, "cancelled by the host", NULL)
                           : reply->workload_failed(reply, status, &out);
    }
    call->state_free(sink);
    call->buffer_free(&batch);
    call->buffer_free(&out);
    return status;
}

const crossrun_backend_functions crossrun_backend = {
    .size = sizeof crossrun_backend, .abi_version = CROSSRUN_BACKEND_ABI_VERSION, .run = run};
