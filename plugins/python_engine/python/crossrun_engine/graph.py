"""A graph of tasks: which of them may run, and the outputs that others need.

    graph = Graph(workload)
    ready = graph.begin()
    while ready:
        task = ready.pop()
        output = graph.run(task)
        ready += graph.finish(task, output)

Any number of threads may do so at once. An output that no task needs goes to the sink, where it is an item: `finish` of it
returns nothing new, and `is_needed` tells it apart. Rows are made as they are needed, and old ones are dropped.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Sequence
from typing import NamedTuple

from .failure import STATUS_MALFORMED, WorkloadError
from .kernel import Workload
from .spec import Spec

# The most rows from the oldest that is not finished: with more, more outputs would be kept.
WINDOW = 16


def granted_graph(spec: Spec, workload: Workload) -> dict[str, int] | None:
    """The size of the workload's graph, if its tasks are to be run by their dependencies; `None` if the stages are."""
    return workload.graph if "graph" in spec.granted else None


def read_row(workload: Workload, step: int, before: range) -> tuple[int, list[list[int]]]:
    """A row of the graph, as `graph_row` gives it, which follows the points `before`.

    Raises WorkloadError if a task needs another point: it would wait for an output that nobody makes.
    """
    first, edges = workload.graph_row(step)
    if any(point not in before for points in edges for point in points):
        raise WorkloadError(STATUS_MALFORMED, "a task needs the output of a point that the row before does not have")
    return first, edges


class Task(NamedTuple):
    """A task: its row, and its place in it, from 0."""

    row: Row
    place: int


class Row:
    """The tasks of one step, and the edges from the row before and to the next."""

    first: int
    inputs: list[list[int]]

    def __init__(self, workload: Workload, step: int, before: Row | None) -> None:
        self.step = step
        self.before = before
        points = range(before.first, before.first + len(before.inputs)) if before else range(0)
        self.first, edges = read_row(workload, step, points)
        self.inputs = [[point - points.start for point in inputs] for inputs in edges]
        # How many inputs of each task are missing, and one more until the row is released.
        self.open = [len(inputs) + 1 for inputs in self.inputs]
        self.outputs: list[bytes | None] = [None] * len(self.inputs)
        self.left = len(self.inputs)
        self.next: Row | None = None
        self.targets: list[list[int]] = [[] for _ in self.inputs]

    def connect(self, following: Row) -> None:
        """Tells this row which tasks of the next one need its outputs, before any of its tasks runs."""
        self.next = following
        for target, inputs in enumerate(following.inputs):
            for place in inputs:
                self.targets[place].append(target)

    def count_down(self, places: Sequence[int]) -> list[Task]:
        """Takes that each of these tasks has one input more. Returns those that have all."""
        ready = []
        for place in places:
            self.open[place] -= 1
            if self.open[place] == 0:
                ready.append(Task(self, place))
        return ready


class Graph:
    """The rows of a workload's graph of which a task has not run, up to a number of rows."""

    def __init__(self, workload: Workload) -> None:
        graph = workload.graph
        assert graph is not None
        self._workload = workload
        self._steps = int(graph["steps"])
        self._lock = threading.Lock()
        # The newest row, of which no task may run before the row after it is known; nothing after the last.
        self._newest = Row(workload, 0, None) if self._steps else None
        self._oldest = 0
        self._finished: set[int] = set()

    @property
    def is_finished(self) -> bool:
        """Whether all tasks have run."""
        return self._oldest == self._steps

    def begin(self) -> list[Task]:
        """The tasks that may run at first."""
        with self._lock:
            return self._extend()

    def run(self, task: Task) -> bytes:
        """Runs a task on the outputs that it needs. Returns its output."""
        row, place = task
        outputs = row.before.outputs if row.before else []
        # An output that is missing would be a fault here, and the task refuses it.
        inputs = [outputs[number] or b"" for number in row.inputs[place]]
        return self._workload.graph_task(row.step, row.first + place, inputs)

    @staticmethod
    def is_needed(task: Task) -> bool:
        """Whether another task needs the output of this one. If not, it goes to the sink."""
        return bool(task.row.targets[task.place])

    def finish(self, task: Task, output: bytes) -> list[Task]:
        """Keeps the output for the tasks that need it. Returns those that may run now."""
        row, place = task
        with self._lock:
            ready: list[Task] = []
            if row.next is not None and row.targets[place]:
                row.outputs[place] = output
                ready = row.next.count_down(row.targets[place])
            row.left -= 1
            if row.left == 0:
                # Nothing needs the row before any more; and whoever still has a task of this row must not keep all that follow.
                row.before = row.next = None
                self._finished.add(row.step)
                while self._oldest in self._finished:
                    self._finished.remove(self._oldest)
                    self._oldest += 1
                ready += self._extend()
            return ready

    def _extend(self) -> list[Task]:
        """Makes rows until the window is full, and releases the tasks of all but the newest."""
        ready: list[Task] = []
        while self._newest is not None and (self._newest.step < self._oldest + WINDOW or self._is_last(self._newest)):
            row = self._newest
            self._newest = None if self._is_last(row) else Row(self._workload, row.step + 1, row)
            if self._newest is not None:
                row.connect(self._newest)
            ready += row.count_down(range(len(row.inputs)))
        return ready

    def _is_last(self, row: Row) -> bool:
        return row.step + 1 == self._steps


def batch_of(items: Sequence[bytes]) -> bytes:
    """A batch of these items, as the sink takes it."""
    offsets, end = [0], 0
    for item in items:
        end += len(item)
        offsets.append(end)
    return struct.pack(f"<II{len(offsets)}i", len(items), 0, *offsets) + b"".join(items)
