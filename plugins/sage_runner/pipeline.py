"""The pipelines of SAGE: how items are fed to operators, and how operators are built and taken down."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sage.foundation import FlatMapFunction, KeyByFunction, SinkFunction, SourceFunction
from sage.runtime import (
    FlowNetEnvironment,
    LocalEnvironment,
    PipelineCompiler,
    StopSignal,
    get_runtime_backend,
)

from steps import Item, Slice, Step, Turn

# Enough to keep the replicas busy between two barriers; SAGE holds about 2.4 kB for each batch of a window.
WINDOW_BATCHES = 512
# A window's batches are all in memory at once.
WINDOW_ITEMS = 1 << 18

Perform = Callable[[Sequence[Step], int, Item], "list[Item]"]


@dataclass(frozen=True)
class Operator:
    """Steps that share one operator of SAGE. A keyed one gets its items by their partition key."""

    steps: tuple[Step, ...]
    keyed: bool = False


class Slices:
    """The source of a run, cut into batches."""

    def __init__(self, total: int, size: int) -> None:
        self._total, self._size = total, size
        self.first_window = WINDOW_BATCHES

    def __iter__(self) -> Iterator[Slice]:
        for first in range(0, self._total, self._size):
            yield Slice(first, min(self._size, self._total - first))


class Turns:
    """Turns for partitions, one after the other, until all of them have said that they are done."""

    def __init__(self, keys: Sequence[int], done: set[int]) -> None:
        self._keys, self._done = keys, done
        # How many turns are needed shows only when they are taken, so windows begin small.
        self.first_window = len(keys)

    def __iter__(self) -> Iterator[Turn]:
        while not self._done.issuperset(self._keys):
            for key in self._keys:
                if key not in self._done:
                    yield Turn(key)


Feed = Slices | Turns


class Operate(FlatMapFunction):  # type: ignore[misc] # SAGE is not typed
    """The function of every operator. SAGE makes one for each replica."""

    def __init__(self, steps: tuple[Step, ...], perform: Perform, halted: threading.Event) -> None:
        super().__init__()
        self._steps, self._perform, self._halted = steps, perform, halted
        # SAGE's local environment calls one replica from several threads at once.
        self._one_at_a_time = threading.Lock()

    def execute(self, data: Item) -> list[Item]:
        """Takes one item through the steps. After a failure what is still queued is passed over."""
        with self._one_at_a_time:
            if self._halted.is_set():
                return []
            try:
                return self._perform(self._steps, self.ctx.parallel_index, data)
            except BaseException:
                self._halted.set()
                raise


class PartitionKey(KeyByFunction):  # type: ignore[misc] # SAGE is not typed
    """Tells a stream the key by which it routes."""

    def execute(self, data: Item) -> int | None:
        """The key of an item that has one."""
        return getattr(data, "partition_key", None)


class Deliver(SinkFunction):  # type: ignore[misc] # SAGE is not typed
    """Hands items to the driver."""

    def __init__(self, deliver: Callable[[Any], None]) -> None:
        super().__init__()
        self._deliver = deliver

    def execute(self, data: Item) -> None:
        """Takes one item out of SAGE."""
        self._deliver(data)


class Supply(SourceFunction):  # type: ignore[misc] # SAGE is not typed
    """Feeds a stream, and ends it: a source that returns None at its end is polled for ten more seconds."""

    def __init__(self, items: Iterator[Item]) -> None:
        super().__init__()
        self._items = items

    def execute(self) -> Item | StopSignal:
        """The next item, or the end."""
        return next(self._items, None) or StopSignal("end")


@dataclass
class Engine:
    """One of SAGE's environments, in one of its modes, with one parallelism."""

    environment: str
    mode: str
    parallelism: int
    scheduler: str | None
    windows: int = 0

    def run(
        self,
        feed: Feed,
        operators: Sequence[Operator],
        perform: Perform,
        deliver: Callable[[Any], None],
        window_batches: int,
    ) -> None:
        """Takes everything that `feed` has through the operators. An operator's error is raised as it is."""
        build = _Build(operators, perform, deliver, self.parallelism, self.mode == "stream")
        if self.mode == "stream":
            self._submit(build, lambda environment: environment.from_source(Supply, iter(feed)))
            return
        items: Iterator[Item] = iter(feed)
        size = min(feed.first_window, window_batches)
        while window := list(itertools.islice(items, size)):
            self._submit(build, _batch_source(window))
            self.windows += 1
            size = min(size * 2, window_batches)

    def _submit(self, build: _Build, source: Callable[[Any], Any]) -> None:
        if self.environment == "local":
            self._submit_local(build, source)
        else:
            self._submit_flownet(build, source)

    def _submit_flownet(self, build: _Build, source: Callable[[Any], Any]) -> None:
        environment = FlowNetEnvironment("crossrun", scheduler=self.scheduler)
        build.onto(source(environment))
        # As `environment.submit` does, which keeps the actors to itself: they outlive it until cancelled.
        graph = PipelineCompiler().compile(environment.pipeline, get_runtime_backend())
        try:
            graph.submit(autostop=True)
        finally:
            for handle in graph.actor_handles:
                handle.cancel()
            environment.close()

    def _submit_local(self, build: _Build, source: Callable[[Any], Any]) -> None:
        environment = LocalEnvironment("crossrun", scheduler=self.scheduler)
        build.onto(source(environment))
        try:
            environment.submit(autostop=True)
        finally:
            # Closing alone leaves the job and its functions with the job manager.
            environment.jobmanager.shutdown()


def _batch_source(window: Sequence[Item]) -> Callable[[Any], Any]:
    return lambda environment: environment.from_batch(window)


class _Build:
    """Puts operators onto a source."""

    def __init__(
        self,
        operators: Sequence[Operator],
        perform: Perform,
        deliver: Callable[[Any], None],
        parallelism: int,
        is_stream: bool,
    ) -> None:
        self._operators, self._perform, self._deliver = operators, perform, deliver
        self._parallelism, self._is_stream = parallelism, is_stream
        self._halted = threading.Event()

    def onto(self, stream: Any) -> None:
        """Chains the operators and a sink. Only a stream needs to be told by which key it routes."""
        for operator in self._operators:
            if operator.keyed and self._is_stream:
                stream = stream.keyby(PartitionKey)
            arguments = (operator.steps, self._perform, self._halted)
            stream = stream.flatmap(Operate, *arguments, parallelism=self._parallelism)
        stream.sink(Deliver, self._deliver)


def window_batches(batch_size: int, parallelism: int) -> int:
    """How many batches of this size make a window."""
    return max(parallelism, min(WINDOW_BATCHES, WINDOW_ITEMS // batch_size))
