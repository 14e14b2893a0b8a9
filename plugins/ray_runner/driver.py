"""The driver of the ray backend: takes a workload's plan through Ray's tasks or actors.

Which of the two is used is in the metric `idiom`. Actors keep their states, so that a batch costs one call of a method;
they are lost with their node. Tasks have none, so Ray places each where there is room and repeats what is lost. Where a
batch is so large that this costs next to nothing, tasks it is.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import surroundings
from crossrun_engine import (
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

# From so many items on a batch is a large one.
LARGE_BATCH = 100_000

IDIOMS = ("auto", "actors", "tasks")

# A host and a port. Ray has other forms, such as `ray://`, for which a driver need not be on a node.
ADDRESS = re.compile(r"[^\s/]+:[0-9]{1,5}")


def chosen_idiom(extra: dict[str, Any]) -> str:
    """`actors` or `tasks`."""
    idiom = extra.get("ray_idiom", "auto")
    if idiom not in IDIOMS:
        raise InvalidSpecError(
            f"extra.ray_idiom is {idiom!r}, but must be one of {', '.join(IDIOMS)}", "--extra ray_idiom=auto"
        )
    if idiom != "auto":
        return str(idiom)
    return "tasks" if extra.get("batch_size", 1) >= LARGE_BATCH else "actors"


def chosen_address(extra: dict[str, Any]) -> str | None:
    """The cluster to use, if not one of our own."""
    address = extra.get("ray_address", "none")
    if address == "none":
        return None
    where = "extra.ray_address"
    if address == "auto":
        where, address = "RAY_ADDRESS", os.environ.get("RAY_ADDRESS", "")
        if not address:
            # Ray would look among the processes of this machine, of which a session sees only its own.
            raise InvalidSpecError(
                "extra.ray_address=auto takes the cluster that the variable RAY_ADDRESS names, and it is not set",
                "--extra ray_address=HOST:PORT",
            )
    if not isinstance(address, str) or not ADDRESS.fullmatch(address):
        raise InvalidSpecError(f"{where} is {address!r}: write host:port", "--extra ray_address=HOST:PORT")
    return address


def _connect(address: str | None, session: Session) -> Any:
    try:
        # Not before: Ray reads the environment when it is imported.
        from cluster import connect
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        # What is installed looks whole, so that a set-up alone would leave it as it is.
        again = "crossrun setup ray --remove && crossrun setup ray"
        raise UnavailableError(f"Ray cannot be imported: {reason}", again) from error
    return connect(address, session)


class RayDriver(Driver):
    """Keeps Ray for the session, with its workers started."""

    def __init__(self) -> None:
        self._session: Session
        self._cluster: Any = None
        self._library: tuple[str, Any] = ("", None)

    def open(self, session: Session) -> None:
        idiom, address = chosen_idiom(session.options), chosen_address(session.options)
        surroundings.prepare(address)
        self._session = session
        self._cluster = _connect(address, session)
        if idiom == "actors":
            self._cluster.replicas()
        else:
            self._cluster.start_workers()

    def run(self, spec: Spec, workload: Workload, context: RunContext) -> Result:
        if spec.parallelism != self._session.parallelism:
            self.close()
            self.open(replace(self._session, parallelism=spec.parallelism, options=spec.extra))
        import ray

        idiom = chosen_idiom(spec.extra)
        try:
            outcome = self._execute(idiom, spec, workload, context)
        except BaseException:
            # A session ends with its first failure, and nobody closes it then.
            self.close()
            raise
        metrics: dict[str, Any] = {
            "nodes": max(1, len(outcome.work)),
            "node_work": self._cluster.named(outcome.work),
            "idiom": idiom,
            "window": outcome.window,
            "versions": {"ray": ray.__version__},
        }
        if spec.scheduler_name != "default":
            warning = f'Ray has no scheduler "{spec.scheduler_name}" to choose; it ran as "default"'
            metrics["warnings"] = [warning]
        return Result(outcome.count, outcome.sink_state, "default", metrics)

    def _execute(self, idiom: str, spec: Spec, workload: Workload, context: RunContext) -> Any:
        from actors import ActorRun
        from ray.exceptions import RayActorError
        from steps import Job
        from tasks import TaskRun

        job = Job(workload, self._sent(workload) if self._cluster.is_shared else None)
        if idiom == "tasks":
            return TaskRun(self._cluster.placement, spec, job, context).execute()
        try:
            return ActorRun(self._cluster.replicas(), spec, job, context).execute()
        except RayActorError as error:
            raise self._cluster.lost(error) from error

    def _sent(self, workload: Workload) -> Any:
        """The library's bytes in the object store, put there once."""
        import ray

        if self._library[0] != workload.sha256:
            self._library = workload.sha256, ray.put(Path(workload.path).read_bytes())
        return self._library[1]

    def close(self) -> None:
        self._library = "", None
        if self._cluster is not None:
            self._cluster.close()
            self._cluster = None


if __name__ == "__main__":
    serve(RayDriver())
