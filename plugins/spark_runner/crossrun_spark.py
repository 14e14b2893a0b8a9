"""What Spark's Python workers need beside `crossrun_engine.partitions`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pyspark import SparkFiles

from crossrun_engine import Job, ShippedJob


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


def prepare(job: Job, numbers: Iterable[int]) -> Iterable[int]:
    """Opens the workload of the next run in the worker of this task."""
    job.prepare()
    return numbers


def touch(numbers: Iterable[int]) -> Iterable[int]:
    """Does nothing: the first task of a worker starts Python and imports what it runs."""
    return numbers
