"""The workload library through ctypes: answers, errors, threads, processes."""

from __future__ import annotations

import concurrent.futures
import gc
import hashlib
import json
import multiprocessing
import os
import pickle
import shutil
import tempfile
import threading
import time
import unittest
from collections.abc import Callable
from ctypes import string_at
from typing import Any
from unittest import mock

from crossrun_engine import Stage, UnavailableError, UnsupportedError, Workload, WorkloadError, item_count, kernel

LIBRARY = os.environ["CROSSRUN_TEST_LIBRARY"]


def sha256_of(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


SHA256 = sha256_of(LIBRARY)


def workload(name: str = "word_count", items: int = 100, **extra: Any) -> Workload:
    spec = {"schema": 1, "name": name, "total_items": items, "seed": 7, "extra": extra}
    return Workload(LIBRARY, SHA256, json.dumps(spec))


def run(opened: Workload, items: int = 100, size: int = 8, partitions: int = 3) -> dict[str, Any]:
    """The outcome of a plan with at most one keyed reduction, serially."""
    end = opened.end_of_chain(1)
    sink = opened.new_sink()
    batches = (opened.source(first, min(size, items - first), end) for first in range(0, items, size))
    if end == opened.sink:
        for batch in batches:
            sink.fold(batch)
        return opened.outcome(sink.encode())
    states = [opened.new_state(end) for _ in range(partitions)]
    for batch in batches:
        for state, part in zip(states, opened.split(end, batch, partitions)):
            state.fold(part)
    for state in states:
        with state:
            while item_count(batch := state.emit(5)):
                sink.fold(opened.run_stages(end + 1, opened.sink, batch))
    return opened.outcome(sink.encode())


def run_in_child(pickled: bytes) -> tuple[int, dict[str, Any]]:
    return os.getpid(), run(pickle.loads(pickled))


def memory(what: str) -> int:
    """`VmRSS`, the resident memory of this process in bytes, or `VmHWM`, its peak since it was last forgotten."""
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith(what))
    return int(line.split()[1]) * 1024


class Answers(unittest.TestCase):
    def test_a_plan_is_read(self) -> None:
        opened = workload("word_count")
        kinds = [stage.kind for stage in opened.plan]
        self.assertEqual((kinds[0], kinds[-1]), ("source", "sink"))
        self.assertIn("keyed_reduce", kinds)
        self.assertIsInstance(opened.plan[0], Stage)
        self.assertEqual(opened.sink, len(kinds) - 1)
        self.assertEqual(opened.end_of_chain(1), kinds.index("keyed_reduce"))
        self.assertEqual(opened.end_of_chain(opened.sink), opened.sink)
        self.assertFalse(opened.open_loop)
        self.assertTrue(workload("open_loop").open_loop)

    def test_batches_and_partitions_do_not_change_the_answer(self) -> None:
        expected = run(workload(), size=100, partitions=1)
        self.assertEqual(set(expected), {"count", "checksum"})
        for size, partitions in [(1, 1), (7, 2), (64, 5), (3, 300)]:
            self.assertEqual(run(workload(), size=size, partitions=partitions), expected)

    def test_the_key_of_each_item_is_given(self) -> None:
        opened = workload("word_count", 100)
        reduction = opened.end_of_chain(1)
        batch = opened.source(0, 100, reduction)
        keys = opened.keys(reduction, batch)
        self.assertEqual(len(keys), item_count(batch))
        owners: dict[bytes, int] = {}
        for number, part in enumerate(opened.split(reduction, batch, 3)):
            for key in opened.keys(reduction, part):
                self.assertEqual(owners.setdefault(key, number), number)
        self.assertEqual(set(owners), set(keys))
        with self.assertRaises(WorkloadError):
            opened.keys(opened.sink, batch)
        says = self.assertRaisesRegex(WorkloadError, "has no keys")
        with mock.patch.object(opened._open().library.functions, "keys", None), says:
            opened.keys(reduction, batch)

    def test_stages_one_by_one_are_stages_at_once(self) -> None:
        opened = workload("pipeline", iters=5)
        batch = opened.source(0, 50, 1)
        self.assertEqual(item_count(batch), 50)
        at_once = opened.source(0, 50, opened.sink)
        for stage in range(1, opened.sink):
            batch = opened.run_stages(stage, stage + 1, batch)
        self.assertEqual(batch, at_once)

    def test_states_merge_from_their_encoding(self) -> None:
        opened = workload("null", 10)
        whole, half = opened.new_sink(), opened.new_sink()
        whole.fold(opened.source(0, 4, 1))
        half.fold(opened.source(4, 6, 1))
        whole.merge(half.encode())
        self.assertEqual(opened.outcome(whole.encode()), run(workload("null", 10), 10))

    def test_a_state_may_outlive_its_workload(self) -> None:
        state = workload("null", 11).new_sink()
        kernel._process.opened.clear()
        gc.collect()
        state.fold(workload("null", 11).source(0, 11, 1))
        self.assertEqual(workload("null", 11).outcome(state.encode())["count"], 11)


