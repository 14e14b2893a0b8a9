"""How it is told that an engine cannot be imported, or does not start, and how a part of it that has started is closed then."""

from __future__ import annotations

import sys
import textwrap
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .failure import InvalidSpecError, UnavailableError, UnsupportedError, chain
from .output import last_error_in


@contextmanager
def importing(engine: str, backend: str) -> Iterator[None]:
    """Within it an engine is imported. Raises UnavailableError for whatever that raises."""
    try:
        yield
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        # What is installed looks whole, so that a set-up alone would leave it as it is.
        again = f"crossrun setup {backend} --remove && crossrun setup {backend}"
        raise UnavailableError(f"{engine} cannot be imported: {reason}", again) from error


@contextmanager
def starting(engine: str, logs: Path, pattern: str) -> Iterator[None]:
    """Within it an engine starts. Raises UnavailableError for what it raises, with the last error in its logs.

    These are the files of the folder `logs` whose names match.
    """
    try:
        yield
    except (InvalidSpecError, UnavailableError, UnsupportedError):
        raise
    except Exception as error:
        last_error = last_error_in(logs, pattern)
        reason = " ".join(str(error).split()) + (f"; its last error: {last_error}" if last_error else "")
        raise UnavailableError(f"{engine} did not start: {reason}") from error


def close_after_failure(close: Callable[[], None], failed: BaseException) -> None:
    """Closes what has failed. What that raises is printed and not told, as it is not why: also an exit."""
    try:
        close()
    except BaseException as error:
        for raised in chain(error):
            if raised.__context__ is failed:
                # The log has the first failure by itself, and a traceback would repeat it.
                raised.__context__ = None
        print(textwrap.indent(traceback.format_exc(), "while it was closed: "), file=sys.stderr, flush=True)


@contextmanager
def closing_after_failure(close: Callable[[], None]) -> Iterator[None]:
    """Within it an engine starts. If that fails, `close` stops what has started: what it raises is not told, as it is not why."""
    try:
        yield
    except BaseException as failed:
        close_after_failure(close, failed)
        raise
