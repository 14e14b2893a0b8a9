"""What Ray's workers do with batches. Nothing here starts a task."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import ray
from crossrun_engine import State, Workload, item_count

# Where libraries were that came to this process through Ray, by their hashes. The files are gone: what is loaded stays.
_received: dict[str, str] = {}


@dataclass(frozen=True)
class Job:
    """The workload of a run, as it travels to workers."""

    here: Workload
    """As it is opened on the driver's machine."""
    library: Any = None
    """The library's bytes in Ray's object store, for machines that do not have the file."""

    def workload(self) -> Workload:
        """The workload, for the process that calls this."""
        if self.library is None:
            return self.here
        path = _received.get(self.here.sha256)
        return self._receive() if path is None else self._at(path)

    def _at(self, path: str) -> Workload:
        return Workload(path, self.here.sha256, self.here.spec)

    def _receive(self) -> Workload:
        """Loads the library from a file that is there for a moment only."""
        with tempfile.TemporaryDirectory(prefix="crossrun-") as folder:
            path = Path(folder) / f"{self.here.sha256}.so"
            path.write_bytes(ray.get(self.library))
            workload = self._at(str(path))
            _ = workload.plan
            _received[self.here.sha256] = str(path)
        return workload


class Terminal:
    """Where the batches of one phase end: a state of the sink, or one for each partition of a keyed reduction."""

    def __init__(self, workload: Workload, start: int, partitions: int) -> None:
        self.start = start
        self.stage = workload.end_of_chain(start)
        self.is_sink = self.stage == workload.sink
        self.count = 0
        self._workload = workload
        number = 1 if self.is_sink else partitions
        self._states = [workload.new_state(self.stage) for _ in range(number)]

    def produce(self, first: int, count: int) -> None:
        """Makes items and takes them through the phase."""
        self.take(self._workload.source(first, count, self.stage))

    def carry(self, batch: bytes) -> None:
        """Takes a batch through the phase."""
        self.take(self._workload.run_stages(self.start, self.stage, batch))

    def take(self, batch: bytes) -> None:
        """Folds a batch that came through the phase."""
        self.count += item_count(batch)
        if len(self._states) == 1:
            self._states[0].fold(batch)
            return
        parts = self._workload.split(self.stage, batch, len(self._states))
        for state, part in zip(self._states, parts):
            if item_count(part):
                state.fold(part)

    def close(self) -> list[bytes]:
        """The states as bytes. Nothing may come after this."""
        encoded = [state.encode() for state in self._states]
        for state in self._states:
            state.close()
        return encoded


def merged(workload: Workload, stage: int, encoded: tuple[bytes, ...]) -> State:
    """One state of what several took in."""
    state = workload.new_state(stage)
    for other in encoded:
        state.merge(other)
    return state


def emitted(state: State, limit: int) -> Iterator[bytes]:
    """The items of a keyed reduction, in batches of at most `limit`."""
    with state:
        while item_count(batch := state.emit(limit)):
            yield batch


@cache
def node() -> str:
    """The node that calls this, as Ray names it."""
    return str(ray.get_runtime_context().get_node_id())


@dataclass
class Outcome:
    """What a run came to."""

    count: int
    sink_state: bytes
    work: Counter[str]
    """How often each node took a batch further: by a phase, or for `fusion=off` by a stage."""
    window: int
    """How many calls were under way at most."""
