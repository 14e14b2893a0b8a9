"""The driver of the sage backend: takes a workload's plan through SAGE's own operators.

SAGE moves items between operators, and the operators call the workload library: see `crossrun_engine.dataflow`. How SAGE
gets items and how its pipelines are built is in `pipeline.py`.
"""

from __future__ import annotations

import itertools
import logging
import os
from importlib import metadata

from cluster import Cluster, parse_addresses
from crossrun_engine import (
    DataflowRun,
    Driver,
    InvalidSpecError,
    Operator,
    RemoteReplicas,
    Replicas,
    Result,
    RunContext,
    Session,
    Spec,
    UnsupportedError,
    Workload,
    choice,
    report,
    scheduler_used,
    serve,
)
from pipeline import Engine, partition_keys

# Threads in which SAGE runs operators: its local environment has so many, FlowNet the default of a thread pool, which
# since Python 3.13 counts the cores that the process may use.
LOCAL_THREADS = 8
FLOWNET_THREADS = min(32, (getattr(os, "process_cpu_count", os.cpu_count)() or 1) + 4)

# Seconds that a call to a node may take, unless `extra.sage_timeout` says otherwise.
NODE_TIMEOUT = 60.0

# How a user says where there are nodes.
ADDRESS_OPTION = "--extra sage_address=HOST:PORT,..."

ENVIRONMENTS = ("flownet", "local")
SCHEDULERS = ("fifo", "load_aware")


def mode_of(spec: Spec, workload: Workload) -> str:
    """How SAGE gets items: `batch` or `stream`. The default is `stream` for an open loop, and `batch` otherwise.

    It raises UnsupportedError for an open loop in batches: items that came would wait for a window to be full.
    """
    if not workload.open_loop:
        return choice(spec.extra, "sage_mode", ("batch", "stream"))
    if choice(spec.extra, "sage_mode", ("stream", "batch")) == "batch":
        message = "with sage_mode=batch the items of an open loop would wait until those of a whole window have come"
        raise UnsupportedError(message, "--extra sage_mode=stream")
    return "stream"


class SageDriver(Driver):
    """SAGE in this process, with FlowNet nodes beside it if there are any."""

    def __init__(self) -> None:
        self._cluster: Cluster | None = None
        self._prepared: RemoteReplicas | None = None
        # Those of the last run, until the nodes free what they keep for it.
        self._ended: RemoteReplicas | None = None
        self._version = metadata.version("isage")

    def open(self, session: Session) -> None:
        """Connects to the nodes, and starts the threads that SAGE keeps for the life of the process."""
        # SAGE logs several lines for each pipeline, to a handler of its own.
        logging.disable(logging.INFO)
        environment = choice(session.options, "sage_environment", ENVIRONMENTS)
        text = str(session.options.get("sage_address", "none"))
        if text == "none":
            session.demand_nodes(1, ADDRESS_OPTION)
        else:
            self._cluster = _connect(text, session)
        engine = Engine(environment, "batch", session.parallelism, None)
        engine.run(zip(range(64), itertools.repeat(1)), [Operator(0, 1)], lambda *_: [], lambda _: None, 1)

    def prepare(self, spec: Spec, workload: Workload, context: RunContext) -> None:
        """Brings the library to the nodes, which open the workload."""
        self._free()
        if self._cluster is not None:
            self._prepared = self._cluster.replicas(workload)

    def _free(self) -> None:
        """Has the nodes free what they keep for other runs than the next one."""
        kept, self._prepared, self._ended = (self._prepared, self._ended), None, None
        for replicas in filter(None, kept):
            replicas.close()

    def _replicas(self, workload: Workload) -> Replicas:
        if self._cluster is None:
            return Replicas(workload)
        replicas, self._prepared = self._prepared, None
        # From now on, as a run that fails leaves something on the nodes too.
        self._ended = replicas or self._cluster.replicas(workload)
        if replicas is not None:
            # What the nodes opened before the run is not late.
            replicas.opens = 0
            if workload.open_loop:
                replicas.start(workload.spec)
        return self._ended

    def run(self, spec: Spec, workload: Workload, context: RunContext) -> Result:
        """Runs a workload through SAGE."""
        mode, environment = mode_of(spec, workload), choice(spec.extra, "sage_environment", ENVIRONMENTS)
        scheduler, warnings = scheduler_used(spec, "SAGE", ("default", *SCHEDULERS))
        engine = Engine(environment, mode, spec.parallelism, scheduler if scheduler in SCHEDULERS else None)
        replicas = self._replicas(workload)
        run = DataflowRun(spec, workload, context, replicas, partition_keys(spec.parallelism))
        for items, operators in run.phases():
            engine.run(items, operators, run.perform, run.deliver, spec.batch_size)
        if not isinstance(replicas, RemoteReplicas):
            replicas.close()
        if scheduler in SCHEDULERS:
            warnings.append(f'scheduler "{scheduler}" was accepted and ignored by SAGE {self._version}')
        threads = {"stream": 1, "batch": LOCAL_THREADS if environment == "local" else FLOWNET_THREADS}[mode]
        if spec.parallelism > threads:
            what = f"{mode} mode, {environment} environment"
            warnings.append(f"SAGE {self._version} runs at most {threads} operator calls at once here ({what})")
        warnings += self._cluster.warnings if self._cluster is not None else []
        metrics = {"sage_mode": mode, "sage_environment": environment, "windows": engine.windows}
        metrics |= {"versions": {"isage": self._version}, "late_opens": replicas.opens}
        return report(workload, run.sink_state(), scheduler, replicas.work, warnings, metrics)

    def close(self) -> None:
        """Leaves the nodes alone."""
        try:
            self._free()
        finally:
            if self._cluster is not None:
                self._cluster.close()


def _connect(text: str, session: Session) -> Cluster:
    try:
        addresses = parse_addresses(text, choice(session.options, "sage_allow_public", ("false", "true")) == "true")
        timeout = float(session.options.get("sage_timeout", NODE_TIMEOUT))
    except (OSError, TypeError, ValueError) as error:
        raise InvalidSpecError(f"extra.sage_address or extra.sage_timeout: {error}") from error
    # A replica works on one node.
    session.demand_nodes(min(len(addresses), session.parallelism), f"{ADDRESS_OPTION} and as many --parallelism")
    return Cluster(addresses, timeout, session.parallelism)


if __name__ == "__main__":
    serve(SageDriver())
