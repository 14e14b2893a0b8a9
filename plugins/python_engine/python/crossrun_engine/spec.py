"""What is to be run, what holds for a session, and what a run came to."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .failure import InvalidSpecError, UnavailableError, UnsupportedError
from .kernel import State, Workload


@dataclass(frozen=True)
class Spec:
    """A description of one run that holds for every backend."""

    name: str
    """Of the workload."""
    total_items: int
    """How many items the source makes."""
    parallelism: int
    """At most how many operator calls run at once."""
    scheduler_name: str
    """The one that the user asked for; see `scheduler_used`."""
    seed: int
    """The workload draws its data from it."""
    extra: dict[str, Any]
    """Parameters of the workload and options of the backend, by their names."""
    granted: tuple[str, ...] = ()
    """The words of what the workload needs beyond the stages of its plan, and the backend supports."""

    @property
    def batch_size(self) -> int:
        """How many items travel together. The host has checked it."""
        return int(self.extra.get("batch_size", 1))

    @property
    def fusion(self) -> str:
        """`auto`, or `off`: one task or message for each stage and batch."""
        return str(self.extra.get("fusion", "auto"))

    def slices(self) -> Iterator[tuple[int, int]]:
        """The batches that the source makes, each as (first, count): it has the items `first..first + count`."""
        total, size = self.total_items, self.batch_size
        return ((first, min(size, total - first)) for first in range(0, total, size))

    def dealt_slices(self, task: int, tasks: int) -> Iterator[tuple[int, int]]:
        """The slices of task `task`, as (first, count). They are dealt in turn to the tasks `0..tasks`, so all begin early."""
        total, size = self.total_items, self.batch_size
        return ((first, min(size, total - first)) for first in range(task * size, total, tasks * size))

    @classmethod
    def of(cls, message: dict[str, Any]) -> Spec:
        """Reads the JSON object; fields of a later version are passed over."""
        return cls(
            name=message["name"],
            total_items=message["total_items"],
            parallelism=message["parallelism"],
            scheduler_name=message["scheduler_name"],
            seed=message["seed"],
            extra=message.get("extra", {}),
            granted=tuple(message.get("use", ())),
        )


@dataclass(frozen=True)
class Session:
    """What holds from `open` to `close`."""

    parallelism: int
    """The parallelism of every run in this session."""
    nodes: int
    """How many machines were asked for."""
    options: dict[str, Any]
    """The `extra` of the first run, in which options such as a cluster's address stand."""
    data_dir: Path
    """The folder in which `setup` keeps what it installs."""
    log_dir: Path
    """The folder of this session for what the engine logs."""

    @classmethod
    def of(cls, message: dict[str, Any]) -> Session:
        """Reads the JSON object; fields of a later version are passed over."""
        return cls(
            parallelism=message["parallelism"],
            nodes=message["nodes"],
            options=message["options"],
            data_dir=Path(message["data_dir"]),
            log_dir=Path(message["log_dir"]),
        )

    def demand_nodes(self, found: int, option: str | None = None) -> None:
        """Raises if more machines were asked for than the `found` ones. `option` says how to give an engine more.

        Raises UnavailableError then, and UnsupportedError without an `option`, if the engine never has more than one.
        """
        if self.nodes <= found:
            return
        message = f"{self.nodes} nodes were asked for, but there {'is' if found == 1 else 'are'} {found}"
        if option is None:
            raise UnsupportedError(f"{message}: this backend runs on one machine", "--nodes 1")
        raise UnavailableError(message, f"--nodes {found}, or {option}" if found else option)


def scheduler_used(spec: Spec, engine: str, known: Collection[str] = ("default",)) -> tuple[str, list[str]]:
    """The name of the scheduler that the run has, and a warning if the engine does not know the one asked for."""
    asked = spec.scheduler_name
    if asked in known:
        return asked, []
    return "default", [f'scheduler "{asked}" is unknown to {engine}; it ran as "default"']


def choice(extra: dict[str, Any], name: str, words: Sequence[str]) -> str:
    """The option `name`: one of the words, of which the first is the default. Raises `InvalidSpecError` for others."""
    given = extra.get(name, words[0])
    # A word may be `true` or `8`, which `--extra` reads as JSON.
    word = given if isinstance(given, str) else json.dumps(given)
    if word not in words:
        shown = repr(given) if isinstance(given, str) else word
        message = f"extra.{name} is {shown}, but must be one of {', '.join(words)}"
        raise InvalidSpecError(message, f"--extra {name}={words[0]}")
    return word


@dataclass
class Result:
    """What a driver returns: the merged state of all sinks, and its own claims."""

    results_count: int
    """How many items came to the sinks."""
    sink_state: bytes
    """The merged state, as `State.encode` returns it."""
    scheduler_name: str
    """The one that was used."""
    metrics: dict[str, Any] = field(default_factory=dict)
    """For the record, in what JSON can hold; `warnings` in it is a list of texts."""
    elapsed_time: float | None = None
    """Seconds; measured around `run` unless the driver knows better."""

    @classmethod
    def of(cls, sink: State, workload: Workload, spec: Spec) -> Result:
        """The result of an engine with one scheduler: whatever else was asked for ran as `default`, with a warning."""
        encoded = sink.encode()
        scheduler, warnings = scheduler_used(spec, "this backend")
        metrics = {"warnings": warnings} if warnings else {}
        return cls(workload.outcome(encoded)["count"], encoded, scheduler, metrics)
