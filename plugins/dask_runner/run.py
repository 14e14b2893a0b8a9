"""A run: a workload's plan as tasks of Dask, in phases that are cut at its keyed reductions."""

from __future__ import annotations

import functools
import itertools
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import crossrun_dask as tasks
from cluster import Site
from crossrun_dask import Chain
from crossrun_engine import RunContext, Spec, Workload
from distributed import Future
from flight import Flight, Launch, window
from reduction import Reduction


class Run:
    """One run: phase after phase, until one ends at the sink."""

    def __init__(self, site: Site, spec: Spec, workload: Workload, context: RunContext) -> None:
        self._client = site.client
        self._how: dict[str, Any] = {"workers": site.workers}
        if spec.scheduler_name == "fifo":
            # What is submitted within this time is of one priority.
            self._how["fifo_timeout"] = "0 ms"
        self._spec, self._workload, self._context = spec, workload, context
        self._reference = site.reference(workload)
        self._name, self._numbers = uuid.uuid4().hex, itertools.count()
        self._fused = spec.fusion != "off"
        self._sink = workload.new_sink()
        self._reduction: Reduction | None = None
        self.window = window(spec.parallelism, spec.batch_size)
        self._flight = Flight(site.client, self.window, context, site.lost)

    def execute(self) -> bytes:
        """The merged state of the sink."""
        total = self._spec.total_items
        chain = self._chain(1)
        self._flight.fly(self._spec.slices(), functools.partial(self._launch_slices, chain), self._land)
        while self._reduction is not None:
            stage, apart = chain.end, self._reduction.rest()
            chain = self._chain(stage + 1)
            heads = self._emitted_through if self._fused else self._emitted
            self._flight.fly(*heads(stage, apart, chain), self._land)
        self._context.progress(total, total)
        with self._sink as state:
            return state.encode()

    def _chain(self, start: int) -> Chain:
        """The stages from `start` on, and what is to become of the states at their end."""
        end = self._workload.end_of_chain(start)
        is_sink = end == self._workload.sink
        partitions = 1 if is_sink else self._spec.parallelism
        combine = functools.partial(self._map, tasks.combine, stage=end, priority=1)
        self._reduction = (
            None
            if is_sink
            else Reduction(self._client, self._flight.bunch, combine, self._workload, end, partitions)
        )
        return Chain(start, end, partitions)

    def _land(self, futures: list[Future]) -> None:
        if self._reduction is not None:
            self._reduction.land(futures)
            return
        for (state,) in self._client.gather(futures):
            if state is not None:
                self._sink.merge(state)

    def _ended(self, futures: list[Future]) -> Mapping[Future, int]:
        """What to wait for, of tasks that have taken batches to the end of their chain."""
        return dict.fromkeys(futures, 1) if self._reduction is None else self._reduction.add(futures)

    def _launch_slices(self, chain: Chain, slices: list[tuple[int, int]]) -> Mapping[Future, int]:
        self._context.progress(slices[0][0], self._spec.total_items)
        firsts, counts = zip(*slices)
        if self._fused:
            return self._ended(self._map(tasks.through, firsts, counts, chain=chain))
        return self._staged(chain, self._map(tasks.generate, firsts, counts, to=1))

    def _staged(self, chain: Chain, batches: list[Future]) -> Mapping[Future, int]:
        """One task for each stage and batch: Dask never fuses what was submitted apart."""
        for stage in range(chain.start, chain.end):
            batches = self._map(tasks.advance, batches, stage=stage)
        return self._ended(self._map(tasks.fold, batches, chain=chain))

    def _emitted_through(
        self, stage: int, apart: list[Any], chain: Chain
    ) -> tuple[Iterator[int], Launch]:
        """A task for each partition, which goes to the end of the chain."""
        emit = functools.partial(
            self._submit, tasks.emit_through, apart, stage=stage, batch_size=self._spec.batch_size, chain=chain
        )

        def launch(partitions: list[int]) -> Mapping[Future, int]:
            return self._ended([emit(partition=partition) for partition in partitions])

        return iter(range(self._spec.parallelism)), launch

    def _emitted(
        self, stage: int, apart: list[Any], chain: Chain
    ) -> tuple[Iterator[tuple[Future, int]], Launch]:
        """A task for each partition to emit its batches, and one for each batch that came of it."""
        emit = functools.partial(self._submit, tasks.emit, apart, stage=stage, batch_size=self._spec.batch_size)
        emitted = [emit(partition=partition) for partition in range(self._spec.parallelism)]
        numbered = ((batches, number) for batches, length in self._lengths(emitted) for number in range(length))

        def launch(picks: list[tuple[Future, int]]) -> Mapping[Future, int]:
            return self._staged(chain, self._map(tasks.pick, *zip(*picks)))

        return numbered, launch

    def _lengths(self, emitted: list[Future]) -> list[tuple[Future, int]]:
        """How many batches each partition has come to."""
        lengths: list[tuple[Future, int]] = []
        counting = self._map(tasks.count, emitted)
        owners = dict(zip(counting, emitted))

        def land(landed: list[Future]) -> None:
            lengths.extend(zip(map(owners.__getitem__, landed), self._client.gather(landed)))

        self._flight.fly(iter(counting), lambda futures: dict.fromkeys(futures, 1), land)
        return lengths

    def _map(self, task: Callable[..., Any], *arguments: Any, **more: Any) -> list[Future]:
        keys = [self._key(task) for _ in arguments[0]]
        return self._client.map(task, *arguments, key=keys, reference=self._reference, **more, **self._how)

    def _submit(self, task: Callable[..., Any], *arguments: Any, **more: Any) -> Future:
        key = self._key(task)
        return self._client.submit(task, *arguments, key=key, reference=self._reference, **more, **self._how)

    def _key(self, task: Callable[..., Any]) -> tuple[str, int]:
        """Tasks of a kind are one group in a run: Dask keeps what it knows of each group as long as it lives."""
        return f"{task.__name__}-{self._name}", next(self._numbers)
