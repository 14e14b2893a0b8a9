"""The batches in flight: handed to the engine and not finished. Their number is bounded, and the host can stop them.

    with Window(size, context, engine) as window:
        for batch in batches:
            window.make_room()
            window.add({submit(batch): 1}, complete)
        window.drain()

`Window` asks the engine two things, as `Waiter` has it: which futures have finished, and to give up the others. It
looks whether the host wants the run to stop before each batch and every `TICK` seconds while it waits, so that no
stop is lost.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import queue
import threading
import time
from collections.abc import Collection, Coroutine, Iterable, Mapping
from contextlib import suppress
from typing import Any, Callable, Generic, TypeVar

from .driver import RunContext
from .spec import Spec

# Seconds between two looks at whether the run is to stop.
TICK = 0.05

Future = TypeVar("Future")
Answer = TypeVar("Answer")

# Takes the futures that have finished since the last call.
Complete = Callable[["list[Future]"], Any]


def window_size(spec: Spec, per_worker: int, items: int = 1 << 18, has_due_results: bool = False) -> int:
    """How many batches may be in flight, for all workers together.

    `per_worker` for each worker, but no more than half of its share of the batches, so that the other half goes to
    whoever is free, and no more than `items` items, so that large batches do not fill the memory. There are always
    enough that no worker is idle: one for each worker where batches are passed from task to task (`fusion=off`), and
    two where a batch that waits for its worker is only two numbers. There are no more where a workload `has_due_results`, which
    would wait for batches that are not due.
    """
    enough = spec.parallelism if spec.fusion == "off" else 2 * spec.parallelism
    if has_due_results:
        return enough
    half = spec.total_items // (2 * spec.batch_size * spec.parallelism)
    return max(enough, min(min(per_worker, half) * spec.parallelism, items // spec.batch_size))


def awaited(future: concurrent.futures.Future[Answer], look: Callable[[], Any]) -> Answer:
    """The result of a future of Python's own. While it is not there, calls `look` every `TICK` seconds, which may raise."""
    # Not by the timeout of `result`: it is the same exception as one that the call may end with.
    while not concurrent.futures.wait([future], TICK).done:
        look()
    return future.result()


def answered(
    coroutine: Coroutine[Any, Any, Answer], loop: asyncio.AbstractEventLoop, look: Callable[[], Any]
) -> Answer:
    """What a coroutine returns that a loop of another thread runs. While it does not, calls `look` as `awaited` does.

    If that raises, the coroutine is cancelled.
    """
    answer = asyncio.run_coroutine_threadsafe(coroutine, loop)
    try:
        return awaited(answer, look)
    finally:
        answer.cancel()


def called(look: Callable[[], Any], function: Callable[..., Answer], *arguments: Any) -> Answer:
    """What a function returns that sees no stop. While it does not return, calls `look` as `awaited` does.

    If that raises, the function goes on by itself, in a thread that ends with the process.
    """
    answer = concurrent.futures.Future[Answer]()

    def call() -> None:
        try:
            answer.set_result(function(*arguments))
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=call, daemon=True).start()
    return awaited(answer, look)


def taken(finished: queue.SimpleQueue[Future], number: int, timeout: float) -> list[Future]:
    """What comes into a queue, until it is `number`, and for `timeout` seconds at most."""
    deadline = time.monotonic() + timeout
    found: list[Future] = []
    with suppress(queue.Empty):
        while len(found) < number:
            found.append(finished.get(timeout=max(0.0, deadline - time.monotonic())))
    return found


class Waiter(Generic[Future]):
    """What `Window` needs of an engine. A future is any hashable object that stands for a submitted task."""

    def watch(self, futures: Collection[Future]) -> None:
        """Is told each future once, before it is waited for: for engines that call back. Does nothing otherwise."""

    def wait(self, futures: Collection[Future], number: int, timeout: float) -> Iterable[Future]:
        """Waits until about `number` futures have finished, and at most `timeout` seconds. Returns those that have.

        May return any number of finished futures, also of others that it watches, each once; after the timeout none.
        May raise what a task raised.
        """
        raise NotImplementedError

    def wait_for_all(self, futures: Collection[Future], look: Callable[[], Any]) -> None:
        """Waits until all of them have finished. Calls `look` every `TICK` seconds meanwhile, which may raise."""
        waiting = set(futures)
        while waiting:
            look()
            waiting.difference_update(self.wait(waiting, len(waiting), TICK))

    def cancel(self, futures: Collection[Future]) -> None:
        """Gives the futures up, as the run has failed or is to stop. Tasks that have begun may go on."""


class Window(Generic[Future]):
    """The futures in flight. Leaving the context after a failure gives up all that are left."""

    def __init__(self, size: int, context: RunContext, waiter: Waiter[Future], at_once: bool = False) -> None:
        """With `at_once` each future is completed as soon as it has finished, and not together with others."""
        self.size = size
        self._at_once = at_once
        self._context = context
        self._waiter = waiter
        self._load = 0
        self._in_flight: dict[Future, tuple[int, Complete[Future]]] = {}

    def add(self, futures: Mapping[Future, int], complete: Complete[Future]) -> None:
        """Adds futures, each with the number of batches that it stands for. `complete` gets them when they finish."""
        self._waiter.watch(futures.keys())
        for future, batches in futures.items():
            self._in_flight[future] = batches, complete
            self._load += batches

    def make_room(self, batches: int = 1) -> None:
        """Waits until so many batches more fit, or nothing is in flight. Raises `CancelledError` on a stop."""
        self._context.check_cancelled()
        while self._load and self._load + batches > self.size:
            # Several at once, as a wait costs more than a future. The other batches keep the workers busy.
            self._wait(self._oldest(max(self._load + batches - self.size, self.size // 4)))

    def _oldest(self, batches: int) -> int:
        """How many of the oldest futures stand for so many batches."""
        number = 0
        for stands_for, _ in self._in_flight.values():
            if batches <= 0:
                break
            batches -= stands_for
            number += 1
        return number

    def _wait(self, number: int, among: Collection[Future] = ()) -> None:
        """Waits for about so many futures, of some or of all, for a tick at most. Raises `CancelledError` on a stop."""
        finished = self._waiter.wait(among or self._in_flight.keys(), 1 if self._at_once else number, TICK)
        self._context.check_cancelled()
        done: dict[Complete[Future], list[Future]] = {}
        for future in finished:
            batches, complete = self._in_flight.pop(future)
            self._load -= batches
            done.setdefault(complete, []).append(future)
        for complete, futures in done.items():
            complete(futures)

    def results(self, futures: list[Future], get: Callable[[list[Future]], list[Any]]) -> list[Any]:
        """Waits for futures that stand for no batch, while what is in flight goes on. Returns their results."""
        found: dict[Future, Any] = {}
        self.add(dict.fromkeys(futures, 0), lambda done: found.update(zip(done, get(done))))
        while missing := [future for future in futures if future not in found]:
            self._wait(len(missing), missing)
        return [found[future] for future in futures]

    def drain(self) -> None:
        """Waits for all that is in flight."""
        self._context.check_cancelled()
        while self._in_flight:
            self._wait(len(self._in_flight))

    def __enter__(self) -> Window[Future]:
        return self

    def __exit__(self, *_: object) -> None:
        if self._in_flight:
            self._waiter.cancel(self._in_flight.keys())
            self._in_flight.clear()
