"""What a driver implements, and what a run is given."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any, Callable

from .failure import CancelledError
from .kernel import Workload
from .spec import Result, Session, Spec

# Seconds between two reports of progress: who is shown them reads no faster.
_PROGRESS_INTERVAL = 0.05

LEVELS = ("error", "warn", "info", "debug", "trace")


class RunContext:
    """What a run is given beside its spec and workload. Any thread of the driver's process may use it."""

    def __init__(self, log_dir: Path, cancel: threading.Event, send: Callable[[dict[str, Any]], None]) -> None:
        self.log_dir = log_dir
        self._cancel = cancel
        self._send = send
        self._next_progress = 0.0

    def progress(self, done: int, total: int) -> None:
        """Tells the host that `done` of `total` items are through. Cheap enough to call often."""
        now = time.monotonic()
        if now >= self._next_progress or done == total:
            self._next_progress = now + _PROGRESS_INTERVAL
            self._send({"type": "progress", "done": done, "total": total})

    def cancelled(self) -> bool:
        """Whether the host wants the run to stop. A run that does not look is killed a little later."""
        return self._cancel.is_set()

    def check_cancelled(self) -> None:
        """Raises CancelledError if the host wants the run to stop: for a loop that looks once a batch."""
        if self._cancel.is_set():
            raise CancelledError

    def log(self, level: str, message: str) -> None:
        """Hands a record to the host's log. Raises ValueError unless `level` is error, warn, info, debug or trace."""
        if level not in LEVELS:
            raise ValueError(f"level is {level!r}, but must be one of {', '.join(LEVELS)}")
        self._send({"type": "log", "level": level, "message": message})


class Driver:
    """One engine. Every method is called from the main thread, one at a time."""

    usual_warnings: tuple[str, ...] = ()
    """Texts of warnings that the engine prints wherever it starts. Its other ones become warnings of each run."""

    def open(self, session: Session) -> None:
        """Starts the engine, so that nothing of its start-up falls into a run.

        Raises UnavailableError if it does not start or has fewer machines than were asked for, InvalidSpecError for an
        option that is not valid, and UnsupportedError for what the engine cannot do. What has started by then, `close` stops.

        The default starts nothing, and refuses more machines than this one.
        """
        session.demand_nodes(1)

    def prepare(self, spec: Spec, workload: Workload, context: RunContext) -> None:
        """Prepares a run before its clock starts: opens the workload in each process in which it will run.

        It is called before each run, and may be called again. `workload` is open in this process already, and the one of the
        run before is closed. Raises what `run` raises: the trial has failed then.
        """

    def run(self, spec: Spec, workload: Workload, context: RunContext) -> Result:
        """Runs the workload and returns the merged state of its sinks. A run that is not complete raises.

        Raises WorkloadError for what the workload's library refuses, CancelledError when the host stops the run,
        UnsupportedError and InvalidSpecError for a spec that cannot be run; any other exception is a failure of the engine.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Stops the engine, or as much of it as has started.

        It is called at the end of a session, and after an `open`, a `prepare` or a `run` that failed.
        """
