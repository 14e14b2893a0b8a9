/*
 * The program of a rank: each opens the workload, makes every n-th slice of the items, and owns a partition of each keyed
 * reduction. The states of other partitions go to their owners, encoded, by Alltoallv; those of the sink go to rank 0, which
 * talks to the backend by its standard input and output.
 */
#define _POSIX_C_SOURCE 200809L

#include <dirent.h>
#include <inttypes.h>
#include <limits.h>
#include <mpi.h>
#include <poll.h>
#include <stdarg.h>
#include <time.h>

#include "crossrun_remote_kit.h"
#include "messages.h"

/* A rank that waits for the next command asks so often whether it is there. MPI itself would keep a core busy with asking. */
enum { COMMAND_NANOS = 200 * 1000 };
/* How often rank 0 reports its progress. */
enum { PROGRESS_NANOS = 50 * 1000 * 1000 };
/* The tag of the message by which rank 0 tells the others that the run is cancelled. */
enum { CANCEL_TAG = 1 };

/* What lasts from the start to the end of this process. */
static struct {
    int rank, ranks;
    /* The ranks of this machine, of which the first keeps the library. */
    MPI_Comm machine;
    int is_keeper;
    char folder[256];
    /* To and from the backend; only rank 0 has them. */
    int in, out;
    crossrun_workload_functions call;
    const crossrun_workload *workload;
} self;

/* Why this rank cannot go on. */
struct problem {
    /* 0: none; 1: of the workload; 2: of the engine; 3: cancelled. The ranks agree on the highest. */
    int kind;
    int32_t status;
    char message[512];
};

static void fail(struct problem *problem, int kind, int32_t status, const char *format, ...) {
    va_list arguments;
    if (problem->kind != 0) {
        return;
    }
    problem->kind = kind;
    problem->status = status;
    va_start(arguments, format);
    vsnprintf(problem->message, sizeof problem->message, format, arguments);
    va_end(arguments);
}

/* Whether a call of the workload succeeded; `message` is its last buffer. */
static int succeeded(struct problem *problem, int32_t status, const crossrun_buffer *message) {
    if (status != CROSSRUN_OK) {
        const int length = message->length < 400 ? (int)message->length : 400;
        fail(problem, 1, status, "%.*s", length, length > 0 ? (const char *)message->data : "");
    }
    return status == CROSSRUN_OK;
}

/* Whether no rank has a problem. If one has, all get that of the first rank with the worst kind. */
static int agreed(struct problem *problem) {
    struct {
        int kind, rank;
    } mine = {problem->kind, self.rank}, worst;
    MPI_Allreduce(&mine, &worst, 1, MPI_2INT, MPI_MAXLOC, MPI_COMM_WORLD);
    if (worst.kind != 0) {
        MPI_Bcast(problem, sizeof *problem, MPI_BYTE, worst.rank, MPI_COMM_WORLD);
    }
    return worst.kind == 0;
}

