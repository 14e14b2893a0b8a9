"""What all scripts written by hand share: their arguments, the warm-up, the clock and what they print.

    python SCRIPT.py LIBRARY SPEC_JSON

A script has the engine's part only: a context manager that starts the engine and gives what runs a job on it. Needs the
package `crossrun_engine`, which serves only to call the library of workloads.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossrun_engine import Workload

# How often a job is run before it is timed, each time on other data.
WARM_UP = 2


@dataclass(frozen=True)
class Job:
    """A workload that can be opened in any process."""

    path: str
    sha256: str
    spec: dict[str, Any]

    @property
    def items(self) -> int:
        """How many items there are."""
        return int(self.spec["total_items"])

    @property
    def parallelism(self) -> int:
        """How many operator calls there may be at once."""
        return int(self.spec["parallelism"])

    @property
    def batch_size(self) -> int:
        """How many items travel together."""
        return int(self.spec["extra"]["batch_size"])

    def slices(self) -> list[tuple[int, int]]:
        """Where each batch begins, and how long it is."""
        size = self.batch_size
        return [(first, min(size, self.items - first)) for first in range(0, self.items, size)]

    def open(self) -> Workload:
        """The workload, in this process."""
        return Workload(self.path, self.sha256, json.dumps(self.spec))


def merged(workload: Workload, states: Iterable[bytes]) -> bytes:
    """States of the sink, as one."""
    with workload.new_sink() as sink:
        for state in states:
            sink.merge(state)
        return sink.encode()


Session = Callable[[int], AbstractContextManager[Callable[[Job], bytes]]]
"""Starts the engine for a parallelism, and gives what runs a job: its value is the sink's encoded state."""


def main(session: Session) -> None:
    """Warms up, runs once more, and prints the seconds of that, the number of items and the checksum."""
    path, spec = sys.argv[1], json.loads(sys.argv[2])
    sha256 = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    job = Job(path, sha256, spec)
    with session(job.parallelism) as run:
        for turn in range(1, WARM_UP + 1):
            run(Job(path, sha256, spec | {"seed": spec["seed"] ^ turn}))
        started = time.perf_counter()
        state = run(job)
        elapsed = time.perf_counter() - started
    outcome = job.open().outcome(state)
    print(f"{elapsed:.6f} {outcome['count']} {outcome['checksum']}")
