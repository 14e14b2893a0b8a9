"""Replicas of dataflow operators on other machines. How calls get there is up to the engine.

On each node a `ReplicaServer` waits for calls, by the name of its method; in the driver `RemoteReplicas` makes them.
"""

from __future__ import annotations

import platform
import threading
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any, Callable

from .dataflow import Item, Operator, Replicas
from .executors import other_versions
from .failure import UnavailableError, UnsupportedError, WorkloadError
from .kernel import Workload, late_opens
from .network import listens

# A library is sent in pieces of so many bytes, as a slow network may take no larger message in time.
PIECE = 1 << 20

# A driver that died does not close its runs. A node that has as many as this looks which drivers are gone.
MANY_RUNS = 16

# Seconds that a driver may take to accept a connection.
CONNECT_TIMEOUT = 1.0

# Calls a method of the server on a node: `call(node, slot, method, *arguments)`. A slot serves one call at a time, but calls to several
# may be made at once, by as many threads.
Call = Callable[..., Any]


class RemoteReplicas(Replicas):
    """The replicas of a run on nodes. Replica `i` is on node `i` modulo their number, in slot `i` divided by it."""

    def __init__(self, workload: Workload, nodes: Sequence[str], call: Call, reply_address: str) -> None:
        """Opens the workload on all nodes; if one fails, closes it on those that have opened it.

        The driver has to listen at `reply_address` as long as it lives.
        """
        super().__init__(workload)
        self._nodes, self._remote, self._run = nodes, call, uuid.uuid4().hex
        # Nodes that are gone or hang: to ask one again would take its time-out once more.
        self._lost: set[str] = set()
        opened: list[str] = []
        # Only an open loop needs to know whose clock starts it, and a node of an earlier version takes no such argument.
        clock = (workload.boot,) if workload.open_loop else ()
        which = workload.sha256, workload.spec, *clock
        try:
            for node in nodes:
                self._send_library(node, workload)
                # A node of an earlier version does not say.
                self.opens += call(node, 0, "open", self._run, reply_address, *which) or 0
                opened.append(node)
        except BaseException:
            # Nobody else closes it there: the caller has no replicas.
            with suppress(Exception):
                self._close_on(opened)
            raise

    def perform(self, operator: Operator, replica: int, item: Item) -> list[Item]:
        """As `Replicas.perform`, on a node."""
        made: list[Item] = self._call(replica, "perform", operator, replica, item)
        return made

    def emit(self, reduction: int, replica: int, limit: int) -> bytes:
        """As `Replicas.emit`, on a node."""
        return bytes(self._call(replica, "emit", reduction, replica, limit))

    def start(self, spec: str) -> None:
        """As `Replicas.start`, on all nodes."""
        for node in self._nodes:
            self.opens += self._remote(node, 0, "start", self._run, spec) or 0

    def close(self) -> None:
        """Frees what the nodes keep for the run. It is a call to each, so a driver does it when the run has been timed.

        Asks all of them, and raises afterwards what the first of those that failed raised.
        """
        self._close_on([node for node in self._nodes if node not in self._lost])

    def _close_on(self, nodes: Sequence[str]) -> None:
        # At once, as each that hangs takes its time-out.
        with ThreadPoolExecutor(len(self._nodes), "crossrun-close") as threads:
            answers = [threads.submit(self._remote, node, 0, "close", self._run) for node in nodes]
        for answer in answers:
            answer.result()

    def _call(self, replica: int, method: str, *arguments: Any) -> Any:
        slot, number = divmod(replica, len(self._nodes))
        node = self._nodes[number]
        try:
            answer = self._remote(node, slot, method, self._run, *arguments)
        except (UnsupportedError, WorkloadError):
            raise
        except Exception:
            self._lost.add(node)
            raise
        with self._lock:
            self.work[node] = self.work.get(node, 0) + 1
        return answer

    def _send_library(self, node: str, workload: Workload) -> None:
        """A node keeps libraries by their hash, so each is sent to it once."""
        if self._remote(node, 0, "has_library", workload.sha256):
            return
        with Path(workload.path).open("rb") as library:
            while piece := library.read(PIECE):
                self._remote(node, 0, "take_library", self._run, piece)
        self._remote(node, 0, "keep_library", self._run, workload.sha256)


