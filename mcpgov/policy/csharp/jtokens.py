"""What the JSON of JSON.NET offers: JObject, JArray and JToken, read only."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from mcpgov.errors import Refusal
from mcpgov.models import Json
from mcpgov.policy.csharp.kinds import Type, Word, convert_token, default_of, text_of
from mcpgov.policy.csharp.signatures import Table, method, table
from mcpgov.policy.csharp.strings import sequence
from mcpgov.strict_json import JsonLimits, parse

_READ_AS: Final = "string bool int long double Guid JObject JArray JToken object"
_STEP: Final = re.compile(r"(?:^|\.)(?P<name>[^\W\d][\w-]*)|\[(?P<index>[0-9]{1,9})\]|\['(?P<quoted>[^']*)'\]")


def parsed(text: str, kind: str) -> Json:
    """The JSON in a text. Raises ValueError where it is none, TypeError where it is another kind."""
    try:
        value = parse(text.encode("utf-8"), JsonLimits())
    except Refusal:
        raise ValueError("not JSON") from None
    if not isinstance(value, {"JObject": dict, "JArray": list}.get(kind, object)):
        raise TypeError("another kind of JSON")
    return value


def _member(token: Json, name: str) -> Json:
    if not isinstance(token, dict):
        raise TypeError
    return token.get(name)


def _element(token: Json, index: int) -> Json:
    if not isinstance(token, list) or not 0 <= index < len(token):
        raise LookupError
    return token[index]


def _value(token: Json, kind: Type, name: str) -> object:
    found = _member(token, name)
    return default_of(kind) if found is None else convert_token(found, kind)


def _own_value(token: Json, kind: Type) -> object:
    return convert_token(token, kind)


def _element_value(token: Json, kind: Type, index: int) -> object:
    return convert_token(_element(token, index), kind)


def _steps(path: str) -> list[str | int]:
    """A path of names and positions. Raises ValueError for what JSONPath has besides."""
    rest, at, steps = path.removeprefix("$"), 0, list[str | int]()
    while at < len(rest):
        step = _STEP.match(rest, at)
        if step is None:
            raise ValueError("such a JSON path is not supported in expressions here")
        steps.append(int(step["index"]) if step["index"] else step["name"] or step["quoted"])
        at = step.end()
    return steps


def _select(token: Json, path: str) -> Json:
    for step in _steps(path):
        if isinstance(step, str) and isinstance(token, dict):
            token = token.get(step)
        elif isinstance(step, int) and isinstance(token, list) and step < len(token):
            token = token[step]
        else:
            return None
    return token


def _check_path(literals: Sequence[str | None]) -> str:
    if literals[0] is not None:
        _steps(literals[0])
    return ""


def _formatted(token: Json, _formatting: Word) -> str:
    return text_of(token)


def _contains_key(token: dict[str, Json], name: str) -> bool:
    return name in token


def _has_values(token: Json) -> bool:
    return isinstance(token, dict | list) and bool(token)


TOKEN_METHODS: Final[Table] = table(
    method("JToken [](string)", _member),
    method("JToken [](int)", _element),
    method(f"T Value<T: {_READ_AS}>(string)", _value),
    method(f"T Value<T: {_READ_AS}>(int)", _element_value),
    method(f"T Value<T: {_READ_AS}>()", _own_value),
    method(f"T ToObject<T: {_READ_AS}>()", _own_value),
    method("JToken SelectToken(string)", _select, _check_path),
    method("bool HasValues", _has_values),
    method("string ToString()", text_of),
    method("string ToString(Formatting)", _formatted),
)
OBJECT_METHODS: Final[Table] = {
    **TOKEN_METHODS,
    **table(
        method("JToken [](string)", _member),
        method("JToken GetValue(string)", _member),
        method("bool ContainsKey(string)", _contains_key),
        method("int Count", len),
    ),
}
LIST_METHODS: Final[Table] = {**TOKEN_METHODS, **table(*sequence("JToken"), method("int Count", len))}
