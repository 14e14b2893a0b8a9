/* The {{name}} backend: one batch after the other. Your engine goes where the loops are. */
#include <inttypes.h>
#include <stdio.h>

#include "crossrun.h"
CROSSRUN_BACKEND_METADATA("{{name}}", "0.1.0", "The {{name}} backend of crossrun", "MIT OR Apache-2.0");

static int32_t run(void *unused, const crossrun_run *run, crossrun_reply *reply) {
    const crossrun_host *host = run->host;
    const crossrun_workload_functions *call = run->functions;
    const uint64_t started = host->clock_nanos(host), total = run->total_items, size = run->batch_size;
    crossrun_buffer in = CROSSRUN_BUFFER_EMPTY, out = CROSSRUN_BUFFER_EMPTY, swap;
    crossrun_state *before = NULL, *state = NULL;
    uint32_t at, end, last = run->stage_count - 1;
    uint64_t first, count, results = 0;
    int32_t cancelled = 0, status = CROSSRUN_OK;
    char json[96];
    (void)unused;
    if (run->fusion_off)
        return reply->fail(reply, CROSSRUN_ERROR_UNSUPPORTED, "fusion=off is not written yet", "--extra fusion=auto");
    /* From the source to the first keyed reduction, from what that emits to the next one, and so on to the sink. */
    for (at = 0; at < last && status == CROSSRUN_OK && !cancelled; at = end) {
        for (end = at + 1; end < last && run->stages[end] != CROSSRUN_STAGE_KEYED_REDUCE; end++) {}
        status = call->state_new(run->workload, end, &state, &out);
        for (first = results = 0, count = 1; status == CROSSRUN_OK && count > 0 && !cancelled; first += count) {
            if (at == 0) {
                count = total - first < size ? total - first : size;
                status = call->source(run->workload, first, count, end, &out);
                host->progress(host, first, total, NULL);
            } else if ((status = call->state_emit(before, size, &out)) == CROSSRUN_OK) {
                count = crossrun_item_count(&out);
                swap = in, in = out, out = swap;
                status = call->run_stages(run->workload, at + 1, end, in.data, in.length, &out);
            }
            if (status == CROSSRUN_OK) {
                results += crossrun_item_count(&out);
                swap = in, in = out, out = swap;
                status = call->state_fold(state, in.data, in.length, &out);
            }
            cancelled = host->cancelled(host);
        }
        call->state_free(before);
        before = state, state = NULL;
    }
    if (status == CROSSRUN_OK && !cancelled && (status = call->state_encode(before, &out)) == CROSSRUN_OK) {
        snprintf(json, sizeof json, "{\"elapsed_time\": %" PRIu64 "e-9, \"results_count\": %" PRIu64 "}",
                 host->clock_nanos(host) - started, results);
        reply->sink(reply, out.data, out.length), status = reply->answer(reply, json);
    } else {
        status = cancelled ? reply->fail(reply, CROSSRUN_ERROR_CANCELLED, "cancelled by the host", NULL)
                           : reply->workload_failed(reply, status, &out);
    }
    call->state_free(before);
    call->buffer_free(&in), call->buffer_free(&out);
    return status;
}

const crossrun_backend_functions crossrun_backend = {
    .size = sizeof crossrun_backend, .abi_version = CROSSRUN_BACKEND_ABI_VERSION, .run = run};
