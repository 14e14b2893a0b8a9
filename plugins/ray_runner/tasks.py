"""Tasks without a state of their own, chained by references: Ray decides where each runs, and runs it again if the node
is lost. For `fusion=off` a task for each stage and batch; otherwise one for a batch and all stages of a phase.

A keyed reduction is what Ray calls a shuffle of tasks: the last task of a batch returns an object for each partition,
and those of one partition are merged in a tree, so that none is merged more than a few times. Batches and states stay
in Ray's object store; only the small receipts come to the driver.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import ray
from crossrun_engine import RunContext, Spec, State
from flight import Flight, depth
from steps import Job, Outcome, Terminal, emitted, merged, node

# How many states are merged in one task.
FAN_IN = 16

# Items under way at most: this bounds what the object store holds of them.
ITEMS_UNDER_WAY = 1 << 18

# A batch between two tasks, and the nodes that it has been on: one for each task.
Travelled = tuple[bytes, list[str]]

# The nodes that a batch has been on, how many items it had at the end, and the state of its sink, unless it ended at a
# keyed reduction.
Receipt = tuple[list[str], int, bytes | None]


def _close(terminal: Terminal, nodes: list[str]) -> Any:
    """A receipt, and after it what the batch gave to each partition of a keyed reduction."""
    states = terminal.close()
    nodes = [*nodes, node()]
    if terminal.is_sink:
        return nodes, terminal.count, states[0]
    return (nodes, terminal.count, None), *states


@ray.remote
def _source(job: Job, first: int, count: int) -> Travelled:
    return job.workload().source(first, count, 1), [node()]


@ray.remote
def _stage(job: Job, stage: int, travelled: Travelled) -> Travelled:
    batch, nodes = travelled
    return job.workload().run_stages(stage, stage + 1, batch), [*nodes, node()]


@ray.remote
def _end(job: Job, stage: int, partitions: int, travelled: Travelled) -> Any:
    batch, nodes = travelled
    terminal = Terminal(job.workload(), stage, partitions)
    terminal.take(batch)
    return _close(terminal, nodes)


@ray.remote
def _source_to_end(job: Job, partitions: int, first: int, count: int) -> Any:
    terminal = Terminal(job.workload(), 1, partitions)
    terminal.produce(first, count)
    return _close(terminal, [])


@ray.remote
def _merge(job: Job, stage: int, *states: bytes) -> bytes:
    with merged(job.workload(), stage, states) as state:
        return state.encode()


@ray.remote(num_returns="streaming")
def _emit(job: Job, stage: int, limit: int, *states: bytes) -> Iterator[Travelled]:
    for batch in emitted(merged(job.workload(), stage, states), limit):
        yield batch, [node()]


@ray.remote
def _emit_to_end(job: Job, stage: int, limit: int, partitions: int, *states: bytes) -> Any:
    workload = job.workload()
    terminal = Terminal(workload, stage + 1, partitions)
    for batch in emitted(merged(workload, stage, states), limit):
        terminal.carry(batch)
    return _close(terminal, [])


class Tree:
    """The states of one partition, merged as they come."""

    def __init__(self, merge: Any, job: Job, stage: int) -> None:
        self._merge = merge
        self._job = job
        self._stage = stage
        self._levels: list[list[Any]] = []

    def add(self, state: Any, level: int = 0) -> None:
        """Takes in one more."""
        if level == len(self._levels):
            self._levels.append([])
        states = self._levels[level]
        states.append(state)
        if len(states) == FAN_IN:
            self._levels[level] = []
            self.add(self._merge.remote(self._job, self._stage, *states), level + 1)

    def rest(self) -> list[Any]:
        """What is not merged yet: a few states on each level."""
        return [state for level in self._levels for state in level]


class Phase:
    """From the source or a keyed reduction to the next one, or to the sink."""

    def __init__(self, start: int, job: Job, partitions: int, placement: dict[str, Any]) -> None:
        self.start = start
        self.stage = job.here.end_of_chain(start)
        self.is_sink = self.stage == job.here.sink
        merge = _merge.options(**placement)
        self.trees = [] if self.is_sink else [Tree(merge, job, self.stage) for _ in range(partitions)]
        returns = {"num_returns": 1 + len(self.trees), **placement}
        self.end = _end.options(**returns)
        self.source_to_end = _source_to_end.options(**returns)
        self.emit_to_end = _emit_to_end.options(**returns)

    def receipt(self, returned: Any) -> Any:
        """Files what a batch gave to each partition, and hands out the receipt."""
        if self.is_sink:
            return returned
        receipt, *parts = returned
        for tree, part in zip(self.trees, parts):
            tree.add(part)
        return receipt


class TaskRun:
    """One run."""

    def __init__(self, placement: dict[str, Any], spec: Spec, job: Job, context: RunContext) -> None:
        self._placement = placement
        self._spec = spec
        self._job = job
        self._context = context
        self._fused = spec.fusion != "off"
        self._source = _source.options(**placement)
        self._stage = _stage.options(**placement)
        self._emit = _emit.options(**placement)
        self._work: Counter[str] = Counter()
        self._count = 0
        self._sink: State = job.here.new_sink()
        self._window = max(2, min(depth(spec), ITEMS_UNDER_WAY // spec.batch_size)) * spec.parallelism

    def execute(self) -> Outcome:
        """From the source to the sink."""
        phase = self._phase(1)
        self._feed(phase)
        while not phase.is_sink:
            reduced, phase = phase, self._phase(phase.stage + 1)
            self._reduce(reduced, phase)
        return Outcome(self._count, self._sink.encode(), self._work, self._window)

    def _phase(self, start: int) -> Phase:
        return Phase(start, self._job, self._spec.parallelism, self._placement)

    def _flight(self) -> Flight:
        return Flight(self._window, self._context, self._landed)

    def _landed(self, owner: int, receipt: Receipt) -> None:
        nodes, count, state = receipt
        self._work.update(nodes)
        if state is not None:
            self._count += count
            self._sink.merge(state)

    def _feed(self, phase: Phase) -> None:
        flight = self._flight()
        for first, count in self._spec.slices():
            flight.make_room()
            self._context.progress(first, self._spec.total_items)
            if self._fused:
                ended = phase.source_to_end.remote(self._job, self._spec.parallelism, first, count)
            else:
                ended = self._chain(phase, self._source.remote(self._job, first, count))
            flight.add(phase.receipt(ended))
        flight.finish()

    def _reduce(self, reduced: Phase, phase: Phase) -> None:
        flight = self._flight()
        limit = self._spec.batch_size
        for tree in reduced.trees:
            states = tree.rest()
            if self._fused:
                partitions = self._spec.parallelism
                ended = phase.emit_to_end.remote(self._job, reduced.stage, limit, partitions, *states)
                flight.add(phase.receipt(ended))
                continue
            for batch in self._emit.remote(self._job, reduced.stage, limit, *states):
                flight.make_room()
                flight.add(phase.receipt(self._chain(phase, batch)))
        flight.finish()

    def _chain(self, phase: Phase, batch: Any) -> Any:
        """A task for each stage of the phase."""
        for stage in range(phase.start, phase.stage):
            batch = self._stage.remote(self._job, stage, batch)
        return phase.end.remote(self._job, phase.stage, self._spec.parallelism, batch)
