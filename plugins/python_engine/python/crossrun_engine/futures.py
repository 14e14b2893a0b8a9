"""A run on an engine of futures: tasks without a state of their own, whose results are arguments of other tasks.

A driver implements `FuturesEngine` (submit tasks, wait, get results) and has its `run` go through `futures_run`:

    def run(self, spec, workload, context):
        scheduler, warnings = scheduler_used(spec, "MyEngine")
        run = futures_run(MyEngine(), Job(workload), spec, context, per_worker=16)
        return report(workload, run.execute(), scheduler, run.work, warnings, {"window": run.size})

| part of the plan | `fusion=auto` | `fusion=off` |
|---|---|---|
| source, maps, filters, flat maps | a task for each batch, up to the end of its phase | one for each stage and batch |
| end of a phase | in the same task: a state of the sink, or one for each partition | a task for each batch |
| keyed reduction | a tree of tasks that merge up to `FAN_IN` states | the same |
| what a reduction emits | a task for each partition, up to the end of the next phase | tasks that emit some batches |
| what ends before the input does | tasks that merge and close a partition, in rounds: `closing_futures` | it is emitted at the end |
| sink | its states come to the driver as they are ready, and are merged there | the same |

What tasks do is in `tasks.py`. They have no effect but their result, so that an engine may run one again.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Callable, Generic, TypeVar

from . import tasks
from .closing import check_due_results, closes
from .closing_futures import ClosingEnds
from .driver import RunContext
from .futures_engine import FAN_IN, FuturesEngine, Task
from .graph import granted_graph
from .graph_futures import GraphRun, graph_window
from .job import Job, Work, total
from .kernel import State
from .phase import Encoded, Phase, encoded, merged, phases
from .spec import Spec
from .window import Future, Window, window_size

# How many times states are merged on the workers before the driver takes them.
LEVELS = 3

Argument = TypeVar("Argument")


class _Sink(Generic[Future]):
    """Where the batches of the last phase end: the driver merges their states."""

    unwatched = 0

    def __init__(self, engine: FuturesEngine[Future], sink: State, tally: Callable[[Work], None]) -> None:
        self._engine, self._sink, self._tally = engine, sink, tally

    def add(self, ended: Sequence[Future]) -> Mapping[Future, int]:
        return dict.fromkeys(ended, 1)

    def complete(self, done: list[Future]) -> None:
        for (state,), work in self._engine.results(done):
            self._tally(work)
            if state is not None:
                self._sink.merge(state)


class _Tree(Generic[Future]):
    """Where the batches of any other phase end: a tree of tasks that merge their states, while others still come.

    An engine keeps each task that led to a result that is wanted, so as to be able to run it again. So the tree has
    `LEVELS` levels: what comes out at its top goes to the driver, which has one state for each partition, and the
    engine forgets what is below. Only what has not come so far is computed again when a worker is lost.
    """

    def __init__(
        self,
        engine: FuturesEngine[Future],
        job: Job,
        phase: Phase,
        fan_in: int,
        tally: Callable[[Work], None],
        own: Sequence[Encoded],
    ) -> None:
        """`own` has the state of each partition that is there before the phase begins, if it has any."""
        self._engine, self._job, self._phase, self._tally = engine, job, phase, tally
        self._fan_in = max(2, min(FAN_IN, fan_in))
        self._levels: list[list[Future]] = [[] for _ in range(LEVELS)]
        self._tops: set[Future] = set()
        self._own: list[State | None] = [None] * phase.partitions
        for partition, state in enumerate(own):
            self._merge(partition, state)

    @property
    def unwatched(self) -> int:
        """How many batches are not part of a group yet, so that nothing that is waited for stands for them."""
        return len(self._levels[0])

    def add(self, ended: Sequence[Future]) -> Mapping[Future, int]:
        """Takes the states of batches. Returns what to wait for, and for how many of the batches each stands."""
        waited: dict[Future, int] = {}
        rising = list(ended)
        for height, level in enumerate(self._levels):
            level.extend(rising)
            number = len(level) // self._fan_in
            # Engines deal tasks that are submitted together to their workers in turn. So a group has every so many of
            # them: its states are on one worker more often, and fewer are sent from worker to worker.
            groups = [tuple(level[first : number * self._fan_in : number]) for first in range(number)]
            del level[: number * self._fan_in]
            rising = self._merged(groups) if groups else []
            if height == 0:
                waited.update(dict.fromkeys(rising, self._fan_in))
        self._tops.update(rising)
        return {**dict.fromkeys(rising, 0), **waited}

    def _merged(self, groups: list[tuple[Future, ...]]) -> list[Future]:
        return self._engine.map(tasks.combine, *zip(*groups), job=self._job, phase=self._phase)

    def complete(self, done: list[Future]) -> None:
        """Merges what has come to the top into the driver's own states."""
        tops = self._tops.intersection(done)
        self._tops -= tops
        self._engine.check([future for future in done if future not in tops])
        for states, work in self._engine.results(list(tops)) if tops else []:
            self._tally(work)
            for partition, state in enumerate(states):
                self._merge(partition, state)

    def _merge(self, partition: int, state: Encoded) -> None:
        if state is None:
            return
        own = self._own[partition]
        if own is None:
            self._own[partition] = merged(self._job.workload, self._phase.end, [state])
        else:
            own.merge(state)

    def unmerged(self) -> list[Future]:
        """What is not merged yet: fewer than a group of each level."""
        return list(itertools.chain.from_iterable(self._levels))

    def own(self) -> list[Encoded]:
        """The driver's own state of each partition. Frees them."""
        return [encoded(state) for state in self._own]


