"""What somebody who knows Dask writes by hand for a workload with at most one keyed reduction, on the same library.

    python handwritten.py LIBRARY SPEC_JSON

Futures and `as_completed`, as Dask's documentation has it for many small tasks, with so many under way that memory
stays flat; a tree of tasks for a keyed reduction, as `dask.bag.foldby` makes it. Nothing here is generic or checked.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from tempfile import TemporaryDirectory

import dask
from distributed import Client, Future, as_completed

import peer
from crossrun_engine import State, Workload, item_count

# Tasks under way at most, for each worker.
WINDOW = 256

# Short tasks do better if the scheduler does not keep them back until a worker has nothing left to do.
SETTINGS = {"distributed.scheduler.worker-saturation": "inf"}

# How many states a task of the tree combines.
SPLIT_EVERY = 16


def fold(batch: tuple[int, int], workload: Workload) -> bytes:
    """A batch, from the source into a state of the sink."""
    with workload.new_sink() as state:
        state.fold(workload.source(*batch, workload.sink))
        return state.encode()


def fold_by_key(batch: tuple[int, int], workload: Workload, stage: int, partitions: int) -> list[bytes]:
    """A batch, from the source into a state of the keyed reduction for each partition."""
    parts = workload.split(stage, workload.source(*batch, stage), partitions)
    states = [workload.new_state(stage) for _ in parts]
    for state, part in zip(states, parts, strict=True):
        state.fold(part)
    return [state.encode() for state in states]


def merged(states: Sequence[bytes], workload: Workload, stage: int) -> State:
    """States of one stage, as one."""
    whole = workload.new_state(stage)
    for state in states:
        whole.merge(state)
    return whole


def combine(folded: list[list[bytes]], workload: Workload, stage: int) -> list[bytes]:
    """States of several batches, combined for each partition."""
    return [merged(states, workload, stage).encode() for states in zip(*folded, strict=True)]


def finish(folded: list[list[bytes]], partition: int, workload: Workload, stage: int, batch_size: int) -> bytes:
    """What comes out of a partition, taken to a state of the sink."""
    whole = merged([states[partition] for states in folded], workload, stage)
    with workload.new_sink() as sink:
        while item_count(batch := whole.emit(batch_size)):
            sink.fold(workload.run_stages(stage + 1, workload.sink, batch))
        return sink.encode()


def flow(client: Client, job: peer.Job, workload: Workload) -> bytes:
    """Without a keyed reduction: each batch comes to a state of the sink."""
    slices = iter(job.slices())

    def submit(number: int) -> list[Future]:
        batches = list(itertools.islice(slices, number))
        return client.map(fold, batches, workload=workload, pure=False) if batches else []

    in_flight = as_completed(submit(WINDOW * job.parallelism), with_results=True)
    with workload.new_sink() as sink:
        for completed in in_flight.batches():
            in_flight.update(submit(len(completed)))
            for _, state in completed:
                sink.merge(state)
        return sink.encode()


def reduce(client: Client, job: peer.Job, workload: Workload, stage: int) -> bytes:
    """With one: states are combined by tasks until few are left, and each partition is finished by one task."""
    how = {"workload": workload, "stage": stage, "pure": False}
    states = client.map(fold_by_key, job.slices(), partitions=job.parallelism, **how)
    while len(states) > SPLIT_EVERY:
        groups = [states[first : first + SPLIT_EVERY] for first in range(0, len(states), SPLIT_EVERY)]
        states = client.map(combine, groups, **how)
    ends = [
        client.submit(finish, states, number, batch_size=job.batch_size, **how) for number in range(job.parallelism)
    ]
    return merged(client.gather(ends), workload, workload.sink).encode()


@contextmanager
def started(parallelism: int) -> Iterator[Client]:
    """A worker of one thread for each call that there may be at once."""
    how = {"n_workers": parallelism, "threads_per_worker": 1, "dashboard_address": None}
    with (
        TemporaryDirectory() as folder,
        dask.config.set({**SETTINGS, "temporary-directory": folder}),
        Client(**how) as client,
    ):
        yield client


@contextmanager
def session(parallelism: int) -> Iterator[Callable[[peer.Job], bytes]]:
    """The same, for a run of either form."""
    with started(parallelism) as client:

        def run(job: peer.Job) -> bytes:
            workload = job.open()
            end = workload.end_of_chain(1)
            return flow(client, job, workload) if end == workload.sink else reduce(client, job, workload, end)

        yield run


if __name__ == "__main__":
    # Imported, so that a task names its function; from here, the function's code would travel with each task.
    import handwritten

    peer.main(handwritten.session)
