"""What an engine's processes print beside the driver's answers. They write to its standard error, a file of the session's logs."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection
from pathlib import Path

# How many bytes at the end of an output are read, and how many characters of a line and lines of warnings are told.
TAIL = 1 << 16
LONGEST = 400
MOST_WARNINGS = 8

# How Java, Python, Dask, and Ray's own processes begin a line of error.
_ERROR = re.compile(
    r"(Exception in thread|Caused by:|Error:|error:|fatal|FATAL|CRITICAL|ERROR)|([\w.]+(Error|Exception))(:|$)"
    r"|\S+ \S+ (- )?(ERROR|CRITICAL|FATAL)\b|\S+ - (ERROR|CRITICAL) -|\[\S+ \S+ [EF] |\S.* - (ERROR|CRITICAL) - "
)

# What only says that there was an error, on a line after the one that says which.
_VAGUE = re.compile(r"Error: (A fatal exception has occurred|Could not create the Java Virtual Machine)")

# How loggers and Python's own module begin a line of warning. What is deprecated is no matter of this machine.
_WARNING = re.compile(
    r"(?:^|[\s\]])WARN(?:ING)?[\s:]+(?:\S+:\d+ -- )?(?:WARNING:\s*)?|\b(?:User|Runtime|Resource)Warning: "
)

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class Printed:
    """What is printed from now on."""

    def __init__(self) -> None:
        self._start = _length()

    def last_error(self) -> str:
        """The last line of error; empty if there is none."""
        return last_error(self._text())

    def warnings(self, ignored: Collection[str] = ()) -> list[str]:
        """Each warning once, but for those that contain one of the `ignored` texts."""
        found: dict[str, None] = {}
        for line in _lines(self._text()):
            words = _WARNING.split(line, maxsplit=1)
            if len(words) > 1 and words[1] and not any(text in line for text in ignored):
                found.setdefault(words[1][:LONGEST])
        return list(found)[:MOST_WARNINGS]

    def _text(self) -> str:
        end = _length()
        # Of a log that grew too large, the host has kept the end alone.
        start = max(self._start if self._start <= end else 0, end - TAIL)
        try:
            return os.pread(2, end - start, start).decode(errors="replace") if end > start else ""
        except OSError:
            # It is open for writing only, as where a person starts the driver.
            return ""


def last_error(text: str) -> str:
    """The last line of error in an output; empty if there is none."""
    errors = [line for line in _lines(text) if _ERROR.match(line)]
    if errors and _VAGUE.match(errors[-1]):
        # Java says before that which option it does not know.
        lines = _lines(text)
        before = [line for line in lines[: lines.index(errors[-1])] if not _VAGUE.match(line)]
        errors = before or errors
    return errors[-1][:LONGEST] if errors else ""


def last_error_in(folder: Path, pattern: str) -> str:
    """The last line of error in the files of a folder whose names match: in the file that was written last, if it has one."""
    files = sorted(folder.glob(pattern), key=lambda file: file.stat().st_mtime, reverse=True)
    errors = (last_error(file.read_text(errors="replace")[-TAIL:]) for file in files if file.is_file())
    return next((error for error in errors if error), "")


def _lines(text: str) -> list[str]:
    return [line.strip() for line in _COLOURS.sub("", text).splitlines() if line.strip()]


def _length() -> int:
    found = os.fstat(2)
    return found.st_size if stat.S_ISREG(found.st_mode) else 0
