"""What Spark's Python workers need beside `crossrun_engine.partitions`."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from pyspark import AccumulatorParam, SparkFiles

from crossrun_engine import Job, ShippedJob, Work, total
from crossrun_engine.job import LATE_OPENS
from crossrun_engine.kernel import late_opens

if TYPE_CHECKING:
    from pyspark import Accumulator

Element = TypeVar("Element")
Made = TypeVar("Made")

# The machine of all tasks where there is no cluster.
LOCAL = "127.0.0.1"

# A worker of a cluster tells its executors where their logs are, and so the name of the machine.
LOG_URL = "SPARK_LOG_URL_STDOUT"


@dataclass(frozen=True)
class LocalJob(Job):
    """A workload for workers on this machine alone."""

    def node(self) -> str:
        """Names this machine, as all tasks run here."""
        return LOCAL


@dataclass(frozen=True)
class SparkJob(ShippedJob):
    """A workload whose library Spark brings to its workers."""

    @property
    def file_name(self) -> str:
        """The name under which Spark brings it."""
        return f"crossrun-{self.workload.sha256}.so"

    def fetch(self) -> bytes:
        """The library's bytes."""
        return Path(SparkFiles.get(self.file_name)).read_bytes()

    def node(self) -> str:
        """The machine of the executor in which this runs, as the cluster names it."""
        return urlsplit(os.environ.get(LOG_URL, "")).hostname or socket.gethostname()


class WorkParam(AccumulatorParam):  # type: ignore[misc] # Spark is not typed
    """How Spark adds up what its tasks have done."""

    def zero(self, value: Work) -> Work:
        """Nothing."""
        return {}

    def addInPlace(self, value1: Work, value2: Work) -> Work:  # Spark calls it so
        """The sum of two tallies."""
        return total((value1, value2))


def opened() -> Work:
    """How many workloads this process has opened in the run since it was last asked."""
    number = late_opens()
    return {LATE_OPENS: number} if number else {}


def counted(
    work: Accumulator[Work],
    tally: Callable[[], Work],
    make: Callable[[Iterable[Element]], Iterable[Made]],
    elements: Iterable[Element],
) -> Iterator[Made]:
    """What `make` makes of the elements of a task. When all of it is made, `tally` says what is added to `work`.

    The sum is there when the job ends, as each task brings what it adds with its result. For what Spark's listeners record
    of the tasks a run would have to wait.
    """
    yield from make(elements)
    work.add(tally())


def each(function: Callable[[Element], Iterable[Made]], elements: Iterable[Element]) -> Iterable[Made]:
    """All that the function makes of the elements, one after the other."""
    return chain.from_iterable(map(function, elements))


def prepare(job: Job, numbers: Iterable[int]) -> Iterable[int]:
    """Opens the workload of the next run in the worker of this task."""
    job.prepare()
    return numbers


def touch(numbers: Iterable[int]) -> Iterable[int]:
    """Does nothing: the first task of a worker starts Python and imports what it runs."""
    return numbers
