"""Whole runs that close what has ended while the input goes on: right answers, what is open only, and no right answer against the rules."""

from __future__ import annotations

import concurrent.futures
import threading
import unittest
from collections.abc import Collection, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable
from unittest import mock

from example_driver import Pool, resolved
from test_futures import Actors, opened, spec

from crossrun_engine import (
    ActorsRun,
    Encoded,
    FuturesRun,
    Job,
    Replica,
    RunContext,
    Spec,
    UnsupportedError,
    WorkloadError,
    actors,
    closes,
    closing_futures,
    due_warnings,
    merged,
    tasks,
)
from crossrun_engine.closing import Slices, emitted_until

EVENTS = 3000

# Queries with ends that many events have passed.
QUERIES: list[tuple[str, dict[str, Any]]] = [
    ("nexmark_q4", {"rate": 20000}),
    ("nexmark_q5", {"window_ms": 200, "slide_ms": 50}),
    ("nexmark_q7", {"window_ms": 100}),
    ("nexmark_q8", {"window_ms": 200}),
    ("nexmark_q9", {"rate": 20000}),
    ("nexmark_q11", {"gap_ms": 20}),
]

# Parallelism, batch size and window.
SHAPES = [(1, 64, 8), (2, 7, 64), (3, 64, 8), (2, 1000, 4)]


def closing(name: str, extra: dict[str, Any], parallelism: int, batch_size: int) -> Spec:
    """A run that closes."""
    return replace(spec(name, EVENTS, parallelism, batch_size=batch_size, **extra), granted=("watermarks",))


class Left(Pool):
    """How many bytes partitions had when the input had ended, and how many rounds there were."""

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        self.left = self.rounds = 0

    def map(self, task: Callable[..., Any], *columns: Sequence[Any], **fixed: Any) -> list[Future[Any]]:
        if task is tasks.emit_to_end:
            _, own, *unmerged = columns
            ended = [resolved(column[0])[0] for column in unmerged]
            self.left += sum(len(state) for states in [own, *ended] for state in states if state is not None)
        self.rounds += task is tasks.close
        return super().map(task, *columns, **fixed)


class InStep(Actors):
    """No actor is left behind for long: all that is in flight is waited for. A busy machine may stop one while the others do all the rest."""

    def wait(self, futures: Collection[Future[Any]], number: int, timeout: float) -> list[Future[Any]]:
        concurrent.futures.wait(futures, 300)
        return super().wait(futures, number, timeout)


class FirstIsLast(Pool):
    """The first batch is not done before the last one that can be in flight beside it."""

    def __init__(self, threads: int, items: int) -> None:
        super().__init__(threads)
        self._items, self._others_are_done = items, threading.Event()

    def map(self, task: Callable[..., Any], *columns: Sequence[Any], **fixed: Any) -> list[Future[Any]]:
        def in_turn(first: int, count: int, **how: Any) -> Any:
            if first == 0:
                self._others_are_done.wait(30)
            ended = tasks.source_to_end(first, count, **how)
            if first + count >= self._items:
                self._others_are_done.set()
            return ended

        return super().map(in_turn if task is tasks.source_to_end else task, *columns, **fixed)


class LeftReplica(Replica):
    """How many bytes the partitions of all had when the input had ended."""

    left = 0

    def collect(self, *parts: Encoded) -> None:
        """Counts them."""
        super().collect(*parts)
        LeftReplica.left += len(self._emitting.encode())


class HastyReplica(Replica):
    """Closes each part by itself, before it is in the owner's state."""

    def close(self, place: int, time: int, limit: int, *parts: Encoded) -> None:
        """Closes, and then merges."""
        rests = []
        for part in parts:
            state = merged(self._workload, self._terminals[place].phase.end, [part])
            for batch in emitted_until(state, time, limit):
                self._terminals[place + 1].carry(batch)
            rests.append(state.encode())
        super().close(place, 0, limit, *rests)


