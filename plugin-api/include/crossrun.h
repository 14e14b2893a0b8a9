/*
 * The C ABI of a crossrun backend, version 1.1: for C, C++ and any language that can export a struct of function
 * pointers.
 *
 * A backend is a shared library with two things:
 *
 *     CROSSRUN_BACKEND_METADATA("mine", "0.1.0", "What it is, in one line", "MIT");
 *
 *     const crossrun_backend_functions crossrun_backend = {
 *         .size = sizeof crossrun_backend, .abi_version = CROSSRUN_BACKEND_ABI_VERSION, .run = run};
 *
 * The first says what the file is, and the second has its functions. A host reads both from the file before it runs any
 * code of it. ABI.md, one folder up, has the whole contract; crossrun_workloads.h has the functions of a workload.
 *
 * Rules that hold for every struct and function:
 *
 *   - A struct begins with its size in bytes, as it is known to the side that made it. Later versions of 1.x only add
 *     fields at the end. Read such a field only after CROSSRUN_HAS has said that the struct has it.
 *   - Text is UTF-8 and ends with a NUL. A pointer that is passed does not change its owner: a function may read what
 *     it points to until it returns, and must copy what it needs longer. Exceptions are the host, the workload's
 *     functions, and what `create` made: how long they live is said at each.
 *   - A backend's function returns CROSSRUN_OK if it succeeded. If it failed, it calls `fail` of the reply and returns
 *     any other number.
 *   - No C++ exception and no longjmp may leave a function.
 */
#ifndef CROSSRUN_H
#define CROSSRUN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "crossrun_workloads.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The version of the contract that this header is part of. A host loads plugins of its own major version. */
#define CROSSRUN_API_VERSION "1.1.0"
/* The version of this ABI: the major version in the upper 16 bits, the minor in the lower. */
#define CROSSRUN_BACKEND_ABI_VERSION UINT32_C(0x00010001)

/* Whether the struct at `pointer`, which is a `type`, is large enough to have `field`. */
#define CROSSRUN_HAS(type, pointer, field) (offsetof(type, field) + sizeof((pointer)->field) <= (pointer)->size)

/* Whether the struct at `pointer`, which is a `type`, has the function `field`, and that is not null. */
#define CROSSRUN_CALLABLE(type, pointer, field) (CROSSRUN_HAS(type, pointer, field) && (pointer)->field != NULL)

/* What a backend's function returns when it has failed; CROSSRUN_OK, which is 0, is in crossrun_workloads.h. */
#define CROSSRUN_FAILED (-1)

/* Kinds of errors. A host treats a kind that it does not know as CROSSRUN_ERROR_INTERNAL. */
enum {
    /* Any other error. */
    CROSSRUN_ERROR_INTERNAL = 0,
    /* The spec or an option in `extra` is not valid. */
    CROSSRUN_ERROR_INVALID_SPEC = 1,
    /* The spec is valid, but this backend cannot run it. */
    CROSSRUN_ERROR_UNSUPPORTED = 2,
    /* The engine is not installed or cannot be started. */
    CROSSRUN_ERROR_UNAVAILABLE = 3,
    /* The installation or removal failed. */
    CROSSRUN_ERROR_SETUP = 4,
    /* The engine failed. */
    CROSSRUN_ERROR_ENGINE = 5,
    /* The source, an operator, a state or the sink failed. */
    CROSSRUN_ERROR_WORKLOAD = 6,
    /* The run stopped because the host asked it to. */
    CROSSRUN_ERROR_CANCELLED = 7,
    /* Code of the plugin panicked, or had an uncaught exception. */
    CROSSRUN_ERROR_PANIC = 8
};

/* Kinds of stages. A minor version adds none, as an engine could not run it. */
enum {
    CROSSRUN_STAGE_SOURCE = 0,
    CROSSRUN_STAGE_MAP = 1,
    CROSSRUN_STAGE_FILTER = 2,
    CROSSRUN_STAGE_FLAT_MAP = 3,
    CROSSRUN_STAGE_KEYED_REDUCE = 4,
    CROSSRUN_STAGE_SINK = 5
};

