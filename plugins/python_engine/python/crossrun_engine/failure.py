"""The exceptions that mean something to the host. Any other is a failure of the engine."""

from __future__ import annotations

import base64
import json
import re
import traceback
from collections.abc import Iterator
from pathlib import Path

# What a call of the workload library returns for a call that it cannot answer, for bytes that are not what they should be, and for
# a spec that is not valid; 0 is success, and any other a failure.
STATUS_ARGUMENT = 1
STATUS_MALFORMED = 2
STATUS_SPEC = 3


class WorkloadError(Exception):
    """A call into the workload library failed with a status other than 0. It can be pickled, as it may cross from a worker."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message

    def __str__(self) -> str:
        return self.message


def workload_error_as_text(error: WorkloadError | UnsupportedError) -> str:
    """A text in which `workload_error_in` finds the error, for an engine that hands over only an exception's text."""
    content = json.dumps([error.status, error.message]).encode()
    return f"crossrun-failure[{base64.b64encode(content).decode()}]"


def workload_error_in(text: str) -> WorkloadError | UnsupportedError | None:
    """The error that `workload_error_as_text` put into a text, if it is there."""
    found = re.search(r"crossrun-failure\[([A-Za-z0-9+/=]+)\]", text)
    return as_raised(*json.loads(base64.b64decode(found[1]))) if found else None


def as_raised(status: int | None, message: str) -> WorkloadError | UnsupportedError:
    """The error that was raised elsewhere with this status and this message."""
    return UnsupportedError(message) if status is None else WorkloadError(status, message)


class _ErrorWithRemedy(Exception):
    """An exception with a remedy: a command or a setting that mends it."""

    def __init__(self, message: str, remedy: str | None = None) -> None:
        super().__init__(message, remedy)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return self.message


class UnsupportedError(_ErrorWithRemedy):
    """What was asked for is valid, but this engine cannot express it."""

    status: None = None
    """It has none: that tells it from an error of the workload."""


class UnavailableError(_ErrorWithRemedy):
    """The engine is not installed or not startable."""


class InvalidSpecError(_ErrorWithRemedy):
    """The spec or an option in `extra` is not valid."""


class EngineError(_ErrorWithRemedy):
    """The engine failed in a way for which there are words: what died, and what to do about it."""


class CancelledError(Exception):
    """The run stopped because the host asked it to."""

    def __init__(self, message: str = "the run was cancelled by the host") -> None:
        super().__init__(message)


_KINDS = {
    UnsupportedError: "unsupported",
    UnavailableError: "unavailable",
    InvalidSpecError: "invalid_spec",
    EngineError: "engine",
    CancelledError: "cancelled",
}


def describe(error: BaseException) -> dict[str, str | None]:
    """Kind, message and remedy of an exception, as the host reads them.

    Engines wrap what an operator raised: what means something is looked for among the causes too.
    """
    for found in chain(error):
        if isinstance(found, WorkloadError):
            kind = "invalid_spec" if found.status == STATUS_SPEC else "workload"
            return {"kind": kind, "message": found.message, "remedy": None}
        for meant, kind in _KINDS.items():
            if isinstance(found, meant):
                return {"kind": kind, "message": str(found), "remedy": getattr(found, "remedy", None)}
    return {"kind": "engine", "message": _one_line(error), "remedy": None}


def chain(error: BaseException) -> Iterator[BaseException]:
    """The exception, what caused it, and so on, as a traceback has them."""
    seen = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        context = None if current.__suppress_context__ else current.__context__
        current = current.__cause__ or context


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    name = type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return (f"{name}: {text}" if text else name) + place
