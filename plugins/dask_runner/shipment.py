"""What travels to the workers of a cluster: code and the workload library, each in a folder named by its hash."""

from __future__ import annotations

import hashlib
import importlib
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from distributed import Client, WorkerPlugin

MODULES = ("crossrun_dask", "crossrun_engine")


class Shipment(WorkerPlugin):
    """Files that each worker of a cluster gets, also one that joins later, and loses when the session ends."""

    idempotent = True

    def __init__(self, name: str, files: dict[str, bytes]) -> None:
        self.name = name
        self.files = files

    def setup(self, worker: Any) -> None:
        """Writes the files on a worker."""
        unpack(Path(worker.local_directory, self.name), self.files)

    def teardown(self, worker: Any) -> None:
        """Deletes what `setup` wrote."""
        discard(Path(worker.local_directory, self.name))


def unpack(folder: Path, files: dict[str, bytes]) -> None:
    """Writes files; modules among them can be imported from then on."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    if any(name.endswith(".py") for name in files):
        _forget_modules()
        sys.path.insert(0, str(folder))
        importlib.invalidate_caches()


def discard(folder: Path) -> None:
    """Deletes what `unpack` wrote."""
    if str(folder) in sys.path:
        sys.path.remove(str(folder))
        _forget_modules()
    shutil.rmtree(folder, ignore_errors=True)


def _forget_modules() -> None:
    """Another version of them may have been imported from elsewhere."""
    for name in list(sys.modules):
        if name.split(".")[0] in MODULES:
            del sys.modules[name]


def inform_scheduler(client: Client, cargo: Shipment) -> str:
    """Brings code to the scheduler, which reads the graphs that name it. Says where it is there."""

    def install(files: dict[str, bytes]) -> str:
        folder = tempfile.mkdtemp(prefix="crossrun-code-")
        unpack(Path(folder), files)
        return folder

    return str(client.run_on_scheduler(install, cargo.files))


def clear_scheduler(client: Client, folder: str) -> None:
    """Takes the code back."""
    client.run_on_scheduler(lambda: discard(Path(folder)))


def code(folder: Path) -> Shipment:
    """The modules beside the driver that workers import."""
    paths = [folder / "crossrun_dask.py", *sorted((folder / "crossrun_engine").glob("*.py"))]
    files = {str(path.relative_to(folder)): path.read_bytes() for path in paths}
    digest = hashlib.sha256(b"".join(hashlib.sha256(content).digest() for content in files.values()))
    return Shipment(f"crossrun-code-{digest.hexdigest()[:16]}", files)
