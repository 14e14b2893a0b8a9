#!/usr/bin/env python3
"""Compares two versions of crossrun in turns: `.ci/in_turns.py BEFORE NOW [--rounds N] [--only harness foundation batches]`.

BEFORE and NOW are clones in which `cargo build --release` and `cargo bench --bench harness --bench foundation --no-run` have run. Nothing
else may run meanwhile. A row of the table that is printed has the medians, the median of the rounds' ratios, and an interval for it: from
the second lowest ratio to the second highest of nine rounds, which has a confidence of 96 %. Of fewer rounds it is the whole range.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from math import comb
from pathlib import Path

Figures = Iterator[tuple[str, float]]

UNITS = {"ns": 1e-9, "µs": 1e-6, "ms": 1e-3, "s": 1.0}
NUMBER = r"(\d+(?:\.\d+)?) (ns|µs|ms|s)\b"
# What `crossrun run` is asked for: the backend, how many items, and the batch size.
BATCHES = [
    ("native", 4_000_000, 1),
    ("native", 40_000_000, 64),
    ("native", 60_000_000, 1024),
    ("timely", 1_000_000, 1),
    ("timely", 40_000_000, 64),
    ("timely", 60_000_000, 1024),
]


def bench(version: Path, name: str) -> str:
    """What a benchmark of this version prints."""
    command = ["cargo", "bench", "--quiet", "--bench", name]
    return subprocess.run(command, cwd=version, check=True, capture_output=True, text=True).stdout


def harness(version: Path) -> Figures:
    """A trial and a report: a line each, with a colon before the figure."""
    for what, number, unit in re.findall(rf"^(.+?): {NUMBER}", bench(version, "harness"), re.MULTILINE):
        yield what, float(number) * UNITS[unit]


def foundation(version: Path) -> Figures:
    """The rows of a table, of which the first column of figures is crossrun's own."""
    for what, number, unit in re.findall(rf"^(.+?) {{2,}}{NUMBER}", bench(version, "foundation"), re.MULTILINE):
        yield what, float(number) * UNITS[unit]


def batches(version: Path) -> Figures:
    """Runs of `null`, in which a backend does nothing but hand batches on."""
    # Plugins that it names would be those of both versions.
    environment = {name: value for name, value in os.environ.items() if name != "CROSSRUN_PLUGIN_PATH"}
    for backend, items, size in BATCHES:
        with tempfile.TemporaryDirectory() as folder:
            command = [str(version / "target/release/crossrun"), "run", "--backend", backend, "--workload", "null"]
            options = ["--items", str(items), "--parallelism", "2", "--extra", f"batch_size={size}", "--json"]
            run = [*command, *options]
            ran = subprocess.run(run, cwd=folder, env=environment, check=True, capture_output=True, text=True)
        yield f"`{backend}`, {items} items, batch size {size}", json.loads(ran.stdout)["duration_seconds"]


PARTS: dict[str, Callable[[Path], Figures]] = {"harness": harness, "foundation": foundation, "batches": batches}


def left_out(rounds: int) -> int:
    """How many of the lowest and of the highest ratios an interval leaves out that has at least 95 %, or all ratios."""
    most = 0
    while 2 * sum(comb(rounds, count) for count in range(most + 2)) / 2**rounds <= 0.05:
        most += 1
    return most


def row(what: str, before: list[float], now: list[float]) -> str:
    """A row of the table."""
    ratios = sorted(after / earlier for earlier, after in zip(before, now))
    low, high = ratios[left_out(len(ratios))], ratios[-1 - left_out(len(ratios))]
    medians = [f"{statistics.median(side):.4g} s" for side in (before, now)]
    cells = [what, *medians, f"{statistics.median(ratios):.2f}", f"{low:.2f} to {high:.2f}"]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Prints a row for each figure that both versions have."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("now", type=Path)
    parser.add_argument("--rounds", type=int, default=9, choices=range(1, 100), metavar="N")
    parser.add_argument("--only", nargs="+", default=list(PARTS), choices=list(PARTS), help="some parts (default: all)")
    arguments = parser.parse_args()
    sides = [arguments.before.resolve(), arguments.now.resolve()]
    print("| | before | now | ratio of times | interval |\n|---|---|---|---|---|")
    for part in arguments.only:
        found: dict[Path, dict[str, list[float]]] = {side: {} for side in sides}
        for turn in range(arguments.rounds):
            for side in sides if turn % 2 == 0 else reversed(sides):
                for what, figure in PARTS[part](side):
                    found[side].setdefault(what, []).append(figure)
        before, now = (found[side] for side in sides)
        for what, seconds in before.items():
            if what in now:
                print(row(what, seconds, now[what]), flush=True)


if __name__ == "__main__":
    main()
