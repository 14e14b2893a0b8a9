"""The driver of the dask backend: takes a workload's plan through Dask's futures.

A plan is run in phases, cut at its keyed reductions. A phase submits batches of tasks, a bounded number at a time, and
submits more as they complete. States are merged by the workers in a tree, as `dask.bag.foldby` does it: each task folds
its own batch, and the states of each partition are combined.
"""

from __future__ import annotations

import functools
import itertools
import logging
import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

if multiprocessing.parent_process() is None:
    # What is measured must not depend on the user's own settings, and Dask would write a file among them.
    for name in [name for name in os.environ if name.startswith("DASK_")]:
        del os.environ[name]
    os.environ["DASK_CONFIG"] = os.environ["DASK_ROOT_CONFIG"] = os.devnull

import cloudpickle
import dask
import distributed
from distributed import Client, Future, LocalCluster, as_completed

import crossrun_dask as tasks
import shipment
from crossrun_dask import Chain, Reference
from crossrun_engine import (
    CancelledError,
    Driver,
    InvalidSpecError,
    Result,
    RunContext,
    Session,
    Spec,
    UnavailableError,
    UnsupportedError,
    Workload,
    serve,
)

# Tasks under way for each worker thread: enough that none waits for the scheduler, few enough that memory stays flat.
WINDOW = 64

# Items under way for each worker thread, where a batch is large.
WINDOW_ITEMS = 1 << 18

# How many states one task combines, twice what `dask.bag` takes: these are small.
FAN_IN = 16

# Seconds that the workers of a cluster may take to answer.
CONNECT_TIMEOUT = 10

SCHEDULERS = ("default", "fifo", "load_aware")


class Tree:
    """The states of one partition on their way to being one. Tasks combine so many at a time, while others still fold."""

    def __init__(self, combine: Callable[[list[Future]], Future]) -> None:
        self._combine = combine
        self._levels: list[list[Future]] = [[]]

    def add(self, futures: Iterable[Future]) -> None:
        """Takes states in."""
        self._levels[0].extend(futures)
        for number, level in enumerate(self._levels):
            while len(level) >= FAN_IN:
                combined, level[:FAN_IN] = self._combine(level[:FAN_IN]), []
                if number + 1 == len(self._levels):
                    self._levels.append([])
                self._levels[number + 1].append(combined)

    def left(self) -> list[Future]:
        """What is still apart."""
        return list(itertools.chain.from_iterable(self._levels))


