"""The Dask that a session uses: worker processes of this machine, or a cluster that already runs."""

from __future__ import annotations

import logging
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import cloudpickle
import dask
from distributed import Client, LocalCluster
from distributed.versions import get_versions

import crossrun_engine.code
import environment
import shipment
from crossrun_dask import LIBRARY, SentJob, folder_name, ready
from crossrun_engine import InvalidSpecError, Job, Session, SessionFolder, UnavailableError, UnsupportedError, Workload
from crossrun_engine.executors import Processes, joined, other_versions, select_workers
from crossrun_engine.network import host
from crossrun_engine.startup import closing_after_failure

# Seconds that a cluster has to answer.
ANSWERING = 10

# Tasks that are sent to a worker thread at once: a whole window. Dask sends one or two, and one more when one is done,
# which makes the way to the scheduler and back a part of each task, and a message to a worker of each. An infinite
# number would do more than that: Dask then gives a whole run of tasks that are submitted together to one worker.
AHEAD = 256

# Seconds that a session of our own waits for workers to be replaced: in a run if all are gone, before one for each.
REPLACING = 30

LOOPBACK = "127.0.0.1"


class Cluster:
    """What runs tasks."""

    client: Client
    # Those of this machine, of which it is seen whether one is lost.
    processes = Processes(set[str], 0, 0)
    # The workers to which tasks are restricted; `None` if all may be used.
    restriction: list[str] | None = None

    def job(self, workload: Workload) -> Job:
        """The workload, as it travels to workers."""
        return Job(workload)

    def prepare(self, workload: Workload) -> None:
        """Has each worker open the workload of the next run."""
        self.client.run(self.job(workload).prepare)

    def lost(self) -> str:
        """Why nobody is left who could run a task; empty as long as there is somebody."""
        return ""

    def warnings(self) -> list[str]:
        """What became of the workers in the run that has ended. Nobody is asked: that would be a part of its time."""
        return self.processes.losses()

    def close(self) -> None:
        """Leaves nothing behind."""
        raise NotImplementedError


class OwnCluster(Cluster):
    """Worker processes of this machine, one thread each, and the scheduler in the driver's own process."""

    def __init__(self, session: Session) -> None:
        session.demand_nodes(1, "--extra dask_address=tcp://HOST:PORT")
        # What is to be closed at the end, the last first, and each also if another fails.
        self._leaving = ExitStack()
        with closing_after_failure(self.close):
            folder = self._leaving.enter_context(closing(SessionFolder("crossrun-dask-")))
            dask.config.set(
                {
                    "temporary-directory": str(folder.path),
                    "distributed.scheduler.worker-saturation": AHEAD,
                    "distributed.scheduler.no-workers-timeout": f"{REPLACING}s",
                    # What Dask keeps for its developers: the last messages to each worker, of which one may have a whole window of tasks.
                    "distributed.admin.low-level-log-length": 10,
                    # Neither pages nor figures are served. The port is there all the same.
                    "distributed.scheduler.http.routes": [],
                    "distributed.worker.http.routes": [],
                }
            )
            self._cluster = LocalCluster(
                n_workers=session.parallelism,
                threads_per_worker=1,
                processes=True,
                host=LOOPBACK,
                dashboard_address=None,
                # Else it takes port 8787, or warns that somebody has it.
                scheduler_kwargs={"dashboard": False, "dashboard_address": f"{LOOPBACK}:0"},
                local_directory=str(folder.path),
                silence_logs=logging.ERROR,
            )
            self._leaving.callback(self._cluster.close)
            self.client = self._leaving.enter_context(closing(Client(self._cluster)))
            self.client.wait_for_workers(session.parallelism)
            self.client.run(ready)
            # By the scheduler, which is in this process: a client learns of a loss later.
            self.processes = Processes(lambda: set(self._cluster.scheduler.workers), session.parallelism, REPLACING)

    def close(self) -> None:
        """Leaves nothing behind."""
        self._leaving.close()


