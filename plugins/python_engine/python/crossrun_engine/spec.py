"""What is to be run, what holds for a session, and what a run came to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .failure import InvalidSpecError, UnavailableError, UnsupportedError
from .kernel import State, Workload


@dataclass(frozen=True)
class Spec:
    """A description of one run that holds for every backend."""

    name: str
    total_items: int
    parallelism: int
    scheduler_name: str
    seed: int
    extra: dict[str, Any]

    @property
    def batch_size(self) -> int:
        """How many items travel together. The host has checked it."""
        return int(self.extra.get("batch_size", 1))

    @property
    def fusion(self) -> str:
        """`auto`, or `off`: one task or message for each stage and batch."""
        return str(self.extra.get("fusion", "auto"))

    def slices(self) -> Iterator[tuple[int, int]]:
        """The batches that the source makes: the number of the first item of each, and how many they are."""
        total, size = self.total_items, self.batch_size
        return ((first, min(size, total - first)) for first in range(0, total, size))

    def dealt_slices(self, task: int, tasks: int) -> Iterator[tuple[int, int]]:
        """The slices of task `task` of `0..tasks`. They are dealt to the tasks in turn, so the first items go to all tasks."""
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
        )


@dataclass(frozen=True)
class Session:
    """What holds from `open` to `close`."""

    parallelism: int
    nodes: int
    options: dict[str, Any]
    data_dir: Path
    log_dir: Path

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
        """Raises if more machines were asked for than there are. `option` says how to give an engine more."""
        if self.nodes <= found:
            return
        message = f"{self.nodes} nodes were asked for, but there {'is' if found == 1 else 'are'} {found}"
        if option is None:
            raise UnsupportedError(f"{message}: this backend runs on one machine", "--nodes 1")
        raise UnavailableError(message, f"--nodes {found}, or {option}")


def choice(extra: dict[str, Any], name: str, words: Sequence[str]) -> str:
    """The option `name`: one of the words, of which the first is the default. Raises `InvalidSpecError` for others."""
    word = extra.get(name, words[0])
    if word not in words:
        message = f"extra.{name} is {word!r}, but must be one of {', '.join(words)}"
        raise InvalidSpecError(message, f"--extra {name}={words[0]}")
    return str(word)


@dataclass
class Result:
    """What a driver returns: the merged state of all sinks, and its own claims."""

    results_count: int
    sink_state: bytes
    scheduler_name: str
    metrics: dict[str, Any] = field(default_factory=dict)
    elapsed_time: float | None = None
    """Seconds; measured around `run` unless the driver knows better."""

    @classmethod
    def of(cls, sink: State, workload: Workload, spec: Spec) -> Result:
        """The result of an engine with one scheduler: whatever else was asked for ran as `default`, with a warning."""
        encoded = sink.encode()
        metrics: dict[str, Any] = {}
        if spec.scheduler_name != "default":
            metrics["warnings"] = [f'scheduler "{spec.scheduler_name}" is unknown here; it ran as "default"']
        return cls(workload.outcome(encoded)["count"], encoded, "default", metrics)
