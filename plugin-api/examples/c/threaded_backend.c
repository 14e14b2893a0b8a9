/*
 * A backend in C that runs every plan on a pool of POSIX threads.
 *
 *     cc -std=c99 -O2 -pthread -fPIC -shared -I plugin-api/include threaded_backend.c -o libthreaded_runner.so
 *
 * A plan is run in phases. A phase takes its input, which is the source or the partitions of a keyed reduction, through
 * a chain of maps, filters and flat maps, and folds what comes out into states of its end, which is the next keyed
 * reduction or the sink. Each thread folds into states of its own, which are merged when the phase has ended.
 *
 * The threads take tasks from one queue. With fusion a task takes a batch through the whole chain. Without fusion a task
 * is one stage of one batch, and its result goes back into the queue. Batches come before new input, and the newest
 * first, so that there are never more batches than threads.
 *
 * A graph of tasks is run row by row: a row is a phase whose input are its tasks.
 */
#define _POSIX_C_SOURCE 200809L

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "crossrun.h"

CROSSRUN_BACKEND_METADATA("threaded", "0.1.0", "A pool of POSIX threads, in C", "MIT OR Apache-2.0");

/* More partitions than this do not help, as no machine has so many threads. */
enum { MAX_PARTITIONS = 64 };
/* How often the host is asked whether to stop, and told the progress. */
enum { POLL_NANOS = 10 * 1000 * 1000 };

/* ---- A phase ---------------------------------------------------------------------------------------------------- */

enum task_kind {
    /* Make the batch of a slice. */
    SLICE,
    /* Merge the states that all threads have of a partition. */
    MERGE,
    /* Emit the next batch of a partition. */
    EMIT,
    /* Take a batch through one stage. */
    STAGE,
    /* Run a task of a graph. */
    TASK
};

struct task {
    enum task_kind kind;
    /* Which slice, partition, or place in the row of a graph. */
    uint64_t unit;
    crossrun_state *partition;
    uint32_t stage;
    crossrun_buffer batch;
};

/* The states of all threads at one stage: that of thread t for partition p is `states[t * partitions + p]`. */
struct states {
    uint32_t threads, partitions;
    crossrun_state **states;
};

/* A row of a graph: its edges, as graph_edges gives them, and the outputs of its tasks. */
struct row {
    crossrun_buffer edges;
    uint8_t *outputs;
    size_t *lengths;
};

struct phase {
    const crossrun_run *run;
    crossrun_reply *reply;
    /* The chain is the stages `from` to `end - 1`. */
    uint32_t from, end;
    /* The row of a graph whose tasks are run, its number, and the row before it; null otherwise. */
    struct row *row, *before;
    uint32_t step;
    /* The states of the input, unless it is the source. */
    struct states *input;
    struct states output;

    pthread_mutex_t lock;
    /* Signalled when there may be a task, or there will be no more. */
    pthread_cond_t more;
    /* Signalled when the last thread has ended. */
    pthread_cond_t over;
    /* Tasks that no thread has begun: batches, partitions, and the units of the input from `next` on. */
    struct task *batches;
    uint32_t batch_count;
    crossrun_state **partitions;
    uint32_t partition_count;
    uint64_t next, units;
    /* How many tasks are being run. */
    uint32_t running;
    uint32_t threads_left;
    uint64_t items_done;
    uint64_t results;
    int failed;
};

/* Reports the first failure, and stops all threads. The lock lets only one thread at a time use the reply. */
static void fail(struct phase *phase, int32_t kind, const char *message, const char *remedy) {
    pthread_mutex_lock(&phase->lock);
    phase->reply->fail(phase->reply, kind, message, remedy);
    phase->failed = 1;
    pthread_cond_broadcast(&phase->more);
    pthread_mutex_unlock(&phase->lock);
}

/* Whether a call of the workload succeeded. If it failed, its message is reported. */
static int succeeded(struct phase *phase, int32_t status, const crossrun_buffer *message) {
    if (status == CROSSRUN_OK) {
        return 1;
    }
    pthread_mutex_lock(&phase->lock);
    phase->reply->workload_failed(phase->reply, status, message);
    phase->failed = 1;
    pthread_cond_broadcast(&phase->more);
    pthread_mutex_unlock(&phase->lock);
    return 0;
}

