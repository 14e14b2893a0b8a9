"""Tasks of Dask that are under way: a bounded number of them."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from crossrun_engine import CancelledError, RunContext
from distributed import Client, Future, as_completed
from distributed.client import FutureCancelledError

# Tasks under way for each worker thread: enough that none waits for the driver, few enough that memory stays flat.
WINDOW = 64

# Items under way for each worker thread, where a batch is large.
WINDOW_ITEMS = 1 << 18

# Seconds between two looks at whether the run is to stop.
TICK = 0.5

# Launches batches: says what to wait for, and for how many of the batches each stands.
Launch = Callable[[list[Any]], Mapping[Future, int]]


def window(parallelism: int, batch_size: int) -> int:
    """How many batches may be under way."""
    return max(2, min(WINDOW, WINDOW_ITEMS // batch_size)) * parallelism


class LostError(Exception):
    """Who was to run the tasks is gone."""


class Flight:
    """Launches batches in bunches as long as there is room for them, and lands what has come to something."""

    def __init__(self, client: Client, room: int, context: RunContext, lost: Callable[[], str]) -> None:
        self._client, self._room, self._context, self._lost = client, room, context, lost
        self.bunch = max(1, room // 4)
        # What is waited for, and for how many batches each stands.
        self._waited: dict[Future, int] = {}
        # Why nothing is waited for any more.
        self._stop: Exception | None = None

    def fly(self, arguments: Iterator[Any], launch: Launch, land: Callable[[list[Future]], None]) -> None:
        """Takes all arguments through `launch`, and what has come of them to `land`."""
        landing = as_completed(loop=self._client.loop)
        with self._look_out():
            while True:
                room = self._room > sum(self._waited.values())
                bunch = list(itertools.islice(arguments, self.bunch)) if room else []
                if bunch:
                    launched = launch(bunch)
                    self._waited.update(launched)
                    landing.update(launched)
                elif self._waited:
                    self._await(landing, land)
                else:
                    return

    def _await(self, landing: as_completed, land: Callable[[list[Future]], None]) -> None:
        landed = landing.next_batch()
        for future in landed:
            if future.status != "finished":
                # It raises what went wrong.
                future.result()
        land(landed)
        for future in landed:
            del self._waited[future]

    @contextmanager
    def _look_out(self) -> Iterator[None]:
        """Ends the waiting when the run is to stop, or when there is nobody left whom it could wait for."""
        over = threading.Event()

        def look() -> None:
            while not over.wait(TICK):
                if reason := self._lost():
                    self._stop = LostError(reason)
                elif self._context.cancelled():
                    self._stop = CancelledError()
                if self._stop is not None:
                    self._client.cancel(list(self._waited))
                    return

        lookout = threading.Thread(target=look, name="crossrun-lookout", daemon=True)
        lookout.start()
        try:
            yield
        except (FutureCancelledError, OSError) as error:
            if self._stop is not None:
                raise self._stop from None
            broken = "the connection to the scheduler is lost" if isinstance(error, OSError) else "Dask gave up the run"
            raise LostError(f"{broken}: {error}") from error
        finally:
            over.set()
            lookout.join()
