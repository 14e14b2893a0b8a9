/*
 * A backend whose work runs in MPI ranks, on this machine or on others. It carries the program of a rank, starts `mpirun`
 * when the session is opened, and talks to rank 0 by pipes.
 *
 *     make -C plugin-api/examples/mpi        # libmpi_runner.so; needs mpicc and mpirun of Open MPI
 *
 * Options: `hostfile`, a file with the machines for mpirun; without it all ranks are on this machine. A session has as many
 * ranks as its parallelism.
 */
#define _POSIX_C_SOURCE 200809L

#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <time.h>

#include "crossrun_remote_kit.h"
#include "messages.h"

CROSSRUN_BACKEND_METADATA("mpi", "0.1.0", "MPI ranks, in C", "MIT OR Apache-2.0");

/* How often the host is asked whether to stop. */
enum { POLL_MILLIS = 10 };
/* How long `close` waits for mpirun, in steps of POLL_MILLIS, before it ends it. */
enum { CLOSE_POLLS = 300 };

/* The program of a rank, which the makefile has built. */
__asm__(".pushsection .rodata\n"
        ".globl mpi_rank_begin\n.hidden mpi_rank_begin\nmpi_rank_begin:\n"
        ".incbin \"" RANK_PROGRAM "\"\n"
        ".globl mpi_rank_end\n.hidden mpi_rank_end\nmpi_rank_end:\n"
        ".popsection\n");
extern const uint8_t mpi_rank_begin[], mpi_rank_end[];

extern char **environ;

struct backend {
    /* mpirun, while a session is open; otherwise 0. */
    pid_t mpirun;
    int to, from;
    struct ready of;
    crossrun_message message;
    /* The spec that the ranks have open. */
    char *opened;
};

/* ---- Messages --------------------------------------------------------------------------------------------------- */

static int32_t ended(crossrun_reply *reply) {
    return reply->fail(reply, CROSSRUN_ERROR_ENGINE, "mpirun has ended; the log says why", NULL);
}

static int32_t failed(struct backend *self, crossrun_reply *reply) {
    struct failure failure;
    crossrun_buffer text = CROSSRUN_BUFFER_EMPTY;
    char message[512];
    const int length = (int)(self->message.length - sizeof failure);
    memcpy(&failure, self->message.data, sizeof failure);
    if (failure.status != CROSSRUN_OK) {
        text.data = self->message.data + sizeof failure;
        text.length = (size_t)length;
        return reply->workload_failed(reply, failure.status, &text);
    }
    snprintf(message, sizeof message, "%.*s", length, (const char *)self->message.data + sizeof failure);
    return reply->fail(reply, failure.cancelled ? CROSSRUN_ERROR_CANCELLED : CROSSRUN_ERROR_ENGINE, message, NULL);
}

/* Waits for the next message of rank 0 but PROGRESS, which it passes on. A cancelled run is cancelled in the ranks too. */
static int await(struct backend *self, const crossrun_host *host, uint64_t total) {
    int is_told = 0;
    for (;;) {
        struct pollfd poll_from = {0, POLLIN, 0};
        poll_from.fd = self->from;
        if (poll(&poll_from, 1, POLL_MILLIS) <= 0) {
            if (!is_told && host->cancelled(host)) {
                is_told = crossrun_send(self->to, CANCEL, NULL, 0);
            }
            continue;
        }
        if (!crossrun_receive(self->from, &self->message)) {
            return 0;
        }
        if (self->message.kind != PROGRESS) {
            return 1;
        }
        if (self->message.length == sizeof(uint64_t)) {
            uint64_t done;
            memcpy(&done, self->message.data, sizeof done);
            host->progress(host, done, total, NULL);
        }
    }
}

/* ---- mpirun ----------------------------------------------------------------------------------------------------- */

static int has_mpirun(void) {
    const char *path = getenv("PATH");
    char file[4096];
    while (path != NULL && *path != '\0') {
        const size_t length = strcspn(path, ":");
        if (length > 0 && snprintf(file, sizeof file, "%.*s/mpirun", (int)length, path) < (int)sizeof file
            && access(file, X_OK) == 0) {
            return 1;
        }
        path += length + (path[length] == ':');
    }
    return 0;
}

/* Writes the program of a rank to a file, and its name into `path`. */
static int write_program(char *path, size_t room) {
    const char *temporary = getenv("TMPDIR");
    int file, good;
    snprintf(path, room, "%s/rank-XXXXXX", temporary != NULL ? temporary : "/tmp");
    file = mkstemp(path);
    if (file < 0) {
        return 0;
    }
    good = crossrun_write_all(file, mpi_rank_begin, (size_t)(mpi_rank_end - mpi_rank_begin)) && fchmod(file, 0700) == 0;
    return close(file) == 0 && good;
}

