"""Graphs of tasks: any order in which tasks may run gives the answer."""

from __future__ import annotations

import hashlib
import json
import os
import random
import threading
import unittest
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from ctypes import c_size_t
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from example_driver import Pool, resolved

from crossrun_engine import (
    Graph,
    GraphRun,
    Job,
    RunContext,
    Spec,
    Workload,
    WorkloadError,
    batch_of,
    graph_futures,
    graph_window,
    kernel,
)

LIBRARY = os.environ["CROSSRUN_TEST_LIBRARY"]


def workload(items: int, **extra: Any) -> Workload:
    """A graph whose tasks may be run by their dependencies."""
    sha256 = hashlib.sha256(Path(LIBRARY).read_bytes()).hexdigest()
    spec = {"schema": 1, "name": "task_graph", "total_items": items, "extra": extra, "use": ["graph"]}
    return Workload(LIBRARY, sha256, json.dumps(spec))


def run(opened: Workload, order: random.Random) -> tuple[dict[str, Any], int]:
    """The outcome, and the largest number of tasks that could run at once."""
    graph, finished = Graph(opened), list[bytes]()
    ready, most = graph.begin(), 0
    while ready:
        most = max(most, len(ready))
        task = ready.pop(order.randrange(len(ready)))
        output = graph.run(task)
        if not graph.is_needed(task):
            finished.append(output)
        ready += graph.finish(task, output)
    assert graph.is_finished
    with opened.new_sink() as sink:
        sink.fold(batch_of(finished))
        return opened.outcome(sink.encode()), most


class Graphs(unittest.TestCase):
    """Runs of the standard library's graph."""

    def test_any_order_gives_one_answer(self) -> None:
        for pattern in ("stencil_1d_periodic", "trivial", "tree", "dom", "fft", "spread", "random_nearest"):
            opened = workload(200, pattern=pattern, width=5, iters=1)
            outcomes = [run(opened, random.Random(seed))[0] for seed in range(3)]
            self.assertEqual(outcomes, outcomes[:1] * 3, pattern)
            self.assertGreater(outcomes[0]["count"], 0)

    def test_rows_are_made_as_they_are_needed(self) -> None:
        _, most = run(workload(2000, pattern="trivial", width=2, iters=0), random.Random(1))
        self.assertLessEqual(most, 2 * 17)

    def test_a_graph_without_items_has_no_tasks(self) -> None:
        outcome, most = run(workload(0), random.Random(1))
        self.assertEqual((outcome["count"], most), (0, 0))

    def test_a_task_that_is_still_referred_to_does_not_keep_all_later_rows(self) -> None:
        graph = Graph(workload(5000, width=5))
        ready = graph.begin()
        first, kept, rows = ready[0], 0, list[Any]()
        while ready:
            task = ready.pop()
            rows.append(weakref.ref(task.row))
            ready += graph.finish(task, graph.run(task))
            del task
            kept = max(kept, len({id(row()) for row in rows[-500:] if row() is not None}))
        self.assertEqual(first.row.step, 0)
        self.assertLess(kept, 40, "rows of 1000 were alive at a time")

    def test_an_input_that_is_not_the_edges_is_refused(self) -> None:
        opened = workload(40, width=5)
        first, inputs = opened.graph_row(1)
        self.assertEqual((first, inputs[0], inputs[2]), (0, [0, 1], [1, 2, 3]))
        outputs = [opened.graph_task(0, point, []) for point in range(5)]
        opened.graph_task(1, 2, outputs[1:4])
        with self.assertRaisesRegex(WorkloadError, "needs the output of step 0, point 1"):
            opened.graph_task(1, 2, outputs[2:5])

    def test_bytes_that_are_no_row_are_refused(self) -> None:
        def encoded(*words: int) -> bytes:
            return b"".join(word.to_bytes(4, "little") for word in words)

        self.assertEqual(kernel._row_of(encoded(7, 2, 0, 1, 3, 5, 6, 6)), (7, [[5], [6, 6]]))
        for answer in (
            b"",
            encoded(7, 0, 0),
            encoded(7, 2, 0, 1, 3, 5, 6),
            encoded(7, 2, 0, 1, 3, 5, 6, 6, 6),
            encoded(7, 2, 0, 4, 3, 5, 6, 6),
            encoded(7, 2, 1, 1, 3, 5, 6, 6),
            encoded(7, 2**32 - 1, 0, 0),
            encoded(7, 2, 0, 1, 3, 5, 6, 6)[:-1],
        ):
            with self.assertRaisesRegex(WorkloadError, "not those of a row"):
                kernel._row_of(answer)

    def test_an_edge_from_nowhere_is_refused(self) -> None:
        opened = workload(40, width=2)
        for edges in ([[0], [2]], [[0], [-1]]):

            def row(_: Workload, step: int, edges: list[list[int]] = edges) -> tuple[int, list[list[int]]]:
                return 0, edges if step else [[], []]

            with mock.patch.object(Workload, "graph_row", row):
                with self.assertRaisesRegex(WorkloadError, "that the row before does not have"):
                    Graph(opened).begin()
                with self.assertRaisesRegex(WorkloadError, "that the row before does not have"):
                    OnFutures.run_on(HomePool(1), opened, 40, 4)

    def test_a_library_without_graphs_or_watermarks_says_so(self) -> None:
        opened = workload(40, width=2)
        sink = opened.new_sink()
        calls: list[tuple[Callable[[], object], str]] = [
            (lambda: opened.graph_row(0), "graphs of tasks"),
            (lambda: opened.graph_task(0, 0, []), "graphs of tasks"),
            (lambda: opened.watermark(0), "watermarks"),
            (lambda: sink.emit_ended(1, 1), "watermarks"),
        ]
        functions = opened._open().library.functions
        with mock.patch.multiple(functions, graph_edges=None, graph_task=None, watermark=None, state_close=None):
            for call, what in calls:
                with self.assertRaisesRegex(WorkloadError, f"this library of workloads has no {what}"):
                    call()

    def test_an_output_that_is_longer_than_its_room_is_no_output(self) -> None:
        def longer(*arguments: Any) -> int:
            c_size_t.from_address(arguments[7]).value += 1
            return 0

        opened = workload(40, width=2)
        says = self.assertRaisesRegex(WorkloadError, "more bytes than its room")
        with mock.patch.object(opened._open().library.functions, "graph_task", longer), says:
            opened.graph_task(0, 0, [])


