/* A serial run of each workload of the library comes to what its oracle says, whether it has stages or a graph of tasks. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crossrun_workload_kit.h"

enum { MOST_STAGES = 64, HEADER = 16 };

/* What a failed call says of itself, and the end of the test. */
static void must(int32_t status, const crossrun_buffer *message, const char *what) {
    if (status != CROSSRUN_OK) {
        fprintf(stderr, "%s: status %" PRId32 ": %.*s\n", what, status, (int)message->length, (const char *)message->data);
        exit(1);
    }
}

/* ---- Opening ---------------------------------------------------------------------------------------------------- */

/* Adds words that commas separate to the `at` bytes of the elements of a JSON array. Returns how many bytes there are then. */
static size_t grant(char *use, size_t at, size_t room, const char *words) {
    while (words != NULL && *words != 0 && at < room) {
        const size_t length = strcspn(words, ",");
        at += (size_t)snprintf(use + at, room - at, "%s\"%.*s\"", at > 0 ? "," : "", (int)length, words);
        words += length + (words[length] == ',');
    }
    return at;
}

/* Opens it as for a backend that supports every word which it needs or uses. */
static const crossrun_workload *open_workload(const crossrun_definition *definition, uint64_t items) {
    crossrun_buffer error = CROSSRUN_BUFFER_EMPTY;
    const crossrun_workload *workload = NULL;
    char use[512] = "", spec[1024];
    const size_t needed = grant(use, 0, sizeof use, definition->needs);
    int length;
    grant(use, needed, sizeof use, definition->uses);
    length = snprintf(spec, sizeof spec, "{\"name\": \"%s\", \"total_items\": %" PRIu64 ", \"seed\": 7, \"use\": [%s]}",
                      definition->name, items, use);
    must(crossrun_workload_open((const uint8_t *)spec, (size_t)length, &workload, &error), &error, "open");
    crossrun_workload_buffer_free(&error);
    return workload;
}

/* The plan, which is JSON, as text that is to be freed. */
static char *plan_of(const crossrun_workload *workload) {
    crossrun_buffer json = CROSSRUN_BUFFER_EMPTY;
    char *text;
    must(crossrun_workload_plan(workload, &json), &json, "plan");
    text = calloc(1, json.length + 1);
    memcpy(text, json.data, json.length);
    crossrun_workload_buffer_free(&json);
    return text;
}

/* The number that follows a key of the plan; 0 if it has no such key. */
static uint64_t number_in_plan(const crossrun_workload *workload, const char *key) {
    char *text = plan_of(workload);
    const char *at = strstr(text, key);
    const uint64_t number = at == NULL ? 0 : strtoull(at + strlen(key), NULL, 10);
    free(text);
    return number;
}

/* ---- Stages ----------------------------------------------------------------------------------------------------- */

/* Says of each stage whether it is a keyed reduction; returns how many there are. Each has a `kind` in the plan. */
static uint32_t read_plan(const crossrun_workload *workload, int *is_keyed) {
    char *text = plan_of(workload), *at;
    uint32_t count = 0;
    for (at = strstr(text, "\"kind\""); at != NULL && count < MOST_STAGES; at = strstr(at + 6, "\"kind\"")) {
        const char *value = at + 6 + strspn(at + 6, ": \"");
        is_keyed[count++] = strncmp(value, "keyed_reduce", 12) == 0;
    }
    free(text);
    return count;
}

/* The stages from `at + 1` on, as far as a keyed reduction or the sink. */
static uint32_t end_of_chain(const int *is_keyed, uint32_t at, uint32_t last) {
    do {
        at++;
    } while (at < last && !is_keyed[at]);
    return at;
}

