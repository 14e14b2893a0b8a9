"""What travels to the workers of a cluster: code and the workload library, each in a folder named by its hash."""

from __future__ import annotations

import hashlib
import importlib
import shutil
import sys
from pathlib import Path
from typing import Any

from distributed import WorkerPlugin


class Shipment(WorkerPlugin):
    """Files that each worker of a cluster gets, also one that joins later, and loses when the session ends."""

    idempotent = True

    def __init__(self, folder: str, files: dict[str, bytes], modules: tuple[str, ...] = ()) -> None:
        self.name = folder
        self.folder = folder
        self.files = files
        self.modules = modules

    def setup(self, worker: Any) -> None:
        """Writes the files on a worker; modules among them can be imported from then on."""
        folder = Path(worker.local_directory, self.folder)
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        if self.modules:
            self._forget_modules()
            sys.path.insert(0, str(folder))
            importlib.invalidate_caches()

    def teardown(self, worker: Any) -> None:
        """Deletes what `setup` wrote."""
        folder = Path(worker.local_directory, self.folder)
        if str(folder) in sys.path:
            sys.path.remove(str(folder))
            self._forget_modules()
        shutil.rmtree(folder, ignore_errors=True)

    def _forget_modules(self) -> None:
        """Another version of them may have been imported from elsewhere."""
        for name in list(sys.modules):
            if name.split(".")[0] in self.modules:
                del sys.modules[name]


def code(folder: Path) -> Shipment:
    """The modules beside the driver that workers import."""
    paths = [folder / "crossrun_dask.py", *sorted((folder / "crossrun_engine").glob("*.py"))]
    files = {str(path.relative_to(folder)): path.read_bytes() for path in paths}
    digest = hashlib.sha256(b"".join(hashlib.sha256(content).digest() for content in files.values()))
    return Shipment(f"crossrun-code-{digest.hexdigest()[:16]}", files, ("crossrun_dask", "crossrun_engine"))
