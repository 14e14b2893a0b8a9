"""A plan as Spark's datasets: one lineage, and one job. `DatasetsRun` of `crossrun_engine` has its form."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from pyspark import RDD, Accumulator, SparkContext, StorageLevel

import crossrun_spark as functions
from crossrun_engine import DatasetsEngine, DatasetsRun, Job, Spec, Work, merged, task_count

# Tasks for each core. Spark's guide to tuning recommends two to three. Where load differs, more and smaller tasks keep
# all cores at work.
TASKS = {"load_aware": 16}
USUAL_TASKS = 3


class Lineage(DatasetsEngine[RDD[Any]]):
    """The datasets of one run, from the numbers of the tasks to the states of the sink."""

    def __init__(self, context: SparkContext, work: Accumulator[Work], spec: Spec, job: Job) -> None:
        usual = task_count(spec, job.workload, USUAL_TASKS)
        self.tasks = task_count(spec, job.workload, TASKS.get(spec.scheduler_name, USUAL_TASKS))
        self.has_usual_tasks = self.tasks == usual
        self._context, self._work, self._workload = context, work, job.workload
        self._run = DatasetsRun(self, job, spec, self.tasks, work)
        self._kept: list[RDD[Any]] = []

    def state(self) -> bytes:
        """Runs the job. The answer is the encoded state of the sink."""
        states = self._run.states(self._context.parallelize(range(self.tasks), self.tasks))
        with merged(self._workload, self._workload.sink, (state for _, state in states.collect())) as whole:
            return whole.encode()

    def was_disturbed(self) -> bool:
        """Whether Spark repeated any task of the job that has ended. What the tasks added says so, and Spark is not asked."""
        return self._run.was_disturbed(self._work.value)

    def release(self) -> None:
        """Has Spark forget what it kept between stages."""
        while self._kept:
            self._kept.pop().unpersist()

    def transform(self, dataset: RDD[Any], function: Callable[[Iterable[Any]], Iterable[Any]]) -> RDD[Any]:
        """A narrow transformation."""
        return dataset.mapPartitions(partial(functions.attempted, self._work, function))

    def shuffle(self, dataset: RDD[Any], number: int) -> RDD[Any]:
        """A shuffle by the number of the partition."""
        return dataset.partitionBy(number, int)

    def kept(self, dataset: RDD[Any]) -> RDD[Any]:
        """Spark runs narrow transformations that follow each other as one, but not around one whose result it keeps.

        What does not fit its memory it keeps on disk.
        """
        self._kept.append(dataset.persist(StorageLevel.MEMORY_AND_DISK))
        return dataset