/* Takes the next task. Waits while all that is left depends on tasks of other threads. Returns 0 if there are no more. */
static int take(struct phase *phase, struct task *task) {
    int taken = 0;
    pthread_mutex_lock(&phase->lock);
    while (!phase->failed && !taken) {
        taken = 1;
        if (phase->batch_count > 0) {
            *task = phase->batches[--phase->batch_count];
        } else if (phase->partition_count > 0) {
            task->kind = EMIT;
            task->partition = phase->partitions[--phase->partition_count];
        } else if (phase->next < phase->units) {
            task->kind = phase->row != NULL ? TASK : phase->input == NULL ? SLICE : MERGE;
            task->unit = phase->next++;
        } else if (phase->running > 0) {
            taken = 0;
            pthread_cond_wait(&phase->more, &phase->lock);
        } else {
            taken = 0;
            break;
        }
    }
    phase->running += (uint32_t)taken;
    pthread_mutex_unlock(&phase->lock);
    return taken;
}

/* Ends a task, which made these new ones. Both may be null. */
static void done(struct phase *phase, crossrun_state *partition, const struct task *batch) {
    pthread_mutex_lock(&phase->lock);
    phase->running--;
    if (partition != NULL) {
        phase->partitions[phase->partition_count++] = partition;
    }
    if (batch != NULL) {
        phase->batches[phase->batch_count++] = *batch;
    }
    pthread_cond_broadcast(&phase->more);
    pthread_mutex_unlock(&phase->lock);
}

/* ---- A thread --------------------------------------------------------------------------------------------------- */

struct thread {
    pthread_t id;
    uint32_t number;
    struct phase *phase;
};

/* Folds a batch that has reached the end of the phase into the states of this thread. */
static int fold(struct thread *thread, const crossrun_buffer *batch) {
    struct phase *phase = thread->phase;
    const crossrun_workload_functions *call = phase->run->functions;
    const uint32_t partitions = phase->output.partitions;
    crossrun_state **states = &phase->output.states[thread->number * partitions];
    crossrun_buffer error = CROSSRUN_BUFFER_EMPTY, parts[MAX_PARTITIONS];
    uint32_t part;
    int good;
    if (phase->run->stages[phase->end] == CROSSRUN_STAGE_SINK) {
        good = succeeded(phase, call->state_fold(states[0], batch->data, batch->length, &error), &error);
        pthread_mutex_lock(&phase->lock);
        phase->results += crossrun_item_count(batch);
        pthread_mutex_unlock(&phase->lock);
    } else {
        memset(parts, 0, sizeof parts);
        good = succeeded(
            phase,
            call->split(phase->run->workload, phase->end, batch->data, batch->length, partitions, parts, &error),
            &error);
        for (part = 0; part < partitions; part++) {
            if (good && crossrun_item_count(&parts[part]) > 0) {
                const crossrun_buffer *items = &parts[part];
                good = succeeded(phase, call->state_fold(states[part], items->data, items->length, &error), &error);
            }
            call->buffer_free(&parts[part]);
        }
    }
    call->buffer_free(&error);
    return good;
}

/*
 * Handles a batch that has reached `stage`. With fusion it takes the batch to the end of the phase. Without fusion it
 * applies one stage, and puts the next task into `next`. Returns whether it succeeded. It takes ownership of the batch.
 */
static int forward(struct thread *thread, uint32_t stage, crossrun_buffer batch, struct task *next) {
    struct phase *phase = thread->phase;
    const crossrun_workload_functions *call = phase->run->functions;
    crossrun_buffer out = CROSSRUN_BUFFER_EMPTY;
    if (phase->run->fusion_off) {
        next->kind = STAGE;
        next->stage = stage;
        next->batch = batch;
        return 1;
    }
    if (stage == phase->end) {
        fold(thread, &batch);
    } else {
        const int32_t status =
            call->run_stages(phase->run->workload, stage, phase->end, batch.data, batch.length, &out);
        if (succeeded(phase, status, &out)) {
            fold(thread, &out);
        }
        call->buffer_free(&out);
    }
    call->buffer_free(&batch);
    return 0;
}

