"""A graph of tasks on an engine of futures: the output of a task is an argument of those that need it.

Rows are submitted one after the other, so that the engine knows the tasks before their inputs are there, and runs each by
its own dependencies. How far ahead is bounded by a window. What no task needs is folded by tasks too, some at a time, and the driver
merges their states: it has no outputs, unless it brings a row home (`KEPT`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Generic

from . import tasks
from .driver import RunContext
from .futures_engine import FuturesEngine
from .graph import read_row
from .job import Job, Work, total
from .kernel import State
from .spec import Spec
from .window import Future, Window

# The most rows in flight. More outputs would be kept with more, and no worker waits with so many.
ROWS = 16

# Bytes of outputs in flight, beyond two rows; and of those that one task folds, beyond one.
BYTES = 256 << 20

# An engine keeps each task that led to an output that is wanted, so as to be able to run it again. After so many tasks a row is
# brought to the driver and given back as values, and the engine forgets what led to it.
KEPT = 1024

# How many outputs that no task needs one task folds at most.
FOLDED = 64


def graph_window(spec: Spec, graph: dict[str, int], per_worker: int) -> int:
    """How many tasks of a graph may be in flight: at least two rows of them."""
    width = max(1, graph["width"])
    most = min(ROWS * width, per_worker * spec.parallelism, BYTES // max(1, graph["output_bytes"]))
    return max(2 * width, most)


class _Row:
    """The points of a step and their inputs; and which outputs the next step needs."""

    def __init__(self, first: int, edges: list[list[int]], needed: set[int]) -> None:
        self.first, self.edges = first, edges
        self.finished = [place for place in range(len(edges)) if first + place not in needed]

    def takes(self) -> list[tuple[bool, ...]]:
        """For each task whether it takes on the tally of each input: of an output, the first task that needs it does."""
        seen: set[int] = set()
        takes = []
        for inputs in self.edges:
            mine = []
            for point in inputs:
                mine.append(point not in seen)
                seen.add(point)
            takes.append(tuple(mine))
        return takes

    def inputs(self, first_before: int, before: Sequence[Any]) -> list[list[Any]]:
        """The inputs of the tasks by column, of which the outputs before are `before`. A task with fewer has `None` at the end."""
        most = max(map(len, self.edges), default=0)
        padded = [
            [*(before[point - first_before] for point in inputs), *[None] * (most - len(inputs))]
            for inputs in self.edges
        ]
        return [list(column) for column in zip(*padded)]


class GraphRun(Generic[Future]):
    """One run. `size` is how many tasks may be in flight."""

    def __init__(self, engine: FuturesEngine[Future], job: Job, spec: Spec, context: RunContext, size: int) -> None:
        self.work: Work = {}
        """For each node how many tasks ran there; empty where the job counts none."""
        self.size = size
        self._engine, self._job, self._spec, self._context = engine, job, spec, context
        self._window = Window(size, context, engine)
        # Outputs that no task needs, and that are not folded yet.
        self._finished: list[Future] = []
        # An engine does not say how long an output is: each may be as long as any.
        self._folded = max(1, min(FOLDED, BYTES // max(1, (job.workload.graph or {}).get("output_bytes", 0))))

    def execute(self) -> bytes:
        """The merged state of the sink, encoded. Raises what the first task that failed raised, or `CancelledError`."""
        with self._job.workload.new_sink() as sink, self._window:
            first_before, before, kept, done = 0, list[Future](), 0, 0
            for step, row in enumerate(self._rows()):
                self._window.make_room(len(row.edges))
                before = self._submit(step, row, first_before, before)
                self._fold(sink, self._folded)
                first_before, kept, done = row.first, kept + len(row.edges), done + len(row.edges)
                self._context.progress(done, self._spec.total_items)
                if kept >= KEPT:
                    before, kept = self._brought_home(row, before), 0
            self._fold(sink, 1)
            self._window.drain()
            self._context.progress(self._spec.total_items, self._spec.total_items)
            return sink.encode()

    def _rows(self) -> Iterator[_Row]:
        workload = self._job.workload
        steps = (workload.graph or {"steps": 0})["steps"]
        following = read_row(workload, 0, range(0)) if steps else (0, [])
        for step in range(steps):
            first, edges = following
            points = range(first, first + len(edges))
            following = read_row(workload, step + 1, points) if step + 1 < steps else (0, [])
            yield _Row(first, edges, {point for inputs in following[1] for point in inputs})

    def _submit(self, step: int, row: _Row, first_before: int, before: list[Future]) -> list[Future]:
        """Submits the tasks of a row. Returns their outputs."""
        points = [row.first + place for place in range(len(row.edges))]
        inputs = row.inputs(first_before, before)
        outputs = self._engine.map(tasks.graph_task, points, row.takes(), *inputs, job=self._job, step=step)
        self._finished += (outputs[place] for place in row.finished)
        # One task stands for its row, each time another one: a failure of others comes with what is folded.
        self._window.add({outputs[step % len(points)]: len(points)}, lambda done: None)
        return outputs

    def _fold(self, sink: State, least: int) -> None:
        """Has outputs that no task needs folded, so many at a time, until fewer than `least` are left."""

        def merge(done: Sequence[Future]) -> None:
            for state, work in self._engine.results(done):
                sink.merge(state)
                self.work = total((self.work, work))

        while len(self._finished) >= least:
            some, self._finished = self._finished[: self._folded], self._finished[self._folded :]
            (folded,) = self._engine.map(tasks.graph_end, *([output] for output in some), job=self._job)
            self._window.add({folded: 0}, merge)

    def _brought_home(self, row: _Row, outputs: list[Future]) -> list[Future]:
        """The outputs of a row that tasks need, without what led to them. The others are not wanted again."""
        # A future that stands for its row must have been counted before it is waited for once more.
        self._window.drain()
        finished = set(row.finished)
        needed = [place for place in range(len(outputs)) if place not in finished]
        values: list[Any] = self._window.results([outputs[place] for place in needed], self._engine.results)
        for place, value in zip(needed, self._engine.put(values)):
            outputs[place] = value
        return outputs
