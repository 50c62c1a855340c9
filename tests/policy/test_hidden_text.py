"""What a person cannot see does not reach a model; what honest writing needs stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.policy.hidden_text import hidden_spans, without_hidden


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a\u200bb\u2060c\ufeffd", "abcd"),
        ("soft\u00adhyphen", "softhyphen"),
        ("user\u202e\u2066nimda\u2069", "usernimda"),
        ("a\u061c\u200e\u200fb", "ab"),
        ("ok\U000e0049\U000e0067\U000e007f", "ok"),
        ("\U000e0100\U000e01ef", ""),
        ("a\ufe00b\ufe0fc", "abc"),
        ("\u3164\ufe0f\u115f\uffa0x", "x"),
        ("a\u200d\u200cb", "ab"),
        ("a\x00b\x08c\x7fd\x85e", "abcde"),
        ("one\r\ntwo\tthree", "one\ntwo\tthree"),
        ("\x1b[31;1mred\x1b[0m \x9b2Jx", "red x"),
        ("\x1b]8;;https://evil.example\x07link\x1b]8;;\x1b\\", "link"),
        ("\x1b]0;title\x9cx\x1bPq\x1b\\y", "xy"),
        ("\x1bcreset\x1b(Bx", "resetx"),
        ("\x1b]0;never closed", "0;never closed"),
        ("\x1b\x1b[0m[31m", "[31m"),
    ],
)
def test_what_is_hidden_goes(text: str, left: str) -> None:
    assert without_hidden(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "plain text, \u00e9t\u00e9, \u6f22\u5b57, \u2028",
        "\u2764\ufe0f 1\ufe0f\u20e3",
        "\U0001f469\u200d\u2764\ufe0f\u200d\U0001f468 \U0001f44d\U0001f3fd",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "\u0915\u094d\u200d\u0937",
        "[31m is no escape",
    ],
)
def test_honest_writing_stays(text: str) -> None:
    assert without_hidden(text) == text


ALPHABET = "a1\u200b\u200c\u200d\ufe0f\u061c\u0627\u3164\u2764\U0001f469\U000e0041\x1b[]0m\x07\\\x9b\x9c"


@given(st.text(ALPHABET, max_size=12))
def test_nothing_hidden_is_left_behind(text: str) -> None:
    left = without_hidden(text)
    assert without_hidden(left) == left
    assert not {"\x1b", "\u200b", "\u061c", "\U000e0041", "\x9b"} & set(left)


def test_escapes_that_never_end_are_done_in_one_pass() -> None:
    for opener in ("\x1b]", "\x1b[", "\x1bP", "\x9d"):
        assert "\x1b" not in without_hidden(opener * 100_000 + "1" * 100_000)


@given(st.text(ALPHABET, max_size=12))
def test_the_spans_are_what_goes(text: str) -> None:
    gone = {at for span in hidden_spans(text) for at in span}
    assert "".join(char for at, char in enumerate(text) if at not in gone) == without_hidden(text)
