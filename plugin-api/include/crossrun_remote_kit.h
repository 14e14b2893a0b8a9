/*
 * For backends whose work runs in processes of their own, also on other machines: messages to them, the workload's library
 * by its hash, its functions as one table, and the states that come home. C99 or C++, and POSIX; ABI.md, "Backends whose processes
 * are elsewhere", says how these belong together. plugin-api/examples/mpi in the repository of crossrun has a
 * backend that uses all of it.
 *
 * The functions return 1 if they succeeded, and 0 if not, unless they say otherwise.
 */
#ifndef CROSSRUN_REMOTE_KIT_H
#define CROSSRUN_REMOTE_KIT_H

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crossrun.h"

#ifndef O_CLOEXEC
#error "define _POSIX_C_SOURCE as 200809L before the first header, or compile with -std=gnu99: this header needs POSIX"
#endif

/* ---- Messages --------------------------------------------------------------------------------------------------- */

/* A message: what it is, which both sides agree on, and its bytes. Begin with zeros; free `data` with free(). */
typedef struct crossrun_message {
    uint32_t kind;
    uint8_t *data;
    size_t length, capacity;
} crossrun_message;

static inline int crossrun_write_all(int descriptor, const void *data, size_t length) {
    const uint8_t *at = (const uint8_t *)data;
    while (length > 0) {
        const ssize_t written = write(descriptor, at, length);
        if (written < 0 && errno != EINTR) {
            return 0;
        }
        at += written > 0 ? written : 0;
        length -= written > 0 ? (size_t)written : 0;
    }
    return 1;
}

static inline int crossrun_read_all(int descriptor, void *data, size_t length) {
    uint8_t *at = (uint8_t *)data;
    while (length > 0) {
        const ssize_t got = read(descriptor, at, length);
        if (got == 0 || (got < 0 && errno != EINTR)) {
            return 0;
        }
        at += got > 0 ? got : 0;
        length -= got > 0 ? (size_t)got : 0;
    }
    return 1;
}

/* Writes a message. Ignore SIGPIPE, so that the end of the other side is a failure of this call and not of the process. */
static inline int crossrun_send(int descriptor, uint32_t kind, const void *data, size_t length) {
    uint8_t head[12];
    size_t at;
    for (at = 0; at < 4; at++) {
        head[at] = (uint8_t)(kind >> (8 * at));
    }
    for (at = 0; at < 8; at++) {
        head[4 + at] = (uint8_t)((uint64_t)length >> (8 * at));
    }
    return crossrun_write_all(descriptor, head, sizeof head) && crossrun_write_all(descriptor, data, length);
}

/* Makes room for `length` bytes. */
static inline int crossrun_message_reserve(crossrun_message *message, size_t length) {
    if (length > message->capacity) {
        uint8_t *data = (uint8_t *)realloc(message->data, length);
        if (data == NULL) {
            return 0;
        }
        message->data = data;
        message->capacity = length;
    }
    message->length = length;
    return 1;
}

/* Waits for a message, and reads it. The memory of the one before is used again. */
static inline int crossrun_receive(int descriptor, crossrun_message *message) {
    uint8_t head[12];
    uint64_t length = 0;
    size_t at;
    if (!crossrun_read_all(descriptor, head, sizeof head)) {
        return 0;
    }
    message->kind = (uint32_t)head[0] | (uint32_t)head[1] << 8 | (uint32_t)head[2] << 16 | (uint32_t)head[3] << 24;
    for (at = 0; at < 8; at++) {
        length |= (uint64_t)head[4 + at] << (8 * at);
    }
    return length <= SIZE_MAX && crossrun_message_reserve(message, (size_t)length)
        && crossrun_read_all(descriptor, message->data, (size_t)length);
}

/* ---- SHA-256 ---------------------------------------------------------------------------------------------------- */

static inline uint32_t crossrun_rotated(uint32_t word, unsigned bits) {
    return word >> bits | word << (32 - bits);
}