class Run:
    """One run: phase after phase, until one ends at the sink."""

    def __init__(
        self, client: Client, how: dict[str, Any], spec: Spec, workload: Workload, reference: Reference, context: RunContext
    ) -> None:
        self._client, self._how = client, how
        self._spec, self._workload, self._context = spec, workload, context
        self._reference = reference
        self._fused = spec.fusion != "off"
        self._sink = workload.new_sink()
        self._trees: list[Tree] = []
        self.window = max(2, min(WINDOW, WINDOW_ITEMS // spec.batch_size)) * spec.parallelism
        self._bunch = max(1, self.window // 4)

    def execute(self) -> bytes:
        """The merged state of the sink."""
        total, size = self._spec.total_items, self._spec.batch_size
        slices = ((first, min(size, total - first)) for first in range(0, total, size))
        chain = self._chain(1)
        self._flow(slices, functools.partial(self._launch_slices, chain), chain)
        while chain.end != self._workload.sink:
            stage, reduced = chain.end, [tree.left() for tree in self._trees]
            chain = self._chain(stage + 1)
            heads = self._emitted_through if self._fused else self._emitted
            arguments, launch = heads(stage, reduced, chain)
            self._flow(arguments, launch, chain)
        self._context.progress(total, total)
        with self._sink as state:
            return state.encode()

    def _chain(self, start: int) -> Chain:
        end = self._workload.end_of_chain(start)
        partitions = 1 if end == self._workload.sink else self._spec.parallelism
        if end != self._workload.sink:
            combine = functools.partial(self._submit, tasks.combine, stage=end)
            self._trees = [Tree(functools.partial(combine, partition=number, priority=1)) for number in range(partitions)]
        return Chain(start, end, partitions)

    def _flow(
        self, arguments: Iterator[Any], launch: Callable[[list[Any]], list[Future]], chain: Chain
    ) -> None:
        """Launches tasks in bunches, as long as there is room for them, and waits until all have landed."""
        landing = as_completed(loop=self._client.loop)
        flying = 0
        while True:
            bunch = list(itertools.islice(arguments, self._bunch)) if flying < self.window else []
            if bunch:
                launched = launch(bunch)
                landing.update(launched)
                flying += len(launched)
            elif not flying:
                return
            else:
                landed = landing.next_batch()
                flying -= len(landed)
                self._land(landed, chain)

    def _land(self, futures: list[Future], chain: Chain) -> None:
        if self._context.cancelled():
            raise CancelledError
        for future in futures:
            if future.status != "finished":
                # It raises what went wrong.
                future.result()
        if chain.end == self._workload.sink:
            for state in self._client.gather(futures):
                if state is not None:
                    self._sink.merge(state)

    def _launch_slices(self, chain: Chain, slices: list[tuple[int, int]]) -> list[Future]:
        self._context.progress(slices[0][0], self._spec.total_items)
        firsts, counts = zip(*slices)
        if self._fused:
            return self._ended(self._map(tasks.through, firsts, counts, chain=chain), chain)
        batches = self._map(tasks.generate, firsts, counts, to=1)
        return self._staged(chain, batches)

    def _staged(self, chain: Chain, batches: list[Future]) -> list[Future]:
        """One task for each stage and batch: Dask never fuses what was submitted apart."""
        for stage in range(chain.start, chain.end):
            batches = self._map(tasks.advance, batches, stage=stage)
        if chain.end == self._workload.sink:
            return self._map(tasks.fold_sink, batches, stage=chain.end)
        parts = self._map(tasks.split, batches, stage=chain.end, partitions=chain.partitions)
        folded = []
        for partition, tree in enumerate(self._trees):
            states = self._map(tasks.fold_part, parts, stage=chain.end, partition=partition)
            tree.add(states)
            folded.extend(states)
        return folded

    def _ended(self, futures: list[Future], chain: Chain) -> list[Future]:
        if chain.end != self._workload.sink:
            for tree in self._trees:
                tree.add(futures)
        return futures

    def _emitted_through(
        self, stage: int, reduced: list[list[Future]], chain: Chain
    ) -> tuple[Iterator[Any], Callable[[list[Any]], list[Future]]]:
        """A task for each partition, which goes to the end of the chain."""
        more = {"stage": stage, "batch_size": self._spec.batch_size, "chain": chain}

        def launch(numbers: list[int]) -> list[Future]:
            submit = functools.partial(self._submit, tasks.emit_through, **more)
            return self._ended([submit(reduced[number], partition=number) for number in numbers], chain)

        return iter(range(len(reduced))), launch

    def _emitted(
        self, stage: int, reduced: list[list[Future]], chain: Chain
    ) -> tuple[Iterator[Any], Callable[[list[Any]], list[Future]]]:
        """A task for each partition to emit its batches, and one for each batch that came of it."""
        emit = functools.partial(self._submit, tasks.emit, stage=stage, batch_size=self._spec.batch_size)
        emitted = [emit(futures, partition=number) for number, futures in enumerate(reduced)]
        lengths = self._client.gather(self._client.map(len, emitted, **self._how))
        numbered = ((batches, number) for batches, length in zip(emitted, lengths) for number in range(length))

        def launch(picks: list[tuple[Future, int]]) -> list[Future]:
            batches = self._client.map(tasks.pick, *zip(*picks), **self._how)
            return self._staged(chain, batches)

        return numbered, launch

    def _map(self, task: Callable[..., Any], *arguments: Any, **more: Any) -> list[Future]:
        return self._client.map(task, *arguments, reference=self._reference, **more, **self._how)

    def _submit(self, task: Callable[..., Any], futures: list[Future], **more: Any) -> Future:
        return self._client.submit(task, futures, reference=self._reference, **more, **self._how)


class Local:
    """Worker processes of this machine, one thread each, and the scheduler in the driver's own process."""

    def __init__(self, session: Session) -> None:
        session.demand_nodes(1, "--extra dask_address=tcp://HOST:PORT")
        self._folder = tempfile.TemporaryDirectory(prefix="crossrun-dask-")
        dask.config.set({"temporary-directory": self._folder.name})
        self._cluster = LocalCluster(
            n_workers=session.parallelism,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            local_directory=self._folder.name,
            silence_logs=logging.ERROR,
        )
        self.client = Client(self._cluster)
        self.client.wait_for_workers(session.parallelism)
        # The first task of a worker imports what it runs.
        self.client.run(tasks.reset_tally)
        self.workers: list[str] | None = None
        self.warnings: list[str] = []

    def reference(self, workload: Workload) -> Reference:
        """The library is where the workers can read it."""
        return Reference(workload.path, workload.sha256, workload.spec)

    def begin(self) -> None:
        """Nothing is counted here."""

    def work(self) -> dict[str, int]:
        """How many tasks each node has run: there is one only."""
        return {}

    def close(self) -> None:
        """Stops the workers first: one that outlives its client complains."""
        self.client.close()
        self._cluster.close()
        self._folder.cleanup()


class Cluster:
    """A cluster that already exists, of which as many threads are used as were asked for."""

    def __init__(self, address: str, session: Session) -> None:
        self.client = _connect(address)
        found = self.client.scheduler_info(n_workers=-1)["workers"]
        threads = {worker: int(facts["nthreads"]) for worker, facts in found.items()}
        self.workers = chosen(threads, session.parallelism)
        if not self.workers:
            self.client.close()
            message = f"no worker at {address} has at most {session.parallelism} threads, which may be busy at once"
            raise UnsupportedError(message, f"--parallelism {min(threads.values(), default=1)}")
        hosts = {host(worker) for worker in self.workers}
        if len(hosts) < session.nodes:
            self.client.close()
            raise UnavailableError(f"{session.nodes} nodes were asked for, but at {address} there are {len(hosts)}")
        used = sum(threads[worker] for worker in self.workers)
        self.warnings = [] if used == session.parallelism else [f"the cluster offers {used} threads for this run"]
        self._shipped: list[str] = []
        cloudpickle.register_pickle_by_value(shipment)
        code = shipment.code(Path(tasks.__file__).parent)
        self._ship(code)
        self._at_scheduler = shipment.inform_scheduler(self.client, code)

    def _ship(self, cargo: shipment.Shipment) -> None:
        if cargo.name not in self._shipped:
            self.client.register_plugin(cargo)
            self._shipped.append(cargo.name)

    def reference(self, workload: Workload) -> Reference:
        """The library travels once, under the name of its hash."""
        folder = tasks.folder_name(workload.sha256)
        self._ship(shipment.Shipment(folder, {"workload.so": Path(workload.path).read_bytes()}))
        return Reference("", workload.sha256, workload.spec)

    def begin(self) -> None:
        """Counts from here."""
        self.client.run(tasks.reset_tally, workers=self.workers)

    def work(self) -> dict[str, int]:
        """How many tasks each node has run since `begin`."""
        work: dict[str, int] = {}
        counted = self.client.run(tasks.read_tally, workers=self.workers, on_error="ignore")
        for worker, calls in counted.items():
            work[host(worker)] = work.get(host(worker), 0) + calls
        return work

    def close(self) -> None:
        """Takes back what was sent, and leaves the cluster alone."""
        for name in self._shipped:
            self.client.unregister_worker_plugin(name)
        shipment.clear_scheduler(self.client, self._at_scheduler)
        self.client.close()


def _connect(address: str) -> Client:
    try:
        return Client(address, timeout=CONNECT_TIMEOUT)
    except OSError as error:
        raise UnavailableError(f"no Dask scheduler answers at {address}: {error}") from error
    except ValueError as error:
        raise InvalidSpecError(f"extra.dask_address is {address!r}: {error}", "--extra dask_address=tcp://HOST:PORT") from error


def host(worker: str) -> str:
    """The machine of a worker's address."""
    return worker.split("://")[-1].rsplit(":", 1)[0]


def chosen(threads: dict[str, int], parallelism: int) -> list[str]:
    """Workers, from one host after the other, that have no more threads together than may be busy at once."""
    by_host: dict[str, list[str]] = {}
    for worker in sorted(threads):
        by_host.setdefault(host(worker), []).append(worker)
    turns = itertools.chain.from_iterable(itertools.zip_longest(*by_host.values()))
    taken: list[str] = []
    for worker in turns:
        if worker is not None and sum(threads[one] for one in taken) + threads[worker] <= parallelism:
            taken.append(worker)
    return taken


class DaskDriver(Driver):
    """A client of a cluster of this machine, or of one that already exists."""

    def __init__(self) -> None:
        self._site: Local | Cluster | None = None

    def open(self, session: Session) -> None:
        """Starts the cluster, or connects to it."""
        address = str(session.options.get("dask_address", "none"))
        self._site = Local(session) if address == "none" else Cluster(address, session)

    def run(self, spec: Spec, workload: Workload, context: RunContext) -> Result:
        """Runs a workload as tasks of Dask."""
        site = self._site
        assert site is not None
        how: dict[str, Any] = {"pure": False, "workers": site.workers}
        if spec.scheduler_name == "fifo":
            # What is submitted within this time is of one priority.
            how["fifo_timeout"] = "0 ms"
        reference = site.reference(workload)
        site.begin()
        run = Run(site.client, how, spec, workload, reference, context)
        try:
            state = run.execute()
        except BaseException:
            # Nobody asks for anything after a run that failed, not even to close.
            self.close()
            raise
        work = site.work()
        metrics: dict[str, Any] = {
            "versions": {"dask": dask.__version__, "distributed": distributed.__version__},
            "nodes": sum(calls > 0 for calls in work.values()) if work else 1,
            "idiom": "futures, one task a batch" if spec.fusion != "off" else "futures, one task a stage and batch",
            "tasks_in_flight": run.window,
        }
        if work:
            metrics["node_work"] = work
        if warnings := self._warnings(spec, site):
            metrics["warnings"] = warnings
        scheduler = spec.scheduler_name if spec.scheduler_name in SCHEDULERS else "default"
        return Result(workload.outcome(state)["count"], state, scheduler, metrics)

    def close(self) -> None:
        """Stops the cluster, if it was started here."""
        site, self._site = self._site, None
        if site is not None:
            site.close()

    def _warnings(self, spec: Spec, site: Local | Cluster) -> list[str]:
        warnings = list(site.warnings)
        if spec.scheduler_name == "load_aware":
            warnings.append("Dask places by load and steals work always: load_aware is its default")
        elif spec.scheduler_name not in SCHEDULERS:
            warnings.append(f"scheduler {spec.scheduler_name!r} is unknown to Dask; it ran as 'default'")
        return warnings


if __name__ == "__main__":
    serve(DaskDriver())