@dataclass(frozen=True)
class NamedJob(Job):
    """One node."""

    def node(self) -> str:
        return "here"


class HomePool(Pool):
    """Counts the tasks, and the values that came back from the driver."""

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        self.tasks = self.brought = 0

    def map(self, task: Any, *columns: Sequence[Any], **fixed: Any) -> list[Future[Any]]:
        self.tasks += len(columns[0]) * (task.__name__ == "graph_task")
        return super().map(task, *columns, **fixed)

    def put(self, values: Sequence[Any]) -> list[Future[Any]]:
        self.brought += len(values)
        return [self.executor.submit(resolved, value) for value in values]


class FoldingPool(HomePool):
    """Keeps how many outputs each task folds."""

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        self.folded: list[int] = []

    def map(self, task: Any, *columns: Sequence[Any], **fixed: Any) -> list[Future[Any]]:
        if task.__name__ == "graph_end":
            self.folded.append(len(columns))
        return super().map(task, *columns, **fixed)


class OnFutures(unittest.TestCase):
    """The same graphs on an engine of futures."""

    @staticmethod
    def run_on(pool: HomePool, opened: Workload, items: int, size: int) -> tuple[bytes, dict[str, int]]:
        context = RunContext(Path("."), threading.Event(), lambda _: None)
        with pool.executor:
            done = GraphRun(pool, NamedJob(opened), Spec("task_graph", items, 2, "default", 0, {}), context, size)
            return done.execute(), done.work

    def test_every_pattern_has_its_answer_and_each_task_is_counted_once(self) -> None:
        for pattern in ("stencil_1d", "trivial", "no_comm", "tree", "dom", "fft", "all_to_all", "spread"):
            for items, width, size in ((0, 5, 10), (1, 5, 2), (150, 5, 10), (400, 8, 1000)):
                opened = workload(items, pattern=pattern, width=width, iters=1)
                pool = HomePool(3)
                state, work = self.run_on(pool, opened, items, size)
                self.assertEqual(opened.outcome(state), run(opened, random.Random(1))[0], (pattern, items, width))
                self.assertEqual(work.get("here", 0), pool.tasks, (pattern, items, width))

    def test_what_led_to_a_row_is_forgotten_when_it_is_brought_home(self) -> None:
        self.addCleanup(setattr, graph_futures, "KEPT", graph_futures.KEPT)
        graph_futures.KEPT = 40
        for pattern in ("stencil_1d_periodic", "tree", "trivial"):
            opened, pool = workload(800, pattern=pattern, width=8, iters=1), HomePool(2)
            state, _ = self.run_on(pool, opened, 800, 32)
            self.assertEqual(opened.outcome(state), run(opened, random.Random(1))[0], pattern)
            # 100 rows, of which every fifth comes home, but of the last no output is needed.
            self.assertEqual(pool.brought, {"stencil_1d_periodic": 152, "trivial": 0}.get(pattern, pool.brought))

    def test_a_task_folds_a_bounded_number_of_outputs_and_fewer_that_may_be_long(self) -> None:
        for length, most in ((64, 64), (1 << 24, 16)):
            opened = workload(200, pattern="trivial", width=8, iters=0, output_bytes=length)
            pool = FoldingPool(2)
            state, _ = self.run_on(pool, opened, 200, 32)
            self.assertEqual((max(pool.folded), sum(pool.folded), opened.outcome(state)["count"]), (most, 200, 200))

    def test_a_failure_of_a_task_is_told(self) -> None:
        class Dropping(HomePool):
            def map(self, task: Any, *columns: Any, **fixed: Any) -> list[Future[Any]]:
                if fixed.get("step") == 30:
                    columns[-1][3] = None
                return super().map(task, *columns, **fixed)

        opened, pool = workload(400, width=8, iters=1), Dropping(2)
        with self.assertRaisesRegex(WorkloadError, "needs 3 inputs; it was given 2"):
            self.run_on(pool, opened, 400, 32)

    def test_a_window_has_two_rows_and_a_bound_of_bytes(self) -> None:
        spec = Spec("task_graph", 1000, 2, "default", 0, {})
        sizes = [
            graph_window(spec, {"width": width, "output_bytes": output}, 256)
            for width, output in ((4, 64), (64, 64), (4096, 64), (32, 8 << 20))
        ]
        self.assertEqual(sizes, [64, 512, 8192, 64])


if __name__ == "__main__":
    unittest.main()
