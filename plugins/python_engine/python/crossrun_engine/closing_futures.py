"""Closing what has ended while the input goes on, on an engine whose tasks have no state.

The owner of a partition is the driver, which keeps the partition's state as bytes, or the task of a round to which it gave that state. A
round takes all that batches have come to. For each partition of the first reduction a task merges this into the state, closes
it up to the watermark of the first slice that is not done, and takes what ended to the next reduction. The tasks of that
one do the same with what those of all partitions before gave, by the same time; and so on to the sink. All tasks of a round are
submitted together, and wait for each other by their arguments only, while the tasks of further batches run beside them.

A round begins when the one before has ended and the driver has its states. So no task depends on the rounds before: an engine
forgets them, and runs only what is in flight again when a worker is lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Callable, Generic

from . import tasks
from .closing import Slices
from .futures_engine import FAN_IN, FuturesEngine
from .job import Job, Work
from .kernel import State
from .phase import Encoded, Phase, phases
from .spec import Spec
from .window import Future, Window


class ClosingEnds(Generic[Future]):
    """Where the batches of the first phase end. A round takes `bunch` of them or more."""

    def __init__(
        self,
        engine: FuturesEngine[Future],
        job: Job,
        spec: Spec,
        window: Window[Future],
        bunch: int,
        sink: State,
        tally: Callable[[Work], None],
    ) -> None:
        self._engine, self._job, self._limit, self._window = engine, job, spec.batch_size, window
        # What is due must not wait for batches that are not.
        self._bunch = 1 if job.workload.has_due_results else bunch
        self._sink, self._tally = sink, tally
        self._phases = phases(job.workload, spec.parallelism)
        self._reductions = self._phases[:-1]
        self.left: dict[int, list[Encoded]] = {phase.end: [None] * phase.partitions for phase in self._reductions}
        """The state of each partition of each reduction, by the reduction's stage."""
        self._to_begin = spec.slices()
        self._begun: dict[Future, tuple[int, int]] = {}
        self._done: list[Future] = []
        self._slices = Slices()
        self._closed_before = 0
        # For each reduction the tasks of the round; none between rounds.
        self._round: list[Sequence[Future]] = []
        self._running = 0

    @property
    def unwatched(self) -> int:
        """How many batches wait for a round, so that nothing that is waited for stands for them."""
        return len(self._done)

    def add(self, ended: Sequence[Future]) -> Mapping[Future, int]:
        """Takes the states of batches, which are those of the next slices in their order. Returns what to wait for."""
        self._begun.update(zip(ended, self._to_begin))
        return dict.fromkeys(ended, 1)

    def complete(self, done: list[Future]) -> None:
        """Has the next round take what these came to. What a task raised is raised by those of the round."""
        for future in done:
            self._slices.finish(*self._begun.pop(future))
        self._done.extend(done)
        self._begin_round()

    def _begin_round(self) -> None:
        if self._running or len(self._done) < self._bunch or self._slices.low == self._closed_before:
            return
        self._closed_before = self._slices.low
        time = self._job.workload.watermark(self._closed_before)
        batches, ended = len(self._done), self._combined(self._done)
        self._done = []
        for phase, following in zip(self._reductions, self._phases[1:]):
            ended = self._close(phase, following, ended, time)
            self._round.append(ended)
        futures = [future for closed in self._round for future in closed]
        self._running = len(futures)
        # The first needs all of the batches, and stands for them.
        self._window.add({**dict.fromkeys(futures, 0), futures[0]: batches}, self._complete_round)

    def _combined(self, ended: list[Future]) -> list[Future]:
        """As few states as one task for each `FAN_IN` makes of these, so that each of a round has few arguments."""
        number = len(ended) // FAN_IN
        if number == 0:
            return ended
        groups = [ended[first : number * FAN_IN : number] for first in range(number)]
        combined = self._engine.map(tasks.combine, *zip(*groups), job=self._job, phase=self._reductions[0])
        return [*combined, *ended[number * FAN_IN :]]

    def _close(self, phase: Phase, following: Phase, ended: Sequence[Future], time: int) -> list[Future]:
        columns = [[one] * phase.partitions for one in ended]
        how = {"phase": phase, "following": following, "time": time, "limit": self._limit}
        partitions, left = range(phase.partitions), self.left[phase.end]
        return self._engine.map(tasks.close, partitions, left, *columns, job=self._job, **how)

    def _complete_round(self, done: list[Future]) -> None:
        self._running -= len(done)
        if self._running:
            return
        for phase, closed in zip(self._reductions, self._round):
            results: list[tasks.Closed] = self._engine.results(closed)
            self.left[phase.end] = [left for _, _, left in results]
            if phase is self._reductions[-1]:
                self._finish(results)
        self._round.clear()
        self._begin_round()

    def _finish(self, results: list[tasks.Closed]) -> None:
        """What came to the sink."""
        for (state,), work, _ in results:
            self._tally(work)
            if state is not None:
                self._sink.merge(state)

    def own(self) -> list[Encoded]:
        """What is left of each partition of the first reduction."""
        return self.left[self._reductions[0].end]

    def unmerged(self) -> list[Future]:
        """What batches have come to since the last round."""
        return self._done
