"""The driver of the ray backend: takes a workload's plan through Ray's tasks or actors.

Which of the two is used is in the metric `idiom`. Actors keep their states, so that a batch costs one call of a method;
they are lost with their node. Tasks have none, so Ray places each where there is room and repeats what is lost.
"""

from __future__ import annotations

import os
import re
from importlib import metadata
from typing import Any

import environment
from crossrun_engine import (
    ActorsRun,
    Driver,
    InvalidSpecError,
    Result,
    RunContext,
    Session,
    Spec,
    Workload,
    choice,
    closes,
    due_warnings,
    futures_run,
    granted_graph,
    report,
    scheduler_used,
    serve,
    window_size,
)
from crossrun_engine.startup import importing, starting

# From so many items on a batch is a large one.
LARGE_BATCH = 100_000

# Batches in flight for each worker at most: enough that none waits for the driver.
WINDOW = 32

# A host and a port. Ray has other forms, such as `ray://`, for which a driver need not be on a node.
ADDRESS = re.compile(r"[^\s/]+:[0-9]{1,5}")


def resolve_idiom(extra: dict[str, Any]) -> str:
    """`actors` or `tasks`, for the stages of a plan."""
    idiom = choice(extra, "ray_idiom", ("auto", "actors", "tasks"))
    if idiom != "auto":
        return idiom
    return "tasks" if extra.get("batch_size", 1) >= LARGE_BATCH else "actors"


def actors_window(spec: Spec, has_due_results: bool) -> int:
    """How many batches are in flight with actors.

    An actor makes and folds a batch in one call, which waits for it as two numbers: however many items the batches in
    flight have, they are not in memory. With `fusion=off` batches are objects of Ray.
    """
    if spec.fusion == "off":
        return window_size(spec, WINDOW, has_due_results=has_due_results)
    return window_size(spec, WINDOW, spec.total_items, has_due_results)


def resolve_address(extra: dict[str, Any]) -> str | None:
    """The cluster to use, if not one of our own."""
    if (address := extra.get("ray_address", "none")) == "none":
        return None
    where, remedy = "extra.ray_address", "--extra ray_address=HOST:PORT"
    if address == "auto":
        where, address = "RAY_ADDRESS", os.environ.get("RAY_ADDRESS", "")
        if not address:
            # Ray would look among the processes of this machine, of which a session sees only its own.
            message = "extra.ray_address=auto takes the cluster that the variable RAY_ADDRESS names, and it is not set"
            raise InvalidSpecError(message, remedy)
    if not isinstance(address, str) or not ADDRESS.fullmatch(address):
        raise InvalidSpecError(f"{where} is {address!r}: write host:port", remedy)
    return address


def _connect(address: str | None, session: Session, idiom: str) -> Any:
    # Not before: Ray reads the environment when it is imported.
    with importing("Ray", "ray"):
        import cluster
    if address is not None:
        return cluster.ExistingCluster(address, session, idiom)
    # Ray only says that something did not start. What did not, and why, is in its own logs.
    with starting("Ray", session.log_dir / "ray", "*.[eo][ru][rt]"):
        return cluster.Cluster(session, idiom)


def _idiom(spec: Spec, workload: Workload) -> str:
    """That of a run. A graph of tasks needs tasks, as object references are the arguments of tasks, not of actors."""
    return "tasks" if granted_graph(spec, workload) else resolve_idiom(spec.extra)


class RayDriver(Driver):
    """Keeps Ray for the session, with its workers started."""

    def __init__(self) -> None:
        self._cluster: Any = None

    def open(self, session: Session) -> None:
        """Starts Ray and its workers, or joins a cluster."""
        idiom, address = resolve_idiom(session.options), resolve_address(session.options)
        environment.prepare(address)
        self._cluster = _connect(address, session, idiom)
        self._version = metadata.version("ray")

    def prepare(self, spec: Spec, workload: Workload, context: RunContext) -> None:
        """Brings the library to the workers, which open the workload."""
        self._cluster.prepare(_idiom(spec, workload), workload, context)

    def run(self, spec: Spec, workload: Workload, context: RunContext) -> Result:
        """Runs a workload as tasks or calls of actors."""
        scheduler, warnings = scheduler_used(spec, "Ray")
        idiom = _idiom(spec, workload)
        engine, job, is_due = self._cluster.engine(idiom), self._cluster.job(workload), workload.has_due_results
        run = (
            futures_run(engine, job, spec, context, WINDOW, has_due_results=is_due)
            if idiom == "tasks"
            else ActorsRun(engine, job, spec, context, actors_window(spec, is_due))
        )
        state = run.execute()
        metrics = {"idiom": idiom, "window": run.size, "closes": closes(spec, workload)}
        metrics |= {"object_store_bytes": self._cluster.object_store, "versions": {"ray": self._version}}
        return report(workload, state, scheduler, run.work, [*due_warnings(workload), *warnings], metrics)

    def close(self) -> None:
        """Stops Ray, or leaves the cluster."""
        cluster, self._cluster = self._cluster, None
        if cluster is not None:
            cluster.close()


if __name__ == "__main__":
    serve(RayDriver())
