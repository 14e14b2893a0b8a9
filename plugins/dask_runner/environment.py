"""What Dask reads from the environment. It does so when it is imported, so this comes first and does not import it."""

from __future__ import annotations

import os

HOME = os.path.expanduser("~")


def prepare() -> None:
    """Keeps Dask from reading the user's files of settings, also in the home folder, and from writing one among them.

    Of the environment a driver gets none of Dask's variables. A worker process inherits what is set here.
    """
    os.environ["DASK_CONFIG"] = os.environ["DASK_ROOT_CONFIG"] = os.environ["HOME"] = os.devnull