class Errors(unittest.TestCase):
    def test_an_unknown_workload_is_a_spec_error(self) -> None:
        with self.assertRaises(WorkloadError) as raised:
            _ = workload("none_such").plan
        self.assertEqual(raised.exception.status, 3)
        self.assertIn("none_such", str(raised.exception))

    def test_rubbish_is_refused_and_the_workload_goes_on(self) -> None:
        opened = workload("null")
        for call in (
            lambda: opened.run_stages(1, 1, b"rubbish"),
            lambda: opened.new_sink().fold(b""),
            lambda: opened.new_sink().merge(b"rubbish"),
            lambda: opened.outcome(b"rubbish"),
            lambda: opened.source(99, 2, 1),
            lambda: opened.new_state(0),
            lambda: opened.split(1, b"", 0),
            lambda: opened.new_sink().emit(1),
        ):
            with self.assertRaises(WorkloadError) as raised:
                call()
            self.assertTrue(str(raised.exception))
        self.assertEqual(run(opened)["count"], 100)

    def test_what_is_longer_than_a_c_int_counts_comes_whole(self) -> None:
        opened = workload()
        expected = (opened.source(0, 8, 1), opened.split(1, opened.source(0, 8, 1), 2))

        def shorter(data: int, length: int) -> bytes:
            self.assertLessEqual(length, 16)
            return string_at(data, length)

        with mock.patch.multiple(kernel, _STRING_AT_MOST=16, string_at=shorter):
            self.assertEqual(expected, (opened.source(0, 8, 1), opened.split(1, opened.source(0, 8, 1), 2)))

    def test_a_closed_state_fails_and_closes_again(self) -> None:
        state = workload("null").new_sink()
        state.close()
        state.close()
        with self.assertRaises(WorkloadError):
            state.encode()

    def test_an_error_can_be_pickled(self) -> None:
        error = pickle.loads(pickle.dumps(WorkloadError(4, "it broke")))
        self.assertEqual((error.status, str(error)), (4, "it broke"))

    def test_a_library_that_is_not_the_one_is_refused(self) -> None:
        other = Workload(LIBRARY, "0" * 64, workload().spec)
        with self.assertRaisesRegex(UnavailableError, "its hash differs"):
            _ = other.plan
        gone = Workload("/no/such/library.so", SHA256, workload().spec)
        with self.assertRaisesRegex(UnavailableError, "cannot be read"):
            _ = gone.plan

    def test_a_file_that_is_no_library_is_refused(self) -> None:
        with self.assertRaisesRegex(UnavailableError, "cannot be opened"):
            _ = Workload(__file__, sha256_of(__file__), "{}").plan

    def test_a_library_of_another_major_version_is_named_whatever_functions_it_has(self) -> None:
        class Later:
            """A library that has nothing but its version."""

            def __getitem__(self, name: str) -> Any:
                if name != "crossrun_workload_abi_version":
                    raise AttributeError(name)
                return mock.Mock(return_value=2 << 16)

        says = self.assertRaisesRegex(UnavailableError, "has the workload ABI 2.0, but 1.x is needed")
        with mock.patch("ctypes.CDLL", lambda _: Later()), says:
            kernel._Functions("liblater.so")

    def test_a_file_that_changed_is_hashed_again(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "library.so")
            shutil.copy(LIBRARY, path)
            process, spec = kernel._Process(), workload("null").spec
            process.open((path, SHA256, spec), spec, None)
            os.unlink(path)
            shutil.copy(__file__, path)
            process.libraries.clear()
            with self.assertRaisesRegex(UnavailableError, "its hash differs"):
                spec = workload("pipeline").spec
                process.open((path, SHA256, spec), spec, None)


