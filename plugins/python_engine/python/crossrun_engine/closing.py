"""Closing what has ended while the input goes on.

Each partition of each keyed reduction has one state, its owner's, and only that state is closed: what another state of the partition
lacks may be in the owner's. A slice is done when all that was made of it is there, and the watermark of the first slice that is not
done says up to when the states of the first reduction may be closed: `Slices`. A later reduction is closed after all partitions of
the one before it, with what they gave folded.

For an engine whose threads share states, `Closing` does all of this. Runs on futures and on actors have owners of their own.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Protocol

from .failure import UnsupportedError
from .kernel import State, Workload, item_count
from .phase import Phase
from .spec import Spec

# Closing after every slice would cost as much as small slices do. In an open loop, where results are due, it is done.
_CLOSE_EVERY = 1024
_FAR_BEYOND = 8
"""A thread waits for the closing of so many times as many items, or of so many batches."""
_END = 2**64 - 1
"""The watermark behind the last item."""


def closes(spec: Spec, workload: Workload) -> bool:
    """Whether a run closes on an engine that closes only where a task or a call takes a batch to the end of its phase."""
    return "watermarks" in spec.granted and spec.fusion != "off" and workload.has_reduction


def check_due_results(spec: Spec, workload: Workload) -> None:
    """Refuses an open loop with reductions in a run that does not close: all of its results would be late."""
    if workload.has_due_results and not closes(spec, workload):
        message = "the results of an open loop's reductions are due before the input ends, and with fusion=off this backend emits "
        raise UnsupportedError(message + "them at the end", "--extra fusion=auto")


def due_warnings(workload: Workload) -> list[str]:
    """A warning of a run whose workers close what has ended, and are handed batches before these are due."""
    if not workload.has_due_results:
        return []
    advice = "small batches and a high rate have less of it, and latencies at low rates say little about the engine"
    return [f"results wait behind batches that are not due, which this backend's workers are handed ahead: {advice}"]


def emitted_until(state: State, time: int, limit: int) -> Iterator[bytes]:
    """What ended at `time` or before in an owner's state, of up to `limit` keys at a time. The state keeps the rest."""
    while item_count(batch := state.emit_ended(time, limit)):
        yield batch


class Slices:
    """Which slices of the source are done. For one thread at a time."""

    def __init__(self) -> None:
        self.low = 0
        """The first item of a slice that is not done."""
        self._done: dict[int, int] = {}

    def finish(self, first: int, count: int) -> None:
        """All that was made of the items `first..first + count` is in the states of the owners."""
        self._done[first] = count
        while (following := self._done.pop(self.low, 0)) > 0:
            self.low += following


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
    """Closes the reductions of a run. `ends` are the ends of its phases, in order: `Owners`, and at last the sink.

    What is left when the input has ended is for the run to emit, which it does on all of its threads: here it would be one.
    """

    def __init__(self, workload: Workload, ends: Sequence[End], batch_size: int) -> None:
        self._workload, self._ends, self._batch_size = workload, ends, batch_size
        self._lock = threading.Lock()
        self._slices = Slices()
        # Who has it closes.
        self._closes = threading.Lock()
        self._closed_at = 0
        self._closed_time = 0
        self._every = 1 if workload.has_due_results else _CLOSE_EVERY

    @property
    def low(self) -> int:
        """The first item of the source of which not all that was made is folded."""
        return self._slices.low

    def finish(self, first: int, count: int) -> None:
        """All that was made of the items `first..first + count` is folded. Closes what has ended, unless another thread does."""
        with self._lock:
            self._slices.finish(first, count)
        # What another thread finished meanwhile did not close is closed here.
        while (unclosed := self.low - self._closed_at) >= self._every:
            # Folding is faster than closing for a while only: what is not closed would grow with the input.
            is_far_beyond = unclosed >= _FAR_BEYOND * max(_CLOSE_EVERY, self._batch_size)
            if not self._closes.acquire(blocking=is_far_beyond):
                return
            try:
                self._closed_at = self.low
                time = self._workload.watermark(self._closed_at)
                if self._closed_time < time < _END:
                    self._closed_time = time
                    self._close(time)
            finally:
                self._closes.release()

    def _close(self, time: int) -> None:
        for place, end in enumerate(self._ends):
            if isinstance(end, Owners):
                following = self._ends[place + 1]
                for state in end.states:
                    for batch in emitted_until(state, time, self._batch_size):
                        following.fold(following.phase.through(self._workload, batch))
