"""Reads JSON so that no other parser can read it differently, and writes it so that no other reader trips over it.

Parsers disagree about duplicate keys, encodings, lone surrogates and numbers that no double holds; what a policy saw
must be what the upstream runs (Go SDK GHSA-wvj2-96wp-fq3f, GHSA-q382-vc8q-7jhj; RFC 8259 sections 4 and 8; RFC 7493).
So such a text is refused, never repaired. Messages say what is wrong and where, and never quote a value.

One pass of the C scanner reads a usual message. The tree is walked once more only where a count of bytes cannot rule
out that a limit is passed. Integers are exact, as far as a double goes: for other readers a longer one is infinite, and
reading thousands of digits takes a square of their number (CVE-2020-10735).
It knows nothing of MCP: what a key means, and which keys look alike, is for endpoint/inbound.py.
"""

from __future__ import annotations

import codecs
import json
import math
import re
from itertools import islice
from typing import TYPE_CHECKING, NoReturn, cast

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcpgov.models import Json

# As far as the next place where a value begins. It matches everywhere and never looks back, also where a string has no
# end: that one is read to the end of the text once, and not from each of its quotes again.
_TO_A_VALUE = re.compile(rb'(?:[^"{\[,]++|"(?:[^"\\]++|\\.)*+["\\]?)*+[{\[,]?', re.DOTALL)
_WHITE = " \t\n\r"  # RFC 8259 section 2
_SHOWN = 40  # so much of a key is named in a message
_DIGITS = 309  # of the largest double
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")
_CHARACTER = re.compile(r"at character ([0-9]+)")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"|(-?(?:0|[1-9]\d*+)(?:\.\d++)?(?:[eE][-+]?\d++)?|-?Infinity|NaN)', re.ASCII)


@frozen
class JsonLimits:
    """How much is read: `body` and each `string` in bytes of UTF-8; a scalar has depth 0, `[]` has 1.

    `keys` and `values` are totals over the whole tree: four megabytes of `[],` would keep one thread busy for seconds.
    """

    body: int = 4 * 1024 * 1024
    depth: int = 64
    keys: int = 10_000
    values: int = 100_000
    string: int = 1024 * 1024


class _NotFinite(ValueError):
    """A number that JSON does not have, or that no double holds. Its argument is the number as written."""


def parse(body: bytes, limits: JsonLimits) -> Json:
    """The value that `body` holds.

    Raises Refusal: invalid-json, invalid-encoding, duplicate-key, too-deep, too-large.
    """
    if len(body) > limits.body:
        raise Refusal(Reason.TOO_LARGE, f"The body has {len(body)} bytes; at most {limits.body} are read.")
    text, short = _decoded(body), len(body) <= min(limits.keys, limits.values, limits.string)
    if not short:
        _require_few(body, limits)
    try:
        tree = _read(text)
    except _NotFinite as number:
        at = _offset(text, number.args[0])
        raise Refusal(Reason.INVALID_JSON, f"The number at character {at} is not finite.") from None
    except json.JSONDecodeError as error:
        raise Refusal(Reason.INVALID_JSON, f"Not JSON at character {error.pos}: {error.msg}.") from None
    except RecursionError:
        raise Refusal(Reason.TOO_DEEP, f"Nested deeper than {limits.depth} levels.") from None
    if (
        (not short and _may_pass_a_limit(body, limits))
        or _SURROGATE_ESCAPE.search(body) is not None
        or (_opened(body) > limits.depth and _deeper(tree, limits.depth))
    ):
        measure(tree, limits)
    return tree


def with_lines(message: str, text: str) -> str:
    """A message of parse() about a file that people write: line and column, in place of the number of a character."""

    def place(match: re.Match[str]) -> str:
        before = text[: int(match[1])]
        return f"at line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))}"

    return _CHARACTER.sub(place, message)


def dumps(value: object) -> bytes:
    """Compact JSON in ASCII: a raw U+2028 would end a line for some readers of server-sent events (httpx-sse 34).

    parse(dumps(x)) == x. Raises ValueError for NaN and the infinities, TypeError for what JSON does not have.
    """
    return _ENCODER.encode(value).encode("ascii")


def _decoded(body: bytes) -> str:
    if body.startswith(codecs.BOM_UTF8):
        raise Refusal(Reason.INVALID_ENCODING, "The body begins with a byte order mark; send UTF-8 without one.")
    if b"\0" in body:  # never in JSON; ASCII text in UTF-16 or UTF-32 would otherwise pass as UTF-8
        raise Refusal(Reason.INVALID_ENCODING, f"Zero byte at byte {body.index(0)}; send UTF-8.")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refusal(Reason.INVALID_ENCODING, f"Not UTF-8 at byte {error.start}.") from None


