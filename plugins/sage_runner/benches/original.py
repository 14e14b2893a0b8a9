"""The shape of the original project's runner: a source that returns None at its end, and the workload in Python.

    python original.py ITEMS SLEEP_MS PARALLELISM

Prints the seconds that it took and the number of items. It makes what `scheduler_comparison` makes: each item waits,
and half of them pass the filter. Needs SAGE.
"""

from __future__ import annotations

import logging
import sys
import time

from sage.foundation import FilterFunction, MapFunction, SinkFunction, SourceFunction
from sage.runtime import FlowNetEnvironment


class Count(SourceFunction):  # type: ignore[misc] # SAGE is not typed
    """Numbers, and then None."""

    def __init__(self, items: int) -> None:
        super().__init__()
        self._items, self._next = items, 0

    def execute(self) -> int | None:
        """The next number."""
        if self._next >= self._items:
            return None
        self._next += 1
        return self._next


class Wait(MapFunction):  # type: ignore[misc] # SAGE is not typed
    """Takes its time."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    def execute(self, data: int) -> int:
        """Waits."""
        time.sleep(self._seconds)
        return data


class Even(FilterFunction):  # type: ignore[misc] # SAGE is not typed
    """Half of the numbers."""

    def execute(self, data: int) -> bool:
        """Whether it passes."""
        return data % 2 == 0


class Collect(SinkFunction):  # type: ignore[misc] # SAGE is not typed
    """Keeps what comes."""

    def __init__(self, results: list[int]) -> None:
        super().__init__()
        self._results = results

    def execute(self, data: int) -> None:
        """Keeps one."""
        self._results.append(data)


def main(items: int, sleep_ms: float, parallelism: int) -> None:
    """Builds the pipeline, runs it and tells how long that took."""
    logging.disable(logging.INFO)
    results: list[int] = []
    started = time.perf_counter()
    environment = FlowNetEnvironment("original")
    stream = environment.from_source(Count, items)
    stream = stream.map(Wait, sleep_ms / 1000, parallelism=parallelism)
    stream = stream.filter(Even, parallelism=parallelism)
    stream.sink(Collect, results)
    environment.submit(autostop=True)
    elapsed = time.perf_counter() - started
    print(f"{elapsed:.6f} {len(results)}")


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
