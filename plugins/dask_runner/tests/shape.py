"""One run of the driver, as the scripts beside this one need it."""

from __future__ import annotations

import hashlib
import json
import threading
from pathlib import Path
from typing import Any

import driver
from crossrun_engine import Result, RunContext, Spec, Workload


def workload(library: Path, wire: dict[str, Any]) -> Workload:
    """The workload that a spec asks for."""
    return Workload(str(library), hashlib.sha256(library.read_bytes()).hexdigest(), json.dumps({"schema": 1, **wire}))


def run(
    dask: driver.DaskDriver,
    library: Path,
    name: str,
    items: int,
    parallelism: int,
    extra: dict[str, Any],
    cancel: threading.Event | None = None,
    granted: tuple[str, ...] = (),
) -> Result:
    """Runs a workload in an open session."""
    wire: dict[str, Any] = {"name": name, "total_items": items, "parallelism": parallelism, "seed": 42, "extra": extra}
    wire["use"] = list(granted)
    context = RunContext(Path("."), cancel or threading.Event(), lambda _: None)
    spec = Spec(name, items, parallelism, "default", 42, extra, granted)
    return dask.run(spec, workload(library, wire), context)
