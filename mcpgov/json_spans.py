"""Where a value stands in a JSON text, so that one value can be digested, or replaced, and every other byte stays.

Pure. For texts that strict_json has read: there is one way to read them. Offsets are of the text as bytes.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\n\r]*")
# A key with all that stands around it up to its value. Nothing is tried twice, however long a key is.
_KEY = re.compile(r'[ \t\n\r]*+"((?:[^"\\\x00-\x1f]++|\\.)*+)"[ \t\n\r]*+:[ \t\n\r]*+')
_NEXT_KEY = re.compile(rf"[ \t\n\r]*+,{_KEY.pattern}")


def span_of(body: bytes, path: Sequence[str]) -> slice | None:
    """The bytes of the value at `path`, each step a key of an object; None where there is none.

    `body` is one JSON value in UTF-8 without duplicate keys. Where it is not, there is none, or ValueError is raised.
    """
    text = body.decode("utf-8")
    found = _span(text, path)
    if found is None:
        return None
    start, end = found
    if len(text) == len(body):
        return slice(start, end)
    first = len(text[:start].encode())
    return slice(first, first + len(text[start:end].encode()))


def with_value(body: bytes, path: Sequence[str], value: str) -> bytes | None:
    """The text with the value at `path` replaced by `value`, which is JSON; None where there is none."""
    text = body.decode("utf-8")
    found = _span(text, path)
    return None if found is None else f"{text[: found[0]]}{value}{text[found[1] :]}".encode()


def with_first_member(body: bytes, path: Sequence[str], key: str, value: str) -> bytes | None:
    """The text with a member put in at the front of the object at `path`, which has no such key; None without one.

    `value` is JSON. What follows the brace of that object is not looked at, however long it is.
    """
    text = body.decode("utf-8")
    at = _start(text, path)
    if at is None or text[at : at + 1] != "{":
        return None
    comma = "" if text[_after_space(text, at + 1)] == "}" else ","
    return f"{text[: at + 1]}{json.dumps(key)}:{value}{comma}{text[at + 1 :]}".encode()


def _span(text: str, path: Sequence[str]) -> tuple[int, int] | None:
    at = _start(text, path)
    return None if at is None else (at, _DECODER.raw_decode(text, at)[1])


def _start(text: str, path: Sequence[str]) -> int | None:
    """Where the value at `path` begins."""
    at = _after_space(text, 0)
    for key in path:
        found = _member(text, at, key)
        if found is None:
            return None
        at = found
    return at


def _member(text: str, at: int, wanted: str) -> int | None:
    """Where the value of a key of the object at `at` begins; None where that is no object, or has no such key."""
    if text[at : at + 1] != "{":
        return None
    key = _KEY.match(text, at + 1)
    while key:
        if _unescaped(key[1]) == wanted:
            return key.end()
        key = _NEXT_KEY.match(text, _DECODER.raw_decode(text, key.end())[1])
    return None


def _unescaped(written: str) -> str:
    """What a key is, from what stands between its quotes."""
    return json.loads(f'"{written}"') if "\\" in written else written


def _after_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at
