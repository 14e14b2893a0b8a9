"""The driver of the spark backend: takes a workload's plan through Spark's datasets.

A plan becomes one lineage, and one job: slices of the source are a dataset of their numbers, chains of stages are
narrow transformations, a keyed reduction is `partitionBy` by the number of the partition, and an action merges the
states of the sink.
"""

from __future__ import annotations

import functools
import os
import shutil
import socket
import sys
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from pathlib import Path
from typing import Any

import pyspark
from py4j.protocol import Py4JError, Py4JJavaError
from pyspark import RDD, SparkConf, SparkContext

import crossrun_spark as steps
from crossrun_engine import (
    CancelledError,
    Driver,
    InvalidSpecError,
    Result,
    RunContext,
    Session,
    Spec,
    UnavailableError,
    Workload,
    serve,
)
from crossrun_spark import Phase, Reference

# Slices for each core: Spark's own advice is two to four. Where load differs, cores that are free take more, smaller ones.
SLICES = {"load_aware": 16}
USUAL_SLICES = 4

SCHEDULERS = ("default", "fifo", "load_aware")

# Seconds between two looks at whether the run is to stop.
TICK = 0.05

# Seconds that Java may take to end.
EXIT_TIMEOUT = 8

# Seconds that the master of a cluster may take to answer.
CONNECT_TIMEOUT = 5

# Milliseconds in which Spark's own record of what its executors did catches up.
CATCH_UP = 2000

LOGGING = """rootLogger.level = error
rootLogger.appenderRef.file.ref = file
appender.file.type = File
appender.file.name = file
appender.file.fileName = {path}
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{{yy/MM/dd HH:mm:ss}} %p %c: %m%n%ex
"""


