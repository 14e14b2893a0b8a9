"""The driver of the dask backend: takes a workload's plan through Dask's futures."""

# ruff: noqa: E402 - Dask reads the environment when it is imported, so that comes first.

from __future__ import annotations

import environment

environment.prepare()

import dask
import distributed

from cluster import Cluster, connect
from crossrun_engine import (
    Driver,
    Result,
    RunContext,
    Session,
    Spec,
    Workload,
    called,
    closes,
    due_warnings,
    futures_run,
    granted_graph,
    report,
    scheduler_used,
    serve,
)
from crossrun_engine.executors import LostError, failure_of
from engine import DaskEngine

SCHEDULERS = ("default", "fifo", "load_aware")

# Batches in flight for each worker thread: enough that none waits for the driver and that few graphs are submitted, each
# of which costs Dask as much as some tasks, and few enough that memory stays flat.
WINDOW = 256

# Items in flight for each worker thread, where a batch is large.
WINDOW_ITEMS = 1 << 18


class DaskDriver(Driver):
    """A client of workers of this machine, or of a cluster that already exists."""

    def __init__(self) -> None:
        self.cluster: Cluster | None = None

    def open(self, session: Session) -> None:
        """Starts the workers, or connects to the cluster."""
        self.cluster = connect(session)

    def prepare(self, spec: Spec, workload: Workload, context: RunContext) -> None:
        """Brings the library to the workers, which open the workload."""
        cluster = self.cluster
        assert cluster is not None
        cluster.processes.begin(context.check_cancelled)
        try:
            called(DaskEngine(cluster, "default", context).look, cluster.prepare, workload)
        except OSError as error:
            raise failure_of(error, "Dask", "the scheduler or a worker") from error

    def run(self, spec: Spec, workload: Workload, context: RunContext) -> Result:
        """Runs a workload as tasks of Dask."""
        cluster = self.cluster
        assert cluster is not None
        scheduler, warnings = scheduler_used(spec, "Dask", SCHEDULERS)
        if scheduler == "load_aware":
            warnings.append("Dask places by load and steals work by default: load_aware is its default")
        idiom = "futures, one task a " + ("batch" if spec.fusion != "off" else "stage and batch")
        if granted_graph(spec, workload):
            idiom = "futures, one for each task of the graph"
        try:
            engine, items = DaskEngine(cluster, scheduler, context), WINDOW_ITEMS * spec.parallelism
            run = futures_run(engine, cluster.job(workload), spec, context, WINDOW, items)
            state = run.execute()
        except distributed.CancelledError as error:
            raise LostError(f"Dask gave up the run: {error}") from error
        except OSError as error:
            raise failure_of(error, "Dask", "the scheduler") from error
        metrics = {"idiom": idiom, "tasks_in_flight": run.size, "closes": closes(spec, workload)}
        metrics |= {"versions": {"dask": dask.__version__, "distributed": distributed.__version__}}
        warnings += due_warnings(workload)
        return report(workload, state, scheduler, run.work, [*cluster.warnings(), *warnings], metrics)

    def close(self) -> None:
        """Stops the workers, if they were started here."""
        cluster, self.cluster = self.cluster, None
        if cluster is not None:
            cluster.close()


if __name__ == "__main__":
    serve(DaskDriver())
