"""JSONPath (RFC 9535): finds places in a JSON value, in time that grows with the value and no faster.

Decides which queries are taken: those without what could be made slow by the value that is searched. One descent (`..`)
at most; in a filter no descent, no look from the root, and no regular expression, which this engine would backtrack in.
Refuses to know what is done at the places.
"""

from __future__ import annotations

import re
from copy import deepcopy
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from jsonpath_rfc9535 import JSONPathEnvironment, JSONPathError, JSONPathQuery

from mcpgov.errors import InvalidExpression
from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcpgov.models import Json

MAX_LENGTH: Final = 256
MAX_PLACES: Final = 100_000
MAX_DEPTH: Final = 256
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_STRING: Final = re.compile(r"""(?s)'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""")
_SLOW: Final = (
    (re.compile(r"(?s)\.\..*\.\."), "a path may descend once", "write one of the .. step by step"),
    (
        re.compile(r"(?s)\?.*(?:\.\.|\$)"),
        "a filter may not descend, nor look from the root",
        "filter on @ and its members",
    ),
    (re.compile(r"\b(?:match|search)\s*\("), "a path may hold no regular expression", "compare whole values"),
    (re.compile(r"(?s),.*,.*,.*,.*,"), "a path may choose few members at a time", "write several paths"),
)


class TooManyPlaces(ValueError):
    """A path finds more places than are looked at."""


class _Environment(JSONPathEnvironment):
    max_recursion_depth = MAX_DEPTH


@frozen
class Places:
    """A compiled path."""

    text: str
    _query: JSONPathQuery

    def replaced(self, value: Json, replacement: Json) -> Json:
        """`value` with `replacement` at every place that is found. Raises TooManyPlaces."""
        found = [node.location for node in islice(self._query.finditer(value), MAX_PLACES + 1)]
        if len(found) > MAX_PLACES:
            raise TooManyPlaces
        if not found:
            return value
        fresh: Any = deepcopy(value)
        for *way, last in sorted(found, key=len, reverse=True):  # what is inside before what it is in
            at = fresh
            for step in way:
                at = at[step]
            at[last] = replacement
        return fresh


def compile_path(text: str) -> Places:
    """The places that a query finds. Raises InvalidExpression."""
    bare = _STRING.sub("''", text)
    if len(text) > MAX_LENGTH:
        raise InvalidExpression(f"a path has at most {MAX_LENGTH} characters")
    for slow, message, mend in _SLOW:
        if slow.search(bare):
            raise InvalidExpression(message, mend)
    try:
        query = _Environment().compile(text)
    except JSONPathError as error:
        raise InvalidExpression(f"no JSONPath: {error.args[0]}", "write it as $.member[0]['other']") from None
    if query.empty():
        raise InvalidExpression("the path names the whole value", "name a member of it")
    return Places(text, query)


def json_path(steps: Sequence[str | int]) -> str:
    """How the place that `steps` lead to is written: $.a[0]["b c"]."""
    return "$" + "".join(map(_written, steps))


def _written(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    return f".{step}" if _PLAIN.fullmatch(step) else f"[{step!r}]"
