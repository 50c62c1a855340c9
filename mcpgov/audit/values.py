"""Arguments and answers as a record holds them: their shape, each value in its mode, within bounds.

Pure. A digest by default, of every scalar: short numbers, booleans and null are guessed first of all. A key stays
readable where it looks like the name of a field; one that may itself be a value (an address, a token, a number of
somebody) is a digest like a value, unless its place is clear. What has no room is left out from there on, with `…[+N]`
in its place and a count of values in the record; so is what lies too deep. What comes out is canonical JSON (RFC 8785:
members sorted by UTF-16, and numbers that a double may not hold are text) whatever comes in.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from mcpgov.audit.field_modes import Mode
from mcpgov.audit.redact import LONG_TEXT, clip, encodable, number_text
from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcpgov.audit.field_modes import FieldModes, Path
    from mcpgov.audit.redact import Digester
    from mcpgov.models import Json

DEPTH: Final = 16  # objects and lists inside one another
VALUES: Final = 256  # scalars, and keys that are digests
DROPS: Final = 4096  # members of objects and lists that a rule drops; to try every path of more takes seconds
BYTES: Final = 32 * 1024  # of the JSON, in UTF-8
MORE: Final = "…"
MARKED: Final = 48  # bytes that the brackets of an object or list and its marker take at most
SHOWN: Final = 4  # characters that a mask shows, the last ones
UNMASKED: Final = 16  # characters that a text has at least, for a mask to show any
WHOLE: Final = 1 << 53  # up to here a double holds every whole number
_FIELD: Final = re.compile(r"[$@]?[^\W\d][\w.\- ]{0,39}")
_DIGITS: Final = 4  # in the name of a field, at most
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


@frozen
class Redacted:
    """A value as a record holds it: canonical JSON, how many scalars a rule dropped, and how many had no room."""

    text: str
    dropped: int = 0
    left_out: int = 0


def redacted(value: Json, modes: FieldModes, digester: Digester) -> Redacted:
    """A value with everything in it in its mode. The text has at most BYTES bytes."""
    walk = _Walk(modes, digester)
    mode = modes.at(())
    if mode is Mode.DROP:
        return Redacted("null", scalars(value))
    return Redacted(encodable(_ENCODER.encode(walk.shown(value, (), mode))), walk.dropped, walk.left_out)


def scalars(value: Json) -> int:
    """How many values there are in a value: those without any in them, empty objects and lists among them."""
    found, level = 0, [value]
    while level:
        inner = [one for one in level if isinstance(one, dict | list) and one]
        found += len(level) - len(inner)
        level = [child for one in inner for child in (one.values() if isinstance(one, dict) else one)]
    return found


class _Walk:
    """One walk over one value. What is left of its room goes down; who asks first gets it."""

    def __init__(self, modes: FieldModes, digester: Digester) -> None:
        self.dropped = 0
        self.left_out = 0
        self._modes = modes
        self._digester = digester
        self._values = VALUES
        self._drops = DROPS
        # The last member that still begins may take as much as a clear key and a clear text of control characters.
        self._bytes = BYTES - 8 * LONG_TEXT - 2 * MARKED

    def shown(self, value: Json, path: Path, mode: Mode) -> Json:
        """A value in its mode."""
        if isinstance(value, dict | list):
            if value and len(path) >= DEPTH:
                self._bytes -= MARKED
                return self._without(scalars(value))
            return self._inside(value, path)
        self._values -= 1
        made = self._scalar(value, mode)
        self._bytes -= size(made)
        return made

    def _inside(self, value: dict[str, Json] | list[Json], path: Path) -> Json:
        self._bytes -= MARKED
        shown: dict[str, Json] = {}
        over = 0
        members: Iterator[tuple[object, Json]] = iter(value.items() if isinstance(value, dict) else enumerate(value))
        for key, child in members:
            step = (*path, str(key))
            full = self._values <= 0 or self._bytes <= 0
            mode = Mode.DROP if full else self._modes.at(step)
            if full or (mode is Mode.DROP and self._drops <= 0):
                over += scalars([child, *(other for _, other in members)])
                break
            if mode is Mode.DROP:
                self._drops -= 1
                self.dropped += scalars(child)
                continue
            name = self._named(key, mode) if isinstance(key, str) else str(key)
            if name in shown or name == MORE:  # cut, two keys may have become one
                over += scalars(child)
                continue
            self._bytes -= size(name) + 2
            shown[name] = self.shown(child, step, mode)
        if over:
            shown[MORE] = self._without(over)
        if isinstance(value, list):
            return list(shown.values())
        return {name: shown[name] for name in sorted(shown, key=lambda name: name.encode("utf-16-be"))}

    def _without(self, count: int) -> str:
        self.left_out += count
        return f"{MORE}[+{count}]"

    def _named(self, key: str, mode: Mode) -> str:
        """A key: as it is, cut, or as its digest."""
        if mode is Mode.CLEAR:
            return clip(key)
        if _FIELD.fullmatch(key) and sum(map(str.isdigit, key)) <= _DIGITS:
            return key
        self._values -= 1
        return self._digester.scalar(key)

    def _scalar(self, value: str | float | None, mode: Mode) -> Json:
        if mode is Mode.MASK:
            return masked(value)
        return plain(value) if mode is Mode.CLEAR else self._digester.scalar(value)


def plain(value: str | float | None) -> Json:
    """A scalar as it came: a text cut, a number that a double may not hold or that is no whole one as text."""
    if isinstance(value, str):
        return clip(value, LONG_TEXT)
    if value is None or isinstance(value, bool):
        return value
    text = number_text(value)
    whole = len(text) <= len(str(WHOLE)) and text.lstrip("-").isdigit() and abs(int(text)) < WHOLE
    return int(text) if whole else clip(text)


def masked(value: str | float | None) -> str:
    """The kind of a scalar and how long it is; of a text of 16 characters and more, the last four."""
    if isinstance(value, str):
        tail = encodable(value[-SHOWN:]) if len(value) >= UNMASKED else ""
        return f"mask:text:{len(value)}:{tail}"
    if value is None or isinstance(value, bool):
        return "mask:null" if value is None else "mask:boolean"
    return f"mask:number:{len(number_text(value))}"


def size(value: Json) -> int:
    """How many bytes a scalar takes in JSON, with a comma behind it."""
    return len(encodable(_ENCODER.encode(value)).encode()) + 1
