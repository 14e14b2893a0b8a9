"""Runs on an engine of futures and one of actors: right answers, a bounded number in flight, a stop at any time."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import queue
import subprocess
import sys
import threading
import unittest
from collections.abc import Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable
from unittest import mock

from example_driver import ExampleDriver, Pool, resolved

from crossrun_engine import (
    ActorsEngine,
    ActorsRun,
    CancelledError,
    FuturesRun,
    Job,
    Replica,
    RunContext,
    Session,
    ShippedJob,
    Spec,
    UnavailableError,
    Workload,
    WorkloadError,
    called,
    reach_processes,
    report,
    tasks,
    window_size,
)
from crossrun_engine import futures as futures_module
from crossrun_engine.window import answered, taken

LIBRARY = os.environ["CROSSRUN_TEST_LIBRARY"]
SHA256 = hashlib.sha256(Path(LIBRARY).read_bytes()).hexdigest()

# Items, parallelism, batch size and window.
SHAPES = [(0, 2, 1, 8), (1, 1, 1, 1), (200, 1, 1, 1), (200, 2, 1, 3), (200, 3, 7, 64), (300, 4, 64, 8)]


def spec(name: str, items: int, parallelism: int, **extra: Any) -> Spec:
    return Spec(name, items, parallelism, "default", 7, extra)


def opened(of: Spec) -> Workload:
    text = {"schema": 1, "name": of.name, "total_items": of.total_items, "seed": of.seed, "extra": of.extra}
    text["use"] = list(of.granted)
    return Workload(LIBRARY, SHA256, json.dumps(text))


@dataclass(frozen=True)
class NamedJob(Job):
    """Each thread is a node."""

    def node(self) -> str:
        return threading.current_thread().name


@dataclass(frozen=True)
class BytesJob(ShippedJob):
    """The library comes from a file that workers do not open."""

    library: str

    def fetch(self) -> bytes:
        return Path(self.library).read_bytes()


class CountingPool(Pool):
    """Counts the batches in flight, as the window has them, and stops the run in a task with some name."""

    stops_at = ""

    def __init__(self, threads: int, cancel: threading.Event) -> None:
        super().__init__(threads)
        self.submitted: dict[str, int] = {}
        self.most = 0
        self._cancel = cancel

    def map(self, task: Callable[..., Any], *columns: Sequence[Any], **fixed: Any) -> list[Future[Any]]:
        name = task.__name__
        self.submitted[name] = self.submitted.get(name, 0) + len(columns[0])
        if name == self.stops_at:
            self._cancel.set()
        return super().map(task, *columns, **fixed)

    def wait(self, futures: Collection[Future[Any]], number: int, timeout: float) -> list[Future[Any]]:
        self.most = max(self.most, len(futures))
        return super().wait(futures, number, timeout)


class Actors(ActorsEngine["Future[Any]"]):
    """An actor is a thread that does one call after the other."""

    def __init__(self, number: int, cancel: threading.Event) -> None:
        self.replicas = [Replica() for _ in range(number)]
        self.threads = [ThreadPoolExecutor(1) for _ in range(number)]
        self.calls: dict[str, int] = {}
        self.stops_at = ""
        self.most = 0
        self._cancel = cancel

    def call(self, actor: int, method: str, *arguments: Any) -> Future[Any]:
        self.calls[method] = self.calls.get(method, 0) + 1
        if method == self.stops_at:
            self._cancel.set()
        function = getattr(self.replicas[actor], method)
        return self.threads[actor].submit(lambda: function(*map(resolved, arguments)))

    def call_for_several(self, actor: int, method: str, returns: int, *arguments: Any) -> list[Future[Any]]:
        whole = self.call(actor, method, *arguments)

        def value(place: int) -> Any:
            return whole.result() if returns == 1 else whole.result()[place]

        return [self.threads[actor].submit(value, place) for place in range(returns)]

    def wait(self, futures: Collection[Future[Any]], number: int, timeout: float) -> list[Future[Any]]:
        self.most = max(self.most, len(futures))
        return Pool.wait(self, futures, number, timeout)  # type: ignore[arg-type]

    def results(self, futures: Sequence[Future[Any]]) -> list[Any]:
        return [future.result() for future in futures]

    def cancel(self, futures: Collection[Future[Any]]) -> None:
        self.close()

    def close(self) -> None:
        for thread in self.threads:
            thread.shutdown(cancel_futures=True)


class Runs(unittest.TestCase):
    def setUp(self) -> None:
        self.cancel = threading.Event()
        self.context = RunContext(Path("."), self.cancel, lambda _: None)

    def expected(self, name: str, items: int) -> tuple[int, str]:
        of = spec(name, items, 1)
        return self.outcome(of, Pool(1), 1, Job(opened(of)))

    def outcome(self, of: Spec, pool: Pool, size: int, job: Job) -> tuple[int, str]:
        with pool.executor:
            state = FuturesRun(pool, job, of, self.context, size).execute()
        outcome = job.workload.outcome(state)
        return outcome["count"], outcome["checksum"]

    def actors_outcome(self, of: Spec, actors: Actors, size: int, job: Job) -> tuple[int, str]:
        outcome = job.workload.outcome(ActorsRun(actors, job, of, self.context, size).execute())
        actors.close()
        return outcome["count"], outcome["checksum"]

    def test_no_shape_changes_the_answer(self) -> None:
        for name in ("null", "pipeline", "word_count", "imbalance"):
            for items, parallelism, batch_size, size in SHAPES:
                expected = self.expected(name, items)
                for fusion in ("auto", "off"):
                    of = spec(name, items, parallelism, batch_size=batch_size, fusion=fusion)
                    job = Job(opened(of))
                    found = [
                        self.outcome(of, Pool(parallelism), size, job),
                        self.actors_outcome(of, Actors(parallelism, self.cancel), size, job),
                    ]
                    self.assertEqual(found, [expected] * 2, (name, items, parallelism, batch_size, size, fusion))

    def test_a_tree_of_more_levels_than_there_are_is_merged_by_the_driver(self) -> None:
        levels, futures_module.LEVELS = futures_module.LEVELS, 1
        self.addCleanup(setattr, futures_module, "LEVELS", levels)
        of = spec("word_count", 300, 2)
        pool = CountingPool(2, self.cancel)
        self.assertEqual(self.outcome(of, pool, 8, Job(opened(of))), self.expected("word_count", 300))
        self.assertEqual(pool.submitted["combine"], 150)

    def test_a_group_of_states_is_of_batches_that_an_engine_deals_to_one_worker(self) -> None:
        groups: list[list[int]] = []

        class Dealing(Pool):
            def map(self, task: Callable[..., Any], *columns: Sequence[Any], **fixed: Any) -> list[Future[Any]]:
                if task is tasks.source_to_end:
                    self.first = {
                        future: first for first, future in zip(columns[0], super().map(task, *columns, **fixed))
                    }
                    return list(self.first)
                if task is tasks.combine and not groups:
                    groups.extend([self.first[future] for future in group] for group in zip(*columns))
                return super().map(task, *columns, **fixed)

        of = spec("word_count", 200, 2)
        self.outcome(of, Dealing(2), 128, Job(opened(of)))
        self.assertEqual(groups, [list(range(0, 32, 2)), list(range(1, 32, 2))])

    def test_no_more_is_in_flight_than_the_window_allows(self) -> None:
        for fusion in ("auto", "off"):
            of = spec("word_count", 300, 2, fusion=fusion)
            pool, actors = CountingPool(2, self.cancel), Actors(2, self.cancel)
            job = Job(opened(of))
            self.outcome(of, pool, 8, job)
            self.actors_outcome(of, actors, 8, job)
            # Beside batches, those that count what was emitted are waited for: one for each partition. Of actors, those
            # that reduce and those that end the run.
            self.assertLessEqual(pool.most, 8 + 2, fusion)
            self.assertLessEqual(actors.most, 8 + 4, fusion)

    def test_what_is_emitted_is_made_as_there_is_room_for_it(self) -> None:
        of = spec("word_count", 3000, 2, batch_size=10, fusion="off")
        pool, actors = CountingPool(2, self.cancel), Actors(2, self.cancel)
        job = Job(opened(of))
        count, _ = self.outcome(of, pool, 8, job)
        self.actors_outcome(of, actors, 8, job)
        # Four batches of ten keys for each partition at a time.
        self.assertGreaterEqual(pool.submitted["emit_more"], count // 40 - 2)
        self.assertGreaterEqual(actors.calls["emit"], count // 40)

    def test_a_stop_ends_a_run_wherever_it_comes(self) -> None:
        tasks = {
            "auto": ["source_to_end", "combine", "emit_to_end"],
            "off": ["source", "end", "emit", "emit_more", "pick"],
        }
        calls = {"auto": ["begin", "feed", "reduce", "outcome"], "off": ["source", "end", "collect", "emit"]}
        for fusion in ("auto", "off"):
            of = spec("word_count", 1000, 2, batch_size=5, fusion=fusion)
            job = Job(opened(of))
            for task in tasks[fusion]:
                pool = CountingPool(2, self.cancel)
                pool.stops_at = task
                with self.assertRaises(CancelledError, msg=task):
                    self.outcome(of, pool, 4, job)
                self.assertLessEqual(pool.submitted[task], 4, task)
                self.cancel.clear()
            for call in calls[fusion]:
                actors = Actors(2, self.cancel)
                actors.stops_at = call
                with self.assertRaises(CancelledError, msg=call):
                    self.actors_outcome(of, actors, 4, job)
                self.assertLessEqual(actors.calls[call], 4, call)
                self.cancel.clear()

    def test_what_an_operator_says_is_raised(self) -> None:
        for fusion in ("auto", "off"):
            of = spec("pipeline", 100, 2, fusion=fusion)

            class Failing(Workload):
                __slots__ = ()

                def source(self, first: int, count: int, to: int) -> bytes:
                    if first == 50:
                        raise WorkloadError(4, "this call fails")
                    return super().source(first, count, to)

            workload = opened(of)
            job = Job(Failing(workload.path, workload.sha256, workload.spec))
            with self.assertRaisesRegex(WorkloadError, "this call fails"):
                self.outcome(of, Pool(2), 8, job)
            with self.assertRaisesRegex(WorkloadError, "this call fails"):
                self.actors_outcome(of, Actors(2, self.cancel), 8, job)

    def test_nodes_are_counted_by_the_batches_that_they_took_further(self) -> None:
        for fusion in ("auto", "off"):
            of = spec("null", 64, 2, fusion=fusion)
            job = NamedJob(opened(of))
            job.prepare()
            steps = 1 if fusion == "auto" else len(job.workload.plan)
            run = FuturesRun(Pool(2), job, of, self.context, 8)
            run.execute()
            self.assertEqual(sum(run.work.values()), 64 * steps)
            of = spec("word_count", 64, 2, fusion=fusion)
            run = FuturesRun(Pool(2), NamedJob(opened(of)), of, self.context, 8)
            run.execute()
            self.assertGreaterEqual(sum(run.work.values()), 64 * steps)

    def test_a_workload_that_was_not_prepared_is_counted_in_the_run(self) -> None:
        of = spec("word_count", 64, 2)
        for prepares in (True, False):
            opened(spec("null", 1, 1)).prepare()
            job, actors = Job(opened(of)), Actors(2, self.cancel)
            if prepares:
                job.prepare()
                actors.prepare(job, 2, self.context)
            # All threads are in one process, so that the second run finds the workload open.
            for run in (FuturesRun(Pool(2), job, of, self.context, 8), ActorsRun(actors, job, of, self.context, 8)):
                metrics = report(job.workload, run.execute(), "default", run.work, [], {}).metrics
                late = int(not prepares and isinstance(run, FuturesRun))
                self.assertEqual(metrics["late_opens"], late, (type(run), prepares))
            actors.close()
        sent = BytesJob(opened(of), LIBRARY)
        sent.prepare()
        self.assertEqual((sent.open().sink, sent.work({})), (job.workload.sink, {}))

    def test_a_library_that_was_sent_is_the_one_that_was_meant(self) -> None:
        of = spec("word_count", 100, 2)
        workload = opened(of)
        self.assertEqual(self.outcome(of, Pool(2), 8, BytesJob(workload, LIBRARY)), self.expected("word_count", 100))
        with self.assertRaises(UnavailableError):
            BytesJob(Workload(LIBRARY, "0" * 64, workload.spec), LIBRARY).open()

    def test_a_worker_knows_whose_clock_starts_what_was_sent(self) -> None:
        sent = BytesJob(Workload(LIBRARY, SHA256, opened(spec("null", 1, 1)).spec, "there"), LIBRARY)
        # The first one loads the library.
        with mock.patch.dict("crossrun_engine.job._received", clear=True):
            self.assertEqual([sent.open().boot for _ in range(2)], ["there", "there"])


class Processes(unittest.TestCase):
    def test_each_is_reached_before_it_is_timed(self) -> None:
        job = Job(opened(spec("word_count", 10, 2)))
        opened(spec("null", 1, 1)).prepare()
        reach_processes(Pool(2), job, 1, 600, lambda: None)
        # A workload that is open is not opened again, and so it is not late.
        self.assertEqual(job.work({}), {})
        # All threads are in one process: no second one is found, and that is not waited for longer.
        reach_processes(Pool(2), None, 2, 0, lambda: None)

    def test_two_of_one_number_on_machines_of_one_name_are_not_one(self) -> None:
        code = "from crossrun_engine.futures_engine import introduce; print(introduce(0, job=None)[0])"
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        said = [subprocess.check_output([sys.executable, "-c", code], env=environment) for _ in range(2)]
        self.assertNotEqual(*said)

    def test_a_stop_ends_it(self) -> None:
        def stop() -> None:
            raise CancelledError

        with self.assertRaises(CancelledError):
            reach_processes(Pool(2), None, 2, 600, stop)


class Queues(unittest.TestCase):
    def test_what_has_come_is_taken_up_to_a_number_or_a_time(self) -> None:
        finished: queue.SimpleQueue[int] = queue.SimpleQueue()
        for number in range(3):
            finished.put(number)
        self.assertEqual([taken(finished, 2, 600), taken(finished, 2, 0), taken(finished, 2, 0)], [[0, 1], [2], []])


class Calls(unittest.TestCase):
    def test_a_call_that_sees_no_stop_is_left_by_one_and_answers_otherwise(self) -> None:
        over = threading.Event()

        def stop() -> None:
            raise CancelledError

        with self.assertRaises(CancelledError):
            called(stop, over.wait)
        # It returns after a look.
        self.assertTrue(called(over.set, over.wait, 30))
        with self.assertRaisesRegex(UnavailableError, "gone"):
            called(lambda: None, self.fail_with, UnavailableError("gone"))

    def test_a_coroutine_answers_and_a_stop_cancels_it(self) -> None:
        begun, ended = threading.Event(), threading.Event()

        async def call() -> None:
            begun.set()
            try:
                await asyncio.sleep(600)
            finally:
                ended.set()

        def stop() -> None:
            begun.wait()
            raise CancelledError

        loop = asyncio.new_event_loop()
        running = threading.Thread(target=loop.run_forever)
        running.start()
        self.assertEqual(answered(asyncio.sleep(0, "here"), loop, lambda: None), "here")
        with self.assertRaises(CancelledError):
            answered(call(), loop, stop)
        self.assertTrue(ended.wait(600))
        loop.call_soon_threadsafe(loop.stop)
        running.join()
        loop.close()

    @staticmethod
    def fail_with(error: Exception) -> None:
        raise error


class Size(unittest.TestCase):
    def test_a_window_is_bounded_for_all_workers_and_leaves_none_idle(self) -> None:
        for items, parallelism, batch_size, fusion, size in [
            (1 << 30, 4, 1, "auto", 128),
            (1 << 30, 4, 10_000, "auto", 26),
            (1 << 30, 4, 100_000, "auto", 8),
            (1 << 30, 4, 100_000, "off", 4),
            (1 << 30, 1, 1 << 20, "off", 1),
            # Half of the batches.
            (100, 4, 1, "auto", 48),
            (1, 4, 1, "auto", 8),
            (1, 4, 1, "off", 4),
        ]:
            of = spec("null", items, parallelism, batch_size=batch_size, fusion=fusion)
            self.assertEqual(window_size(of, 32), size, (items, parallelism, batch_size, fusion))
        self.assertEqual(window_size(spec("null", 1 << 30, 4), 32, has_due_results=True), 8)


class Example(unittest.TestCase):
    def test_a_whole_driver_of_an_engine_of_futures_is_under_120_lines(self) -> None:
        driver = ExampleDriver()
        driver.open(Session(2, 1, {}, Path("."), Path(".")))
        of = Spec("word_count", 100, 2, "fifo", 7, {"batch_size": 7})
        result = driver.run(of, opened(of), RunContext(Path("."), threading.Event(), lambda _: None))
        driver.close()
        self.assertEqual(result.metrics["warnings"], ['scheduler "fifo" is unknown to example; it ran as "default"'])
        self.assertEqual(result.results_count, opened(of).outcome(result.sink_state)["count"])
        text = (Path(__file__).parent / "example_driver.py").read_text()
        self.assertLess(len(text.splitlines()), 120)


if __name__ == "__main__":
    unittest.main()
