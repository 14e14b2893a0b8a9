"""What a driver of an engine in Java says to its Java process."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from pathlib import Path

_LOGGING = """rootLogger.level = error
rootLogger.appenderRef.file.ref = file
appender.file.type = File
appender.file.name = file
appender.file.fileName = {path}
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{{yy/MM/dd HH:mm:ss}} %p %c: %m%n%ex
"""


# With it the first line of what Python raised in a worker ends.
_TRACEBACK = "Traceback (most recent call last):"


def logging_properties(log: Path) -> str:
    """The content of a file `log4j2.properties`: errors go to the file `log`, and nothing else does."""
    return _LOGGING.format(path=_escaped(str(log)))


def _escaped(value: str) -> str:
    """A value of a file of properties, which Java reads as Latin-1, and in which a backslash has a meaning."""
    encoded = value.encode("utf-16-be")
    units = (int.from_bytes(encoded[at : at + 2], "big") for at in range(0, len(encoded), 2))
    return "".join(chr(unit) if 32 <= unit < 127 and unit != ord("\\") else f"\\u{unit:04x}" for unit in units)


def user_name() -> str | None:
    """A name for a user whose number has none, as in a container; `None` if it has one. Java does not find any then."""
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        return f"user{os.getuid()}"
    return None


def properties(folder: Path) -> dict[str, str]:
    """Where Java puts files: into the folder. For a user without a name, who the user is as well."""
    name = user_name()
    return {"java.io.tmpdir": str(folder), **({"user.home": str(folder), "user.name": name} if name else {})}


def options(values: Mapping[str, str]) -> str:
    """The properties as options of Java in one line, each as one word of it. Java leaves no file of its own then."""
    words = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values.values())
    return " ".join(["-XX:-UsePerfData", *(f'-D{name}="{word}"' for name, word in zip(values, words))])


def first_line(error: BaseException) -> str:
    """The first line of an exception of Java, or of Python. Of one that Python raised in a worker of Java's, with what it raised."""
    java = getattr(error, "java_exception", None)
    lines = str(java.toString() if java is not None else error).splitlines()
    if not lines:
        return type(error).__name__
    if not lines[0].endswith(_TRACEBACK):
        return lines[0]
    # Calls are indented, and what was raised comes after the last of them; then come those of Java.
    calls = [number for number, line in enumerate(lines) if line.startswith("  File ")]
    after = lines[calls[-1] + 1 :] if calls else lines[1:]
    raised = next((line for line in after if line and not line[0].isspace()), _TRACEBACK)
    return lines[0].removesuffix(_TRACEBACK) + raised
