"""The functions of an engine of partitioned datasets: the answer, and errors as text."""

from __future__ import annotations

import json
import pickle
import unittest
from collections.abc import Iterable
from typing import Any

from test_kernel import run, workload

from crossrun_engine import Job, Spec, Workload, WorkloadError, merged, partitions, phases
from crossrun_engine.failure import workload_error_in

TASKS, PARTITIONS, LIMIT = 3, 2, 5


def spec_of(opened: Workload) -> Spec:
    told = json.loads(opened.spec)
    return Spec(told["name"], told["total_items"], PARTITIONS, "default", 7, {"batch_size": 8})


def shuffled(numbered: Iterable[tuple[int, bytes]]) -> list[list[tuple[int, bytes]]]:
    """The elements of each partition."""
    parts: list[list[tuple[int, bytes]]] = [[] for _ in range(PARTITIONS)]
    for number, content in numbered:
        parts[number].append((number, content))
    return parts


def outcome(opened: Workload, states: Iterable[tuple[int, bytes]]) -> dict[str, Any]:
    return opened.outcome(merged(opened, opened.sink, (state for _, state in states)).encode())


def fused(opened: Workload) -> dict[str, Any]:
    job, spec = Job(opened), spec_of(opened)
    before, *later = phases(opened, PARTITIONS)
    tasks = range(TASKS)
    states = [made for task in tasks for made in partitions.produce(job, spec, TASKS, before, [task])]
    for phase in later:
        reduced = (partitions.reduce_states(job, before.end, phase, LIMIT, part) for part in shuffled(states))
        states, before = [state for made in reduced for state in made], phase
    return outcome(opened, states)


def staged(opened: Workload) -> dict[str, Any]:
    job, spec = Job(opened), spec_of(opened)
    batches = [batch for task in range(TASKS) for batch in partitions.generate(job, spec, TASKS, task)]
    for phase in phases(opened, PARTITIONS):
        for stage in phase.stages:
            batches = [made for batch in batches for made in partitions.advance(job, stage, batch)]
        if not phase.is_sink:
            parts = shuffled(part for batch in batches for part in partitions.split(job, phase, batch))
            batches = [made for part in parts for made in partitions.reduce_parts(job, phase.end, LIMIT, part)]
    return outcome(opened, partitions.sink(job, phase, batches))


class Partitions(unittest.TestCase):
    def test_the_answer_is_the_same_with_fused_stages_and_without(self) -> None:
        for name, items in (("null", 100), ("pipeline", 100), ("word_count", 100), ("null", 0), ("word_count", 0)):
            opened = pickle.loads(pickle.dumps(workload(name, items)))
            expected = run(opened, items)
            self.assertEqual(fused(opened), expected, name)
            self.assertEqual(staged(opened), expected, name)

    def test_slices_are_dealt_to_tasks_in_turn(self) -> None:
        spec = Spec("null", 50, 2, "default", 7, {"batch_size": 8})
        dealt = [list(spec.dealt_slices(task, TASKS)) for task in range(TASKS)]
        self.assertEqual(dealt, [[(0, 8), (24, 8), (48, 2)], [(8, 8), (32, 8)], [(16, 8), (40, 8)]])
        self.assertEqual(sorted(slice for task in dealt for slice in task), list(spec.slices()))

    def test_an_error_of_the_workload_is_found_in_the_text(self) -> None:
        with self.assertRaises(RuntimeError) as raised:
            list(partitions.advance(Job(workload()), 1, b"rubbish"))
        found = workload_error_in(f"Job aborted:\n  {raised.exception}\n  at java.lang.Thread")
        assert isinstance(raised.exception.__cause__, WorkloadError) and found is not None
        self.assertEqual((found.status, found.message), raised.exception.__cause__.args)
        self.assertIsNone(workload_error_in("Job aborted"))


if __name__ == "__main__":
    unittest.main()
