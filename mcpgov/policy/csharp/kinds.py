"""The types of C# that API Management's expressions have here, and how their values look in Python.

    string  str         bool    bool      int, long  int       double  float     byte[]    bytes
    JObject dict        JArray  list      JToken     any JSON  Guid    Guid      string[]  tuple
    Jwt     Jwt         Authorization  Authorization (token_values.py)
    DateTime, DateTimeOffset  datetime    an enumeration  Word       what `context` offers  whatever has it

A `char` is text of one character. Text has characters, not the UTF-16 units of .NET. JSON's null is null. Whole numbers
have 64 bits, whichever type they have. `object` and `JToken` say nothing of the value.
Refuses to know how an expression is written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, cast

from mcpgov.errors import ExpressionError
from mcpgov.frozen import frozen
from mcpgov.policy.token_values import Authorization, Jwt
from mcpgov.strict_json import dumps

LARGEST: Final = 2**63 - 1
LARGEST_INT: Final = 2**31 - 1


@frozen
class Type:
    """A type by its name in C#. `nullable`: a value type that may be null; of a parameter, that null may be given."""

    name: str
    nullable: bool = False

    def __str__(self) -> str:
        return self.name + "?" * self.nullable


@frozen
class Guid:
    """A GUID, in 32 lower-case hexadecimal digits."""

    digits: str


@frozen
class Word:
    """A member of an enumeration: StringComparison.OrdinalIgnoreCase."""

    enumeration: str
    text: str


STRING: Final = Type("string")
BOOL: Final = Type("bool")
INT: Final = Type("int")
LONG: Final = Type("long")
DOUBLE: Final = Type("double")
OBJECT: Final = Type("object")
JTOKEN: Final = Type("JToken")
STRINGS: Final = Type("string[]")
NULL: Final = Type("null")

NUMBERS: Final = ("int", "long", "double")  # each fits the next
JSON: Final = frozenset({"JToken", "JObject", "JArray"})
MOMENTS: Final = frozenset({"DateTime", "DateTimeOffset"})
ENUMERATIONS: Final = frozenset({"StringComparison", "StringSplitOptions", "Formatting", "DayOfWeek"})
VALUE_TYPES: Final = frozenset({"bool", "Guid", *NUMBERS, *MOMENTS, *ENUMERATIONS})
_PRINTED: Final = frozenset({"string", "object", "null", *VALUE_TYPES, *JSON})
_ALIASES: Final[Mapping[str, str]] = {
    "String": "string",
    "Boolean": "bool",
    "Int32": "int",
    "Int64": "long",
    "Double": "double",
    "Object": "object",
    "char": "string",
    "Char": "string",
    "char[]": "string[]",
    "String[]": "string[]",
    "Byte[]": "byte[]",
    "float": "double",
    "Single": "double",
    "JValue": "JToken",
}