class Sharing(unittest.TestCase):
    def test_threads_share_a_workload(self) -> None:
        opened, expected = workload("word_count", 300), run(workload("word_count", 300), 300)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            outcomes = list(pool.map(lambda size: run(opened, 300, size), range(1, 25)))
        self.assertEqual(outcomes, [expected] * 24)

    def test_threads_share_a_state_one_call_at_a_time(self) -> None:
        # Two threads in one state of the real library are a data race. These functions notice two calls at once.
        under_way, most = 0, 0

        def call(*_: object) -> int:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            time.sleep(0.001)
            under_way -= 1
            return 0

        functions = mock.Mock(state_fold=call, state_merge=call, state_encode=call, state_emit=call, state_free=call)
        state = kernel.State(mock.Mock(functions=functions), 1)
        calls: list[Callable[[], object]] = [
            lambda: state.fold(b""),
            lambda: state.merge(b""),
            state.encode,
            lambda: state.emit(1),
            state.close,
        ]
        with concurrent.futures.ThreadPoolExecutor(10) as pool:
            for done in [pool.submit(call) for call in calls * 4]:
                done.result()
        self.assertEqual(most, 1)

    def test_a_thread_that_ends_gives_its_buffers_back(self) -> None:
        opened = workload("null", 200_000)
        opened.source(0, 200_000, 1)
        before = memory("VmRSS")
        for _ in range(100):
            thread = threading.Thread(target=opened.source, args=(0, 200_000, 1))
            thread.start()
            thread.join()
        self.assertLess(memory("VmRSS") - before, 64 << 20)

    def test_what_travels_is_small_and_opens_once_in_a_process(self) -> None:
        opened = workload("null")
        run(opened)
        travelled = pickle.dumps(opened)
        self.assertLess(len(travelled), 1000)
        one, two = pickle.loads(travelled), pickle.loads(travelled)
        self.assertEqual((one.path, one.sha256, one.spec), (opened.path, opened.sha256, opened.spec))
        self.assertEqual(run(one), run(two))
        self.assertIs(one._opened, two._opened)

    def test_only_the_last_workloads_stay_open(self) -> None:
        for items in range(20):
            run(workload("null", items), items)
        self.assertLessEqual(len(kernel._process.opened), 4)

    def test_a_workload_that_is_prepared_is_open_alone_and_is_not_late(self) -> None:
        first, second = workload("null", 10), workload("null", 20)
        first.prepare()
        run(first, 10)
        self.assertEqual(kernel.late_opens(), 0)
        run(second, 20)
        self.assertEqual((kernel.late_opens(), kernel.late_opens()), (1, 0))
        second.prepare()
        self.assertEqual(len(kernel._process.opened), 1)
        run(first, 10)
        self.assertEqual(run(second, 20)["count"], 20)

    def test_an_open_loop_that_is_open_is_told_its_start(self) -> None:
        def open_loop(**start: int) -> Workload:
            spec = {"schema": 1, "name": "open_loop", "total_items": 1, "seed": 7, "extra": {}, **start}
            return Workload(LIBRARY, SHA256, json.dumps(spec, sort_keys=True))

        def made(opened: Workload) -> int:
            # The last 8 bytes of an item are when it was made.
            return int.from_bytes(opened.source(0, 1, 1)[-8:], "little") & ~(1 << 63)

        now = time.monotonic_ns()
        open_loop().prepare()
        self.assertLess(made(open_loop()), now)
        started = pickle.loads(pickle.dumps(open_loop(start_nanos=1)))
        self.assertEqual(json.loads(started.spec)["start_nanos"], 1)
        self.assertGreater(made(started), now)
        self.assertEqual(kernel.late_opens(), 0)
        # A library of API 1.0 is opened once more.
        with mock.patch.object(started._opened.library.functions, "start", None):
            self.assertLess(made(open_loop(start_nanos=now)), now)
        self.assertEqual(kernel.late_opens(), 1)

    def test_an_open_loop_that_started_by_the_clock_of_another_machine_is_refused(self) -> None:
        def made(on: str, **start: int) -> Workload:
            spec = {"schema": 1, "name": "open_loop", "total_items": 1, "seed": 7, "extra": {}, **start}
            with mock.patch.object(kernel, "_boot_id", lambda: on):
                made_there = Workload(LIBRARY, SHA256, json.dumps(spec, sort_keys=True))
            there: Workload = pickle.loads(pickle.dumps(made_there))
            self.assertEqual(there.boot, on)
            return there

        refused = "the clock of the machine that crossrun runs on, and this worker is on another one"
        calls: list[Callable[[Workload], object]] = [
            lambda opened: opened.prepare(),
            lambda opened: opened.plan,
            lambda opened: opened.source(0, 1, 1),
        ]
        with mock.patch.object(kernel, "_boot_id", lambda: "here"):
            for call in calls:
                with self.assertRaisesRegex(UnsupportedError, refused):
                    call(made("there", start_nanos=1))
            # Before its run it has no start. Where a machine cannot be told from others, nothing is refused.
            for opened in (made("there"), made("here", start_nanos=1), made("", start_nanos=1)):
                self.assertTrue(opened.open_loop)
        with mock.patch.object(kernel, "_boot_id", lambda: ""):
            self.assertTrue(made("there", start_nanos=1).open_loop)

    def test_another_process_computes_the_same(self) -> None:
        expected, pickled = run(workload()), pickle.dumps(workload())
        for method in ("fork", "spawn", "forkserver"):
            context = multiprocessing.get_context(method)
            with context.Pool(2) as pool:
                (child, outcome), *_ = pool.map(run_in_child, [pickled] * 4)
            self.assertNotEqual(child, os.getpid())
            self.assertEqual(outcome, expected, method)

    def test_a_fork_goes_on_with_what_is_open(self) -> None:
        opened = workload()
        expected = run(opened)
        with kernel._process.lock:
            child = os.fork()
            if child == 0:
                # The lock that the parent holds is not the child's: it can open another workload.
                correct = run(opened) == expected and run(workload("null"))["count"] == 100
                os._exit(0 if correct else 1)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)

    def test_calls_do_not_leak(self) -> None:
        opened = workload("word_count", 1000)
        reduction = opened.end_of_chain(1)
        batch = opened.source(0, 1000, reduction)

        def calls(times: int) -> None:
            for partitions in [3, 5] * times:
                opened.split(reduction, batch, partitions)
                state = opened.new_state(reduction)
                state.fold(batch)
                state.merge(state.encode())

        calls(10)
        before = memory("VmRSS")
        calls(1000)
        self.assertLess(memory("VmRSS") - before, 8 << 20)


if __name__ == "__main__":
    unittest.main()
