"""The last error and the warnings in what an engine prints."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from crossrun_engine import InvalidSpecError, SessionFolder, UnavailableError
from crossrun_engine.output import Printed, last_error, last_error_in
from crossrun_engine.startup import closing_after_failure, importing, starting

JAVA = """Picked up SOMETHING: -XX:+NoSuchFlag
Unrecognized VM option 'NoSuchFlag'
Error: Could not create the Java Virtual Machine.
Error: A fatal exception has occurred. Program will exit.
"""
IVY = """:: loading settings
Exception in thread "main" java.lang.IllegalArgumentException: basedir must be absolute: ?/.ivy2.5.2/local
\tat org.apache.ivy.util.Checks.checkAbsolute(Checks.java:48)
\tat java.lang.Error.<init>(Error.java:1)
"""
NANNY = """2026-11-26 21:00:00,123 - distributed.nanny - ERROR - Failed to start process
Traceback (most recent call last):
  File "nanny.py", line 1, in start
RuntimeError: no more processes
2026-11-26 21:00:01,123 - distributed.nanny - INFO - Closing
"""
RAYLET = """[2026-11-26 21:00:00,123 I 12 12] (raylet) main.cc:1: started
[2026-11-26 21:00:00,124 E 12 12] (raylet) main.cc:2: no room in /dev/shm
[2026-11-26 21:00:00,125 I 12 12] (raylet) main.cc:3: exiting
"""
SMALL = (
    "2026-11-26 21:00:00,000\t\x1b[33mWARNING services.py:2070 -- WARNING: The object store is using /tmp\x1b[39m\n"
    "2026-11-26 21:00:00,000\tINFO worker.py:1 -- started\n"
    "/x/diskutils.py:12: UserWarning: Creating scratch directories is slow\n  warnings.warn(\n"
    "/x/a.py:3: FutureWarning: soon\n"
    "WARNING: Using incubator modules: x\n"
    'Setting default log level to "WARN".\n'
)


class Errors(unittest.TestCase):
    def test_the_line_that_says_why_is_found(self) -> None:
        cases = [
            (JAVA, "Unrecognized VM option 'NoSuchFlag'"),
            (IVY, IVY.splitlines()[1]),
            (NANNY, "RuntimeError: no more processes"),
            (RAYLET, RAYLET.splitlines()[1]),
            ("all is well\n", ""),
            ("", ""),
        ]
        for text, expected in cases:
            self.assertEqual(last_error(text), expected)

    def test_it_is_looked_for_in_the_file_that_was_written_last(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for number, (file, text) in enumerate(
                [("a.err", NANNY), ("b.out", RAYLET), ("c.out", ""), ("d.log", JAVA)]
            ):
                (folder / file).write_text(text)
                os.utime(folder / file, (number, number))
            self.assertEqual(last_error_in(folder, "*.[eo]*"), RAYLET.splitlines()[1])
            self.assertEqual(last_error_in(folder / "none", "*"), "")


class Starting(unittest.TestCase):
    def test_an_engine_that_does_not_start_is_told_with_its_last_error(self) -> None:
        folder = SessionFolder("crossrun-test-")
        self.addCleanup(folder.close)
        (folder.path / "one" / "logs").mkdir(parents=True)
        (folder.path / "one" / "logs" / "raylet.out").write_text(RAYLET)
        folder.keep("o*/logs", folder.path / "kept")
        folder.keep("o*/logs", folder.path / "kept")
        says = f"Ray did not start: it broke; its last error: {RAYLET.splitlines()[1]}"
        with self.assertRaises(UnavailableError) as told, starting("Ray", folder.path / "kept", "*.out"):
            raise RuntimeError("it\nbroke")
        self.assertEqual(str(told.exception), says)
        with self.assertRaises(InvalidSpecError), starting("Ray", folder.path, "*.out"):
            raise InvalidSpecError("odd")
        with self.assertRaises(UnavailableError) as told, importing("Ray", "ray"):
            raise ImportError("no module")
        self.assertEqual(str(told.exception), "Ray cannot be imported: ImportError: no module")
        self.assertEqual(told.exception.remedy, "crossrun setup ray --remove && crossrun setup ray")

    def closed_after(self, raised: BaseException, fails: BaseException) -> str:
        """What is printed where something starts and raises one, and to close it raises the other."""
        close, printed = mock.Mock(side_effect=fails), io.StringIO()
        reason = self.assertRaises(type(raised))
        with contextlib.redirect_stderr(printed), reason as caught, closing_after_failure(close):
            raise raised
        self.assertIs(caught.exception, raised)
        self.assertEqual(close.call_count, 1)
        return printed.getvalue()

    def test_what_has_started_is_closed_and_what_fails_then_is_printed_and_not_the_reason(self) -> None:
        for raised in (RuntimeError("no room"), KeyboardInterrupt()):
            for fails, told in ((OSError("it is in use"), "OSError: it is in use"), (SystemExit(3), "SystemExit: 3")):
                printed = self.closed_after(raised, fails)
                self.assertIn(f"while it was closed: {told}", printed.splitlines())
                self.assertNotIn(type(raised).__name__, printed)

    def test_what_has_started_stays_open_if_nothing_fails(self) -> None:
        close = mock.Mock()
        with closing_after_failure(close):
            pass
        self.assertEqual(close.call_count, 0)


class Warnings(unittest.TestCase):
    def test_each_is_told_once_and_what_is_usual_is_not(self) -> None:
        with tempfile.TemporaryFile() as file:
            saved = os.dup(2)
            os.dup2(file.fileno(), 2)
            try:
                os.write(2, b"WARNING: before\n")
                printed = Printed()
                os.write(2, (SMALL + SMALL).encode())
                warnings, error = printed.warnings(("Using incubator modules",)), printed.last_error()
            finally:
                os.dup2(saved, 2)
                os.close(saved)
        expected = ["The object store is using /tmp", "Creating scratch directories is slow"]
        self.assertEqual((warnings, error), (expected, ""))

    def test_what_was_printed_is_found_in_a_log_that_was_cut(self) -> None:
        with tempfile.TemporaryFile() as file:
            saved = os.dup(2)
            os.dup2(file.fileno(), 2)
            try:
                os.write(2, b"of an earlier session\n" * 99)
                printed = Printed()
                os.ftruncate(2, 0)
                os.lseek(2, 0, os.SEEK_SET)
                os.write(2, JAVA.encode())
                error = printed.last_error()
            finally:
                os.dup2(saved, 2)
                os.close(saved)
        self.assertEqual(error, "Unrecognized VM option 'NoSuchFlag'")

    def test_what_is_no_file_has_none(self) -> None:
        reader, writer = os.pipe()
        saved = os.dup(2)
        os.dup2(writer, 2)
        try:
            printed = Printed()
            os.write(2, b"WARNING: x\n")
            self.assertEqual(printed.warnings(), [])
        finally:
            os.dup2(saved, 2)
            for descriptor in (saved, reader, writer):
                os.close(descriptor)


if __name__ == "__main__":
    unittest.main()
