"""What somebody who knows Dask writes by hand for a graph of tasks, on the same library.

    python graph.py LIBRARY SPEC_JSON

A future for each task, with the futures of its inputs as arguments, and a bounded number of rows under way. Nothing here is
generic or checked.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from distributed import Client, Future, wait
from handwritten import started

import peer
from crossrun_engine import Workload
from crossrun_engine.graph import batch_of

# Rows under way at most.
ROWS = 16


def task(step: int, point: int, *inputs: bytes, workload: Workload) -> bytes:
    """Runs a task on the outputs that it needs."""
    return workload.graph_task(step, point, inputs)


def fold(*outputs: bytes, workload: Workload) -> bytes:
    """Folds outputs that no task needs into a state of the sink."""
    with workload.new_sink() as sink:
        sink.fold(batch_of(outputs))
        return sink.encode()


def run(client: Client, job: peer.Job) -> bytes:
    """The whole graph, row by row."""
    workload = job.open()
    assert workload.graph is not None
    steps = workload.graph["steps"]
    row = workload.graph_row(0)
    before: dict[int, Future] = {}
    pending: deque[list[Future]] = deque()
    ends: list[Future] = []
    for step in range(steps):
        first, edges = row
        row = workload.graph_row(step + 1) if step + 1 < steps else (0, [])
        if len(pending) == ROWS:
            wait(pending.popleft())
        outputs = {
            point: client.submit(
                task, step, point, *(before[needed] for needed in inputs), workload=workload, pure=False
            )
            for point, inputs in enumerate(edges, first)
        }
        pending.append(list(outputs.values()))
        needed = {point for inputs in row[1] for point in inputs}
        if last := [output for point, output in outputs.items() if point not in needed]:
            ends.append(client.submit(fold, *last, workload=workload, pure=False))
        before = outputs
    return peer.merged(workload, client.gather(ends))


@contextmanager
def session(parallelism: int) -> Iterator[Callable[[peer.Job], bytes]]:
    """A worker of one thread for each call that there may be at once."""
    with started(parallelism) as client:
        yield lambda job: run(client, job)


if __name__ == "__main__":
    # Imported, so that a task names its function; from here, the function's code would travel with each task.
    import graph

    peer.main(graph.session)
