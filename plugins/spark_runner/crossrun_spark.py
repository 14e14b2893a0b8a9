"""What Spark's Python workers run: functions of the elements of a dataset. They are given a reference to a workload.

An exception reaches Spark's driver as text only. One of the workload is put into that text in a form that can be found.
"""

from __future__ import annotations

import base64
import functools
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from pyspark import SparkFiles

from crossrun_engine import State, Workload, WorkloadError, item_count

Anything = TypeVar("Anything")

# A partition's number, and a state or a batch that belongs there.
Numbered = tuple[int, bytes]

_FAILURE = re.compile(r"crossrun-failure\[([A-Za-z0-9+/=]+)\]")


class OperatorFailure(Exception):
    """What the workload library said, so that it can be found in a text."""


def _telling(function: Callable[..., Iterator[Anything]]) -> Callable[..., Iterator[Anything]]:
    @functools.wraps(function)
    def told(*arguments: Any) -> Iterator[Anything]:
        try:
            yield from function(*arguments)
        except WorkloadError as error:
            text = json.dumps([error.status, error.message]).encode()
            raise OperatorFailure(f"crossrun-failure[{base64.b64encode(text).decode()}]") from error

    return told


def failure_in(text: str) -> WorkloadError | None:
    """What the workload library said, if that is in a text."""
    found = _FAILURE.search(text)
    return WorkloadError(*json.loads(base64.b64decode(found[1]))) if found else None


@dataclass(frozen=True)
class Reference:
    """A workload, told to a worker: where its library is, its hash, and the spec."""

    path: str
    """Only its name, if the library was sent to the worker."""
    sha256: str
    spec: str

    def open(self) -> Workload:
        """The workload in this process. It stays open there: opening it again is only looking it up."""
        path = self.path if "/" in self.path else SparkFiles.get(self.path)
        return Workload(path, self.sha256, self.spec)


@dataclass(frozen=True)
class Phase:
    """The stages from `start` to `end`, which is a keyed reduction with this many partitions, or the sink."""

    reference: Reference
    start: int
    end: int
    partitions: int
    batch_size: int
    total_items: int

    def slice_of(self, number: int) -> tuple[int, int]:
        """The first item of a batch of the source, and how many there are."""
        first = number * self.batch_size
        return first, min(self.batch_size, self.total_items - first)


class _Ends:
    """Where the batches of one partition of a dataset end: a state of the sink, or one for each partition to come."""

    def __init__(self, workload: Workload, phase: Phase) -> None:
        self._workload = workload
        self._phase = phase
        self._states = [workload.new_state(phase.end) for _ in range(phase.partitions)]

    def take(self, batch: bytes) -> None:
        if self._phase.partitions == 1:
            self._states[0].fold(batch)
            return
        parts = self._workload.split(self._phase.end, batch, self._phase.partitions)
        for state, part in zip(self._states, parts, strict=True):
            if item_count(part):
                state.fold(part)

    def numbered(self) -> Iterator[Numbered]:
        for number, state in enumerate(self._states):
            with state:
                yield number, state.encode()


# The functions of `mapPartitions`, where stages are fused. Each partition ends in states, as with `combineByKey`.


@_telling
def produce(phase: Phase, numbers: Iterable[int]) -> Iterator[Numbered]:
    """Batches of the source, taken to the end of the phase."""
    workload = phase.reference.open()
    ends = _Ends(workload, phase)
    for number in numbers:
        ends.take(workload.source(*phase.slice_of(number), phase.end))
    yield from ends.numbered()


@_telling
def reduce_states(phase: Phase, reduction: int, states: Iterable[Numbered]) -> Iterator[Numbered]:
    """The states of one key partition, merged, and what comes out of them taken to the end of the phase."""
    workload = phase.reference.open()
    with workload.new_state(reduction) as merged:
        for _, encoded in states:
            merged.merge(encoded)
        ends = _Ends(workload, phase)
        for batch in _emitted(merged, phase.batch_size):
            ends.take(workload.run_stages(phase.start, phase.end, batch))
        yield from ends.numbered()


# The functions of `flatMap` and `mapPartitions`, where each stage is a transformation and a record is a batch.


@_telling
def generate(phase: Phase, number: int) -> Iterator[bytes]:
    """One batch of the source."""
    yield phase.reference.open().source(*phase.slice_of(number), 1)


@_telling
def advance(reference: Reference, stage: int, batch: bytes) -> Iterator[bytes]:
    """One batch, taken through one stage."""
    yield reference.open().run_stages(stage, stage + 1, batch)


@_telling
def split(phase: Phase, batch: bytes) -> Iterator[Numbered]:
    """One batch, split by key: what goes through the shuffle."""
    parts = phase.reference.open().split(phase.end, batch, phase.partitions)
    yield from ((number, part) for number, part in enumerate(parts) if item_count(part))


@_telling
def reduce_parts(phase: Phase, parts: Iterable[Numbered]) -> Iterator[bytes]:
    """The batches of one key partition, reduced, and what comes out in batches."""
    with phase.reference.open().new_state(phase.end) as state:
        for _, part in parts:
            state.fold(part)
        yield from _emitted(state, phase.batch_size)


@_telling
def sink(phase: Phase, batches: Iterable[bytes]) -> Iterator[Numbered]:
    """The batches of one partition of a dataset, taken into a state of the sink."""
    with phase.reference.open().new_state(phase.end) as state:
        for batch in batches:
            state.fold(batch)
        yield 0, state.encode()


def own_number(number: int) -> int:
    """The partition that a number stands for: what is shuffled was split already."""
    return number


def touch(numbers: Iterable[int]) -> Iterator[int]:
    """Nothing: the first task of a worker starts Python and imports what it runs."""
    yield from numbers


def _emitted(state: State, limit: int) -> Iterator[bytes]:
    while item_count(batch := state.emit(limit)):
        yield batch
