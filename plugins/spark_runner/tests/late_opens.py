"""Fails unless the workloads that Spark's workers open in a run are counted, and those that were prepared are not.

    python late_opens.py LIBRARY

Needs Spark, the driver's folder and the package `crossrun_engine` on the search path.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from crossrun_engine import RunContext, Session, Spec, Workload
from driver import SparkDriver

PARALLELISM = 2

# Spark decides which worker gets a task: all may be busy with the tasks of one of them when a run is prepared, and on a busy machine
# they often are.
ATTEMPTS = 100


def run(driver: SparkDriver, library: Path, seed: int, fusion: str, prepares: bool) -> dict[str, Any]:
    """The metrics of one run. Its workload was not open before."""
    extra = {"batch_size": 10, "fusion": fusion}
    spec = Spec("word_count", 200, PARALLELISM, "default", seed, extra)
    opened = {"schema": 1, "name": spec.name, "total_items": spec.total_items, "seed": seed, "extra": extra}
    sha256 = hashlib.sha256(library.read_bytes()).hexdigest()
    context = RunContext(Path("."), threading.Event(), lambda message: None)
    workload = Workload(str(library), sha256, json.dumps(opened))
    if prepares:
        driver.prepare(spec, workload, context)
    return dict(driver.run(spec, workload, context).metrics)


def check(driver: SparkDriver, library: Path, fusion: str) -> None:
    """Two runs of each seed have to be told apart: one that is prepared, and one that is not."""
    late = run(driver, library, 1, fusion, prepares=False)
    assert late["late_opens"] >= 1, late
    assert late["node_work"]["127.0.0.1"] >= PARALLELISM, late
    # What an earlier run counted is not counted again.
    again = run(driver, library, 1, fusion, prepares=False)
    assert again["late_opens"] <= late["late_opens"], (late, again)
    prepared = (run(driver, library, 2 + seed, fusion, prepares=True)["late_opens"] for seed in range(ATTEMPTS))
    assert 0 in prepared, f"a workload is late in each of {ATTEMPTS} runs that were prepared"


def main(library: Path) -> None:
    """Starts Spark, and checks both ways to run."""
    with tempfile.TemporaryDirectory() as logs:
        driver = SparkDriver()
        driver.open(Session(PARALLELISM, 1, {}, Path(logs), Path(logs)))
        try:
            for fusion in ("auto", "off"):
                check(driver, library, fusion)
        finally:
            driver.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