static void make_slice(struct thread *thread, uint64_t slice) {
    struct phase *phase = thread->phase;
    const crossrun_run *run = phase->run;
    const uint64_t first = slice * run->batch_size, left = run->total_items - first;
    const uint64_t count = left < run->batch_size ? left : run->batch_size;
    const uint32_t to = run->fusion_off ? 1 : phase->end;
    crossrun_buffer batch = CROSSRUN_BUFFER_EMPTY;
    struct task next;
    int more = 0;
    if (succeeded(phase, run->functions->source(run->workload, first, count, to, &batch), &batch)) {
        more = forward(thread, to, batch, &next);
        pthread_mutex_lock(&phase->lock);
        phase->items_done += count;
        pthread_mutex_unlock(&phase->lock);
    } else {
        run->functions->buffer_free(&batch);
    }
    done(phase, NULL, more ? &next : NULL);
}

/* Merges the other states of a partition into that of the first thread, and returns that; null if it fails. */
static crossrun_state *merge(struct phase *phase, struct states *states, uint64_t partition) {
    const crossrun_workload_functions *call = phase->run->functions;
    crossrun_buffer encoded = CROSSRUN_BUFFER_EMPTY, error = CROSSRUN_BUFFER_EMPTY;
    crossrun_state *merged = states->states[partition];
    uint32_t thread;
    int good = 1;
    for (thread = 1; good && thread < states->threads; thread++) {
        crossrun_state *other = states->states[thread * states->partitions + partition];
        good = succeeded(phase, call->state_encode(other, &encoded), &encoded)
            && succeeded(phase, call->state_merge(merged, encoded.data, encoded.length, &error), &error);
    }
    call->buffer_free(&encoded);
    call->buffer_free(&error);
    return good ? merged : NULL;
}

static void emit(struct thread *thread, crossrun_state *partition) {
    struct phase *phase = thread->phase;
    const crossrun_run *run = phase->run;
    crossrun_buffer batch = CROSSRUN_BUFFER_EMPTY;
    struct task next;
    int more = 0;
    if (!succeeded(phase, run->functions->state_emit(partition, run->batch_size, &batch), &batch)
        || crossrun_item_count(&batch) == 0) {
        run->functions->buffer_free(&batch);
        partition = NULL;
    } else {
        more = forward(thread, phase->from, batch, &next);
    }
    done(phase, partition, more ? &next : NULL);
}

static void run_stage(struct thread *thread, const struct task *task) {
    struct phase *phase = thread->phase;
    const crossrun_workload_functions *call = phase->run->functions;
    crossrun_buffer batch = task->batch, out = CROSSRUN_BUFFER_EMPTY;
    struct task next;
    int more = 0;
    if (task->stage == phase->end) {
        fold(thread, &batch);
    } else {
        const int32_t status = call->run_stages(
            phase->run->workload, task->stage, task->stage + 1, batch.data, batch.length, &out);
        if (succeeded(phase, status, &out)) {
            more = forward(thread, task->stage + 1, out, &next);
        } else {
            call->buffer_free(&out);
        }
    }
    call->buffer_free(&batch);
    done(phase, NULL, more ? &next : NULL);
}

/* The word at place `at` of a row's edges: the first point, how many there are, where the inputs of each begin and where those
 * of the last end, and then the inputs. */
static uint32_t word(const struct row *row, size_t at) {
    const uint8_t *byte = row->edges.data + 4 * at;
    return (uint32_t)byte[0] | (uint32_t)byte[1] << 8 | (uint32_t)byte[2] << 16 | (uint32_t)byte[3] << 24;
}

static uint32_t first_point(const struct row *row) {
    return word(row, 0);
}

static uint32_t row_width(const struct row *row) {
    return word(row, 1);
}

/* The inputs of the task at a place in its row: where the first is among the words, and how many there are. */
static uint32_t inputs_of(const struct row *row, uint64_t place, size_t *at) {
    const uint32_t begin = word(row, 2 + (size_t)place);
    *at = 3 + (size_t)row_width(row) + begin;
    return word(row, 3 + (size_t)place) - begin;
}

