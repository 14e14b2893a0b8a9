"""What a run needs of an engine whose tasks return futures."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Sequence
from typing import Any, Callable

from .job import Job
from .window import Future, Waiter

# Another one in each process that imports this: machines may have one name, and processes in two containers one number.
_TOKEN = uuid.uuid4().hex

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
        """Raises what a task raised. The futures have finished, and other tasks take their results.

        An engine that would have to bring these here may leave it to those tasks to raise it.
        """
        self.results(futures)


def introduce(_: int, *, job: Job | None) -> tuple[str, int]:
    """A task that opens the workload of a job, if there is one. Returns what tells the process in which it ran from others."""
    if job is not None:
        job.prepare()
    # Long enough that no process gets two of them while another has none.
    time.sleep(0.05)
    return _TOKEN, os.getpid()


def reach_processes(
    engine: FuturesEngine[Future], job: Job | None, processes: int, seconds: float, look: Callable[[], None]
) -> None:
    """Runs `introduce` until so many processes have run it, and for so many seconds at most.

    It is for engines that decide by themselves which process runs a task. `look` is called again and again, and may raise.
    """
    deadline = time.monotonic() + seconds
    reached: set[tuple[str, int]] = set()
    while len(reached) < processes and time.monotonic() < deadline:
        futures = engine.map(introduce, range(processes), job=job)
        engine.watch(futures)
        engine.wait_for_all(futures, look)
        reached.update(engine.results(futures))
