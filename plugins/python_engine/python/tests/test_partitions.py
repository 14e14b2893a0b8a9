"""Runs on an engine of partitioned datasets: the answer, what is counted, and errors as text."""

from __future__ import annotations

import json
import pickle
import unittest
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Callable
from unittest import mock

from test_kernel import run, workload

from crossrun_engine import (
    DatasetsEngine,
    DatasetsRun,
    Job,
    Spec,
    UnsupportedError,
    Work,
    Workload,
    WorkloadError,
    merged,
    partitions,
    task_count,
    total,
)
from crossrun_engine.failure import workload_error_in

TASKS, PARTITIONS = 3, 2


def spec_of(opened: Workload, fusion: str) -> Spec:
    told = json.loads(opened.spec)
    return Spec(told["name"], told["total_items"], PARTITIONS, "default", 7, {"batch_size": 8, "fusion": fusion})


Partitioned = list[list[Any]]


class Sum:
    """What all tasks have done."""

    def __init__(self) -> None:
        self.work: Work = {}

    def add(self, work: Work) -> None:
        self.work = total((self.work, work))


class Lists(DatasetsEngine[Partitioned]):
    """A dataset is a list of the elements for each partition."""

    def transform(self, dataset: Partitioned, function: Callable[[Iterable[Any]], Iterable[Any]]) -> Partitioned:
        # An engine sends it to its workers.
        pickle.dumps(function)
        return [list(function(elements)) for elements in dataset]

    def shuffle(self, dataset: Partitioned, number: int) -> Partitioned:
        parts: Partitioned = [[] for _ in range(number)]
        for element in (element for elements in dataset for element in elements):
            parts[element[0]].append(element)
        return parts

    def kept(self, dataset: Partitioned) -> Partitioned:
        return dataset


@dataclass(frozen=True)
class NamedJob(Job):
    """On a node with a name, so that tasks are counted."""

    def node(self) -> str:
        return "here"


def outcome(opened: Workload, fusion: str) -> tuple[dict[str, Any], int]:
    """The answer of a run, and how many tasks were counted."""
    spec, tally = spec_of(opened, fusion), Sum()
    run = DatasetsRun(Lists(), NamedJob(opened), spec, task_count(spec, opened, TASKS), tally)
    states = run.states([[number] for number in range(run.tasks)])
    elements = (state for part in states for _, state in part)
    return opened.outcome(merged(opened, opened.sink, elements).encode()), tally.work.get("here", 0)


class Partitions(unittest.TestCase):
    def test_the_answer_is_the_same_with_fused_stages_and_without(self) -> None:
        for name, items in (("null", 100), ("pipeline", 100), ("word_count", 100), ("null", 0), ("word_count", 0)):
            opened = pickle.loads(pickle.dumps(workload(name, items)))
            expected = run(opened, items)
            for fusion in ("auto", "off"):
                answer, tasks = outcome(opened, fusion)
                self.assertEqual(answer, expected, (name, fusion))
                # A task that ends with a state, or with what goes through a shuffle, counts itself.
                shares = min(TASKS * PARTITIONS, max(1, -(-items // 8)))
                self.assertGreaterEqual(tasks, shares, (name, fusion))

    def test_a_batch_that_a_filter_has_emptied_goes_no_further(self) -> None:
        opened = workload("pipeline", 2, iters=5)
        last = opened.sink - 1
        batches = [opened.source(number, 1, last) for number in range(2)]
        left = [list(partitions.advance(Job(opened), last, batch)) for batch in batches]
        # The filter is the last stage, and keeps every second item.
        self.assertEqual(left, [[opened.run_stages(last, last + 1, batches[0])], []])

    def test_how_many_tasks_share_the_source(self) -> None:
        opened = workload("null", 100)
        for items, batch_size, each_core, tasks in [(100, 8, 3, 6), (100, 50, 3, 2), (0, 8, 3, 1), (1000, 1, 16, 32)]:
            spec = Spec("null", items, 2, "default", 7, {"batch_size": batch_size})
            self.assertEqual(task_count(spec, opened, each_core), tasks)
        spec = Spec("open_loop", 100, 2, "default", 7, {"batch_size": 8})
        self.assertEqual(task_count(spec, mock.Mock(open_loop=True), 16), 2)

    def test_an_open_loop_is_refused_where_each_stage_ends_before_the_next(self) -> None:
        job, spec = Job(workload("open_loop", 10)), Spec("open_loop", 10, 2, "default", 7, {"fusion": "off"})
        with self.assertRaisesRegex(UnsupportedError, "no item of an open loop is in time"):
            DatasetsRun(Lists(), job, spec, 2, Sum())

    def test_slices_are_dealt_to_tasks_in_turn(self) -> None:
        spec = Spec("null", 50, 2, "default", 7, {"batch_size": 8})
        dealt = [list(spec.dealt_slices(task, TASKS)) for task in range(TASKS)]
        self.assertEqual(dealt, [[(0, 8), (24, 8), (48, 2)], [(8, 8), (32, 8)], [(16, 8), (40, 8)]])
        self.assertEqual(sorted(slice for task in dealt for slice in task), list(spec.slices()))

    def test_an_error_of_the_workload_is_found_in_the_text(self) -> None:
        with self.assertRaises(RuntimeError) as raised:
            list(partitions.advance(Job(workload()), 1, b"rubbish"))
        found = workload_error_in(f"Job aborted:\n  {raised.exception}\n  at java.lang.Thread")
        assert isinstance(raised.exception.__cause__, WorkloadError) and isinstance(found, WorkloadError)
        self.assertEqual((found.status, found.message), raised.exception.__cause__.args)
        self.assertIsNone(workload_error_in("Job aborted"))

    def test_what_is_not_supported_is_found_in_the_text(self) -> None:
        job = mock.Mock(open=mock.Mock(side_effect=UnsupportedError("not on this machine")))
        with self.assertRaises(RuntimeError) as raised:
            list(partitions.advance(job, 1, b""))
        found = workload_error_in(str(raised.exception))
        assert isinstance(found, UnsupportedError)
        self.assertEqual(str(found), "not on this machine")


if __name__ == "__main__":
    unittest.main()
