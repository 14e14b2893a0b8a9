"""Closing by watermarks: slices that are done in any order give the answer of a run that emits at the end."""

from __future__ import annotations

import hashlib
import json
import os
import random
import unittest
from pathlib import Path
from typing import Any

from crossrun_engine import Closing, End, Owners, Phase, State, Workload, WorkloadError, emitted, item_count, phases

LIBRARY = os.environ["CROSSRUN_TEST_LIBRARY"]
EVENTS, SLICE = 9000, 100


def workload(name: str, **extra: Any) -> Workload:
    """A query that may close."""
    sha256 = hashlib.sha256(Path(LIBRARY).read_bytes()).hexdigest()
    spec = {"schema": 1, "name": name, "total_items": EVENTS, "extra": extra, "use": ["watermarks"]}
    return Workload(LIBRARY, sha256, json.dumps(spec))


class Sink:
    """The end of the last phase."""

    def __init__(self, opened: Workload, phase: Phase) -> None:
        self.phase = phase
        self.state = opened.new_sink()

    def fold(self, batch: bytes) -> None:
        """Folds a batch."""
        self.state.fold(batch)

    def merged(self, partition: int) -> State:
        """The state."""
        return self.state


def run(opened: Workload, order: random.Random, closes: bool) -> tuple[dict[str, Any], int]:
    """The outcome, and how many bytes the states of the reductions had at the end of the input."""
    *reduced, last = phases(opened, 3)
    ends: list[End] = [*(Owners(opened, phase) for phase in reduced), Sink(opened, last)]
    closing = Closing(opened, ends, 10)
    waiting, begun = list(range(0, EVENTS, SLICE)), list[int]()
    while waiting or begun:
        while waiting and len(begun) < 4:
            begun.append(waiting.pop(0))
        first = begun.pop(order.randrange(len(begun)))
        ends[0].fold(opened.source(first, SLICE, ends[0].phase.end))
        if closes:
            closing.finish(first, SLICE)
    left = sum(len(end.merged(partition).encode()) for end in ends[:-1] for partition in range(3))
    for end, following in zip(ends, ends[1:]):
        for partition in range(3):
            for batch in emitted(end.merged(partition), 10):
                following.fold(opened.run_stages(following.phase.start, following.phase.end, batch))
    return opened.outcome(ends[-1].merged(0).encode()), left


class Closes(unittest.TestCase):
    """Queries of the standard library."""

    def test_any_order_of_slices_gives_the_answer_and_keeps_what_is_open(self) -> None:
        """What is left of a query with short windows is a small part of what there was."""
        for name, extra in [
            ("nexmark_q5", {"window_ms": 500, "slide_ms": 100}),
            ("nexmark_q8", {"window_ms": 500}),
            ("nexmark_q11", {"gap_ms": 50}),
        ]:
            opened = workload(name, **extra)
            expected, whole = run(opened, random.Random(0), closes=False)
            for seed in range(4):
                outcome, left = run(opened, random.Random(seed), closes=True)
                self.assertEqual(outcome, expected, name)
                self.assertLess(left, whole / 2, name)

    def test_in_an_open_loop_each_slice_closes_what_is_due(self) -> None:
        """A window that has ended is at the sink before the slices of the next one are made."""
        opened = workload("nexmark_q7", window_ms=500, disorder=1, arrivals="constant", arrival_rate=10_000_000)
        first, last = phases(opened, 2)
        sink = Sink(opened, last)
        closing = Closing(opened, [owners := Owners(opened, first), sink], 10)
        seen = []
        for start in range(0, 3000, SLICE):
            owners.fold(opened.source(start, SLICE, first.end))
            closing.finish(start, SLICE)
            seen.append(opened.outcome(sink.state.encode())["count"])
        # An event has a millisecond, and no window has two highest bids.
        self.assertEqual(seen, [(start + SLICE) // 500 for start in range(0, 3000, SLICE)])

    def test_what_the_end_of_the_input_ends_is_left_to_all_threads(self) -> None:
        """Windows that ended before are closed, also in the same call."""
        opened = workload("nexmark_q7", window_ms=500, disorder=1)
        first, last = phases(opened, 2)
        sink = Sink(opened, last)
        closing = Closing(opened, [owners := Owners(opened, first), sink], 10)

        def results() -> int:
            count: int = opened.outcome(sink.state.encode())["count"]
            return count

        for start, count, closed in [(0, 5000, 10), (5000, EVENTS - 5000, 10)]:
            owners.fold(opened.source(start, count, first.end))
            closing.finish(start, count)
            self.assertEqual((closing.low, results()), (start + count, closed))
        for partition in range(2):
            for batch in emitted(owners.merged(partition), 10):
                sink.fold(opened.run_stages(last.start, last.end, batch))
        self.assertEqual(results(), EVENTS // 500)

    def test_a_state_says_before_which_time_nothing_more_ends(self) -> None:
        """Until something is folded or merged: then it must be asked again."""
        opened = workload("nexmark_q7", window_ms=500, disorder=1)
        first, _ = phases(opened, 1)
        state, never = opened.new_state(first.end), 2**64 - 1
        self.assertEqual(state.next_end, 0)
        state.fold(opened.source(0, 2000, first.end))
        self.assertEqual(state.next_end, 0)
        time = opened.watermark(1000)
        while item_count(state.emit_ended(time, 10)):
            pass
        next_end = state.next_end
        self.assertTrue(time < next_end < never, (time, next_end))
        self.assertEqual((item_count(state.emit_ended(next_end - 1, 10)), state.next_end), (0, next_end))
        self.assertGreater(item_count(state.emit_ended(next_end, 10)), 0)
        self.assertGreater(state.next_end, next_end)
        state.fold(opened.source(2000, SLICE, first.end))
        self.assertEqual(state.next_end, 0)
        state.emit_ended(time, 10)
        self.assertGreater(state.next_end, next_end)
        with opened.new_state(first.end) as other:
            other.fold(opened.source(2000 + SLICE, SLICE, first.end))
            state.merge(other.encode())
        self.assertEqual(state.next_end, 0)
        while item_count(state.emit_ended(never, 10)):
            pass
        self.assertEqual(state.next_end, never)

    def test_what_is_late_is_refused(self) -> None:
        """A slice that comes after what was made of it has been closed."""
        opened = workload("nexmark_q7", window_ms=10)
        first, last = phases(opened, 2)
        owners = Owners(opened, first)
        closing = Closing(opened, [owners, Sink(opened, last)], 10)
        closing.finish(0, 5000)
        with self.assertRaises(WorkloadError):
            owners.fold(opened.source(0, SLICE, first.end))


if __name__ == "__main__":
    unittest.main()
