"""The python backend's driver: a thread pool of the standard library."""

from __future__ import annotations

import queue
import threading
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, Callable

from crossrun_engine import (
    TICK,
    Closing,
    Driver,
    End,
    Graph,
    Owners,
    Phase,
    Result,
    RunContext,
    Session,
    Spec,
    State,
    Task,
    Terminal,
    Waiter,
    Window,
    Workload,
    batch_of,
    item_count,
    phases,
    report,
    scheduler_used,
    serve,
)

# Batches in flight for each thread: enough that none waits for the main thread, few enough that memory stays flat.
WINDOW = 4

# How many times as many slices may be begun before the first of them is done, if what has ended is closed by that.
AHEAD = 8

# How many outputs that reach the sink a thread folds at once, and how many bytes of them, but for an output that is longer by itself.
FOLDED_TOGETHER = 256
FOLDED_BYTES = 1 << 20

# A task and its arguments.
Following = tuple[Any, ...]


class Terminals:
    """Where the batches of one phase end: a `Terminal` for each thread, made when the thread has its first batch.

    A keyed reduction has a state for each partition, so that the partitions can be merged side by side.
    """

    def __init__(self, workload: Workload, phase: Phase) -> None:
        self.phase = phase
        self._workload = workload
        self._mine = threading.local()
        self._all: list[Terminal] = []
        self._lock = threading.Lock()

    def fold(self, batch: bytes) -> None:
        """Folds a batch into this thread's states."""
        (getattr(self._mine, "terminal", None) or self._join()).fold(batch)

    def _join(self) -> Terminal:
        terminal = self._mine.terminal = Terminal(self._workload, self.phase)
        with self._lock:
            self._all.append(terminal)
        return terminal

    def merged(self, partition: int) -> State:
        """The state of one partition, of all threads. Other partitions may be merged at the same time."""
        taken = [terminal.take(partition) for terminal in self._all]
        states = [state for state in taken if state is not None]
        whole = states.pop() if states else self._workload.new_state(self.phase.end)
        for other in states:
            with other:
                whole.merge(other.encode())
        return whole


class Chains(Waiter[int]):
    """Chains of tasks in the pool, known by their numbers: a task says which one follows it, or ends its chain."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self._number = 0
        self._ended: queue.SimpleQueue[tuple[int, BaseException | None]] = queue.SimpleQueue()
        self._cancelled = False

    def start(self, task: Callable[..., Any], *arguments: Any) -> int:
        """Hands the first task of a chain to the pool. Returns the chain's number."""
        self._number += 1
        self._pool.submit(self._step, self._number, task, *arguments)
        return self._number

    def _step(self, chain: int, task: Callable[..., Any], *arguments: Any) -> None:
        try:
            following = None if self._cancelled else task(*arguments)
            if following is not None:
                self._pool.submit(self._step, chain, *following)
                return
        except BaseException as error:
            self._ended.put((chain, error))
            return
        self._ended.put((chain, None))

    def wait(self, futures: Collection[int], number: int, timeout: float) -> list[int]:
        """The chains that have ended, as soon as there is one: whoever waits for room starts a new one at once."""
        try:
            ended = [self._ended.get(timeout=timeout)]
            while not self._ended.empty():
                ended.append(self._ended.get())
        except queue.Empty:
            return []
        for _, error in ended:
            if error is not None:
                self._cancelled = True
                raise error
        return [chain for chain, _ in ended]

    def cancel(self, futures: Collection[int]) -> None:
        """Ends every chain before its next task. The tasks that have begun are waited for when the pool is stopped."""
        self._cancelled = True


def closes(spec: Spec, workload: Workload) -> bool:
    """Whether what has ended is closed while the input goes on: without fusion too, as threads share the states."""
    return "watermarks" in spec.granted and workload.has_reduction


class Run:
    """One run: phase after phase."""

    def __init__(self, pool: ThreadPoolExecutor, spec: Spec, workload: Workload, context: RunContext) -> None:
        self._spec, self._workload, self._context = spec, workload, context
        self._chains = Chains(pool)
        self._window = Window(WINDOW * spec.parallelism, context, self._chains)
        self._fused = spec.fusion != "off"
        self._closing: Closing | None = None

    def execute(self) -> bytes:
        """The merged state of the sink, encoded."""
        first, *others = self._ends()
        terminals = first
        with self._window:
            for start, count in self._spec.slices():
                self._context.progress(start, self._spec.total_items)
                self._wait_for_low(start)
                self._start(self._source, start, count, terminals)
            self._window.drain()
            for end in others:
                reduced, terminals = terminals, end
                for partition in range(self._spec.parallelism):
                    self._start(self._merge, reduced, partition, terminals)
                self._window.drain()
        self._context.progress(self._spec.total_items, self._spec.total_items)
        with terminals.merged(0) as sink:
            return sink.encode()

    def _ends(self) -> list[End]:
        """The ends of all phases; owners of the partitions, if what has ended is closed while the input goes on."""
        spec, workload = self._spec, self._workload
        all_phases = phases(workload, spec.parallelism)
        if not closes(spec, workload):
            return [Terminals(workload, phase) for phase in all_phases]
        *reduced, last = all_phases
        ends: list[End] = [*(Owners(workload, phase) for phase in reduced), Terminals(workload, last)]
        self._closing = Closing(workload, ends, spec.batch_size)
        return ends

    def _wait_for_low(self, start: int) -> None:
        """Begins nothing far ahead of a slice that is not done, as what came between them is in the states."""
        ahead = AHEAD * self._window.size * self._spec.batch_size
        if self._closing is not None and start > self._closing.low + ahead:
            self._window.drain()

    def _start(self, task: Callable[..., Any], *arguments: Any) -> None:
        self._window.make_room()
        self._window.add({self._chains.start(task, *arguments): 1}, len)

    # The tasks. Each returns the next one of its chain with its arguments, or nothing.

    def _source(self, first: int, count: int, terminals: End) -> Following | None:
        if self._fused:
            terminals.fold(self._workload.source(first, count, terminals.phase.end))
            if self._closing is not None:
                # Not as a task of its own: that would wait for the slices that are in flight, which may not be due yet.
                self._closing.finish(first, count)
            return None
        following = None if self._closing is None else (self._closing.finish, first, count)
        return self._stage, self._workload.source(first, count, 1), 1, terminals, following

    def _stage(self, batch: bytes, stage: int, terminals: End, following: Following | None) -> Following | None:
        if stage == terminals.phase.end:
            terminals.fold(batch)
            return following
        made = self._workload.run_stages(stage, stage + 1, batch)
        # What a filter has emptied is no work for the stages behind it.
        return (self._stage, made, stage + 1, terminals, following) if item_count(made) else following

    def _merge(self, reduced: End, partition: int, terminals: End) -> Following:
        return self._emit, reduced.merged(partition), terminals

    def _emit(self, state: State, terminals: End) -> Following | None:
        """Emits one batch. The next one is made when it has come to the end of the phase."""
        batch = state.emit(self._spec.batch_size)
        if item_count(batch) == 0:
            state.close()
            return None
        phase, following = terminals.phase, (self._emit, state, terminals)
        if self._fused:
            terminals.fold(phase.through(self._workload, batch))
            return following
        return self._stage, batch, phase.start, terminals, following