static void run_task(struct thread *thread, uint64_t place) {
    struct phase *phase = thread->phase;
    const crossrun_run *run = phase->run;
    struct row *row = phase->row, *before = phase->before;
    crossrun_buffer error = CROSSRUN_BUFFER_EMPTY;
    size_t at, input, *length = &row->lengths[place];
    const uint32_t count = inputs_of(row, place, &at);
    const uint8_t **inputs = malloc((count + 1) * sizeof *inputs);
    size_t *lengths = malloc((count + 1) * sizeof *lengths);
    if (inputs == NULL || lengths == NULL) {
        fail(phase, CROSSRUN_ERROR_ENGINE, "out of memory", NULL);
    } else {
        for (input = 0; input < count; input++) {
            const size_t needed = word(row, at + input) - first_point(before);
            inputs[input] = before->outputs + needed * run->graph_output_bytes;
            lengths[input] = before->lengths[needed];
        }
        *length = run->graph_output_bytes;
        succeeded(
            phase,
            run->functions->graph_task(
                run->workload, phase->step, first_point(row) + (uint32_t)place, count, inputs, lengths,
                row->outputs + place * run->graph_output_bytes, length, &error),
            &error);
        run->functions->buffer_free(&error);
        pthread_mutex_lock(&phase->lock);
        phase->items_done++;
        pthread_mutex_unlock(&phase->lock);
    }
    free(inputs);
    free(lengths);
    done(phase, NULL, NULL);
}

static void *work(void *argument) {
    struct thread *thread = argument;
    struct phase *phase = thread->phase;
    struct task task = {SLICE, 0, NULL, 0, CROSSRUN_BUFFER_EMPTY};
    while (take(phase, &task)) {
        switch (task.kind) {
        case SLICE:
            make_slice(thread, task.unit);
            break;
        case MERGE:
            done(phase, merge(phase, phase->input, task.unit), NULL);
            break;
        case EMIT:
            emit(thread, task.partition);
            break;
        case STAGE:
            run_stage(thread, &task);
            break;
        case TASK:
            run_task(thread, task.unit);
            break;
        }
    }
    pthread_mutex_lock(&phase->lock);
    phase->threads_left--;
    pthread_cond_broadcast(&phase->more);
    pthread_cond_signal(&phase->over);
    pthread_mutex_unlock(&phase->lock);
    return NULL;
}

/* ---- The phases ------------------------------------------------------------------------------------------------- */

static void free_states(const crossrun_run *run, struct states *states) {
    const size_t count = (size_t)states->threads * states->partitions;
    size_t at;
    for (at = 0; states->states != NULL && at < count; at++) {
        run->functions->state_free(states->states[at]);
    }
    free(states->states);
    states->states = NULL;
}

/* Makes the states that the phase folds into. */
static int make_states(struct phase *phase) {
    const crossrun_run *run = phase->run;
    const int is_sink = run->stages[phase->end] == CROSSRUN_STAGE_SINK;
    struct states *states = &phase->output;
    crossrun_buffer error = CROSSRUN_BUFFER_EMPTY;
    size_t at, count;
    int good = 1;
    states->threads = run->parallelism;
    states->partitions = is_sink ? 1 : run->parallelism < MAX_PARTITIONS ? run->parallelism : MAX_PARTITIONS;
    count = (size_t)states->threads * states->partitions;
    states->states = calloc(count, sizeof *states->states);
    if (states->states == NULL) {
        fail(phase, CROSSRUN_ERROR_ENGINE, "out of memory", NULL);
        return 0;
    }
    for (at = 0; good && at < count; at++) {
        const int32_t status = run->functions->state_new(run->workload, phase->end, &states->states[at], &error);
        good = succeeded(phase, status, &error);
    }
    run->functions->buffer_free(&error);
    return good;
}

/* Asks the host whether to stop, and tells it the progress, until the last thread has ended. */
static void watch(struct phase *phase) {
    const crossrun_host *host = phase->run->host;
    pthread_mutex_lock(&phase->lock);
    while (phase->threads_left > 0) {
        struct timespec until;
        uint64_t items;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += POLL_NANOS;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&phase->over, &phase->lock, &until);
        items = phase->items_done;
        pthread_mutex_unlock(&phase->lock);
        host->progress(host, phase->input == NULL ? items : phase->run->total_items, phase->run->total_items, NULL);
        if (host->cancelled(host)) {
            fail(phase, CROSSRUN_ERROR_CANCELLED, "the run was cancelled by the host", NULL);
        }
        pthread_mutex_lock(&phase->lock);
    }
    pthread_mutex_unlock(&phase->lock);
}