def _whole(largest: int) -> Callable[[object], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and -largest - 1 <= value <= largest


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _word(enumeration: str) -> Callable[[object], bool]:
    return lambda value: isinstance(value, Word) and value.enumeration == enumeration


_FITS: Final[Mapping[str, Callable[[object], bool]]] = {
    "string": lambda value: isinstance(value, str),
    "bool": lambda value: isinstance(value, bool),
    "int": _whole(LARGEST_INT),
    "long": _whole(LARGEST),
    "double": _number,
    "object": lambda _value: True,
    "JToken": lambda value: isinstance(value, dict | list | str | int | float),
    "JObject": lambda value: isinstance(value, dict),
    "JArray": lambda value: isinstance(value, list),
    "Guid": lambda value: isinstance(value, Guid),
    "DateTime": lambda value: isinstance(value, datetime),
    "DateTimeOffset": lambda value: isinstance(value, datetime),
    "string[]": lambda value: isinstance(value, tuple),
    "byte[]": lambda value: isinstance(value, bytes),
    "Jwt": lambda value: isinstance(value, Jwt),
    "Authorization": lambda value: isinstance(value, Authorization),
    **{name: _word(name) for name in ENUMERATIONS},
}
TYPES: Final = frozenset(_FITS) - ENUMERATIONS  # what a declaration, a cast or a type argument may name
_DEFAULTS: Final[Mapping[str, object]] = {
    "bool": False,
    "int": 0,
    "long": 0,
    "double": 0.0,
    "Guid": Guid("0" * 32),
    **dict.fromkeys(MOMENTS, datetime(1, 1, 1, tzinfo=UTC)),
}
_RUNTIME: Final = (
    *("bool", "int", "long", "double", "string", "JObject", "JArray", "string[]", "byte[]", "Guid"),
    *("Jwt", "Authorization"),
)


def named_type(name: str) -> Type | None:
    """The type that `name` names, with its `?`; None where there is no such type here."""
    bare = name.removesuffix("?")
    bare = _ALIASES.get(bare, bare)
    return Type(bare, nullable=bare in VALUE_TYPES and name.endswith("?")) if bare in TYPES else None


def type_of(value: object) -> str:
    """The name of the type that a value has."""
    if isinstance(value, Word):
        return value.enumeration
    return next((name for name in _RUNTIME if _FITS[name](value)), "DateTime")


def accepts(wanted: Type, value: object) -> bool:
    """Whether a value may be given where `wanted` is."""
    return wanted.nullable or wanted == OBJECT if value is None else _FITS[wanted.name](value)


def is_dynamic(kind: Type) -> bool:
    """Whether only the value says what it is."""
    return kind.name in ("object", "JToken")


def is_number(kind: Type) -> bool:
    """Whether it is one of the types of numbers."""
    return kind.name in NUMBERS


def is_printed(kind: Type) -> bool:
    """Whether a value of the type can be made text of."""
    return kind.name in _PRINTED


def or_null(kind: Type) -> Type:
    """The type of a value that may also be null."""
    return Type(kind.name, nullable=kind.name in VALUE_TYPES)


def may_be(kind: Type, wanted: Type) -> bool:
    """Whether a value of the type `kind` may turn out to fit `wanted`."""
    if wanted == OBJECT or kind.name == "object":
        return True
    if kind == NULL:
        return wanted.nullable or wanted.name not in VALUE_TYPES
    if kind.nullable and not wanted.nullable:
        return False
    if is_number(kind) and is_number(wanted):
        return NUMBERS.index(kind.name) <= NUMBERS.index(wanted.name)
    if kind.name == "JToken":
        return wanted.name in TYPES
    return kind.name == wanted.name or (wanted.name == "JToken" and kind.name in JSON)


def widest(one: Type, other: Type) -> Type:
    """The type of what is computed of two numbers."""
    name = max(one.name, other.name, key=NUMBERS.index)
    return Type(name, nullable=one.nullable or other.nullable)


def joint_type(one: Type, other: Type) -> Type | None:
    """The type of what is one or the other; None where C# would find none."""
    if NULL in (one, other):
        return or_null(one if other == NULL else other)
    if is_number(one) and is_number(other):
        return widest(one, other)
    if one.name == other.name:
        return Type(one.name, nullable=one.nullable or other.nullable)
    if one.name in JSON and other.name in JSON:
        return JTOKEN
    return OBJECT if (is_dynamic(one) or is_dynamic(other)) and {one.name, other.name} <= TYPES else None


def default_of(kind: Type) -> object:
    """default(T)."""
    return None if kind.nullable else _DEFAULTS.get(kind.name)


def same(one: object, other: object) -> bool:
    """Whether two values are equal: text by its characters, JSON and arrays only to themselves."""
    if isinstance(one, dict | list | tuple) or isinstance(one, bool) != isinstance(other, bool):
        return one is other
    return one == other


def number_in_range(value: float) -> int | float:
    """The same number. Raises ExpressionError where 64 bits do not hold it."""
    if isinstance(value, int) and not -LARGEST - 1 <= value <= LARGEST:
        raise ExpressionError("a whole number does not fit into 64 bits")
    if isinstance(value, float) and not abs(value) < float("inf"):
        raise ExpressionError("a number is not finite")
    return value


def text_of(value: object) -> str:
    """ToString() of a value, in the invariant culture; JSON is compact. Raises ExpressionError where it has none."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int):
        return str(number_in_range(value))
    if isinstance(value, float):
        return _decimal_text(value)
    if isinstance(value, Guid):
        return guid_text(value)
    return _other_text(value)


def _other_text(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value:%m/%d/%Y %H:%M:%S}"
    if isinstance(value, Word):
        return value.text
    if isinstance(value, dict | list):
        return dumps(cast("Any", value)).decode("ascii")
    raise ExpressionError("a value is asked for its text and has none")


def guid_text(value: Guid, form: str = "D") -> str:
    """A GUID as `form` asks for it: N, D, B or P. Raises ValueError for any other."""
    d = value.digits
    dashed = f"{d[:8]}-{d[8:12]}-{d[12:16]}-{d[16:20]}-{d[20:]}"
    forms = {"N": d, "D": dashed, "B": f"{{{dashed}}}", "P": f"({dashed})"}
    if form.upper() not in forms:
        raise ValueError("a GUID is written as N, D, B or P")
    return forms[form.upper()]


def _decimal_text(value: float) -> str:
    """The shortest text that reads as the same number: 1, 0.5, 1E+20, 1E-05."""
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    if not isinstance(exponent, int):
        raise ExpressionError("a number is not finite")
    written = "".join(map(str, digits))
    leading = exponent + len(written) - 1  # the power of ten of its first digit
    minus = "-" * sign
    if not -5 < leading < 15:
        fraction = f".{written[1:]}" if len(written) > 1 else ""
        return f"{minus}{written[0]}{fraction}E{'-' if leading < 0 else '+'}{abs(leading):02}"
    return minus + f"{Decimal(written).scaleb(exponent):f}"


def unboxed(value: object, wanted: Type) -> object:
    """A value of which it is said that it is a `wanted`: (string)x. Raises ValueError where it is not."""
    if value is None and (wanted.nullable or wanted.name not in VALUE_TYPES):
        return None
    if not accepts(wanted, value):
        raise ValueError("another type")
    return value


def convert_token(value: object, wanted: Type) -> object:
    """What JSON.NET makes of a token where `wanted` is asked for: (int)token, token.Value<int>(). Raises ValueError."""
    if isinstance(value, str):
        return _READ.get(wanted.name, unboxed)(value, wanted)
    if isinstance(value, bool | int | float):
        if wanted == STRING:
            return text_of(value)
        return to_number(value, wanted) if is_number(wanted) else unboxed(value, wanted)
    return unboxed(value, wanted)


_WHOLE: Final = re.compile(r"\s*[-+]?[0-9]{1,20}\s*")
_NUMERAL: Final = re.compile(r"\s*[-+]?[0-9]{1,300}(\.[0-9]{1,300})?([eE][-+]?[0-9]{1,3})?\s*")
_GUID: Final = re.compile(r"\s*[{(]?([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})[})]?\s*")


def parse_number(text: str, wanted: Type) -> int | float:
    """The number that a text is: int.Parse. Raises ValueError."""
    numeral = _NUMERAL if wanted.name == "double" else _WHOLE
    if not numeral.fullmatch(text):
        raise ValueError("not a number")
    return to_number(float(text) if wanted.name == "double" else int(text), wanted)


def to_number(value: float, wanted: Type) -> int | float:
    """A number as another type, rounded to even where that is whole: Convert.ToInt32. Raises ValueError."""
    number = float(value) if wanted.name == "double" else round(number_in_range(value))
    if not _FITS[wanted.name](number_in_range(number)):
        raise ValueError("too large")
    return number


def parse_bool(text: str) -> bool:
    """The truth that a text says, in any case. Raises LookupError."""
    return {"true": True, "false": False}[text.strip().lower()]


def parse_guid(text: str) -> Guid:
    """A GUID from text. Raises ValueError."""
    found = _GUID.fullmatch(text.lower())
    if found is None:
        raise ValueError("not a GUID")
    return Guid("".join(found.groups()))


_READ: Final[Mapping[str, Callable[[str, Type], object]]] = {
    **dict.fromkeys(NUMBERS, parse_number),
    "bool": lambda text, _wanted: parse_bool(text),
    "Guid": lambda text, _wanted: parse_guid(text),
}
