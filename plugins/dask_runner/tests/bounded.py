"""Runs a keyed reduction of many batches, and fails if Dask's scheduler keeps more tasks the more batches there are.

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


def run(dask: driver.DaskDriver, library: Path, fusion: str) -> int:
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
    shape.run(dask, library, "word_count", BATCHES, 2, {"fusion": fusion})
    over.set()
    counting.join()
    return max(most)


def main(library: Path) -> str:
    """Says what is not bounded; nothing if all is."""
    futures.LEVELS = LEVELS
    dask = driver.DaskDriver()
    dask.open(Session(2, 1, {}, Path("."), Path(".")))
    try:
        kept = {fusion: run(dask, library, fusion) for fusion in ("auto", "off")}
    finally:
        dask.close()
    print(json.dumps(kept))
    # There are so many batches in flight, those below a top, and the tops; without fusion each is two tasks.
    most = {"auto": BATCHES // 2, "off": BATCHES}
    return ", ".join(f"fusion={fusion}: {tasks} tasks" for fusion, tasks in kept.items() if tasks > most[fusion])


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])) or 0)