def hasty_close(partition: int, own: Encoded, *ended: Any, **how: Any) -> tasks.Closed:
    """Closes what each batch has come to by itself, before it is in the owner's state."""
    alone = [CLOSE(partition, None, one, **how) for one in ended]
    states, work = tasks.combine(*((states, work) for states, work, _ in alone), job=how["job"], phase=how["following"])
    stage = how["phase"].end
    left = merged(how["job"].open(), stage, [own, *(left for _, _, left in alone)])
    return states, work, left.encode()


CLOSE = tasks.close


class LatestSlices(Slices):
    """Takes the last slice that is done for the first that is not."""

    def finish(self, first: int, count: int) -> None:
        """Passes over what is in flight."""
        self.low = max(self.low, first + count)


class Runs(unittest.TestCase):
    def setUp(self) -> None:
        self.context = RunContext(Path("."), threading.Event(), lambda _: None)

    def outcome(self, of: Spec, pool: Pool, size: int) -> dict[str, Any]:
        job = Job(opened(of))
        with pool.executor:
            return job.workload.outcome(FuturesRun(pool, job, of, self.context, size).execute())

    def actors_outcome(
        self, of: Spec, size: int, kind: type[Replica] = Replica, engine: type[Actors] = Actors
    ) -> tuple[dict[str, Any], Actors]:
        job, pool = Job(opened(of)), engine(of.parallelism, threading.Event())
        pool.replicas = [kind() for _ in pool.replicas]
        try:
            return job.workload.outcome(ActorsRun(pool, job, of, self.context, size).execute()), pool
        finally:
            pool.close()

    def expected(self, of: Spec) -> dict[str, Any]:
        return self.outcome(replace(of, granted=()), Pool(1), 8)

    def assert_wrong(self, of: Spec, run: Callable[[Spec], dict[str, Any]]) -> None:
        """Another answer, or what is late is refused; in one of some runs, as it depends on which slice is done first."""
        expected = self.expected(of)
        for _ in range(20):
            try:
                answer = run(of)
            except WorkloadError as error:
                self.assertIn("came after the state was closed", str(error))
                return
            if answer != expected:
                return
        self.fail(f"{of.name}: each answer is right")

    def test_no_shape_changes_the_answer(self) -> None:
        for name, extra in QUERIES:
            for parallelism, batch_size, size in SHAPES:
                of = closing(name, extra, parallelism, batch_size)
                pool = Left(parallelism)
                found, workers = self.actors_outcome(of, size)
                outcomes = [self.outcome(of, pool, size), found]
                self.assertEqual(outcomes, [self.expected(of)] * 2, (of, size))
                if batch_size < 1000:
                    self.assertGreaterEqual(pool.rounds, 2, (of, size))
                    # On a busy machine all else may be done before a second round begins.
                    self.assertGreaterEqual(workers.calls["close"], parallelism, (of, size))

    def test_without_fusion_all_is_emitted_at_the_end(self) -> None:
        of = closing("nexmark_q5", {"fusion": "off"}, 2, 64)
        pool = Left(2)
        found, workers = self.actors_outcome(of, 8)
        self.assertEqual([self.outcome(of, pool, 8), found], [self.expected(of)] * 2)
        self.assertEqual((pool.rounds, workers.calls.get("close")), (0, None))

    def test_only_a_run_with_a_reduction_and_fusion_closes(self) -> None:
        cases = [("nexmark_q5", "auto", True), ("nexmark_q5", "off", False), ("nexmark_q1", "auto", False)]
        for name, fusion, expected in cases:
            of = closing(name, {"fusion": fusion}, 2, 64)
            self.assertEqual(closes(of, opened(of)), expected, (name, fusion))

    def test_results_that_are_due_are_closed_after_each_batch_and_have_a_latency_each(self) -> None:
        extra = {"window_ms": 200, "slide_ms": 50, "arrivals": "poisson", "arrival_rate": 100_000}
        of = closing("nexmark_q5", extra, 2, 50)
        pool = Left(2)
        found, workers = self.actors_outcome(of, 4, engine=InStep)
        expected = self.expected(closing("nexmark_q5", {"window_ms": 200, "slide_ms": 50}, 2, 50))
        for outcome in (self.outcome(of, pool, 4), found):
            self.assertEqual((outcome["count"], outcome["checksum"]), (expected["count"], expected["checksum"]))
            latency = outcome["latency"]
            counts = [latency[kind]["count"] for kind in ("scheduled", "service", "lag")]
            self.assertEqual(counts, [outcome["count"], 0, 0])
        # Of 60 batches: a round takes two of actors at least, and any number of tasks that are done when it begins.
        self.assertGreater(pool.rounds, 4)
        self.assertGreater(workers.calls["close"], 8)

    def test_a_run_whose_results_are_due_is_warned_of_what_is_handed_out_ahead(self) -> None:
        for due, number in ((True, 1), (False, 0)):
            warnings = due_warnings(mock.Mock(has_due_results=due))
            self.assertEqual(len(warnings), number)
            self.assertTrue(all("behind batches that are not due" in warning for warning in warnings))

    def test_results_that_are_due_are_not_emitted_at_the_end(self) -> None:
        of = closing("nexmark_q5", {"arrivals": "poisson", "arrival_rate": 100_000, "fusion": "off"}, 2, 64)
        for run in (lambda: self.outcome(of, Pool(2), 8), lambda: self.actors_outcome(of, 8)):
            with self.assertRaisesRegex(UnsupportedError, "with fusion=off this backend emits them at the end"):
                run()

    def test_what_is_left_at_the_end_is_what_was_open(self) -> None:
        for name, extra in (QUERIES[place] for place in (1, 3, 5)):
            left = []
            for granted in ((), ("watermarks",)):
                of = replace(closing(name, extra, 2, 10), granted=granted)
                pool, LeftReplica.left = Left(2), 0
                self.outcome(of, pool, 8)
                self.actors_outcome(of, 8, LeftReplica, InStep)
                left.append((pool.left, LeftReplica.left))
            for whole, open_ in zip(*left):
                self.assertLess(open_, whole / 2, name)

    def test_what_closes_by_its_own_state_has_another_answer(self) -> None:
        for name, extra in QUERIES:
            of = closing(name, extra, 2, 10)
            self.assert_wrong(of, lambda of: self.actors_outcome(of, 8, HastyReplica)[0])
            with mock.patch.object(tasks, "close", hasty_close):
                self.assert_wrong(of, lambda of: self.outcome(of, Pool(2), 8))

    def test_a_slice_in_flight_holds_closing_back(self) -> None:
        # Each event has its own time, so that what is closed is up to what is done.
        of = closing("nexmark_q7", {"window_ms": 20, "disorder": 1}, 2, 10)
        expected = self.expected(of)
        self.assertEqual(self.outcome(of, FirstIsLast(2, 80), 8), expected)
        with mock.patch.object(closing_futures, "Slices", LatestSlices):
            self.assert_wrong(of, lambda of: self.outcome(of, FirstIsLast(2, 80), 8))

    def test_actors_that_close_ahead_of_what_was_handed_out_have_another_answer(self) -> None:
        of = closing("nexmark_q7", {"window_ms": 20}, 2, 10)
        begin = actors._Rounds.begin
        with mock.patch.object(actors._Rounds, "begin", lambda rounds, handed_out: begin(rounds, handed_out + 500)):
            self.assert_wrong(of, lambda of: self.actors_outcome(of, 8)[0])

    def test_the_first_slice_that_is_not_done_is_the_low(self) -> None:
        slices = Slices()
        for first, count, low in [(10, 5, 0), (0, 7, 7), (7, 3, 15), (15, 1, 16), (30, 1, 16)]:
            slices.finish(first, count)
            self.assertEqual(slices.low, low)


if __name__ == "__main__":
    unittest.main()
