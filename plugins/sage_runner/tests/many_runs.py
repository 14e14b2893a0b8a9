"""Runs the driver fifty times in one process, and fails if anything of a run is still there afterwards, each time that it does so.

    python many_runs.py LIBRARY

Needs SAGE, the driver's folder and the package `crossrun_engine` on the search path.
"""

from __future__ import annotations

import gc
import hashlib
import itertools
import json
import os
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from crossrun_engine import RunContext, Session, Spec, Workload
from driver import SageDriver

RUNS = 50
# Pools have a thread more where all others are busy, which they may first be in any run. What each run leaves is there in each round.
ROUNDS = 5
# The first runs fill caches and let the interpreter's memory grow to its size.
WARM_UP = 10
RESIDENT_SLACK = 8 << 20

# Whose objects must not gather.
OWNERS = ("sage.", "driver", "pipeline", "crossrun_engine", "asyncio", "concurrent")
# Each thread keeps buffers for its next call, and which threads have made one differs.
PER_THREAD = ("crossrun_engine.kernel._Scratch", "crossrun_engine.kernel._RawBuffer")


def settings() -> Iterator[tuple[str, dict[str, Any]]]:
    """What to run, over and over: every path that a run can take."""
    paths = itertools.product(("flownet", "local"), ("batch", "stream"), ("auto", "off"), ("null", "word_count"))
    for environment, mode, fusion, workload in itertools.cycle(list(paths)):
        yield workload, {"sage_environment": environment, "sage_mode": mode, "fusion": fusion, "batch_size": 8}


def run(driver: SageDriver, library: Path, workload: str, extra: dict[str, Any]) -> None:
    """One run, whose answer must have the right number of items for `null`."""
    spec = Spec(workload, 200, 4, "fifo", 42, extra)
    opened = {"schema": 1, "name": workload, "total_items": 200, "parallelism": 4, "extra": extra}
    sha256 = hashlib.sha256(library.read_bytes()).hexdigest()
    context = RunContext(Path("."), threading.Event(), lambda message: None)
    result = driver.run(spec, Workload(str(library), sha256, json.dumps(opened)), context)
    assert workload != "null" or result.results_count == 200, result


def alive() -> dict[str, int]:
    """What there is of threads, descriptors, and objects of each class."""
    gc.collect()
    names = (f"{type(found).__module__}.{type(found).__qualname__}" for found in gc.get_objects())
    counts = Counter(name for name in names if name.startswith(OWNERS) and not name.startswith(PER_THREAD))
    return counts | {"threads": threading.active_count(), "descriptors": len(os.listdir("/proc/self/fd"))}


def resident() -> int:
    """Resident memory, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main(library: Path) -> str:
    """Runs, and tells what is left; nothing if all is as before."""
    driver = SageDriver()
    driver.open(Session(4, 1, {}, Path("."), Path(".")))
    todo = settings()
    for workload, extra in itertools.islice(todo, 2 * WARM_UP):
        run(driver, library, workload, extra)
    said = ""
    for _ in range(ROUNDS):
        said = left_by(driver, library, itertools.islice(todo, RUNS))
        if not said:
            break
    driver.close()
    return said


def left_by(driver: SageDriver, library: Path, todo: Iterator[tuple[str, dict[str, Any]]]) -> str:
    """What is there after these runs that was not there before; nothing if all is as before."""
    before, size = alive(), resident()
    for workload, extra in todo:
        run(driver, library, workload, extra)
    after, grown = alive(), resident() - size
    left = {name: count - before.get(name, 0) for name, count in after.items()}
    left = {name: count for name, count in left.items() if count > 0}
    print(json.dumps({"resident_growth": grown, "left": left, "threads": after["threads"]}))
    return f"left behind: {left}, {grown} bytes more" if left or grown > RESIDENT_SLACK else ""


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])) or 0)
