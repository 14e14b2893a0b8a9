"""A pool of actors, each of which keeps its states from batch to batch. A call takes a batch through a whole phase, or
for `fusion=off` through one stage; all calls of a batch go to one actor.

Calls of an actor run one after the other, in the order in which they were made. So nothing waits between phases but
what needs the data: an actor reduces a partition when all actors have given their parts of it. For `auto` all calls of a
run are made without waiting for the phase before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any

import ray
from crossrun_engine import RunContext, Spec, State, Workload
from flight import Flight, depth
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

    def source(self, first: int, count: int) -> bytes:
        """Makes a batch."""
        self._work += 1
        return self._workload.source(first, count, 1)

    def stage(self, stage: int, batch: bytes) -> bytes:
        """Takes a batch through one stage."""
        self._work += 1
        return self._workload.run_stages(stage, stage + 1, batch)

    def take(self, batch: bytes, count: int) -> int:
        """Takes in a batch that came through the phase; tells with how many items it began."""
        self._terminal.take(batch)
        self._work += 1
        return count

    def parts(self) -> list[bytes] | bytes:
        """What this actor has of each partition of the keyed reduction at the phase's end."""
        parts = self._terminal.close()
        # One that is asked for a single value must not return a list.
        return parts if len(parts) > 1 else parts[0]

    def reduce(self, limit: int, *parts: bytes) -> None:
        """Reduces one partition, and takes what comes of it through the next phase."""
        for batch in self._reduced(limit, parts):
            self._terminal.carry(batch)
            self._work += 1

    @ray.method(num_returns="streaming")
    def emit(self, limit: int, *parts: bytes) -> Iterator[bytes]:
        """Reduces one partition, and gives what comes of it batch by batch."""
        for batch in self._reduced(limit, parts):
            self._work += 1
            yield batch

    def _reduced(self, limit: int, parts: tuple[bytes, ...]) -> Iterator[bytes]:
        """What comes of a partition. The next phase begins."""
        stage = self._terminal.stage
        self._terminal = Terminal(self._workload, stage + 1, self._partitions)
        return emitted(merged(self._workload, stage, parts), limit)

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
        self._fused = spec.fusion != "off"
        # Batches for which calls are made together.
        self._at_once = 1 if self._fused else max(1, self._window // 4)

    def execute(self) -> Outcome:
        """From the source to the sink."""
        number = len(self._replicas)
        begun = Flight(number, self._context, lambda owner, nothing: None)
        for replica in self._replicas:
            begun.add(replica.begin.remote(self._job, number))
        begun.finish()
        phases = [self._feed()]
        stage = self._job.here.end_of_chain(1)
        while stage != self._job.here.sink:
            phases.append(self._reduce(stage + 1))
            stage = self._job.here.end_of_chain(stage + 1)
        phases.append(self._collect())
        # In their order, so that what failed first is what is told.
        for phase in phases:
            phase.finish()
        return Outcome(self._count, self._sink.encode(), self._work, self._window)

    def _feed(self) -> Flight:
        """Hands each batch to the actor with the fewest before it."""
        flight = Flight(self._window, self._context, self._fed)
        batches = self._spec.slices()
        while group := list(islice(batches, self._at_once)):
            flight.make_room(len(group))
            owners = [self._next_owner() for _ in group]
            for owner, receipt in zip(owners, self._fed_to(owners, group)):
                flight.add(receipt, owner)
        return self._submitted(flight)

    def _submitted(self, flight: Flight) -> Flight:
        """The calls of a phase. With `fusion=off` the next one has calls from here for each batch, and begins when this
        one has ended."""
        if not self._fused:
            flight.finish()
        return flight

    def _next_owner(self) -> int:
        owner = self._under_way.index(min(self._under_way))
        self._under_way[owner] += 1
        return owner

    def _fed_to(self, owners: list[int], group: list[tuple[int, int]]) -> list[Any]:
        """Calls for some batches of the source, and the receipts."""
        replicas = [self._replicas[owner] for owner in owners]
        if self._fused:
            return [replica.feed.remote(*batch) for replica, batch in zip(replicas, group)]
        made = [replica.source.remote(*batch) for replica, batch in zip(replicas, group)]
        return self._chained(1, replicas, made, [count for _, count in group])

    def _chained(self, start: int, replicas: list[Any], batches: list[Any], counts: list[int]) -> list[Any]:
        """A call for each stage of a phase and batch, and the receipts.

        Stage by stage for all of these batches: an actor is sent no call before what an earlier one needs is there, so
        that with a batch's calls one after the other it would wait for this side each time.
        """
        for stage in range(start, self._job.here.end_of_chain(start)):
            batches = [replica.stage.remote(stage, batch) for replica, batch in zip(replicas, batches)]
        return [replica.take.remote(*taken) for replica, *taken in zip(replicas, batches, counts)]

    def _fed(self, owner: int, count: int) -> None:
        self._under_way[owner] -= 1
        self._done += count
        self._context.progress(self._done, self._spec.total_items)

    def _reduce(self, start: int) -> Flight:
        """Each actor reduces a partition, and begins with the phase that starts there."""
        number = len(self._replicas)
        given = [replica.parts.options(num_returns=number).remote() for replica in self._replicas]
        # What has one return is not in a list.
        given = given if number > 1 else [given]
        parts = [[parts[partition] for parts in given] for partition in range(number)]
        flight = Flight(self._window, self._context, lambda owner, nothing: None)
        limit = self._spec.batch_size
        if self._fused:
            for replica, own in zip(self._replicas, parts):
                flight.add(replica.reduce.remote(limit, *own))
        else:
            streams = [replica.emit.remote(limit, *own) for replica, own in zip(self._replicas, parts)]
            for replica, stream in zip(self._replicas, streams):
                for batch in stream:
                    flight.make_room()
                    flight.add(*self._chained(start, [replica], [batch], [0]))
        return self._submitted(flight)

    def _collect(self) -> Flight:
        flight = Flight(len(self._replicas), self._context, self._collected)
        for replica in self._replicas:
            flight.add(replica.outcome.remote())
        return flight

    def _collected(self, owner: int, outcome: tuple[str, int, int, bytes]) -> None:
        where, work, count, state = outcome
        if work:
            self._work[where] += work
        self._count += count
        self._sink.merge(state)
