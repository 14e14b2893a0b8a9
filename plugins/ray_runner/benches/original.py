"""The shape of the original project's runner for Ray.

It has a window of `parallelism` items, two tasks an item, and a barrier after each of the two stages.

    python original.py ITEMS PARALLELISM

Prints the seconds that it took and the number of items. It makes what `scheduler_comparison` makes of items that do not
wait: half of them pass the filter. Needs Ray.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time

import ray

# How often it is run before it is timed.
WARM_UP = 2


@ray.remote  # type: ignore[untyped-decorator]
def process(item: int) -> int:
    """The first stage: no work."""
    return item


@ray.remote  # type: ignore[untyped-decorator]
def keep(item: int) -> int | None:
    """The second stage: every second item."""
    return item if item % 2 == 0 else None


def run(items: int, parallelism: int) -> list[int]:
    """Window by window, stage by stage."""
    results: list[int] = []
    for first in range(0, items, parallelism):
        window = range(first, min(first + parallelism, items))
        processed = ray.get([process.remote(item) for item in window])
        kept = ray.get([keep.remote(item) for item in processed])
        results += [item for item in kept if item is not None]
    return results


def main(items: int, parallelism: int) -> None:
    """Starts Ray, warms it up, runs once more and tells how long that took."""
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        ray.init(address="local", num_cpus=parallelism, include_dashboard=False, log_to_driver=False, _temp_dir=folder)
        for _ in range(WARM_UP):
            run(items, parallelism)
        started = time.perf_counter()
        results = run(items, parallelism)
        elapsed = time.perf_counter() - started
        print(f"{elapsed:.6f} {len(results)}")
        ray.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
