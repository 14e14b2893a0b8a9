"""What somebody who knows Ray writes by hand for a graph of tasks, on the same library.

    python graph.py LIBRARY SPEC_JSON

A task of Ray for each task, with the object references of its inputs as arguments, and a bounded number under way, as in
Ray's pattern for a limit on pending tasks. Nothing here is generic or checked.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import ray
from handwritten import started

import peer
from crossrun_engine.graph import batch_of

# Tasks under way at most.
PENDING = 100


@ray.remote  # type: ignore[untyped-decorator]
def task(job: peer.Job, step: int, point: int, *inputs: bytes) -> bytes:
    """Runs a task on the outputs that it needs."""
    return job.open().graph_task(step, point, inputs)


@ray.remote  # type: ignore[untyped-decorator]
def fold(job: peer.Job, *outputs: bytes) -> bytes:
    """Folds outputs that no task needs into a state of the sink."""
    with job.open().new_sink() as sink:
        sink.fold(batch_of(outputs))
        return sink.encode()


def run(job: peer.Job) -> bytes:
    """The whole graph, row by row."""
    workload, shared = job.open(), ray.put(job)
    assert workload.graph is not None
    steps = workload.graph["steps"]
    row = workload.graph_row(0)
    before: dict[int, Any] = {}
    pending: deque[Any] = deque()
    ends = []
    for step in range(steps):
        first, edges = row
        row = workload.graph_row(step + 1) if step + 1 < steps else (0, [])
        while len(pending) > PENDING:
            ray.wait([pending.popleft()])
        outputs = {
            point: task.remote(shared, step, point, *(before[needed] for needed in inputs))
            for point, inputs in enumerate(edges, first)
        }
        pending += outputs.values()
        needed = {point for inputs in row[1] for point in inputs}
        if last := [output for point, output in outputs.items() if point not in needed]:
            ends.append(fold.remote(shared, *last))
        before = outputs
    return peer.merged(workload, ray.get(ends))


@contextmanager
def session(parallelism: int) -> Iterator[Callable[[peer.Job], bytes]]:
    """Starts Ray."""
    with started(parallelism):
        yield run


if __name__ == "__main__":
    peer.main(session)
