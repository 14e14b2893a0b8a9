"""Runs shapes of workloads in one session of Ray, and prints what each came to as a line of JSON.

    python shapes.py LIBRARY LOG_DIR PARALLELISM SHAPES

where SHAPES is a JSON list of objects with `workload`, `items` and `extra`. Starting Ray takes seconds, and most shapes
take none. Fails if Ray is asked for its state in the time of a run.
"""

from __future__ import annotations

import hashlib
import json
import sys
import threading
from pathlib import Path
from typing import Any
from unittest import mock

import driver
from crossrun_engine import RunContext, Session, Spec, Workload


def run(ray: driver.RayDriver, library: str, parallelism: int, shape: dict[str, Any]) -> dict[str, Any]:
    """One shape."""
    wire = {"schema": 1, "name": shape["workload"], "total_items": shape["items"], "parallelism": parallelism}
    wire.update(scheduler_name="default", seed=42, extra=shape["extra"])
    sha256 = hashlib.sha256(Path(library).read_bytes()).hexdigest()
    workload = Workload(library, sha256, json.dumps(wire))
    context = RunContext(Path("."), threading.Event(), lambda _: None)
    with mock.patch("ray.cluster_resources") as asked, mock.patch("ray.nodes", asked):
        result = ray.run(Spec.of(wire), workload, context)
    assert not asked.called, "Ray was asked for its state in the time of a run"
    outcome = workload.outcome(result.sink_state)
    assert outcome["count"] == result.results_count
    return {"checksum": outcome["checksum"], "count": outcome["count"], "idiom": result.metrics["idiom"]}


def main(library: str, log_dir: str, parallelism: int, shapes: list[dict[str, Any]]) -> None:
    """All of them, in one session."""
    ray = driver.RayDriver()
    ray.open(Session(parallelism, 1, {}, Path(log_dir), Path(log_dir)))
    try:
        for shape in shapes:
            print(json.dumps(run(ray, library, parallelism, shape)), flush=True)
    finally:
        ray.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4]))