def _versions(packages: Sequence[str]) -> dict[str, str]:
    """The versions of Python and of the packages in this process. One that runs from its sources may have none, and is left out."""
    versions = {"python": platform.python_version()}
    for package in packages:
        with suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    return versions


def version_warnings(answers: Sequence[dict[str, str] | None], packages: Sequence[str]) -> list[str]:
    """A warning for Python and each of the packages that a node has in another version than this process.

    `answers` are those of the nodes to `ready`. One of an earlier version of crossrun answers nothing.
    """
    told = [answer for answer in answers if answer is not None]
    return other_versions(_versions(packages), told, ("python", *packages))


class ReplicaServer:
    """A node's side: what drivers call. Each run has a name that its driver made up. Any thread may call it."""

    def __init__(self, folder: Path, packages: Sequence[str] = ()) -> None:
        """Libraries are kept in `folder`. Drivers are told the versions of the packages."""
        self._folder, self._packages = folder, packages
        self._runs: dict[str, tuple[str, Replicas]] = {}
        self._lock = threading.Lock()
        # Nothing else opens workloads in this process, so what is opened while this is held is known.
        self._opening = threading.Lock()

    def ready(self) -> dict[str, str]:
        """Which version of Python this is, and which of the packages: see `version_warnings`. Any answer tells that the node works."""
        return _versions(self._packages)

    def has_library(self, sha256: str) -> bool:
        """Whether the library with this hash is here."""
        return self._library(sha256).exists()

    def take_library(self, run: str, piece: bytes) -> None:
        """Takes the next bytes of a library that the driver of a run sends."""
        with self._library(run).with_suffix(".partial").open("ab") as partial:
            partial.write(piece)

    def keep_library(self, run: str, sha256: str) -> None:
        """Keeps the library that was sent for a run. `open` finds out whether it has that hash."""
        self._library(run).with_suffix(".partial").rename(self._library(sha256))

    def open(self, run: str, driver: str, sha256: str, spec: str, boot: str = "") -> int:
        """Opens a workload for a run, whose driver listens at the address `driver`. The answer is 0 if it was open still, or 1.

        Raises UnavailableError if the library does not have that hash, and forgets the library then.
        """
        library = self._library(sha256)
        workload = Workload(str(library), sha256, spec, boot)
        try:
            opens = self._opens(lambda: workload.plan)
        except UnavailableError:
            library.unlink()
            raise
        with self._lock:
            others = list(self._runs.items())
            self._runs[run] = driver, Replicas(workload)
        for other, (address, _) in others if len(others) >= MANY_RUNS else []:
            if not listens(address, CONNECT_TIMEOUT):
                self.close(other)
        return opens

    def start(self, run: str, spec: str) -> int:
        """As `Replicas.start`. The answer is 1 if the workload had to be opened for it, or 0."""
        return self._opens(lambda: self._runs[run][1].start(spec))

    def _opens(self, call: Callable[[], object]) -> int:
        """Makes a call, and returns how many workloads it opened."""
        with self._opening:
            late_opens()
            call()
            return late_opens()

    def perform(self, run: str, operator: Operator, replica: int, item: Item) -> list[Item]:
        """As `Replicas.perform`."""
        return self._runs[run][1].perform(operator, replica, item)

    def emit(self, run: str, reduction: int, replica: int, limit: int) -> bytes:
        """As `Replicas.emit`."""
        return self._runs[run][1].emit(reduction, replica, limit)

    def close(self, run: str) -> int:
        """Frees what a run has. The answer is how many calls it made; 0 if it is closed already."""
        with self._lock:
            _, replicas = self._runs.pop(run, ("", None))
        if replicas is None:
            return 0
        replicas.close()
        return replicas.calls

    def _library(self, name: str) -> Path:
        if not name.isalnum():
            raise ValueError(f"{name!r} is no hash")
        return self._folder / f"{name}.so"
