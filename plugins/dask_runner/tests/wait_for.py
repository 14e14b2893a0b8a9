"""Waits until a cluster is as a test needs it.

python wait_for.py ADDRESS joined WORKERS     so many workers have joined
python wait_for.py ADDRESS busy WORKERS       so many workers have done a task of a run, and have more to do
"""

from __future__ import annotations

import sys
import time
from typing import Any

from distributed import Client

# Seconds after which it is given up.
PATIENCE = 300


def busy(dask_scheduler: Any = None) -> int:
    """How many workers have something to do, once results are in memory."""
    if not any(group.states["memory"] + group.states["released"] for group in dask_scheduler.task_groups.values()):
        return 0
    return sum(bool(worker.processing) for worker in dask_scheduler.workers.values())


def joined(dask_scheduler: Any = None) -> int:
    """How many workers there are."""
    return len(dask_scheduler.workers)


def main(address: str, what: str, workers: int) -> str:
    """Says why it was given up; nothing if it was not."""
    deadline = time.monotonic() + PATIENCE
    with Client(address, timeout=PATIENCE) as client:
        while client.run_on_scheduler({"busy": busy, "joined": joined}[what]) < workers:
            if time.monotonic() > deadline:
                return f"{workers} workers have not {what} within {PATIENCE} s"
            time.sleep(0.05)
    return ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3])) or 0)
