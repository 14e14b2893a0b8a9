"""The processes of a cluster in which an engine's tasks run: which are used, waiting for them, and which were lost.

A driver says by `Executors.all` which there are, and which there were.
"""

from __future__ import annotations

import errno
import itertools
import socket
import ssl
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from .failure import EngineError, UnavailableError
from .network import host

# Seconds that a cluster may take to start an executor, or to start one anew when all are lost.
START_TIMEOUT = 60

# Seconds that the next executor may take after one has started.
NEXT_TIMEOUT = 30

# What else than the classes of exceptions for connections says that a machine cannot be reached.
_UNREACHABLE = (errno.EHOSTUNREACH, errno.ENETUNREACH)

# Seconds of one wait: a stop is heeded between two.
LOOK = 1.0

# Files that are gone are those that a driver sent there, as other sessions on a cluster do, which remove them when they end.
_REMEDIES = {
    errno.ENOENT: "a new session, and only one at a time on a cluster",
    errno.ENOSPC: "more room for the temporary files of the workers",
    errno.EDQUOT: "more room for the temporary files of the workers",
}


class LostError(Exception):
    """Nobody is left to run the tasks, or the connection to the scheduler is lost."""


def comes_true(wait: Callable[[float], bool], seconds: float, look: Callable[[], None]) -> bool:
    """Whether `wait`, which waits for the seconds that it is given, says within so many that it is so. Between two it calls `look`."""
    deadline = time.monotonic() + seconds
    while not (is_so := wait(LOOK)) and time.monotonic() < deadline:
        look()
    return is_so


def some_are_gone(reserved: int, left: int, cluster: str) -> UnavailableError:
    """Refuses a run for which some of the processors that a session has reserved are gone."""
    message = f"of the {reserved} processors that were reserved at {cluster} some are gone, and no others are free"
    return UnavailableError(message, f"--parallelism {left}" if 0 < left < reserved else None)


def failure_of(error: OSError, engine: str, peer: str) -> LostError | EngineError:
    """What an OSError in a run means: that the connection to `peer` is lost, or that a worker failed, as with a full disk.

    An engine raises in the driver what its connections raise, and what a task raised.
    """
    of_network = ConnectionError, TimeoutError, socket.gaierror, ssl.SSLError
    if error.errno in (None, *_UNREACHABLE) or isinstance(error, of_network):
        return LostError(f"the connection to {peer} is lost: {error}")
    return EngineError(f"a worker of {engine} failed: {error}", _REMEDIES.get(error.errno or 0))


class Executor(NamedTuple):
    """A process in which tasks run, and why it was lost, if it was."""

    name: str
    machine: str
    cores: int
    is_alive: bool
    loss: str


class Executors:
    """All executors of a cluster, with those that were lost. `nodes` is how many machines were asked for."""

    def __init__(self, cluster: str, nodes: int) -> None:
        self._cluster, self._nodes = cluster, nodes
        # As they were at the last look, and whose loss was told.
        self._seen: list[Executor] = []
        self._told: set[str] = set()
        self._none_since: float | None = None

    def all(self) -> list[Executor]:
        """Those that there are, and those that were lost."""
        raise NotImplementedError

    def wait_for(self, cores: int) -> None:
        """Waits for all nodes and so many cores. Raises UnavailableError if the cluster has fewer."""
        came, deadline = 0, time.monotonic() + START_TIMEOUT
        while True:
            alive = [executor for executor in self.all() if executor.is_alive]
            found, found_cores = len({executor.machine for executor in alive}), sum(it.cores for it in alive)
            if found >= self._nodes and found_cores >= cores:
                return
            if len(alive) > came:
                came, deadline = len(alive), time.monotonic() + NEXT_TIMEOUT
            if time.monotonic() > deadline:
                break
            time.sleep(0.1)
        if not alive:
            raise UnavailableError(f"{self._cluster} offered no core: it has no worker, or others use all of its cores")
        if found < self._nodes:
            message = f"{self._nodes} nodes were asked for, but {self._cluster} offered {found}"
            raise UnavailableError(message, f"--nodes {found}")
        message = f"parallelism {cores} needs as many cores, but {self._cluster} offered {found_cores}"
        raise UnavailableError(message, f"--parallelism {found_cores}")

    def begin(self, cores: int) -> None:
        """Looks before a run on so many cores. Raises UnavailableError if a node is gone, or a core."""
        self._look()
        self._none_since = None
        alive = [executor for executor in self._seen if executor.is_alive]
        machines, left = {executor.machine for executor in alive}, sum(executor.cores for executor in alive)
        if len(machines) < self._nodes:
            message = f"{self._nodes} nodes were asked for, but of {self._cluster} {len(machines)} are left"
            raise UnavailableError(message, f"--nodes {len(machines)}" if machines else None)
        if left < cores:
            message = f"parallelism {cores} needs as many cores, but of those of {self._cluster} {left} are left"
            raise UnavailableError(message, f"--parallelism {left}" if left else None)

    def check(self) -> None:
        """Raises EngineError when all have been lost for so long that none will come: an engine may wait for ever."""
        self._look()
        if any(executor.is_alive for executor in self._seen):
            self._none_since = None
            return
        now = time.monotonic()
        self._none_since = self._none_since or now
        if now - self._none_since > START_TIMEOUT:
            losses = "; ".join(self._losses())
            raise EngineError(f"all executors of {self._cluster} were lost, and no other came: {losses}")

    def losses(self, looks: bool) -> list[str]:
        """A warning for each loss that was not told yet.

        The engine is asked for the last ones only if `looks`, as its answer would be a part of the time of a run in which
        nothing was lost. What is not seen now is seen before the next run.
        """
        if looks:
            self._look()
        return self._losses()

    def _losses(self) -> list[str]:
        lost = [executor for executor in self._seen if not (executor.is_alive or executor.name in self._told)]
        self._told.update(executor.name for executor in lost)
        return [f"an executor on {executor.machine} was lost: {executor.loss}" for executor in lost]

    def _look(self) -> None:
        self._seen = self.all()


