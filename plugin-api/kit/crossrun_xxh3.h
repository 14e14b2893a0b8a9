/*
 * XXH3, 64 bits, without a seed: the hash of an item in the checksum of a sink, by the specification of xxHash
 * (https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md). Plain C99, a word at a time.
 */
#ifndef CROSSRUN_XXH3_H
#define CROSSRUN_XXH3_H

#include <stddef.h>
#include <stdint.h>

enum { XXH3_SECRET = 192, XXH3_STRIPE = 64, XXH3_BLOCK = 1024 };

static const uint8_t xxh3_secret[XXH3_SECRET] = {
    0xb8, 0xfe, 0x6c, 0x39, 0x23, 0xa4, 0x4b, 0xbe, 0x7c, 0x01, 0x81, 0x2c, 0xf7, 0x21, 0xad, 0x1c,
    0xde, 0xd4, 0x6d, 0xe9, 0x83, 0x90, 0x97, 0xdb, 0x72, 0x40, 0xa4, 0xa4, 0xb7, 0xb3, 0x67, 0x1f,
    0xcb, 0x79, 0xe6, 0x4e, 0xcc, 0xc0, 0xe5, 0x78, 0x82, 0x5a, 0xd0, 0x7d, 0xcc, 0xff, 0x72, 0x21,
    0xb8, 0x08, 0x46, 0x74, 0xf7, 0x43, 0x24, 0x8e, 0xe0, 0x35, 0x90, 0xe6, 0x81, 0x3a, 0x26, 0x4c,
    0x3c, 0x28, 0x52, 0xbb, 0x91, 0xc3, 0x00, 0xcb, 0x88, 0xd0, 0x65, 0x8b, 0x1b, 0x53, 0x2e, 0xa3,
    0x71, 0x64, 0x48, 0x97, 0xa2, 0x0d, 0xf9, 0x4e, 0x38, 0x19, 0xef, 0x46, 0xa9, 0xde, 0xac, 0xd8,
    0xa8, 0xfa, 0x76, 0x3f, 0xe3, 0x9c, 0x34, 0x3f, 0xf9, 0xdc, 0xbb, 0xc7, 0xc7, 0x0b, 0x4f, 0x1d,
    0x8a, 0x51, 0xe0, 0x4b, 0xcd, 0xb4, 0x59, 0x31, 0xc8, 0x9f, 0x7e, 0xc9, 0xd9, 0x78, 0x73, 0x64,
    0xea, 0xc5, 0xac, 0x83, 0x34, 0xd3, 0xeb, 0xc3, 0xc5, 0x81, 0xa0, 0xff, 0xfa, 0x13, 0x63, 0xeb,
    0x17, 0x0d, 0xdd, 0x51, 0xb7, 0xf0, 0xda, 0x49, 0xd3, 0x16, 0x55, 0x26, 0x29, 0xd4, 0x68, 0x9e,
    0x2b, 0x16, 0xbe, 0x58, 0x7d, 0x47, 0xa1, 0xfc, 0x8f, 0xf8, 0xb8, 0xd1, 0x7a, 0xd0, 0x31, 0xce,
    0x45, 0xcb, 0x3a, 0x8f, 0x95, 0x16, 0x04, 0x28, 0xaf, 0xd7, 0xfb, 0xca, 0xbb, 0x4b, 0x40, 0x7e,
};

#define XXH_PRIME32_1 UINT64_C(0x9e3779b1)
#define XXH_PRIME32_2 UINT64_C(0x85ebca77)
#define XXH_PRIME32_3 UINT64_C(0xc2b2ae3d)
#define XXH_PRIME64_1 UINT64_C(0x9e3779b185ebca87)
#define XXH_PRIME64_2 UINT64_C(0xc2b2ae3d27d4eb4f)
#define XXH_PRIME64_3 UINT64_C(0x165667b19e3779f9)
#define XXH_PRIME64_4 UINT64_C(0x85ebca77c2b2ae63)
#define XXH_PRIME64_5 UINT64_C(0x27d4eb2f165667c5)

static inline uint64_t xxh3_read(const uint8_t *bytes, int count) {
    uint64_t value = 0;
    while (count-- > 0) {
        value = value << 8 | bytes[count];
    }
    return value;
}

static inline uint64_t xxh3_read32(const uint8_t *bytes) {
    return xxh3_read(bytes, 4);
}

static inline uint64_t xxh3_read64(const uint8_t *bytes) {
    return xxh3_read(bytes, 8);
}

static inline uint64_t xxh3_rotate(uint64_t value, int bits) {
    return value << bits | value >> (64 - bits);
}

static inline uint64_t xxh3_swap(uint64_t value) {
    uint64_t swapped = 0;
    int at;
    for (at = 0; at < 8; at++, value >>= 8) {
        swapped = swapped << 8 | (value & 0xff);
    }
    return swapped;
}

/* Multiplies to 128 bits, and returns the xor of the two halves. */
static inline uint64_t xxh3_multiply_fold(uint64_t one, uint64_t other) {
    const uint64_t mask = 0xffffffff;
    const uint64_t low = (one & mask) * (other & mask), cross = (one >> 32) * (other & mask);
    const uint64_t middle = (one & mask) * (other >> 32) + (low >> 32) + (cross & mask);
    const uint64_t upper = (one >> 32) * (other >> 32) + (cross >> 32) + (middle >> 32);
    return upper ^ (middle << 32 | (low & mask));
}

static inline uint64_t xxh3_avalanche(uint64_t hash) {
    hash = (hash ^ hash >> 37) * UINT64_C(0x165667919e3779f9);
    return hash ^ hash >> 32;
}

