"""The pipelines of SAGE: how they get items, how their operators are built, and how they are taken down."""

from __future__ import annotations

import hashlib
import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sage.foundation import FlatMapFunction, KeyByFunction, SinkFunction, SourceFunction
from sage.runtime import FlowNetEnvironment, LocalEnvironment, PipelineCompiler, StopSignal, get_runtime_backend

from crossrun_engine import Item, Operator

# Enough to keep the replicas at work between two barriers. SAGE holds about 2.4 kB for each batch of a window.
WINDOW_BATCHES = 512
# All batches of a window are in memory at once.
WINDOW_ITEMS = 1 << 18

Perform = Callable[[Operator, int, Item], "list[Item]"]
Deliver = Callable[[bytes], None]


class _Operate(FlatMapFunction):  # type: ignore[misc] # SAGE is not typed
    """The function of every operator. SAGE makes one for each replica."""

    def __init__(self, operator: Operator, perform: Perform) -> None:
        super().__init__()
        self._operator, self._perform = operator, perform
        # SAGE's local environment calls one replica from several threads at once.
        self._one_at_a_time = threading.Lock()

    def execute(self, data: Item) -> list[Item]:
        with self._one_at_a_time:
            return self._perform(self._operator, self.ctx.parallel_index, data)


class _PartitionKey(KeyByFunction):  # type: ignore[misc] # SAGE is not typed
    """Tells a stream the key by which it routes."""

    def execute(self, data: Item) -> int | None:
        return getattr(data, "partition_key", None)


class _Sink(SinkFunction):  # type: ignore[misc] # SAGE is not typed
    """Hands batches to the driver. SAGE calls it in one thread."""

    def __init__(self, deliver: Deliver) -> None:
        super().__init__()
        self._deliver = deliver

    def execute(self, data: bytes) -> None:
        self._deliver(data)


class _Source(SourceFunction):  # type: ignore[misc] # SAGE is not typed
    """Feeds a stream and ends it. SAGE would poll a source that returns None at its end for ten more seconds."""

    def __init__(self, items: Iterator[Item]) -> None:
        super().__init__()
        self._items = items

    def execute(self) -> Item | StopSignal:
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
        self, items: Iterator[Item], operators: list[Operator], perform: Perform, deliver: Deliver, batch_size: int
    ) -> None:
        """Takes all items through the operators, and calls `deliver` with each batch that comes out of the last one.

        It raises what an operator raises.
        """

        def build(stream: Any) -> None:
            for operator in operators:
                # Only a stream needs to be told by which key it routes.
                if operator.folds and self.mode == "stream":
                    stream = stream.keyby(_PartitionKey)
                stream = stream.flatmap(_Operate, operator, perform, parallelism=self.parallelism)
            stream.sink(_Sink, deliver)

        if self.mode == "stream":
            self._submit(lambda environment: build(environment.from_source(_Source, items)))
            return
        size = max(self.parallelism, min(WINDOW_BATCHES, WINDOW_ITEMS // batch_size))
        while window := list(itertools.islice(items, size)):
            self._submit(lambda environment, window=window: build(environment.from_batch(window)))  # type: ignore[misc]
            self.windows += 1

    def _submit(self, build: Callable[[Any], None]) -> None:
        if self.environment == "local":
            environment = LocalEnvironment("crossrun", scheduler=self.scheduler)
            build(environment)
            try:
                environment.submit(autostop=True)
            finally:
                # Closing alone leaves the job and its functions with the job manager.
                environment.jobmanager.shutdown()
            return
        environment = FlowNetEnvironment("crossrun", scheduler=self.scheduler)
        build(environment)
        # As `environment.submit` does, which does not hand out the actors: they outlive it until they are cancelled.
        graph = PipelineCompiler().compile(environment.pipeline, get_runtime_backend())
        try:
            graph.submit(autostop=True)
        finally:
            for handle in graph.actor_handles:
                handle.cancel()
            environment.close()


def partition_keys(replicas: int) -> list[int]:
    """One key for each replica, in their order: SAGE's own hash of the key leads to that replica."""
    keys: dict[int, int] = {}
    key = 0
    while len(keys) < replicas:
        digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
        keys.setdefault(int.from_bytes(digest, "big") % replicas, key)
        key += 1
    return [keys[replica] for replica in range(replicas)]
