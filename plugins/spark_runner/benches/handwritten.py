"""What somebody who knows Spark writes by hand for any workload of the library.

    python handwritten.py LIBRARY SPEC_JSON

The numbers of the batches are a dataset, a partition of it becomes a state (in-mapper combining), and only states are
shuffled and collected. Nothing here can be cancelled, tells of progress or works on a cluster.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from pyspark import RDD, SparkConf, SparkContext

import peer
from crossrun_engine import item_count

# Tasks for each core, as Spark's tuning guide has it: two to three.
TASKS_A_CORE = 3

Numbered = tuple[int, bytes]


def produce(job: peer.Job, end: int, parts: int, numbers: Iterable[int]) -> Iterator[Numbered]:
    """Makes batches and folds them into a state for each part."""
    workload, size = job.open(), job.batch_size
    states = [workload.new_state(end) for _ in range(parts)]
    for first in (number * size for number in numbers):
        batch = workload.source(first, min(size, job.items - first), end)
        if parts == 1:
            states[0].fold(batch)
        else:
            for state, part in zip(states, workload.split(end, batch, parts), strict=True):
                state.fold(part)
    return iter([(number, state.encode()) for number, state in enumerate(states)])


def reduce_part(job: peer.Job, reduction: int, states: Iterable[Numbered]) -> Iterator[Numbered]:
    """Merges the states of one part, and folds what comes out of them into a state of the sink."""
    workload = job.open()
    merged, sink = workload.new_state(reduction), workload.new_sink()
    for _, state in states:
        merged.merge(state)
    while item_count(batch := merged.emit(job.batch_size)):
        sink.fold(workload.run_stages(reduction + 1, workload.sink, batch))
    return iter([(0, sink.encode())])


def run(context: SparkContext, job: peer.Job) -> bytes:
    """The whole job."""
    workload = job.open()
    end = workload.end_of_chain(1)
    parts = 1 if end == workload.sink else job.parallelism
    count = -(-job.items // job.batch_size)
    batches = context.parallelize(range(count), min(count, TASKS_A_CORE * job.parallelism))
    states: RDD[Numbered] = batches.mapPartitions(functools.partial(produce, job, end, parts))
    if end != workload.sink:
        shuffled = states.partitionBy(parts, int)
        states = shuffled.mapPartitions(functools.partial(reduce_part, job, end))
    with workload.new_sink() as sink:
        for _, state in states.collect():
            sink.merge(state)
        return sink.encode()


@contextmanager
def session(parallelism: int) -> Iterator[Callable[[peer.Job], bytes]]:
    """A Spark of this machine."""
    configuration = SparkConf().setAppName("handwritten").setMaster(f"local[{parallelism}]")
    configuration.set("spark.ui.enabled", "false").set("spark.ui.showConsoleProgress", "false")
    configuration.set("spark.driver.host", "127.0.0.1")
    context = SparkContext(conf=configuration)
    try:
        yield functools.partial(run, context)
    finally:
        context.stop()


if __name__ == "__main__":
    peer.main(session)
