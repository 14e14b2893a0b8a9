"""Prints the table GOLDEN of src/conformance.rs.

This is a second implementation of the workloads, written from their definitions alone, so that a test notices when one
of them changes. It iterates where the library's oracle has a closed form. It needs the package `xxhash`.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable, Iterable, Iterator

import xxhash

MASK = 2**64 - 1
SEED = 42
DATA, COST, KEY = 1, 2, 3


def mix(x: int) -> int:
    """One step of SplitMix64: 64 bits to 64 bits."""
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ x >> 30) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ x >> 27) * 0x94D049BB133111EB) & MASK
    return x ^ x >> 31


def rnd(stream: int, i: int) -> int:
    """The 64 random bits of item `i` in one stream."""
    return mix(SEED ^ mix(stream ^ mix(i)))


def u01(stream: int, i: int) -> float:
    """The random number of item `i` in `[0, 1)`."""
    return (rnd(stream, i) >> 11) / 2**53


def busy(seed: int, iters: int) -> int:
    """What `iters` steps of the multiplicative generator make of a seed."""
    acc = (seed | 1) % 2147483647
    for _ in range(iters):
        acc = acc * 139 % 2147483647
    return acc


def le(*words: int) -> bytes:
    """Numbers as 64-bit words, little-endian."""
    return b"".join(word.to_bytes(8, "little") for word in words)


def scheduler_comparison(n: int) -> list[bytes]:
    """The items that reach the sink, of `n` items of the source; so with each workload below."""
    return [b"processed_item_%d" % i for i in range(0, n, 2)]


def null(n: int) -> list[bytes]:
    """Every item, unchanged."""
    return [le(i) for i in range(n)]


def chain(n: int, stages: int, iters: Callable[[int], int]) -> Iterator[bytes]:
    """Every second item, after `stages` maps of `iters(i)` steps each."""
    for i in range(0, n, 2):
        value = rnd(DATA, i)
        for stage in range(1, stages + 1):
            value = mix(value ^ busy(value, iters(i)) ^ stage << 32)
        yield le(i, value)


def imbalance(n: int, iters: int, multiplier: Callable[[float], float]) -> Iterator[bytes]:
    """One map, whose steps a distribution multiplies."""
    return chain(n, 1, lambda i: int(iters * multiplier(u01(COST, i)) + 0.5))


def uniform(u: float) -> float:
    """Between 0 and 2, with the mean 1."""
    return 2 * u


def bimodal(u: float) -> float:
    """One item in a hundred costs half of all, with the mean 1."""
    return 50 if u < 0.01 else 0.5 / 0.99


def pareto(u: float) -> float:
    """A power law that is cut at 100, with a mean near 1."""
    return float(min((1 - u) ** (-1 / 1.5), 100)) / 2.8


def word_count(n: int, keys: int, skew: float) -> list[bytes]:
    """One item a key that occurs: how often it occurs, the sum of its values, and its name."""
    weights = [place**-skew for place in range(1, keys + 1)]
    cumulative = [weight / sum(weights) for weight in itertools.accumulate(weights)]
    tallies: dict[int, tuple[int, int]] = {}
    for i in range(n):
        rank = bisect.bisect_right(cumulative, u01(KEY, i))
        count, total = tallies.get(rank, (0, 0))
        tallies[rank] = count + 1, total + (rnd(DATA, i) >> 32)
    return [le(count, total) + b"w%d" % rank for rank, (count, total) in tallies.items()]


def show(name: str, extra: str, n: int, items: Iterable[bytes]) -> None:
    """Prints one row of the table."""
    hashes: list[int] = [xxhash.xxh3_64_intdigest(item) for item in items]
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
