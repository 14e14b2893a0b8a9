"""What a driver answers: an engine that started in part, and the Python that runs it."""

from __future__ import annotations

import contextlib
import io
import json
import platform
import sys
import threading
import unittest
from typing import Any
from unittest import mock

from example_driver import ExampleDriver

from crossrun_engine import Session
from crossrun_engine.loop import _answer, _python
from crossrun_engine.output import last_error


class HalfOpen(ExampleDriver):
    """Starts its engine, or nothing, and fails then."""

    def open(self, session: Session) -> None:
        if session.options["starts"]:
            super().open(session)
        raise RuntimeError("the rest did not start")


class Opening(unittest.TestCase):
    def opened(self, driver: HalfOpen, starts: bool) -> str:
        """What is printed. The answer says why it did not open."""
        session: dict[str, Any] = {"parallelism": 2, "nodes": 1, "options": {"starts": starts}}
        session.update(data_dir=".", log_dir=".")
        channel = mock.Mock(cancel=threading.Event())
        with contextlib.redirect_stderr(io.StringIO()) as printed:
            answer = json.loads(_answer(driver, {"type": "open", "session": session}, channel))
        self.assertEqual((answer["type"], answer["kind"]), ("failed", "engine"))
        self.assertIn("RuntimeError: the rest did not start", answer["message"])
        return printed.getvalue()

    def test_what_has_started_when_an_open_fails_is_closed(self) -> None:
        driver = HalfOpen()
        self.opened(driver, starts=True)
        with self.assertRaisesRegex(RuntimeError, "after shutdown"):
            driver.pool.executor.submit(print)
        self.assertNotIn("closed", self.opened(HalfOpen(), starts=False))

    def test_what_fails_in_closing_is_not_the_reason(self) -> None:
        driver = HalfOpen()
        with mock.patch.object(driver, "close", side_effect=KeyError("pool")):
            printed = self.opened(driver, starts=False)
        of_closing = [line for line in printed.splitlines() if line.startswith("while it was closed: ")]
        self.assertIn("while it was closed: KeyError: 'pool'", of_closing)
        # What is printed last is the reason, but it is not printed when it is told.
        self.assertEqual(last_error("\n".join(of_closing)), "")


class Python(unittest.TestCase):
    def test_another_kind_of_python_is_told_apart(self) -> None:
        kinds = [("CPython", "", ""), ("CPython", "t", " (free-threaded)"), ("PyPy", "", " (PyPy)")]
        for implementation, flags, told in kinds:
            named = mock.patch.object(platform, "python_implementation", return_value=implementation)
            with named, mock.patch.object(sys, "abiflags", flags, create=True):
                self.assertEqual(_python(), platform.python_version() + told)


if __name__ == "__main__":
    unittest.main()
