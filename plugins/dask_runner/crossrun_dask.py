"""What Dask's workers run: one function a kind of task. They are given a reference to a workload, and batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Union

from crossrun_engine import State, Workload, item_count
from distributed import get_worker

# A state in the bytes in which it travels; nothing if no item came to it. A batch ends as a list of them: one state of
# the sink, or one of a keyed reduction for each partition.
Encoded = Union[bytes, None]

# How many tasks this process has run, so that a cluster can say which of its nodes did work.
tally: Counter[str] = Counter()


def folder_name(sha256: str) -> str:
    """The folder, among those of a worker, of what was sent there under this hash."""
    return f"crossrun-{sha256[:16]}"


@dataclass(frozen=True)
class Reference:
    """A workload, told to a worker: where its library is, its hash, and the spec."""

    path: str
    """Empty if the library was sent to the worker."""
    sha256: str
    spec: str

    def open(self) -> Workload:
        """The workload in this process. It stays open there: opening it again is only looking it up."""
        tally["tasks"] += 1
        path = self.path or str(Path(get_worker().local_directory, folder_name(self.sha256), "workload.so"))
        return Workload(path, self.sha256, self.spec)


@dataclass(frozen=True)
class Chain:
    """The stages from `start` to `end`, which is a keyed reduction with this many partitions, or the sink."""

    start: int
    end: int
    partitions: int


def generate(first: int, count: int, *, reference: Reference, to: int) -> bytes:
    """A slice of the source, taken through the stages before `to`."""
    return reference.open().source(first, count, to)


def advance(batch: bytes, *, reference: Reference, stage: int) -> bytes:
    """A batch, taken through one stage."""
    return reference.open().run_stages(stage, stage + 1, batch)


def fold(batch: bytes, *, reference: Reference, chain: Chain) -> list[Encoded]:
    """A batch, taken into states at the end of its chain."""
    return _end(reference.open(), chain, batch)


def through(first: int, count: int, *, reference: Reference, chain: Chain) -> list[Encoded]:
    """A slice of the source, taken to the end of its chain in one task."""
    workload = reference.open()
    return _end(workload, chain, workload.source(first, count, chain.end))


def combine(apart: list[list[Encoded]], *, reference: Reference, stage: int) -> list[Encoded]:
    """States of a keyed reduction, combined for each partition."""
    workload = reference.open()
    return [_combined(workload, stage, states) for states in zip(*apart)]


def emit(
    apart: list[list[Encoded]], *, reference: Reference, stage: int, partition: int, batch_size: int
) -> list[bytes]:
    """All that comes out of one partition of a keyed reduction, in batches."""
    return list(_emitted(reference.open(), stage, [states[partition] for states in apart], batch_size))


def count(batches: list[bytes], *, reference: Reference) -> int:
    """How many batches there are."""
    return len(batches)


def pick(batches: list[bytes], number: int, *, reference: Reference) -> bytes:
    """One of several batches."""
    return batches[number]


def emit_through(
    apart: list[list[Encoded]], *, reference: Reference, stage: int, partition: int, batch_size: int, chain: Chain
) -> list[Encoded]:
    """All that comes out of one partition, taken to the end of its chain in one task."""
    workload = reference.open()
    ends = [workload.new_state(chain.end) for _ in range(chain.partitions)]
    for batch in _emitted(workload, stage, [states[partition] for states in apart], batch_size):
        for end, part in zip(ends, _parts(workload, chain, workload.run_stages(chain.start, chain.end, batch))):
            end.fold(part)
    return [_closed(end) for end in ends]


def _end(workload: Workload, chain: Chain, batch: bytes) -> list[Encoded]:
    return [_folded(workload, chain.end, part) for part in _parts(workload, chain, batch)]


def _parts(workload: Workload, chain: Chain, batch: bytes) -> list[bytes]:
    return [batch] if chain.end == workload.sink else workload.split(chain.end, batch, chain.partitions)


def _folded(workload: Workload, stage: int, batch: bytes) -> Encoded:
    if not item_count(batch):
        return None
    state = workload.new_state(stage)
    state.fold(batch)
    return _closed(state)


def _closed(state: State) -> bytes:
    with state:
        return state.encode()


def _combined(workload: Workload, stage: int, states: Sequence[Encoded]) -> Encoded:
    """The states of one partition, as one. What one batch alone has come to stays as it is."""
    present = [state for state in states if state is not None]
    return _closed(_merged(workload, stage, present)) if len(present) > 1 else next(iter(present), None)


def _merged(workload: Workload, stage: int, states: Iterable[bytes]) -> State:
    merged = workload.new_state(stage)
    for state in states:
        merged.merge(state)
    return merged


def _emitted(workload: Workload, stage: int, states: Sequence[Encoded], batch_size: int) -> Iterator[bytes]:
    """The batches that come out of the states of one partition."""
    with _merged(workload, stage, [state for state in states if state is not None]) as state:
        while item_count(batch := state.emit(batch_size)):
            yield batch


def reset_tally() -> None:
    """Forgets what this process has run."""
    tally.clear()


def read_tally() -> int:
    """How many tasks this process has run since then."""
    return tally["tasks"]
