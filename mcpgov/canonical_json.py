"""Writes a JSON value in the one way that is right for it, so that equal values have equal digests (RFC 8785).

Pure. No white space, members sorted by UTF-16, numbers as ECMAScript writes them: 1.0 is 1, because no reader of JSON
Schema may tell them apart. It departs from RFC 8785 where that would make two values one, or give none a digest: an
integer that no double holds keeps all its digits, and half a surrogate pair is written as it is. Time: what the C
encoder takes, for a value without fractions. Refuses to know what is digested, and how deep a value may be.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mcpgov.models import Json

_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True)
_FRACTION: Final = re.compile(r"(?:^|[:\[,])(?:-?\d+[.e]|-?Infinity|NaN)")  # may also match inside of a text
_ASTRAL: Final = re.compile("[\U00010000-\U0010ffff]")
_BEHIND_SURROGATES: Final = re.compile("[\ue000-\uffff]")
_WHOLE: Final = 1 << 53  # below, a double holds every whole number
_LONGEST: Final = 21  # digits before the point, in ECMAScript's Number::toString
_SHORTEST: Final = -6  # zeros behind it


def canonical(value: Json) -> str:
    """The canonical text of `value`. Raises ValueError for what JSON does not have, RecursionError where too deep."""
    text = _ENCODER.encode(value)
    # UTF-16 sorts like code points, but for characters behind the surrogates against those that need a pair.
    if _FRACTION.search(text) or (_ASTRAL.search(text) and _BEHIND_SURROGATES.search(text)):
        return _written(value)
    return text


def digest(text: str) -> str:
    """`sha256:<hex>` of a canonical text in UTF-8."""
    return f"sha256:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _written(value: Json) -> str:
    if isinstance(value, dict):
        members = sorted(value.items(), key=lambda member: member[0].encode("utf-16-be", "surrogatepass"))
        return "{" + ",".join(f"{_ENCODER.encode(key)}:{_written(child)}" for key, child in members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_written, value)) + "]"
    return _number(value) if isinstance(value, float) else _ENCODER.encode(value)


def _number(value: float) -> str:
    """ECMA-262 section 6.1.6.1.20, Number::toString. The shortest digits that read back are those of Python."""
    if not math.isfinite(value):
        raise ValueError("not a number of JSON")
    if value.is_integer() and abs(value) < _WHOLE:
        return str(int(value))
    negative, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    sign, text = "-" * negative, "".join(map(str, digits))
    point = len(text) + int(exponent)  # where it stands, counted from the first digit
    if len(text) <= point <= _LONGEST:
        return sign + text.ljust(point, "0")
    if 0 < point <= _LONGEST:
        return f"{sign}{text[:point]}.{text[point:]}"
    if _SHORTEST < point <= 0:
        return f"{sign}0.{'0' * -point}{text}"
    return f"{sign}{text[0]}{'.' * (len(text) > 1)}{text[1:]}e{point - 1:+d}"