/* Runs the threads of a phase to their end. */
static void run_threads(struct phase *phase, struct thread *threads) {
    uint32_t started, number;
    phase->threads_left = phase->run->parallelism;
    for (started = 0; started < phase->run->parallelism; started++) {
        threads[started].number = started;
        threads[started].phase = phase;
        if (pthread_create(&threads[started].id, NULL, work, &threads[started]) != 0) {
            fail(phase, CROSSRUN_ERROR_ENGINE, "a thread could not be started", "--parallelism 2");
            pthread_mutex_lock(&phase->lock);
            phase->threads_left -= phase->run->parallelism - started;
            pthread_mutex_unlock(&phase->lock);
            break;
        }
    }
    watch(phase);
    for (number = 0; number < started; number++) {
        pthread_join(threads[number].id, NULL);
    }
}

/*
 * Runs the chain from the stage `from` on, and puts the result into the phase's output. Returns whether it succeeded.
 * `input` has the states of the keyed reduction before it, or is null for the source. Counts the results in `results`.
 */
static int run_phase(struct phase *phase, uint32_t from, struct states *input) {
    const crossrun_run *run = phase->run;
    struct thread *threads = calloc(run->parallelism, sizeof *threads);
    phase->from = phase->end = from;
    while (run->stages[phase->end] != CROSSRUN_STAGE_KEYED_REDUCE && run->stages[phase->end] != CROSSRUN_STAGE_SINK) {
        phase->end++;
    }
    phase->input = input;
    phase->units = input != NULL ? input->partitions
                                 : run->total_items / run->batch_size + (run->total_items % run->batch_size != 0);
    phase->batches = calloc(run->parallelism, sizeof *phase->batches);
    phase->partitions = calloc(input == NULL ? 1 : input->partitions, sizeof *phase->partitions);
    if (threads == NULL || phase->batches == NULL || phase->partitions == NULL) {
        fail(phase, CROSSRUN_ERROR_ENGINE, "out of memory", NULL);
    } else if (make_states(phase)) {
        run_threads(phase, threads);
    }
    /* Free what is left after a failure. The partitions belong to the input. */
    while (phase->batch_count > 0) {
        run->functions->buffer_free(&phase->batches[--phase->batch_count].batch);
    }
    free(threads);
    free(phase->batches);
    free(phase->partitions);
    return !phase->failed;
}

static int32_t answer(struct phase *phase, uint64_t nanos) {
    const crossrun_workload_functions *call = phase->run->functions;
    crossrun_reply *reply = phase->reply;
    crossrun_state *sink = merge(phase, &phase->output, 0);
    crossrun_buffer encoded = CROSSRUN_BUFFER_EMPTY;
    int32_t status = CROSSRUN_FAILED;
    if (sink != NULL && succeeded(phase, call->state_encode(sink, &encoded), &encoded)) {
        const int is_known = strcmp(phase->run->scheduler_name, "default") == 0;
        char json[256];
        snprintf(
            json, sizeof json,
            "{\"scheduler_name\": \"default\", \"elapsed_time\": %" PRIu64 "e-9, \"results_count\": %" PRIu64
            ", \"metrics\": {\"threads\": %" PRIu32 ", \"warnings\": [%s]}}",
            nanos, phase->results, phase->run->parallelism,
            is_known ? "" : "\"the scheduler is unknown to threaded, which has only its own\"");
        reply->sink(reply, encoded.data, encoded.length);
        status = reply->answer(reply, json);
    }
    call->buffer_free(&encoded);
    return status;
}

static void init(struct phase *phase, const crossrun_run *run, crossrun_reply *reply) {
    memset(phase, 0, sizeof *phase);
    phase->run = run;
    phase->reply = reply;
    pthread_mutex_init(&phase->lock, NULL);
    pthread_cond_init(&phase->more, NULL);
    pthread_cond_init(&phase->over, NULL);
}