/* Starts mpirun with a pipe to, and one from, rank 0. */
static int start(struct backend *self, uint32_t ranks, const char *program, const char *hostfile) {
    char number[16];
    const char *arguments[20];
    int to[2], from[2], at = 0, error;
    posix_spawn_file_actions_t actions;
    snprintf(number, sizeof number, "%" PRIu32, ranks);
    arguments[at++] = "mpirun";
    arguments[at++] = "-n";
    arguments[at++] = number;
    /* There may be more ranks than cores, and then a rank that waits must leave its core to another. */
    arguments[at++] = "--oversubscribe";
    arguments[at++] = "--bind-to";
    arguments[at++] = "none";
    arguments[at++] = "--mca";
    arguments[at++] = "mpi_yield_when_idle";
    arguments[at++] = "1";
    if (geteuid() == 0) {
        arguments[at++] = "--allow-run-as-root";
    }
    if (*hostfile != '\0') {
        arguments[at++] = "--hostfile";
        arguments[at++] = hostfile;
        arguments[at++] = "--preload-binary";
    }
    arguments[at++] = program;
    arguments[at] = NULL;
    if (pipe(to) != 0) {
        return 0;
    }
    if (pipe(from) != 0) {
        close(to[0]);
        close(to[1]);
        return 0;
    }
    /* mpirun must not have the other ends, or it would never see that this side has closed them. */
    fcntl(to[1], F_SETFD, FD_CLOEXEC);
    fcntl(from[0], F_SETFD, FD_CLOEXEC);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, to[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, from[1], STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&actions, to[0]);
    posix_spawn_file_actions_addclose(&actions, from[1]);
    error = posix_spawnp(&self->mpirun, "mpirun", &actions, NULL, (char *const *)(void *)arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(to[0]);
    close(from[1]);
    self->to = to[1];
    self->from = from[0];
    if (error != 0) {
        self->mpirun = 0;
        close(to[1]);
        close(from[0]);
    }
    return error == 0;
}

/* Ends mpirun: rank 0 sees the end of its input. */
static void stop(struct backend *self) {
    int polls = 0;
    if (self->mpirun == 0) {
        return;
    }
    close(self->to);
    for (; waitpid(self->mpirun, NULL, WNOHANG) == 0; polls++) {
        const struct timespec pause = {0, POLL_MILLIS * 1000000};
        if (polls == CLOSE_POLLS) {
            kill(self->mpirun, SIGTERM);
        }
        nanosleep(&pause, NULL);
    }
    close(self->from);
    self->mpirun = 0;
    free(self->opened);
    self->opened = NULL;
}

/* ---- The functions ---------------------------------------------------------------------------------------------- */

static int32_t create(const crossrun_host *host, void **backend, crossrun_reply *reply) {
    (void)host;
    *backend = calloc(1, sizeof(struct backend));
    /* An mpirun that has ended is an error of a call, not the end of this process. */
    signal(SIGPIPE, SIG_IGN);
    return *backend != NULL ? CROSSRUN_OK : reply->fail(reply, CROSSRUN_ERROR_ENGINE, "out of memory", NULL);
}

static void destroy(void *backend) {
    struct backend *self = backend;
    stop(self);
    free(self->message.data);
    free(self);
}

static int32_t describe(void *backend, crossrun_reply *reply) {
    (void)backend;
    return reply->answer(
        reply,
        "{\"options\": [{\"name\": \"hostfile\", \"description\": \"a file with the machines for mpirun; without it all "
        "ranks are on this one\", \"domain\": {\"type\": \"text\"}, \"default\": \"\"}]}");
}

static int32_t is_available(void *backend, crossrun_reply *reply) {
    (void)backend;
    return has_mpirun() ? CROSSRUN_OK
                        : reply->fail(
                              reply, CROSSRUN_ERROR_UNAVAILABLE, "mpirun is not in PATH",
                              "sudo apt update && sudo apt install openmpi-bin");
}

static int32_t open_session(void *backend, const crossrun_session *session, crossrun_reply *reply) {
    struct backend *self = backend;
    const char *hostfile = crossrun_option_value(session->options, session->option_count, "hostfile", "");
    char program[4096], message[160];
    int good;
    if (session->nodes > 1 && *hostfile == '\0') {
        return reply->fail(
            reply, CROSSRUN_ERROR_UNAVAILABLE, "more nodes need a file with the machines", "--extra hostfile=FILE");
    }
    if (!write_program(program, sizeof program)
        || !start(self, session->parallelism, program, hostfile)) {
        return reply->fail(reply, CROSSRUN_ERROR_UNAVAILABLE, strerror(errno), NULL);
    }
    good = await(self, session->host, 0) && self->message.kind == READY && self->message.length == sizeof self->of;
    unlink(program);
    if (!good) {
        return ended(reply);
    }
    memcpy(&self->of, self->message.data, sizeof self->of);
    if (self->of.machines < session->nodes) {
        snprintf(
            message, sizeof message, "%" PRIu32 " nodes were asked for, but mpirun started the ranks on %" PRIu32,
            session->nodes, self->of.machines);
        return reply->fail(reply, CROSSRUN_ERROR_UNAVAILABLE, message, "mpirun --hostfile FILE hostname");
    }
    return CROSSRUN_OK;
}

static int32_t close_session(void *backend, crossrun_reply *reply) {
    (void)reply;
    stop(backend);
    return CROSSRUN_OK;
}

/* Opens the workload in the ranks, and sends the library if a machine lacks it. */
static int32_t prepare(void *backend, const crossrun_run *run, crossrun_reply *reply) {
    struct backend *self = backend;
    const size_t length = strlen(run->spec);
    struct opening opening;
    crossrun_message request = {OPEN, NULL, 0, 0};
    int good = 1;
    free(self->opened);
    self->opened = NULL;
    memset(&opening, 0, sizeof opening);
    snprintf(opening.sha256, sizeof opening.sha256, "%s", run->library_sha256);
    good = crossrun_message_reserve(&request, sizeof opening + length);
    if (good) {
        memcpy(request.data, &opening, sizeof opening);
        memcpy(request.data + sizeof opening, run->spec, length);
        good = crossrun_send(self->to, OPEN, request.data, request.length) && await(self, run->host, 0);
    }
    free(request.data);
    if (good && self->message.kind == NEEDED) {
        crossrun_message library = {LIBRARY, NULL, 0, 0};
        good = crossrun_read_file(run->library_path, &library)
            && crossrun_send(self->to, LIBRARY, library.data, library.length) && await(self, run->host, 0);
        free(library.data);
    }
    if (!good) {
        return ended(reply);
    }
    if (self->message.kind == FAILURE) {
        return failed(self, reply);
    }
    self->opened = strdup(run->spec);
    return CROSSRUN_OK;
}

/* Whether the ranks have this workload open: only when an open loop starts may differ, which RUN has. */
static int is_prepared(const struct backend *self, const crossrun_run *run) {
    return self->opened != NULL
        && (strcmp(self->opened, run->spec) == 0
            || (run->open_loop && CROSSRUN_HAS(crossrun_run, run, start_nanos)
                && CROSSRUN_CALLABLE(crossrun_workload_functions, run->functions, start)));
}

static int send_run(struct backend *self, const crossrun_run *run) {
    struct running running;
    crossrun_message request = {RUN, NULL, 0, 0};
    const size_t stages = run->stage_count * sizeof *run->stages;
    int good;
    memset(&running, 0, sizeof running);
    running.total_items = run->total_items;
    running.batch_size = run->batch_size;
    running.fusion_off = run->fusion_off;
    running.open_loop = run->open_loop;
    running.stage_count = run->stage_count;
    running.start_nanos = CROSSRUN_HAS(crossrun_run, run, start_nanos) ? run->start_nanos : 0;
    good = crossrun_message_reserve(&request, sizeof running + stages);
    if (good) {
        memcpy(request.data, &running, sizeof running);
        memcpy(request.data + sizeof running, run->stages, stages);
        good = crossrun_send(self->to, RUN, request.data, request.length);
    }
    free(request.data);
    return good;
}

static int32_t run_workload(void *backend, const crossrun_run *run, crossrun_reply *reply) {
    struct backend *self = backend;
    const uint64_t started = run->host->clock_nanos(run->host);
    const int is_late = !is_prepared(self, run);
    struct finished finished;
    char json[320];
    if (run->open_loop && self->of.machines > 1) {
        return reply->fail(
            reply, CROSSRUN_ERROR_UNSUPPORTED, "an open loop needs one clock, but the ranks are on several machines",
            "--nodes 1");
    }
    if (is_late) {
        const int32_t status = prepare(backend, run, reply);
        if (status != CROSSRUN_OK) {
            return status;
        }
    }
    if (!send_run(self, run) || !await(self, run->host, run->total_items)) {
        return ended(reply);
    }
    if (self->message.kind == FAILURE) {
        return failed(self, reply);
    }
    memcpy(&finished, self->message.data, sizeof finished);
    reply->sink(reply, self->message.data + sizeof finished, self->message.length - sizeof finished);
    snprintf(
        json, sizeof json,
        "{\"scheduler_name\": \"default\", \"elapsed_time\": %" PRIu64 "e-9, \"results_count\": %" PRIu64
        ", \"metrics\": {\"ranks\": %" PRIu32 ", \"nodes\": %" PRIu32 ", \"late_opens\": %" PRIu32 ", \"warnings\": [%s]}}",
        run->host->clock_nanos(run->host) - started, finished.results, self->of.ranks, self->of.machines,
        is_late ? self->of.ranks : 0,
        strcmp(run->scheduler_name, "default") == 0 ? "" : "\"the scheduler is unknown to mpi, which has none\"");
    return reply->answer(reply, json);
}

/* There is no `setup`: Open MPI comes with the system, or with the cluster. */
const crossrun_backend_functions crossrun_backend = {
    .size = sizeof crossrun_backend,
    .abi_version = CROSSRUN_BACKEND_ABI_VERSION,
    .create = create,
    .destroy = destroy,
    .describe = describe,
    .is_available = is_available,
    .open = open_session,
    .run = run_workload,
    .close = close_session,
    .prepare = prepare,
};
