"""The machines on which Spark runs what it is given: of a cluster that already exists, or this one alone."""

from __future__ import annotations

import time
from typing import NamedTuple

from pyspark import SparkContext

from crossrun_engine import EngineError, InvalidSpecError, UnavailableError
from crossrun_engine.network import reach
from crossrun_spark import LOCAL

NONE = "none"

# Seconds that the master of a cluster may take to answer.
CONNECT_TIMEOUT = 5

# Seconds that a cluster may take to start an executor, or to start one anew when all are lost.
START_TIMEOUT = 60

# Seconds that the next executor may take after one has started.
NEXT_TIMEOUT = 30


def own_address(master: str) -> str:
    """The address of this machine at which the cluster reaches it.

    It connects to the master, as Spark itself takes a minute to find out that there is none. It raises InvalidSpecError
    for what is no URL of a master, and UnavailableError if none answers.
    """
    if master == NONE:
        return LOCAL
    scheme, _, addresses = master.partition("://")
    if scheme != "spark" or not addresses:
        raise InvalidSpecError(f"extra.spark_master is {master!r}", "--extra spark_master=spark://HOST:PORT")
    reasons = []
    for address in addresses.split(","):
        try:
            return reach(address, CONNECT_TIMEOUT)
        except (OSError, ValueError) as error:
            reasons.append(f"{address}: {error}")
    raise UnavailableError(f"no Spark master answers at {'; '.join(reasons)}")


class Executor(NamedTuple):
    """A process of Spark in which tasks run, and why it was lost, if it was. On one machine it is Spark's driver."""

    name: str
    machine: str
    cores: int
    is_alive: bool
    loss: str


class Executors:
    """All of a context's executors, with those that were lost. Without a cluster there are none to lose."""

    def __init__(self, context: SparkContext, master: str, nodes: int) -> None:
        # Spark's public interface tells which executors there are, but not which were lost.
        self._spark = context._jsc.sc()
        self._master, self._nodes = master, nodes
        # As they were at the last look, and whose loss was told.
        self._seen: list[Executor] = []
        self._told: set[str] = set()
        self._none_since: float | None = None

    def wait_for(self, cores: int) -> None:
        """Waits for all nodes and so many cores. It raises UnavailableError if the cluster has fewer."""
        if self._master == NONE:
            return
        came, deadline = 0, time.monotonic() + START_TIMEOUT
        while True:
            alive = [executor for executor in self._all() if executor.is_alive]
            found, found_cores = len({executor.machine for executor in alive}), sum(it.cores for it in alive)
            if found >= self._nodes and found_cores >= cores:
                return
            if len(alive) > came:
                came, deadline = len(alive), time.monotonic() + NEXT_TIMEOUT
            if time.monotonic() > deadline:
                break
            time.sleep(0.1)
        if not alive:
            raise UnavailableError(f"{self._master} offered no core: it has no worker, or others use all of its cores")
        if found < self._nodes:
            message = f"{self._nodes} nodes were asked for, but {self._master} offered {found}"
            raise UnavailableError(message, f"--nodes {found}")
        message = f"parallelism {cores} needs as many cores, but {self._master} offered {found_cores}"
        raise UnavailableError(message, f"--parallelism {found_cores}")

    def begin(self) -> None:
        """Looks before a run. It raises UnavailableError if a node is gone."""
        self._look()
        self._none_since = None
        machines = {executor.machine for executor in self._seen if executor.is_alive}
        if len(machines) < self._nodes:
            message = f"{self._nodes} nodes were asked for, but of {self._master} {len(machines)} are left"
            raise UnavailableError(message)

    def check(self) -> None:
        """Raises EngineError when all have been lost for so long that none will come. Spark itself waits for ever."""
        if self._master == NONE:
            return
        self._look()
        if any(executor.is_alive for executor in self._seen):
            self._none_since = None
            return
        now = time.monotonic()
        self._none_since = self._none_since or now
        if now - self._none_since > START_TIMEOUT:
            losses = "; ".join(self._losses())
            raise EngineError(f"all executors of {self._master} were lost, and no other came: {losses}")

    def losses(self, looks: bool) -> list[str]:
        """A warning for each loss that was not told yet.

        Spark is asked for the last ones only if `looks`, as its answer would be a part of the time of a run in which
        nothing was lost. What is not seen now is seen before the next run.
        """
        if self._master == NONE:
            return []
        if looks:
            self._look()
        return self._losses()

    def _losses(self) -> list[str]:
        lost = [executor for executor in self._seen if not (executor.is_alive or executor.name in self._told)]
        self._told.update(executor.name for executor in lost)
        return [f"an executor on {executor.machine} was lost: {executor.loss}" for executor in lost]

    def _look(self) -> None:
        self._seen = self._all()

    def _all(self) -> list[Executor]:
        summaries = self._spark.statusStore().executorList(False)
        executors = []
        for summary in (summaries.apply(number) for number in range(summaries.size())):
            if self._master != NONE and summary.id() == "driver":
                continue
            machine = summary.hostPort().rsplit(":", 1)[0]
            reason = summary.removeReason()
            loss = " ".join(str(reason.get()).split()) if reason.isDefined() else ""
            executors.append(Executor(str(summary.id()), machine, summary.totalCores(), summary.isActive(), loss))
        return executors
