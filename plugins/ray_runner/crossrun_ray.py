"""What workers import, beside the package `crossrun_engine`: how a workload is opened there, and their actors.

Ray has its workers look for modules in the current folder first. So this must be called as no file of the user's is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import ray

import crossrun_engine
from crossrun_engine import ShippedJob, Workload


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
