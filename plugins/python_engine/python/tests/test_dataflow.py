"""A run on operators, here and on nodes: the answer, failures, and which runs a node keeps."""

from __future__ import annotations

import contextlib
import json
import pickle
import platform
import socket
import tempfile
import threading
import time
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

from test_kernel import LIBRARY, SHA256, run, workload

from crossrun_engine import (
    CancelledError,
    DataflowRun,
    Item,
    Operator,
    Part,
    RemoteReplicas,
    Replicas,
    ReplicaServer,
    RunContext,
    Spec,
    UnavailableError,
    UnsupportedError,
    Workload,
    WorkloadError,
    kernel,
)
from crossrun_engine.kernel import late_opens
from crossrun_engine.remote import MANY_RUNS, version_warnings

KEYS = (10, 11, 12)


def context() -> RunContext:
    return RunContext(Path("."), threading.Event(), lambda message: None)


def dataflow(opened: Workload, replicas: Replicas, fusion: str, run_context: RunContext) -> dict[str, Any]:
    """The outcome of a run whose items go through the operators one after the other."""
    told = json.loads(opened.spec)
    spec = Spec(told["name"], told["total_items"], len(KEYS), "default", 7, {"batch_size": 8, "fusion": fusion})
    flow = DataflowRun(spec, opened, run_context, replicas, KEYS)
    for source, operators in flow.phases():
        items: list[Item] = list(source)
        for operator in operators:
            items = [made for number, item in enumerate(items) for made in perform(flow, operator, number, item)]
        for batch in items:
            assert isinstance(batch, bytes)
            flow.deliver(batch)
    return opened.outcome(flow.sink_state())


def perform(flow: DataflowRun, operator: Operator, number: int, item: Item) -> list[Item]:
    replica = KEYS.index(item.partition_key) if isinstance(item, Part) else number % len(KEYS)
    return flow.perform(operator, replica, item)


class Nodes:
    """Two nodes in this process, and a driver that listens. What is sent is pickled, as on a network."""

    def __init__(self, folder: Path) -> None:
        self.driver = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.driver.getsockname()[1]}"
        self.servers = {name: ReplicaServer(folder / name) for name in ("one", "two")}
        self.sent = [0, 0]
        for name in self.servers:
            (folder / name).mkdir()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self.driver.accept()[0].close()

    def stop(self) -> None:
        # Closing alone does not end the thread that waits for a connection, which keeps the socket.
        with contextlib.suppress(OSError):
            self.driver.shutdown(socket.SHUT_RDWR)
        self.driver.close()

    def call(self, node: str, slot: int, method: str, *arguments: Any) -> Any:
        assert slot < 2, slot
        self.sent[node == "two"] += method == "take_library"
        return pickle.loads(pickle.dumps(getattr(self.servers[node], method)(*pickle.loads(pickle.dumps(arguments)))))

    def replicas(self, opened: Workload) -> RemoteReplicas:
        return RemoteReplicas(opened, list(self.servers), self.call, self.address)


