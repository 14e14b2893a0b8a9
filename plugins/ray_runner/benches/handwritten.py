"""What somebody who knows Ray writes by hand for a workload with at most one keyed reduction, on the same library.

    python handwritten.py LIBRARY SPEC_JSON

A pool of actors that keep their states, calls in a pipeline with a bounded number under way, and Ray's own shuffle:
each actor returns an object for each partition, and references to those of one partition go to the actor that reduces
it. Nothing here is generic or checked, and nothing stays of a node that is lost.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import ray

import peer
from crossrun_engine import State, Workload, item_count

# Calls under way at most, as in Ray's pattern for a limit on pending tasks.
PENDING = 100

# Keys that are taken out of a state at once.
EMITTED = 10_000


class Worker:
    """One of the pool."""

    def __init__(self) -> None:
        self._workload: Workload
        self._end = 0
        self._states: list[State] = []

    def begin(self, job: peer.Job, partitions: int) -> None:
        """Begins a job."""
        self._workload = job.open()
        self._end = self._workload.end_of_chain(1)
        number = 1 if self._end == self._workload.sink else partitions
        self._states = [self._workload.new_state(self._end) for _ in range(number)]

    def feed(self, first: int, count: int) -> None:
        """Makes a batch, takes it through the stages and folds it."""
        batch = self._workload.source(first, count, self._end)
        if len(self._states) == 1:
            self._states[0].fold(batch)
            return
        for state, part in zip(self._states, self._workload.split(self._end, batch, len(self._states)), strict=True):
            state.fold(part)

    def states(self) -> list[bytes] | bytes:
        """What came: of the sink, or of each partition."""
        encoded = [state.encode() for state in self._states]
        return encoded if len(encoded) > 1 else encoded[0]

    def reduce(self, *parts: bytes) -> bytes:
        """Reduces a partition, takes what comes of it through the rest, and gives the sink's state."""
        state, sink = self._workload.new_state(self._end), self._workload.new_sink()
        for part in parts:
            state.merge(part)
        while item_count(batch := state.emit(EMITTED)):
            sink.fold(self._workload.run_stages(self._end + 1, self._workload.sink, batch))
        return sink.encode()


def run(workers: list[Any], job: peer.Job) -> bytes:
    """The whole pipeline."""
    number, workload = len(workers), job.open()
    ray.get([worker.begin.remote(job, number) for worker in workers])
    pending: list[Any] = []
    for turn, (first, count) in enumerate(job.slices()):
        if len(pending) >= PENDING:
            done, pending = ray.wait(pending, num_returns=PENDING // 4)
            ray.get(done)
        pending.append(workers[turn % number].feed.remote(first, count))
    ray.get(pending)
    if workload.end_of_chain(1) == workload.sink:
        states = [worker.states.remote() for worker in workers]
    else:
        given: list[Any] = [worker.states.options(num_returns=number).remote() for worker in workers]
        given = given if number > 1 else [given]
        states = [worker.reduce.remote(*parts) for worker, parts in zip(workers, zip(*given, strict=True), strict=True)]
    return peer.merged(workload, ray.get(states))


@contextmanager
def started(parallelism: int) -> Iterator[None]:
    """Starts Ray."""
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        ray.init(address="local", num_cpus=parallelism, include_dashboard=False, log_to_driver=False, _temp_dir=folder)
        yield
        ray.shutdown()


@contextmanager
def session(parallelism: int) -> Iterator[Callable[[peer.Job], bytes]]:
    """Starts Ray, and an actor for each unit of parallelism."""
    with started(parallelism):
        workers = [ray.remote(Worker).options(num_cpus=1).remote() for _ in range(parallelism)]
        yield lambda job: run(workers, job)


if __name__ == "__main__":
    peer.main(session)
