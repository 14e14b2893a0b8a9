"""The driver of the dask backend: takes a workload's plan through Dask's futures.

A plan is run in phases, cut at its keyed reductions. A phase submits batches of tasks, a bounded number at a time, and
submits more as they complete. States are merged by the workers in a tree, as `dask.bag.foldby` does it: each task folds
its own batch, and the states of each partition are combined.
"""

from __future__ import annotations

from typing import Any

import surroundings

surroundings.prepare()

import dask
import distributed
from cluster import Site, connect
from crossrun_engine import Driver, Result, RunContext, Session, Spec, Workload, serve
from run import Run

SCHEDULERS = ("default", "fifo", "load_aware")


class DaskDriver(Driver):
    """A client of workers of this machine, or of a cluster that already exists."""

    def __init__(self) -> None:
        self._site: Site | None = None

    def open(self, session: Session) -> None:
        """Starts the workers, or connects to the cluster."""
        self._site = connect(session)

    def run(self, spec: Spec, workload: Workload, context: RunContext) -> Result:
        """Runs a workload as tasks of Dask."""
        site = self._site
        assert site is not None
        try:
            run = Run(site, spec, workload, context)
            site.begin()
            state = run.execute()
            work = site.work()
        except BaseException:
            # Nobody asks for anything after a run that failed, not even to close.
            self.close()
            raise
        metrics: dict[str, Any] = {
            "versions": {"dask": dask.__version__, "distributed": distributed.__version__},
            "nodes": sum(calls > 0 for calls in work.values()) if work else 1,
            "idiom": "futures, one task a batch" if spec.fusion != "off" else "futures, one task a stage and batch",
            "tasks_in_flight": run.window,
        }
        if work:
            metrics["node_work"] = work
        if warnings := site.warnings + _ignored(spec):
            metrics["warnings"] = warnings
        scheduler = spec.scheduler_name if spec.scheduler_name in SCHEDULERS else "default"
        return Result(workload.outcome(state)["count"], state, scheduler, metrics)

    def close(self) -> None:
        """Stops the workers, if they were started here."""
        site, self._site = self._site, None
        if site is not None:
            site.close()


def _ignored(spec: Spec) -> list[str]:
    """What the scheduler's name does not change."""
    if spec.scheduler_name == "load_aware":
        return ["Dask places by load and steals work always: load_aware is its default"]
    if spec.scheduler_name not in SCHEDULERS:
        return [f"scheduler {spec.scheduler_name!r} is unknown to Dask; it ran as 'default'"]
    return []


if __name__ == "__main__":
    serve(DaskDriver())
