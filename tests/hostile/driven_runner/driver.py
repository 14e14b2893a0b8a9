"""A driver that does what it is told to."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from typing import Any

from crossrun_engine import (
    Driver,
    Result,
    RunContext,
    Session,
    Spec,
    UnavailableError,
    UnsupportedError,
    Workload,
    item_count,
    serve,
)
from serial import Serial


def count_items(item: tuple[Workload, int]) -> int:
    """What a worker of the driver's does."""
    workload, first = item
    return item_count(workload.source(first, 1, 1))


class Driven(Driver):
    """Misbehaves in the phase that the options name."""

    def open(self, session: Session) -> None:
        self.options = session.options
        self._maybe("open")

    def run(self, spec: Spec, workload: Workload, context: RunContext) -> Result:
        state = self._maybe("run", workload, context)
        if state is not None:
            return Result(0, state, "default")
        return Serial(spec, workload).run()

    def close(self) -> None:
        self._maybe("close")

    def _maybe(self, phase: str, *arguments: Any) -> Any:
        if self.options.get("at", "run") == phase:
            behaviour = self.options.get("behaviour", "none")
            return getattr(self, f"_{behaviour}")(*arguments)
        return None

    def _none(self, *_: Any) -> None:
        pass

    def _kill(self, *_: Any) -> None:
        print("the last words", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

    def _exit(self, *_: Any) -> None:
        os._exit(3)

    def _leave(self, *_: Any) -> None:
        sys.exit(4)

    def _print(self, *_: Any) -> None:
        print('{"type":"done"}', flush=True)
        print("noise", file=sys.stderr, flush=True)
        os.write(1, b'{"type":"failed","kind":"engine","message":"printed"}\n')

    def _read(self, *_: Any) -> None:
        assert sys.stdin.read() == "", "standard input is the driver's own"

    def _raise(self, *_: Any) -> None:
        raise ValueError("two\nlines")

    def _environment(self, *_: Any) -> None:
        raise RuntimeError(f"<{' '.join(sorted(os.environ))}>")

    def _warn(self, *_: Any) -> None:
        print("2026-11-26 21:00:00,000 - engine - WARNING: the shared memory is small", file=sys.stderr, flush=True)

    def _fail_in_child(self, *_: Any) -> None:
        print('Exception in thread "main" java.lang.Error: no room', file=sys.stderr, flush=True)
        raise RuntimeError("a part of it ended")

    def _unsupported(self, *_: Any) -> None:
        raise UnsupportedError("it cannot do that", "--extra behaviour=none")

    def _unavailable(self, *_: Any) -> None:
        raise UnavailableError("its cluster is gone")

    def _operator(self, workload: Workload, _: RunContext) -> None:
        try:
            workload.run_stages(1, workload.sink, b"rubbish")
        except Exception as error:
            raise RuntimeError("a task failed") from error

    def _fork(self, *_: Any) -> None:
        if os.fork() == 0:
            time.sleep(60)

    def _spawn(self, workload: Workload, _: RunContext) -> None:
        slices = [(workload, first) for first in range(4)]
        with multiprocessing.get_context("spawn").Pool(2) as pool:
            if pool.map(count_items, slices) != [1, 1, 1, 1]:
                raise RuntimeError("the workers count otherwise")

    def _orphan(self, *_: Any) -> None:
        self._fork()
        self._kill()

    def _obey(self, _: Workload, context: RunContext) -> None:
        while not context.cancelled():
            time.sleep(0.01)
        raise RuntimeError("told to stop")

    def _hang(self, *_: Any) -> None:
        while True:
            time.sleep(1)

    def _spin(self, *_: Any) -> None:
        while True:
            pass

    def _report(self, _: Workload, context: RunContext) -> None:
        context.log("warn", "a word from the driver")
        for done in range(1000):
            context.progress(done, 1000)

    def _short(self, *_: Any) -> bytes:
        return b""

    def _largest(self, *_: Any) -> bytes:
        return bytes(64 << 20)


if __name__ == "__main__":
    serve(Driven())