/* Levels of log records. */
enum {
    CROSSRUN_LOG_ERROR = 1,
    CROSSRUN_LOG_WARN = 2,
    CROSSRUN_LOG_INFO = 3,
    CROSSRUN_LOG_DEBUG = 4,
    CROSSRUN_LOG_TRACE = 5
};

/* `remaining_nanos` of a run without a deadline. */
#define CROSSRUN_NO_DEADLINE UINT64_MAX

/* ---- What the host provides ------------------------------------------------------------------------------------- */

/*
 * The host. It lives as long as the process. Its functions may be called from any thread at any time, but not in a
 * child process after a fork.
 */
typedef struct crossrun_host crossrun_host;
struct crossrun_host {
    uint32_t size;
    /* The version of this ABI that the host speaks. */
    uint32_t abi_version;
    /* 0 (off) to 5 (trace). The host drops finer records, so do not make them. */
    uint32_t log_level;
    uint32_t reserved;
    /* For the host's own use. */
    const void *data;
    /* Sends a log record. `target` is the part of the backend that it comes from; null means the backend's name. */
    void (*log)(const crossrun_host *host, uint32_t level, const char *target, const char *message);
    /* Reports that `done` of `total` items have been processed, or steps of a set-up. `total` is 0 if it is not known.
     * `message` may be null. */
    void (*progress)(const crossrun_host *host, uint64_t done, uint64_t total, const char *message);
    /* Not 0 if the host wants the current call to end. Ask once a batch or every few milliseconds, and fail with
     * CROSSRUN_ERROR_CANCELLED then. The host kills a backend that does not stop. */
    int32_t (*cancelled)(const crossrun_host *host);
    /* The host's monotonic clock in nanoseconds, from an origin that is fixed for the process. */
    uint64_t (*clock_nanos)(const crossrun_host *host);
};

/*
 * Takes the answer of one call. It is valid until that call returns. The host copies what it is given. Only one thread
 * at a time may call its functions.
 */
typedef struct crossrun_reply crossrun_reply;
struct crossrun_reply {
    uint32_t size;
    uint32_t reserved;
    /* For the host's own use. */
    void *data;
    /* Answers with JSON, once. Returns CROSSRUN_OK, or CROSSRUN_FAILED if the host does not accept it. */
    int32_t (*answer)(crossrun_reply *reply, const char *json);
    /* Passes the merged and encoded state of the sinks, once, in `run`. Returns the same as `answer`. */
    int32_t (*sink)(crossrun_reply *reply, const uint8_t *bytes, size_t length);
    /* Reports why the call failed: a CROSSRUN_ERROR_ kind, a message of one line, and a command that mends it, or null.
     * Only the first report counts. Returns CROSSRUN_FAILED, so that a function can end with `return reply->fail(...)`. */
    int32_t (*fail)(crossrun_reply *reply, int32_t kind, const char *message, const char *remedy);
    /* The same, if a function of the workload returned `status` and put its message into `message`. */
    int32_t (*workload_failed)(crossrun_reply *reply, int32_t status, const crossrun_buffer *message);
};

/* The functions of a workload's library, as crossrun_workloads.h has them with the prefix `crossrun_workload_`. The
 * table lives as long as the process. Call those after `buffer_free` only after CROSSRUN_CALLABLE has said that they are
 * there. `start` takes the `start_nanos` of the run, and answers CROSSRUN_ARGUMENT without a message for any other time. */
