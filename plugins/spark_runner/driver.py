"""The driver of the spark backend: runs a workload as one job of Spark, and watches it."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import TypeVar

import pyspark
from py4j.protocol import Py4JError, Py4JJavaError

import crossrun_spark as functions
from crossrun_engine import Driver, Result, RunContext, Session, Spec, Workload, java, report, scheduler_used, serve
from crossrun_engine.failure import EngineError, workload_error_in
from crossrun_engine.remote import version_warnings
from crossrun_engine.window import awaited
from engine import Engine, death
from lineage import Lineage

Answer = TypeVar("Answer")

SCHEDULERS = ("default", "fifo", "load_aware")

# Seconds between two questions of which executors there are and how far a job is. Java answers them, which is to do other things.
LOOK_SECONDS = 0.5


class SparkDriver(Driver):
    """One Spark context for the session."""

    usual_warnings = ("Using incubator modules",)

    def __init__(self) -> None:
        self._engine: Engine | None = None
        # That of the last run, until what Spark kept for it is released.
        self._lineage: Lineage | None = None
        # Warnings of machines with another version of Python, of the run that is prepared.
        self._versions: list[str] = []

    def open(self, session: Session) -> None:
        """Starts Java, Spark and its Python workers."""
        self._engine = Engine(session)

    def prepare(self, spec: Spec, workload: Workload, context: RunContext) -> None:
        """Asks which executors there are, and brings the library to the workers, which open the workload."""
        engine = self._engine
        assert engine is not None
        self._release()
        engine.executors.begin(spec.parallelism)
        job = partial(functions.prepare, engine.job(workload))
        told = _awaited(engine.on_each_worker(job, spec.parallelism), _looking(engine, context))
        self._versions = version_warnings(told, ())

    def run(self, spec: Spec, workload: Workload, context: RunContext) -> Result:
        """Runs a workload as one job of Spark."""
        engine = self._engine
        assert engine is not None
        self._release()
        engine.work.value = {}
        lineage = self._lineage = Lineage(engine.context, engine.work, spec, engine.job(workload))
        state = _watched(engine, lineage, spec.total_items, context)
        context.progress(spec.total_items, spec.total_items)
        losses = engine.executors.losses(looks=lineage.was_disturbed())
        scheduler, warnings = scheduler_used(spec, "Spark", SCHEDULERS)
        if scheduler != "default" and lineage.has_usual_tasks:
            # `fifo` always, and `load_aware` in an open loop or with few batches.
            tasks = "1 task" if lineage.tasks == 1 else f"{lineage.tasks} tasks"
            warnings.append(f'scheduler "{scheduler}" made no difference: Spark had {tasks}, as by default')
        metrics = {
            "versions": {"pyspark": pyspark.__version__, "java": engine.java_version},
            "idiom": "a message for each stage and batch" if spec.fusion == "off" else "mapPartitions over slices",
            "slices": lineage.tasks,
        }
        return report(workload, state, scheduler, engine.work.value, self._versions + losses + warnings, metrics)

    def _release(self) -> None:
        """Between runs, as it is no part of a run."""
        lineage, self._lineage = self._lineage, None
        if lineage is not None:
            lineage.release()

    def close(self) -> None:
        """Stops what was started."""
        self._lineage = None
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()


def _watched(engine: Engine, lineage: Lineage, total: int, context: RunContext) -> bytes:
    """Waits for the job in this thread, which sees a stop. Another thread runs the job."""
    source: int | None = None

    def progress() -> None:
        nonlocal source
        source, done = _progress(engine, source, total)
        context.progress(done, total)

    return _awaited(engine.jobs.submit(lineage.state), _looking(engine, context, progress))


def _looking(engine: Engine, context: RunContext, progress: Callable[[], None] = lambda: None) -> Callable[[], None]:
    """What to call while Spark works: it sees a stop, and now and then looks at the executors and calls `progress`."""
    next_question = time.monotonic() + LOOK_SECONDS

    def look() -> None:
        nonlocal next_question
        context.check_cancelled()
        if time.monotonic() >= next_question:
            engine.executors.check()
            progress()
            next_question = time.monotonic() + LOOK_SECONDS

    return look


def _awaited(job: Future[Answer], look: Callable[[], None]) -> Answer:
    """What a job of Spark answers. While it runs, `look` is called again and again."""
    try:
        return awaited(job, look)
    except Py4JJavaError as error:
        raise workload_error_in(str(error)) or EngineError(java.first_line(error)) from error
    except (Py4JError, OSError) as error:
        raise EngineError(death() or java.first_line(error)) from error


def _progress(engine: Engine, source: int | None, total: int) -> tuple[int | None, int]:
    """The stage that takes items from the source, and how many of `total` its tasks that have ended stand for."""
    tracker = engine.context.statusTracker()
    source = min(tracker.getActiveStageIds(), default=None) if source is None else source
    if source is None:
        return None, 0
    stage = tracker.getStageInfo(source)
    return source, total * stage.numCompletedTasks // max(1, stage.numTasks) if stage else total


if __name__ == "__main__":
    serve(SparkDriver())
