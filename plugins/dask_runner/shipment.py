"""What travels to the workers of a cluster: code and the workload library, each in a folder named by its hash.

This module and `crossrun_engine.code` travel by value, as they bring the modules that travel by name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from distributed import Client, WorkerPlugin

from crossrun_engine.code import code_files, digest, discard, unpack, unpack_in_new_folder

# A topic of Dask's events: each worker that gets what was sent tells its address there.
ARRIVED = "crossrun-arrived"


class Shipment(WorkerPlugin):  # type: ignore[misc] # what is not installed has no types
    """Files that each worker of a cluster gets, also one that joins later, and loses when the session ends."""

    idempotent = True

    def __init__(self, name: str, files: dict[str, bytes]) -> None:
        self.name, self.files = name, files

    def setup(self, worker: Any) -> None:
        """Writes the files on a worker, before it gets any task."""
        unpack(Path(worker.local_directory, self.name), self.files)
        # The scheduler puts the address into it.
        worker.log_event(ARRIVED, {})

    def teardown(self, worker: Any) -> None:
        """Deletes what `setup` wrote."""
        discard(Path(worker.local_directory, self.name), self.files)


def code(folder: Path) -> Shipment:
    """The modules beside the driver that workers import."""
    files = code_files(folder, "crossrun_dask")
    return Shipment(f"crossrun-code-{digest(files)}", files)


def inform_scheduler(client: Client, shipment: Shipment) -> str:
    """Brings code to the scheduler, which reads the graphs that name it. Returns where it is there."""
    return str(client.run_on_scheduler(unpack_in_new_folder, "crossrun-code-", shipment.files))


def clear_scheduler(client: Client, folder: str, shipment: Shipment) -> None:
    """Takes the code back."""
    client.run_on_scheduler(lambda files: discard(Path(folder), files), dict.fromkeys(shipment.files, b""))
