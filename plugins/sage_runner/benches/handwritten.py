"""What somebody who knows SAGE writes by hand for a workload without keyed reductions, on the same library.

    python handwritten.py LIBRARY WORKLOAD ITEMS PARALLELISM BATCH_SIZE [EXTRA_JSON]

Prints the seconds that it took, the number of items and the checksum. Needs SAGE and the package `crossrun_engine`,
which serves only to call the library. Nothing here is generic, checked or bounded in memory.
"""

from __future__ import annotations

import hashlib
import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

from crossrun_engine import State, Workload
from sage.foundation import MapFunction, SinkFunction
from sage.runtime import FlowNetEnvironment


class Generate(MapFunction):
    """Makes a batch and takes it through all stages."""

    def __init__(self, workload: Workload, to: int) -> None:
        super().__init__()
        self._workload, self._to = workload, to

    def execute(self, data: tuple[int, int]) -> bytes:
        """Where a batch begins and how long it is becomes the batch."""
        first, count = data
        return self._workload.source(first, count, self._to)


class Fold(SinkFunction):
    """Takes batches in."""

    def __init__(self, state: State) -> None:
        super().__init__()
        self._state = state

    def execute(self, data: bytes) -> None:
        """Takes a batch in."""
        self._state.fold(data)


def run(workload: Workload, items: int, parallelism: int, batch_size: int) -> bytes:
    """The whole pipeline."""
    slices = [(first, min(batch_size, items - first)) for first in range(0, items, batch_size)]
    environment = FlowNetEnvironment("handwritten")
    with workload.new_sink() as state:
        stream = environment.from_batch(slices)
        stream = stream.map(Generate, workload, workload.sink, parallelism=parallelism)
        stream.sink(Fold, state)
        environment.submit(autostop=True)
        environment.close()
        return state.encode()


def main(arguments: list[str]) -> None:
    """Runs once to warm up, and once more."""
    path, name, items, parallelism, batch_size = arguments[:5]
    extra: dict[str, Any] = json.loads(arguments[5]) if len(arguments) > 5 else {}
    logging.disable(logging.INFO)
    spec = {"schema": 1, "name": name, "total_items": int(items), "parallelism": int(parallelism), "extra": extra}
    sha256 = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    workload = Workload(path, sha256, json.dumps(spec))
    run(workload, min(64, int(items)), int(parallelism), 1)
    started = time.perf_counter()
    state = run(workload, int(items), int(parallelism), int(batch_size))
    elapsed = time.perf_counter() - started
    outcome = workload.outcome(state)
    print(f"{elapsed:.6f} {outcome['count']} {outcome['checksum']}")


if __name__ == "__main__":
    main(sys.argv[1:])
