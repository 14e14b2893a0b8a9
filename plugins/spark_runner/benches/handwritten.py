"""What somebody who knows Spark writes by hand for any workload of the library.

    python handwritten.py LIBRARY SPEC_JSON

The numbers of the batches are a dataset, a partition of it becomes a state (in-mapper combining), and only states are
shuffled and collected. Nothing here can be cancelled, tells of progress or works on a cluster.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from pyspark import RDD, SparkConf, SparkContext

import peer
from crossrun_engine import Workload, item_count

# Tasks for each core, as Spark's tuning guide has it: two to three.
TASKS_A_CORE = 3

Numbered = tuple[int, bytes]


def folded(workload: Workload, end: int, parts: int, batches: Iterable[bytes]) -> Iterator[Numbered]:
    """Folds batches into a state for each part of what follows."""
    states = [workload.new_state(end) for _ in range(parts)]
    for batch in batches:
        if parts == 1:
            states[0].fold(batch)
        else:
            for state, part in zip(states, workload.split(end, batch, parts), strict=True):
                state.fold(part)
    return iter([(number, state.encode()) for number, state in enumerate(states)])


def produce(job: peer.Job, end: int, parts: int, numbers: Iterable[int]) -> Iterator[Numbered]:
    """Makes the batches with these numbers."""
    workload, size = job.open(), job.batch_size
    firsts = (number * size for number in numbers)
    batches = (workload.source(first, min(size, job.items - first), end) for first in firsts)
    return folded(workload, end, parts, batches)


def reduce_part(job: peer.Job, reduction: int, end: int, parts: int, states: Iterable[Numbered]) -> Iterator[Numbered]:
    """Merges the states of one part, and takes what comes out of them to the next reduction or the sink."""
    workload = job.open()
    merged = workload.new_state(reduction)
    for _, state in states:
        merged.merge(state)
    emitted = iter(lambda: merged.emit(job.batch_size), b"")
    batches: Iterator[bytes] = itertools.takewhile(item_count, emitted)
    if end > reduction + 1:
        batches = (workload.run_stages(reduction + 1, end, batch) for batch in batches)
    return folded(workload, end, parts, batches)


def run(context: SparkContext, job: peer.Job) -> bytes:
    """The whole job."""
    workload = job.open()

    def parts(end: int) -> int:
        return 1 if end == workload.sink else job.parallelism

    end = workload.end_of_chain(1)
    count = -(-job.items // job.batch_size)
    batches = context.parallelize(range(count), min(count, TASKS_A_CORE * job.parallelism))
    states: RDD[Numbered] = batches.mapPartitions(functools.partial(produce, job, end, parts(end)))
    while end != workload.sink:
        reduction, end = end, workload.end_of_chain(end + 1)
        shuffled = states.partitionBy(parts(reduction), int)
        states = shuffled.mapPartitions(functools.partial(reduce_part, job, reduction, end, parts(end)))
    return peer.merged(workload, (state for _, state in states.collect()))


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
