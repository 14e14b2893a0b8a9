"""Calls of Ray that are under way: a bounded number of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ray
from crossrun_engine import CancelledError, RunContext, Spec
from ray.exceptions import RayTaskError

# Seconds between two looks at whether the run is to stop.
TICK = 0.05

# Calls under way for each worker at most: enough that none waits for the driver.
DEEPEST = 32


def depth(spec: Spec) -> int:
    """How many calls a worker may have before it: no more than half its share, so that the other half goes to whoever
    is free."""
    share = spec.total_items // (spec.batch_size * spec.parallelism)
    return max(2, min(DEEPEST, share // 2))


def unwrapped(error: BaseException) -> BaseException:
    """What an operator raised, without what Ray put around it on each task that it passed."""
    while isinstance(error, RayTaskError) and isinstance(error.cause, BaseException):
        error = error.cause
    return error


class Flight:
    """Receipts that are waited for, and who owes each."""

    def __init__(self, window: int, context: RunContext, receive: Callable[[int, Any], None]) -> None:
        self._window = window
        self._context = context
        self._receive = receive
        self._owed: dict[Any, int] = {}

    def add(self, receipt: Any, owner: int = 0) -> None:
        """Waits for a receipt from now on."""
        self._owed[receipt] = owner

    def make_room(self, number: int = 1) -> None:
        """Waits until there is room for so many more."""
        while len(self._owed) + number > self._window:
            # Several at once, as each wait costs the driver more than a receipt. The others keep the workers busy.
            self._land(max(1, self._window // 4))

    def finish(self) -> None:
        """Waits for all of them."""
        while self._owed:
            self._land(len(self._owed))

    def _land(self, number: int) -> None:
        ready, _ = ray.wait(list(self._owed), num_returns=number, timeout=TICK)
        if self._context.cancelled():
            raise CancelledError
        try:
            values = ray.get(ready)
        except RayTaskError as error:
            raise unwrapped(error) from None
        for receipt, value in zip(ready, values):
            self._receive(self._owed.pop(receipt), value)
