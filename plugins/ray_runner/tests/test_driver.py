"""What the driver decides before Ray is imported. Needs no Ray."""

from __future__ import annotations

import importlib
import os
import sys
import threading
import unittest
import unittest.mock
from collections.abc import Callable
from pathlib import Path
from typing import Any

import driver
import environment
from crossrun_engine import CancelledError, RunContext, Session, Spec, UnavailableError

RAY = ("ray", "ray.exceptions", "ray.util", "ray.util.placement_group", "ray.util.scheduling_strategies")


def without_ray() -> Any:
    """The module `cluster`, on something that only looks like Ray."""
    with unittest.mock.patch.dict(sys.modules, {name: unittest.mock.MagicMock() for name in RAY}):
        return importlib.import_module("cluster")


def window(items: int, **extra: Any) -> int:
    return driver.actors_window(Spec("word_count", items, 2, "default", 7, extra), has_due_results=False)


class Window(unittest.TestCase):
    def test_what_waits_for_an_actor_is_not_bounded_by_the_items_of_its_batches(self) -> None:
        # Half of the 50 batches of each worker. Only 26 batches have no more than 262 144 items.
        self.assertEqual(window(1_000_000, batch_size=10_000), 50)
        self.assertEqual(window(1_000_000, batch_size=10_000, fusion="off"), 26)

    def test_it_is_bounded_however_many_batches_there_are(self) -> None:
        self.assertEqual(window(10**12, batch_size=10_000), 64)
        self.assertEqual(window(10**12), 64)

    def test_no_worker_is_idle_and_each_gets_its_share(self) -> None:
        self.assertEqual(window(1), 4)
        self.assertEqual(window(40), 20)

    def test_what_is_due_does_not_wait_for_batches_that_are_not(self) -> None:
        of = Spec("nexmark_q5", 10**6, 2, "default", 7, {})
        self.assertEqual(driver.actors_window(of, has_due_results=True), 4)


