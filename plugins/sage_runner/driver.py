"""The driver of the sage backend: takes a workload's plan through SAGE's own operators.

A plan is run in phases, cut at its keyed reductions. In each phase SAGE moves items between operators, and the
operators call the workload library: see `steps.py`. How SAGE is fed and how its pipelines are built is in
`pipeline.py`.
"""

from __future__ import annotations

import itertools
import logging
import os
import platform
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any, Protocol

from addresses import parse_addresses
from cluster import Cluster, RemoteSite
from crossrun_engine import (
    CancelledError,
    Driver,
    InvalidSpecError,
    Result,
    RunContext,
    Session,
    Spec,
    Workload,
    item_count,
    serve,
)
from pipeline import Engine, Operator, Slices, Turns, window_batches
from steps import Chain, Done, Emit, Fold, Generate, Item, Site, Slice, Split, Step, partition_keys

# Threads in which SAGE runs operators: its local environment has so many, FlowNet the default of a thread pool, which
# since Python 3.13 counts the cores that the process may use.
LOCAL_THREADS = 8
FLOWNET_THREADS = min(32, (getattr(os, "process_cpu_count", os.cpu_count)() or 1) + 4)

# Seconds that a call to a node may take, unless `extra.sage_timeout` says otherwise.
NODE_TIMEOUT = 60.0

# How a user says where there are nodes.
ADDRESS_OPTION = "--extra sage_address=HOST:PORT,..."

SCHEDULERS = ("fifo", "load_aware")


class Steps(Protocol):
    """Where steps are performed: here, or on nodes."""

    def perform(self, steps: Sequence[Step], replica: int, item: Item) -> list[Item]:
        """Takes an item through steps."""
        ...

    def close(self) -> dict[str, int]:
        """Frees what is kept, and tells how many calls each node has served."""
        ...


@dataclass(frozen=True)
class Options:
    """What `extra` asks of this backend."""

    mode: str
    environment: str

    @classmethod
    def of(cls, extra: dict[str, Any]) -> Options:
        """Reads them, with their defaults."""
        return cls(
            mode=_choice(extra, "sage_mode", ("batch", "stream")),
            environment=_choice(extra, "sage_environment", ("flownet", "local")),
        )


def _choice(extra: dict[str, Any], name: str, words: tuple[str, ...]) -> str:
    word = extra.get(name, words[0])
    if word not in words:
        message = f"extra.{name} is {word!r}, but must be one of {', '.join(words)}"
        raise InvalidSpecError(message, f"--extra {name}={words[0]}")
    return str(word)


@dataclass
class Sink:
    """What has come out of SAGE. SAGE calls sinks from one thread, one item after the other."""

    workload: Workload
    count: int = 0
    done: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.state = self.workload.new_sink()

    def deliver(self, item: bytes | Done) -> None:
        """Takes in a batch, or the notice that a partition is done."""
        if isinstance(item, Done):
            self.done.add(item.partition)
        else:
            self.state.fold(item)
            self.count += item_count(item)


class Job:
    """One run: phase after phase, until one ends at the sink."""

    def __init__(self, spec: Spec, workload: Workload, context: RunContext, site: Steps, engine: Engine) -> None:
        self._spec, self._workload, self._context = spec, workload, context
        self._site, self._engine = site, engine
        self._unfused = spec.fusion == "off"
        self._keys = partition_keys(spec.parallelism)
        self._generated, self._lock = 0, threading.Lock()

    def run(self) -> Sink:
        """Runs all phases."""
        sink = Sink(self._workload)
        feed: Slices | Turns = Slices(self._spec.total_items, self._spec.batch_size)
        end = self._workload.end_of_chain(1)
        made = 1 if self._unfused else end
        operators = self._operators(Generate(made), made, end)
        while True:
            window = window_batches(self._spec.batch_size, self._spec.parallelism)
            self._engine.run(feed, operators, self._perform, sink.deliver, window)
            if end == self._workload.sink:
                return sink
            sink.done.clear()
            feed = Turns(self._keys, sink.done)
            reduction, end = end, self._workload.end_of_chain(end + 1)
            operators = self._operators(Emit(reduction, self._spec.batch_size), reduction + 1, end)

    def _operators(self, head: Step, start: int, end: int) -> list[Operator]:
        """The operators of a phase that begins with `head` and goes on with the stages `start..end`."""
        cuts = range(start, end + 1) if self._unfused else sorted({start, end})
        steps = [head, *(Chain(*chain) for chain in itertools.pairwise(cuts))]
        folds = []
        if end != self._workload.sink:
            steps.append(Split(end, self._keys))
            folds.append(Operator((Fold(end),), keyed=True))
        keyed = isinstance(head, Emit)
        if not self._unfused:
            return [Operator(tuple(steps), keyed), *folds]
        return [Operator((head,), keyed), *(Operator((step,)) for step in steps[1:]), *folds]

    def _perform(self, steps: Sequence[Step], replica: int, item: Item) -> list[Item]:
        if self._context.cancelled():
            raise CancelledError
        made = self._site.perform(steps, replica, item)
        if isinstance(item, Slice):
            with self._lock:
                self._generated += item.count
                self._context.progress(self._generated, self._spec.total_items)
        return made


