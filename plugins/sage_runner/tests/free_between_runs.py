"""Fails unless the driver asks nodes to free what they keep for a run between runs, and not in the time of one.

    python free_between_runs.py LIBRARY

Needs SAGE, the driver's folder and the package `crossrun_engine` on the search path.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from crossrun_engine import CancelledError, RemoteReplicas, ReplicaServer, RunContext, Session, Spec, Workload
from driver import SageDriver

NODES = ("one", "two")


class Nodes:
    """Two nodes in this process, in place of a cluster. It keeps the methods that were called."""

    def __init__(self, folder: Path) -> None:
        self.called, self.warnings = list[str](), ["a node has another version"]
        self._servers: dict[str, ReplicaServer] = {}
        for name in NODES:
            (folder / name).mkdir()
            self._servers[name] = ReplicaServer(folder / name)

    def call(self, node: str, slot: int, method: str, *arguments: Any) -> Any:
        """Calls a method of a node."""
        self.called.append(method)
        return getattr(self._servers[node], method)(*arguments)

    def replicas(self, workload: Workload) -> RemoteReplicas:
        """The replicas of a run."""
        return RemoteReplicas(workload, NODES, self.call, "127.0.0.1:1")

    def close(self) -> None:
        """Leaves the nodes alone."""

    def kept(self) -> int:
        """How many runs the nodes keep something for."""
        return sum(len(server._runs) for server in self._servers.values())


def main(library: Path) -> None:
    """Runs twice, fails once, and closes the session."""
    sha256 = hashlib.sha256(library.read_bytes()).hexdigest()
    context = RunContext(Path("."), threading.Event(), lambda message: None)
    driver = SageDriver()
    driver.open(Session(2, 1, {}, Path("."), Path(".")))
    with tempfile.TemporaryDirectory() as folder:
        nodes = Nodes(Path(folder))
        driver._cluster = nodes  # type: ignore[assignment]
        for seed in (1, 2):
            extra = {"batch_size": 10}
            opened = {"schema": 1, "name": "word_count", "total_items": 100, "seed": seed, "extra": extra}
            spec = Spec("word_count", 100, 2, "default", seed, extra)
            workload = Workload(str(library), sha256, json.dumps(opened))
            driver.prepare(spec, workload, context)
            assert nodes.kept() == len(NODES), "the run before is freed, and the next one is open"
            nodes.called.clear()
            result = driver.run(spec, workload, context)
            assert set(nodes.called) == {"perform", "emit"}, nodes.called
            assert nodes.warnings[0] in result.metrics["warnings"], result.metrics
            assert sum(result.metrics["node_work"].values()) == len(nodes.called), result.metrics
        stop = threading.Event()
        stop.set()
        driver.prepare(spec, workload, context)
        try:
            driver.run(spec, workload, RunContext(Path("."), stop, lambda message: None))
        except CancelledError:
            assert nodes.kept() == len(NODES), "the session is still open"
        else:
            raise AssertionError("the run was not stopped")
        driver.close()
        assert nodes.kept() == 0, "a run that failed is freed, too"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