typedef struct crossrun_workload_functions {
    size_t size;
    int32_t (*catalogue)(crossrun_buffer *out);
    int32_t (*open)(const uint8_t *spec, size_t length, const crossrun_workload **opened, crossrun_buffer *error);
    void (*share)(const crossrun_workload *workload);
    void (*close)(const crossrun_workload *workload);
    int32_t (*plan)(const crossrun_workload *workload, crossrun_buffer *out);
    int32_t (*source)(
        const crossrun_workload *workload, uint64_t first, uint64_t count, uint32_t to, crossrun_buffer *out);
    int32_t (*run_stages)(
        const crossrun_workload *workload, uint32_t from, uint32_t to, const uint8_t *batch, size_t length,
        crossrun_buffer *out);
    int32_t (*split)(
        const crossrun_workload *workload, uint32_t stage, const uint8_t *batch, size_t length, uint32_t partitions,
        crossrun_buffer *outs, crossrun_buffer *error);
    int32_t (*state_new)(
        const crossrun_workload *workload, uint32_t stage, crossrun_state **state, crossrun_buffer *error);
    int32_t (*state_fold)(crossrun_state *state, const uint8_t *batch, size_t length, crossrun_buffer *error);
    int32_t (*state_merge)(crossrun_state *state, const uint8_t *encoded, size_t length, crossrun_buffer *error);
    int32_t (*state_encode)(crossrun_state *state, crossrun_buffer *out);
    int32_t (*state_emit)(crossrun_state *state, uint64_t limit, crossrun_buffer *out);
    void (*state_free)(crossrun_state *state);
    int32_t (*outcome)(
        const crossrun_workload *workload, const uint8_t *sink, size_t length, crossrun_buffer *out);
    int32_t (*expected)(const crossrun_workload *workload, crossrun_buffer *out);
    void (*buffer_free)(crossrun_buffer *buffer);
    int32_t (*describe)(
        const crossrun_workload *workload, uint32_t stage, const uint8_t *item, size_t length, crossrun_buffer *out);
    int32_t (*start)(const crossrun_workload *workload, uint64_t nanos, crossrun_buffer *error);
    int32_t (*graph_edges)(
        const crossrun_workload *workload, uint32_t step, uint32_t first, uint32_t count, crossrun_buffer *out);
    int32_t (*graph_task)(
        const crossrun_workload *workload, uint32_t step, uint32_t point, size_t count, const uint8_t *const *inputs,
        const size_t *lengths, uint8_t *output, size_t *output_length, crossrun_buffer *error);
    int32_t (*watermark)(const crossrun_workload *workload, uint64_t number, uint64_t *time, crossrun_buffer *error);
    int32_t (*state_close)(
        crossrun_state *state, uint64_t time, uint64_t limit, uint64_t *next, crossrun_buffer *out);
    int32_t (*keys)(
        const crossrun_workload *workload, uint32_t stage, const uint8_t *batch, size_t length, crossrun_buffer *out);
} crossrun_workload_functions;

/* One entry of `extra`. The value of a JSON string is its text; any other value is its JSON. As backends index arrays of
 * them, this struct never grows. */
typedef struct crossrun_option {
    const char *name;
    const char *value;
} crossrun_option;

/* The request to `setup`. */
typedef struct crossrun_setup {
    uint32_t size;
    /* Not 0 to remove what an earlier set-up installed, instead of installing. */
    uint32_t remove;
    /* The Python interpreter to install for, or null. */
    const char *python;
    /* Where to install: a persistent folder of the user. */
    const char *data_dir;
    /* A folder for logs. It exists. */
    const char *log_dir;
    /* The same as JSON: ABI.md's setup request and context. */
    const char *request;
    const char *context;
    const crossrun_host *host;
} crossrun_setup;

/* What stays the same from `open` to `close`. */
typedef struct crossrun_session {
    uint32_t size;
    /* The parallelism of every run. */
    uint32_t parallelism;
    /* How many machines were asked for; 1 means this one. */
    uint32_t nodes;
    /* How many `options` there are: the `extra` of the first run. */
    uint32_t option_count;
    const crossrun_option *options;
    const char *data_dir;
    const char *log_dir;
    /* The same as JSON: ABI.md's session. */
    const char *session;
    const crossrun_host *host;
} crossrun_session;