class SageDriver(Driver):
    """SAGE in this process, with FlowNet nodes beside it if there are any."""

    def __init__(self) -> None:
        self._cluster: Cluster | None = None
        self._versions = {"python": platform.python_version(), "isage": metadata.version("isage")}

    def open(self, session: Session) -> None:
        """Connects to the nodes, and starts the threads that SAGE keeps for the life of the process."""
        # SAGE logs several lines for each pipeline, to a handler of its own.
        logging.disable(logging.INFO)
        text = str(session.options.get("sage_address", "none"))
        if text == "none":
            session.demand_nodes(1, ADDRESS_OPTION)
        else:
            self._cluster = _connect(text, session)
        options = Options.of(session.options)
        engine = Engine(options.environment, "batch", session.parallelism, None)
        engine.run(Slices(64, 1), [Operator(())], lambda *_: [], lambda _: None, 64)

    def run(self, spec: Spec, workload: Workload, context: RunContext) -> Result:
        """Runs a workload through SAGE."""
        options = Options.of(spec.extra)
        scheduler = spec.scheduler_name if spec.scheduler_name in SCHEDULERS else None
        engine = Engine(options.environment, options.mode, spec.parallelism, scheduler)
        site: Steps = Site(workload) if self._cluster is None else RemoteSite(self._cluster, workload)
        sink = Job(spec, workload, context, site, engine).run()
        with sink.state as state:
            encoded = state.encode()
        work = site.close()
        metrics: dict[str, Any] = {
            "versions": self._versions,
            "nodes": sum(calls > 0 for calls in work.values()) if work else 1,
            "sage_mode": options.mode,
            "sage_environment": options.environment,
            "windows": engine.windows,
        }
        if work:
            metrics["node_work"] = work
        if warnings := self._warnings(spec, options):
            metrics["warnings"] = warnings
        return Result(sink.count, encoded, scheduler or "default", metrics)

    def close(self) -> None:
        """Leaves the nodes alone."""
        if self._cluster is not None:
            self._cluster.close()

    def _warnings(self, spec: Spec, options: Options) -> list[str]:
        warnings = []
        asked, version = spec.scheduler_name, self._versions["isage"]
        if asked in SCHEDULERS:
            warnings.append(f"scheduler {asked!r} was accepted and ignored by SAGE {version}")
        elif asked != "default":
            warnings.append(f"scheduler {asked!r} is unknown to SAGE; it ran as 'default'")
        threads = LOCAL_THREADS if options.environment == "local" else FLOWNET_THREADS
        if options.mode == "stream":
            threads = 1
        if spec.parallelism > threads:
            what = f"{options.mode} mode, {options.environment} environment"
            warnings.append(f"SAGE {version} runs at most {threads} operator calls at once here ({what})")
        return warnings


def _connect(text: str, session: Session) -> Cluster:
    options = session.options
    try:
        addresses = parse_addresses(text, options.get("sage_allow_public") in (True, "true"))
        timeout = float(options.get("sage_timeout", NODE_TIMEOUT))
    except (OSError, TypeError, ValueError) as error:
        raise InvalidSpecError(f"extra.sage_address or extra.sage_timeout: {error}") from error
    # A replica works on one node.
    session.demand_nodes(min(len(addresses), session.parallelism), f"{ADDRESS_OPTION} and as many --parallelism")
    return Cluster(addresses, timeout, session.parallelism)


if __name__ == "__main__":
    serve(SageDriver())
