"""Dask's futures, as a run uses them."""

from __future__ import annotations

import itertools
import queue
import time
import uuid
from collections.abc import Callable, Collection, Sequence
from typing import Any

from distributed import Future

from cluster import Cluster
from crossrun_engine import FuturesEngine, RunContext, tasks
from crossrun_engine.executors import LostError
from crossrun_engine.window import answered, taken

# Seconds between two looks at whether anybody is left to run the tasks, while none ends.
LOOK = 0.5


class DaskEngine(FuturesEngine[Future]):
    """The tasks of one run."""

    def __init__(self, cluster: Cluster, scheduler: str, context: RunContext) -> None:
        self._client, self._lost, self._context = cluster.client, cluster.lost, context
        self._how: dict[str, Any] = {"workers": cluster.restriction}
        if scheduler == "fifo":
            # What is submitted within this time is of one priority.
            self._how["fifo_timeout"] = "0 ms"
        self._name, self._numbers = uuid.uuid4().hex, itertools.count()
        self._finished, self._next_look = queue.SimpleQueue[Future](), 0.0

    def map(self, task: Callable[..., Any], *columns: Sequence[Any], **fixed: Any) -> list[Future]:
        """Submits tasks. Those of a kind are one group in a run, as Dask keeps what it knows of each group."""
        keys = [(f"{task.__name__}-{self._name}", next(self._numbers)) for _ in columns[0]]
        # What merges states comes first, so that few of them are kept.
        priority = int(task in (tasks.combine, tasks.close))
        # Of a pure task Dask hashes all arguments, even if the key is given.
        return list(self._client.map(task, *columns, key=keys, pure=False, priority=priority, **fixed, **self._how))

    def put(self, values: Sequence[Any]) -> list[Future]:
        """Sends the values to the workers, one after the other in turn."""
        return list(self._client.scatter(list(values), hash=False, workers=self._how["workers"])) if values else []

    def watch(self, futures: Collection[Future]) -> None:
        """Has Dask tell when futures finish."""
        for future in futures:
            future.add_done_callback(self._finished.put)

    def wait(self, futures: Collection[Future], number: int, timeout: float) -> list[Future]:
        """Waits, and raises `LostError` if nobody is left for whom it could wait."""
        finished = taken(self._finished, number, timeout)
        if not finished:
            self._look()
        return finished

    def look(self) -> None:
        """Raises if the run is to stop, or if nobody is left to run its tasks."""
        self._context.check_cancelled()
        self._look()

    def _look(self) -> None:
        if time.monotonic() < self._next_look:
            return
        if reason := self._lost():
            raise LostError(reason)
        self._next_look = time.monotonic() + LOOK

    def check(self, futures: Sequence[Future]) -> None:
        """Raises what went wrong, if it did."""
        for future in futures:
            # One that is lost, or computed anew, tells later.
            if future.status in ("error", "cancelled"):
                future.result()

    def results(self, futures: Sequence[Future]) -> list[Any]:
        """The results, brought here. Dask computes anew what is lost on the way, if anybody is left to do it."""
        gathering = self._client.gather(list(futures), asynchronous=True)
        return list(answered(gathering, self._client.loop.asyncio_loop, self.look))
