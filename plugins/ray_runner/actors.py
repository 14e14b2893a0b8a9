"""Many small batches: a pool of actors, each of which takes whole phases and keeps its states from batch to batch.

Calls of an actor run one after the other, in the order in which they were made. So nothing waits between phases but
what needs the data: an actor reduces a partition when all actors have given their parts of it.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import ray
from crossrun_engine import RunContext, Spec, State, Workload
from flight import Flight, depth, slices
from steps import Job, Outcome, Terminal, emitted, merged, node


@ray.remote
class Replica:
    """One of the pool."""

    def __init__(self) -> None:
        self._workload: Workload
        self._partitions = 1
        self._work = 0
        self._terminal: Terminal

    def ready(self) -> tuple[str, str]:
        """Answers as soon as the actor's process has started: what Ray calls the actor, and its node."""
        return ray.get_runtime_context().get_actor_id() or "", node()

    def begin(self, job: Job, partitions: int) -> None:
        """Begins a run. What an earlier one left is forgotten."""
        self._workload = job.workload()
        self._partitions = partitions
        self._work = 0
        self._terminal = Terminal(self._workload, 1, partitions)

    def feed(self, first: int, count: int) -> int:
        """Makes a batch and takes it through the phase; tells how long it was."""
        self._terminal.produce(first, count)
        self._work += 1
        return count

    def parts(self) -> list[bytes] | bytes:
        """What this actor has of each partition of the keyed reduction at the phase's end."""
        parts = self._terminal.close()
        # One that is asked for a single value must not return a list.
        return parts if len(parts) > 1 else parts[0]

    def reduce(self, limit: int, *parts: bytes) -> None:
        """Reduces one partition, and takes what comes of it through the next phase."""
        stage = self._terminal.stage
        self._terminal = Terminal(self._workload, stage + 1, self._partitions)
        for batch in emitted(merged(self._workload, stage, parts), limit):
            self._terminal.carry(batch)
            self._work += 1

    def outcome(self) -> tuple[str, int, int, bytes]:
        """Where this actor is, how much it did, how many items reached its sink, and the sink's state."""
        return node(), self._work, self._terminal.count, self._terminal.close()[0]


class ActorRun:
    """One run."""

    def __init__(self, replicas: list[Any], spec: Spec, job: Job, context: RunContext) -> None:
        self._replicas = replicas
        self._spec = spec
        self._job = job
        self._context = context
        self._under_way = [0] * len(replicas)
        self._done = 0
        self._work: Counter[str] = Counter()
        self._count = 0
        self._sink: State = job.here.new_sink()
        self._window = depth(spec) * len(replicas)

    def execute(self) -> Outcome:
        """From the source to the sink."""
        number = len(self._replicas)
        begun = Flight(number, self._context, lambda owner, nothing: None)
        for replica in self._replicas:
            begun.add(replica.begin.remote(self._job, number))
        begun.finish()
        self._feed()
        stage = self._job.here.end_of_chain(1)
        while stage != self._job.here.sink:
            self._reduce()
            stage = self._job.here.end_of_chain(stage + 1)
        self._collect()
        return Outcome(self._count, self._sink.encode(), self._work, self._window)

    def _feed(self) -> None:
        """Hands each batch to the actor with the fewest before it."""
        flight = Flight(self._window, self._context, self._fed)
        for first, count in slices(self._spec):
            flight.make_room()
            owner = self._under_way.index(min(self._under_way))
            self._under_way[owner] += 1
            flight.add(self._replicas[owner].feed.remote(first, count), owner)
        flight.finish()

    def _fed(self, owner: int, count: int) -> None:
        self._under_way[owner] -= 1
        self._done += count
        self._context.progress(self._done, self._spec.total_items)

    def _reduce(self) -> None:
        number = len(self._replicas)
        given = [replica.parts.options(num_returns=number).remote() for replica in self._replicas]
        # What has one return is not in a list.
        given = given if number > 1 else [given]
        flight = Flight(number, self._context, lambda owner, nothing: None)
        for partition, replica in enumerate(self._replicas):
            parts = [parts[partition] for parts in given]
            flight.add(replica.reduce.remote(self._spec.batch_size, *parts))
        flight.finish()

    def _collect(self) -> None:
        flight = Flight(len(self._replicas), self._context, self._collected)
        for replica in self._replicas:
            flight.add(replica.outcome.remote())
        flight.finish()

    def _collected(self, owner: int, outcome: tuple[str, int, int, bytes]) -> None:
        where, work, count, state = outcome
        if work:
            self._work[where] += work
        self._count += count
        self._sink.merge(state)
