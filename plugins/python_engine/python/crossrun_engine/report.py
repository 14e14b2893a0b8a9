"""What a driver says of a run beside its answer: what each node did, and warnings."""

from __future__ import annotations

from typing import Any

from .job import LATE_OPENS, REPEATED, Work
from .kernel import Workload
from .spec import Result


def report(
    workload: Workload, sink_state: bytes, scheduler: str, work: Work, warnings: list[str], metrics: dict[str, Any]
) -> Result:
    """The result of a run: its answer, and `metrics` with `nodes`, how many did work, `node_work`, `late_opens` and `warnings`.

    `work` has the number of tasks for each node; it is empty if there is one node only, of which nothing is counted.
    """
    node_work = {node: tasks for node, tasks in work.items() if node not in (LATE_OPENS, REPEATED)}
    all_metrics: dict[str, Any] = {"nodes": max(1, len(node_work)), **metrics}
    all_metrics["late_opens"] = all_metrics.get("late_opens", 0) + work.get(LATE_OPENS, 0)
    if node_work:
        all_metrics["node_work"] = node_work
    if warnings:
        all_metrics["warnings"] = warnings
    return Result(workload.outcome(sink_state)["count"], sink_state, scheduler, all_metrics)
