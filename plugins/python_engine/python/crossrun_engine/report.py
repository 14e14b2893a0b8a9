"""What a driver says of a run beside its answer: the scheduler that was used, and what each node did."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from .job import Work
from .kernel import Workload
from .spec import Result, Spec


def scheduler_used(spec: Spec, engine: str, known: Collection[str] = ("default",)) -> tuple[str, list[str]]:
    """The name of the scheduler that the run has, and a warning if the engine does not know the one asked for."""
    asked = spec.scheduler_name
    if asked in known:
        return asked, []
    return "default", [f'scheduler "{asked}" is unknown to {engine}; it ran as "default"']


def report(
    workload: Workload, sink_state: bytes, scheduler: str, work: Work, warnings: list[str], metrics: dict[str, Any]
) -> Result:
    """The result of a run: its answer, and `metrics` with `nodes`, how many did work, `node_work` and `warnings`.

    `work` has the number of tasks for each node; it is empty if there is one node only, of which nothing is counted.
    """
    told: dict[str, Any] = {"nodes": max(1, len(work)), **metrics}
    if work:
        told["node_work"] = work
    if warnings:
        told["warnings"] = warnings
    return Result(workload.outcome(sink_state)["count"], sink_state, scheduler, told)
