"""The Ray that a session uses: its own, or a cluster that already runs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import ray
from ray.util.placement_group import placement_group, placement_group_table, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from crossrun_engine import RunContext, Session, SessionFolder, UnavailableError, Workload, reach_processes
from crossrun_engine.executors import comes_true, some_are_gone
from crossrun_engine.memory import object_store_bytes
from crossrun_engine.startup import closing_after_failure
from crossrun_ray import Actors, RayJob, Replica, Tasks
from member import Member

# Seconds that a cluster has to free the processors that are asked for, and that all workers have to start.
RESERVING = 30.0
STARTING = 60.0

# Bytes of a folder's path: a socket's has at most 107, of which Ray needs 64 below the folder that it is given.
LONGEST_FOLDER = 43


class Cluster:
    """Ray for this session only: one processor of it for each unit of parallelism, and no more."""

    def __init__(self, session: Session, idiom: str) -> None:
        self._parallelism, self._session = session.parallelism, session
        self._engines: dict[str, Tasks | Actors] = {}
        self._folder = SessionFolder("ray-", LONGEST_FOLDER)
        # What is to be done at the end, the last first. Each is done also if another fails, as where the head of a cluster is gone.
        self._leaving = ExitStack()
        self._leaving.callback(self._folder.close)
        self._leaving.callback(self._folder.keep, "session_[0-9]*/logs", session.log_dir / "ray")
        with closing_after_failure(self.close):
            self._connect(session)
            self._demand_nodes()
            self._reserve()
            # Bytes of the object stores of all nodes. Asked here, as asking would be a part of a run's time.
            self.object_store = int(ray.cluster_resources().get("object_store_memory", 0))
            self.engine(idiom)

    def _connect(self, session: Session) -> None:
        sizes = {"num_cpus": session.parallelism, "object_store_memory": object_store_bytes()}
        # Not the cluster that RAY_ADDRESS names.
        self._init(address="local", include_dashboard=False, **sizes)

    def _init(self, **options: Any) -> None:
        self._leaving.callback(ray.shutdown)
        # Of several nodes on this machine, the one in that folder is ours.
        ray.init(log_to_driver=False, logging_level=logging.WARNING, _temp_dir=str(self._folder.path), **options)

    def _demand_nodes(self) -> None:
        self._demand(sum(node["Alive"] and node["Resources"].get("CPU", 0) >= 1 for node in ray.nodes()))

    def _demand(self, nodes: int) -> None:
        option = "a cluster with more that are free, --extra ray_address=HOST:PORT, and as many --parallelism"
        self._session.demand_nodes(nodes, option)

    def _reserve(self) -> None:
        """Makes sure of the processors: those of a session of its own are nobody else's."""

    def _placement(self, index: int = -1) -> dict[str, Any]:
        """Options by which a task, or the actor with this number, gets onto what is reserved."""
        return {}

    def job(self, workload: Workload) -> RayJob:
        """The workload, as it travels to workers."""
        return RayJob(workload)

    def engine(self, idiom: str, look: Callable[[], None] = lambda: None) -> Tasks | Actors:
        """The engine for an idiom, with its workers started: now, if it is used for the first time. `look` may raise meanwhile."""
        if idiom not in self._engines:
            self._engines[idiom] = self._actors(look) if idiom == "actors" else self._tasks(look)
        return self._engines[idiom]

    def prepare(self, idiom: str, workload: Workload, context: RunContext) -> None:
        """Has each worker open the workload of the next run. Before the first tasks the actors end: sessions of graphs use none."""
        if idiom not in self._engines and isinstance(actors := self._engines.pop("actors", None), Actors):
            actors.close()
        engine, job = self.engine(idiom, context.check_cancelled), self.job(workload)
        if isinstance(engine, Actors):
            engine.prepare(job, self._parallelism, context)
        else:
            reach_processes(engine, job, self._parallelism, STARTING, context.check_cancelled)

    def _actors(self, look: Callable[[], None]) -> Actors:
        # No run uses actors and tasks, so that actors need not keep processors from tasks.
        options = ({"num_cpus": 0, **self._placement(index)} for index in range(self._parallelism))
        return Actors([ray.remote(Replica).options(**each).remote() for each in options], look)

    def _tasks(self, look: Callable[[], None]) -> Tasks:
        """Waits until there is a process for each task that can run at once."""
        tasks = Tasks(self._placement())
        reach_processes(tasks, None, self._parallelism, STARTING, look)
        return tasks

    def close(self) -> None:
        """Leaves nothing behind but Ray's logs, which are kept with those of the run."""
        self._leaving.close()


class ExistingCluster(Cluster):
    """A cluster that somebody else runs. A placement group reserves what is used of it, spread over the nodes."""

    def __init__(self, address: str, session: Session, idiom: str) -> None:
        self._address = address
        self._library: tuple[str, Any] = ("", None)
        super().__init__(session, idiom)

    def _connect(self, session: Session) -> None:
        member = Member(self._address, self._folder.path)
        self._leaving.callback(member.close)
        try:
            # Ray sends the folder to the nodes, under the hash of what is in it.
            self._init(address=self._address, runtime_env={"working_dir": str(Path(__file__).parent)})
        except (OSError, RuntimeError, ValueError) as error:
            # What Ray raises first only says that it did not work.
            raise member.unusable(str(error.__cause__ or error)) from error

    def _reserve(self) -> None:
        processors = int(ray.cluster_resources().get("CPU", 0))
        if processors < self._parallelism:
            message = f"parallelism {self._parallelism} needs as many processors, but the cluster has {processors}"
            raise UnavailableError(message, f"--parallelism {max(1, processors)}")
        self._group = placement_group([{"CPU": 1}] * self._parallelism, strategy="SPREAD")
        self._leaving.callback(remove_placement_group, self._group)
        if not self._group.wait(RESERVING):
            raise UnavailableError(f"the cluster freed no {self._parallelism} processors within {RESERVING:.0f} s")
        self._demand(len(set(self._places())))

    def _places(self) -> list[str]:
        """The node of each processor that is reserved, or was before the node was lost."""
        return list(placement_group_table(self._group).get("bundles_to_node_id", {}).values())

    def prepare(self, idiom: str, workload: Workload, context: RunContext) -> None:
        """Refuses the run if nodes were lost with some of the processors: fewer would do all of its work."""
        self._demand_nodes()
        if not comes_true(self._group.wait, RESERVING, context.check_cancelled):
            alive = [node["NodeID"] for node in ray.nodes() if node["Alive"]]
            raise some_are_gone(self._parallelism, sum(place in alive for place in self._places()), self._address)
        self._demand(len(set(self._places())))
        super().prepare(idiom, workload, context)

    def _placement(self, index: int = -1) -> dict[str, Any]:
        strategy = PlacementGroupSchedulingStrategy(self._group, placement_group_bundle_index=index)
        return {"scheduling_strategy": strategy}

    def job(self, workload: Workload) -> RayJob:
        """The library's bytes are put into the object store once."""
        if self._library[0] != workload.sha256:
            self._library = workload.sha256, ray.put(Path(workload.path).read_bytes())
        return RayJob(workload, self._library[1])
