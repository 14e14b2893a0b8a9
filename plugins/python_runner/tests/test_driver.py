"""The pool: every item once, a bounded number of batches in flight, and the first failure reported."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, TypeVar
from unittest import mock

import driver
from crossrun_engine import CancelledError, RunContext, Session, Spec, State, Workload, WorkloadError, phases

LIBRARY = os.environ["CROSSRUN_TEST_LIBRARY"]

Answer = TypeVar("Answer")


def memory(what: str) -> int:
    """`VmRSS`, the resident memory of this process in bytes, or `VmHWM`, its peak since it was last forgotten."""
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith(what))
    return int(line.split()[1]) * 1024


def spec(name: str, items: int, parallelism: int, **extra: Any) -> Spec:
    return Spec(name, items, parallelism, "default", 7, extra)


def opened(of: Spec, kind: type[Workload] = Workload) -> Workload:
    with open(LIBRARY, "rb") as file:
        sha256 = hashlib.sha256(file.read()).hexdigest()
    text = {"schema": 1, "name": of.name, "total_items": of.total_items, "seed": of.seed, "extra": of.extra}
    text["use"] = list(of.granted)
    return kind(LIBRARY, sha256, json.dumps(text))


def wait_for(condition: Callable[[], bool]) -> None:
    """Ends only what would never come: the machine may be busy with much else."""
    deadline = time.monotonic() + 300
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.001)


class Watched(Workload):
    """Counts how many of its calls are under way."""

    lock = threading.Lock()
    now = most = calls = 0
    fails_at = -1
    # A call is not over before so many were under way at once.
    crowd = 0

    def _watch(self, call: Callable[..., Answer], *arguments: Any) -> Answer:
        with Watched.lock:
            Watched.now += 1
            Watched.calls += 1
            Watched.most = max(Watched.most, Watched.now)
            fails = Watched.calls == Watched.fails_at
        try:
            if fails:
                raise WorkloadError(4, "this call fails")
            wait_for(lambda: Watched.most >= Watched.crowd)
            time.sleep(0.0005)
            return call(*arguments)
        finally:
            with Watched.lock:
                Watched.now -= 1

    def source(self, first: int, count: int, to: int) -> bytes:
        return self._watch(super().source, first, count, to)

    def run_stages(self, from_: int, to: int, batch: bytes) -> bytes:
        return self._watch(super().run_stages, from_, to, batch)

    def split(self, stage: int, batch: bytes, partitions: int) -> list[bytes]:
        return self._watch(super().split, stage, batch, partitions)


class Pooled(unittest.TestCase):
    def setUp(self) -> None:
        self.cancel = threading.Event()
        self.context = RunContext(Path("."), self.cancel, lambda _: None)
        Watched.now = Watched.most = Watched.calls = 0
        Watched.fails_at = -1
        Watched.crowd = 0

    def execute(self, of: Spec, workload: Workload) -> bytes:
        with ThreadPoolExecutor(of.parallelism) as pool:
            return driver.Run(pool, of, workload, self.context).execute()

    def test_threads_batches_and_fusion_do_not_change_the_answer(self) -> None:
        for name in ("null", "pipeline", "word_count", "imbalance"):
            outcomes = set()
            for parallelism, size, fusion in [(1, 1, "auto"), (4, 1, "off"), (2, 7, "off"), (3, 64, "auto")]:
                of = spec(name, 200, parallelism)
                workload = opened(of)
                shaped = spec(name, 200, parallelism, batch_size=size, fusion=fusion)
                outcome = workload.outcome(self.execute(shaped, workload))
                outcomes.add((outcome["count"], outcome["checksum"]))
            self.assertEqual(len(outcomes), 1, name)

    def test_no_more_calls_are_under_way_than_parallelism(self) -> None:
        for fusion in ("auto", "off"):
            Watched.most, Watched.crowd = 0, 3
            of = spec("word_count", 200, 3, fusion=fusion)
            self.execute(of, opened(of, Watched))
            self.assertEqual(Watched.most, 3, fusion)

    def test_unfused_is_a_call_for_each_stage_and_batch(self) -> None:
        of = spec("pipeline", 40, 2, fusion="off")
        workload = opened(of, Watched)
        self.execute(of, workload)
        self.assertEqual(Watched.calls, 40 * (workload.sink))

    def test_a_batch_that_a_filter_has_emptied_goes_no_further(self) -> None:
        of = spec("pipeline", 40, 2, fusion="off")
        workload = opened(of)
        submit: Any = ThreadPoolExecutor.submit
        tasks: list[Any] = []

        def counted(pool: ThreadPoolExecutor, *task: Any) -> Any:
            tasks.append(task)
            return submit(pool, *task)

        with mock.patch.object(ThreadPoolExecutor, "submit", counted):
            kept = workload.outcome(self.execute(of, workload))["count"]
        # A task for each stage and batch, of which the last folds. The filter, which is before the sink, drops half of the batches.
        self.assertEqual((kept, len(tasks)), (20, 40 * workload.sink + kept))

    def test_the_first_failure_ends_the_run(self) -> None:
        for fusion in ("auto", "off"):
            Watched.calls, Watched.fails_at = 0, 20
            of = spec("pipeline", 10_000, 2, fusion=fusion)
            with self.assertRaisesRegex(WorkloadError, "this call fails"):
                self.execute(of, opened(of, Watched))
            self.assertLess(Watched.calls, 10_000)

    def test_cancelling_ends_the_run(self) -> None:
        of = spec("pipeline", 1_000_000, 2)
        timer = threading.Timer(0.1, self.cancel.set)
        timer.start()
        with self.assertRaises(CancelledError):
            self.execute(of, opened(of, Watched))
        timer.join()
        self.assertLess(Watched.calls, 1_000_000)

    def emissions_until_it_ends(self, of: Spec) -> int:
        """How many batches a run emits that is to stop at the third."""
        emitted = State.emit
        emissions = []

        def emit(state: State, limit: int) -> bytes:
            emissions.append(limit)
            if len(emissions) >= 3:
                self.cancel.set()
                wait_for(lambda: run._chains._cancelled)
            return emitted(state, limit)

        with ThreadPoolExecutor(of.parallelism) as pool, mock.patch.object(State, "emit", emit):
            run = driver.Run(pool, of, opened(of), self.context)
            with self.assertRaises(CancelledError):
                run.execute()
        self.cancel.clear()
        return len(emissions)

    def test_cancelling_ends_an_emission_between_two_batches(self) -> None:
        for fusion in ("auto", "off"):
            # Each of the two threads may have been in one.
            emissions = self.emissions_until_it_ends(spec("word_count", 2000, 2, fusion=fusion))
            self.assertLessEqual(emissions, 4, fusion)

    def test_a_million_items_take_no_more_memory_than_a_few(self) -> None:
        of = spec("null", 1_000_000, 2, batch_size=1000)
        workload = opened(of)
        self.execute(spec("null", 20_000, 2, batch_size=1000), workload)
        with open("/proc/self/clear_refs", "w") as peak:
            peak.write("5")
        before = memory("VmHWM")
        state = self.execute(of, workload)
        self.assertEqual(workload.outcome(state)["count"], 1_000_000)
        self.assertLess(memory("VmHWM") - before, 16 << 20)


class Merging(unittest.TestCase):
    def test_states_of_all_threads_are_merged(self) -> None:
        of = spec("null", 8, 1)
        workload = opened(of)
        terminals = driver.Terminals(workload, phases(workload, 1)[-1])
        threads = [
            threading.Thread(target=terminals.fold, args=(workload.source(first, 2, 1),)) for first in range(0, 8, 2)
        ]
        for thread in threads:
            thread.start()
            thread.join()
        merged = terminals.merged(0)
        self.assertIsInstance(merged, State)
        self.assertEqual(workload.outcome(merged.encode())["count"], 8)


class Unneeded(unittest.TestCase):
    def folded(self, *lengths: int) -> list[int]:
        """How many outputs are folded together of outputs that are so long."""
        workload = mock.Mock()
        with mock.patch.object(driver, "batch_of", len):
            unneeded = driver.UnneededOutputs(workload)
            for length in lengths:
                unneeded.add(bytes(length))
            unneeded.finish()
        return [call.args[0] for call in workload.new_sink().fold.call_args_list]

    def test_outputs_are_folded_some_at_a_time_and_long_ones_alone(self) -> None:
        self.assertEqual(self.folded(*[24] * 600), [256, 256, 88])
        self.assertEqual(self.folded(*[1 << 20] * 3), [1, 1, 1])
        self.assertEqual(self.folded(24, 24, 1 << 23, 24, 1 << 19), [2, 1, 2])
        self.assertEqual(self.folded(), [])

    def test_every_output_of_a_graph_comes_to_the_sink(self) -> None:
        of = Spec("task_graph", 2000, 3, "default", 7, {"pattern": "trivial", "width": 5, "iters": 0}, ("graph",))
        workload, context = opened(of), RunContext(Path("."), threading.Event(), lambda _: None)
        with ThreadPoolExecutor(3) as pool:
            state = driver.GraphRun(pool, of, workload, context).execute()
        self.assertEqual(workload.outcome(state)["count"], 2000)


class Reporting(unittest.TestCase):
    def test_a_run_closes_with_a_reduction_and_in_either_form(self) -> None:
        python, context = driver.PythonDriver(), RunContext(Path("."), threading.Event(), lambda _: None)
        python.open(Session(2, 1, {}, Path("."), Path(".")))
        try:
            for name, closes in (("nexmark_q5", True), ("nexmark_q1", False)):
                for fusion in ("auto", "off"):
                    of = Spec(name, 200, 2, "default", 7, {"fusion": fusion}, ("watermarks",))
                    metrics = python.run(of, opened(of), context).metrics
                    self.assertEqual(metrics["closes"], closes, (name, fusion))
        finally:
            python.close()


class Opening(unittest.TestCase):
    def test_threads_that_have_started_do_not_wait_for_those_that_cannot(self) -> None:
        submit, python = ThreadPoolExecutor.submit, driver.PythonDriver()

        def start(pool: ThreadPoolExecutor, task: Callable[..., Any]) -> Any:
            if pool._threads:
                raise RuntimeError("can't start new thread")
            return submit(pool, task)

        together = threading.Barrier(2)
        known = mock.patch.object(threading, "Barrier", return_value=together)
        failing = mock.patch.object(ThreadPoolExecutor, "submit", start)
        with known, failing, self.assertRaisesRegex(RuntimeError, "new thread"):
            python.open(Session(2, 1, {}, Path("."), Path(".")))
        closing = threading.Thread(target=python.close, daemon=True)
        closing.start()
        closing.join(300)
        is_stuck = closing.is_alive()
        # Python waits for the threads of each pool when it ends, so that this would not.
        together.abort()
        self.assertFalse(is_stuck, "the first thread waits for the second")


if __name__ == "__main__":
    unittest.main()
