"""Fails unless a run in which nothing is lost asks Spark for its executors before it, and not in its time; unless workers have the
number of threads that the user gives to libraries; and unless a run warns of workers with another version of Python.

    python looks.py LIBRARY

Needs Spark, the driver's folder and the package `crossrun_engine` on the search path.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import threading
from pathlib import Path
from unittest import mock

import driver
from cluster import Executors
from crossrun_engine import Result, RunContext, Session, Spec, UnavailableError, Workload
from crossrun_engine.executors import Executor
from lineage import Lineage

ALIVE, LOST = (Executor(name, "here", 2, name == "1", "" if name == "1" else "gone") for name in ("1", "0"))


class Run:
    """One run, of the same data as all others."""

    def __init__(self, spark: driver.SparkDriver, library: Path, fusion: str) -> None:
        extra = {"batch_size": 10, "fusion": fusion}
        opened = {"schema": 1, "name": "word_count", "total_items": 200, "seed": 1, "extra": extra}
        sha256 = hashlib.sha256(library.read_bytes()).hexdigest()
        self._spark, self._spec = spark, Spec("word_count", 200, 2, "default", 1, extra)
        self._workload = Workload(str(library), sha256, json.dumps(opened))
        self._context = RunContext(Path("."), threading.Event(), lambda message: None)

    def prepare(self) -> None:
        """What comes before its clock."""
        self._spark.prepare(self._spec, self._workload, self._context)

    def result(self) -> Result:
        """What comes of it."""
        return self._spark.run(self._spec, self._workload, self._context)


def run(spark: driver.SparkDriver, library: Path, fusion: str) -> Result:
    """A run that is not prepared."""
    return Run(spark, library, fusion).result()


def threads(spark: driver.SparkDriver) -> str:
    """How many threads a library of a worker is to have."""
    engine = spark._engine
    assert engine is not None
    (found,) = engine.context.parallelize([0], 1).map(lambda _: os.environ["OMP_NUM_THREADS"]).collect()
    return str(found)


def of_other_version(spark: driver.SparkDriver, library: Path) -> list[str]:
    """The warnings of a run whose driver has another version of Python than its workers when it is prepared, and none of the next run."""
    of = Run(spark, library, "auto")
    with mock.patch("platform.python_version", return_value="3.0.1"):
        of.prepare()
    warnings = list(of.result().metrics.get("warnings", []))
    of.prepare()
    assert "warnings" not in of.result().metrics, "the workers have the driver's version"
    return warnings


def check(spark: driver.SparkDriver, library: Path) -> None:
    """Executors as those of a cluster, which are asked for nothing, then of a run that was disturbed, then before a run."""
    engine = spark._engine
    assert engine is not None
    engine.executors = Executors(engine.context, "spark://in.a.test:1", 1)
    with mock.patch.object(Executors, "all", return_value=[ALIVE, LOST]) as asked:
        for fusion in ("auto", "off"):
            result = run(spark, library, fusion)
            assert not asked.called and "warnings" not in result.metrics, (fusion, result.metrics)
        # As if a task had failed once.
        with mock.patch.object(Lineage, "was_disturbed", return_value=True):
            warnings = run(spark, library, "auto").metrics["warnings"]
        assert warnings == ["an executor on here was lost: gone"], warnings
        assert "warnings" not in run(spark, library, "auto").metrics, "a loss is told once"
        engine.executors = Executors(engine.context, "spark://in.a.test:1", 1)
        prepared = Run(spark, library, "auto")
        prepared.prepare()
        before = asked.call_count
        assert prepared.result().metrics["warnings"] == warnings, "it was seen before the run"
        assert asked.call_count == before
    with mock.patch.object(Executors, "all", return_value=[LOST]):
        try:
            Run(spark, library, "auto").prepare()
        except UnavailableError:
            return
        raise AssertionError("a run was prepared whose machine is gone")


def main(library: Path) -> None:
    """Starts Spark, which is asked for the progress of none of these short runs."""
    os.environ["OMP_NUM_THREADS"] = "3"
    with tempfile.TemporaryDirectory() as logs, mock.patch.object(driver, "LOOK_SECONDS", 3600):
        spark = driver.SparkDriver()
        spark.open(Session(2, 1, {}, Path(logs), Path(logs)))
        try:
            (told,) = of_other_version(spark, library)
            assert told.endswith("and the driver 3.0.1: the record has the driver's version"), told
            check(spark, library)
            assert threads(spark) == "3", threads(spark)
        finally:
            spark.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