/* A run. */
typedef struct crossrun_run {
    uint32_t size;
    /* The most operator calls at once, over all stages together. At least 1. */
    uint32_t parallelism;
    uint64_t total_items;
    /* How many items a batch has at most. At least 1. */
    uint64_t batch_size;
    uint64_t seed;
    /* In how many nanoseconds the host will end the run, or CROSSRUN_NO_DEADLINE. */
    uint64_t remaining_nanos;
    /* Not 0: each stage of each batch must be a task or message of its own, since the scheduler is measured. */
    uint32_t fusion_off;
    /* Not 0: the source makes an item when it is due, not when it is requested. */
    uint32_t open_loop;
    /* The stages of the plan, each a CROSSRUN_STAGE_. A stage's number is its index. The first is the source, the last
     * is the sink. */
    uint32_t stage_count;
    uint32_t option_count;
    const uint32_t *stages;
    /* The entries of the spec's `extra`. */
    const crossrun_option *options;
    const char *workload_name;
    /* A hint: the backend reports which scheduler it used. */
    const char *scheduler_name;
    /* The workload. It is valid during this call; after a `share` it is valid until the `close` that belongs to it. */
    const crossrun_workload_functions *functions;
    const crossrun_workload *workload;
    /* The workload's library, for other processes that open it, and its SHA-256 in hex. */
    const char *library_path;
    const char *library_sha256;
    const char *data_dir;
    const char *log_dir;
    /* The same as JSON: ABI.md's spec and context. */
    const char *spec;
    const char *context;
    const crossrun_host *host;
    /* When an open loop starts, by the monotonic clock of the machine; 0 in `prepare`, and if there is none. Since 1.1, as are the
     * next three. */
    uint64_t start_nanos;
    /* The graph of tasks that is to be run instead of the stages: its rows, the most tasks of a row, and how many bytes an output
     * has that another task needs. All are 0 if there is none, or if the backend does not support `graph`; a graph of no items has a
     * width, but no rows. */
    uint64_t graph_steps;
    uint64_t graph_width;
    uint64_t graph_output_bytes;
} crossrun_run;

/* ---- What a backend exports ------------------------------------------------------------------------------------- */

/*
 * The functions of a backend. The host calls them from one thread at a time, which need not always be the same one;
 * calls do not overlap. Every function but `run` may be null: ABI.md says what this means. `backend` is the pointer that
 * `create` returned, which may be null.
 */
typedef struct crossrun_backend_functions {
    uint32_t size;
    /* CROSSRUN_BACKEND_ABI_VERSION. */
    uint32_t abi_version;
    /* First, and once. */
    int32_t (*create)(const crossrun_host *host, void **backend, crossrun_reply *reply);
    /* Last, and once; or never, if the process ends before. */
    void (*destroy)(void *backend);
    /* Right after `create`: answers with ABI.md's description, in which the name may be left out. */
    int32_t (*describe)(void *backend, crossrun_reply *reply);
    /* Whether the engine could be started: CROSSRUN_OK if so; otherwise it fails with CROSSRUN_ERROR_UNAVAILABLE, a
     * reason and a remedy. It must start nothing, and take milliseconds. */
    int32_t (*is_available)(void *backend, crossrun_reply *reply);
    /* Installs what the engine needs, or removes it. */
    int32_t (*setup)(void *backend, const crossrun_setup *setup, crossrun_reply *reply);
    /* Starts the engine: once, before the first run. */
    int32_t (*open)(void *backend, const crossrun_session *session, crossrun_reply *reply);
    /* Runs a workload: passes the state of its sinks to `sink`, and answers with ABI.md's result, of which only
     * `results_count` is required. */
    int32_t (*run)(void *backend, const crossrun_run *run, crossrun_reply *reply);
    /* Stops the engine: once, after the last run. */
    int32_t (*close)(void *backend, crossrun_reply *reply);
    /* Prepares a run before its clock starts: opens the workload in every process in which it will run. After `open` and before
     * each `run`; it may be called again, and forgets what it prepared before. Since 1.1. */
    int32_t (*prepare)(void *backend, const crossrun_run *run, crossrun_reply *reply);
} crossrun_backend_functions;

