"""A whole driver of an engine of futures, as small as it can be: the thread pool of `concurrent.futures`.

The pool does not know futures as arguments, which engines for many machines do: here a task waits for those that it
needs. As the pool begins tasks in the order in which they were submitted, what a task waits for has begun.
"""

from __future__ import annotations

import concurrent.futures
from collections.abc import Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Callable

from crossrun_engine import (
    Driver,
    FuturesEngine,
    FuturesRun,
    Job,
    Result,
    RunContext,
    Session,
    Spec,
    Workload,
    report,
    scheduler_used,
    serve,
    window_size,
)

# Batches in flight for each thread.
WINDOW = 16


def resolved(argument: Any) -> Any:
    """The argument, or what it stands for."""
    return argument.result() if isinstance(argument, Future) else argument


def run_task(task: Callable[..., Any], arguments: Sequence[Any], fixed: dict[str, Any]) -> Any:
    """What a thread of the pool runs."""
    return task(*map(resolved, arguments), **fixed)


class Pool(FuturesEngine["Future[Any]"]):
    """Threads of this process."""

    def __init__(self, threads: int) -> None:
        self.executor = ThreadPoolExecutor(threads)

    def map(self, task: Callable[..., Any], *columns: Sequence[Any], **fixed: Any) -> list[Future[Any]]:
        return [self.executor.submit(run_task, task, row, fixed) for row in zip(*columns)]

    def wait(self, futures: Collection[Future[Any]], number: int, timeout: float) -> list[Future[Any]]:
        done, _ = concurrent.futures.wait(futures, timeout, concurrent.futures.FIRST_COMPLETED)
        return list(done)

    def results(self, futures: Sequence[Future[Any]]) -> list[Any]:
        return [future.result() for future in futures]

    def cancel(self, futures: Collection[Future[Any]]) -> None:
        self.executor.shutdown(cancel_futures=True)


class ExampleDriver(Driver):
    """Keeps one pool for the session."""

    def open(self, session: Session) -> None:
        session.demand_nodes(1)
        self.pool = Pool(session.parallelism)

    def run(self, spec: Spec, workload: Workload, context: RunContext) -> Result:
        scheduler, warnings = scheduler_used(spec, "example")
        size = window_size(spec, WINDOW)
        run = FuturesRun(self.pool, Job(workload), spec, context, size)
        state = run.execute()
        return report(workload, state, scheduler, run.work, warnings, {"window": size})

    def close(self) -> None:
        if hasattr(self, "pool"):
            self.pool.executor.shutdown()


if __name__ == "__main__":
    serve(ExampleDriver())
