"""A run on an engine of actors: a pool of workers, each of which keeps its states from batch to batch.

A driver puts `Replica` into its engine's actors, implements `ActorsEngine` (call an actor, wait, get results), and
has its `run` go through `ActorsRun`. With `fusion=auto` a call takes a batch through a whole phase, with `fusion=off`
through one stage; all calls of a batch go to one actor.

Calls of an actor run one after the other, in the order in which they were made. So nothing waits between phases but
what needs the data: an actor reduces a partition when all actors have given their parts of it. With `fusion=auto` all
calls of a run are made without waiting for the phase before.

What has ended is closed in rounds while the input goes on, with `fusion=auto`. An actor has two states of a partition then: its part,
which it folds batches into, and if it is the partition's owner that of the owner. In a round all actors give their parts, which have all
that was handed out before; each owner merges those of its partition, and closes up to the watermark of the first item that
was not handed out. Owners are called when all parts are there, so that no actor waits for another: it goes on with batches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from .closing import check_due_results, closes, emitted_until
from .driver import RunContext
from .job import LATE_OPENS, Job, Work, total
from .kernel import State, Workload, item_count, late_opens
from .phase import Encoded, Phase, Terminal, emitted, merged, phases
from .spec import Spec
from .window import Future, Waiter, Window

# In a round of closing each actor has been handed about so many items; never fewer than so many batches, and in a short run there are
# so many rounds. In an open loop each has been handed a batch.
ROUND_ITEMS = 4096
ROUND_BATCHES = 4
ROUNDS = 8


class Replica:
    """One of the pool, in its own process. Each method is a call: the future stands for what it returns."""

    def prepare(self, job: Job) -> None:
        """Opens the workload of the next run. What an earlier one left is forgotten."""
        for left in ("_workload", "_terminals", "_owned", "_emitting"):
            self.__dict__.pop(left, None)
        job.prepare()

    def begin(self, job: Job, parallelism: int) -> None:
        """Begins a run. What an earlier one left is forgotten."""
        self._workload = job.open()
        self._node = job.node()
        self._work = 0
        self._terminals = [Terminal(self._workload, phase) for phase in phases(self._workload, parallelism)]
        # The states that this actor owns, by the places of their phases.
        self._owned: dict[int, State] = {}
        self._place = 0
        self._emitting: State

    @property
    def _terminal(self) -> Terminal:
        return self._terminals[self._place]

    def feed(self, first: int, count: int) -> int:
        """Makes the items `first..first + count` and takes them through the phase. Returns `count`."""
        self._terminal.produce(first, count)
        self._work += 1
        return count

    def source(self, first: int, count: int) -> bytes:
        """Makes the items `first..first + count`."""
        self._work += 1
        return self._workload.source(first, count, 1)

    def advance(self, stage: int, batch: bytes) -> bytes:
        """Takes a batch through one stage."""
        self._work += 1
        return self._workload.run_stages(stage, stage + 1, batch)

    def end(self, batch: bytes, count: int) -> int:
        """Folds a batch at the end of the phase. Returns with how many items of the source it began."""
        self._terminal.fold(batch)
        self._work += 1
        return count

    def parts(self, place: int) -> list[Encoded] | Encoded:
        """What this actor has folded of each partition at the end of a phase: a list, or the only one. It keeps nothing of it."""
        parts = self._terminals[place].encode()
        # A call that is asked for a single value must not return a list.
        return parts if len(parts) > 1 else parts[0]

    def close(self, place: int, time: int, limit: int, *parts: Encoded) -> None:
        """Merges parts into the owned state of a partition, and takes what ended at `time` or before through the next phase."""
        self._owned[place] = owned = self._merged(place, parts)
        for batch in emitted_until(owned, time, limit):
            self._terminals[place + 1].carry(batch)
            self._work += 1

    def _merged(self, place: int, parts: tuple[Encoded, ...]) -> State:
        return merged(self._workload, self._terminals[place].phase.end, parts, self._owned.pop(place, None))

    def reduce(self, limit: int, *parts: Encoded) -> None:
        """Reduces one partition, and takes what comes of it through the next phase, up to `limit` keys at a time."""
        self.collect(*parts)
        for batch in emitted(self._emitting, limit):
            self._terminal.carry(batch)
            self._work += 1

    def collect(self, *parts: Encoded) -> None:
        """Merges the parts of one partition. The next phase begins."""
        self._emitting = self._merged(self._place, parts)
        self._place += 1

    def emit(self, limit: int, number: int) -> list[Any]:
        """How many batches there are, and then `number` of them: up to `limit` keys each, empty where none are left."""
        batches = [self._emitting.emit(limit) for _ in range(number)]
        count = sum(item_count(batch) > 0 for batch in batches)
        self._work += count
        return [count, *batches]

    def outcome(self) -> tuple[Work, Encoded]:
        """How many calls took a batch further on the actor's node, and the sink's state."""
        work = {self._node: self._work} if self._work else {}
        return total((work, {LATE_OPENS: late_opens()})), self._terminal.encode()[0]


class ActorsEngine(Waiter[Future]):
    """What `ActorsRun` needs of an engine, beside what `Waiter` has."""

    def prepare(self, job: Job, actors: int, context: RunContext) -> None:
        """Has so many actors open the workload of the next run."""
        with Window(actors, context, self) as window:
            window.results([self.call(actor, "prepare", job) for actor in range(actors)], self.results)

    def call(self, actor: int, method: str, *arguments: Any) -> Future:
        """Calls a method of an actor; the first has number 0. A future among the arguments stands for its result."""
        raise NotImplementedError

    def call_for_several(self, actor: int, method: str, returns: int, *arguments: Any) -> list[Future]:
        """The same for a method that returns a list of `returns` values, or the only one: a future for each."""
        raise NotImplementedError

    def results(self, futures: Sequence[Future]) -> list[Any]:
        """The results of futures that have finished. Raises what a call raised."""
        raise NotImplementedError


class _Rounds:
    """The rounds in which the actors close what has ended, one at a time. Call `begin` after each batch that is handed out."""

    def __init__(self, engine: ActorsEngine[Any], workload: Workload, spec: Spec, window: Window[Any]) -> None:
        self._engine, self._workload, self._window = engine, workload, window
        self._actors, self._limit = range(spec.parallelism), spec.batch_size
        self._reductions = len(phases(workload, spec.parallelism)) - 1
        some = min(ROUND_ITEMS * spec.parallelism, spec.total_items // ROUNDS)
        each = spec.parallelism * spec.batch_size
        # What is due must not wait for batches that are not.
        self._items = each if workload.has_due_results else max(some, ROUND_BATCHES * each)
        self._closed_before = 0
        self._time = 0
        # Of the reduction with this place: the parts of each partition, and how many actors have not given theirs yet.
        self._place = 0
        self._parts: list[tuple[Any, ...]] = []
        self._missing = 0

    def begin(self, handed_out: int) -> None:
        """Begins a round if it is time. All items before `handed_out` were handed to actors, and no other."""
        if self._missing or handed_out - self._closed_before < self._items:
            return
        self._closed_before = handed_out
        self._time = self._workload.watermark(handed_out)
        self._ask(0)

    def _ask(self, place: int) -> None:
        """Asks for the parts of a reduction, which begin with what the calls before this one came to."""
        number = len(self._actors)
        given = [self._engine.call_for_several(actor, "parts", number, place) for actor in self._actors]
        self._place, self._parts, self._missing = place, list(zip(*given)), number
        # An actor's parts come together. What it raised is raised by the owners.
        self._window.add({parts[0]: 0 for parts in given}, self._close)

    def _close(self, given: list[Any]) -> None:
        self._missing -= len(given)
        if self._missing:
            return
        how = (self._place, self._time, self._limit)
        closed = [self._engine.call(actor, "close", *how, *self._parts[actor]) for actor in self._actors]
        self._window.add(dict.fromkeys(closed, 0), self._engine.results)
        self._parts.clear()
        # An actor does these calls after `close`: it gives all that its own partition has emitted.
        if self._place + 1 < self._reductions:
            self._ask(self._place + 1)


class ActorsRun:
    """One run on the actors `0..spec.parallelism`. `size` is how many batches may be in flight."""

    def __init__(self, engine: ActorsEngine[Any], job: Job, spec: Spec, context: RunContext, size: int) -> None:
        self.work: Work = {}
        """For each node how many calls took a batch further there."""
        self.size = size
        self._engine, self._job, self._spec, self._context = engine, job, spec, context
        self._actors = range(spec.parallelism)
        self._fused = spec.fusion != "off"
        check_due_results(spec, job.workload)
        self._window = Window(size, context, engine, at_once=job.workload.has_due_results)
        # Batches for which calls are made together.
        self._bunch = 1 if self._fused else max(1, size // 4)
        closing = closes(spec, job.workload)
        self._rounds = _Rounds(engine, job.workload, spec, self._window) if closing else None
        self._owners: dict[Any, int] = {}
        self._in_flight = [0] * spec.parallelism
        self._done = 0

    def execute(self) -> bytes:
        """The merged state of the sink, encoded. Raises what the first call that failed raised, or `CancelledError`."""
        plan = phases(self._job.workload, self._spec.parallelism)
        with self._job.workload.new_sink() as sink, self._window:
            self._call_all("begin", self._job, self._spec.parallelism)
            self._window.drain()
            self._feed(plan[0])
            for place, phase in enumerate(plan[1:]):
                self._end_phase()
                self._reduce(place, phase)
            self._end_phase()
            outcomes = [self._engine.call(actor, "outcome") for actor in self._actors]
            for work, state in self._window.results(outcomes, self._engine.results):
                self.work = total((self.work, work))
                if state is not None:
                    sink.merge(state)
            # Each call of a batch must be seen to have succeeded.
            self._window.drain()
            return sink.encode()

    def _end_phase(self) -> None:
        """With `fusion=off` the next phase has calls for each batch, and begins when this one has ended; as it does after a round."""
        if not self._fused or self._rounds is not None:
            self._window.drain()

    def _call_all(self, method: str, *arguments: Any) -> None:
        self._window.add(
            {self._engine.call(actor, method, *arguments): 0 for actor in self._actors}, self._engine.results
        )

    def _feed(self, phase: Phase) -> None:
        """Hands each batch to the actor with the fewest in flight."""
        batches = self._spec.slices()
        while bunch := list(islice(batches, self._bunch)):
            self._window.make_room(len(bunch))
            owners = [self._next_owner() for _ in bunch]
            ended = self._fed(phase, owners, bunch)
            self._owners.update(zip(ended, owners))
            self._window.add(dict.fromkeys(ended, 1), self._complete)
            if self._rounds is not None and not phase.is_sink:
                self._rounds.begin(sum(bunch[-1]))

    def _next_owner(self) -> int:
        owner = self._in_flight.index(min(self._in_flight))
        self._in_flight[owner] += 1
        return owner

    def _fed(self, phase: Phase, owners: list[int], bunch: list[tuple[int, int]]) -> list[Any]:
        if self._fused:
            return [self._engine.call(owner, "feed", *batch) for owner, batch in zip(owners, bunch)]
        made = [self._engine.call(owner, "source", *batch) for owner, batch in zip(owners, bunch)]
        return self._staged(phase, owners, made, [count for _, count in bunch])

    def _staged(self, phase: Phase, owners: list[int], batches: list[Any], counts: list[int]) -> list[Any]:
        """A call for each stage and batch.

        Stage by stage for all of these batches: an actor may be sent no call before what an earlier one needs is there,
        so that with a batch's calls one after the other it would wait for this side each time.
        """
        for stage in phase.stages:
            batches = [self._engine.call(owner, "advance", stage, batch) for owner, batch in zip(owners, batches)]
        return [self._engine.call(owner, "end", *ended) for owner, *ended in zip(owners, batches, counts)]

    def _complete(self, done: list[Any]) -> None:
        for future, count in zip(done, self._engine.results(done)):
            self._in_flight[self._owners.pop(future)] -= 1
            self._done += count
        self._context.progress(self._done, self._spec.total_items)

    def _reduce(self, place: int, phase: Phase) -> None:
        """Each actor reduces a partition of the phase at `place`, and begins with the next one, `phase`."""
        number = len(self._actors)
        given = [self._engine.call_for_several(actor, "parts", number, place) for actor in self._actors]
        parts = list(zip(*given))
        if self._fused:
            limit = self._spec.batch_size
            calls = [self._engine.call(actor, "reduce", limit, *parts[actor]) for actor in self._actors]
            self._window.add(dict.fromkeys(calls, 0), self._engine.results)
            return
        for actor in self._actors:
            self._window.add({self._engine.call(actor, "collect", *parts[actor]): 0}, self._engine.results)
        emission = self._emission()
        while bunch := list(islice(emission, self._bunch)):
            self._window.make_room(len(bunch))
            owners = [owner for owner, _ in bunch]
            ended = self._staged(phase, owners, [batch for _, batch in bunch], [0] * len(bunch))
            self._window.add(dict.fromkeys(ended, 1), self._engine.results)

    def _emission(self) -> Iterator[tuple[int, Any]]:
        """The batches of all partitions, and who has them. An actor makes its share of the window at a time."""
        number = max(1, self._window.size // len(self._actors))

        def emit(actor: int) -> list[Any]:
            return self._engine.call_for_several(actor, "emit", 1 + number, self._spec.batch_size, number)

        some = {actor: emit(actor) for actor in self._actors}
        while some:
            counted = self._window.results([count for count, *_ in some.values()], self._engine.results)
            counts = dict(zip(some, counted))
            following = {actor: emit(actor) for actor in some if counts[actor] == number}
            for place in range(number):
                yield from ((actor, made[1 + place]) for actor, made in some.items() if place < counts[actor])
            some = following