static void destroy_phase(struct phase *phase) {
    pthread_cond_destroy(&phase->over);
    pthread_cond_destroy(&phase->more);
    pthread_mutex_destroy(&phase->lock);
}

static uint64_t nanos_since(const crossrun_run *run, uint64_t started) {
    return run->host->clock_nanos(run->host) - started;
}

/* ---- A graph ---------------------------------------------------------------------------------------------------- */

static void free_row(const crossrun_run *run, struct row *row) {
    run->functions->buffer_free(&row->edges);
    free(row->outputs);
    free(row->lengths);
}

/* Reads the edges of a row, and makes room for the outputs of its tasks. */
static int make_row(struct phase *phase, uint32_t step, struct row *row) {
    const crossrun_run *run = phase->run;
    if (!succeeded(
            phase, run->functions->graph_edges(run->workload, step, 0, UINT32_MAX, &row->edges), &row->edges)) {
        return 0;
    }
    row->outputs = malloc((size_t)row_width(row) * run->graph_output_bytes + 1);
    row->lengths = calloc(row_width(row), sizeof *row->lengths);
    if (row->outputs == NULL || row->lengths == NULL) {
        fail(phase, CROSSRUN_ERROR_ENGINE, "out of memory", NULL);
        return 0;
    }
    return 1;
}

/* Folds an output that no task needs into the sink, as a batch of one item. */
static int fold_output(struct phase *phase, const uint8_t *output, size_t length) {
    const crossrun_workload_functions *call = phase->run->functions;
    crossrun_buffer error = CROSSRUN_BUFFER_EMPTY;
    uint8_t *batch = calloc(1, 16 + length);
    int good, at;
    if (batch == NULL) {
        fail(phase, CROSSRUN_ERROR_ENGINE, "out of memory", NULL);
        return 0;
    }
    batch[0] = 1;
    for (at = 0; at < 4; at++) {
        batch[12 + at] = (uint8_t)(length >> (8 * at));
    }
    memcpy(batch + 16, output, length);
    good = succeeded(phase, call->state_fold(phase->output.states[0], batch, 16 + length, &error), &error);
    call->buffer_free(&error);
    free(batch);
    phase->results++;
    return good;
}

/* Folds the outputs of `row` that no task of the row after it needs. After the last row, `after` is null. */
static int fold_row(struct phase *phase, const struct row *row, const struct row *after) {
    const uint64_t size = phase->run->graph_output_bytes;
    const uint32_t width = row_width(row);
    uint8_t *is_needed = calloc(width, 1);
    uint32_t place;
    size_t at, end = 0;
    int good = is_needed != NULL;
    if (!good) {
        fail(phase, CROSSRUN_ERROR_ENGINE, "out of memory", NULL);
    } else if (after != NULL) {
        end = inputs_of(after, row_width(after) - 1, &at);
        for (end += at, at = 3 + (size_t)row_width(after); at < end; at++) {
            is_needed[word(after, at) - first_point(row)] = 1;
        }
    }
    for (place = 0; good && place < width; place++) {
        good = is_needed[place] || fold_output(phase, row->outputs + place * size, row->lengths[place]);
    }
    free(is_needed);
    return good;
}

/* Runs the tasks of a row, of which the inputs are in the row before it. */
static int run_row(struct phase *phase, struct thread *threads, uint32_t step, struct row *before, struct row *row) {
    const crossrun_host *host = phase->run->host;
    /* The threads of a small row may have ended before `watch` asks. */
    if (host->cancelled(host)) {
        fail(phase, CROSSRUN_ERROR_CANCELLED, "the run was cancelled by the host", NULL);
        return 0;
    }
    phase->row = row;
    phase->before = before;
    phase->step = step;
    phase->next = 0;
    phase->units = row_width(row);
    run_threads(phase, threads);
    return !phase->failed;
}

