"""Spark's Java process and its context, with a private folder for all that they write."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JError
from pyspark import SparkConf, SparkContext

import crossrun_spark as functions
from cluster import NONE, Executors, own_address
from crossrun_engine import Job, Session, SessionFolder, UnavailableError, Workload, java
from crossrun_engine.code import code_files
from crossrun_engine.network import bracketed
from crossrun_engine.startup import closing_after_failure

# Seconds that Java may take to end.
EXIT_TIMEOUT = 8

# Seconds in which Java ends if it is about to.
DEATH_TIMEOUT = 1


class Engine:
    """Spark, from its start to its end."""

    def __init__(self, session: Session) -> None:
        self._master = str(session.options.get("spark_master", NONE))
        if self._master == NONE:
            session.demand_nodes(1, "--extra spark_master=spark://HOST:PORT")
        address = own_address(self._master)
        self._folder = SessionFolder("crossrun-spark-")
        # Java has a thread of its own for each of this process: one thread of the session's runs all jobs.
        self.jobs = ThreadPoolExecutor(1, thread_name_prefix="crossrun-job")
        with closing_after_failure(self.close):
            try:
                self._set_environment(session.log_dir, address)
                self._start(session, address)
            except (Py4JError, RuntimeError) as error:
                where = "here" if self._master == NONE else f"with {self._master}"
                # Java is asked for its exceptions, and does not answer any more when it is closed.
                raise UnavailableError(f"Spark did not start {where}: {java.first_line(error)}") from error

    def _set_environment(self, log_dir: Path, address: str) -> None:
        """What is measured must not depend on the user's own settings: of Spark's there is only `PYSPARK_PYTHON`."""
        # Workers of a cluster run the Python of their own machines, as the user says there or here.
        python = sys.executable if self._master == NONE else os.environ.get("PYSPARK_PYTHON") or "python3"
        folder = str(self._folder.path)
        # In a locale without UTF-8, Java finds no file by a path with letters beyond ASCII, as that of a home folder.
        logs = self._folder.path / "logs"
        logs.symlink_to(log_dir)
        Path(folder, "log4j2.properties").write_text(java.logging_properties(logs / "spark.log"))
        os.environ.update(SPARK_CONF_DIR=folder, TMPDIR=folder, SPARK_LOCAL_IP=address)
        os.environ.update(PYSPARK_PYTHON=python, PYSPARK_DRIVER_PYTHON=sys.executable)
        # Java starts workers with `python -m`, which takes modules from the current folder first, also in place of Python's own.
        os.environ["PYTHONSAFEPATH"] = "1"
        # Java would leave a folder of its own for each user.
        os.environ["SPARK_LAUNCHER_OPTS"] = "-XX:-UsePerfData"
        if name := java.user_name():
            # Hadoop asks the system for the user, and does not take Java's word.
            os.environ["SPARK_USER"] = name

    def _start(self, session: Session, address: str) -> None:
        settings = {
            "spark.master": f"local[{session.parallelism}]" if self._master == NONE else self._master,
            "spark.app.name": "crossrun",
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.local.dir": str(self._folder.path),
            "spark.driver.extraJavaOptions": java.options(java.properties(self._folder.path)),
            # Spark ends with an assertion at an IPv6 address without brackets.
            "spark.driver.host": bracketed(address),
            "spark.driver.bindAddress": bracketed(address),
            "spark.cores.max": str(session.parallelism),
            # What is shuffled are states, a few kilobytes: a core that is free must not wait to be near them.
            "spark.locality.wait": "0s",
        }
        if threads := os.environ.get("OMP_NUM_THREADS"):
            # Else Spark sets it to 1 for its workers, whatever this process has.
            settings["spark.executorEnv.OMP_NUM_THREADS"] = threads
        # A batch is a record, and a record is a message: it is large enough.
        self.context = SparkContext(conf=SparkConf().setAll(list(settings.items())), batchSize=1)
        self.java_version = str(self.context._jvm.System.getProperty("java.version"))
        # What the tasks of a run have done.
        self.work = self.context.accumulator({}, functions.WorkParam())
        self.executors = Executors(self.context, self._master, session.nodes)
        self.executors.wait_for(session.parallelism)
        if self._master != NONE:
            self._ship_code()
        # The first task of a worker starts Python, and imports what it runs.
        self.on_each_worker(functions.touch, session.parallelism).result()

    def on_each_worker(self, function: Callable[[Iterable[int]], Iterable[Any]], parallelism: int) -> Future[list[Any]]:
        """Runs a function on all workers, with more tasks than there are workers. The answer is what all tasks return."""
        count = 4 * parallelism
        numbers = self.context.parallelize(range(count), count)
        return self.jobs.submit(numbers.mapPartitions(function).collect)

    def _ship_code(self) -> None:
        """Brings the modules that workers import to other machines."""
        archive = self._folder.path / "crossrun_code.zip"
        with zipfile.ZipFile(archive, "w") as packed:
            for name, content in code_files(Path(functions.__file__).parent, "crossrun_spark").items():
                packed.writestr(name, content)
        self.context.addPyFile(str(archive))

    def job(self, workload: Workload) -> Job:
        """The workload for workers. Those of this machine read the library where it is; to others Spark brings it once."""
        if self._master == NONE:
            return functions.LocalJob(workload)
        job = functions.SparkJob(workload)
        copy = self._folder.path / job.file_name
        if not copy.exists():
            shutil.copyfile(workload.path, copy)
            self.context.addFile(str(copy))
        return job

    def close(self) -> None:
        """Stops Spark, then Java, then deletes what they wrote."""
        self.jobs.shutdown(wait=False, cancel_futures=True)
        gateway = SparkContext._gateway
        # Java may have died before.
        with contextlib.suppress(Py4JError, OSError):
            if SparkContext._active_spark_context is not None:
                SparkContext._active_spark_context.stop()
            if gateway is not None:
                gateway.shutdown()
        if gateway is not None:
            # Java ends when its standard input does.
            gateway.proc.stdin.close()
            gateway.proc.wait(EXIT_TIMEOUT)
            SparkContext._gateway = SparkContext._jvm = None
        self._folder.close()


def death() -> str | None:
    """How Spark's Java process ended, if it did."""
    assert SparkContext._gateway is not None
    try:
        code = SparkContext._gateway.proc.wait(DEATH_TIMEOUT)
    except subprocess.TimeoutExpired:
        return None
    how = f"was killed by signal {-code}" if code < 0 else f"exited with code {code}"
    return f"Spark's Java process {how}"
