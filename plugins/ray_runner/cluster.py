"""The Ray that a session uses: its own, or a cluster that already runs."""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

import ray
from actors import Replica
from crossrun_engine import EngineError, Session, UnavailableError
from member import Member
from ray.exceptions import RayActorError
from ray.util.placement_group import placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy
from scratch import Scratch

# Bytes of shared memory for what is under way. Ray writes what is beyond that to disk.
OBJECT_STORE = 256 << 20

# Seconds that a cluster has to free the processors that are asked for.
RESERVING = 30.0

# Seconds that all workers have to start.
STARTING = 60.0


class Cluster:
    """What runs tasks and actors: one processor of it for each unit of parallelism, and no more."""

    placement: dict[str, Any]
    """Options for tasks: how they get onto what is reserved."""
    is_shared = False
    """Whether other machines may belong to it."""

    def __init__(self, session: Session) -> None:
        self.parallelism = session.parallelism
        self._replicas: list[Any] = []
        # Which node each actor is on, and what to call the node.
        self._homes: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._scratch = Scratch(session.log_dir)

    def demand(self, nodes: int) -> None:
        """Checks that there are so many machines on which work can be done."""
        able = sum(node["Alive"] and node["Resources"].get("CPU", 0) >= 1 for node in ray.nodes())
        if nodes > able:
            raise UnavailableError(f"{nodes} nodes are asked for, but Ray has {able}", f"--nodes {max(1, able)}")

    def named(self, work: Counter[str]) -> dict[str, int]:
        """What each node did, under its name."""
        if not work.keys() <= self._names.keys():
            self._names = _names()
        return {self._name(node): number for node, number in work.items()}

    def lost(self, error: RayActorError) -> EngineError:
        """That an actor is gone, and where it was. Asks nobody: more than the actor may be gone."""
        where = self._name(self._homes.get(error.actor_id or "", ""))
        reason = " ".join(str(error).split())
        message = f"the actor on node {where} is gone, and what it had taken in with it: {reason}"
        return EngineError(message, "--extra ray_idiom=tasks, which repeats what is lost")

    def _name(self, node: str) -> str:
        return self._names.get(node, node or "unknown")

    def replicas(self) -> list[Any]:
        """The pool of actors, started when it is first used."""
        if not self._replicas:
            self._replicas = [self._replica(index) for index in range(self.parallelism)]
            self._homes = dict(ray.get([replica.ready.remote() for replica in self._replicas]))
            self._names = _names()
        return self._replicas

    def _replica(self, index: int) -> Any:
        # No run uses actors and tasks, so that actors need not keep processors from tasks.
        return Replica.options(num_cpus=0, **self._place(index)).remote()

    def _place(self, index: int) -> dict[str, Any]:
        return {}

    def start_workers(self) -> None:
        """Waits until there is a process for each task that can run at once."""
        introduce = _introduce.options(**self.placement)
        deadline = time.monotonic() + STARTING
        processes: set[tuple[str, int]] = set()
        while len(processes) < self.parallelism and time.monotonic() < deadline:
            processes |= set(ray.get([introduce.remote() for _ in range(self.parallelism)]))

    def close(self) -> None:
        """Leaves nothing behind."""
        try:
            self._disconnect()
        finally:
            self._scratch.close()

    def _disconnect(self) -> None:
        ray.shutdown()


def _names() -> dict[str, str]:
    """What to call each node, also one that is gone: its address, and the beginning of what Ray calls it."""
    return {node["NodeID"]: f"{node['NodeManagerAddress']} ({node['NodeID'][:8]})" for node in ray.nodes()}


@ray.remote
def _introduce() -> tuple[str, int]:
    # Long enough that no process gets two of them while another has none.
    time.sleep(0.05)
    return ray.get_runtime_context().get_node_id(), os.getpid()


class OwnCluster(Cluster):
    """Ray on this machine, for this session only."""

    placement: dict[str, Any] = {}

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        try:
            ray.init(
                # Not the cluster that RAY_ADDRESS names.
                address="local",
                num_cpus=session.parallelism,
                object_store_memory=OBJECT_STORE,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.WARNING,
                _temp_dir=str(self._scratch.path),
            )
            self.demand(session.nodes)
        except BaseException:
            self.close()
            raise


class ExistingCluster(Cluster):
    """A cluster that somebody else runs. A placement group reserves what is used of it, spread over the nodes."""

    is_shared = True

    def __init__(self, address: str, session: Session) -> None:
        super().__init__(session)
        self._group: Any = None
        self._member: Member | None = None
        try:
            self._join(address)
            self.demand(session.nodes)
            self._reserve()
        except BaseException:
            self.close()
            raise
        self.placement = {"scheduling_strategy": PlacementGroupSchedulingStrategy(self._group)}

    def _join(self, address: str) -> None:
        self._member = Member(address, self._scratch.path)
        # Ray sends the folder to the nodes, under the hash of what is in it.
        code = {"working_dir": str(Path(__file__).parent)}
        folder = str(self._scratch.path)
        try:
            # Of several nodes on this machine, the one in that folder is ours.
            ray.init(
                address=address, runtime_env=code, log_to_driver=False, logging_level=logging.WARNING, _temp_dir=folder
            )
        except (OSError, RuntimeError, ValueError) as error:
            # What Ray raises first only says that it did not work.
            raise self._member.unusable(str(error.__cause__ or error)) from error

    def _reserve(self) -> None:
        processors = int(ray.cluster_resources().get("CPU", 0))
        if processors < self.parallelism:
            message = f"parallelism {self.parallelism} needs as many processors, but the cluster has {processors}"
            raise UnavailableError(message, f"--parallelism {max(1, processors)}")
        self._group = placement_group([{"CPU": 1}] * self.parallelism, strategy="SPREAD")
        if not self._group.wait(RESERVING):
            message = f"no {self.parallelism} processors of the cluster became free within {RESERVING:.0f} s"
            raise UnavailableError(message)

    def _place(self, index: int) -> dict[str, Any]:
        strategy = PlacementGroupSchedulingStrategy(self._group, placement_group_bundle_index=index)
        return {"scheduling_strategy": strategy}

    def _disconnect(self) -> None:
        if self._group is not None:
            remove_placement_group(self._group)
        super()._disconnect()
        if self._member is not None:
            self._member.close()


def connect(address: str | None, session: Session) -> Cluster:
    """Starts Ray here, or goes to the cluster at `address`."""
    return OwnCluster(session) if address is None else ExistingCluster(address, session)
