"""What a driver says of the Python that runs it."""

from __future__ import annotations

import platform
import sys
import unittest
from unittest import mock

from crossrun_engine.loop import _python


class Python(unittest.TestCase):
    def test_another_kind_of_python_is_told_apart(self) -> None:
        kinds = [("CPython", "", ""), ("CPython", "t", " (free-threaded)"), ("PyPy", "", " (PyPy)")]
        for implementation, flags, told in kinds:
            named = mock.patch.object(platform, "python_implementation", return_value=implementation)
            with named, mock.patch.object(sys, "abiflags", flags, create=True):
                self.assertEqual(_python(), platform.python_version() + told)


if __name__ == "__main__":
    unittest.main()
