"""A whole run on an engine of partitioned datasets: one lineage, from the numbers of the tasks to the states of the sink.

A driver implements `DatasetsEngine`, and collects the states that `DatasetsRun` leads to:

    run = DatasetsRun(MyEngine(), job, spec, tasks=3 * spec.parallelism, tally=sum_of_all_tasks)
    states = run.states(dataset_of(range(run.tasks))).collect()

Tasks of the source are a dataset of their numbers, and chains of stages are transformations of one partition. A keyed
reduction is a shuffle by the number of the partition. What is done with the elements of a partition is in `partitions`.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Iterator
from typing import Any, Callable, Generic, Protocol, TypeVar

from . import partitions
from .failure import UnsupportedError
from .job import LATE_OPENS, REPEATED, Job, Work
from .kernel import Workload, late_opens
from .phase import phases
from .spec import Spec

Dataset = TypeVar("Dataset")
Element = TypeVar("Element")
Made = TypeVar("Made")

# What a task makes of the elements of a partition.
Function = Callable[[Iterable[Any]], Iterable[Any]]


class Tally(Protocol):
    """A sum that an engine takes to all tasks and brings back with their results."""

    def add(self, work: Work) -> None:
        """Adds what a task has done."""


class DatasetsEngine(Generic[Dataset]):
    """What `DatasetsRun` needs of an engine. What is handed to it can be pickled."""

    def transform(self, dataset: Dataset, function: Function) -> Dataset:
        """What the function makes of the elements of each partition."""
        raise NotImplementedError

    def shuffle(self, dataset: Dataset, number: int) -> Dataset:
        """The same elements in so many partitions. Each is a pair, which begins with the number of its partition."""
        raise NotImplementedError

    def kept(self, dataset: Dataset) -> Dataset:
        """The same dataset, but what follows begins when all of it is there, and in another call of Python."""
        raise NotImplementedError


def task_count(spec: Spec, workload: Workload, for_each_core: int) -> int:
    """How many tasks share the source: `for_each_core`, and no more than there are batches.

    In an open loop there is one for each core, so that all run from the beginning and share the items that are due. A
    task that had to wait for a core would begin when the items that it has are long overdue.
    """
    batches = -(-spec.total_items // spec.batch_size)
    return max(1, min(batches, (1 if workload.open_loop else for_each_core) * spec.parallelism))


class DatasetsRun(Generic[Dataset]):
    """One run. Tasks add to `tally` what they have done: one for each on its node, and the workloads that they opened.

    Raises UnsupportedError for an open loop with `fusion=off`.
    """

    def __init__(self, engine: DatasetsEngine[Dataset], job: Job, spec: Spec, tasks: int, tally: Tally) -> None:
        self.tasks = tasks
        self._engine, self._job, self._spec, self._tally = engine, job, spec, tally
        self._phases = phases(job.workload, spec.parallelism)
        self._fuses = spec.fusion != "off"
        # The least number of tasks that there are to count: a task for each slice of the source, and for each partition.
        self._least = tasks + sum(phase.partitions for phase in self._phases[:-1])
        if job.workload.open_loop and not self._fuses:
            message = "with fusion=off each stage of a task ends before the next, so no item of an open loop is in time"
            raise UnsupportedError(message, "--extra fusion=auto")

    def states(self, numbers: Dataset) -> Dataset:
        """Leads from the numbers `0..tasks`, one in each partition, to numbered states of the sink."""
        return self._fused(numbers) if self._fuses else self._staged(numbers)

    def was_disturbed(self, work: Work) -> bool:
        """Whether the engine repeated any task of a run that has ended, by what its tasks have added."""
        tasks = sum(number for node, number in work.items() if node not in (LATE_OPENS, REPEATED))
        return bool(work.get(REPEATED)) or tasks > self._least

    def _fused(self, numbers: Dataset) -> Dataset:
        """A phase is one transformation, and only states leave it."""
        job, (before, *later) = self._job, self._phases
        states = self._last(numbers, partitions.produce, job, self._spec, self.tasks, before)
        for phase in later:
            shuffled = self._engine.shuffle(states, before.partitions)
            states = self._last(shuffled, partitions.reduce_states, job, before.end, phase, self._spec.batch_size)
            before = phase
        return states

    def _staged(self, numbers: Dataset) -> Dataset:
        """A stage is one transformation, and batches go from one to the next."""
        job, kept = self._job, self._engine.kept
        batches = self._each(numbers, partitions.generate, job, self._spec, self.tasks)
        for phase in self._phases:
            for stage in phase.stages:
                batches = self._each(kept(batches), partitions.advance, job, stage)
            batches = kept(batches)
            if not phase.is_sink:
                split = functools.partial(partitions.split, job, phase)
                parts = self._engine.shuffle(self._last(batches, each, split), phase.partitions)
                reduce = functools.partial(partitions.reduce_parts, job, phase.end, self._spec.batch_size)
                batches = self._counted(parts, opened, reduce)
        return self._last(batches, partitions.sink, job, phase)

    def _each(self, dataset: Dataset, function: Callable[..., Iterable[Any]], *arguments: Any) -> Dataset:
        """What the function makes of each element, in tasks that go on after it."""
        return self._counted(dataset, opened, functools.partial(each, functools.partial(function, *arguments)))

    def _last(self, dataset: Dataset, function: Callable[..., Iterable[Any]], *arguments: Any) -> Dataset:
        """What the function makes of the elements of a task, which ends with it."""
        tally = functools.partial(self._job.work, {})
        return self._counted(dataset, tally, functools.partial(function, *arguments))

    def _counted(self, dataset: Dataset, tally: Callable[[], Work], function: Function) -> Dataset:
        return self._engine.transform(dataset, functools.partial(counted, self._tally, tally, function))


def each(function: Callable[[Element], Iterable[Made]], elements: Iterable[Element]) -> Iterable[Made]:
    """All that the function makes of the elements, one after the other."""
    return itertools.chain.from_iterable(map(function, elements))


def counted(
    sum_of_all: Tally,
    tally: Callable[[], Work],
    make: Callable[[Iterable[Element]], Iterable[Made]],
    elements: Iterable[Element],
) -> Iterator[Made]:
    """What `make` makes of the elements of a task. When all of it is made, what `tally` returns is added to the sum.

    The sum is there when the tasks have ended, as each brings what it adds with its result.
    """
    yield from make(elements)
    sum_of_all.add(tally())


def opened() -> Work:
    """How many workloads this process has opened in the run since it was last asked."""
    number = late_opens()
    return {LATE_OPENS: number} if number else {}
