"""What Spark's Python workers need beside `crossrun_engine.datasets`."""

from __future__ import annotations

import os
import platform
import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pyspark import Accumulator, AccumulatorParam, SparkFiles, TaskContext

from crossrun_engine import Job, ShippedJob, Work, total
from crossrun_engine.job import REPEATED

# The machine of all tasks where there is no cluster.
LOCAL = "127.0.0.1"


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
        # A worker of a cluster tells its executors where their logs are, and so the name of the machine.
        return urlsplit(os.environ.get("SPARK_LOG_URL_STDOUT", "")).hostname or socket.gethostname()


class WorkParam(AccumulatorParam):  # type: ignore[misc] # Spark is not typed
    """How Spark adds up what its tasks have done."""

    def zero(self, value: Work) -> Work:
        """Nothing."""
        return {}

    def addInPlace(self, value1: Work, value2: Work) -> Work:  # Spark calls it so
        """The sum of two tallies."""
        return total((value1, value2))


def attempted(
    work: Accumulator[Work], function: Callable[[Iterable[Any]], Iterable[Any]], elements: Iterable[Any]
) -> Iterator[Any]:
    """What the function makes of the elements. Counts the task if an earlier attempt failed, as when its executor is lost."""
    yield from function(elements)
    if TaskContext.get().attemptNumber() > 0:
        work.add({REPEATED: 1})


def prepare(job: Job, numbers: Iterable[int]) -> Iterable[dict[str, str]]:
    """Opens the workload of the next run in the worker of this task, and tells for each number which version of Python this is."""
    job.prepare()
    return [{"python": platform.python_version()} for _ in numbers]


def touch(numbers: Iterable[int]) -> Iterable[int]:
    """Does nothing: the first task of a worker starts Python and imports what it runs."""
    return numbers
