"""What a run needs of an engine whose tasks return futures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Callable

from .window import Future, Waiter

# How many states one task merges.
FAN_IN = 16

Task = Callable[..., Any]


class FuturesEngine(Waiter[Future]):
    """What `FuturesRun` needs of an engine, beside what `Waiter` has."""

    def map(self, task: Task, *columns: Sequence[Any], **fixed: Any) -> list[Future]:
        """Submits a task for each row of the columns, which are of one length; `fixed` goes to all of them by name.

        A future among the arguments of a row stands for its result.
        """
        raise NotImplementedError

    def results(self, futures: Sequence[Future]) -> list[Any]:
        """The results of futures that have finished. Raises what a task raised."""
        raise NotImplementedError

    def put(self, values: Sequence[Any]) -> list[Future]:
        """Brings values from the driver to where tasks can take them. A future stands for each."""
        raise NotImplementedError

    def check(self, futures: Sequence[Future]) -> None:
        """Raises what a task raised. The futures have finished; an engine may know that without their results."""
        self.results(futures)
