"""Prints the table GOLDEN of src/conformance.rs.

This is a second implementation of the workloads, written from their definitions alone, so that a test notices when one
of them changes. It iterates where the library's oracle has a closed form. The queries of Nexmark are the SQL of
docs/nexmark.md on events that are made here. It needs the packages `duckdb` and `xxhash`.
"""

from __future__ import annotations

import bisect
import csv
import functools
import itertools
import re
import struct
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import duckdb
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


def payload(n: int, size: int) -> Iterator[bytes]:
    """Every item, with one added to each of its random bytes, and those of one key together, in order."""
    keys: dict[int, list[bytes]] = {}
    for i in range(n):
        # One in sixteen has the key of an earlier place.
        key = rnd(KEY, i) * i >> 64 if i % 16 == 15 else i
        first = mix(rnd(DATA, 0) ^ key)
        words = [first, *(mix((first + k & MASK) ^ i ^ key) for k in range(1, -(-size // 8)))]
        keys.setdefault(key, []).append(bytes(byte + 1 & 255 for byte in le(*words)[:size]))
    for items in keys.values():
        yield b"".join(sorted(items))


def group(n: int, groups: int) -> Iterator[bytes]:
    """One item a group that occurs: how many records it has, and the digest of their values in order."""
    records = sorted((int(u01(KEY, i) * groups), rnd(DATA, i), i) for i in range(n))
    for key, own in itertools.groupby(records, key=lambda record: record[0]):
        digest = count = 0
        for _, value, i in own:
            digest, count = mix(digest ^ mix(value ^ mix(i))), count + 1
        yield le(key, count, digest)


def shuffle_match(n: int, rules: int, matches: float, size: int) -> Iterator[bytes]:
    """One item a rule that a record meets: how many do, and the sum of their words. With few matches: no rule is met by all."""
    total = 0.0
    for place in range(1, rules + 1):
        total += 1 / place
    tallies: dict[int, tuple[int, int]] = {}
    for i in range(n):
        words = [mix(rnd(DATA, i) + k & MASK) for k in range(size // 8)]
        for rule in range(rules):
            if (mix(words[0] ^ mix(rule)) >> 11) / 2**53 < matches / total / (rule + 1):
                count, so_far = tallies.get(rule, (0, 0))
                tallies[rule] = count + 1, so_far + sum(words) & MASK
    for rule, (count, so_far) in tallies.items():
        yield le(rule, count, so_far)


def memory(n: int, span_mib: int, reads: int) -> Iterator[bytes]:
    """Every item, with the sum of the entries of the table that it reads."""
    entries = span_mib << 17
    for i in range(n):
        places = (mix(rnd(DATA, i) + read & MASK) * entries >> 64 for read in range(reads))
        yield le(i, sum(map(mix, places)) & MASK)


FIRST_NAMES = ["Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter"]
LAST_NAMES = ["Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris"]
CITIES = [
    "Phoenix",
    "Los Angeles",
    "San Francisco",
    "Boise",
    "Portland",
    "Bend",
    "Redmond",
    "Seattle",
    "Kent",
    "Cheyenne",
]
STATES = ["AZ", "CA", "ID", "OR", "WA", "WY"]


def nexmark_event(n: int, rate: int) -> bytes:
    """Event `n` of the stream of Nexmark, by docs/nexmark.md."""

    def draw(k: int) -> int:
        return mix(rnd(DATA, n) + k & MASK)

    def below(k: int, count: int) -> int:
        return draw(k) * count >> 64

    def price(k: int) -> int:
        return int(100 * 10 ** (6 * ((draw(k) >> 11) / 2**53)) + 0.5)

    def text(words: int, *parts: str) -> bytes:
        return "".join(parts).encode().ljust(8 * words, b"\0")

    time = n * 1000 // rate
    cycle, place = divmod(n, 50)
    person, auction = cycle, 3 * cycle + min(place - 1, 2)

    def any_person(k: int) -> int:
        return max(person - 999, 0) + below(k, min(person + 1, 1000) + 10)

    if place == 0:
        name = text(2, FIRST_NAMES[below(0, 11)], " ", LAST_NAMES[below(1, 9)])
        words = le(0, n, time, 1000 + person) + name + text(2, CITIES[below(2, 10)]) + text(1, STATES[below(3, 6)])
        mean = 200
    elif place <= 3:
        seller = person // 100 * 100 if below(0, 4) else any_person(1)
        horizon = (n + 1666) * 1000 // rate - time
        expires = time + 1 + below(5, max(2 * horizon, 1))
        reserve = price(3) + price(4)
        words = le(1, n, time, 1000 + auction, 1000 + seller, 10 + below(2, 5), price(3), reserve, expires)
        mean = 500
    else:
        first = max(auction - 100, 0)
        item = auction // 100 * 100 if below(0, 2) else first + below(1, auction - first + 11)
        bidder = person // 100 * 100 + 1 if below(2, 4) else any_person(3)
        words = le(2, n, time, 1000 + item, 1000 + bidder, price(4))
        mean = 100
    room = mean - len(words)
    length = room - room // 5 + below(6, room // 5 * 2 + 1)
    letters = le(*(draw(7 + k) for k in range(-(-length // 8))))[:length]
    return words + bytes(97 + (letter & 15) for letter in letters)


@functools.cache
def nexmark_q0(n: int, rate: int) -> list[bytes]:
    """Every event of the stream."""
    return [nexmark_event(i, rate) for i in range(n)]


# The fields of each kind of event: numbers, and texts of so many words.
COLUMNS = {
    "person": ["number", "time", "id", "name", "city", "state"],
    "auction": ["number", "time", "id", "seller", "category", "initial_bid", "reserve", "expires"],
    "bid": ["number", "time", "auction", "bidder", "price"],
}
TEXT_WORDS = {"name": 2, "city": 2, "state": 1}


def nexmark_rows(kind: int, columns: list[str], events: Iterable[bytes]) -> Iterator[list[int | str]]:
    """The fields of all events of a kind."""
    layout = "<8x" + "".join(f"{8 * TEXT_WORDS[name]}s" if name in TEXT_WORDS else "Q" for name in columns)
    for event in events:
        if event[0] == kind:
            fields = struct.unpack_from(layout, event)
            yield [field.rstrip(b"\0").decode() if isinstance(field, bytes) else field for field in fields]


def nexmark_query(query: str, n: int, rate: int) -> Iterator[bytes]:
    """What the SQL of docs/nexmark.md gives in DuckDB, as the records of the library."""
    events, database = nexmark_q0(n, rate), duckdb.connect()
    for kind, (table, columns) in enumerate(COLUMNS.items()):
        types = {name: "VARCHAR" if name in TEXT_WORDS else "BIGINT" for name in columns}
        with tempfile.NamedTemporaryFile("w", newline="") as file:
            csv.writer(file).writerows(nexmark_rows(kind, columns, events))
            file.flush()
            read = f"SELECT * FROM read_csv('{file.name}', header = false, columns = {types})"
            database.execute(f"CREATE TABLE {table} AS {read}")
    page = Path(__file__).parents[2] / "docs" / "nexmark.md"
    found = re.search(rf"```sql {query}\n(.*?)```", page.read_text(), re.DOTALL)
    assert found, f"{page} has no SQL of {query}"
    result = database.execute(found[1])
    names = [column[0] for column in result.description]
    for row in result.fetchall():
        fields = zip(names, row, strict=True)
        record = b"".join(
            field.encode().ljust(8 * TEXT_WORDS[name], b"\0") if name in TEXT_WORDS else le(int(field))
            for name, field in fields
        )
        # A bid that is converted stays an event, with the letters that it has.
        yield le(2) + record + events[row[0]][48:] if query == "q1" else record


def near(p: int, width: int, distance: int) -> list[int]:
    """Point `p`, and those at this distance that there are."""
    return [q for q in (p - distance, p, p + distance) if 0 <= q < width]


def task_graph(
    n: int,
    width: int,
    edges: Callable[[int, int], list[int]],
    kernel: Callable[[int, int], int],
    rows: Callable[[int], int] | None = None,
    output_bytes: int = 64,
) -> Iterator[bytes]:
    """The headers of all outputs that no task needs. A task of step `t` at `p` needs `edges(t, p)`; `kernel(task, start)` is its work."""
    steps, before = max(1, n // width), dict[int, int]()
    for t in range(steps):
        row = range(rows(t) if rows else width)
        needed = {q for p in range(rows(t + 1) if rows else width) for q in edges(t + 1, p)} if t + 1 < steps else set()
        hashes = {}
        for p in row:
            total = sum(before[q] for q in edges(t, p)) & MASK if t > 0 else 0
            start = xxhash.xxh3_64_intdigest(le(SEED, t, p, total))
            digest = mix(start ^ kernel(t * width + p, start))
            header = le(t, p, digest)
            words = (output_bytes - len(header)) // 8 + 1
            payload = b"".join(le((digest + i * 0x9E3779B97F4A7C15) & MASK) for i in range(1, words + 1))
            hashes[p] = xxhash.xxh3_64_intdigest((header + payload)[:output_bytes])
            if p not in needed:
                yield header
        before = hashes


def through_memory(words: int, iters: int, start: int) -> int:
    """The sum of words that count from `start`, after so many additions to each."""
    span = [start + i for i in range(words)]
    for _ in range(iters):
        span = [word + (start | 1) for word in span]
    return sum(span) & MASK


def differing(iters: int, imbalance: float, task: int) -> int:
    """The iterations of a task."""
    return int(iters * (1 + (u01(COST, task) - 0.5) * imbalance) + 0.5)


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
show("payload", '{"bytes":29}', 100, payload(100, 29))
show("group", '{"groups":20}', 1000, group(1000, 20))
show("shuffle_match", '{"rules":30,"matches":3,"bytes":40}', 500, shuffle_match(500, 30, 3, 40))
show("memory", '{"span_mib":1,"reads":20}', 100, memory(100, 1, 20))
show("nexmark_q0", '{"rate":1000}', 10000, nexmark_q0(10_000, 1000))
show("nexmark_q0", '{"rate":7}', 3000, nexmark_q0(3000, 7))
for number in (1, 2, 3, 4, 5, 7, 8, 9, 11):
    # Long enough for several windows, and for a bid for auction 1107.
    show(f"nexmark_q{number}", '{"rate":300}', 15_000, nexmark_query(f"q{number}", 15_000, 300))
show(
    "task_graph",
    '{"width":8,"iters":100}',
    50,
    task_graph(50, 8, lambda _, p: near(p, 8, 1), lambda _, start: busy(start, 100)),
)
show(
    "task_graph",
    '{"width":8,"iters":3,"pattern":"fft","kernel":"memory","span_bytes":80,"output_bytes":101}',
    50,
    task_graph(
        50,
        8,
        lambda t, p: near(p, 8, 1 << (t - 1) % 3),
        lambda _, start: through_memory(10, 3, start),
        output_bytes=101,
    ),
)
show(
    "task_graph",
    '{"width":8,"iters":100,"pattern":"tree","imbalance":1.5}',
    50,
    task_graph(
        50,
        8,
        lambda _, p: [p // 2],
        lambda task, start: busy(start, differing(100, 1.5, task)),
        lambda t: min(8, 1 << t),
    ),
)
