"""The folder that Ray works in during a session."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path

# A socket's path has at most 107 bytes, of which Ray needs 64 below the folder that it is given.
LONGEST_FOLDER = 43

# Seconds that processes which are just ending may still write there.
WRITING = 5.0


class Scratch:
    """A folder of its own. When it is closed, Ray's logs are kept with those of the run, and the rest goes."""

    def __init__(self, log_dir: Path) -> None:
        self.path = _short_folder()
        self._logs = log_dir / "ray"

    def close(self) -> None:
        """Leaves nothing behind but the logs."""
        for logs in self.path.glob("session_[0-9]*/logs"):
            shutil.copytree(logs, self._logs, dirs_exist_ok=True, ignore_dangling_symlinks=True)
        deadline = time.monotonic() + WRITING
        while self.path.exists():
            shutil.rmtree(self.path, ignore_errors=True)
            if time.monotonic() > deadline:
                raise OSError(f"Ray's folder {self.path} cannot be removed")
            time.sleep(0.02)


def _short_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="ray-"))
    if len(os.fsencode(folder)) <= LONGEST_FOLDER:
        return folder
    folder.rmdir()
    # The host's temporary folder for a session goes with the session, and leaves room for a letter at least.
    shortest = folder.with_name("r")
    if len(os.fsencode(shortest)) <= LONGEST_FOLDER and not shortest.exists():
        shortest.mkdir(mode=0o700)
        return shortest
    return Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
