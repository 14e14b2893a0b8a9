"""Programs beside a driver, what Java is told, and addresses."""

from __future__ import annotations

import socket
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from crossrun_engine import UnavailableError, executors, java
from crossrun_engine.network import bracketed, free_address, reach, split_address
from crossrun_engine.program import Program


def program(code: str, seconds: float = 600) -> tuple[Program, Path]:
    """One that runs this code, and the file that it prints to."""
    output = Path(tempfile.mkdtemp()) / "output"
    return Program([sys.executable, "-c", code], output, "is ready", seconds), output


class Programs(unittest.TestCase):
    def test_it_is_there_once_it_has_said_so_and_ends_when_it_is_closed(self) -> None:
        started, output = program("import time; print('it is ready', flush=True); time.sleep(600)")
        self.assertEqual(output.read_text().strip(), "it is ready")
        started.close(600)
        self.assertIsNotNone(started._process.returncode)

    def test_one_that_does_not_end_is_killed(self) -> None:
        ignores = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('is ready', flush=True)"
        started, _ = program(f"{ignores}; time.sleep(600)")
        started.close(0.1)
        self.assertEqual(started._process.returncode, -9)

    def test_why_it_is_not_there_is_its_last_line(self) -> None:
        with self.assertRaisesRegex(OSError, "^no room$"):
            program("print('begun'); print('no room')")
        with self.assertRaisesRegex(OSError, "ended with code 3 and printed nothing"):
            program("raise SystemExit(3)")
        with self.assertRaisesRegex(OSError, "^not ready within 0 s"):
            program("import time; time.sleep(600)", 0)


class Java(unittest.TestCase):
    def test_a_value_is_one_word_of_its_options(self) -> None:
        told = java.options({"a.b": "of words", "c": 'a "quoted" \\'})
        self.assertEqual(told, '-XX:-UsePerfData -Da.b="of words" -Dc="a \\"quoted\\" \\\\"')

    def test_the_path_of_a_log_is_one_that_java_reads(self) -> None:
        told = java.logging_properties(Path("/h/é \\😀/spark.log"))
        # Java reads such a file as Latin-1, with two units of UTF-16 for a letter beyond them.
        self.assertIn("\nappender.file.fileName = /h/\\u00e9 \\u005c\\ud83d\\ude00/spark.log\n", told)

    def test_a_user_without_a_name_gets_one(self) -> None:
        folder = Path("/tmp/here")
        with mock.patch("pwd.getpwuid"):
            self.assertEqual((java.user_name(), java.properties(folder)), (None, {"java.io.tmpdir": "/tmp/here"}))
        with mock.patch("pwd.getpwuid", side_effect=KeyError), mock.patch("os.getuid", return_value=4711):
            told = java.properties(folder)
        self.assertEqual(told, {"java.io.tmpdir": "/tmp/here", "user.home": "/tmp/here", "user.name": "user4711"})

    def test_an_exception_is_one_line(self) -> None:
        thrown = RuntimeError("py4j")
        thrown.java_exception = mock.Mock(toString=lambda: "java.io.IOException: full\n\tat X")  # type: ignore[attr-defined]
        told = [java.first_line(error) for error in (thrown, ValueError("one\ntwo"), ValueError())]
        self.assertEqual(told, ["java.io.IOException: full", "one", "ValueError"])

    def test_what_python_raised_in_a_worker_is_told(self) -> None:
        lost = "a.B: lost: c.PythonException: "
        trace = 'Traceback (most recent call last):\n  File "w.py", line 1, in main\n    go()\nOSError: no room\nmore'
        thrown = RuntimeError("py4j")
        java_error = mock.Mock(toString=lambda: f"{lost}{trace}\n\n\tat org.X\nDriver stacktrace:")
        thrown.java_exception = java_error  # type: ignore[attr-defined]
        self.assertEqual(java.first_line(thrown), f"{lost}OSError: no room")


class Left(executors.Executors):
    """A cluster of two machines of a core each, of which one is lost."""

    def all(self) -> list[executors.Executor]:
        """Both, and then one."""
        self.asked = getattr(self, "asked", 0) + 1
        return [executors.Executor(name, name, 1, name == "a" or self.asked == 1, "") for name in ("a", "b")]


class Executors(unittest.TestCase):
    def test_a_run_does_not_begin_on_fewer_cores(self) -> None:
        left = Left("cluster", 1)
        left.begin(2)
        with self.assertRaises(UnavailableError) as caught:
            left.begin(2)
        self.assertEqual(caught.exception.remedy, "--parallelism 1")


class Addresses(unittest.TestCase):
    def test_this_machine_is_known_as_the_peer_reaches_it(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            address = f"127.0.0.1:{listener.getsockname()[1]}"
            self.assertEqual(reach(address, 60), "127.0.0.1")
        with self.assertRaises(OSError):
            reach(address, 60)
        host, port = split_address(free_address(address))
        self.assertEqual(host, "127.0.0.1")
        socket.create_server((host, port)).close()

    def test_an_ipv6_address_stands_in_brackets_before_a_port(self) -> None:
        for host, expected in (("10.0.0.1", "10.0.0.1"), ("a.example", "a.example"), ("fd00::1", "[fd00::1]")):
            self.assertEqual(bracketed(host), expected)
            self.assertEqual(split_address(f"{bracketed(host)}:80"), (host, 80))

    def test_an_address_may_have_brackets_and_is_no_url(self) -> None:
        for address, host in (("host:80", "host"), (" [::1]:80\n", "::1"), ("::1:80", "::1")):
            self.assertEqual(split_address(address), (host, 80))
        for address in ("auto", "host", ":80", "[]:80", "host:0", "host:65536", "host:x", "ray://host:80"):
            with self.assertRaisesRegex(ValueError, "is no address: write host:port"):
                split_address(address)


if __name__ == "__main__":
    unittest.main()
