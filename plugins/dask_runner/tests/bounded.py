"""Runs a keyed reduction of many batches, and fails if Dask's scheduler keeps more tasks the more batches there are.

    python bounded.py LIBRARY

Needs Dask, the driver's folder and the package `crossrun_engine` on the search path.
"""

from __future__ import annotations

import hashlib
import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

from crossrun_engine import RunContext, Session, Spec, Workload

import driver
import reduction

# Batches of one item, many times as many as may be under way or below one top of the tree.
BATCHES = 600

# The tree of this test is low, so that few batches have many tops: there are 16 below each.
LEVELS = 1


def run(dask: driver.DaskDriver, library: Path, extra: dict[str, Any]) -> int:
    """The most tasks that the scheduler had at once."""
    parameters = {"name": "word_count", "total_items": BATCHES, "parallelism": 2, "seed": 42, "extra": extra}
    sha256 = hashlib.sha256(library.read_bytes()).hexdigest()
    workload = Workload(str(library), sha256, json.dumps({"schema": 1, **parameters}))
    context = RunContext(Path("."), threading.Event(), lambda message: None)
    scheduler: Any = dask._site._cluster.scheduler  # type: ignore[union-attr]
    most, over = [0], threading.Event()

    def count() -> None:
        while not over.is_set():
            most.append(len(scheduler.tasks))
            time.sleep(0.01)

    counting = threading.Thread(target=count)
    counting.start()
    dask.run(Spec(**parameters, scheduler_name="default"), workload, context)
    over.set()
    counting.join()
    return max(most)


def main(library: Path) -> str:
    """Says what is not bounded; nothing if all is."""
    reduction.LEVELS = LEVELS
    dask = driver.DaskDriver()
    dask.open(Session(2, 1, {}, Path("."), Path(".")))
    try:
        kept = {fusion: run(dask, library, {"fusion": fusion}) for fusion in ("auto", "off")}
    finally:
        dask.close()
    print(json.dumps(kept))
    # There are so many batches under way, those below a top, and the tops; without fusion each is two tasks.
    most = {"auto": BATCHES // 2, "off": BATCHES}
    return ", ".join(f"fusion={fusion}: {tasks} tasks at once" for fusion, tasks in kept.items() if tasks > most[fusion])


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])) or 0)