class Processes:
    """Worker processes of this machine, which an engine starts anew when they are lost.

    `names` says who is there, each process by another name; `number` is how many there must be, and `patience` how many
    seconds the engine may take to start all anew.
    """

    def __init__(self, names: Callable[[], set[str]], number: int, patience: float) -> None:
        self._names, self._number, self._patience = names, number, patience
        self._began: set[str] = set()

    def begin(self, check: Callable[[], None]) -> None:
        """Waits before a run until all are there, as long as `check` raises nothing. Raises UnavailableError if some stay away."""
        deadline = time.monotonic() + self._patience
        while len(self._names()) < self._number:
            if time.monotonic() > deadline:
                raise UnavailableError(f"of {self._number} worker processes {len(self._names())} are left")
            check()
            time.sleep(0.1)
        self._began = self._names()

    def losses(self) -> list[str]:
        """A warning if some were lost since the run began."""
        lost = len(self._began - self._names())
        return [f"{lost} of {self._number} worker processes were lost: their work was done again"] if lost else []


def joined(told: set[str], there: set[str], parallelism: int) -> list[str]:
    """A warning if workers told that they came which were not there when a run was prepared: an engine gives these tasks too."""
    number = len(told - there)
    if not number:
        return []
    who = "a worker" if number == 1 else f"{number} workers"
    when = "joined the cluster after the run was prepared"
    what = "a part of the work may have been done there, beside the other workers or again in place of a lost one"
    return [f"{who} {when}: {what}. The run may have had more threads than its parallelism, {parallelism}"]


# What the speed of a cluster of Dask depends on, beside its machines.
PACKAGES = ("python", "dask", "distributed")


def other_versions(
    own: Mapping[str, Any], others: Collection[Mapping[str, Any]], packages: Collection[str] = PACKAGES
) -> list[str]:
    """A warning for each package that some `others` of a cluster have in another version than the driver's `own`, which the record has."""
    warnings = []
    for package in packages:
        found = sorted({str(one.get(package, "none")) for one in others} - {str(own.get(package, "none"))})
        if found:
            there, here = ", ".join(found), own.get(package, "none")
            warnings.append(
                f"the cluster has {package} {there}, and the driver {here}: the record has the driver's version"
            )
    return warnings


def select_workers(threads: Mapping[str, int], parallelism: int) -> list[str]:
    """Workers, from one host after the other, that have no more threads together than may be busy at once.

    Of a host those with the most threads come first, as the others fit into what is left. `threads` has the number of each, by its address.
    """
    by_host: dict[str, list[str]] = {}
    for worker in sorted(threads, key=lambda one: (-threads[one], one)):
        by_host.setdefault(host(worker), []).append(worker)
    turns = itertools.chain.from_iterable(itertools.zip_longest(*by_host.values()))
    taken: list[str] = []
    for worker in turns:
        if worker is not None and sum(threads[one] for one in taken) + threads[worker] <= parallelism:
            taken.append(worker)
    return taken