/* Everything in batches of `size`, one after the other; the state of the sink. */
static crossrun_state *run_stages(const crossrun_workload *workload, uint64_t items, uint64_t size) {
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
                count = crossrun_item_count(&in);
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

/* ---- A graph of tasks ------------------------------------------------------------------------------------------- */

/* The output of a task, behind the header of a batch of one item. */
struct task {
    uint8_t *batch;
    size_t length;
    int is_needed;
};

/* A word of edges: the row's first point, how many it has, 0, how many inputs the one task has, and the points of these. */
static uint32_t word(const crossrun_buffer *edges, size_t at) {
    const crossrun_buffer bytes = {edges->data + 4 * at, 4, 0};
    return crossrun_item_count(&bytes);
}

/* Runs a task on outputs of the row before it, whose first point is `first`. No output has more than `most` bytes. */
static struct task run_task(
    const crossrun_workload *workload, uint32_t step, uint32_t place, size_t most, struct task *before, uint32_t first) {
    crossrun_buffer edges = CROSSRUN_BUFFER_EMPTY, error = CROSSRUN_BUFFER_EMPTY;
    struct task task = {calloc(1, HEADER + most), most, 0};
    const uint8_t **inputs;
    size_t *lengths, count, at;
    must(crossrun_workload_graph_edges(workload, step, place, 1, &edges), &edges, "graph_edges");
    count = word(&edges, 3);
    inputs = calloc(count + 1, sizeof *inputs);
    lengths = calloc(count + 1, sizeof *lengths);
    for (at = 0; at < count; at++) {
        struct task *from = &before[word(&edges, 4 + at) - first];
        inputs[at] = from->batch + HEADER;
        lengths[at] = from->length;
        from->is_needed = 1;
    }
    must(crossrun_workload_graph_task(workload, step, word(&edges, 0) + place, count, inputs, lengths, task.batch + HEADER,
                                      &task.length, &error), &error, "graph_task");
    free(inputs);
    free(lengths);
    crossrun_workload_buffer_free(&edges);
    crossrun_workload_buffer_free(&error);
    return task;
}

/* An output that no task of the next row needed is an item of the sink. */
static void end_row(crossrun_state *sink, struct task *row, uint32_t width) {
    crossrun_buffer error = CROSSRUN_BUFFER_EMPTY;
    while (width-- > 0) {
        struct task *task = &row[width];
        crossrun_write_u64(task->batch, 1);
        crossrun_write_u64(task->batch + 8, (uint64_t)task->length << 32);
        if (!task->is_needed) {
            must(crossrun_workload_state_fold(sink, task->batch, HEADER + task->length, &error), &error, "state_fold");
        }
        free(task->batch);
    }
    free(row);
    crossrun_workload_buffer_free(&error);
}

/* One row after the other; the state of the sink. */
static crossrun_state *run_graph(const crossrun_workload *workload) {
    crossrun_buffer edges = CROSSRUN_BUFFER_EMPTY;
    crossrun_state *sink = NULL;
    struct task *before = NULL, *row;
    const uint64_t steps = number_in_plan(workload, "\"steps\":"), most = number_in_plan(workload, "\"output_bytes\":");
    uint32_t step, place, first = 0, width = 0;
    must(crossrun_workload_state_new(workload, 1, &sink, &edges), &edges, "state_new");
    for (step = 0; step < steps; step++) {
        must(crossrun_workload_graph_edges(workload, step, 0, 0, &edges), &edges, "graph_edges");
        row = calloc(word(&edges, 1), sizeof *row);
        for (place = 0; place < word(&edges, 1); place++) {
            row[place] = run_task(workload, step, place, (size_t)most, before, first);
        }
        end_row(sink, before, width);
        before = row;
        first = word(&edges, 0);
        width = word(&edges, 1);
    }
    end_row(sink, before, width);
    crossrun_workload_buffer_free(&edges);
    return sink;
}

/* ---- The tests -------------------------------------------------------------------------------------------------- */

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

/* One size of a workload: 1 if the run came to something else than the oracle. */
static int differs(const crossrun_definition *definition, uint64_t items, uint64_t size) {
    crossrun_buffer got = CROSSRUN_BUFFER_EMPTY, wanted = CROSSRUN_BUFFER_EMPTY, encoded = CROSSRUN_BUFFER_EMPTY;
    const crossrun_workload *workload = open_workload(definition, items);
    crossrun_state *sink = definition->graph != NULL ? run_graph(workload) : run_stages(workload, items, size);
    int differ;
    must(crossrun_workload_state_encode(sink, &encoded), &encoded, "state_encode");
    must(crossrun_workload_outcome(workload, encoded.data, encoded.length, &got), &got, "outcome");
    must(crossrun_workload_expected(workload, &wanted), &wanted, "expected");
    differ = compared(&got) != compared(&wanted) || memcmp(got.data, wanted.data, compared(&got)) != 0;
    if (differ) {
        fprintf(stderr, "%s: %" PRIu64 " items in batches of %" PRIu64 " came to %.*s, and the oracle says %.*s\n",
                definition->name, items, size, (int)got.length, (const char *)got.data, (int)wanted.length,
                (const char *)wanted.data);
    }
    crossrun_workload_state_free(sink);
    crossrun_workload_close(workload);
    crossrun_workload_buffer_free(&got);
    crossrun_workload_buffer_free(&wanted);
    crossrun_workload_buffer_free(&encoded);
    return differ;
}

int main(void) {
    static const uint64_t sizes[][2] = {{0, 1}, {1, 1}, {97, 1}, {97, 10}, {1000, 64}, {1000, 4096}};
    size_t workload, at, failures = 0;
    for (workload = 0; crossrun_definitions[workload] != NULL; workload++) {
        for (at = 0; at < sizeof sizes / sizeof *sizes; at++) {
            failures += (size_t)differs(crossrun_definitions[workload], sizes[at][0], sizes[at][1]);
        }
    }
    puts(failures == 0 ? "ok" : "FAILED");
    return failures != 0;
}
