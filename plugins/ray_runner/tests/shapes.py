"""Runs shapes of workloads in one session of Ray, and prints what each came to as a line of JSON.

    python shapes.py LIBRARY LOG_DIR PARALLELISM SHAPES

where SHAPES is a JSON list of objects with `workload`, `items` and `extra`. Starting Ray takes seconds, and most shapes
take none. Fails if Ray is asked for its state in the time of a run, if the actors with which a session starts outlive the
first preparation of a graph of tasks, if those that a session of both kinds starts later do not outlive the next ones, or if
what a worker raises is told without its traceback.
"""

from __future__ import annotations

import hashlib
import json
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any
from unittest import mock

import driver
from crossrun_engine import EngineError, RunContext, Session, Spec, Workload
from crossrun_engine.failure import describe


def opened(library: str, parallelism: int, shape: dict[str, Any]) -> tuple[Spec, Workload, RunContext]:
    """What the driver gets for a shape."""
    wire = {"schema": 1, "name": shape["workload"], "total_items": shape["items"], "parallelism": parallelism}
    wire.update(scheduler_name="default", seed=42, extra=shape["extra"], use=shape.get("use", []))
    sha256 = hashlib.sha256(Path(library).read_bytes()).hexdigest()
    context = RunContext(Path("."), threading.Event(), lambda _: None)
    return Spec.of(wire), Workload(library, sha256, json.dumps(wire)), context


def run(ray: driver.RayDriver, library: str, parallelism: int, shape: dict[str, Any]) -> dict[str, Any]:
    """One shape."""
    spec, workload, context = opened(library, parallelism, shape)
    with mock.patch("ray.cluster_resources") as asked, mock.patch("ray.nodes", asked):
        result = ray.run(spec, workload, context)
    assert not asked.called, "Ray was asked for its state in the time of a run"
    outcome = workload.outcome(result.sink_state)
    assert outcome["count"] == result.results_count
    return {"checksum": outcome["checksum"], "count": outcome["count"], "idiom": result.metrics["idiom"]}


def is_alive(actors: Any) -> bool:
    """Whether the first of the actors answers."""
    answer = actors._replicas[0].ready.remote()
    actors.wait_for_all([answer], lambda: None)
    try:
        actors.results([answer])
    except EngineError:
        return False
    return True


def look_at_actors(ray: driver.RayDriver, library: str, parallelism: int) -> None:
    """Prepares graphs of tasks and runs with actors by turns, in a session that has just been opened."""
    graph = opened(library, parallelism, {"workload": "task_graph", "items": 40, "extra": {}, "use": ["graph"]})
    others = opened(library, parallelism, {"workload": "null", "items": 40, "extra": {}})
    engines = ray._cluster._engines
    first = engines["actors"]
    ray.prepare(*graph)
    assert list(engines) == ["tasks"], f"a session of graphs has {list(engines)}"
    # They are gone, and not only forgotten. The wait ends only what would never come.
    deadline = time.monotonic() + 300
    while is_alive(first):
        assert time.monotonic() < deadline, "an actor outlived the preparation of a graph"
        time.sleep(0.05)
    ray.prepare(*others)
    second = engines["actors"]
    ray.prepare(*graph)
    ray.prepare(*others)
    assert engines["actors"] is second, "actors were started again at a change of the kind of run"


def fails_in_a_worker(number: int) -> None:
    """A task."""
    raise ValueError(f"no {number}")


def look_at_failures(ray: driver.RayDriver) -> None:
    """Runs a task that fails: the host is told what it raised, and the log has where in the worker."""
    engine = ray._cluster.engine("tasks")
    futures = engine.map(fails_in_a_worker, [7])
    engine.wait_for_all(futures, lambda: None)
    try:
        engine.results(futures)
    except ValueError as error:
        told, logged = describe(error), "".join(traceback.format_exception(error))
    else:
        raise AssertionError("the task did not fail")
    assert told["kind"] == "engine" and str(told["message"]).startswith("ValueError: no 7 (crossrun_ray.py:"), told
    assert "in fails_in_a_worker" in logged, logged


def main(library: str, log_dir: str, parallelism: int, shapes: list[dict[str, Any]]) -> None:
    """All of them, in one session."""
    ray = driver.RayDriver()
    ray.open(Session(parallelism, 1, {}, Path(log_dir), Path(log_dir)))
    try:
        look_at_actors(ray, library, parallelism)
        look_at_failures(ray)
        for shape in shapes:
            print(json.dumps(run(ray, library, parallelism, shape)), flush=True)
    finally:
        ray.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4]))
