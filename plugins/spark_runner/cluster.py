"""The machines on which Spark runs what it is given: of a cluster that already exists, or this one alone."""

from __future__ import annotations

import sys

from pyspark import SparkContext

from crossrun_engine import InvalidSpecError, UnavailableError, executors
from crossrun_engine.executors import Executor
from crossrun_engine.network import reach
from crossrun_spark import LOCAL

NONE = "none"

# Seconds that the master of a cluster may take to answer.
CONNECT_TIMEOUT = 5


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


class Executors(executors.Executors):
    """All of a context's executors, with those that were lost. Without a cluster it is Spark's driver, which is not lost."""

    def __init__(self, context: SparkContext, master: str, nodes: int) -> None:
        super().__init__(master, nodes)
        # Spark's public interface tells which executors there are, but not which were lost.
        self._spark, self._master = context._jsc.sc(), master

    def all(self) -> list[Executor]:
        """Asks Spark."""
        if self._master == NONE:
            return [Executor("driver", LOCAL, sys.maxsize, True, "")]
        summaries = self._spark.statusStore().executorList(False)
        found = []
        for summary in (summaries.apply(number) for number in range(summaries.size())):
            if summary.id() == "driver":
                continue
            machine = summary.hostPort().rsplit(":", 1)[0]
            reason = summary.removeReason()
            loss = " ".join(str(reason.get()).split()) if reason.isDefined() else ""
            found.append(Executor(str(summary.id()), machine, summary.totalCores(), summary.isActive(), loss))
        return found