class Environment(unittest.TestCase):
    def test_workers_are_not_started_by_the_command_line_of_uv(self) -> None:
        with unittest.mock.patch.dict(os.environ, {"RAY_ENABLE_UV_RUN_RUNTIME_ENV": "1"}):
            environment.prepare("127.0.0.1:1")
            self.assertEqual(os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"], "0")

    def test_a_session_of_our_own_is_not_encrypted_because_a_cluster_is(self) -> None:
        for address, expected in ((None, "0"), ("127.0.0.1:1", "1")):
            with unittest.mock.patch.dict(os.environ, {"RAY_USE_TLS": "1"}):
                environment.prepare(address)
                self.assertEqual(os.environ["RAY_USE_TLS"], expected)

    def test_an_empty_variable_counts_as_none(self) -> None:
        empty = dict.fromkeys(("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_USAGE_STATS_ENABLED"), "")
        for address, mode in ((None, "token"), ("127.0.0.1:1", "disabled")):
            with unittest.mock.patch.dict(os.environ, empty):
                environment.prepare(address)
                self.assertEqual(os.environ["RAY_AUTH_MODE"], mode)
                self.assertEqual(os.environ["RAY_USAGE_STATS_ENABLED"], "0")
                self.assertEqual(bool(os.environ.get("RAY_AUTH_TOKEN")), address is None)
        given = {"RAY_AUTH_TOKEN": "", "RAY_AUTH_TOKEN_PATH": "/token", "RAY_AUTH_MODE": ""}
        for address, mode in ((None, "token"), ("127.0.0.1:1", "")):
            with unittest.mock.patch.dict(os.environ, given):
                environment.prepare(address)
                self.assertEqual((os.environ["RAY_AUTH_MODE"], os.environ["RAY_AUTH_TOKEN"]), (mode, ""))


class Idioms(unittest.TestCase):
    def test_actors_end_before_the_first_tasks_and_are_started_again_once(self) -> None:
        module, started = without_ray(), list[str]()

        def pool() -> Any:
            actors = module.Actors.__new__(module.Actors)
            actors._replicas = ["one", "two"]
            return actors

        def start(idiom: str, engine: Any) -> Any:
            started.append(idiom)
            return engine

        cluster = module.Cluster.__new__(module.Cluster)
        cluster._engines, cluster._parallelism, cluster.job = {"actors": pool()}, 2, unittest.mock.Mock()
        cluster._tasks = lambda _: start("tasks", unittest.mock.Mock())
        cluster._actors = lambda _: start("actors", pool())
        reached = unittest.mock.patch.object(module, "reach_processes")
        with reached, unittest.mock.patch.object(module.Actors, "prepare"):
            for idiom in ("tasks", "actors", "tasks", "actors"):
                cluster.prepare(idiom, unittest.mock.Mock(), unittest.mock.Mock())
        self.assertEqual(started, ["tasks", "actors"])
        self.assertEqual([call.args for call in module.ray.kill.call_args_list], [("one",), ("two",)])


class Travelling(unittest.TestCase):
    def test_modules_that_workers_import_are_called_as_no_file_in_the_current_folder_is(self) -> None:
        module = without_ray()
        for travels in (module.RayJob, module.Replica):
            self.assertTrue(travels.__module__.startswith("crossrun_"), travels.__module__)


class Reserved(unittest.TestCase):
    """Three processors of a cluster, on two machines that were asked for."""

    def setUp(self) -> None:
        self.module = without_ray()
        cluster = self.module.ExistingCluster
        self.cluster = cluster.__new__(cluster)
        self.cluster._session = Session(3, 2, {}, Path("."), Path("."))
        self.cluster._parallelism, self.cluster._address = 3, "10.0.0.1:6379"
        self.cancel = threading.Event()

    def prepare(self, machines: int, wait: Callable[[float], bool], placed: str) -> int:
        """How many runs are prepared: one, unless it is refused."""
        alive = {"a": True, "b": machines > 1}
        nodes = [{"NodeID": name, "Alive": alive[name], "Resources": {"CPU": 2.0}} for name in alive]
        self.module.ray.nodes = lambda: nodes
        self.cluster._group = unittest.mock.Mock(wait=wait)
        table = {"bundles_to_node_id": dict(enumerate(placed.split(",")))}
        context = RunContext(Path("."), self.cancel, lambda _: None)
        looks = unittest.mock.patch.object(self.module, "placement_group_table", lambda _: table)
        with looks, unittest.mock.patch.object(self.module.Cluster, "prepare") as prepared:
            self.cluster.prepare("tasks", unittest.mock.Mock(), context)
        return prepared.call_count

    def test_a_run_after_the_loss_of_a_node_is_refused_with_what_is_left(self) -> None:
        self.assertEqual(self.prepare(2, lambda _: True, "a,b,a"), 1)
        in_time = unittest.mock.patch.object(self.module, "RESERVING", 0.0)
        for placed, remedy in (("a,,a", "--parallelism 2"), (",,", None)):
            says = self.assertRaisesRegex(UnavailableError, "of the 3 processors that were reserved at 10.0.0.1:6379")
            with in_time, says as caught:
                self.prepare(2, lambda _: False, placed)
            self.assertEqual(caught.exception.remedy, remedy)
        # All processors are there: on one machine, as the other was lost or has none that is free.
        for machines in (1, 2):
            with self.assertRaisesRegex(UnavailableError, "2 nodes were asked for, but there is 1") as caught:
                self.prepare(machines, lambda _: True, "a,a,a")
            self.assertTrue(str(caught.exception.remedy).startswith("--nodes 1"))

    def test_a_session_whose_processors_are_on_fewer_machines_than_were_asked_for_is_refused(self) -> None:
        self.module.ray.cluster_resources = lambda: {"CPU": 4.0}
        self.cluster._leaving = unittest.mock.Mock()
        for placed, is_refused in ((["a", "b", "a"], False), (["a", "a", "a"], True)):
            table = {"bundles_to_node_id": dict(enumerate(placed))}
            with unittest.mock.patch.object(self.module, "placement_group_table", lambda _, table=table: table):
                if not is_refused:
                    self.cluster._reserve()
                    continue
                with self.assertRaisesRegex(UnavailableError, "2 nodes were asked for, but there is 1"):
                    self.cluster._reserve()

    def test_a_stop_ends_the_wait_for_others(self) -> None:
        def wait(_: float) -> bool:
            self.cancel.set()
            return False

        with self.assertRaises(CancelledError):
            self.prepare(2, wait, "a,b,a")


class Leaving(unittest.TestCase):
    def test_a_head_that_is_gone_keeps_nobody_from_leaving(self) -> None:
        module, left = without_ray(), list[str]()
        nodes = [{"NodeID": "a", "Alive": True, "Resources": {"CPU": 2.0}}]
        module.ray.nodes, module.ray.cluster_resources = lambda: nodes, lambda: {"CPU": 2.0}
        module.ray.shutdown = lambda: left.append("Ray")
        member = unittest.mock.Mock(close=lambda: left.append("the node"))
        gone = unittest.mock.Mock(side_effect=RuntimeError("the head is gone"))
        fakes: dict[str, Any] = {"Member": lambda *_: member, "SessionFolder": unittest.mock.Mock()}
        fakes["placement_group_table"] = lambda _: {"bundles_to_node_id": {0: "a", 1: "a"}}
        started = unittest.mock.patch.object(module.Cluster, "engine")
        with started, unittest.mock.patch.multiple(module, remove_placement_group=gone, **fakes):
            cluster = module.ExistingCluster("10.0.0.1:6379", Session(2, 1, {}, Path("."), Path(".")), "tasks")
            with self.assertRaisesRegex(RuntimeError, "the head is gone"):
                cluster.close()
        self.assertEqual((gone.call_count, left), (1, ["Ray", "the node"]))

    def test_what_fails_in_leaving_is_not_why_a_session_does_not_start(self) -> None:
        module = without_ray()
        module.ray.nodes = lambda: [{"NodeID": "a", "Alive": True, "Resources": {"CPU": 2.0}}]
        module.ray.shutdown = unittest.mock.Mock(side_effect=RuntimeError("the head is gone"))
        fakes: dict[str, Any] = {"SessionFolder": unittest.mock.Mock(), "object_store_bytes": lambda: 1}
        refused = self.assertRaisesRegex(UnavailableError, "2 nodes were asked for, but there is 1")
        with unittest.mock.patch.multiple(module, **fakes), refused:
            module.Cluster(Session(2, 2, {}, Path("."), Path(".")), "tasks")
        self.assertEqual(module.ray.shutdown.call_count, 1)


if __name__ == "__main__":
    unittest.main()
