"""The Ray that a session uses: its own, or a cluster that already runs."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import time
from pathlib import Path
from typing import Any

import ray
from actors import Replica
from crossrun_engine import Session, UnavailableError
from ray._private import services
from ray._raylet import GcsClient
from ray.util.placement_group import placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

# Bytes of shared memory for what is under way. Ray writes what is beyond that to disk.
OBJECT_STORE = 256 << 20

# A socket's path has at most 107 bytes, of which Ray needs about 66 below the folder that it is given.
LONGEST_FOLDER = 40

# Seconds that a cluster has to answer.
ANSWERING = 5.0

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

    def __init__(self, parallelism: int) -> None:
        self.parallelism = parallelism
        self._replicas: list[Any] = []

    def demand(self, nodes: int) -> None:
        """Checks that there are so many machines."""
        alive = sum(node["Alive"] for node in ray.nodes())
        if nodes > alive:
            raise UnavailableError(f"{nodes} nodes are asked for, but Ray has {alive}", f"--nodes {alive}")

    def replicas(self) -> list[Any]:
        """The pool of actors, started when it is first used."""
        if not self._replicas:
            self._replicas = [self._replica(index) for index in range(self.parallelism)]
            ray.get([replica.ready.remote() for replica in self._replicas])
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
        ray.shutdown()


@ray.remote
def _introduce() -> tuple[str, int]:
    # Long enough that no process gets two of them while another has none.
    time.sleep(0.05)
    return ray.get_runtime_context().get_node_id(), os.getpid()


class OwnCluster(Cluster):
    """Ray on this machine, for this session only."""

    placement: dict[str, Any] = {}

    def __init__(self, session: Session) -> None:
        super().__init__(session.parallelism)
        self._logs = session.log_dir / "ray"
        self._folder = _short_folder()
        try:
            ray.init(
                num_cpus=session.parallelism,
                object_store_memory=OBJECT_STORE,
                include_dashboard=False,
                log_to_driver=False,
                logging_level="warning",
                _temp_dir=str(self._folder),
            )
            self.demand(session.nodes)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        super().close()
        for logs in self._folder.glob("session_[0-9]*/logs"):
            shutil.copytree(logs, self._logs, dirs_exist_ok=True, ignore_dangling_symlinks=True)
        # A process that is just ending may still write a last line.
        for _ in range(50):
            shutil.rmtree(self._folder, ignore_errors=True)
            if not self._folder.exists():
                return
            time.sleep(0.1)
        raise OSError(f"Ray's folder {self._folder} cannot be removed")


def _short_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="ray-"))
    if len(os.fsencode(folder)) <= LONGEST_FOLDER:
        return folder
    folder.rmdir()
    return Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))


class ExistingCluster(Cluster):
    """A cluster that somebody else runs. A placement group reserves what is used of it, spread over the nodes."""

    is_shared = True

    def __init__(self, address: str, session: Session) -> None:
        super().__init__(session.parallelism)
        self._group: Any = None
        try:
            _connect(address)
            self.demand(session.nodes)
            self._reserve()
        except BaseException:
            self.close()
            raise
        self.placement = {"scheduling_strategy": PlacementGroupSchedulingStrategy(self._group)}

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

    def close(self) -> None:
        if self._group is not None:
            remove_placement_group(self._group)
        super().close()


def _connect(address: str) -> None:
    # Ray sends the folder to the nodes, under the hash of what is in it.
    code = {"working_dir": str(Path(__file__).parent)}
    try:
        _knock(address)
        _look_for_nodes_by_their_sockets(address)
        ray.init(address=address, runtime_env=code, log_to_driver=False, logging_level="warning")
    except (OSError, RuntimeError, ValueError) as error:
        # What Ray raises first only says that it did not work.
        reason = " ".join(str(error.__cause__ or error).split())
        raise UnavailableError(f"the Ray cluster at {address} cannot be used: {reason}") from error


def _look_for_nodes_by_their_sockets(address: str) -> None:
    """Ray looks for the nodes of this machine among its processes, and waits for minutes if it sees none. The session may
    be in a process namespace of its own, which hides them; their sockets are there all the same."""
    if address == "auto":
        return

    def find_node_ids() -> set[str]:
        nodes = GcsClient(address=address).get_all_node_info().values()
        return {node.node_id.hex() for node in nodes if Path(node.raylet_socket_name).exists()}

    services.find_node_ids = find_node_ids


def _knock(address: str) -> None:
    """Fails within seconds if nobody is there, for which Ray itself takes minutes."""
    if address != "auto":
        host, _, port = address.rpartition(":")
        socket.create_connection((host, int(port)), timeout=ANSWERING).close()


def connect(address: str | None, session: Session) -> Cluster:
    """Starts Ray here, or goes to the cluster at `address`."""
    return OwnCluster(session) if address is None else ExistingCluster(address, session)
