"""What workers of a cluster import, beside the package `crossrun_engine`: how a workload is opened there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from distributed import get_worker

from crossrun_engine import ShippedJob
from crossrun_engine.network import host

# The library's file, in the folder that `folder_name` names.
LIBRARY = "workload.so"


def folder_name(sha256: str) -> str:
    """The folder, among those of a worker, of what was sent there under this hash."""
    return f"crossrun-{sha256[:16]}"


@dataclass(frozen=True)
class SentJob(ShippedJob):
    """A workload whose library was sent to every worker."""

    def fetch(self) -> bytes:
        """The library's bytes."""
        return Path(get_worker().local_directory, folder_name(self.workload.sha256), LIBRARY).read_bytes()

    def node(self) -> str:
        """The machine of this worker."""
        return host(get_worker().address)


def ready() -> None:
    """Does nothing: what a worker runs first makes it import what it runs."""