class UnneededOutputs:
    """The outputs of one thread that no task needs, on their way to the sink."""

    def __init__(self, workload: Workload) -> None:
        self._sink = workload.new_sink()
        self._outputs: list[bytes] = []
        self._bytes = 0

    def add(self, output: bytes) -> None:
        """Takes an output."""
        # Before and not after it: an output that nearly fills a batch fits in alone.
        if self._bytes + len(output) > FOLDED_BYTES:
            self._fold()
        self._outputs.append(output)
        self._bytes += len(output)
        if len(self._outputs) >= FOLDED_TOGETHER:
            self._fold()

    def finish(self) -> State:
        """Folds what is left. Gives the state of the sink."""
        self._fold()
        return self._sink

    def _fold(self) -> None:
        if self._outputs:
            self._sink.fold(batch_of(self._outputs))
            self._outputs.clear()
            self._bytes = 0


class GraphRun:
    """One run of a graph of tasks: each runs on a thread as soon as its inputs are there, and no step waits for another."""

    def __init__(self, pool: ThreadPoolExecutor, spec: Spec, workload: Workload, context: RunContext) -> None:
        self._pool, self._spec, self._workload, self._context = pool, spec, workload, context
        self._graph = Graph(workload)
        # A task, or nothing for a thread that is to end.
        self._ready: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._done = 0
        self._stopped = False

    def execute(self) -> bytes:
        """The merged state of the sink, encoded."""
        for task in self._graph.begin():
            self._ready.put(task)
        if self._graph.is_finished:
            self._end()
        threads = [self._pool.submit(self._work) for _ in range(self._spec.parallelism)]
        try:
            while wait(threads, TICK).not_done:
                self._context.check_cancelled()
                self._context.progress(self._done, self._spec.total_items)
        finally:
            self._stopped = True
            self._end()
        first, *others = [thread.result() for thread in threads]
        for other in others:
            with other:
                first.merge(other.encode())
        with first:
            return first.encode()

    def _end(self) -> None:
        for _ in range(self._spec.parallelism):
            self._ready.put(None)

    def _work(self) -> State:
        """What one thread does: it goes on with a task that it has made ready, and leaves the others to all."""
        unneeded = UnneededOutputs(self._workload)
        try:
            while (task := self._ready.get()) is not None:
                following: Task | None = task
                while following is not None and not self._stopped:
                    following = self._step(following, unneeded)
        except BaseException:
            self._stopped = True
            self._end()
            raise
        return unneeded.finish()

    def _step(self, task: Task, unneeded: UnneededOutputs) -> Task | None:
        output = self._graph.run(task)
        if not self._graph.is_needed(task):
            unneeded.add(output)
        ready = self._graph.finish(task, output)
        self._done += 1
        following = ready.pop() if ready else None
        for other in ready:
            self._ready.put(other)
        if self._graph.is_finished:
            self._end()
        return following


class PythonDriver(Driver):
    """Keeps one pool for the session, with its threads started."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None

    def open(self, session: Session) -> None:
        """Starts every thread now, as the pool itself would start them in the run."""
        session.demand_nodes(1)
        threads = session.parallelism
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="crossrun")
        together = threading.Barrier(threads)
        try:
            wait([self._pool.submit(together.wait) for _ in range(threads)])
        finally:
            # Where the system has no more threads, those that have started would wait for the others without end.
            together.abort()

    def run(self, spec: Spec, workload: Workload, context: RunContext) -> Result:
        """Runs a workload on the pool, which has as many threads as the run is to have."""
        assert self._pool is not None
        is_graph = workload.graph is not None and "graph" in spec.granted
        run = GraphRun if is_graph else Run
        state = run(self._pool, spec, workload, context).execute()
        scheduler, warnings = scheduler_used(spec, "python")
        metrics = {"threads": spec.parallelism, "closes": closes(spec, workload)}
        return report(workload, state, scheduler, {}, warnings, metrics)

    def close(self) -> None:
        """Waits for the tasks that have begun, and stops the threads."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None


if __name__ == "__main__":
    serve(PythonDriver())
