"""A plan as Spark's datasets: one lineage, and one job.

Slices of the source are a dataset of their numbers, chains of stages are narrow transformations, a keyed reduction is
`partitionBy` by the number of the partition, and an action collects the states of the sink.

This is Spark's interface of datasets of objects. Its other one, of tables, would put each batch into a row and gain
nothing, as Spark cannot look into a batch; so its settings (200 shuffle partitions, adaptive execution) have no part in
this: a shuffle has as many partitions as there are cores.
"""

from __future__ import annotations

import functools
from typing import Any

from pyspark import RDD, SparkContext, StorageLevel

import crossrun_spark as steps
from crossrun_engine import Spec, Workload
from crossrun_spark import Phase, Reference

# Tasks for each core. Spark's guide to tuning recommends two to three. Where load differs, more and smaller tasks keep
# all cores at work.
TASKS = {"load_aware": 16}
USUAL_TASKS = 3


class Lineage:
    """The datasets of one run, from the numbers of the batches to the states of the sink."""

    def __init__(self, context: SparkContext, spec: Spec, workload: Workload, reference: Reference) -> None:
        self._context, self._spec, self._workload = context, spec, workload
        self._reference = reference
        self._kept: list[RDD[Any]] = []
        self._batches = -(-spec.total_items // spec.batch_size)
        self._fuses = spec.fusion != "off"
        tasks = TASKS.get(spec.scheduler_name, USUAL_TASKS) * spec.parallelism
        self.slices = max(1, min(self._batches, tasks))

    @property
    def idiom(self) -> str:
        """How the plan is mapped."""
        return "mapPartitions over slices" if self._fuses else "a message for each stage and batch"

    def state(self) -> bytes:
        """Runs the job: the merged state of the sink."""
        states = self._fused() if self._fuses else self._staged()
        with self._workload.new_sink() as merged:
            for _, state in states.collect():
                merged.merge(state)
            encoded = merged.encode()
        for dataset in self._kept:
            dataset.unpersist()
        return encoded

    def _numbers(self) -> RDD[int]:
        return self._context.parallelize(range(self._batches), self.slices)

    def _phase(self, start: int) -> Phase:
        end = self._workload.end_of_chain(start)
        partitions = 1 if end == self._workload.sink else self._spec.parallelism
        spec = self._spec
        return Phase(self._reference, start, end, partitions, spec.batch_size, spec.total_items)

    def _fused(self) -> RDD[Any]:
        """A phase is one transformation, and only states leave it."""
        phase = self._phase(1)
        states: RDD[Any] = self._numbers().mapPartitions(functools.partial(steps.produce, phase))
        while phase.end != self._workload.sink:
            shuffled = states.partitionBy(phase.partitions, steps.own_number)
            reduction, phase = phase.end, self._phase(phase.end + 1)
            states = shuffled.mapPartitions(functools.partial(steps.reduce_states, phase, reduction))
        return states

    def _staged(self) -> RDD[Any]:
        """A stage is one transformation, and batches go from one to the next."""
        phase = self._phase(1)
        batches: RDD[Any] = self._numbers().flatMap(functools.partial(steps.generate, phase))
        while True:
            for stage in range(phase.start, phase.end):
                advance = functools.partial(steps.advance, self._reference, stage)
                batches = self._apart(batches).flatMap(advance)
            batches = self._apart(batches)
            if phase.end == self._workload.sink:
                return batches.mapPartitions(functools.partial(steps.sink, phase))
            parts = batches.flatMap(functools.partial(steps.split, phase))
            shuffled = parts.partitionBy(phase.partitions, steps.own_number)
            batches = shuffled.mapPartitions(functools.partial(steps.reduce_parts, phase))
            phase = self._phase(phase.end + 1)

    def _apart(self, batches: RDD[Any]) -> RDD[Any]:
        """The same, but what follows is not run in one process with it, nor before it has ended in this slice.

        Spark runs narrow transformations that follow each other as one; not so around one whose outcome it keeps. What
        does not fit its memory it keeps on disk.
        """
        self._kept.append(batches.persist(StorageLevel.MEMORY_AND_DISK))
        return batches
