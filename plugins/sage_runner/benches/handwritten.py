"""What somebody who knows SAGE writes by hand for a workload without keyed reductions, on the same library.

    python handwritten.py LIBRARY SPEC_JSON

Nothing here is generic, checked or bounded in memory.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sage.foundation import MapFunction, SinkFunction
from sage.runtime import FlowNetEnvironment

import peer
from crossrun_engine import State, Workload


class Generate(MapFunction):  # type: ignore[misc] # SAGE is not typed
    """Makes a batch and takes it through all stages."""

    def __init__(self, workload: Workload, to: int) -> None:
        super().__init__()
        self._workload, self._to = workload, to

    def execute(self, data: tuple[int, int]) -> bytes:
        """Where a batch begins and how long it is becomes the batch."""
        first, count = data
        return self._workload.source(first, count, self._to)


class Fold(SinkFunction):  # type: ignore[misc] # SAGE is not typed
    """Takes batches in."""

    def __init__(self, state: State) -> None:
        super().__init__()
        self._state = state

    def execute(self, data: bytes) -> None:
        """Takes a batch in."""
        self._state.fold(data)


def run(job: peer.Job) -> bytes:
    """The whole pipeline."""
    workload = job.open()
    environment = FlowNetEnvironment("handwritten")
    with workload.new_sink() as state:
        stream = environment.from_batch(job.slices())
        stream = stream.map(Generate, workload, workload.sink, parallelism=job.parallelism)
        stream.sink(Fold, state)
        environment.submit(autostop=True)
        environment.close()
        return state.encode()


@contextmanager
def session(_parallelism: int) -> Iterator[Callable[[peer.Job], bytes]]:
    """There is nothing to start: an environment is made for each run."""
    logging.disable(logging.INFO)
    yield run


if __name__ == "__main__":
    peer.main(session)
