"""Runs a plan in one thread, without any engine."""

from __future__ import annotations

from crossrun_engine import Result, Spec, State, Workload, item_count

PARTITIONS = 3


class Serial:
    """The states of one run."""

    def __init__(self, spec: Spec, workload: Workload) -> None:
        self.spec = spec
        self.workload = workload
        self.count = 0

    def run(self) -> Result:
        """Takes all items from the source to the sink."""
        end = self.workload.end_of_chain(1)
        states = self._states(end)
        size = self.spec.batch_size
        for first in range(0, self.spec.total_items, size):
            count = min(size, self.spec.total_items - first)
            self._deliver(end, states, self.workload.source(first, count, end))
        while end != self.workload.sink:
            reduced, start = states, end + 1
            end = self.workload.end_of_chain(start)
            states = self._states(end)
            for state in reduced:
                self._emit(state, start, end, states)
        return Result(self.count, states[0].encode(), "default", {"nodes": 1})

    def _states(self, stage: int) -> list[State]:
        owners = 1 if stage == self.workload.sink else PARTITIONS
        return [self.workload.new_state(stage) for _ in range(owners)]

    def _deliver(self, stage: int, states: list[State], batch: bytes) -> None:
        if stage == self.workload.sink:
            self.count += item_count(batch)
            states[0].fold(batch)
            return
        for state, part in zip(states, self.workload.split(stage, batch, PARTITIONS)):
            state.fold(part)

    def _emit(self, state: State, start: int, end: int, states: list[State]) -> None:
        with state:
            batch = state.emit(self.spec.batch_size)
            while item_count(batch):
                self._deliver(end, states, self.workload.run_stages(start, end, batch))
                batch = state.emit(self.spec.batch_size)
