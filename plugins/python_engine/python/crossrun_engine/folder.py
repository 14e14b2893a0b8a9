"""The temporary folder of an engine."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path

# Seconds that processes which are just ending may still write there.
WRITING = 5.0


class SessionFolder:
    """A folder for all that an engine writes in a session.

    `longest` is how many bytes its path may have, where sockets are put below it: the path of a socket has at most 107.
    """

    def __init__(self, prefix: str, longest: int | None = None) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=prefix))
        if longest is not None and len(os.fsencode(self.path)) > longest:
            self.path.rmdir()
            self.path = _short_folder(prefix, longest)

    def keep(self, pattern: str, to: Path) -> None:
        """Copies what is in the folders that match to another one, which may have some of it already."""
        for folder in self.path.glob(pattern):
            shutil.copytree(folder, to, dirs_exist_ok=True, ignore_dangling_symlinks=True)

    def close(self) -> None:
        """Removes the folder. Raises `OSError` if that is not possible within `WRITING` seconds."""
        deadline = time.monotonic() + WRITING
        while self.path.exists():
            shutil.rmtree(self.path, ignore_errors=True)
            if time.monotonic() > deadline:
                raise OSError(f"the engine's folder {self.path} cannot be removed")
            time.sleep(0.02)


def leave_folder_without_text() -> None:
    """Goes to `/` if the current folder is gone, or its path is no text: engines send it to their processes, as UTF-8."""
    try:
        os.getcwd().encode()
    except (OSError, UnicodeEncodeError):
        os.chdir("/")


def _short_folder(prefix: str, longest: int) -> Path:
    # The host's temporary folder for a session goes with the session, and leaves room for a letter at least.
    shortest = Path(tempfile.gettempdir(), prefix[0])
    if len(os.fsencode(shortest)) <= longest and not shortest.exists():
        shortest.mkdir(mode=0o700)
        return shortest
    return Path(tempfile.mkdtemp(prefix=prefix, dir="/tmp"))
