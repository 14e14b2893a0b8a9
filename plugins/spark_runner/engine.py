"""Spark's Java process and its context, with a private folder for all that they write."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from py4j.protocol import Py4JError
from pyspark import SparkConf, SparkContext

import crossrun_spark as steps
from cluster import NONE, Executors, own_address
from crossrun_engine import Session, UnavailableError, Workload
from crossrun_spark import Reference

# Seconds that Java may take to end.
EXIT_TIMEOUT = 8

# Seconds in which Java ends if it is about to.
DEATH_TIMEOUT = 1

LOGGING = """rootLogger.level = error
rootLogger.appenderRef.file.ref = file
appender.file.type = File
appender.file.name = file
appender.file.fileName = {path}
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{{yy/MM/dd HH:mm:ss}} %p %c: %m%n%ex
"""


class Engine:
    """Spark, from its start to its end."""

    context: SparkContext
    executors: Executors

    def __init__(self, session: Session) -> None:
        self._session = session
        self._master = str(session.options.get("spark_master", NONE))
        self._local = self._master == NONE
        if self._local:
            session.demand_nodes(1, "--extra spark_master=spark://HOST:PORT")
        self._address = own_address(self._master)
        self._shipped: set[str] = set()
        self._folder = tempfile.TemporaryDirectory(prefix="crossrun-spark-")
        # Java has a thread of its own for each of this process: one thread of the session's runs all jobs.
        self.jobs = ThreadPoolExecutor(1, thread_name_prefix="crossrun-job")
        self._set_environment()
        try:
            self._start()
        except (Py4JError, RuntimeError) as error:
            self.close()
            where = "here" if self._local else f"with {self._master}"
            raise UnavailableError(f"Spark did not start {where}: {first_line(error)}") from error
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        # A batch is a record, and a record is a message: it is large enough.
        self.context = SparkContext(conf=self._configuration(), batchSize=1)
        self.executors = Executors(self.context, self._master)
        self.executors.wait_for(self._session.nodes, self._session.parallelism)
        if not self._local:
            self.context.addPyFile(str(self._packed()))
        self.jobs.submit(self._warm_up).result()

    def _warm_up(self) -> None:
        """The first task of a worker starts Python, and imports what it runs."""
        count = 4 * self._session.parallelism
        self.context.parallelize(range(count), count).mapPartitions(steps.touch).count()

    def _set_environment(self) -> None:
        """What is measured must not depend on the user's own settings, so that none of them are left."""
        # Workers of a cluster run the Python of their own machines, as the user says there or here.
        python = sys.executable if self._local else os.environ.get("PYSPARK_PYTHON", "python3")
        for name in [name for name in os.environ if name.startswith(("SPARK_", "PYSPARK_"))]:
            del os.environ[name]
        folder = Path(self._folder.name)
        (folder / "log4j2.properties").write_text(LOGGING.format(path=self._session.log_dir / "spark.log"))
        os.environ.update(SPARK_CONF_DIR=str(folder), TMPDIR=str(folder), SPARK_LOCAL_IP=self._address)
        os.environ.update(PYSPARK_PYTHON=python, PYSPARK_DRIVER_PYTHON=sys.executable)
        # Java would leave a folder of its own for each user.
        os.environ["SPARK_LAUNCHER_OPTS"] = "-XX:-UsePerfData"

    def _configuration(self) -> SparkConf:
        parallelism = self._session.parallelism
        settings = {
            "spark.master": f"local[{parallelism}]" if self._local else self._master,
            "spark.app.name": "crossrun",
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.local.dir": self._folder.name,
            "spark.driver.extraJavaOptions": f"-Djava.io.tmpdir={self._folder.name} -XX:-UsePerfData",
            "spark.driver.host": self._address,
            "spark.driver.bindAddress": self._address,
            "spark.cores.max": str(parallelism),
            # What is shuffled are states, a few kilobytes: a core that is free must not wait to be near them.
            "spark.locality.wait": "0s",
        }
        return SparkConf().setAll(list(settings.items()))

    def _packed(self) -> Path:
        """The modules that workers import."""
        here = Path(steps.__file__).parent
        archive = Path(self._folder.name, "crossrun_code.zip")
        with zipfile.ZipFile(archive, "w") as packed:
            for path in [here / "crossrun_spark.py", *sorted((here / "crossrun_engine").glob("*.py"))]:
                packed.write(path, path.relative_to(here))
        return archive

    def reference(self, workload: Workload) -> Reference:
        """Workers of this machine read the library where it is; to others it travels, under the name of its hash."""
        if self._local:
            return Reference(workload.path, workload.sha256, workload.spec)
        name = f"crossrun-{workload.sha256}.so"
        if name not in self._shipped:
            copy = Path(self._folder.name, name)
            shutil.copyfile(workload.path, copy)
            self.context.addFile(str(copy))
            self._shipped.add(name)
        return Reference(name, workload.sha256, workload.spec)

    @property
    def java(self) -> str:
        """The version of Java."""
        return str(self.context._jvm.System.getProperty("java.version"))

    def death(self) -> str | None:
        """How Java ended, if it did."""
        assert SparkContext._gateway is not None
        try:
            code = SparkContext._gateway.proc.wait(DEATH_TIMEOUT)
        except subprocess.TimeoutExpired:
            return None
        how = f"was killed by signal {-code}" if code < 0 else f"exited with code {code}"
        return f"Spark's Java process {how}"

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
        self._folder.cleanup()


def first_line(error: BaseException) -> str:
    """What an exception of Spark or Java says first."""
    java = getattr(error, "java_exception", None)
    lines = str(java.toString() if java is not None else error).splitlines()
    return lines[0] if lines else type(error).__name__