static inline uint64_t xxh3_avalanche_of_64(uint64_t hash) {
    hash = (hash ^ hash >> 33) * XXH_PRIME64_2;
    hash = (hash ^ hash >> 29) * XXH_PRIME64_3;
    return hash ^ hash >> 32;
}

static uint64_t xxh3_up_to_16(const uint8_t *input, size_t length) {
    const uint8_t *secret = xxh3_secret;
    if (length > 8) {
        const uint64_t low = xxh3_read64(input) ^ xxh3_read64(secret + 24) ^ xxh3_read64(secret + 32);
        const uint64_t high = xxh3_read64(input + length - 8) ^ xxh3_read64(secret + 40) ^ xxh3_read64(secret + 48);
        return xxh3_avalanche(length + xxh3_swap(low) + high + xxh3_multiply_fold(low, high));
    }
    if (length >= 4) {
        uint64_t hash = xxh3_read32(input + length - 4) + (xxh3_read32(input) << 32);
        hash ^= xxh3_read64(secret + 8) ^ xxh3_read64(secret + 16);
        hash ^= xxh3_rotate(hash, 49) ^ xxh3_rotate(hash, 24);
        hash *= UINT64_C(0x9fb21c651e98df25);
        hash ^= (hash >> 35) + length;
        hash *= UINT64_C(0x9fb21c651e98df25);
        return hash ^ hash >> 28;
    }
    if (length > 0) {
        const uint64_t first = input[0], middle = input[length >> 1], last = input[length - 1];
        const uint64_t combined = first << 16 | middle << 24 | last | (uint64_t)length << 8;
        return xxh3_avalanche_of_64(combined ^ (xxh3_read32(secret) ^ xxh3_read32(secret + 4)));
    }
    return xxh3_avalanche_of_64(xxh3_read64(secret + 56) ^ xxh3_read64(secret + 64));
}

static inline uint64_t xxh3_mix(const uint8_t *input, const uint8_t *secret) {
    return xxh3_multiply_fold(
        xxh3_read64(input) ^ xxh3_read64(secret), xxh3_read64(input + 8) ^ xxh3_read64(secret + 8));
}

static uint64_t xxh3_up_to_240(const uint8_t *input, size_t length) {
    const uint8_t *secret = xxh3_secret;
    uint64_t hash = length * XXH_PRIME64_1;
    size_t at;
    if (length <= 128) {
        /* Pairs of 16 bytes, one from each end, towards the middle. */
        for (at = 0; at < (length + 31) / 32; at++) {
            hash += xxh3_mix(input + 16 * at, secret + 32 * at);
            hash += xxh3_mix(input + length - 16 * (at + 1), secret + 32 * at + 16);
        }
        return xxh3_avalanche(hash);
    }
    for (at = 0; at < 8; at++) {
        hash += xxh3_mix(input + 16 * at, secret + 16 * at);
    }
    hash = xxh3_avalanche(hash);
    for (at = 8; at < length / 16; at++) {
        hash += xxh3_mix(input + 16 * at, secret + 16 * (at - 8) + 3);
    }
    hash += xxh3_mix(input + length - 16, secret + 136 - 17);
    return xxh3_avalanche(hash);
}

static inline void xxh3_accumulate(uint64_t lanes[8], const uint8_t *input, const uint8_t *secret) {
    int lane;
    for (lane = 0; lane < 8; lane++) {
        const uint64_t value = xxh3_read64(input + 8 * lane), key = value ^ xxh3_read64(secret + 8 * lane);
        lanes[lane ^ 1] += value;
        lanes[lane] += (key & 0xffffffff) * (key >> 32);
    }
}

static uint64_t xxh3_long(const uint8_t *input, size_t length) {
    uint64_t lanes[8] = {XXH_PRIME32_3, XXH_PRIME64_1, XXH_PRIME64_2, XXH_PRIME64_3,
                         XXH_PRIME64_4, XXH_PRIME32_2, XXH_PRIME64_5, XXH_PRIME32_1};
    const size_t stripes = (length - 1) / XXH3_STRIPE, a_block = XXH3_BLOCK / XXH3_STRIPE;
    uint64_t hash = length * XXH_PRIME64_1;
    size_t stripe;
    int lane;
    for (stripe = 0; stripe < stripes; stripe++) {
        xxh3_accumulate(lanes, input + XXH3_STRIPE * stripe, xxh3_secret + 8 * (stripe % a_block));
        if ((stripe + 1) % a_block == 0) {
            for (lane = 0; lane < 8; lane++) {
                const uint64_t key = xxh3_read64(xxh3_secret + XXH3_SECRET - XXH3_STRIPE + 8 * lane);
                lanes[lane] = (lanes[lane] ^ lanes[lane] >> 47 ^ key) * XXH_PRIME32_1;
            }
        }
    }
    xxh3_accumulate(lanes, input + length - XXH3_STRIPE, xxh3_secret + XXH3_SECRET - XXH3_STRIPE - 7);
    for (lane = 0; lane < 8; lane += 2) {
        hash += xxh3_multiply_fold(
            lanes[lane] ^ xxh3_read64(xxh3_secret + 11 + 8 * lane),
            lanes[lane + 1] ^ xxh3_read64(xxh3_secret + 11 + 8 * lane + 8));
    }
    return xxh3_avalanche(hash);
}

static uint64_t xxh3_64(const void *data, size_t length) {
    const uint8_t *input = (const uint8_t *)data;
    if (length <= 16) {
        return xxh3_up_to_16(input, length);
    }
    return length <= 240 ? xxh3_up_to_240(input, length) : xxh3_long(input, length);
}

#endif
