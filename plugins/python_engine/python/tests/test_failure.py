"""What an exception means to the host."""

from __future__ import annotations

import json
import pickle
import threading
import unittest
from pathlib import Path
from typing import Any

from crossrun_engine import (
    CancelledError,
    EngineError,
    InvalidSpecError,
    RunContext,
    Session,
    Spec,
    UnavailableError,
    UnsupportedError,
    WorkloadError,
)
from crossrun_engine.failure import describe
from crossrun_engine.loop import _line


def caught(raising: Any) -> BaseException:
    try:
        raising()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


class Describing(unittest.TestCase):
    def test_each_kind_is_told(self) -> None:
        cases = [
            (UnsupportedError("no", "do"), "unsupported", "no", "do"),
            (UnavailableError("gone"), "unavailable", "gone", None),
            (InvalidSpecError("odd"), "invalid_spec", "odd", None),
            (EngineError("node 2 died", "try again"), "engine", "node 2 died", "try again"),
            (CancelledError(), "cancelled", "the run was cancelled by the host", None),
            (WorkloadError(4, "broke"), "workload", "broke", None),
            (WorkloadError(3, "unknown"), "invalid_spec", "unknown", None),
        ]
        for error, kind, message, remedy in cases:
            self.assertEqual(describe(error), {"kind": kind, "message": message, "remedy": remedy})
            again = pickle.loads(pickle.dumps(error))
            self.assertEqual(describe(again), describe(error))

    def test_what_an_engine_wrapped_is_found(self) -> None:
        def with_cause() -> None:
            raise RuntimeError("task 7 failed") from WorkloadError(4, "item 7 is bad")

        def while_handling() -> None:
            try:
                raise WorkloadError(4, "item 7 is bad")
            except WorkloadError:
                raise RuntimeError("task 7 failed")  # noqa: B904 - a cause that is not given

        for raising in (with_cause, while_handling):
            self.assertEqual(describe(caught(raising))["message"], "item 7 is bad")

    def test_what_was_handled_on_purpose_is_not(self) -> None:
        def instead() -> None:
            try:
                raise WorkloadError(4, "a first try")
            except WorkloadError:
                raise RuntimeError("the second try failed") from None

        self.assertEqual(describe(caught(instead))["kind"], "engine")

    def test_any_other_is_one_line_with_its_place(self) -> None:
        def raising() -> None:
            raise ValueError("two\nlines")

        message = describe(caught(raising))["message"] or ""
        self.assertRegex(message, r"^ValueError: two lines \(test_failure\.py:\d+\)$")

    def test_a_chain_that_bites_its_tail_ends(self) -> None:
        one, two = RuntimeError("one"), RuntimeError("two")
        one.__cause__, two.__cause__ = two, one
        self.assertEqual(describe(one)["kind"], "engine")


class Context(unittest.TestCase):
    def setUp(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.cancel = threading.Event()
        self.context = RunContext(Path("."), self.cancel, self.sent.append)

    def test_progress_is_thinned_but_its_end_is_told(self) -> None:
        for done in range(10_001):
            self.context.progress(done, 10_000)
        self.assertLess(len(self.sent), 100)
        self.assertEqual(self.sent[-1], {"type": "progress", "done": 10_000, "total": 10_000})

    def test_a_log_record_has_a_level(self) -> None:
        self.context.log("warn", "a word")
        self.assertEqual(self.sent, [{"type": "log", "level": "warn", "message": "a word"}])
        with self.assertRaisesRegex(ValueError, "loud"):
            self.context.log("loud", "a word")

    def test_cancelling_is_seen(self) -> None:
        self.assertFalse(self.context.cancelled())
        self.cancel.set()
        self.assertTrue(self.context.cancelled())


class Lines(unittest.TestCase):
    def test_bytes_that_are_not_utf_8_leave_a_line_that_can_be_read(self) -> None:
        message = b"no /tmp/d\xe9 or \xc3\xa9".decode(errors="surrogateescape")
        line = _line({"type": "failed", "message": message}).decode()
        self.assertEqual(line, '{"type":"failed","message":"no /tmp/d? or \u00e9"}\n')
        self.assertEqual(json.loads(line)["message"], "no /tmp/d? or \u00e9")


class Specs(unittest.TestCase):
    def test_options_have_their_defaults(self) -> None:
        message = {"schema": 1, "name": "null", "total_items": 10, "parallelism": 2, "of_a_later_version": 1}
        message.update({"scheduler_name": "default", "seed": 2**64 - 1, "extra": {}})
        spec = Spec.of(message)
        self.assertEqual((spec.batch_size, spec.fusion, spec.seed), (1, "auto", 2**64 - 1))
        message["extra"] = {"batch_size": 64, "fusion": "off"}
        spec = pickle.loads(pickle.dumps(Spec.of(message)))
        self.assertEqual((spec.batch_size, spec.fusion), (64, "off"))

    def test_more_machines_than_there_are_have_a_remedy_that_can_be_followed(self) -> None:
        session = Session(2, 3, {}, Path("."), Path("."))
        session.demand_nodes(3, "more machines")
        for found, remedy in ((2, "--nodes 2, or more machines"), (0, "more machines")):
            with self.assertRaises(UnavailableError) as caught:
                session.demand_nodes(found, "more machines")
            self.assertEqual(caught.exception.remedy, remedy)
        with self.assertRaisesRegex(UnsupportedError, "runs on one machine"):
            session.demand_nodes(1)


if __name__ == "__main__":
    unittest.main()
