"""The settings of the aggregate: `aggregate:` in mcpgov.yaml, the connections that are one server at /mcp.

Rules: a connection that is named and is not there is a problem when files are loaded; a pattern may match none. The
separator has no character that a connection's name may have, so that a prefixed name can be read in one way only.
Refuses to know: how names are made, and what is asked of whom.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import AfterValidator

from mcpgov.credential.references import Unfit
from mcpgov.shapes import Filled, Flag, Seconds, Shape
from mcpgov.yaml_source import nearest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from mcpgov.errors import Problem
    from mcpgov.yaml_source import Source

_PATTERN: Final = re.compile(r"[a-z0-9*?][a-z0-9*?-]{0,62}")
_SEPARATOR: Final = re.compile(r"[_./]{1,4}")


def _pattern(name: str) -> str:
    if not _PATTERN.fullmatch(name):
        raise Unfit("is not the name of a connection", "write one, or a pattern with * and ?, like: github or azure-*")
    return name


def _separator(text: str) -> str:
    if not _SEPARATOR.fullmatch(text):
        raise Unfit("separates no names", "write 1 to 4 of the characters _ . /")
    return text


class Aggregate(Shape):
    """Which connections are one server at /mcp, in this order, and how what they offer is called there; `timeout`, in
    seconds, is for all that one of them answers to one question, page after page.
    """

    connections: Annotated[tuple[Annotated[str, AfterValidator(_pattern)], ...], Filled]
    prefix: Literal["always", "conditional", "never"] = "always"
    separator: Annotated[str, AfterValidator(_separator)] = "_"
    search_tools: Flag = False
    timeout: Seconds = 30.0


def unfit_aggregate(
    aggregate: Aggregate, source: Source, connections: Collection[str], workers: int
) -> Iterator[Problem]:
    """What is wrong with it, given the connections that there are. `source` is that of the settings."""
    for number, name in enumerate(aggregate.connections):
        if not {"*", "?"} & set(name) and name not in connections:
            mend = nearest(name, connections) if connections else "write its entry, or remove it"
            yield source.problem(("aggregate", "connections", number), f"there is no connection {name}", mend)
    if workers > 1:
        message = f"a client's session at /mcp is in the memory of one of the {workers} workers"
        yield source.problem(("aggregate",), message, "serve it with --workers 1, or remove it", at_key=True)
