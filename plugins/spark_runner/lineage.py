"""A plan as Spark's datasets: one lineage, and one job.

Tasks of the source are a dataset of their numbers, chains of stages are narrow transformations, a keyed reduction is
`partitionBy` by the number of the partition, and an action collects the states of the sink.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from pyspark import RDD, Accumulator, SparkContext, StorageLevel

import crossrun_spark as functions
from crossrun_engine import Job, Spec, UnsupportedError, Work, Workload, merged, partitions, phases

# Tasks for each core. Spark's guide to tuning recommends two to three. Where load differs, more and smaller tasks keep
# all cores at work.
TASKS = {"load_aware": 16}
USUAL_TASKS = 3


def task_count(spec: Spec, workload: Workload) -> int:
    """How many tasks share the source.

    In an open loop there is one for each core, so that all run from the beginning and share the items that are due. A
    task that had to wait for a core would begin when the items that it has are long overdue.
    """
    batches = -(-spec.total_items // spec.batch_size)
    for_each_core = 1 if workload.open_loop else TASKS.get(spec.scheduler_name, USUAL_TASKS)
    return max(1, min(batches, for_each_core * spec.parallelism))


class Lineage:
    """The datasets of one run, from the numbers of the tasks to the states of the sink.

    Tasks add to `work` what they have done: one for each on its machine, and the workloads that their processes opened.
    """

    def __init__(
        self, context: SparkContext, work: Accumulator[Work], spec: Spec, workload: Workload, job: Job
    ) -> None:
        self._context, self._work, self._spec = context, work, spec
        self._workload, self._job = workload, job
        self._phases = phases(workload, spec.parallelism)
        self._kept: list[RDD[Any]] = []
        self._fuses = spec.fusion != "off"
        self.tasks = task_count(spec, workload)
        if workload.open_loop and not self._fuses:
            message = (
                "with fusion=off Spark ends each stage of a task before the next, so no item of an open loop is in time"
            )
            raise UnsupportedError(message, "--extra fusion=auto")

    def state(self) -> bytes:
        """Runs the job. The answer is the encoded state of the sink."""
        numbers = self._context.parallelize(range(self.tasks), self.tasks)
        states = self._fused(numbers) if self._fuses else self._staged(numbers)
        with merged(self._workload, self._workload.sink, (state for _, state in states.collect())) as whole:
            state = whole.encode()
        for dataset in self._kept:
            dataset.unpersist()
        return state

    def _fused(self, numbers: RDD[int]) -> RDD[Any]:
        """A phase is one transformation, and only states leave it."""
        job, (before, *later) = self._job, self._phases
        produce = partial(partitions.produce, job, self._spec, self.tasks, before)
        states = self._last(numbers, produce)
        for phase in later:
            shuffled = states.partitionBy(before.partitions, int)
            reduce = partial(partitions.reduce_states, job, before.end, phase, self._spec.batch_size)
            states, before = self._last(shuffled, reduce), phase
        return states

    def _staged(self, numbers: RDD[int]) -> RDD[Any]:
        """A stage is one transformation, and batches go from one to the next."""
        job = self._job
        batches = self._each(numbers, partial(partitions.generate, job, self._spec, self.tasks))
        for phase in self._phases:
            for stage in phase.stages:
                batches = self._each(self._persisted(batches), partial(partitions.advance, job, stage))
            batches = self._persisted(batches)
            if not phase.is_sink:
                split = partial(functions.each, partial(partitions.split, job, phase))
                reduce = partial(partitions.reduce_parts, job, phase.end, self._spec.batch_size)
                shuffled = self._last(batches, split).partitionBy(phase.partitions, int)
                batches = self._counted(shuffled, functions.opened, reduce)
        return self._last(batches, partial(partitions.sink, job, phase))

    def _each(self, dataset: RDD[Any], function: Callable[[Any], Iterable[Any]]) -> RDD[Any]:
        """What the function makes of each element, in tasks that go on after it."""
        return self._counted(dataset, functions.opened, partial(functions.each, function))

    def _last(self, dataset: RDD[Any], function: Callable[[Iterable[Any]], Iterable[Any]]) -> RDD[Any]:
        """What the function makes of the elements of a task, which ends with it."""
        return self._counted(dataset, partial(self._job.work, {}), function)

    def _counted(
        self, dataset: RDD[Any], tally: Callable[[], Work], function: Callable[[Iterable[Any]], Iterable[Any]]
    ) -> RDD[Any]:
        return dataset.mapPartitions(partial(functions.counted, self._work, tally, function))

    def _persisted(self, batches: RDD[Any]) -> RDD[Any]:
        """The same dataset, but what follows is run when all of it is there, and in another call of Python.

        Spark runs narrow transformations that follow each other as one, but not around one whose result it keeps. What
        does not fit its memory it keeps on disk.
        """
        self._kept.append(batches.persist(StorageLevel.MEMORY_AND_DISK))
        return batches
