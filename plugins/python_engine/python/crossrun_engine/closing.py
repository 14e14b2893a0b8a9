"""Closing what has ended while the input goes on, for an engine whose threads share states.

Each partition of each keyed reduction has one state, its owner's: `Owners`. A slice is done when all that was made of it is
folded there, and the watermark of the first slice that is not done says up to when the states of the first reduction may be
closed. A later reduction is closed after all partitions of the one before it, with what they gave folded.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Protocol

from .kernel import State, Workload, item_count
from .phase import Phase

# Closing after every slice would cost as much as small slices do.
_CLOSE_EVERY = 1024
_FAR_BEYOND = 8
"""A thread waits for the closing of so many times as many items, or of so many batches."""


class End(Protocol):
    """Where the batches of a phase end."""

    phase: Phase

    def fold(self, batch: bytes) -> None:
        """Folds a batch. Any thread may call it."""

    def merged(self, partition: int) -> State:
        """Gives the state of one partition away."""


class Owners:
    """The states of a keyed reduction, one for each partition. Any number of threads may fold."""

    def __init__(self, workload: Workload, phase: Phase) -> None:
        self.phase = phase
        self.states = [workload.new_state(phase.end) for _ in range(phase.partitions)]
        self._workload = workload

    def fold(self, batch: bytes) -> None:
        """Folds a batch into the states of its keys' partitions."""
        if not item_count(batch):
            return
        if len(self.states) == 1:
            self.states[0].fold(batch)
            return
        for state, part in zip(self.states, self._workload.split(self.phase.end, batch, len(self.states))):
            if item_count(part):
                state.fold(part)

    def merged(self, partition: int) -> State:
        """The state of one partition, which is already that of all threads."""
        return self.states[partition]


class Closing:
    """Closes the reductions of a run. `ends` are the ends of its phases, in order: `Owners`, and at last the sink."""

    def __init__(self, workload: Workload, ends: Sequence[End], batch_size: int) -> None:
        self._workload, self._ends, self._batch_size = workload, ends, batch_size
        self._lock = threading.Lock()
        self._done: dict[int, int] = {}
        self.low = 0
        """The first item of the source of which not all that was made is folded."""
        # Who has it closes.
        self._closes = threading.Lock()
        self._closed_at = 0

    def finish(self, first: int, count: int) -> None:
        """All that was made of the items `first..first + count` is folded. Closes what has ended, unless another thread does."""
        with self._lock:
            self._done[first] = count
            while (following := self._done.pop(self.low, 0)) > 0:
                self.low += following
        unclosed = self.low - self._closed_at
        # Folding is faster than closing for a while only: what is not closed would grow with the input.
        is_far_beyond = unclosed >= _FAR_BEYOND * max(_CLOSE_EVERY, self._batch_size)
        if unclosed >= _CLOSE_EVERY and self._closes.acquire(blocking=is_far_beyond):
            try:
                self._closed_at = self.low
                self._close(self._workload.watermark(self._closed_at))
            finally:
                self._closes.release()

    def _close(self, time: int) -> None:
        for place, end in enumerate(self._ends):
            if isinstance(end, Owners):
                following = self._ends[place + 1]
                for state in end.states:
                    self._close_state(state, time, following)

    def _close_state(self, state: State, time: int, following: End) -> None:
        phase = following.phase
        while item_count(batch := state.emit_ended(time, self._batch_size)):
            following.fold(self._workload.run_stages(phase.start, phase.end, batch))
