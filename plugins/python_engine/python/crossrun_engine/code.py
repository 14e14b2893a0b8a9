"""The modules of a driver on their way to other machines.

Nothing here imports the rest of the package: an engine that brings functions there by value can bring these, and they
then bring the package.
"""

from __future__ import annotations

import hashlib
import importlib
import shutil
import sys
import tempfile
from pathlib import Path


def code_files(folder: Path, *modules: str) -> dict[str, bytes]:
    """The package `crossrun_engine` and modules beside it, all below `folder`: places there, and contents."""
    paths = [*(folder / f"{module}.py" for module in modules), *sorted((folder / "crossrun_engine").glob("*.py"))]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def digest(files: dict[str, bytes]) -> str:
    """A name for what is in the files: 16 hexadecimal digits of a hash."""
    parts = b"".join(hashlib.sha256(content).digest() for content in files.values())
    return hashlib.sha256(parts).hexdigest()[:16]


def unpack(folder: Path, files: dict[str, bytes]) -> None:
    """Writes files below a folder; modules among them can be imported from then on."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    if any(name.endswith(".py") for name in files):
        forget(files)
        sys.path.insert(0, str(folder))
        importlib.invalidate_caches()


def unpack_in_new_folder(prefix: str, files: dict[str, bytes]) -> str:
    """Does that in a temporary folder, whose path it returns."""
    folder = tempfile.mkdtemp(prefix=prefix)
    unpack(Path(folder), files)
    return folder


def discard(folder: Path, files: dict[str, bytes]) -> None:
    """Deletes what `unpack` wrote."""
    if str(folder) in sys.path:
        sys.path.remove(str(folder))
        forget(files)
    shutil.rmtree(folder, ignore_errors=True)


def forget(files: dict[str, bytes]) -> None:
    """Takes modules of these names out of Python: another version may have been imported from elsewhere."""
    names = {Path(name).parts[0].removesuffix(".py") for name in files}
    for module in list(sys.modules):
        if module.split(".")[0] in names:
            del sys.modules[module]
