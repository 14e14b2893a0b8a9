"""What Dask's workers run: one function a kind of task. They are given a reference to a workload, and batches."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Union

from crossrun_engine import State, Workload, item_count
from distributed import get_worker

# A state in the bytes in which it travels; nothing if no item came to it.
Encoded = Union[bytes, None]
# Where a batch ends: one state of the sink, or one of a keyed reduction for each partition.
Ended = Union[Encoded, list[Encoded]]

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
        path = self.path or str(
            Path(get_worker().local_directory, folder_name(self.sha256), "workload.so")
        )
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


def split(batch: bytes, *, reference: Reference, stage: int, partitions: int) -> list[bytes]:
    """A batch, split by key."""
    return reference.open().split(stage, batch, partitions)


def fold_sink(batch: bytes, *, reference: Reference, stage: int) -> Encoded:
    """A batch, taken into a state of the sink."""
    return _folded(reference.open(), stage, batch)


def fold_part(parts: list[bytes], *, reference: Reference, stage: int, partition: int) -> Encoded:
    """One partition's part of a batch, taken into a state of the keyed reduction."""
    return _folded(reference.open(), stage, parts[partition])


def through(first: int, count: int, *, reference: Reference, chain: Chain) -> Ended:
    """A slice of the source, taken to the end of its chain in one task."""
    workload = reference.open()
    return _end(workload, chain, workload.source(first, count, chain.end))


def combine(ended: list[Ended], *, reference: Reference, stage: int, partition: int) -> Encoded:
    """The states of one partition, as one."""
    merged = _merged(reference.open(), stage, partition, ended)
    return None if merged is None else _closed(merged)


def emit(
    ended: list[Ended], *, reference: Reference, stage: int, partition: int, batch_size: int
) -> list[bytes]:
    """All that comes out of one partition of a keyed reduction, in batches."""
    batches = []
    state = _merged(reference.open(), stage, partition, ended)
    while state is not None and item_count(batch := state.emit(batch_size)):
        batches.append(batch)
    return batches


def pick(batches: list[bytes], number: int) -> bytes:
    """One of several batches."""
    return batches[number]


def emit_through(
    ended: list[Ended],
    *,
    reference: Reference,
    stage: int,
    partition: int,
    batch_size: int,
    chain: Chain,
) -> Ended:
    """All that comes out of one partition, taken to the end of its chain in one task."""
    workload = reference.open()
    state = _merged(workload, stage, partition, ended)
    ends = [workload.new_state(chain.end) for _ in range(chain.partitions)]
    while state is not None and item_count(batch := state.emit(batch_size)):
        batch = workload.run_stages(chain.start, chain.end, batch)
        parts = [batch] if chain.end == workload.sink else workload.split(chain.end, batch, chain.partitions)
        for end, part in zip(ends, parts):
            end.fold(part)
    encoded: list[Encoded] = [_closed(end) for end in ends]
    return encoded[0] if chain.end == workload.sink else encoded


def _end(workload: Workload, chain: Chain, batch: bytes) -> Ended:
    if chain.end == workload.sink:
        return _folded(workload, chain.end, batch)
    parts = workload.split(chain.end, batch, chain.partitions)
    return [_folded(workload, chain.end, part) for part in parts]


def _folded(workload: Workload, stage: int, batch: bytes) -> Encoded:
    if not item_count(batch):
        return None
    state = workload.new_state(stage)
    state.fold(batch)
    return _closed(state)


def _closed(state: State) -> bytes:
    with state:
        return state.encode()


def _merged(workload: Workload, stage: int, partition: int, ended: list[Ended]) -> State | None:
    """The states of one partition, merged; nothing if no item came to any."""
    merged = None
    for one in ended:
        encoded = one[partition] if isinstance(one, list) else one
        if encoded is not None:
            merged = merged or workload.new_state(stage)
            merged.merge(encoded)
    return merged


def reset_tally() -> None:
    """Forgets what this process has run."""
    tally.clear()


def read_tally() -> int:
    """How many tasks this process has run since then."""
    return tally["tasks"]