/* Takes a block of 64 bytes into the hash. */
static inline void crossrun_sha256_block(uint32_t *hash, const uint8_t *block) {
    static const uint32_t constants[64] = {
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01,
        0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc,
        0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
        0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
        0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08,
        0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
        0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
    uint32_t words[64], state[8];
    unsigned at;
    for (at = 0; at < 16; at++) {
        words[at] = (uint32_t)block[4 * at] << 24 | (uint32_t)block[4 * at + 1] << 16 | (uint32_t)block[4 * at + 2] << 8
            | (uint32_t)block[4 * at + 3];
    }
    for (; at < 64; at++) {
        const uint32_t early = words[at - 15], late = words[at - 2];
        words[at] = words[at - 16] + words[at - 7]
            + (crossrun_rotated(early, 7) ^ crossrun_rotated(early, 18) ^ early >> 3)
            + (crossrun_rotated(late, 17) ^ crossrun_rotated(late, 19) ^ late >> 10);
    }
    memcpy(state, hash, sizeof state);
    for (at = 0; at < 64; at++) {
        const uint32_t a = state[0], e = state[4];
        const uint32_t first = state[7] + (crossrun_rotated(e, 6) ^ crossrun_rotated(e, 11) ^ crossrun_rotated(e, 25))
            + ((e & state[5]) ^ (~e & state[6])) + constants[at] + words[at];
        const uint32_t second = (crossrun_rotated(a, 2) ^ crossrun_rotated(a, 13) ^ crossrun_rotated(a, 22))
            + ((a & state[1]) ^ (a & state[2]) ^ (state[1] & state[2]));
        memmove(state + 1, state, 7 * sizeof *state);
        state[4] += first;
        state[0] = first + second;
    }
    for (at = 0; at < 8; at++) {
        hash[at] += state[at];
    }
}

/* Writes the SHA-256 of `length` bytes as 64 hex digits and a NUL. */
static inline void crossrun_sha256(const uint8_t *data, size_t length, char hex[65]) {
    uint32_t hash[8] = {
        0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    const size_t whole = length / 64 * 64, rest = length - whole;
    uint8_t last[128] = {0};
    const size_t padded = rest < 56 ? 64 : 128;
    size_t at;
    for (at = 0; at < whole; at += 64) {
        crossrun_sha256_block(hash, data + at);
    }
    if (rest > 0) {
        memcpy(last, data + whole, rest);
    }
    last[rest] = 0x80;
    for (at = 0; at < 8; at++) {
        last[padded - 1 - at] = (uint8_t)((uint64_t)length * 8 >> (8 * at));
    }
    for (at = 0; at < padded; at += 64) {
        crossrun_sha256_block(hash, last + at);
    }
    for (at = 0; at < 8; at++) {
        snprintf(hex + 8 * at, 9, "%08x", (unsigned)hash[at]);
    }
}

/* ---- The library, by its hash ----------------------------------------------------------------------------------- */

/* Reads a whole file, for the process that sends it. */
static inline int crossrun_read_file(const char *path, crossrun_message *bytes) {
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    struct stat about;
    const int good = file >= 0 && fstat(file, &about) == 0 && about.st_size >= 0
        && crossrun_message_reserve(bytes, (size_t)about.st_size) && crossrun_read_all(file, bytes->data, bytes->length);
    if (file >= 0) {
        close(file);
    }
    return good;
}

/*
 * Keeps bytes that were received as `folder`/`sha256`.so, and writes this path into `path`. Bytes that do not have the hash
 * are refused. The file is put into its place whole, so that other processes of this machine may keep the same one.
 */
static inline int crossrun_keep_file(
    const char *folder, const char *sha256, const uint8_t *bytes, size_t length, char *path, size_t room) {
    char hex[65], made[4096];
    int file, good;
    crossrun_sha256(bytes, length, hex);
    if (strcmp(hex, sha256) != 0) {
        return 0;
    }
    if (snprintf(path, room, "%s/%s.so", folder, sha256) >= (int)room
        || snprintf(made, sizeof made, "%s/%s.XXXXXX", folder, sha256) >= (int)sizeof made) {
        return 0;
    }
    file = mkstemp(made);
    if (file < 0) {
        return 0;
    }
    good = crossrun_write_all(file, bytes, length) && fchmod(file, 0500) == 0;
    good = close(file) == 0 && good && rename(made, path) == 0;
    if (!good) {
        unlink(made);
    }
    return good;
}

/* ---- The functions of a library --------------------------------------------------------------------------------- */

/* A function that a library of 1.0 may lack is null then: ask CROSSRUN_CALLABLE before the call. */
#define CROSSRUN_FUNCTIONS(each)                                                                                      \
    each(catalogue, 1) each(open, 1) each(share, 1) each(close, 1) each(plan, 1) each(source, 1) each(run_stages, 1)  \
    each(split, 1) each(state_new, 1) each(state_fold, 1) each(state_merge, 1) each(state_encode, 1)                  \
    each(state_emit, 1) each(state_free, 1) each(outcome, 1) each(expected, 1) each(buffer_free, 1) each(describe, 0) \
    each(start, 0) each(graph_edges, 0) each(graph_task, 0) each(watermark, 0) each(state_close, 0)        \
    each(keys, 0)

/*
 * Loads a library of workloads, and fills the table of its functions. On failure `why` says what is wrong. The library is
 * never unloaded, as buffers and states of it may be in use.
 */
static inline int crossrun_load_library(const char *path, crossrun_workload_functions *functions, char *why, size_t room) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL), *found;
    uint32_t (*version)(void);
    if (library == NULL) {
        snprintf(why, room, "%s", dlerror());
        return 0;
    }
    memset(functions, 0, sizeof *functions);
    functions->size = sizeof *functions;
    found = dlsym(library, "crossrun_workload_abi_version");
    if (found == NULL) {
        snprintf(why, room, "%.200s is no library of workloads", path);
        return 0;
    }
    /* POSIX has a function in a void pointer, which C99 cannot cast. */
    memcpy(&version, &found, sizeof found);
    if (CROSSRUN_WORKLOAD_ABI_MAJOR(version()) != CROSSRUN_WORKLOAD_ABI_MAJOR(CROSSRUN_WORKLOAD_ABI_VERSION)) {
        snprintf(why, room, "%.200s has the functions of another major version", path);
        return 0;
    }
#define CROSSRUN_FIND(name, required)                                                                                 \
    found = dlsym(library, "crossrun_workload_" #name);                                                               \
    if (found == NULL && (required)) {                                                                                \
        snprintf(why, room, "%.200s lacks crossrun_workload_" #name, path);                                               \
        return 0;                                                                                                     \
    }                                                                                                                 \
    memcpy(&functions->name, &found, sizeof found);
    CROSSRUN_FUNCTIONS(CROSSRUN_FIND)
#undef CROSSRUN_FIND
    return 1;
}

/* ---- States ----------------------------------------------------------------------------------------------------- */

/*
 * Merges encoded states of the stage `stage`, `count` of them one after the other in `states`, into one, and puts its encoding
 * into `out`. Returns the status of the library; after a failure `out` has its message.
 */
static inline int32_t crossrun_merge_states(
    const crossrun_workload_functions *functions, const crossrun_workload *workload, uint32_t stage, const uint8_t *states,
    const size_t *lengths, size_t count, crossrun_buffer *out) {
    crossrun_state *merged = NULL;
    int32_t status = functions->state_new(workload, stage, &merged, out);
    size_t at;
    for (at = 0; status == CROSSRUN_OK && at < count; at++) {
        status = functions->state_merge(merged, states, lengths[at], out);
        states += lengths[at];
    }
    if (status == CROSSRUN_OK) {
        status = functions->state_encode(merged, out);
    }
    functions->state_free(merged);
    return status;
}

#endif
