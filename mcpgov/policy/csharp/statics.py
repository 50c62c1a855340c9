"""The classes of .NET whose static members an expression may name.

What is computed on the way is bounded before it is built. Cryptography, randomness and I/O are not among them.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, cast
from urllib.parse import quote, quote_plus, unquote, unquote_plus

from mcpgov.policy.csharp.jtokens import parsed
from mcpgov.policy.csharp.kinds import (
    DOUBLE,
    INT,
    LARGEST,
    LONG,
    NUMBERS,
    Guid,
    Type,
    Word,
    parse_bool,
    parse_guid,
    parse_number,
    same,
    text_of,
    to_number,
    type_of,
)
from mcpgov.policy.csharp.moments import DAYS, from_milliseconds, from_seconds, midnight, new_guid, received_at
from mcpgov.policy.csharp.patterns import check_pattern, escaped_pattern, is_match, replaced
from mcpgov.policy.csharp.signatures import Table, method, table
from mcpgov.policy.csharp.strings import equal
from mcpgov.policy.csharp.typed_code import MAX_STRING
from mcpgov.strict_json import dumps

_HOLE: Final = re.compile(r"\{\{|\}\}|\{([0-9]{1,2})\}|[{}]")
_URL_SAFE: Final = "-_.!*()"  # what WebUtility.UrlEncode leaves as it is, beside letters and digits
_JSON: Final = frozenset({"string", "bool", "JObject", "JArray", *NUMBERS})
_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}
_REFERENCE: Final = re.compile(r"&(?:#([0-9]{1,7})|#[xX]([0-9a-fA-F]{1,6})|(amp|lt|gt|quot|apos|nbsp));")
_MEANT: Final = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'", "nbsp": "\xa0"}


def _constant(value: object) -> Callable[[], object]:
    return lambda: value


def _is_empty(text: str | None) -> bool:
    return not text


def _is_blank(text: str | None) -> bool:
    return not text or text.isspace()


def _joined(separator: str | None, *values: object) -> str:
    texts = [text_of(value) for value in values]
    if sum(map(len, texts)) + len(separator or "") * len(texts) > MAX_STRING:
        raise ValueError("too long")
    return (separator or "").join(texts)


def _joined_array(separator: str | None, values: Sequence[object]) -> str:
    return _joined(separator, *values)


def _concatenated(*values: object) -> str:
    return _joined("", *values)


def _format_parts(form: str) -> list[str | int]:
    """Literal text, and the numbers of arguments. Raises ValueError for a hole with a format, or no hole at all."""
    parts: list[str | int] = []
    at = 0
    for found in _HOLE.finditer(form):
        if found[0] in "{}":
            raise ValueError("in string.Format only {0}, {1} … are supported here")
        parts += [form[at : found.start()], int(found[1]) if found[1] else found[0][0]]
        at = found.end()
    return [*parts, form[at:]]


def _formatted(form: str, *values: object) -> str:
    return _concatenated(*(part if isinstance(part, str) else values[part] for part in _format_parts(form)))


def _check_format(literals: Sequence[str | None]) -> str:
    if literals[0] is not None and any(
        isinstance(p, int) and p >= len(literals) - 1 for p in _format_parts(literals[0])
    ):
        raise ValueError("string.Format has fewer arguments than holes")
    return ""


def _compared(one: str | None, other: str | None) -> int:
    return ((one or "") > (other or "")) - ((one or "") < (other or ""))


def _number(wanted: Type) -> Callable[[str], int | float]:
    return lambda text: parse_number(text, wanted)


def _converted(wanted: Type) -> Callable[[object], object]:
    def converted(value: object) -> object:
        if value is None:
            return 0
        if isinstance(value, str):
            return parse_number(value, wanted)
        if not isinstance(value, bool | int | float):
            raise TypeError("not a number")
        return to_number(value, wanted)

    return converted


def _to_bool(value: object) -> bool:
    if isinstance(value, str):
        return parse_bool(value)
    if not isinstance(value, bool | int | float | None):
        raise TypeError("neither true nor false")
    return bool(value)


def _to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _from_base64(text: str) -> bytes:
    return base64.b64decode("".join(text.split()), validate=True)


def _bytes(_encoding: Word, text: str) -> bytes:
    return text.encode("utf-8")


def _text(_encoding: Word, data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _escaped(text: str) -> str:
    return quote(text, safe="-_.~")


def _url_encoded(text: str | None) -> str | None:
    return text and quote_plus(text, safe=_URL_SAFE).replace("~", "%7E")


def _url_decoded(text: str | None) -> str | None:
    return text and unquote_plus(text)


def _html_encoded(text: str | None) -> str | None:
    return text and "".join([_entity(character) for character in text])


def _entity(character: str) -> str:
    numbered = "\xa0" <= character <= "\xff" or character > "\uffff"
    return f"&#{ord(character)};" if numbered else _ENTITIES.get(character, character)


def _html_decoded(text: str | None) -> str | None:
    return text and _REFERENCE.sub(_referred, text)


def _referred(found: re.Match[str]) -> str:
    if found[3]:
        return _MEANT[found[3]]
    code = int(found[1]) if found[1] else int(found[2], 16)
    return chr(code) if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000 else found[0]


def _json_text(value: object) -> str:
    if isinstance(value, tuple):
        return dumps(list(cast("tuple[object, ...]", value))).decode("ascii")
    plain = value is None or type_of(value) in _JSON
    return dumps(value if plain else text_of(value)).decode("ascii")


def _json_formatted(value: object, _formatting: Word) -> str:
    return _json_text(value)


def _parser(kind: str) -> Callable[[str], object]:
    return lambda text: parsed(text, kind)


def _floor(value: float) -> float:
    return float(math.floor(value))


def _ceiling(value: float) -> float:
    return float(math.ceil(value))


def _rounded(value: float, digits: int = 0) -> float:
    if not 0 <= digits <= 15:
        raise ValueError("too many digits")
    return float(round(value, digits))


def _words(name: str, *texts: str) -> Table:
    return table(*(method(f"{name} {text}", _constant(Word(name, text))) for text in texts))


_STRING: Final[Table] = table(
    method("string Empty", _constant("")),
    method("bool IsNullOrEmpty(string?)", _is_empty),
    method("bool IsNullOrWhiteSpace(string?)", _is_blank),
    method("string Join(string?, string[])", _joined_array),
    method("string Join(string?, JArray)", _joined_array),
    method("string Join(string?, object...)", _joined),
    method("string Concat(object...)", _concatenated),
    method("string Format(string, object...)", _formatted, _check_format),
    method("bool Equals(string?, string?)", same),
    method("bool Equals(string?, string?, StringComparison)", equal),
    method("int Compare(string?, string?)", _compared),
)
_INT: Final[Table] = table(
    method("int Parse(string)", _number(INT)),
    method("int MaxValue", _constant(2**31 - 1)),
    method("int MinValue", _constant(-(2**31))),
)
_LONG: Final[Table] = table(
    method("long Parse(string)", _number(LONG)),
    method("long MaxValue", _constant(LARGEST)),
    method("long MinValue", _constant(-LARGEST - 1)),
)
_BOOL: Final[Table] = table(method("bool Parse(string)", parse_bool))
_DOUBLE: Final[Table] = table(method("double Parse(string)", _number(DOUBLE)))
_CONVERT: Final[Table] = table(
    method("string ToString(object)", text_of),
    method("int ToInt32(object)", _converted(INT)),
    method("long ToInt64(object)", _converted(LONG)),
    method("double ToDouble(object)", _converted(DOUBLE)),
    method("bool ToBoolean(object)", _to_bool),
    method("string ToBase64String(byte[])", _to_base64),
    method("byte[] FromBase64String(string)", _from_base64),
)
_MATH: Final[Table] = table(
    *(method(f"{kind} Min({kind}, {kind})", min) for kind in NUMBERS),
    *(method(f"{kind} Max({kind}, {kind})", max) for kind in NUMBERS),
    *(method(f"{kind} Abs({kind})", abs) for kind in NUMBERS),
    method("double Floor(double)", _floor),
    method("double Ceiling(double)", _ceiling),
    method("double Round(double)", _rounded),
    method("double Round(double, int)", _rounded),
)
STATICS: Final[Mapping[str, Table]] = {
    **dict.fromkeys(("string", "String"), _STRING),
    **dict.fromkeys(("int", "Int32"), _INT),
    **dict.fromkeys(("long", "Int64"), _LONG),
    **dict.fromkeys(("bool", "Boolean"), _BOOL),
    **dict.fromkeys(("double", "Double"), _DOUBLE),
    "Convert": _CONVERT,
    "Encoding": table(
        method("Encoding UTF8", _constant(Word("Encoding", "UTF8"))),
        method("Encoding ASCII", _constant(Word("Encoding", "ASCII"))),
    ),
    "Guid": table(
        method("context Guid NewGuid()", new_guid),
        method("Guid Empty", _constant(Guid("0" * 32))),
        method("Guid Parse(string)", parse_guid),
    ),
    "DateTime": table(
        method("context DateTime UtcNow", received_at),
        method("context DateTime Now", received_at),
        method("context DateTime Today", midnight),
    ),
    "DateTimeOffset": table(
        method("context DateTimeOffset UtcNow", received_at),
        method("context DateTimeOffset Now", received_at),
        method("DateTimeOffset FromUnixTimeSeconds(long)", from_seconds),
        method("DateTimeOffset FromUnixTimeMilliseconds(long)", from_milliseconds),
    ),
    **{kind: table(method(f"{kind} Parse(string)", _parser(kind))) for kind in ("JObject", "JArray", "JToken")},
    "JsonConvert": table(
        method("string SerializeObject(object)", _json_text),
        method("string SerializeObject(object, Formatting)", _json_formatted),
    ),
    "Uri": table(
        method("string EscapeDataString(string)", _escaped),
        method("string UnescapeDataString(string)", unquote),
    ),
    "WebUtility": table(
        method("string UrlEncode(string?)", _url_encoded),
        method("string UrlDecode(string?)", _url_decoded),
        method("string HtmlEncode(string?)", _html_encoded),
        method("string HtmlDecode(string?)", _html_decoded),
    ),
    "Math": _MATH,
    "Regex": table(
        method("bool IsMatch(string, string)", is_match, check_pattern),
        method("string Replace(string, string, string)", replaced, check_pattern),
        method("string Escape(string)", escaped_pattern),
    ),
    "StringComparison": _words(
        "StringComparison",
        *(
            f"{culture}{how}"
            for culture in ("Ordinal", "InvariantCulture", "CurrentCulture")
            for how in ("", "IgnoreCase")
        ),
    ),
    "StringSplitOptions": _words("StringSplitOptions", "None", "RemoveEmptyEntries"),
    "Formatting": _words("Formatting", "None", "Indented"),
    "DayOfWeek": _words("DayOfWeek", *DAYS),
}
ENCODING_METHODS: Final[Table] = table(
    method("byte[] GetBytes(string)", _bytes),
    method("string GetString(byte[])", _text),
)
