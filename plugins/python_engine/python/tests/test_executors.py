"""Which workers of a cluster are used, and waiting for those of this machine that were lost."""

from __future__ import annotations

import errno
import unittest

from crossrun_engine import EngineError, UnavailableError
from crossrun_engine.executors import (
    Executor,
    Executors,
    LostError,
    Processes,
    failure_of,
    joined,
    other_versions,
    select_workers,
)


class SelectWorkers(unittest.TestCase):
    def test_hosts_take_turns_and_no_more_threads_are_taken_than_may_be_busy(self) -> None:
        threads = {"tcp://a:1": 1, "tcp://a:2": 1, "tcp://b:1": 1}
        self.assertEqual(select_workers(threads, 2), ["tcp://a:1", "tcp://b:1"])
        self.assertEqual(select_workers({"tcp://a:1": 4}, 2), [])

    def test_of_a_host_the_largest_that_fits_comes_first(self) -> None:
        self.assertEqual(select_workers({"tcp://a:1": 3, "tcp://a:2": 4}, 4), ["tcp://a:2"])
        self.assertEqual(select_workers({"tcp://a:1": 3, "tcp://a:2": 4}, 3), ["tcp://a:1"])


class Machines(Executors):
    """Machines a and b with two cores each, of which those named in `alive` are left."""

    alive = "ab"

    def all(self) -> list[Executor]:
        return [Executor(name, name, 2, name in self.alive, "it died") for name in "ab"]


class Losses(unittest.TestCase):
    def test_a_run_after_a_loss_is_refused_with_what_is_left(self) -> None:
        machines = Machines("the cluster", 2)
        machines.begin(4)
        for alive, cores, remedy in [("ab", 5, "--parallelism 4"), ("b", 2, "--nodes 1"), ("", 2, None)]:
            machines.alive = alive
            with self.assertRaises(UnavailableError) as caught:
                machines.begin(cores)
            self.assertEqual(caught.exception.remedy, remedy)


class Joining(unittest.TestCase):
    def test_only_who_was_not_there_has_joined(self) -> None:
        self.assertEqual(joined({"a", "b"}, {"a", "b", "c"}, 2), [])
        (warning,) = joined({"a", "d", "e"}, {"a", "b"}, 2)
        self.assertEqual(warning.split(" joined the cluster after the run was prepared")[0], "2 workers")


class Versions(unittest.TestCase):
    def test_each_package_that_differs_is_told_once(self) -> None:
        own = {"python": "3.11.7", "dask": "3", "numpy": "2"}
        self.assertEqual(other_versions(own, [{**own, "numpy": "1"}, own]), [])
        self.assertEqual(other_versions(own, []), [])
        (warning,) = other_versions(own, [{**own, "dask": "2"}, own, {"python": "3.11.7"}, {**own, "dask": "2"}])
        self.assertTrue(warning.startswith("the cluster has dask 2, none, and the driver 3"), warning)
        (warning,) = other_versions(own, [{**own, "dask": "2", "numpy": "1"}], ("python", "numpy"))
        self.assertTrue(warning.startswith("the cluster has numpy 1, and the driver 2"), warning)


class Failures(unittest.TestCase):
    def test_only_an_error_of_a_connection_says_that_it_is_lost(self) -> None:
        numbers = (errno.ECONNREFUSED, errno.EPIPE, errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH)
        for error in (OSError("in <TCP>: Stream is closed"), *(OSError(number, "it is gone") for number in numbers)):
            told = failure_of(error, "Dask", "the scheduler")
            self.assertIsInstance(told, LostError)
            self.assertEqual(str(told), f"the connection to the scheduler is lost: {error}")

    def test_what_a_task_raised_is_told_as_that(self) -> None:
        for number, remedy in ((errno.ENOENT, "one at a time"), (errno.ENOSPC, "more room"), (errno.EACCES, "None")):
            error = OSError(number, "a task failed")
            told = failure_of(error, "Dask", "the scheduler")
            assert isinstance(told, EngineError)
            self.assertEqual(str(told), f"a worker of Dask failed: {error}")
            self.assertIn(remedy, str(told.remedy))


class WorkerProcesses(unittest.TestCase):
    def test_a_run_waits_for_a_process_that_is_started_anew(self) -> None:
        seen = [{"a"}, {"a"}, {"a", "c"}, {"a", "c"}]
        processes, checks = Processes(lambda: seen.pop(0) if len(seen) > 1 else seen[0], 2, 60), list[int]()
        processes.begin(lambda: checks.append(1))
        self.assertEqual(len(checks), 2)
        self.assertEqual(processes.losses(), [])
        seen[:] = [{"a", "d"}]
        self.assertEqual(processes.losses(), ["1 of 2 worker processes were lost: their work was done again"])

    def test_one_that_stays_away_is_told(self) -> None:
        with self.assertRaisesRegex(UnavailableError, "of 2 worker processes 1 are left"):
            Processes(lambda: {"a"}, 2, 0).begin(lambda: None)


if __name__ == "__main__":
    unittest.main()
