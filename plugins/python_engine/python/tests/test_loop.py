"""What a driver answers: an engine that started in part, and the Python that runs it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import platform
import sys
import tempfile
import threading
import unittest
from typing import Any
from unittest import mock

from example_driver import ExampleDriver

from crossrun_engine import Session
from crossrun_engine.loop import _answer, _python


class HalfOpen(ExampleDriver):
    """Starts its engine, or nothing, and fails then."""

    def open(self, session: Session) -> None:
        if session.options["starts"]:
            super().open(session)
        raise RuntimeError("the rest did not start")


class Opening(unittest.TestCase):
    def answer(self, driver: HalfOpen, starts: bool) -> dict[str, Any]:
        """It says why the driver did not open."""
        session: dict[str, Any] = {"parallelism": 2, "nodes": 1, "options": {"starts": starts}}
        session.update(data_dir=".", log_dir=".")
        channel = mock.Mock(cancel=threading.Event())
        answer: dict[str, Any] = json.loads(_answer(driver, {"type": "open", "session": session}, channel))
        self.assertEqual((answer["type"], answer["kind"]), ("failed", "engine"))
        self.assertIn("RuntimeError: the rest did not start", answer["message"])
        return answer

    def opened(self, driver: HalfOpen, starts: bool) -> str:
        """What is printed meanwhile."""
        with contextlib.redirect_stderr(io.StringIO()) as printed:
            self.answer(driver, starts)
        return printed.getvalue()

    def test_what_has_started_when_an_open_fails_is_closed(self) -> None:
        driver = HalfOpen()
        self.opened(driver, starts=True)
        with self.assertRaisesRegex(RuntimeError, "after shutdown"):
            driver.pool.executor.submit(print)
        self.assertNotIn("closed", self.opened(HalfOpen(), starts=False))

    def test_what_fails_in_closing_is_not_the_reason(self) -> None:
        driver = HalfOpen()
        for raised, told in ((KeyError("pool"), "KeyError: 'pool'"), (SystemExit(3), "SystemExit: 3")):
            with mock.patch.object(driver, "close", side_effect=raised):
                printed = self.opened(driver, starts=False)
            self.assertIn(f"while it was closed: {told}", printed.splitlines())
            self.assertEqual(printed.count("RuntimeError: the rest did not start"), 1)

    def test_the_reason_is_printed_before_it_is_closed(self) -> None:
        driver, before = HalfOpen(), list[str]()

        def close() -> None:
            log: Any = sys.stderr
            before.append(log.getvalue())

        with mock.patch.object(driver, "close", close):
            self.opened(driver, starts=True)
        self.assertIn("RuntimeError: the rest did not start", before[0])
        driver.close()

    def test_what_an_engine_prints_while_it_is_closed_is_not_its_last_error(self) -> None:
        driver, saved = HalfOpen(), os.dup(2)
        with tempfile.TemporaryFile() as log:
            os.dup2(log.fileno(), 2)
            try:
                with mock.patch.object(driver, "close", lambda: os.write(2, b"ERROR: the connection is lost\n")):
                    answer = self.answer(driver, starts=False)
            finally:
                os.dup2(saved, 2)
                os.close(saved)
        self.assertNotIn("the connection is lost", answer["message"])

    def test_a_run_whose_library_is_gone_is_closed_too(self) -> None:
        driver, channel = ExampleDriver(), mock.Mock(cancel=threading.Event())
        spec = {"name": "null", "total_items": 1, "parallelism": 1, "scheduler_name": "default", "seed": 7}
        request = {"type": "run", "library": "/none.so", "sha256": "0" * 64, "spec": spec, "log_dir": "."}
        with mock.patch.object(driver, "close") as close, contextlib.redirect_stderr(io.StringIO()):
            answer = json.loads(_answer(driver, request, channel))
        self.assertEqual((answer["type"], close.call_count), ("failed", 1))

    def test_a_close_that_fails_is_not_repeated(self) -> None:
        driver, channel = ExampleDriver(), mock.Mock(cancel=threading.Event())
        failing = mock.patch.object(driver, "close", side_effect=KeyError("pool"))
        with failing as close, contextlib.redirect_stderr(io.StringIO()):
            answer = json.loads(_answer(driver, {"type": "close"}, channel))
        self.assertEqual((answer["type"], close.call_count), ("failed", 1))


class Python(unittest.TestCase):
    def test_another_kind_of_python_is_told_apart(self) -> None:
        kinds = [("CPython", "", ""), ("CPython", "t", " (free-threaded)"), ("PyPy", "", " (PyPy)")]
        for implementation, flags, told in kinds:
            named = mock.patch.object(platform, "python_implementation", return_value=implementation)
            with named, mock.patch.object(sys, "abiflags", flags, create=True):
                self.assertEqual(_python(), platform.python_version() + told)


if __name__ == "__main__":
    unittest.main()
