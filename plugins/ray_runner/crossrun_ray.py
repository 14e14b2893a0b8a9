"""Ray's tasks and actors, as a run uses them. Workers look for it in the current folder first: no file of the user has its name."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import ray
from ray.exceptions import RayActorError, RayTaskError

import crossrun_engine
from crossrun_engine import ActorsEngine, EngineError, FuturesEngine, ShippedJob, Waiter, Workload

# Ray brings a function to its workers once for each object that `ray.remote` makes of it.
_remote = cache(ray.remote)


@cache
def node() -> str:
    """The node that calls this: its address, and the beginning of what Ray calls it."""
    return f"{ray.util.get_node_ip_address()} ({ray.get_runtime_context().get_node_id()[:8]})"


@dataclass(frozen=True)
class RayJob(ShippedJob):
    """A workload as it travels through Ray."""

    library: Any = None
    """The library's bytes in Ray's object store, for machines that do not have the file."""

    def open(self) -> Workload:
        """The workload, in the process that calls this."""
        return self.workload if self.library is None else super().open()

    def fetch(self) -> bytes:
        """The library's bytes."""
        return bytes(ray.get(self.library))

    def node(self) -> str:
        """The node of the process that calls this."""
        return node()


class Replica(crossrun_engine.Replica):
    """One of the pool of actors."""

    def ready(self) -> tuple[str, str]:
        """Answers as soon as the actor's process has started: what Ray calls the actor, and its node."""
        return ray.get_runtime_context().get_actor_id() or "", node()


class _Engine(Waiter[Any]):
    """How both idioms wait for what they have submitted."""

    def wait(self, futures: Collection[Any], number: int, timeout: float) -> list[Any]:
        """Those of the futures that have finished, with or without success. What they stand for stays on its node."""
        return list(ray.wait(list(futures), num_returns=number, timeout=timeout, fetch_local=False)[0])

    def results(self, futures: Sequence[Any]) -> list[Any]:
        """Their values. Raises what an operator raised, without what Ray put around it on each task that it passed."""
        try:
            return list(ray.get(list(futures)))
        except RayTaskError as error:
            cause: BaseException = error
            while isinstance(cause, RayTaskError) and isinstance(cause.cause, BaseException):
                cause = cause.cause
            # Of an error that is not meant for users, the log has where in the worker it was raised.
            raise cause from (None if cause is error else error)


class Tasks(_Engine, FuturesEngine[Any]):
    """Stateless tasks: Ray decides where each runs, and runs it again if its node is lost."""

    def __init__(self, placement: dict[str, Any]) -> None:
        self._placement = placement

    def map(self, task: Callable[..., Any], *columns: Sequence[Any], **fixed: Any) -> list[Any]:
        """Submits a task for each row."""
        remote = _remote(task).options(**self._placement)
        return [remote.remote(*row, **fixed) for row in zip(*columns, strict=True)]

    def put(self, values: Sequence[Any]) -> list[Any]:
        """Puts the values into Ray's object store."""
        return [ray.put(value) for value in values]

    def check(self, futures: Sequence[Any]) -> None:
        """Does nothing, as to look would bring the results here: the tasks that take them raise what went wrong."""


class Actors(_Engine, ActorsEngine[Any]):
    """A pool of actors: calls go to each directly. `look` is called again and again until all have started, and may raise."""

    def __init__(self, replicas: list[Any], look: Callable[[], None]) -> None:
        self._replicas = replicas
        ready = [replica.ready.remote() for replica in replicas]
        self.wait_for_all(ready, look)
        self._nodes: dict[str, str] = dict(ray.get(ready))

    def close(self) -> None:
        """Ends the actors with their processes."""
        for replica in self._replicas:
            ray.kill(replica)

    def call(self, actor: int, method: str, *arguments: Any) -> Any:
        """Calls a method of an actor."""
        return getattr(self._replicas[actor], method).remote(*arguments)

    def call_for_several(self, actor: int, method: str, returns: int, *arguments: Any) -> list[Any]:
        """Calls a method whose values are objects of their own."""
        values = getattr(self._replicas[actor], method).options(num_returns=returns).remote(*arguments)
        # What has one return is not in a list.
        return list(values) if returns > 1 else [values]

    def results(self, futures: Sequence[Any]) -> list[Any]:
        """The values. If an actor is gone, says where it was, and asks nobody: more than the actor may be gone."""
        try:
            return super().results(futures)
        except RayActorError as error:
            where, reason = self._nodes.get(error.actor_id or "", "unknown"), " ".join(str(error).split())
            message = f"the actor on node {where} died, and the state that it held is lost: {reason}"
            raise EngineError(message, "--extra ray_idiom=tasks, which repeats what is lost") from error