class ExistingCluster(Cluster):
    """A cluster that somebody else runs, of which as many threads are used as were asked for."""

    def __init__(self, address: str, session: Session) -> None:
        self._address, self._session = address, session
        self.client = _connect(address)
        self._shipped, self._at_scheduler, self._versions = list[str](), "", list[str]()
        self._code = shipment.code(Path(__file__).parent)
        # Workers that were there when the run was prepared, and those that got something since then.
        self._there, self._arrived = set[str](), set[str]()
        self.client.subscribe_topic(shipment.ARRIVED, lambda event: self._arrived.add(event[1]["worker"]))
        with closing_after_failure(self.close):
            self._select_workers(session)
            for module in (shipment, crossrun_engine.code):
                cloudpickle.register_pickle_by_value(module)
            self._ship(self._code)
            self._at_scheduler = shipment.inform_scheduler(self.client, self._code)
            self.client.run(ready, workers=self._workers)

    def _select_workers(self, session: Session) -> None:
        """Says which workers are used, or why there are none."""
        threads = self._threads()
        if not threads:
            raise UnavailableError(f"no worker is at the scheduler at {self._address}", f"dask worker {self._address}")
        self._there, self._workers = set(threads), select_workers(threads, session.parallelism)
        # Dask does not queue tasks that are restricted.
        self.restriction = self._workers if threads.keys() - set(self._workers) else None
        if not self._workers:
            message = f"each worker at {self._address} may run more than {session.parallelism} tasks at once"
            raise UnsupportedError(message, f"--parallelism {min(threads.values())}")
        session.demand_nodes(len({host(worker) for worker in self._workers}), f"more workers at {self._address}")
        used = sum(threads[worker] for worker in self._workers)
        if used < session.parallelism:
            needs = f"parallelism {session.parallelism} needs as many threads"
            raise UnavailableError(f"{needs}, but workers that fit have {used}", f"--parallelism {used}")

    def _threads(self) -> dict[str, int]:
        # Not from `scheduler_info`: a clock of the client's replaces that by one without workers, also while it is returned.
        return dict(self.client.nthreads())

    def _ship(self, shipped: shipment.Shipment) -> None:
        self._shipped.append(shipped.name)  # Before it is there: a stop may come while it travels.
        self.client.register_plugin(shipped)

    def job(self, workload: Workload) -> Job:
        """The library travels once, under the name of its hash. It is not even read again."""
        folder = folder_name(workload.sha256)
        if folder not in self._shipped:
            self._ship(shipment.Shipment(folder, {LIBRARY: Path(workload.path).read_bytes()}))
        return SentJob(workload)

    def prepare(self, workload: Workload) -> None:
        """A task for each worker that is there: outside of tasks, Dask does not tell a worker where its files are."""
        self._workers = []  # Nobody is missed before it is known who is there.
        self._arrived.clear()
        job = self.job(workload)
        # Workers may have gone since the run before, and others come. To ask in the run would be a part of its time.
        self._select_workers(self._session)
        # One that goes now never comes back under its address: a task for it alone would wait without end.
        here = {"allow_other_workers": True, "pure": False}
        self.client.gather([self.client.submit(job.prepare, workers=[worker], **here) for worker in self._workers])
        told = self.client.run(get_versions, workers=self._workers, on_error="ignore").values()
        told = [self.client.run_on_scheduler(get_versions), *told]
        self._versions = other_versions(get_versions()["packages"], [one["packages"] for one in told])

    def lost(self) -> str:
        """That the scheduler is gone, or all workers that may be used: a task would wait for these without end."""
        try:
            left = self._threads()
        except (OSError, RuntimeError) as error:
            return f"the scheduler at {self._address} is gone: {error}"
        # Where tasks are not restricted, those that came meanwhile run them too.
        able = set(left).intersection(self.restriction or left)
        if self._workers and not able:
            return f"all {len(self._workers)} workers of this run at {self._address} are gone"
        return ""

    def warnings(self) -> list[str]:
        """Versions that differ; and that workers came, which get tasks where these are not restricted. A worker tells it: nobody is asked."""
        came = [] if self.restriction else joined(self._arrived, self._there, self._session.parallelism)
        return [*self._versions, *came]

    def close(self) -> None:
        """Takes back what was sent, and leaves the cluster alone."""
        # Where the scheduler is gone there is nothing to take back.
        with suppress(OSError, RuntimeError):
            for name in self._shipped:
                with suppress(ValueError):  # Another session has taken it back.
                    self.client.unregister_worker_plugin(name)
            if self._at_scheduler:
                shipment.clear_scheduler(self.client, self._at_scheduler, self._code)
            self.client.unsubscribe_topic(shipment.ARRIVED)
        self.client.close()


def connect(session: Session) -> Cluster:
    """Starts workers here, or goes to the cluster whose address is among the options."""
    address = str(session.options.get("dask_address", "none"))
    return OwnCluster(session) if address == "none" else ExistingCluster(address, session)


def _connect(address: str) -> Client:
    # The certificates of such a cluster may be among the user's settings.
    dask.config.paths.append(str(Path(environment.HOME, ".config", "dask")))
    dask.config.refresh()
    try:
        return Client(address, timeout=ANSWERING)
    except OSError as error:
        raise UnavailableError(f"no Dask scheduler answers at {address}: {error}") from error
    except ValueError as error:
        message = f"extra.dask_address is {address!r}: {error}"
        raise InvalidSpecError(message, "--extra dask_address=tcp://HOST:PORT") from error
