"""The driver's side of the channel: lines of JSON, one request at a time.

The worker that started this process holds the other end. Requests are `open`, `prepare`, `run`, `cancel` and `close`; answers are
`done`, `result` and `failed`; `progress` and `log` may come before an answer.
"""

from __future__ import annotations

import fcntl
import json
import multiprocessing
import os
import platform
import queue
import resource
import socket
import stat
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

from .driver import Driver, RunContext
from .failure import CancelledError, describe
from .folder import leave_folder_without_text
from .kernel import Workload, late_opens
from .output import Printed
from .spec import Result, Session, Spec
from .startup import close_after_failure

PROTOCOL = 1

# The channel's descriptor is moved out of the way of engines that close or reuse low ones, as far as the limit of open files lets it.
_LOWEST_DESCRIPTOR = 200

# Seconds that a run has to stop after the worker has gone.
_ORPHAN_GRACE = 2.0

_Message = dict[str, Any]

# Failures that an engine's own last error may explain: the others are explained by what raised them.
_OF_ENGINE = ("engine", "unavailable")


def serve(driver: Driver) -> None:
    """Does what the worker asks for, until it says `close`. Does nothing in a child of the driver's process."""
    if multiprocessing.parent_process() is not None:
        return
    channel = _Channel(_take_standard_input())
    leave_folder_without_text()
    channel.send({"type": "hello", "protocol": PROTOCOL, "python": _python()})
    while True:
        request = channel.next_request()
        if request is None:
            return
        channel.send_line(_answer(driver, request, channel))
        if request["type"] == "close":
            return


def _take_standard_input() -> socket.socket:
    """The channel comes as standard input, which is then nobody's."""
    if not stat.S_ISSOCK(os.fstat(0).st_mode):
        raise SystemExit("this is a driver of crossrun, which starts it and talks to it")
    try:
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    except OSError:
        # A filter of system calls may refuse to read limits.
        limit = -1
    lowest = _LOWEST_DESCRIPTOR if limit < 0 else min(_LOWEST_DESCRIPTOR, limit // 2)
    moved = fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, lowest)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return socket.socket(fileno=moved)


class _Channel:
    """Lines to and from the worker. Any thread may send; one reads."""

    def __init__(self, connection: socket.socket) -> None:
        self.cancel = threading.Event()
        self.warnings: list[str] = []
        """What the engine warned of when it started: of each run of the session."""
        self._connection = connection
        self._lock = threading.Lock()
        self._requests: queue.SimpleQueue[_Message | None] = queue.SimpleQueue()
        # A forked child must neither speak for the driver nor keep its channel open.
        os.register_at_fork(after_in_child=self._leave)
        threading.Thread(target=self._read, name="crossrun-channel", daemon=True).start()

    def next_request(self) -> _Message | None:
        """Waits for a request; nothing when the worker has gone."""
        return self._requests.get()

    def send(self, message: _Message) -> None:
        """Says something to the worker, if it is still there."""
        self.send_line(_line(message))

    def send_line(self, line: bytes) -> None:
        """The same, for what is encoded already."""
        try:
            with self._lock:
                self._connection.sendall(line)
        except OSError:
            self.cancel.set()

    def _read(self) -> None:
        try:
            for line in self._connection.makefile("rb"):
                request = json.loads(line)
                if request["type"] == "cancel":
                    self.cancel.set()
                else:
                    self.cancel.clear()
                    self._requests.put(request)
        except OSError:
            pass
        self.cancel.set()
        self._requests.put(None)
        time.sleep(_ORPHAN_GRACE)
        os._exit(1)

    def _leave(self) -> None:
        os.close(self._connection.detach())


def _line(message: _Message) -> bytes:
    text = json.dumps(message, separators=(",", ":"), allow_nan=False, default=str, ensure_ascii=False)
    # Python keeps bytes that are not UTF-8, as of a path in an error, in characters that the worker's reader of JSON refuses.
    return text.encode(errors="replace") + b"\n"


def _answer(driver: Driver, request: _Message, channel: _Channel) -> bytes:
    printed = Printed()
    try:
        return _line(_do(driver, request, channel))
    except BaseException as error:
        failed, last_error = error, printed.last_error()
        # Not later: to close may take for ever or end the process, and the log has to have the reason then.
        traceback.print_exc()
    if request["type"] != "close":
        # The session ends with what failed in it, and the worker asks for nothing more, not even to close.
        close_after_failure(driver.close, failed)
    if not isinstance(failed, Exception):
        raise failed
    failure = describe(CancelledError() if channel.cancel.is_set() else failed)
    message = str(failure["message"])
    if failure["kind"] in _OF_ENGINE and last_error and last_error not in message:
        failure["message"] = f"{message.rstrip('.')}; the engine's last error: {last_error}"
    return _line({"type": "failed", **failure})


def _do(driver: Driver, request: _Message, channel: _Channel) -> _Message:
    kind = request["type"]
    if kind == "open":
        printed = Printed()
        driver.open(Session.of(request["session"]))
        channel.warnings = [f"the engine warned: {text}" for text in printed.warnings(driver.usual_warnings)]
    elif kind == "prepare":
        spec, workload, context = _order(request, channel)
        workload.prepare()
        driver.prepare(spec, workload, context)
    elif kind == "run":
        return _run(driver, request, channel)
    elif kind == "close":
        driver.close()
    else:
        raise ValueError(f"the worker asks for {kind!r}, which this version does not know")
    return {"type": "done"}


def _order(request: _Message, channel: _Channel) -> tuple[Spec, Workload, RunContext]:
    workload = Workload(request["library"], request["sha256"], json.dumps(request["spec"], sort_keys=True))
    context = RunContext(Path(request["log_dir"]), channel.cancel, channel.send)
    return Spec.of(request["spec"]), workload, context


def _run(driver: Driver, request: _Message, channel: _Channel) -> _Message:
    spec, workload, context = _order(request, channel)
    started = time.perf_counter()
    _ = workload.plan
    opened = time.perf_counter()
    result = driver.run(spec, workload, context)
    elapsed = time.perf_counter() - opened
    return _result(result, elapsed, opened - started, channel.warnings)


def _python() -> str:
    """The version of Python; and what it is where it is not the usual one, as another has another speed."""
    implementation = platform.python_implementation()
    other = "" if implementation == "CPython" else f" ({implementation})"
    threads = " (free-threaded)" if "t" in getattr(sys, "abiflags", "") else ""
    return platform.python_version() + other + threads


def _result(result: Result, elapsed: float, opening: float, warnings: list[str]) -> _Message:
    metrics = dict(result.metrics)
    if warnings:
        metrics["warnings"] = [*metrics.get("warnings", []), *warnings]
    metrics["versions"] = {"python": _python(), **metrics.get("versions", {})}
    metrics.setdefault("workload_open_seconds", opening)
    metrics["late_opens"] = metrics.get("late_opens", 0) + late_opens()
    return {
        "type": "result",
        "scheduler_name": result.scheduler_name,
        "elapsed_time": elapsed if result.elapsed_time is None else float(result.elapsed_time),
        "results_count": int(result.results_count),
        "sink_state": result.sink_state.hex(),
        "metrics": metrics,
    }