static int32_t run_graph(const crossrun_run *run, crossrun_reply *reply, uint64_t started) {
    struct row rows[2], next;
    struct thread *threads = calloc(run->parallelism, sizeof *threads);
    struct phase phase;
    int32_t status = CROSSRUN_FAILED;
    uint32_t step;
    int good;
    if (!CROSSRUN_CALLABLE(crossrun_workload_functions, run->functions, graph_edges)
        || !CROSSRUN_CALLABLE(crossrun_workload_functions, run->functions, graph_task)) {
        free(threads);
        return reply->fail(reply, CROSSRUN_ERROR_WORKLOAD, "the workload's library has no graphs of tasks", NULL);
    }
    init(&phase, run, reply);
    memset(rows, 0, sizeof rows);
    memset(&next, 0, sizeof next);
    /* The workload may have no stages between source and sink. */
    phase.end = run->stage_count - 1;
    good = make_states(&phase);
    if (threads == NULL) {
        fail(&phase, CROSSRUN_ERROR_ENGINE, "out of memory", NULL);
        good = 0;
    }
    good = good && (run->graph_steps == 0 || make_row(&phase, 0, &rows[0]));
    for (step = 0; good && step < run->graph_steps; step++) {
        struct row *row = &rows[step % 2], *before = &rows[(step + 1) % 2];
        const int is_last = step + 1 == run->graph_steps;
        good = run_row(&phase, threads, step, before, row) && (is_last || make_row(&phase, step + 1, &next))
            && fold_row(&phase, row, is_last ? NULL : &next);
        free_row(run, before);
        *before = next;
        memset(&next, 0, sizeof next);
    }
    if (good) {
        status = answer(&phase, nanos_since(run, started));
    }
    free_row(run, &rows[0]);
    free_row(run, &rows[1]);
    free_states(run, &phase.output);
    destroy_phase(&phase);
    free(threads);
    return status;
}

/* ---- A run ------------------------------------------------------------------------------------------------------ */

static int32_t run(void *backend, const crossrun_run *run, crossrun_reply *reply) {
    const uint64_t started = run->host->clock_nanos(run->host);
    struct states input = {0, 0, NULL};
    int32_t status = CROSSRUN_FAILED;
    uint32_t from = 1;
    int good = 1;
    (void)backend;
    if (CROSSRUN_HAS(crossrun_run, run, graph_output_bytes) && run->graph_width > 0) {
        return run_graph(run, reply, started);
    }
    while (good && from < run->stage_count) {
        struct phase phase;
        init(&phase, run, reply);
        good = run_phase(&phase, from, from == 1 ? NULL : &input);
        if (good && run->stages[phase.end] == CROSSRUN_STAGE_SINK) {
            status = answer(&phase, nanos_since(run, started));
        }
        free_states(run, &input);
        input = phase.output;
        from = phase.end + 1;
        destroy_phase(&phase);
    }
    free_states(run, &input);
    return status;
}

/* ---- The backend ------------------------------------------------------------------------------------------------ */

/* The backend, from `create` to `destroy`. */
struct backend {
    const crossrun_host *host;
};

static int32_t create(const crossrun_host *host, void **backend, crossrun_reply *reply) {
    struct backend *made = malloc(sizeof *made);
    if (made == NULL) {
        return reply->fail(reply, CROSSRUN_ERROR_ENGINE, "out of memory", NULL);
    }
    made->host = host;
    *backend = made;
    return CROSSRUN_OK;
}

static void destroy(void *backend) {
    free(backend);
}

static int32_t describe(void *backend, crossrun_reply *reply) {
    (void)backend;
    return reply->answer(reply, "{\"supports\": [\"graph\"]}");
}

/* An engine would be started here. Threads cost so little that each phase starts its own. */
static int32_t open(void *backend, const crossrun_session *session, crossrun_reply *reply) {
    const struct backend *self = backend;
    char message[64];
    if (session->nodes > 1) {
        return reply->fail(
            reply, CROSSRUN_ERROR_UNSUPPORTED, "threaded runs on this machine only, but more nodes were asked for",
            "--nodes 1");
    }
    snprintf(message, sizeof message, "%" PRIu32 " threads a phase", session->parallelism);
    self->host->log(self->host, CROSSRUN_LOG_DEBUG, NULL, message);
    return CROSSRUN_OK;
}

/* `is_available`, `setup` and `close` have nothing to do here, so they are left out. */
const crossrun_backend_functions crossrun_backend = {
    .size = sizeof crossrun_backend,
    .abi_version = CROSSRUN_BACKEND_ABI_VERSION,
    .create = create,
    .destroy = destroy,
    .describe = describe,
    .open = open,
    .run = run,
};
