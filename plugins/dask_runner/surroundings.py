"""What Dask reads from the environment. It does so when it is imported, so this comes first and does not import it."""

from __future__ import annotations

import multiprocessing
import os


def prepare() -> None:
    """Keeps the user's own settings of Dask out of what is measured, and Dask from writing a file among them.

    A worker process, which is a child of the driver's, has inherited what was set here.
    """
    if multiprocessing.parent_process() is None:
        for name in [name for name in os.environ if name.startswith("DASK_")]:
            del os.environ[name]
        os.environ["DASK_CONFIG"] = os.environ["DASK_ROOT_CONFIG"] = os.devnull
