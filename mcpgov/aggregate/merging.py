"""Merges what the members list, and pages it. Pure.

Rules: a definition is passed on as it stands, but for its name. Of a URI that two members list, the first member's
counts: resources are not renamed, for their texts refer to each other. Where a page begins is in the cursor itself:
after which member's which name; so any page can be asked for at any time, and of any worker.
"""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Final, cast

from mcpgov.aggregate.naming import Item
from mcpgov.decision import Reason
from mcpgov.errors import INVALID_PARAMS, Refusal
from mcpgov.frozen import frozen
from mcpgov.models import Era
from mcpgov.strict_json import dumps

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from mcpgov.aggregate.naming import Found, Naming
    from mcpgov.models import Json

    Owners = Mapping[str, tuple[str, str]]

PAGE: Final = 500  # of one page of a merged list
DEEPEST: Final = 128  # levels of one definition
META: Final = "dev.mcpgov/aggregate"
LONGEST: Final = 8192  # characters of a URI that a template may stand for
_EXPRESSION: Final = re.compile(r"\{[^{}]*\}")  # of a URI template (RFC 6570 section 2.2)


@frozen
class Listed:
    """One sort of list: the method, where its result has the list, what names an item, and whether names change."""

    method: str
    key: str
    named_by: str
    renamed: bool


TOOLS: Final = Listed("tools/list", "tools", "name", renamed=True)
PROMPTS: Final = Listed("prompts/list", "prompts", "name", renamed=True)
RESOURCES: Final = Listed("resources/list", "resources", "uri", renamed=False)
TEMPLATES: Final = Listed("resources/templates/list", "resourceTemplates", "uriTemplate", renamed=False)
LISTS: Final = {listed.method: listed for listed in (TOOLS, PROMPTS, RESOURCES, TEMPLATES)}


def found_in(listed: Listed, member: str, result: Mapping[str, Json]) -> Iterator[Found]:
    """What a member's page lists; what has no name, or is nested too deeply to be written again, is left out."""
    items = result.get(listed.key)
    for definition in items if isinstance(items, list) else []:
        own = definition.get(listed.named_by) if isinstance(definition, dict) else None
        if isinstance(definition, dict) and isinstance(own, str) and own and not _too_deep(definition):
            yield member, own, definition


def _too_deep(definition: Json) -> bool:
    level: list[Json] = [definition]
    for _ in range(DEEPEST):
        level = [
            inner
            for value in level
            if isinstance(value, dict | list)
            for inner in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return False
    return True


def merged(listed: Listed, naming: Naming, found: Sequence[Found]) -> list[Item]:
    """The merged list. A name that one member lists twice is its first."""
    first: dict[tuple[str, str], Found] = {}
    for one in found:
        first.setdefault(one[:2], one)
    if listed.renamed:
        return naming.items(list(first.values()))
    places = {member: place for place, member in enumerate(naming.members)}
    ordered = sorted(first.values(), key=lambda one: (places[one[0]], one[1]))
    items: dict[str, Item] = {}
    for member, own, definition in ordered:
        items.setdefault(own, Item(own, member, own, definition))
    return list(items.values())


def page_of(
    listed: Listed, members: Sequence[str], items: Sequence[Item], cursor: Json, size: int = PAGE
) -> tuple[list[Json], str]:
    """The definitions of the page that `cursor` asks for, None being the first, and the cursor of the next, "" for
    none. Raises Refusal (invalid-message) for a cursor that is none of ours.
    """
    after = None if cursor is None else _read(listed, cursor)
    places = {member: place for place, member in enumerate(members)}
    left = [
        item
        for item in items
        if after is None or (places[item.member], item.own) > (places.get(after[0], -1), after[1])
    ]
    page: list[Json] = [{**item.definition, listed.named_by: item.name} for item in left[:size]]
    return page, _written(listed, left[size - 1]) if len(left) > size else ""


def require_cursor(listed: Listed, cursor: Json) -> None:
    """Raise Refusal (invalid-message) for a cursor that is none of ours."""
    if cursor is not None:
        _read(listed, cursor)


def _written(listed: Listed, item: Item) -> str:
    return base64.urlsafe_b64encode(dumps([listed.key, item.member, item.own])).rstrip(b"=").decode()


def _read(listed: Listed, cursor: Json) -> tuple[str, str]:
    """After which member's which name a page begins. Raises Refusal."""
    try:
        written = cursor if isinstance(cursor, str) else ""
        said: object = json.loads(base64.urlsafe_b64decode(written + "=" * (-len(written) % 4)))
    except (ValueError, RecursionError):
        said = None
    match said:
        case [listed.key, str(member), str(own)]:
            return member, own
        case _:
            refusal = Refusal(Reason.INVALID_MESSAGE, "The cursor is none that was given here.")
            refusal.code = INVALID_PARAMS
            raise refusal


def list_result(listed: Listed, page: list[Json], cursor: str, unavailable: Sequence[str], era: Era) -> dict[str, Json]:
    """The result of a list request. It is one caller's: no cache may share it."""
    result: dict[str, Json] = {listed.key: page}
    if cursor:
        result["nextCursor"] = cursor
    if unavailable:
        result["_meta"] = {META: {"unavailable": list(unavailable)}}
    return result | {"ttlMs": 0, "cacheScope": "private"} if era is Era.STATELESS else result


class Templates:
    """The URI templates of the members, read once for all the URIs of one request; `owners` by template."""

    def __init__(self, owners: Owners) -> None:
        self.owners = owners
        self._read = [(_EXPRESSION.split(template), member) for template, (member, _) in owners.items()]

    def owner(self, uri: str) -> tuple[str, str] | None:
        """The member of the first template that a URI may come from, and the URI."""
        if len(uri) > LONGEST:
            return None
        return next(((member, uri) for literals, member in self._read if _fits(uri, literals)), None)


def _fits(uri: str, literals: Sequence[str]) -> bool:
    """Whether a URI has what stands between the expressions of a template, in this order, each where it first comes:
    so that nothing has to be tried again.
    """
    first, last = literals[0], literals[-1]
    if len(literals) == 1:
        return uri == first
    at, end = len(first), len(uri) - len(last)
    if at > end or not uri.startswith(first) or not uri.endswith(last):
        return False
    for literal in literals[1:-1]:
        found = uri.find(literal, at, end)
        if found < 0:
            return False
        at = found + len(literal)
    return True


def text_at(parent: Mapping[str, Json], *path: str) -> str:
    """The text at a path of keys; empty where there is none."""
    found: Json = cast("Json", parent)
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, str) else ""


def speaks(result: Mapping[str, Json], versions: Collection[str]) -> bool:
    """Whether the result of server/discover offers one of `versions`."""
    offered = result.get("supportedVersions")
    return isinstance(offered, list) and any(version in offered for version in versions)
