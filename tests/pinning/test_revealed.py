"""Nothing in a text stays unseen, acts, or passes for something else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.pinning.revealed import quoted, revealed, unseen

TAGS = "".join(chr(0xE0000 + ord(char)) for char in "ignore all")
SELECTORS = "".join(chr((0xFE00 if ord(char) < 16 else 0xE0100 - 16) + ord(char)) for char in "hi\x01")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, 100 %", "plain text, 100 %"),
        ("a\u200bb", "a\\u{200B ZERO WIDTH SPACE}b"),
        ("a" + "\u200b" * 3, "a\\u{200B ZERO WIDTH SPACE, 3 times}"),
        ("\u202euser", "\\u{202E RIGHT-TO-LEFT OVERRIDE}user"),
        ("\x1b[31mred\x9b0m", "\\u{1B ESCAPE}[31mred\\u{9B CONTROL SEQUENCE INTRODUCER}0m"),
        ("\x1b]8;;http://x\x07", "\\u{1B ESCAPE}]8;;http://x\\u{7 BELL}"),
        ("\x01\r\x85", "\\u{1 CONTROL}\\u{D CARRIAGE RETURN}\\u{85 NEXT LINE}"),
        ("x" + TAGS, 'x\\u{E0069 TAGS, 10 characters that spell "ignore all"}'),
        (SELECTORS, '\\u{E0158 VARIATION SELECTORS, 3 characters that spell "hi."}'),
        ("\U000e0022" * 2, '\\u{E0022 TAGS, 2 characters that spell ".."}'),
        ("\U000e0041", "\\u{E0041 TAG LATIN CAPITAL LETTER A}"),
        ("a\ufe00", "a\\u{FE00 VARIATION SELECTOR-1}"),
        ("a\u00a0b\u2028", "a\\u{A0 NO-BREAK SPACE}b\\u{2028 LINE SEPARATOR}"),
        ("\ud800\ue000\U0003fffd", "\\u{D800 HALF A SURROGATE PAIR}\\u{E000 PRIVATE USE}\\u{3FFFD NO CHARACTER}"),
        ("d\u0435lete", "d\\u{435 CYRILLIC SMALL LETTER IE}lete"),
        ("one\n\ttwo \\n", "one\\n\\ttwo \\\\n"),
        ("\u27e6new", "\\u{27E6 MATHEMATICAL LEFT WHITE SQUARE BRACKET}new"),
        ("new\u27e7", "new\\u{27E7 MATHEMATICAL RIGHT WHITE SQUARE BRACKET}"),
        *((honest, honest) for honest in ("\u00e9t\u00e9 \u6f22\u5b57", "\u0434\u0430 \u03bcs", "\u2764\ufe0f")),
    ],
)
def test_what_is_hidden_is_named_and_the_rest_stays(text: str, shown: str) -> None:
    assert revealed(text) == shown


def test_fully_writes_out_whatever_is_none_of_ascii() -> None:
    assert revealed("caf\u00e9\n", fully=True) == "caf\\u{E9 LATIN SMALL LETTER E WITH ACUTE}\\n"


def test_quotes_inside_of_quotes_are_escaped() -> None:
    assert quoted('say "hi"') == '"say \\"hi\\""'


def test_what_is_unseen_is_told_once_each() -> None:
    found = ("\\u{200B ZERO WIDTH SPACE}", "\\u{1B ESCAPE}", "\\u{2028 LINE SEPARATOR}")
    assert unseen("a\u200bb\u200bc\x1b[0m\u2028") == found
    assert unseen("plain\n\u2764\ufe0f \u00a0") == ()


ALPHABET = "ae\u0435 \\nu{}20B\u200b\u202e\x1b[m\x07\U000e0041\ufe0f\u2764\ud800\u2028\u27e6\n\t\r\x9b"


@given(st.text(ALPHABET, max_size=12))
def test_nothing_that_acts_comes_out(text: str) -> None:
    for shown in (revealed(text), quoted(text, fully=True)):
        assert not set(shown) & set("\u200b\u202e\x1b\x07\U000e0041\ud800\u2028\u27e6\n\t\r\x9b")


@given(st.text(ALPHABET, max_size=6), st.text(ALPHABET, max_size=6))
def test_two_texts_never_come_out_as_one(one: str, other: str) -> None:
    assert (revealed(one, fully=True) == revealed(other, fully=True)) == (one == other)