static void tell(uint32_t kind, const void *data, size_t length) {
    if (self.rank == 0 && !crossrun_send(self.out, kind, data, length)) {
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
}

/* Tells the backend two things as one message. */
static void tell_both(uint32_t kind, const void *head, size_t head_length, const void *rest, size_t length) {
    crossrun_message whole = {0, NULL, 0, 0};
    if (self.rank != 0) {
        return;
    }
    if (!crossrun_message_reserve(&whole, head_length + length)) {
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    memcpy(whole.data, head, head_length);
    if (length > 0) {
        memcpy(whole.data + head_length, rest, length);
    }
    tell(kind, whole.data, whole.length);
    free(whole.data);
}

static void tell_problem(const struct problem *problem) {
    const struct failure failure = {problem->status, problem->kind == 3};
    tell_both(FAILURE, &failure, sizeof failure, problem->message, strlen(problem->message));
}

/* Sends what rank 0 has to all ranks, in pieces whose length an int can hold. */
static void share(crossrun_message *message) {
    uint64_t head[2] = {message->kind, message->length};
    size_t at;
    MPI_Request request;
    int is_there = 0;
    MPI_Ibcast(head, 2, MPI_UINT64_T, 0, MPI_COMM_WORLD, &request);
    for (MPI_Test(&request, &is_there, MPI_STATUS_IGNORE); !is_there; MPI_Test(&request, &is_there, MPI_STATUS_IGNORE)) {
        const struct timespec pause = {0, COMMAND_NANOS};
        nanosleep(&pause, NULL);
    }
    message->kind = (uint32_t)head[0];
    if (!crossrun_message_reserve(message, (size_t)head[1])) {
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    for (at = 0; at < message->length; at += INT_MAX) {
        const size_t left = message->length - at;
        MPI_Bcast(message->data + at, left < INT_MAX ? (int)left : INT_MAX, MPI_BYTE, 0, MPI_COMM_WORLD);
    }
}

/* The next message of the backend, in all ranks. Returns 0 when the backend has closed the connection. */
static int next_command(crossrun_message *command) {
    if (self.rank == 0 && !crossrun_receive(self.in, command)) {
        command->kind = 0;
        command->length = 0;
    }
    share(command);
    return command->kind != 0;
}

/* ---- Opening ---------------------------------------------------------------------------------------------------- */

/* Loads the library with this hash, which the keeper of each machine gets from the backend if it has not got it yet. */
static void load(const char *sha256, struct problem *problem) {
    static char loaded[65];
    char path[512];
    int is_missing, missing;
    if (strcmp(loaded, sha256) == 0) {
        return;
    }
    snprintf(path, sizeof path, "%s/%s.so", self.folder, sha256);
    is_missing = access(path, R_OK) != 0;
    MPI_Allreduce(&is_missing, &missing, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
    if (missing) {
        crossrun_message library = {0, NULL, 0, 0};
        tell(NEEDED, NULL, 0);
        if (!next_command(&library) || library.kind != LIBRARY) {
            fail(problem, 2, 0, "the backend did not send the library");
        } else if (self.is_keeper
            && !crossrun_keep_file(self.folder, sha256, library.data, library.length, path, sizeof path)) {
            fail(problem, 2, 0, "the library could not be kept as %s: %s", path, strerror(errno));
        }
        free(library.data);
        if (!agreed(problem)) {
            return;
        }
    }
    /* A failure leaves the table half filled. */
    loaded[0] = '\0';
    if (crossrun_load_library(path, &self.call, problem->message, sizeof problem->message)) {
        strcpy(loaded, sha256);
    } else {
        char why[sizeof problem->message];
        strcpy(why, problem->message);
        fail(problem, 2, 0, "%s", why);
    }
}

static void open_workload(const crossrun_message *command) {
    struct problem problem = {0, 0, ""};
    struct opening opening;
    crossrun_buffer error = CROSSRUN_BUFFER_EMPTY;
    if (self.workload != NULL) {
        self.call.close(self.workload);
        self.workload = NULL;
    }
    memcpy(&opening, command->data, sizeof opening);
    load(opening.sha256, &problem);
    if (agreed(&problem)) {
        const int32_t status = self.call.open(
            command->data + sizeof opening, command->length - sizeof opening, &self.workload, &error);
        succeeded(&problem, status, &error);
        self.call.buffer_free(&error);
        if (agreed(&problem)) {
            tell(READY, NULL, 0);
            return;
        }
    }
    tell_problem(&problem);
}

/* ---- A run ------------------------------------------------------------------------------------------------------ */

struct run {
    struct running of;
    uint32_t *stages;
    struct problem problem;
    /* The chain is the stages `from` to `end - 1`. */
    uint32_t from, end;
    /* Where its batches are folded: a state for each rank, or one if it is the sink. */
    crossrun_state **states;
    uint64_t results;
    struct timespec told;
    int is_cancelled;
};

static int is_sink(const struct run *run) {
    return run->stages[run->end] == CROSSRUN_STAGE_SINK;
}

/* Whether to stop: the backend tells rank 0, and rank 0 tells the others. */
static int is_stopped(struct run *run) {
    int is_there = 0, other;
    if (run->is_cancelled) {
        return 1;
    }
    if (self.rank == 0) {
        struct pollfd poll_in = {0, POLLIN, 0};
        crossrun_message command = {0, NULL, 0, 0};
        poll_in.fd = self.in;
        if (poll(&poll_in, 1, 0) > 0) {
            /* Nothing else comes during a run; at the end of the connection there is nobody to go on for. */
            crossrun_receive(self.in, &command);
            free(command.data);
            is_there = 1;
            for (other = 1; other < self.ranks; other++) {
                MPI_Send(NULL, 0, MPI_BYTE, other, CANCEL_TAG, MPI_COMM_WORLD);
            }
        }
    } else {
        MPI_Iprobe(0, CANCEL_TAG, MPI_COMM_WORLD, &is_there, MPI_STATUS_IGNORE);
        if (is_there) {
            MPI_Recv(NULL, 0, MPI_BYTE, 0, CANCEL_TAG, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        }
    }
    if (is_there) {
        run->is_cancelled = 1;
        fail(&run->problem, 3, 0, "the run was cancelled by the host");
    }
    return is_there;
}

/* All ranks end a step: whether all can go on. What rank 0 has sent to cancel the run is received by then. */
static int all_go_on(struct run *run) {
    int is_cancelled = run->is_cancelled;
    MPI_Bcast(&is_cancelled, 1, MPI_INT, 0, MPI_COMM_WORLD);
    if (is_cancelled && !run->is_cancelled) {
        MPI_Recv(NULL, 0, MPI_BYTE, 0, CANCEL_TAG, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        run->is_cancelled = 1;
    }
    return agreed(&run->problem);
}

static int fold(struct run *run, uint32_t to, const crossrun_buffer *batch) {
    crossrun_buffer error = CROSSRUN_BUFFER_EMPTY;
    const int32_t status = self.call.state_fold(run->states[to], batch->data, batch->length, &error);
    const int good = succeeded(&run->problem, status, &error);
    self.call.buffer_free(&error);
    return good;
}

/* Folds a batch at the end of the chain. */
static void deliver(struct run *run, const crossrun_buffer *batch) {
    crossrun_buffer *parts, error = CROSSRUN_BUFFER_EMPTY;
    int part, good;
    if (is_sink(run)) {
        run->results += crossrun_item_count(batch);
        fold(run, 0, batch);
        return;
    }
    parts = calloc((size_t)self.ranks, sizeof *parts);
    if (parts == NULL) {
        fail(&run->problem, 2, 0, "out of memory");
        return;
    }
    good = succeeded(
        &run->problem,
        self.call.split(
            self.workload, run->end, batch->data, batch->length, (uint32_t)self.ranks, parts, &error),
        &error);
    for (part = 0; part < self.ranks; part++) {
        good = good && (crossrun_item_count(&parts[part]) == 0 || fold(run, (uint32_t)part, &parts[part]));
        self.call.buffer_free(&parts[part]);
    }
    self.call.buffer_free(&error);
    free(parts);
}

/* Takes a batch from the stage `at` to the end of the chain: in one call, or without fusion in one for each stage. */
static void forward(struct run *run, uint32_t at, crossrun_buffer batch) {
    while (at < run->end) {
        const uint32_t to = run->of.fusion_off ? at + 1 : run->end;
        crossrun_buffer out = CROSSRUN_BUFFER_EMPTY;
        const int32_t status = self.call.run_stages(self.workload, at, to, batch.data, batch.length, &out);
        const int good = succeeded(&run->problem, status, &out);
        self.call.buffer_free(&batch);
        batch = out;
        if (!good) {
            self.call.buffer_free(&batch);
            return;
        }
        at = to;
    }
    deliver(run, &batch);
    self.call.buffer_free(&batch);
}

static void tell_progress(struct run *run, uint64_t items) {
    struct timespec now;
    if (self.rank != 0) {
        return;
    }
    clock_gettime(CLOCK_MONOTONIC, &now);
    if ((now.tv_sec - run->told.tv_sec) * INT64_C(1000000000) + now.tv_nsec - run->told.tv_nsec > PROGRESS_NANOS) {
        tell(PROGRESS, &items, sizeof items);
        run->told = now;
    }
}

/* Makes the slices of this rank: every n-th, so that an open loop keeps all ranks busy from its start. */
static void make_slices(struct run *run) {
    const uint64_t size = run->of.batch_size, total = run->of.total_items;
    const uint64_t slices = total / size + (total % size != 0), ranks = (uint64_t)self.ranks;
    uint64_t slice;
    for (slice = (uint64_t)self.rank; slice < slices && run->problem.kind == 0 && !is_stopped(run); slice += ranks) {
        const uint64_t first = slice * size, left = total - first;
        const uint32_t to = run->of.fusion_off ? 1 : run->end;
        crossrun_buffer batch = CROSSRUN_BUFFER_EMPTY;
        const int32_t status = self.call.source(self.workload, first, left < size ? left : size, to, &batch);
        if (succeeded(&run->problem, status, &batch)) {
            forward(run, to, batch);
        } else {
            self.call.buffer_free(&batch);
        }
        tell_progress(run, first);
    }
}

static void emit(struct run *run, crossrun_state *state) {
    while (run->problem.kind == 0 && !is_stopped(run)) {
        crossrun_buffer batch = CROSSRUN_BUFFER_EMPTY;
        const int good =
            succeeded(&run->problem, self.call.state_emit(state, run->of.batch_size, &batch), &batch);
        if (!good || crossrun_item_count(&batch) == 0) {
            self.call.buffer_free(&batch);
            return;
        }
        forward(run, run->from, batch);
    }
}

/* What one rank sends to each, or gets from each, in one exchange. */
struct parcel {
    uint8_t *bytes;
    size_t length;
    int *lengths, *places;
};

static int make_parcel(struct run *run, struct parcel *parcel) {
    parcel->lengths = calloc((size_t)self.ranks, sizeof *parcel->lengths);
    parcel->places = calloc((size_t)self.ranks, sizeof *parcel->places);
    if (parcel->lengths == NULL || parcel->places == NULL) {
        fail(&run->problem, 2, 0, "out of memory");
    }
    return run->problem.kind == 0;
}

static void free_parcel(struct parcel *parcel) {
    free(parcel->bytes);
    free(parcel->lengths);
    free(parcel->places);
}

/* Adds the encoding of a state for the rank `to`. MPI counts bytes as int. */
static void pack(struct run *run, struct parcel *parcel, int to, crossrun_state *state) {
    crossrun_buffer encoded = CROSSRUN_BUFFER_EMPTY;
    if (succeeded(&run->problem, self.call.state_encode(state, &encoded), &encoded)) {
        uint8_t *grown = parcel->length + encoded.length <= INT_MAX
            ? realloc(parcel->bytes, parcel->length + encoded.length + 1) : NULL;
        if (grown == NULL) {
            fail(&run->problem, 2, 0, "the states of a rank are larger than 2 GiB, or than the memory: use more ranks");
        } else {
            parcel->bytes = grown;
            memcpy(parcel->bytes + parcel->length, encoded.data, encoded.length);
            parcel->places[to] = (int)parcel->length;
            parcel->lengths[to] = (int)encoded.length;
            parcel->length += encoded.length;
        }
    }
    self.call.buffer_free(&encoded);
}

/* Makes room for what comes, of which the lengths are known. */
static void make_room(struct run *run, struct parcel *parcel) {
    int from;
    for (from = 0; from < self.ranks; from++) {
        parcel->places[from] = (int)parcel->length;
        parcel->length += (size_t)parcel->lengths[from];
        if (parcel->length > INT_MAX) {
            fail(&run->problem, 2, 0, "the states for a rank are larger than 2 GiB: use more ranks");
            return;
        }
    }
    parcel->bytes = malloc(parcel->length + 1);
    if (parcel->bytes == NULL) {
        fail(&run->problem, 2, 0, "out of memory");
    }
}

/* Sends each state to the rank that owns its partition, and merges what the others have of this rank's partition. */
static int exchange(struct run *run) {
    struct parcel out = {NULL, 0, NULL, NULL}, in = {NULL, 0, NULL, NULL};
    crossrun_buffer error = CROSSRUN_BUFFER_EMPTY;
    int rank, good;
    if (make_parcel(run, &out) && make_parcel(run, &in)) {
        for (rank = 0; rank < self.ranks && run->problem.kind == 0; rank++) {
            if (rank != self.rank) {
                pack(run, &out, rank, run->states[rank]);
            }
        }
    }
    good = all_go_on(run);
    if (good) {
        MPI_Alltoall(out.lengths, 1, MPI_INT, in.lengths, 1, MPI_INT, MPI_COMM_WORLD);
        make_room(run, &in);
        good = all_go_on(run);
    }
    if (good) {
        MPI_Alltoallv(
            out.bytes, out.lengths, out.places, MPI_BYTE, in.bytes, in.lengths, in.places, MPI_BYTE, MPI_COMM_WORLD);
        for (rank = 0; rank < self.ranks && run->problem.kind == 0; rank++) {
            if (rank != self.rank) {
                const int32_t status = self.call.state_merge(
                    run->states[self.rank], in.bytes + in.places[rank], (size_t)in.lengths[rank], &error);
                succeeded(&run->problem, status, &error);
            }
        }
        self.call.buffer_free(&error);
        good = all_go_on(run);
    }
    free_parcel(&out);
    free_parcel(&in);
    return good;
}

/* Brings the sinks' states to rank 0, which answers the backend. */
static void finish(struct run *run) {
    struct parcel out = {NULL, 0, NULL, NULL}, in = {NULL, 0, NULL, NULL};
    crossrun_buffer merged = CROSSRUN_BUFFER_EMPTY;
    struct finished finished = {0};
    size_t *lengths = calloc((size_t)self.ranks, sizeof *lengths);
    int rank, length = 0;
    if (make_parcel(run, &out) && make_parcel(run, &in)) {
        pack(run, &out, 0, run->states[0]);
        length = (int)out.length;
    }
    if (lengths == NULL) {
        fail(&run->problem, 2, 0, "out of memory");
    }
    if (all_go_on(run)) {
        MPI_Gather(&length, 1, MPI_INT, in.lengths, 1, MPI_INT, 0, MPI_COMM_WORLD);
        make_room(run, &in);
        if (all_go_on(run)) {
            MPI_Gatherv(
                out.bytes, length, MPI_BYTE, in.bytes, in.lengths, in.places, MPI_BYTE, 0, MPI_COMM_WORLD);
            MPI_Reduce(&run->results, &finished.results, 1, MPI_UINT64_T, MPI_SUM, 0, MPI_COMM_WORLD);
            for (rank = 0; rank < self.ranks; rank++) {
                lengths[rank] = (size_t)in.lengths[rank];
            }
            if (self.rank == 0) {
                const int32_t status = crossrun_merge_states(
                    &self.call, self.workload, run->end, in.bytes, lengths, (size_t)self.ranks, &merged);
                succeeded(&run->problem, status, &merged);
            }
            if (all_go_on(run)) {
                tell_both(FINISHED, &finished, sizeof finished, merged.data, merged.length);
            }
        }
    }
    self.call.buffer_free(&merged);
    free(lengths);
    free_parcel(&out);
    free_parcel(&in);
}

static crossrun_state **new_states(struct run *run) {
    const int count = is_sink(run) ? 1 : self.ranks;
    crossrun_state **states = calloc((size_t)self.ranks, sizeof *states);
    crossrun_buffer error = CROSSRUN_BUFFER_EMPTY;
    int at;
    if (states == NULL) {
        fail(&run->problem, 2, 0, "out of memory");
    }
    for (at = 0; at < count && run->problem.kind == 0; at++) {
        succeeded(&run->problem, self.call.state_new(self.workload, run->end, &states[at], &error), &error);
    }
    self.call.buffer_free(&error);
    return states;
}

static void free_states(crossrun_state **states) {
    int at;
    for (at = 0; states != NULL && at < self.ranks; at++) {
        self.call.state_free(states[at]);
    }
    free(states);
}

/* Runs the chain from `from` on, with the states of the reduction before it, or with none for the source. */
static void run_phase(struct run *run, uint32_t from, crossrun_state **input) {
    run->from = run->end = from;
    while (run->stages[run->end] != CROSSRUN_STAGE_KEYED_REDUCE && !is_sink(run)) {
        run->end++;
    }
    run->states = new_states(run);
    if (run->problem.kind == 0) {
        if (input == NULL) {
            make_slices(run);
        } else {
            emit(run, input[self.rank]);
        }
    }
}

static void run_plan(const crossrun_message *command) {
    struct run run;
    crossrun_state **input = NULL;
    int good = 1;
    memset(&run, 0, sizeof run);
    memcpy(&run.of, command->data, sizeof run.of);
    run.stages = (uint32_t *)(void *)(command->data + sizeof run.of);
    if (run.of.open_loop && run.of.start_nanos > 0 && CROSSRUN_CALLABLE(crossrun_workload_functions, &self.call, start)) {
        crossrun_buffer error = CROSSRUN_BUFFER_EMPTY;
        succeeded(&run.problem, self.call.start(self.workload, run.of.start_nanos, &error), &error);
        self.call.buffer_free(&error);
    }
    for (run.end = 0; good && (run.end == 0 || !is_sink(&run)); input = run.states) {
        run_phase(&run, run.end + 1, input);
        free_states(input);
        if (is_sink(&run)) {
            finish(&run);
            good = run.problem.kind == 0;
        } else {
            good = all_go_on(&run) && exchange(&run);
        }
    }
    free_states(input);
    if (!good) {
        tell_problem(&run.problem);
    }
}

/* ---- The process ------------------------------------------------------------------------------------------------ */

/* A folder of this session for the library, on each machine. */
static void make_folder(void) {
    const char *temporary = getenv("TMPDIR");
    int on_machine;
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &self.machine);
    MPI_Comm_rank(self.machine, &on_machine);
    self.is_keeper = on_machine == 0;
    snprintf(self.folder, sizeof self.folder, "%s/mpi-XXXXXX", temporary != NULL ? temporary : "/tmp");
    if (self.is_keeper && mkdtemp(self.folder) == NULL) {
        fprintf(stderr, "%s cannot be made: %s\n", self.folder, strerror(errno));
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    MPI_Bcast(self.folder, sizeof self.folder, MPI_CHAR, 0, self.machine);
}

static uint32_t machines(void) {
    int mine = self.is_keeper, all;
    MPI_Allreduce(&mine, &all, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    return (uint32_t)all;
}

/* Keeps the connection to the backend for itself: what a workload prints goes to the log. */
static void take_connection(void) {
    self.in = dup(STDIN_FILENO);
    self.out = dup(STDOUT_FILENO);
    if (self.in < 0 || self.out < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0) {
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
}

int main(int count, char **arguments) {
    crossrun_message command = {0, NULL, 0, 0};
    struct ready ready;
    MPI_Init(&count, &arguments);
    MPI_Comm_rank(MPI_COMM_WORLD, &self.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &self.ranks);
    take_connection();
    make_folder();
    ready.ranks = (uint32_t)self.ranks;
    ready.machines = machines();
    tell(READY, &ready, sizeof ready);
    while (next_command(&command)) {
        if (command.kind == OPEN) {
            open_workload(&command);
        } else if (command.kind == RUN) {
            run_plan(&command);
        }
        /* A CANCEL of a run that had ended already needs nothing. */
    }
    if (self.is_keeper) {
        char path[512];
        DIR *folder = opendir(self.folder);
        const struct dirent *entry;
        while (folder != NULL && (entry = readdir(folder)) != NULL) {
            snprintf(path, sizeof path, "%s/%.200s", self.folder, entry->d_name);
            unlink(path);
        }
        if (folder != NULL) {
            closedir(folder);
        }
        rmdir(self.folder);
    }
    free(command.data);
    MPI_Finalize();
    return 0;
}
