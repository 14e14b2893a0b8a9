"""Runs on a cluster that exists, of two workers in this process, and fails if one of these does not hold:

- no task is restricted to workers where all of them are used, and every task is where some are not, and in the time of a
  run the scheduler is not asked which there are;
- a run after the loss of a worker is refused, as it has fewer threads, and one after another has come uses it;
- a run whose scheduler or workers have another version of Dask warns of it, and one that does not use such a worker does not;
- a run that a worker joins after it was prepared warns of it, and one that is restricted to other workers does not;
- a run whose workers were all replaced is lost only if it is restricted to them;
- a run ends at once when the host stops it, also while the driver waits for nothing, and so does a preparation while the
  library travels;
- a result that comes just when a wait for it ends is not lost.

    python cluster_of_threads.py LIBRARY

Needs Dask, the driver's folder and the package `crossrun_engine` on the search path.
"""

from __future__ import annotations

import sys
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any
from unittest import mock

import shape
from distributed import Client, LocalCluster
from distributed.versions import get_versions

import driver
import engine
from cluster import ExistingCluster
from crossrun_engine import TICK, CancelledError, RunContext, Session, Spec, UnavailableError


def opened(address: str, parallelism: int) -> driver.DaskDriver:
    """A session on the cluster."""
    dask = driver.DaskDriver()
    dask.open(Session(parallelism, 1, {"dask_address": address}, Path("."), Path(".")))
    return dask


def restrictions(address: str, library: Path, parallelism: int) -> list[Any]:
    """To which workers the tasks of a run were restricted."""
    dask = opened(address, parallelism)
    submit, seen = Client.map, []
    # While nothing ends, a run looks whether anybody is left: that may be.
    dask.cluster.lost = lambda: ""  # type: ignore[method-assign, union-attr]

    def watched(client: Client, *arguments: Any, **named: Any) -> Any:
        seen.append(named["workers"])
        return submit(client, *arguments, **named)

    with mock.patch.object(Client, "map", watched), mock.patch.object(Client, "nthreads") as asked:
        shape.run(dask, library, "word_count", 50, parallelism, {})
    assert not asked.called, "the scheduler was asked for its workers in the time of a run"
    dask.close()
    return seen


def submitted_after_stop(address: str, library: Path) -> int:
    """How many times tasks were submitted after a stop that came while they were."""
    dask = opened(address, 2)
    submit, cancel, after = Client.map, threading.Event(), []

    def stopping(client: Client, *arguments: Any, **named: Any) -> Any:
        if cancel.is_set():
            after.append(named["key"])
        cancel.set()
        return submit(client, *arguments, **named)

    with mock.patch.object(Client, "map", stopping):
        try:
            shape.run(dask, library, "null", 100_000, 2, {}, cancel)
        except CancelledError:
            return len(after)
        finally:
            dask.close()
    raise AssertionError("the run did not stop")


def stops_while_the_library_travels(address: str, library: Path) -> bool:
    """Whether a preparation does that is to stop then."""
    dask, cancel, arrives = opened(address, 2), threading.Event(), threading.Event()

    def travel(client: Client, shipped: Any) -> None:
        cancel.set()
        arrives.wait(30)

    of = Spec("null", 50, 2, "default", 42, {})
    workload = shape.workload(library, {"name": of.name, "total_items": of.total_items})
    with mock.patch.object(Client, "register_plugin", travel):
        try:
            dask.prepare(of, workload, RunContext(Path("."), cancel, lambda _: None))
        except CancelledError:
            return True
        finally:
            dask.close()
            arrives.set()
    return False


def after_a_loss(cluster: LocalCluster, library: Path) -> list[Any]:
    """How many workers runs have on two, on the one that is left, and on two again, or why there is no run."""
    dask, told = opened(cluster.scheduler_address, 2), list[Any]()
    assert isinstance(dask.cluster, ExistingCluster)
    for workers in (2, 1, 2):
        cluster.scale(workers)
        while len(dask.cluster._threads()) != workers:
            time.sleep(TICK)
        try:
            dask.cluster.prepare(shape.workload(library, {"name": "word_count", "total_items": 50}))
            told.append(len(dask.cluster._workers))
        except UnavailableError as error:
            told.append(error.remedy)
    dask.close()
    return told


