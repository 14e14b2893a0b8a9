"""A run on an engine of dataflow operators. An operator has several replicas, takes an item and gives any number of items.

    run = DataflowRun(spec, workload, context, Replicas(workload), keys)
    for items, operators in run.phases():
        ...  # Take all items through the operators. The engine calls `run.perform` for each item and operator, and
        ...  # `run.deliver`, in one thread, for each batch that comes out of the last one.
    state = run.sink_state()

| part of the plan | operators |
|---|---|
| source, maps, filters, flat maps | one for all of them, or with `fusion=off` one for each |
| keyed reduction | the operator before it, or with `fusion=off` one more, splits batches into parts; another one folds them |
| what a reduction emits | the items of the next phase |
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Union

from .driver import RunContext
from .kernel import State, Workload, item_count
from .phase import Phase, phases
from .spec import Spec


@dataclass(frozen=True)
class Part:
    """The items of a batch that belong to one partition. All parts with one key go to one replica."""

    partition_key: int
    batch: bytes


# A batch, a part of one, or the items `first..first + count` of the source, as (first, count).
Item = Union[bytes, Part, tuple[int, int]]


@dataclass(frozen=True)
class Operator:
    """Takes an item through the stages `start..end`: what comes out is a batch, or nothing if it has no items.

    With `keys` the batch is split for the keyed reduction `end`: what comes out is a part for each key that has items.
    An operator that folds takes parts into the states of the reduction `end`, and nothing comes out.
    """

    start: int
    end: int
    keys: tuple[int, ...] = ()
    folds: bool = False


class Replicas:
    """The replicas of all operators that work in this process, with their states. Any thread may call it."""

    def __init__(self, workload: Workload) -> None:
        self.calls = 0
        """How many items and emissions it was asked for."""
        self.work: dict[str, int] = {}
        """How many calls each node has served, without those that served none; nothing is counted in this process."""
        self.opens = 0
        """How many nodes have opened the workload: one in which it is open still does not open it again."""
        self._workload = workload
        self._states: dict[tuple[int, int], State] = {}
        self._lock = threading.Lock()

    def perform(self, operator: Operator, replica: int, item: Item) -> list[Item]:
        """What comes out of the operator when `item` goes into the replica with this number."""
        with self._lock:
            self.calls += 1
        if isinstance(item, Part):
            self._state(operator.end, replica).fold(item.batch)
            return []
        if isinstance(item, tuple):
            batch = self._workload.source(*item, operator.end)
        elif operator.start < operator.end:
            batch = self._workload.run_stages(operator.start, operator.end, item)
        else:
            batch = item
        if not item_count(batch):
            return []
        if not operator.keys:
            return [batch]
        if len(operator.keys) == 1:
            # One replica has all keys: to split would only copy.
            return [Part(operator.keys[0], batch)]
        parts = self._workload.split(operator.end, batch, len(operator.keys))
        return [Part(key, part) for key, part in zip(operator.keys, parts) if item_count(part)]

    def emit(self, reduction: int, replica: int, limit: int) -> bytes:
        """Removes up to `limit` keys from the state that a replica has of a reduction, and returns a batch of their items."""
        with self._lock:
            self.calls += 1
        return self._state(reduction, replica).emit(limit)

    def start(self, spec: str) -> None:
        """Tells the workload, which is an open loop, when it starts: `spec` is the one that it has, with that time.

        Call it before the first item.
        """
        self._workload = Workload(self._workload.path, self._workload.sha256, spec, self._workload.boot)
        _ = self._workload.plan

    def close(self) -> None:
        """Frees the states."""
        with self._lock:
            while self._states:
                self._states.popitem()[1].close()

    def _state(self, reduction: int, replica: int) -> State:
        with self._lock:
            state = self._states.get((reduction, replica))
            if state is None:
                state = self._states[reduction, replica] = self._workload.new_state(reduction)
            return state


class DataflowRun:
    """One run. `keys` has one key for each replica, in their order: the engine takes a part with that key to it."""

    def __init__(
        self, spec: Spec, workload: Workload, context: RunContext, replicas: Replicas, keys: Sequence[int]
    ) -> None:
        self._spec, self._workload, self._context = spec, workload, context
        self._replicas, self._keys = replicas, tuple(keys)
        self._sink = workload.new_sink()
        self._made, self._failed, self._lock = 0, False, threading.Lock()

    def phases(self) -> Iterator[tuple[Iterator[Item], list[Operator]]]:
        """For each phase the items that go into its operators, and the operators. Ask for the next phase after its end."""
        items: Iterator[Item] = self._spec.slices()
        # The first operator makes the items of a slice: it stands for the source, which is stage 0.
        start = 0
        for phase in phases(self._workload, self._spec.parallelism):
            yield items, self._operators(start, phase)
            items, start = self._emitted(phase.end), phase.end + 1

    def _operators(self, start: int, phase: Phase) -> list[Operator]:
        end, fuses = phase.end, self._spec.fusion != "off"
        chain = [Operator(start, end)] if fuses or start == end else [Operator(at, at + 1) for at in range(start, end)]
        if phase.is_sink:
            return chain
        split = [Operator(start, end, self._keys)] if fuses else [*chain, Operator(end, end, self._keys)]
        return [*split, Operator(end, end, folds=True)]

    def _emitted(self, reduction: int) -> Iterator[bytes]:
        for replica in range(self._spec.parallelism):
            while item_count(batch := self._replicas.emit(reduction, replica, self._spec.batch_size)):
                self._context.check_cancelled()
                yield batch

    def perform(self, operator: Operator, replica: int, item: Item) -> list[Item]:
        """As `Replicas.perform`. After a failure, items that are still queued come to nothing."""
        if self._failed:
            return []
        try:
            self._context.check_cancelled()
            made = self._replicas.perform(operator, replica, item)
        except BaseException:
            self._failed = True
            raise
        if isinstance(item, tuple):
            with self._lock:
                self._made += item[1]
                self._context.progress(self._made, self._spec.total_items)
        return made

    def deliver(self, batch: bytes) -> None:
        """Takes a batch that came out of the last operator into the state of the sink."""
        self._sink.fold(batch)

    def sink_state(self) -> bytes:
        """The encoded state of the sink. It is freed: nothing may be delivered after this."""
        with self._sink:
            return self._sink.encode()
