"""Runs keyed reductions of many batches, and fails if Dask's scheduler keeps more tasks the more batches there are.

    python bounded.py LIBRARY

Needs Dask, the driver's folder and the package `crossrun_engine` on the search path.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

import shape

import driver
from crossrun_engine import Session, futures

# Batches of one item, many times as many as may be in flight or below one top of the tree.
BATCHES = 2000

# The tree of this test is low, so that few batches have many tops: there are 16 below each.
LEVELS = 1


# Without fusion each batch is two tasks. A stream is closed in rounds, each of which is led to by its own batches only.
RUNS: list[tuple[str, str, dict[str, Any], tuple[str, ...], int]] = [
    ("fusion=auto", "word_count", {}, (), BATCHES // 2),
    ("fusion=off", "word_count", {"fusion": "off"}, (), BATCHES),
    ("watermarks", "nexmark_q5", {"window_ms": 100, "slide_ms": 50}, ("watermarks",), BATCHES // 2),
]


def run(dask: driver.DaskDriver, library: Path, name: str, extra: dict[str, Any], granted: tuple[str, ...]) -> int:
    """The most tasks that the scheduler had at once."""
    cluster: Any = dask.cluster
    scheduler = cluster._cluster.scheduler
    most, over = [0], threading.Event()

    def count() -> None:
        while not over.is_set():
            most.append(len(scheduler.tasks))
            time.sleep(0.01)

    counting = threading.Thread(target=count)
    counting.start()
    shape.run(dask, library, name, BATCHES, 2, extra, granted=granted)
    over.set()
    counting.join()
    return max(most)


def main(library: Path) -> str:
    """Says what is not bounded; nothing if all is."""
    futures.LEVELS = LEVELS
    dask = driver.DaskDriver()
    dask.open(Session(2, 1, {}, Path("."), Path(".")))
    try:
        kept = {what: run(dask, library, name, extra, granted) for what, name, extra, granted, _ in RUNS}
    finally:
        dask.close()
    print(json.dumps(kept))
    # There are so many batches in flight, those below a top, and the tops.
    most = {what: most for what, *_, most in RUNS}
    return ", ".join(f"{what}: {tasks} tasks" for what, tasks in kept.items() if tasks > most[what])


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])) or 0)
