"""The driver of the spark backend: runs a workload as one job of Spark, and watches it."""

from __future__ import annotations

import time
from concurrent.futures import TimeoutError as NotYet
from typing import Any

import pyspark
from py4j.protocol import Py4JError, Py4JJavaError

from crossrun_engine import (
    CancelledError,
    Driver,
    EngineError,
    Result,
    RunContext,
    Session,
    Spec,
    Workload,
    serve,
)
from crossrun_spark import failure_in
from engine import Engine, first_line
from lineage import Lineage

SCHEDULERS = ("default", "fifo", "load_aware")

# Seconds between two looks at whether the run is to stop.
TICK = 0.05

# Seconds between two looks at how far it is. They ask Java, which is to do other things.
LOOK = 0.5


class SparkDriver(Driver):
    """One Spark context for the session."""

    def __init__(self) -> None:
        self._engine: Engine | None = None
        self._nodes = 1

    def open(self, session: Session) -> None:
        """Starts Java, Spark and its Python workers."""
        self._nodes = session.nodes
        self._engine = Engine(session)

    def run(self, spec: Spec, workload: Workload, context: RunContext) -> Result:
        """Runs a workload as one job of Spark."""
        engine = self._engine
        assert engine is not None
        try:
            engine.executors.begin(self._nodes)
            lineage = Lineage(engine.context, spec, workload, engine.reference(workload))
            state = _watched(engine, lineage, spec, context)
        except BaseException:
            # Nobody asks for anything after a run that failed, not even to close.
            self.close()
            raise
        context.progress(spec.total_items, spec.total_items)
        work, warnings = engine.executors.end()
        metrics: dict[str, Any] = {
            "versions": {"pyspark": pyspark.__version__, "java": engine.java},
            "nodes": len(work),
            "node_work": work,
            "idiom": lineage.idiom,
            "slices": lineage.slices,
        }
        scheduler = spec.scheduler_name if spec.scheduler_name in SCHEDULERS else "default"
        if scheduler != spec.scheduler_name:
            warnings.append(f"scheduler {spec.scheduler_name!r} is unknown to Spark; it ran as 'default'")
        if warnings:
            metrics["warnings"] = warnings
        return Result(workload.outcome(state)["count"], state, scheduler, metrics)

    def close(self) -> None:
        """Stops what was started."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()


def _watched(engine: Engine, lineage: Lineage, spec: Spec, context: RunContext) -> bytes:
    """Waits for the job in this thread, which can be told to stop; another one runs it."""
    job = engine.jobs.submit(lineage.state)
    progress = _Progress(engine, spec.total_items)
    next_look = time.monotonic() + LOOK
    while True:
        try:
            return job.result(TICK)
        except NotYet:
            if context.cancelled():
                engine.context.cancelAllJobs()
                raise CancelledError from None
            if time.monotonic() >= next_look:
                engine.executors.check()
                context.progress(progress.items(), spec.total_items)
                next_look = time.monotonic() + LOOK
        except Py4JJavaError as error:
            raise failure_in(str(error)) or EngineError(first_line(error)) from error
        except (Py4JError, OSError) as error:
            raise EngineError(engine.death() or first_line(error)) from error


class _Progress:
    """How far a job is: what part of the tasks that take items from the source has ended."""

    def __init__(self, engine: Engine, total: int) -> None:
        self._tracker = engine.context.statusTracker()
        self._total = total
        self._source: int | None = None

    def items(self) -> int:
        """That part of all items."""
        stages = self._tracker.getActiveStageIds()
        if self._source is None and stages:
            self._source = min(stages)
        if self._source is None:
            return 0
        found = self._tracker.getStageInfo(self._source)
        return self._total * found.numCompletedTasks // max(1, found.numTasks) if found else self._total


if __name__ == "__main__":
    serve(SparkDriver())