class Lineage:
    """The datasets of one run, from the numbers of the batches to the states of the sink."""

    def __init__(self, context: SparkContext, spec: Spec, workload: Workload, reference: Reference) -> None:
        self._context, self._spec, self._workload = context, spec, workload
        self._reference = reference
        self.batches = -(-spec.total_items // spec.batch_size)
        slices = SLICES.get(spec.scheduler_name, USUAL_SLICES)
        self.slices = max(1, min(self.batches, slices * spec.parallelism))

    def state(self) -> bytes:
        """Runs the job: the merged state of the sink."""
        states, last = self._fused() if self._spec.fusion != "off" else self._staged()
        # There are few of them: with more, `treeReduce` would be worth its shuffle.
        return bytes(states.reduce(functools.partial(steps.merge, last))[1])

    def _numbers(self) -> RDD[int]:
        return self._context.parallelize(range(self.batches), self.slices)

    def _phase(self, start: int) -> Phase:
        end = self._workload.end_of_chain(start)
        partitions = 1 if end == self._workload.sink else self._spec.parallelism
        spec = self._spec
        return Phase(self._reference, start, end, partitions, spec.batch_size, spec.total_items)

    def _fused(self) -> tuple[RDD[Any], Phase]:
        phase = self._phase(1)
        states: RDD[Any] = self._numbers().mapPartitions(functools.partial(steps.produce, phase))
        while phase.end != self._workload.sink:
            shuffled = states.partitionBy(phase.partitions, steps.own_number)
            reduction, phase = phase.end, self._phase(phase.end + 1)
            states = shuffled.mapPartitions(functools.partial(steps.reduce_states, phase, reduction))
        return states, phase

    def _staged(self) -> tuple[RDD[Any], Phase]:
        phase = self._phase(1)
        batches: RDD[Any] = self._numbers().flatMap(functools.partial(steps.generate, phase))
        while True:
            for stage in range(phase.start, phase.end):
                batches = batches.flatMap(functools.partial(steps.advance, self._reference, stage))
            if phase.end == self._workload.sink:
                return batches.mapPartitions(functools.partial(steps.sink, phase)), phase
            parts = batches.flatMap(functools.partial(steps.split, phase))
            shuffled = parts.partitionBy(phase.partitions, steps.own_number)
            batches = shuffled.mapPartitions(functools.partial(steps.reduce_parts, phase))
            phase = self._phase(phase.end + 1)


class Engine:
    """Spark's Java process and its context, with a private folder for all that it writes."""

    def __init__(self, session: Session) -> None:
        self._master = str(session.options.get("spark_master", "none"))
        self._local = self._master == "none"
        if self._local:
            session.demand_nodes(1, "--extra spark_master=spark://HOST:PORT")
        self._shipped: set[str] = set()
        self._folder = tempfile.TemporaryDirectory(prefix="crossrun-spark-")
        self._set_environment(session)
        try:
            self._start(session)
        except (Py4JError, RuntimeError) as error:
            self.close()
            where = "here" if self._local else f"with {self._master}"
            raise UnavailableError(f"Spark did not start {where}: {_first_line(error)}") from error
        if len(self.executors()) < session.nodes and not self._local:
            found = len(self.executors())
            self.close()
            raise UnavailableError(f"{session.nodes} nodes were asked for, but {self._master} offered {found}")

    def _start(self, session: Session) -> None:
        self.context = SparkContext(conf=self._configuration(session))
        if not self._local:
            self.context.addPyFile(str(self._packed()))
        # The first task of a worker starts Python, and imports what it runs.
        count = 4 * session.parallelism
        self.context.parallelize(range(count), count).mapPartitions(steps.touch).count()

    def _set_environment(self, session: Session) -> None:
        """What is measured must not depend on the user's own settings, so that none of them are left."""
        # Workers of a cluster run the Python of their own machines, as the user says there or here.
        python = sys.executable if self._local else os.environ.get("PYSPARK_PYTHON", "python3")
        for name in [name for name in os.environ if name.startswith(("SPARK_", "PYSPARK_"))]:
            # Which address others reach this machine at is no setting of taste.
            if name != "SPARK_LOCAL_IP":
                del os.environ[name]
        folder = Path(self._folder.name)
        (folder / "log4j2.properties").write_text(LOGGING.format(path=session.log_dir / "spark.log"))
        os.environ.update(SPARK_CONF_DIR=str(folder), TMPDIR=str(folder))
        os.environ.update(PYSPARK_PYTHON=python, PYSPARK_DRIVER_PYTHON=sys.executable)
        # Java would leave a folder of its own for each user.
        os.environ["SPARK_LAUNCHER_OPTS"] = "-XX:-UsePerfData"

    def _configuration(self, session: Session) -> SparkConf:
        configuration = SparkConf().setAppName("crossrun")
        configuration.setMaster(f"local[{session.parallelism}]" if self._local else self._master)
        settings = {
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.local.dir": self._folder.name,
            "spark.driver.extraJavaOptions": f"-Djava.io.tmpdir={self._folder.name} -XX:-UsePerfData",
            # A job begins when all that was asked for is there.
            "spark.scheduler.minRegisteredResourcesRatio": "1.0",
            "spark.cores.max": str(session.parallelism),
        }
        if self._local:
            settings.update({"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"})
        return configuration.setAll(list(settings.items()))

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

    def executors(self) -> dict[str, int]:
        """How many tasks each machine has ended so far."""
        spark = self.context._jsc.sc()
        spark.listenerBus().waitUntilEmpty(CATCH_UP)
        found: dict[str, int] = {}
        summaries = spark.statusStore().executorList(False)
        for number in range(summaries.size()):
            summary = summaries.apply(number)
            if self._local or summary.id() != "driver":
                machine = summary.hostPort().rsplit(":", 1)[0]
                found[machine] = found.get(machine, 0) + summary.completedTasks()
        return found

    @property
    def java(self) -> str:
        """The version of Java."""
        return str(self.context._jvm.System.getProperty("java.version"))

    def close(self) -> None:
        """Stops Spark, then Java, then deletes what they wrote."""
        context = SparkContext._active_spark_context
        if context is not None:
            context.stop()
        gateway = SparkContext._gateway
        if gateway is not None:
            gateway.shutdown()
            # Java ends when its standard input does.
            gateway.proc.stdin.close()
            gateway.proc.wait(EXIT_TIMEOUT)
            SparkContext._gateway = SparkContext._jvm = None
        self._folder.cleanup()


class SparkDriver(Driver):
    """One Spark context for the session."""

    def __init__(self) -> None:
        self._engine: Engine | None = None

    def open(self, session: Session) -> None:
        """Starts Java, Spark and its Python workers."""
        _check_master(str(session.options.get("spark_master", "none")))
        self._engine = Engine(session)

    def run(self, spec: Spec, workload: Workload, context: RunContext) -> Result:
        """Runs a workload as one job of Spark."""
        engine = self._engine
        assert engine is not None
        before = engine.executors()
        lineage = Lineage(engine.context, spec, workload, engine.reference(workload))
        try:
            state = self._watched(engine, lineage, context)
        except BaseException:
            # Nobody asks for anything after a run that failed, not even to close.
            self.close()
            raise
        context.progress(spec.total_items, spec.total_items)
        work = {machine: tasks - before.get(machine, 0) for machine, tasks in engine.executors().items()}
        fused = spec.fusion != "off"
        metrics: dict[str, Any] = {
            "versions": {"pyspark": pyspark.__version__, "java": engine.java},
            "nodes": sum(tasks > 0 for tasks in work.values()),
            "node_work": work,
            "idiom": "mapPartitions" if fused else "a transformation a stage, a record a batch",
            "slices": lineage.slices,
        }
        if warnings := self._warnings(spec):
            metrics["warnings"] = warnings
        scheduler = spec.scheduler_name if spec.scheduler_name in SCHEDULERS else "default"
        return Result(workload.outcome(state)["count"], state, scheduler, metrics)

    def close(self) -> None:
        """Stops what was started."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()

    def _watched(self, engine: Engine, lineage: Lineage, context: RunContext) -> bytes:
        """Waits for the job in this thread, which can be told to stop; another one runs it."""
        with ThreadPoolExecutor(1, thread_name_prefix="crossrun-job") as pool:
            job = pool.submit(lineage.state)
            while True:
                try:
                    return job.result(TICK)
                except NotYet:
                    if context.cancelled():
                        engine.context.cancelAllJobs()
                        raise CancelledError from None
                except Py4JJavaError as error:
                    raise steps.failure_in(str(error)) or RuntimeError(_first_line(error)) from error

    def _warnings(self, spec: Spec) -> list[str]:
        warnings = []
        if spec.fusion == "off":
            warnings.append("Spark runs narrow transformations that follow each other in one task all the same")
        if spec.scheduler_name not in SCHEDULERS:
            warnings.append(f"scheduler {spec.scheduler_name!r} is unknown to Spark; it ran as 'default'")
        return warnings


def _check_master(master: str) -> None:
    """Spark itself takes a minute to find out that nobody answers."""
    if master == "none":
        return
    scheme, _, addresses = master.partition("://")
    if scheme != "spark" or not addresses:
        raise InvalidSpecError(f"extra.spark_master is {master!r}", "--extra spark_master=spark://HOST:PORT")
    reasons = []
    for address in addresses.split(","):
        machine, _, port = address.rpartition(":")
        try:
            socket.create_connection((machine, int(port)), CONNECT_TIMEOUT).close()
            return
        except (OSError, ValueError) as error:
            reasons.append(f"{address}: {error}")
    raise UnavailableError(f"no Spark master answers at {'; '.join(reasons)}")


def _first_line(error: BaseException) -> str:
    java = getattr(error, "java_exception", None)
    lines = str(java.toString() if java is not None else error).splitlines()
    return lines[0] if lines else type(error).__name__


if __name__ == "__main__":
    serve(SparkDriver())
