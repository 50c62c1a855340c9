r"""Text of somebody else with everything shown that is in it: nothing invisible, nothing that acts or is disguised.

Pure. What a person would not see, or would take for something else, is written as `\u{CODE NAME}`: control characters
and terminal escapes, zero-width characters, direction marks, tags, variation selectors, look-alikes among letters of
ASCII. What tags and selectors spell to a model is said. A backslash is doubled, a line break is `\n`, so that two
texts never come out as one, and one text is one line. Refuses to know where a text comes from.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import groupby
from typing import TYPE_CHECKING, Final

from mcpgov.pinning.lookalikes import lookalikes
from mcpgov.policy.hidden_text import hidden_spans

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

OPENING: Final = "\u27e6"  # around what changed in a text; one that stands in the text itself is written out
CLOSING: Final = "\u27e7"
TAGS: Final = range(0xE0000, 0xE0080)
_SELECTORS: Final = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))
_BROKEN: Final = re.compile("[\ud800-\udfff\u2028\u2029]")  # half a pair, and line ends that few expect
_PLAIN: Final[Mapping[str, str]] = {"\\": "\\\\", "\n": "\\n", "\t": "\\t"}
_CONTROLS: Final[Mapping[str, str]] = {  # those that terminals act upon; Unicode gives none of them a name
    "\0": "NULL",
    "\a": "BELL",
    "\b": "BACKSPACE",
    "\v": "LINE TABULATION",
    "\f": "FORM FEED",
    "\r": "CARRIAGE RETURN",
    "\x1b": "ESCAPE",
    "\x7f": "DELETE",
    "\x85": "NEXT LINE",
    "\x90": "DEVICE CONTROL STRING",
    "\x9b": "CONTROL SEQUENCE INTRODUCER",
    "\x9d": "OPERATING SYSTEM COMMAND",
}
_NAMELESS: Final[Mapping[str, str]] = {
    "Cc": "CONTROL",
    "Cs": "HALF A SURROGATE PAIR",
    "Co": "PRIVATE USE",
    "Cn": "NO CHARACTER",
}


def revealed(text: str, *, fully: bool = False) -> str:
    """`text` as one line in which everything shows; `fully`: whatever is none of ASCII is written out."""
    parts: list[str] = []
    for hidden, run in groupby(_marked(text, fully=fully), key=lambda item: item[1]):
        letters = "".join(char for char, _ in run)
        parts += _written(letters) if hidden else (_PLAIN.get(char, char) for char in letters)
    return "".join(parts)


def quoted(text: str, *, fully: bool = False) -> str:
    """The same between quotes."""
    return '"' + revealed(text, fully=fully).replace('"', '\\"') + '"'


def unseen(text: str) -> tuple[str, ...]:
    """What of `text` a person would not see, each written out once, in the order in which they come."""
    found = {at for span in hidden_spans(text) for at in span if not _is_visible_ascii(text[at])}
    found |= {match.start() for match in _BROKEN.finditer(text)}
    runs = groupby(enumerate(text), key=lambda item: item[0] in found)
    return tuple(dict.fromkeys(one for hidden, run in runs if hidden for one in _written("".join(c for _, c in run))))


def _marked(text: str, *, fully: bool) -> Iterator[tuple[str, bool]]:
    """Each character, and whether it has to be written out."""
    if text.isascii() and text.isprintable():
        yield from ((char, False) for char in text)
        return
    marked = {at for span in hidden_spans(text) for at in span if not _is_visible_ascii(text[at])}
    marked |= set(lookalikes(text))
    for at, char in enumerate(text):
        yield char, at in marked or (char not in "\n\t" and (_is_unseen(char) or (fully and not char.isascii())))


def _is_visible_ascii(char: str) -> bool:
    return char.isascii() and char.isprintable()


def _is_unseen(char: str) -> bool:
    return char in {OPENING, CLOSING} or (char != " " and unicodedata.category(char)[0] in "CZ")


def _written(letters: str) -> Iterator[str]:
    """What stands for a run of hidden characters: what it spells, or each with its name and how often it stands."""
    for kind, run in groupby(letters, key=_kind):
        part = "".join(run)
        if kind is not None and len(part) > 1:
            yield f"\\u{{{ord(part[0]):X} {kind}, {len(part)} characters that spell {_spelled(part)}}}"
            continue
        for char, same in groupby(part):
            count = len(tuple(same))
            yield f"\\u{{{ord(char):X} {_name(char)}{f', {count} times' if count > 1 else ''}}}"


def _kind(char: str) -> str | None:
    if ord(char) in TAGS:
        return "TAGS"
    return "VARIATION SELECTORS" if any(ord(char) in some for some in _SELECTORS) else None


def _spelled(run: str) -> str:
    """The text that tags (ASCII, moved up) or selectors (bytes) carry, with `.` for what cannot be shown."""
    codes = (ord(char) for char in run)
    values = (code - (0xE0000 if code in TAGS else 0xFE00 if code < 0xFE10 else 0xE0100 - 16) for code in codes)
    return (
        '"' + "".join(chr(value) if _is_visible_ascii(chr(value)) and value != 0x22 else "." for value in values) + '"'
    )


def _name(char: str) -> str:
    known = _CONTROLS.get(char) or unicodedata.name(char, "")
    return known or _NAMELESS.get(unicodedata.category(char), "UNKNOWN")
