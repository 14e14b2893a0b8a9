"""Prints the table GOLDEN of src/conformance.rs.

A second implementation of the workloads, written from their definitions alone, so that a change of one of them cannot
pass unnoticed. It iterates where the library's oracle has a closed form. Needs the package `xxhash`.
"""

import bisect
import itertools

import xxhash

MASK = 2**64 - 1
SEED = 42
DATA, COST, KEY = 1, 2, 3


def mix(x):
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ x >> 30) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ x >> 27) * 0x94D049BB133111EB) & MASK
    return x ^ x >> 31


def rnd(stream, i):
    return mix(SEED ^ mix(stream ^ mix(i)))


def u01(stream, i):
    return (rnd(stream, i) >> 11) / 2**53


def busy(seed, iters):
    acc = (seed | 1) % 2147483647
    for _ in range(iters):
        acc = acc * 139 % 2147483647
    return acc


def le(*words):
    return b"".join(word.to_bytes(8, "little") for word in words)


def scheduler_comparison(n):
    return [b"processed_item_%d" % i for i in range(0, n, 2)]


def null(n):
    return [le(i) for i in range(n)]


def chain(n, stages, iters):
    for i in range(0, n, 2):
        value = rnd(DATA, i)
        for stage in range(1, stages + 1):
            value = mix(value ^ busy(value, iters(i)) ^ stage << 32)
        yield le(i, value)


def imbalance(n, iters, multiplier):
    return chain(n, 1, lambda i: int(iters * multiplier(u01(COST, i)) + 0.5))


def uniform(u):
    return 2 * u


def bimodal(u):
    return 50 if u < 0.01 else 0.5 / 0.99


def pareto(u):
    return min((1 - u) ** (-1 / 1.5), 100) / 2.8


def word_count(n, keys, skew):
    weights = [place**-skew for place in range(1, keys + 1)]
    cumulative = [weight / sum(weights) for weight in itertools.accumulate(weights)]
    tallies = {}
    for i in range(n):
        rank = bisect.bisect_right(cumulative, u01(KEY, i))
        count, total = tallies.get(rank, (0, 0))
        tallies[rank] = count + 1, total + (rnd(DATA, i) >> 32)
    return [le(count, total) + b"w%d" % rank for rank, (count, total) in tallies.items()]


def show(name, extra, n, items):
    hashes = [xxhash.xxh3_64_intdigest(item) for item in items]
    xor = 0
    for one in hashes:
        xor ^= one
    print(f'    ("{name}", r#"{extra}"#, {n}, {len(hashes)}, "{sum(hashes) & MASK:016x}{xor:016x}"),')


show("scheduler_comparison", '{"sleep_us":0}', 25, scheduler_comparison(25))
show("null", "{}", 1000, null(1000))
show("pipeline", '{"iters":100,"stages":3}', 200, chain(200, 3, lambda _: 100))
show("open_loop", '{"iters":100,"stages":3}', 200, chain(200, 3, lambda _: 100))
show("imbalance", '{"iters":100,"distribution":"uniform"}', 200, imbalance(200, 100, uniform))
show("imbalance", '{"iters":100,"distribution":"bimodal"}', 200, imbalance(200, 100, bimodal))
show("imbalance", '{"iters":100,"distribution":"pareto"}', 200, imbalance(200, 100, pareto))
show("word_count", '{"keys":100,"skew":1.2}', 2000, word_count(2000, 100, 1.2))