class Runs(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.nodes = Nodes(Path(folder.name))
        self.addCleanup(self.nodes.stop)

    def test_the_answer_is_the_same_however_it_is_run(self) -> None:
        for name in ("null", "pipeline", "word_count"):
            opened = workload(name)
            expected = run(opened)
            for fusion in ("auto", "off"):
                self.assertEqual(dataflow(opened, Replicas(opened), fusion, context()), expected, f"{name} {fusion}")
                remote = self.nodes.replicas(opened)
                self.assertEqual(dataflow(opened, remote, fusion, context()), expected, f"{name} {fusion} on nodes")
                self.assertEqual(
                    sorted(remote.work), ["one", "two"], "known before the nodes are asked to free anything"
                )
                remote.close()
        idle = self.nodes.replicas(workload("null"))
        idle.perform(Operator(0, 1), 0, (0, 1))
        self.assertEqual(idle.work, {"one": 1}, "a node that served no call is left out")
        idle.close()
        pieces = -(-Path(LIBRARY).stat().st_size // (1 << 20))
        self.assertEqual(self.nodes.sent, [pieces, pieces], "the library is sent once")

    def test_a_workload_counts_as_opened_on_each_node_on_which_it_was_not_open(self) -> None:
        opened = workload("pipeline", 97)
        first, again = self.nodes.replicas(opened), self.nodes.replicas(opened)
        self.assertEqual((first.opens, again.opens), (2, 0))
        first.close()
        again.close()

    def test_a_node_with_other_versions_than_the_driver_is_told(self) -> None:
        ready = [self.nodes.call(name, 1, "ready") for name in self.nodes.servers]
        self.assertEqual(ready, [{"python": platform.python_version()}] * 2)
        # One of an earlier version of crossrun does not say.
        self.assertEqual(version_warnings([*ready, None], []), [])
        (warning,) = version_warnings([*ready, {"python": "3.1.4"}], [])
        self.assertTrue(warning.startswith("the cluster has python 3.1.4, and the driver 3."), warning)
        with mock.patch("importlib.metadata.version", return_value="2"):
            server = ReplicaServer(Path("."), ("tiny_engine",))
            self.assertEqual(version_warnings([server.ready()], ["tiny_engine"]), [])
            (warning,) = version_warnings([{**ready[0], "tiny_engine": "1"}], ["tiny_engine"])
        self.assertTrue(warning.startswith("the cluster has tiny_engine 1, and the driver 2"), warning)

    def test_a_package_without_a_version_is_none(self) -> None:
        told = ReplicaServer(Path("."), ("no_such_package",)).ready()
        self.assertEqual(told, {"python": platform.python_version()})
        self.assertEqual(version_warnings([told], ["no_such_package"]), [])
        with mock.patch("importlib.metadata.version", return_value="2"):
            (warning,) = version_warnings([told], ["no_such_package"])
        self.assertTrue(warning.startswith("the cluster has no_such_package none, and the driver 2"), warning)
        (warning,) = version_warnings([{**told, "no_such_package": "1"}], ["no_such_package"])
        self.assertTrue(warning.startswith("the cluster has no_such_package 1, and the driver none"), warning)

    def test_no_items_are_a_run_too(self) -> None:
        for name in ("null", "word_count"):
            opened = workload(name, 0)
            self.assertEqual(dataflow(opened, Replicas(opened), "auto", context())["count"], 0)

    def test_after_a_failure_items_come_to_nothing(self) -> None:
        opened = workload("null")
        spec = Spec("null", 100, 1, "default", 7, {})
        flow = DataflowRun(spec, opened, context(), Replicas(opened), KEYS[:1])
        with self.assertRaises(WorkloadError):
            flow.perform(Operator(0, 1), 0, (99, 2))
        self.assertEqual(flow.perform(Operator(0, 1), 0, (0, 1)), [])

    def test_a_stop_is_seen(self) -> None:
        cancel = threading.Event()
        cancel.set()
        opened = workload("null")
        with self.assertRaises(CancelledError):
            dataflow(opened, Replicas(opened), "auto", RunContext(Path("."), cancel, lambda message: None))

    def test_an_unknown_run_or_another_library_is_refused(self) -> None:
        server = self.nodes.servers["one"]
        with self.assertRaises(KeyError):
            server.emit("gone", 1, 0, 1)
        server.take_library("run", b"something else")
        server.keep_library("run", SHA256)
        with self.assertRaisesRegex(UnavailableError, "its hash differs"):
            server.open("run", self.nodes.address, SHA256, workload().spec)
        self.assertFalse(server.has_library(SHA256), "what is not the library is not kept")
        for name in ("../" + "a" * 61, ""):
            with self.assertRaises(ValueError):
                server.has_library(name)

    def test_a_node_that_fails_to_open_a_run_leaves_it_open_on_no_other(self) -> None:
        one, two = self.nodes.servers.values()
        fails = mock.patch.object(two, "open", side_effect=OSError("it is full"))
        with fails, self.assertRaisesRegex(OSError, "it is full"):
            self.nodes.replicas(workload("null"))
        self.assertEqual(one._runs, {})
        # What fails in closing is not what is told.
        lost = mock.patch.object(one, "close", side_effect=OSError("it is gone"))
        with fails, lost, self.assertRaisesRegex(OSError, "it is full"):
            self.nodes.replicas(workload("null"))

    def test_a_node_that_is_gone_at_the_end_leaves_the_run_open_on_no_other(self) -> None:
        one, two = self.nodes.servers.values()
        replicas = self.nodes.replicas(workload("null"))
        lost = mock.patch.object(one, "close", side_effect=OSError("it is gone"))
        with lost, self.assertRaisesRegex(OSError, "it is gone"):
            replicas.close()
        self.assertEqual(two._runs, {})

    def test_nodes_that_hang_at_the_end_are_waited_for_at_once(self) -> None:
        replicas = self.nodes.replicas(workload("null"))
        # Passed only by two calls at once; one that waits for the other in vain fails.
        both = threading.Barrier(2)
        with contextlib.ExitStack() as hang:
            for server in self.nodes.servers.values():
                closing = mock.patch.object(server, "close", side_effect=lambda run: both.wait(30))
                hang.enter_context(closing)
            replicas.close()
        replicas.close()

    def test_nodes_that_have_opened_an_open_loop_are_told_its_start(self) -> None:
        def open_loop(**start: int) -> Workload:
            told = {
                "schema": 1,
                "name": "open_loop",
                "total_items": 20,
                "seed": 7,
                "extra": {"rate": 1_000_000},
                **start,
            }
            return Workload(LIBRARY, SHA256, json.dumps(told, sort_keys=True))

        def made() -> int:
            (batch,) = replicas.perform(Operator(0, 1), 1, (0, 1))
            assert isinstance(batch, bytes)
            return int.from_bytes(batch[-8:], "little") & ~(1 << 63)

        replicas = self.nodes.replicas(open_loop())
        late_opens()
        now = time.monotonic_ns()
        self.assertLess(made(), now)
        opens = replicas.opens
        replicas.start(open_loop(start_nanos=1).spec)
        self.assertEqual(replicas.opens, opens, "a workload that is open is told its start")
        # It is longer ago that the machine was started.
        self.assertGreater(made(), now - 1)
        self.assertEqual(late_opens(), 0)
        replicas.close()

    def test_nodes_on_another_machine_refuse_the_start_of_an_open_loop(self) -> None:
        told = {"schema": 1, "name": "open_loop", "total_items": 1, "seed": 7, "extra": {}}
        replicas = self.nodes.replicas(Workload(LIBRARY, SHA256, json.dumps(told), "there"))
        with mock.patch.object(kernel, "_boot_id", lambda: "here"), self.assertRaises(UnsupportedError):
            replicas.start(json.dumps({**told, "start_nanos": 1}))
        replicas.close()


class KeptRuns(unittest.TestCase):
    def test_a_node_never_closes_the_run_of_a_driver_that_lives(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            nodes = Nodes(Path(folder))
            opened = workload("word_count")
            stage = opened.end_of_chain(1)
            alive = [nodes.replicas(opened) for _ in range(2 * MANY_RUNS)]
            dead = Nodes(Path(tempfile.mkdtemp(dir=folder)))
            dead.servers = nodes.servers
            dead.replicas(opened)
            dead.stop()
            one = nodes.servers["one"]
            self.assertEqual(len(one._runs), 2 * MANY_RUNS + 1)
            alive.append(nodes.replicas(opened))
            self.assertEqual(len(one._runs), 2 * MANY_RUNS + 1, "the run whose driver is gone is closed")
            for replicas in alive:
                self.assertEqual(len(replicas.emit(stage, 0, 1)), 12)
                replicas.close()
            self.assertEqual(one._runs, {})
            nodes.stop()


if __name__ == "__main__":
    unittest.main()