def of_versions(address: str, library: Path, scheduler: str, workers: list[str]) -> list[Any]:
    """The warnings of two runs, each prepared with these versions of Dask, "" for the driver's, on as many workers as have that of the first."""
    dask, told = opened(address, workers.count(workers[0])), list[Any]()
    assert isinstance(dask.cluster, ExistingCluster)
    # Those that are used come first.
    there = dict.fromkeys([*dask.cluster._workers, *dask.cluster._threads()])
    versions = dict(zip(there, workers, strict=True))
    run, run_on_scheduler = Client.run, Client.run_on_scheduler

    def packages(version: str) -> dict[str, Any]:
        own = get_versions()["packages"]
        return {"packages": {**own, "dask": version} if version else own}

    def of_workers(client: Client, function: Any, *arguments: Any, **how: Any) -> Any:
        if function is not get_versions:
            return run(client, function, *arguments, **how)
        return {worker: packages(versions[worker]) for worker in how["workers"]}

    def of_scheduler(client: Client, function: Any, *arguments: Any, **how: Any) -> Any:
        is_asked = function is get_versions
        return packages(scheduler) if is_asked else run_on_scheduler(client, function, *arguments, **how)

    with mock.patch.multiple(Client, run=of_workers, run_on_scheduler=of_scheduler):
        for _ in range(2):
            dask.cluster.prepare(shape.workload(library, {"name": "word_count", "total_items": 50}))
            told.append(dask.cluster.warnings())
    dask.close()
    return told


def after_joining(cluster: LocalCluster, library: Path) -> list[Any]:
    """The warnings of a run that a third worker joins, and of the next, which is restricted to two."""
    dask, told = opened(cluster.scheduler_address, 2), list[Any]()
    assert isinstance(dask.cluster, ExistingCluster)
    # Ends only what would never come.
    deadline = time.monotonic() + 300
    for _ in range(2):
        dask.cluster.prepare(shape.workload(library, {"name": "word_count", "total_items": 50}))
        cluster.scale(3)
        while not dask.cluster.restriction and not dask.cluster.warnings() and time.monotonic() < deadline:
            time.sleep(TICK)
        told.append(shape.run(dask, library, "word_count", 50, 2, {}).metrics.get("warnings", []))
    dask.close()
    return told


def lost_after_replacing() -> list[bool]:
    """Whether a run is lost whose two workers went: another came, another came but is not used, or no other came."""
    cluster = ExistingCluster.__new__(ExistingCluster)
    cluster._address, cluster._workers = "tcp://10.0.0.1:8786", ["one", "two"]
    lost = []
    for restriction, left in ((None, ["three"]), (["one", "two"], ["three"]), (None, [])):
        cluster.restriction = restriction
        with mock.patch.object(ExistingCluster, "_threads", return_value=dict.fromkeys(left, 1)):
            lost.append(bool(cluster.lost()))
    return lost


class Late(Future):  # type: ignore[type-arg]
    """Comes just when a wait for it ends, or a little later."""

    def __init__(self) -> None:
        super().__init__()
        self._coming = threading.Timer(2 * TICK, self._come)
        self._coming.start()

    def _come(self) -> None:
        if not self.done():
            self.set_result(["here"])

    def result(self, timeout: float | None = None) -> Any:
        if timeout is not None and not self.done():
            self._come()
            raise TimeoutError
        return super().result(timeout)


def late_result() -> list[Any]:
    """What the engine returns of a gathering that is late."""
    cluster = mock.Mock(lost=lambda: "")
    dask = engine.DaskEngine(cluster, "default", RunContext(Path("."), threading.Event(), lambda _: None))
    with mock.patch("asyncio.run_coroutine_threadsafe", lambda *_: Late()):
        return dask.results([])


def main(library: Path) -> str:
    """Says what does not hold; nothing if all does."""
    how = {"n_workers": 2, "threads_per_worker": 1, "processes": False, "dashboard_address": None}
    with LocalCluster(**how) as cluster:
        address = cluster.scheduler_address
        if restricted := [workers for workers in restrictions(address, library, 2) if workers is not None]:
            return f"all workers are used, and tasks are restricted to {restricted[0]}"
        if any(len(workers or []) != 1 for workers in restrictions(address, library, 1)):
            return "one of two workers is to be used, and tasks are not restricted to one"
        if after := submitted_after_stop(address, library):
            return f"tasks were submitted {after} times after the run was to stop"
        for scheduler, workers, differ in (("1", ["", ""], True), ("", ["1", "1"], True), ("", ["", "1"], False)):
            for told in of_versions(address, library, scheduler, workers):
                says = [warning.startswith("the cluster has dask 1, and the driver ") for warning in told]
                if says != [True] * differ:
                    return f"warnings where the scheduler has {scheduler} and workers have {workers}: {told}"
        if not stops_while_the_library_travels(address, library):
            return "a preparation went on after it was to stop"
        told = after_a_loss(cluster, library)
        if told != [2, "--parallelism 1", 2]:
            return f"workers before and after a loss: {told}"
        joins, restricted = after_joining(cluster, library)
        if len(joins) != 1 or not joins[0].startswith("a worker joined the cluster") or restricted:
            return f"warnings of a run that a worker joins, and of the next one: {joins}, {restricted}"
    if (lost := lost_after_replacing()) != [False, True, True]:
        return f"whether runs are lost whose workers were replaced: {lost}"
    return "" if late_result() == ["here"] else "a late result is lost"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])) or 0)
