"""A workload on its way to workers, which may be on machines that do not have its library.

`Job` serves where workers see the file of the library. For other machines a driver brings the bytes there once, by the
engine's own means, and says how a worker gets at them:

    @dataclass(frozen=True)
    class MyJob(ShippedJob):
        def fetch(self) -> bytes:
            return engine.get(self.workload.sha256)

        def node(self) -> str:
            return engine.this_machine()
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .kernel import Workload, late_opens

# For each node the number of tasks in which it took a batch further; and under `LATE_OPENS` how many workloads were opened.
Work = dict[str, int]

# No names of nodes: how many workloads were opened in a run, and how many of its tasks had failed before.
LATE_OPENS = "late opens"
REPEATED = "repeated tasks"

# Where libraries were that came to this process as bytes, by their hashes. The files are gone: what is loaded stays.
_received: dict[str, str] = {}


def total(tallies: Iterable[Work]) -> Work:
    """The sum of several tallies."""
    whole: Work = {}
    for tally in tallies:
        for node, tasks in tally.items():
            whole[node] = whole.get(node, 0) + tasks
    return whole


@dataclass(frozen=True)
class Job:
    """A workload that workers open by path and hash, and how they name the node that they are on."""

    workload: Workload
    """As it is opened on the driver's machine."""

    def open(self) -> Workload:
        """The workload, in the process that calls this. It stays open there: opening it again is only looking it up."""
        return self.workload

    def prepare(self) -> None:
        """Opens the workload in the process that calls this, before the clock of its run starts, and closes all others."""
        self.open().prepare()

    def node(self) -> str:
        """The node of the process that calls this. Empty if there is one node only: then nothing is counted."""
        return ""

    def work(self, before: Work) -> Work:
        """The tally `before` with one more task on this node."""
        node, late = self.node(), late_opens()
        more = {**({node: 1} if node else {}), **({LATE_OPENS: late} if late else {})}
        return total((before, more)) if more else before


@dataclass(frozen=True)
class ShippedJob(Job):
    """A workload whose library comes to a worker as bytes, once for each process."""

    def fetch(self) -> bytes:
        """The library's bytes, on the worker."""
        raise NotImplementedError

    def open(self) -> Workload:
        """The workload, from the library that came here."""
        sha256 = self.workload.sha256
        path = _received.get(sha256)
        return self._receive() if path is None else Workload(path, sha256, self.workload.spec, self.workload.boot)

    def _receive(self) -> Workload:
        """Loads the library from a file that is there for a moment only. Raises if it does not have the hash."""
        sha256 = self.workload.sha256
        with tempfile.TemporaryDirectory(prefix="crossrun-") as folder:
            path = Path(folder, f"{sha256}.so")
            path.write_bytes(self.fetch())
            workload = Workload(str(path), sha256, self.workload.spec, self.workload.boot)
            _ = workload.plan
            _received[sha256] = str(path)
        return workload
