"""The machines on which Spark runs what it is given: of a cluster that already exists, or this one alone."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from typing import Any

from pyspark import SparkContext

from crossrun_engine import EngineError, InvalidSpecError, UnavailableError

NONE = "none"

# Seconds that the master of a cluster may take to answer.
CONNECT_TIMEOUT = 5

# Seconds that a cluster may take to start an executor, or to start one anew when all are lost.
START_TIMEOUT = 60

# Seconds that it may take longer for one than for another.
NEXT_TIMEOUT = 30

# Milliseconds in which Spark's own record of what its executors did catches up.
CATCH_UP = 2000


def own_address(master: str) -> str:
    """The address of this machine at which the cluster reaches it.

    Asking for it finds out, too, whether the master is there: Spark itself takes a minute for that.
    """
    if master == NONE:
        return "127.0.0.1"
    scheme, _, addresses = master.partition("://")
    if scheme != "spark" or not addresses:
        raise InvalidSpecError(f"extra.spark_master is {master!r}", "--extra spark_master=spark://HOST:PORT")
    reasons = []
    for address in addresses.split(","):
        machine, _, port = address.rpartition(":")
        try:
            with socket.create_connection((machine, int(port)), CONNECT_TIMEOUT) as connection:
                return str(connection.getsockname()[0])
        except (OSError, ValueError, OverflowError) as error:
            reasons.append(f"{address}: {error}")
    raise UnavailableError(f"no Spark master answers at {'; '.join(reasons)}")


@dataclass(frozen=True)
class Executor:
    """A process of Spark in which tasks run; on one machine alone it is Spark's driver."""

    machine: str
    cores: int
    alive: bool
    ended_tasks: int
    why_lost: str


class Executors:
    """All of a context's executors, with those that were lost."""

    def __init__(self, context: SparkContext, master: str) -> None:
        # Spark's public interface tells which executors there are, but not what they did.
        self._spark = context._jsc.sc()
        self._master = master
        self._local = master == NONE
        self._before: dict[str, int] = {}
        self._lost_before = 0
        self._none_since: float | None = None

    def wait_for(self, nodes: int, parallelism: int) -> None:
        """Waits until they are there, and raises if there are fewer than what was asked for."""
        if self._local:
            return
        came, deadline = 0, time.monotonic() + START_TIMEOUT
        while True:
            alive = [executor for executor in self._all() if executor.alive]
            machines, cores = {executor.machine for executor in alive}, sum(executor.cores for executor in alive)
            if len(machines) >= nodes and cores >= parallelism:
                return
            if len(alive) > came:
                came, deadline = len(alive), time.monotonic() + NEXT_TIMEOUT
            if time.monotonic() > deadline:
                raise _too_few(self._master, nodes, len(machines), parallelism, cores)
            time.sleep(0.1)

    def begin(self, nodes: int) -> None:
        """Marks the beginning of a run, for which there must still be that many machines."""
        executors = self._all()
        machines = {executor.machine for executor in executors if executor.alive}
        if len(machines) < nodes:
            raise UnavailableError(f"{nodes} nodes were asked for, but of {self._master} {len(machines)} are left")
        self._before = _work(executors)
        self._lost_before = len(_lost(executors))
        self._none_since = None

    def check(self) -> None:
        """Raises when all have been lost for so long that none will come. Spark itself waits for ever."""
        if any(executor.alive for executor in self._all()):
            self._none_since = None
            return
        now = time.monotonic()
        self._none_since = self._none_since or now
        if now - self._none_since > START_TIMEOUT:
            reasons = "; ".join(_lost(self._all())[self._lost_before :])
            raise EngineError(f"nothing is left of {self._master} that could go on: {reasons}")

    def end(self) -> tuple[dict[str, int], list[str]]:
        """How many tasks each machine has ended in this run, and what was lost in it."""
        self._spark.listenerBus().waitUntilEmpty(CATCH_UP)
        executors = self._all()
        work = {machine: tasks - self._before.get(machine, 0) for machine, tasks in _work(executors).items()}
        return {machine: tasks for machine, tasks in work.items() if tasks}, _lost(executors)[self._lost_before :]

    def _all(self) -> list[Executor]:
        summaries = self._spark.statusStore().executorList(False)
        found = (_executor(summaries.apply(number)) for number in range(summaries.size()))
        return [executor for name, executor in found if self._local or name != "driver"]


def _too_few(master: str, nodes: int, machines: int, parallelism: int, cores: int) -> UnavailableError:
    if not machines:
        message = f"{master} offered no core: either no worker is with it, or others have all of them"
        return UnavailableError(message)
    if machines < nodes:
        message = f"{nodes} nodes were asked for, but {master} offered {machines}"
        return UnavailableError(message, f"--nodes {machines}")
    message = f"parallelism {parallelism} needs as many cores, but {master} offered {cores}"
    return UnavailableError(message, f"--parallelism {cores}")


def _executor(summary: Any) -> tuple[str, Executor]:
    machine = summary.hostPort().rsplit(":", 1)[0]
    reason = summary.removeReason()
    why = str(reason.get()) if reason.isDefined() else ""
    executor = Executor(machine, summary.totalCores(), summary.isActive(), summary.completedTasks(), why)
    return summary.id(), executor


def _work(executors: list[Executor]) -> dict[str, int]:
    work: dict[str, int] = {}
    for executor in executors:
        work[executor.machine] = work.get(executor.machine, 0) + executor.ended_tasks
    return work


def _lost(executors: list[Executor]) -> list[str]:
    lost = [executor for executor in executors if not executor.alive]
    return [f"an executor on {executor.machine} was lost: {' '.join(executor.why_lost.split())}" for executor in lost]
