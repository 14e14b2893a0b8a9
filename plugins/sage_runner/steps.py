"""What the operators of a pipeline do with one item, on this machine or on a node.

Nothing here knows SAGE, so that a node and the driver share it. Items are batches (bytes), or one of the
small records below. A step takes one item and returns a list of items, which may be empty.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from crossrun_engine import State, Workload, item_count


@dataclass(frozen=True)
class Slice:
    """Items of the source that are to be made into one batch."""

    first: int
    count: int


@dataclass(frozen=True)
class Part:
    """What of a batch belongs to one partition. SAGE routes by the attribute `partition_key`."""

    partition_key: int
    batch: bytes


@dataclass(frozen=True)
class Turn:
    """Asks the owner of a partition for its next items."""

    partition_key: int


@dataclass(frozen=True)
class Done:
    """Says that a partition has no more items. It passes every step, up to the sink."""

    partition: int


Item = bytes | Slice | Part | Turn | Done


class Site:
    """Where steps run: a workload, and the states of the keyed reductions that are owned here."""

    def __init__(self, workload: Workload) -> None:
        self.workload = workload
        self._states: dict[tuple[int, int], State] = {}
        self._lock = threading.Lock()

    def state(self, stage: int, replica: int) -> State:
        """The state of a keyed reduction that one replica owns."""
        with self._lock:
            state = self._states.get((stage, replica))
            if state is None:
                state = self._states[stage, replica] = self.workload.new_state(stage)
            return state

    def perform(self, steps: Sequence[Step], replica: int, item: Item) -> list[Item]:
        """Takes an item through steps, one after the other."""
        items: list[Item] = [item]
        for step in steps:
            items = [out for item in items for out in _apply(step, self, replica, item)]
        return items

    def close(self) -> dict[str, int]:
        """Frees the states. No node has served a call."""
        with self._lock:
            while self._states:
                self._states.popitem()[1].close()
        return {}


class Step(Protocol):
    """One thing to do with an item, of the kind that the step before it makes."""

    def apply(self, site: Site, replica: int, item: Any) -> list[Item]:
        """What comes out when `item` goes in, at the replica with this number."""
        ...


def _apply(step: Step, site: Site, replica: int, item: Item) -> list[Item]:
    return [item] if isinstance(item, Done) else step.apply(site, replica, item)


def _unless_empty(batch: bytes) -> list[Item]:
    return [batch] if item_count(batch) else []


@dataclass(frozen=True)
class Generate:
    """Makes a slice's items and takes them up to the stage `to`."""

    to: int

    def apply(self, site: Site, replica: int, item: Slice) -> list[Item]:
        """A slice becomes a batch."""
        return _unless_empty(site.workload.source(item.first, item.count, self.to))


@dataclass(frozen=True)
class Chain:
    """Takes a batch through the stages from `start` up to `to`."""

    start: int
    to: int

    def apply(self, site: Site, replica: int, item: bytes) -> list[Item]:
        """A batch becomes a batch; one that is empty goes no further."""
        return _unless_empty(site.workload.run_stages(self.start, self.to, item))


@dataclass(frozen=True)
class Split:
    """Cuts a batch into one part for each partition that occurs in it."""

    stage: int
    keys: tuple[int, ...]

    def apply(self, site: Site, replica: int, item: bytes) -> list[Item]:
        """A batch becomes parts."""
        parts = site.workload.split(self.stage, item, len(self.keys))
        return [Part(key, part) for key, part in zip(self.keys, parts, strict=True) if item_count(part)]


@dataclass(frozen=True)
class Fold:
    """Takes a part into the state of the replica that it was routed to. Nothing goes on until the input ends."""

    stage: int

    def apply(self, site: Site, replica: int, item: Part) -> list[Item]:
        """A part disappears into a state."""
        site.state(self.stage, replica).fold(item.batch)
        return []


@dataclass(frozen=True)
class Emit:
    """Takes up to `limit` items out of the state of the replica that a turn was routed to."""

    stage: int
    limit: int

    def apply(self, site: Site, replica: int, item: Turn) -> list[Item]:
        """A turn becomes a batch, or the notice that there is none left."""
        batch = site.state(self.stage, replica).emit(self.limit)
        return [batch] if item_count(batch) else [Done(item.partition_key)]


def partition_keys(replicas: int) -> tuple[int, ...]:
    """One key for each replica, chosen so that SAGE's own hash takes it there."""
    keys: dict[int, int] = {}
    key = 0
    while len(keys) < replicas:
        digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
        keys.setdefault(int.from_bytes(digest, "big") % replicas, key)
        key += 1
    return tuple(keys[replica] for replica in range(replicas))
