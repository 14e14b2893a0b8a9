"""Graphs of tasks: any order in which tasks may run gives the answer."""

from __future__ import annotations

import hashlib
import json
import os
import random
import unittest
from pathlib import Path
from typing import Any

from crossrun_engine import Graph, Workload, WorkloadError, batch_of

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

    def test_an_input_that_is_not_the_edges_is_refused(self) -> None:
        opened = workload(40, width=5)
        first, inputs = opened.graph_row(1)
        self.assertEqual((first, inputs[0], inputs[2]), (0, [0, 1], [1, 2, 3]))
        outputs = [opened.graph_task(0, point, []) for point in range(5)]
        opened.graph_task(1, 2, outputs[1:4])
        with self.assertRaisesRegex(WorkloadError, "needs the output of step 0, point 1"):
            opened.graph_task(1, 2, outputs[2:5])


if __name__ == "__main__":
    unittest.main()
