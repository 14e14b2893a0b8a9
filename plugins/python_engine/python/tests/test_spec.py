"""How a driver reads its options."""

from __future__ import annotations

import unittest
from typing import Any

from crossrun_engine import InvalidSpecError, choice

WORDS = ("false", "true", "8")


class Choices(unittest.TestCase):
    def test_a_word_may_be_json_that_is_no_string(self) -> None:
        given: list[tuple[Any, str]] = [(True, "true"), ("true", "true"), (False, "false"), (8, "8"), ("8", "8")]
        for value, word in given:
            self.assertEqual(choice({"sync": value}, "sync", WORDS), word)
        self.assertEqual(choice({}, "sync", WORDS), "false")

    def test_what_is_no_word_is_refused(self) -> None:
        given: list[Any] = [[8], ["true"], {}, 2.0, 8.0, None, "True", ""]
        for value in given:
            with self.assertRaisesRegex(InvalidSpecError, "must be one of false, true, 8") as caught:
                choice({"sync": value}, "sync", WORDS)
            self.assertEqual(caught.exception.remedy, "--extra sync=false")

    def test_what_is_no_string_is_shown_as_it_was_given(self) -> None:
        given: list[tuple[Any, str]] = [(True, "true"), (None, "null"), (["a"], '["a"]'), ("true", "'true'")]
        for value, shown in given:
            with self.assertRaises(InvalidSpecError) as caught:
                choice({"sync": value}, "sync", ("auto", "off"))
            self.assertEqual(str(caught.exception), f"extra.sync is {shown}, but must be one of auto, off")


if __name__ == "__main__":
    unittest.main()
