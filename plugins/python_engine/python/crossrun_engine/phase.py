"""The phases of a plan, and where their batches end. Every driver uses this, whatever its engine's idiom.

A plan is cut at its keyed reductions. Each phase goes from the source, or from what a reduction emits, to the next
reduction or to the sink:

    source ─ map ─ filter ─ KEYED_REDUCE ─ map ─ SINK
    └─────── phase 0 ───────┘└────── phase 1 ────────┘

A `Terminal` folds the batches that reach the end of a phase; `merged` and `emitted` take the states of a reduction on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Optional

from .kernel import State, Workload, item_count

# A state in the bytes in which it travels; `None` stands for a state to which no item came.
Encoded = Optional[bytes]


@dataclass(frozen=True)
class Phase:
    """The stages `start..end`, half-open, and the stage `end` in which their batches are folded."""

    start: int
    """The first stage that batches go through: 1, or the one after a keyed reduction."""
    end: int
    """A keyed reduction or the sink."""
    partitions: int
    """How many states stand at the end: one for each partition of a keyed reduction, 1 for the sink."""
    is_sink: bool

    @property
    def stages(self) -> range:
        """The maps, filters and flat maps between the two; empty where there are none."""
        return range(self.start, self.end)

    def through(self, workload: Workload, batch: bytes) -> bytes:
        """A batch after the stages of the phase. Without any it is the same one: a call would only copy it."""
        return workload.run_stages(self.start, self.end, batch) if self.stages else batch


def phases(workload: Workload, partitions: int) -> list[Phase]:
    """All phases of the plan in order; the last one ends at the sink. Each reduction has so many partitions."""
    found: list[Phase] = []
    start = 1
    while not found or not found[-1].is_sink:
        end = workload.end_of_chain(start)
        is_sink = end == workload.sink
        found.append(Phase(start, end, 1 if is_sink else partitions, is_sink))
        start = end + 1
    return found


class Terminal:
    """The end of a phase: a state for each partition, made when the first item comes. For one thread at a time."""

    def __init__(self, workload: Workload, phase: Phase) -> None:
        self.phase = phase
        self.count = 0
        """How many items came here."""
        self._workload = workload
        self._states: list[State | None] = [None] * phase.partitions

    def produce(self, first: int, count: int) -> None:
        """Makes the items `first..first + count` of the source, takes them through the phase and folds them."""
        self.fold(self._workload.source(first, count, self.phase.end))

    def carry(self, batch: bytes) -> None:
        """Takes a batch from the start of the phase to its end and folds it."""
        self.fold(self.phase.through(self._workload, batch))

    def fold(self, batch: bytes) -> None:
        """Folds a batch that came through the phase: split by key where there are several partitions."""
        items = item_count(batch)
        if not items:
            return
        self.count += items
        if self.phase.partitions == 1:
            self._state(0).fold(batch)
            return
        for partition, part in enumerate(self._workload.split(self.phase.end, batch, self.phase.partitions)):
            if item_count(part):
                self._state(partition).fold(part)

    def _state(self, partition: int) -> State:
        state = self._states[partition]
        if state is None:
            state = self._states[partition] = self._workload.new_state(self.phase.end)
        return state

    def take(self, partition: int) -> State | None:
        """Gives a partition's state away, with nothing left here; `None` if no item came to it."""
        state, self._states[partition] = self._states[partition], None
        return state

    def encode(self) -> list[Encoded]:
        """The states of all partitions as bytes. They are freed: nothing may be folded after this."""
        return [encoded(self.take(partition)) for partition in range(self.phase.partitions)]


def encoded(state: State | None) -> Encoded:
    """The bytes of a state, which is freed."""
    if state is None:
        return None
    with state:
        return state.encode()


def merged(workload: Workload, stage: int, states: Iterable[Encoded], into: State | None = None) -> State:
    """One state of the stage with all that several took in: a new one, or `into`."""
    whole = workload.new_state(stage) if into is None else into
    for state in states:
        if state is not None:
            whole.merge(state)
    return whole


def emitted(state: State, limit: int) -> Iterator[bytes]:
    """What comes out of a keyed reduction, one batch of up to `limit` keys at a time. Frees the state at the end."""
    with state:
        while item_count(batch := state.emit(limit)):
            yield batch
