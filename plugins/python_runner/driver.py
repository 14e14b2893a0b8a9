"""The python backend's driver: a thread pool of the standard library."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, Callable

from crossrun_engine import (
    CancelledError,
    Driver,
    Result,
    RunContext,
    Session,
    Spec,
    State,
    Workload,
    item_count,
    serve,
)

# Batches under way for each thread: enough that none waits for the main thread, few enough that memory stays flat.
WINDOW = 4

# Seconds between two looks at whether the run is to stop.
TICK = 0.05

NAME = "python"

# A task and its arguments.
Following = tuple[Any, ...]


class Terminals:
    """Where the batches of one phase end: states of the sink or of a keyed reduction, a set for each thread.

    A keyed reduction has a state for each partition, so that the partitions can be merged side by side.
    """

    def __init__(self, workload: Workload, stage: int, partitions: int) -> None:
        self.stage = stage
        self.is_sink = stage == workload.sink
        self._workload = workload
        self._partitions = 1 if self.is_sink else partitions
        self._mine = threading.local()
        self._all: list[list[Any]] = []
        self._lock = threading.Lock()

    def take(self, batch: bytes) -> None:
        """Folds a batch into this thread's states."""
        mine = getattr(self._mine, "states", None) or self._join()
        if self._partitions == 1:
            mine[0].fold(batch)
        else:
            for state, part in zip(mine, self._workload.split(self.stage, batch, self._partitions)):
                if item_count(part):
                    state.fold(part)
        mine[-1] += item_count(batch)

    def _join(self) -> list[Any]:
        states: list[Any] = [self._workload.new_state(self.stage) for _ in range(self._partitions)]
        states.append(0)
        with self._lock:
            self._all.append(states)
        self._mine.states = states
        return states

    def merged(self, partition: int) -> State:
        """The state of one partition, of all threads. Other partitions may be merged at the same time."""
        owned: list[State] = [states[partition] for states in self._all]
        whole = owned[0] if owned else self._workload.new_state(self.stage)
        for other in owned[1:]:
            whole.merge(other.encode())
            other.close()
        return whole

    def counted(self) -> int:
        """How many items came here, in all threads."""
        return sum(states[-1] for states in self._all)


class Flight:
    """The tasks of one phase: a bounded number of chains of tasks, and the first thing that went wrong."""

    def __init__(self, pool: ThreadPoolExecutor, window: int, context: RunContext) -> None:
        self.failure: BaseException | None = None
        self._pool = pool
        self._window = window
        self._free = threading.Semaphore(window)
        self._context = context

    def launch(self, task: Callable[..., Any], *arguments: Any) -> None:
        """Starts a chain with its first task, as soon as there is room for it."""
        self._wait_for_room()
        self.follow(task, *arguments)

    def follow(self, task: Callable[..., Any], *arguments: Any) -> None:
        """Hands the next task of a chain to the pool."""
        self._pool.submit(self._step, task, arguments)

    def _step(self, task: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        """Runs one task. A task that says what is next goes on; any other ends its chain."""
        try:
            following = None if self.failure else task(*arguments)
            if following is not None:
                self.follow(*following)
                return
        except BaseException as error:
            self.failure = self.failure or error
        self._free.release()

    def _wait_for_room(self) -> None:
        while not self._free.acquire(timeout=TICK):
            self._check()
        if self.failure or self._context.cancelled():
            self._free.release()
            self.land()

    def _check(self) -> None:
        if self._context.cancelled() and self.failure is None:
            self.failure = CancelledError()

    def land(self) -> None:
        """Waits until every chain has ended, and raises what went wrong."""
        self._check()
        for _ in range(self._window):
            while not self._free.acquire(timeout=TICK):
                self._check()
        if self.failure:
            raise self.failure


class Run:
    """One run: phase after phase, cut at the plan's keyed reductions."""

    def __init__(self, pool: ThreadPoolExecutor, spec: Spec, workload: Workload, context: RunContext) -> None:
        self.pool = pool
        self.spec = spec
        self.workload = workload
        self.context = context
        self.fused = spec.fusion != "off"

    def execute(self) -> tuple[int, bytes]:
        """How many items reached the sink, and its merged state."""
        terminals = self._phase(1)
        flight = self._flight()
        for first, count in self.spec.slices():
            self.context.progress(first, self.spec.total_items)
            flight.launch(self._source, first, count, terminals)
        flight.land()
        while not terminals.is_sink:
            reduced, terminals = terminals, self._phase(terminals.stage + 1)
            flight = self._flight()
            for partition in range(self.spec.parallelism):
                flight.launch(self._merge, reduced, partition, terminals)
            flight.land()
        self.context.progress(self.spec.total_items, self.spec.total_items)
        return terminals.counted(), terminals.merged(0).encode()

    def _phase(self, start: int) -> Terminals:
        return Terminals(self.workload, self.workload.end_of_chain(start), self.spec.parallelism)

    def _flight(self) -> Flight:
        return Flight(self.pool, WINDOW * self.spec.parallelism, self.context)

    # The tasks. Each returns the next one of its chain with its arguments, or nothing.

    def _source(self, first: int, count: int, terminals: Terminals) -> Following | None:
        if self.fused:
            terminals.take(self.workload.source(first, count, terminals.stage))
            return None
        return self._stage, self.workload.source(first, count, 1), 1, terminals, None

    def _stage(
        self, batch: bytes, stage: int, terminals: Terminals, following: Following | None
    ) -> Following | None:
        if stage == terminals.stage:
            terminals.take(batch)
            return following
        return self._stage, self.workload.run_stages(stage, stage + 1, batch), stage + 1, terminals, following

    def _merge(self, reduced: Terminals, partition: int, terminals: Terminals) -> Following | None:
        return self._emit, reduced.merged(partition), reduced.stage + 1, terminals

    def _emit(self, state: State, start: int, terminals: Terminals) -> Following | None:
        batch = state.emit(self.spec.batch_size)
        if item_count(batch) == 0:
            state.close()
            return None
        following = (self._emit, state, start, terminals)
        if self.fused:
            terminals.take(self.workload.run_stages(start, terminals.stage, batch))
            return following
        return self._stage, batch, start, terminals, following


class PythonDriver(Driver):
    """Keeps one pool for the session, with its threads started."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._threads = 0

    def open(self, session: Session) -> None:
        session.demand_nodes(1)
        self._start(session.parallelism)

    def run(self, spec: Spec, workload: Workload, context: RunContext) -> Result:
        if spec.parallelism != self._threads:
            self.close()
            self._start(spec.parallelism)
        assert self._pool is not None
        count, state = Run(self._pool, spec, workload, context).execute()
        metrics: dict[str, Any] = {"nodes": 1, "threads": self._threads}
        if spec.scheduler_name != "default":
            warning = f'scheduler "{spec.scheduler_name}" is unknown to {NAME}; it ran as "default"'
            metrics["warnings"] = [warning]
        return Result(count, state, "default", metrics)

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def _start(self, threads: int) -> None:
        """Starts every thread now, as the pool itself would start them in the run."""
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="crossrun")
        self._threads = threads
        together = threading.Barrier(threads)
        wait([self._pool.submit(together.wait) for _ in range(threads)])


if __name__ == "__main__":
    serve(PythonDriver())