#if defined(__GNUC__)
#define CROSSRUN_EXPORT __attribute__((visibility("default")))
#else
#define CROSSRUN_EXPORT
#endif

/* The one symbol that a backend exports. */
extern CROSSRUN_EXPORT const crossrun_backend_functions crossrun_backend;

/* ---- Helpers ---------------------------------------------------------------------------------------------------- */

/* The value of the option `name`, or `otherwise` if there is none. */
static inline const char *crossrun_option_value(
    const crossrun_option *options, uint32_t count, const char *name, const char *otherwise) {
    uint32_t at;
    for (at = 0; at < count; at++) {
        if (strcmp(options[at].name, name) == 0) {
            return options[at].value;
        }
    }
    return otherwise;
}

/* How many items the batch in a buffer has. */
static inline uint32_t crossrun_item_count(const crossrun_buffer *batch) {
    const uint8_t *byte = batch->data;
    if (batch->length < 4) {
        return 0;
    }
    return (uint32_t)byte[0] | (uint32_t)byte[1] << 8 | (uint32_t)byte[2] << 16 | (uint32_t)byte[3] << 24;
}

/* ---- Metadata --------------------------------------------------------------------------------------------------- */

/* The compiler as records show it. Define it yourself if the code is not compiled by the C compiler: for Go, "go 1.24". */
#if defined(CROSSRUN_COMPILER)
#elif defined(__clang__)
#define CROSSRUN_COMPILER __VERSION__
#elif defined(__GNUC__)
#define CROSSRUN_COMPILER "gcc " __VERSION__
#else
#define CROSSRUN_COMPILER "unknown"
#endif

#if defined(__x86_64__)
#define CROSSRUN_ARCHITECTURE "x86_64"
#elif defined(__aarch64__)
#define CROSSRUN_ARCHITECTURE "aarch64"
#elif defined(__riscv) && __riscv_xlen == 64
#define CROSSRUN_ARCHITECTURE "riscv64"
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
#define CROSSRUN_ARCHITECTURE "powerpc64le"
#elif defined(__s390x__)
#define CROSSRUN_ARCHITECTURE "s390x"
#elif defined(__i386__)
#define CROSSRUN_ARCHITECTURE "i686"
#else
#define CROSSRUN_ARCHITECTURE "unknown"
#endif

#if defined(__linux__) && defined(__GLIBC__)
#define CROSSRUN_SYSTEM "unknown-linux-gnu"
#elif defined(__linux__)
#define CROSSRUN_SYSTEM "unknown-linux"
#elif defined(__APPLE__)
#define CROSSRUN_SYSTEM "apple-darwin"
#else
#define CROSSRUN_SYSTEM "unknown"
#endif

/* The preprocessor cannot tell -O1, -O2 and -O3 apart. Define CROSSRUN_OPT_LEVEL yourself to be exact, or for another compiler. */
#if defined(CROSSRUN_OPT_LEVEL)
#elif !defined(__OPTIMIZE__)
#define CROSSRUN_OPT_LEVEL "0"
#elif defined(__OPTIMIZE_SIZE__)
#define CROSSRUN_OPT_LEVEL "s"
#else
#define CROSSRUN_OPT_LEVEL "1-3"
#endif