class FuturesRun(Generic[Future]):
    """One run: phase after phase, until one ends at the sink.

    `size` is how many batches may be in flight. Where it is 1, a second one may be until the two are merged.
    """

    def __init__(self, engine: FuturesEngine[Future], job: Job, spec: Spec, context: RunContext, size: int) -> None:
        self.work: Work = {}
        """For each node how many tasks took a batch further there; empty where the job counts none."""
        self.size = size
        self._engine, self._job, self._spec, self._context = engine, job, spec, context
        self._fused = spec.fusion != "off"
        check_due_results(spec, job.workload)
        self._window = Window(size, context, engine, at_once=job.workload.has_due_results)
        # Batches that are submitted together: for an engine one call is less work than many.
        self._bunch = max(1, size // 4)
        self._phase: Phase
        self._ends: _Sink[Future] | _Tree[Future] | ClosingEnds[Future]
        # What is left of each partition of the reductions that were closed while the input went on, by their stages.
        self._left: dict[int, list[Encoded]] = {}

    def execute(self) -> bytes:
        """The merged state of the sink, encoded. Raises what the first task that failed raised, or `CancelledError`."""
        first, *others = phases(self._job.workload, self._spec.parallelism)
        with self._job.workload.new_sink() as sink, self._window:
            self._begin(first, sink)
            self._submit(self._spec.slices(), self._from_source)
            for phase in others:
                reduced, ends = self._phase, self._ends
                assert not isinstance(ends, _Sink)
                self._begin(phase, sink)
                emission = self._emission_to_end if self._fused else self._emission
                self._submit(*emission(reduced.end, ends.own(), ends.unmerged()))
            self._context.progress(self._spec.total_items, self._spec.total_items)
            return sink.encode()

    def _begin(self, phase: Phase, sink: State) -> None:
        self._phase = phase
        if phase.is_sink:
            self._ends = _Sink(self._engine, sink, self._tally)
        elif phase.start == 1 and closes(self._spec, self._job.workload):
            self._ends = ClosingEnds(self._engine, self._job, self._spec, self._window, self._bunch, sink, self._tally)
            self._left = self._ends.left
        else:
            left = self._left.get(phase.end, ())
            self._ends = _Tree(self._engine, self._job, phase, self._bunch, self._tally, left)

    def _tally(self, work: Work) -> None:
        if work:
            self.work = total((self.work, work))

    def _submit(self, arguments: Iterator[Argument], launch: Callable[[list[Argument]], Sequence[Future]]) -> None:
        """Takes all arguments to the end of the phase: as many at a time as fit into the window."""
        while bunch := list(itertools.islice(arguments, self._bunch)):
            self._window.make_room(len(bunch) + self._ends.unwatched)
            self._window.add(self._ends.add(launch(bunch)), self._ends.complete)
        self._window.drain()

    def _map(self, task: Task, *columns: Sequence[Any], **fixed: Any) -> list[Future]:
        return self._engine.map(task, *columns, job=self._job, **fixed)

    def _from_source(self, slices: list[tuple[int, int]]) -> Sequence[Future]:
        self._context.progress(slices[0][0], self._spec.total_items)
        firsts, counts = zip(*slices)
        if self._fused:
            return self._map(tasks.source_to_end, firsts, counts, phase=self._phase)
        return self._staged(self._map(tasks.source, firsts, counts))

    def _staged(self, batches: list[Future]) -> list[Future]:
        """A task for each stage and batch."""
        for stage in self._phase.stages:
            batches = self._map(tasks.advance, batches, stage=stage)
        return self._map(tasks.end, batches, phase=self._phase)

    def _emission_to_end(
        self, stage: int, own: list[Encoded], unmerged: list[Future]
    ) -> tuple[Iterator[int], Callable[[list[int]], Sequence[Future]]]:
        """A task for each partition of the reduction `stage`, which goes to the end of the phase."""
        limit = self._spec.batch_size

        def launch(partitions: list[int]) -> list[Future]:
            states = [own[number] for number in partitions]
            columns = [[ended] * len(partitions) for ended in unmerged]
            return self._map(
                tasks.emit_to_end, partitions, states, *columns, stage=stage, phase=self._phase, limit=limit
            )

        return iter(range(self._spec.parallelism)), launch

    def _emission(
        self, stage: int, own: list[Encoded], unmerged: list[Future]
    ) -> tuple[Iterator[tuple[Future, int]], Callable[[list[tuple[Future, int]]], Sequence[Future]]]:
        """The batches of all partitions, for each the future of some and its number among them.

        A partition has as many batches made as share of the window, while those before are on their way: so neither
        memory nor the time in which the run can stop grows with the number of keys.
        """
        numbers = range(self._spec.parallelism)
        how = {"stage": stage, "limit": self._spec.batch_size, "number": max(1, self._window.size // len(numbers))}

        def batches() -> Iterator[tuple[Future, int]]:
            some = self._map(tasks.emit, numbers, own, *([ended] * len(numbers) for ended in unmerged), **how)
            while some:
                counts = self._window.results(self._map(tasks.count, some), self._engine.results)
                left = [emitted for emitted, (_, has_more, _) in zip(some, counts) if has_more]
                following = self._map(tasks.emit_more, left, **how) if left else []
                self._tally(total(work for _, _, work in counts))
                for place in range(how["number"]):
                    yield from ((emitted, place) for emitted, (number, *_) in zip(some, counts) if place < number)
                some = following

        return batches(), lambda picks: self._staged(self._map(tasks.pick, *zip(*picks)))


def futures_run(
    engine: FuturesEngine[Future],
    job: Job,
    spec: Spec,
    context: RunContext,
    per_worker: int,
    items: int = 1 << 18,
    has_due_results: bool = False,
) -> FuturesRun[Future] | GraphRun[Future]:
    """The run of a spec: of a graph of tasks by their dependencies where that was granted, and else of the stages.

    At most `per_worker` tasks or batches are in flight for each worker: see `graph_window` and `window_size`.
    """
    graph = granted_graph(spec, job.workload)
    if graph is not None:
        return GraphRun(engine, job, spec, context, graph_window(spec, graph, per_worker))
    size = window_size(spec, per_worker, items, has_due_results)
    return FuturesRun(engine, job, spec, context, size)
