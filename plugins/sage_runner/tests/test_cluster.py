"""How a session connects to nodes. Needs no SAGE."""

from __future__ import annotations

import contextlib
import importlib
import io
import sys
import threading
import unittest
from typing import Any
from unittest import mock

from crossrun_engine import UnavailableError, UnsupportedError

SAGE = ("sage.runtime.flownet", "sage.runtime.flownet.runtime.actors.comm_bridge")


def without_sage() -> Any:
    """The module `cluster`, on something that only looks like SAGE."""
    with mock.patch.dict(sys.modules, {name: mock.MagicMock() for name in SAGE}):
        return importlib.import_module("cluster")


class Connecting(unittest.TestCase):
    def refused(self, module: Any, raised: Exception, reason: type[Exception]) -> str:
        """Why a session does not start whose node raises that, and whose connection cannot be ended."""
        session = mock.Mock()
        session.shutdown.side_effect = RuntimeError("the server is gone")
        fakes: dict[str, Any] = {"connect": lambda **_: session, "free_address": lambda _: "127.0.0.1:2"}
        calls, printed = mock.patch.object(module.Cluster, "call", side_effect=raised), io.StringIO()
        raises = self.assertRaises(reason)
        with mock.patch.multiple(module, **fakes), calls, contextlib.redirect_stderr(printed), raises as caught:
            module.Cluster(["127.0.0.1:1"], 1.0, 1)
        self.assertEqual(session.shutdown.call_count, 1)
        self.assertIn("while it was closed: RuntimeError: the server is gone", printed.getvalue().splitlines())
        return str(caught.exception)

    def test_what_fails_in_leaving_is_not_why_a_session_does_not_start(self) -> None:
        module = without_sage()
        told = self.refused(module, module.NodeError("the node is gone"), UnavailableError)
        self.assertEqual(told, "the FlowNet nodes cannot be used: the node is gone")
        self.assertEqual(self.refused(module, UnsupportedError("no slot"), UnsupportedError), "no slot")
        for thread in threading.enumerate():
            if thread.name == "crossrun-cluster":
                thread.join(60)
                self.assertFalse(thread.is_alive())


if __name__ == "__main__":
    unittest.main()