def _read(text: str) -> Json:
    """The value that fills a text, as JSONDecoder.decode() reads it, which looks for white space by pattern."""
    tree, end = _DECODER.raw_decode(text, len(text) - len(text.lstrip(_WHITE)))
    if end != len(text) and (rest := text[end:].lstrip(_WHITE)):
        raise json.JSONDecodeError("Extra data", text, len(text) - len(rest))
    return cast("Json", tree)


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise Refusal(Reason.DUPLICATE_KEY, f"The key {_quoted(twice)} stands twice in one object.")
    return members


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise _NotFinite(text)
    return number


def _integer(text: str) -> int:
    if len(text) >= _DIGITS:
        _finite(text)
    return int(text)


def _constant(text: str) -> NoReturn:
    raise _NotFinite(text)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_finite, parse_int=_integer, parse_constant=_constant
)
_ENCODER = json.JSONEncoder(allow_nan=False, separators=(",", ":"))


def _offset(text: str, number: str) -> int:
    return next(token.start() for token in _TOKEN.finditer(text) if token[1] == number)


def _may_pass_a_limit(body: bytes, limits: JsonLimits) -> bool:
    """Whether the tree has to be looked at: to pass a limit takes at least so many bytes of one sort."""
    return _values(body) > limits.values or body.count(b":") > limits.keys or len(body) > limits.string


def _values(text: bytes) -> int:
    """The most values that a text can hold: each begins after a brace, a bracket or a comma."""
    return _opened(text) + text.count(b",")


def _opened(text: bytes) -> int:
    """The most levels that a text can have."""
    return text.count(b"{") + text.count(b"[")


def _require_few(body: bytes, limits: JsonLimits) -> None:
    """Refuse (too-large) before it is built a tree of more nodes than are read: `[],` takes thirty times its bytes.

    Those in strings begin no value. Nothing is kept while counting: a body of many short strings would cost as much.
    """
    most = 2 * limits.values + 2  # of which the last two may be at the end, where no value begins
    if _values(body) > limits.values and next(islice(_TO_A_VALUE.finditer(body), most, None), None):
        raise Refusal(Reason.TOO_LARGE, f"More than {limits.values} values.")


def _deeper(tree: Json, most: int) -> bool:
    """Whether a tree has more levels than `most`. Quicker than measure(), which says where."""
    level: list[Json] = [tree]
    for _ in range(most):
        level = [
            value
            for node in level
            if isinstance(node, dict | list)
            for value in (node.values() if isinstance(node, dict) else node)
            if isinstance(value, dict | list)
        ]
        if not level:
            return False
    return True


_Path = tuple[str | int, ...]
_Container = list["Json"] | dict[str, "Json"]


def measure(tree: Json, limits: JsonLimits) -> None:
    """Walk the tree level by level, without recursion: all of `limits` but `body`.

    Raises Refusal: too-deep, too-large, invalid-encoding.
    """
    depth, keys, values = 0, 0, -1
    level: list[tuple[_Path, _Container]] = [((), [tree])]  # a list around it, so that a bare string is looked at too
    while level:
        if depth > limits.depth:
            raise Refusal(Reason.TOO_DEEP, f"Nested deeper than {limits.depth} levels at {_shown(level[0][0])}.")
        keys += sum(len(node) for _, node in level if isinstance(node, dict))
        values += sum(len(node) for _, node in level)
        if keys > limits.keys or values > limits.values:
            most = f"{limits.keys} keys or {limits.values} values"
            raise Refusal(Reason.TOO_LARGE, f"More than {most}, counted down to level {depth}.")
        level = [found for path, node in level for found in _containers(path, node, limits)]
        depth += 1


def _containers(path: _Path, node: _Container, limits: JsonLimits) -> Iterator[tuple[_Path, _Container]]:
    """The lists and objects right inside `node`, once its keys and strings are found good."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        if isinstance(key, str):
            _check_string(key, limits, path, "A key")
        if isinstance(value, str):
            _check_string(value, limits, (*path, key), "The string")
        elif isinstance(value, list | dict):
            yield (*path, key), value


def _check_string(text: str, limits: JsonLimits, path: _Path, what: str) -> None:
    try:
        size = len(text) if text.isascii() else len(text.encode("utf-8"))
    except UnicodeEncodeError:
        raise Refusal(Reason.INVALID_ENCODING, f"{what} at {_shown(path)} has half a surrogate pair.") from None
    if size > limits.string:
        raise Refusal(Reason.TOO_LARGE, f"{what} at {_shown(path)} has more than {limits.string} bytes.")


def _shown(path: _Path) -> str:
    """("", "params", "tags", 3) -> $["params"]["tags"][3]; the first step is the list around the tree."""
    return "$" + "".join(f"[{step if isinstance(step, int) else _quoted(step)}]" for step in path[1:])


def _quoted(key: str) -> str:
    return json.dumps(key if len(key) <= _SHOWN else key[:_SHOWN] + "...")