/* Whether this is a build for debugging: without optimisation and with assert(), or with a sanitizer. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || (!defined(__OPTIMIZE__) && !defined(NDEBUG))
#define CROSSRUN_DEBUG_ASSERTIONS "true"
#else
#define CROSSRUN_DEBUG_ASSERTIONS "false"
#endif

#if defined(__AVX512F__)
#define CROSSRUN_TARGET_FEATURES "sse,sse2,sse3,ssse3,sse4.1,sse4.2,avx,avx2,avx512f"
#elif defined(__AVX2__)
#define CROSSRUN_TARGET_FEATURES "sse,sse2,sse3,ssse3,sse4.1,sse4.2,avx,avx2"
#elif defined(__AVX__)
#define CROSSRUN_TARGET_FEATURES "sse,sse2,sse3,ssse3,sse4.1,sse4.2,avx"
#elif defined(__SSE4_2__)
#define CROSSRUN_TARGET_FEATURES "sse,sse2,sse3,ssse3,sse4.1,sse4.2"
#elif defined(__SSE2__)
#define CROSSRUN_TARGET_FEATURES "sse,sse2"
#elif defined(__ARM_FEATURE_SVE)
#define CROSSRUN_TARGET_FEATURES "neon,sve"
#elif defined(__ARM_NEON)
#define CROSSRUN_TARGET_FEATURES "neon"
#else
#define CROSSRUN_TARGET_FEATURES ""
#endif

/* The section must stay, though compilers and linkers remove what seems unused. */
#if defined(__has_attribute)
#if __has_attribute(retain)
#define CROSSRUN_RETAIN , retain
#endif
#endif
#ifndef CROSSRUN_RETAIN
#define CROSSRUN_RETAIN
#endif

#if defined(__APPLE__)
#define CROSSRUN_SECTION "__DATA,__crossrun"
#else
#define CROSSRUN_SECTION ".crossrun"
#endif

/* Says what the file is. `what` is lines of metadata; the others are string literals without control characters. */
#define CROSSRUN_METADATA(what, version, description, license)                                                        \
    __attribute__((section(CROSSRUN_SECTION), used CROSSRUN_RETAIN)) static const char crossrun_metadata[] =          \
        "crossrun-plugin 1\n" what "version=" version "\ndescription=" description "\nlicense=" license               \
        "\napi=" CROSSRUN_API_VERSION "\ncompiler=" CROSSRUN_COMPILER "\ntarget=" CROSSRUN_ARCHITECTURE               \
        "-" CROSSRUN_SYSTEM "\nopt_level=" CROSSRUN_OPT_LEVEL "\ndebug_assertions=" CROSSRUN_DEBUG_ASSERTIONS         \
        "\ntarget_features=" CROSSRUN_TARGET_FEATURES "\nend\n"

/* Write this once in a backend, outside of any function, with a semicolon. `name` has 1 to 64 characters of a-z, 0-9, _
 * and -. */
#define CROSSRUN_BACKEND_METADATA(name, version, description, license)                                                \
    CROSSRUN_METADATA("kind=runner\nabi=c\nname=" name "\n", version, description, license)

#ifdef __cplusplus
}
#endif

/* ---- C++ -------------------------------------------------------------------------------------------------------- */

#if defined(__cplusplus) && __cplusplus >= 201103L && (defined(__cpp_exceptions) || defined(__EXCEPTIONS))
#include <exception>

namespace crossrun {

/* Runs `call`, which returns a status, and fails with the what() of an exception that leaves it. An exception that leaves
 * a function of the table ends the process without a message, so write every function like this. Without its `-> int32_t`
 * the lambda does not compile, as what `fail` returns and CROSSRUN_OK are not of one type:
 *
 *     static int32_t run(void *backend, const crossrun_run *run, crossrun_reply *reply) noexcept {
 *         return crossrun::guarded(reply, [&]() -> int32_t {
 *             if (run->graph_width > 0) {
 *                 return reply->fail(reply, CROSSRUN_ERROR_UNSUPPORTED, "this backend has no graphs", nullptr);
 *             }
 *             static_cast<Engine *>(backend)->run(*run, *reply);
 *             return CROSSRUN_OK;
 *         });
 *     }
 */
template <typename Call>
int32_t guarded(crossrun_reply *reply, Call call) noexcept {
    try {
        return call();
    } catch (const std::exception &error) {
        return reply->fail(reply, CROSSRUN_ERROR_ENGINE, error.what(), nullptr);
    } catch (...) {
        return reply->fail(reply, CROSSRUN_ERROR_ENGINE, "it threw what is not a std::exception", nullptr);
    }
}

} /* namespace crossrun */
#endif

#endif
