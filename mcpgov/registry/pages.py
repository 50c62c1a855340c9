"""What the registry answers: pages of servers, the versions of one, one version. Pure.

Rules: servers stand in the order of their names, and the versions of one from the oldest to the latest, so that a
cursor goes on at the next one whatever came or went in between. Who may reach no connection of a server does not see
it, and sees of those that it sees only its own connections. A deleted version is there only for who asks for it.
Refuses to know: who calls (that has become a Reach), and HTTP.
Source: the registry's OpenAPI of 2025-12-01.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from operator import attrgetter
from typing import TYPE_CHECKING, Final, cast

from mcpgov.catalog.listed import BEARER, offered
from mcpgov.frozen import frozen
from mcpgov.registry.asked import LATEST, cursor_of
from mcpgov.strict_json import JsonLimits, parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mcpgov.catalog.listed import Document, Listed, Way
    from mcpgov.models import Json
    from mcpgov.policy.glob import ToolNames
    from mcpgov.publish.offer import KeyHeader
    from mcpgov.registry.asked import Asked

OFFICIAL: Final = "io.modelcontextprotocol.registry/official"
_BY_NAME: Final = attrgetter("name")
_SEMVER: Final = re.compile(r"[vV]?(\d{1,18}(?:\.\d{1,18}){0,3})(?:-([0-9A-Za-z.-]+))?(?:\+.*)?")
_LIMITS: Final = JsonLimits()

Rank = tuple[int, tuple[int, ...], tuple[tuple[int, int, str], ...]]
Position = tuple[str, Rank, str]


@frozen
class Reach:
    """What one caller may see: servers and connections by name; None is everything."""

    servers: ToolNames | None = None
    connections: ToolNames | None = None

    def ways(self, one: Listed) -> Sequence[Way]:
        """The connections of a server that this caller sees."""
        if self.servers is not None and one.name not in self.servers:
            return ()
        if self.connections is None:
            return one.ways
        return [way for way in one.ways if way.connection in self.connections]


@frozen
class Told:
    """What stands in every answer: the gateway's public URL, the stamp of the generation, where keys are sent."""

    gateway: str
    stamp: str
    header: KeyHeader = BEARER


def rank(version: str) -> Rank:
    """Where a version stands among others: by semantic versioning, and what is none of it before everything else."""
    match = _SEMVER.fullmatch(version)
    if match is None:
        return (0, (), ())
    numbers = [int(number) for number in match[1].split(".")]
    while numbers and not numbers[-1]:
        numbers.pop()  # 1.0 is 1.0.0
    parts = match[2].split(".") if match[2] else []
    before = [(0, int(part), "") if part.isdecimal() and len(part) <= 18 else (1, 0, part) for part in parts]
    return (1, tuple(numbers), (*before, (-1, 0, "")) if before else ((2, 0, ""),))


def position(name: str, version: str) -> Position:
    """Where a version of a server stands among all."""
    return (name, rank(version), version)


def _position(one: Listed) -> Position:
    return position(one.name, one.version)


class Shelf:
    """Every version of every server in one generation, in order."""

    __slots__ = ("_all",)

    def __init__(self, listed: Iterable[Listed] = ()) -> None:
        self._all = tuple(sorted(listed, key=_position))

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Listed]:
        return iter(self._all)

    def after(self, place: tuple[str, str] | None) -> Iterator[Listed]:
        """Those behind a name and version, be there such a one or not."""
        start = bisect_right(self._all, position(*place), key=_position) if place else 0
        return (self._all[number] for number in range(start, len(self._all)))

    def versions(self, name: str, reach: Reach) -> list[Listed]:
        """The versions of a server that a caller sees, deleted ones too."""
        start, end = bisect_left(self._all, name, key=_BY_NAME), bisect_right(self._all, name, key=_BY_NAME)
        return [one for one in self._all[start:end] if reach.ways(one)]


def latest_of(versions: Sequence[Listed]) -> Listed | None:
    """The latest of what a caller sees of a server: one that is served, if there is any."""
    return next((one for one in reversed(versions) if not one.deleted), versions[-1] if versions else None)


def page(shelf: Shelf, reach: Reach, asked: Asked, told: Told) -> Document:
    """One page of a list, and the cursor to the next."""
    servers: list[Json] = []
    metadata: Document = {"count": 0}
    last: Listed | None = None
    latest: Listed | None = None
    for one in shelf.after(asked.after):
        if asked.version not in {"", LATEST, one.version} or not _matches(one, asked) or not reach.ways(one):
            continue
        if latest is None or latest.name != one.name:
            latest = latest_of(shelf.versions(one.name, reach))
        if asked.version == LATEST and one is not latest:
            continue
        if last is not None and len(servers) == asked.limit:
            metadata["nextCursor"] = cursor_of(asked, last.name, last.version)
            break
        servers.append(_item(one, latest, reach, told))
        last = one
    metadata["count"] = len(servers)
    return {"servers": servers, "metadata": metadata}


def versions_page(shelf: Shelf, reach: Reach, name: str, asked: Asked, told: Told) -> Document | None:
    """Every version of a server, the latest first; None where the caller sees none."""
    every = shelf.versions(name, reach)
    latest = latest_of(every)
    shown = [one for one in reversed(every) if asked.deleted or not one.deleted]
    if not shown:
        return None
    items: list[Json] = [_item(one, latest, reach, told) for one in shown]
    return {"servers": items, "metadata": {"count": len(items)}}


def version_item(shelf: Shelf, reach: Reach, place: tuple[str, str], asked: Asked, told: Told) -> Document | None:
    """One version of a server, by its name and its version or `latest`; None where the caller sees no such one."""
    name, version = place
    every = shelf.versions(name, reach)
    latest = latest_of(every)
    for one in every:
        wanted = one is latest if version == LATEST else one.version == version
        if wanted and (asked.deleted or not one.deleted):
            return _item(one, latest, reach, told)
    return None


def server_of(one: Listed, ways: Sequence[Way], told: Told) -> Document:
    """The server.json of a version, with these connections as its remotes."""
    document = cast("Document", parse(one.document, _LIMITS))
    return offered(document, () if one.deleted else ways, told.gateway, told.stamp, told.header)


def _matches(one: Listed, asked: Asked) -> bool:
    """Whether a version is one of those asked for, as far as that does not depend on the others."""
    return (
        (asked.deleted or not one.deleted)
        and asked.search in one.text
        and (asked.since is None or one.updated >= asked.since)
    )


def _item(one: Listed, latest: Listed | None, reach: Reach, told: Told) -> Document:
    """One item of a list. All times are those of the entry's file: a catalog of files has no others."""
    time = one.updated.strftime("%Y-%m-%dT%H:%M:%SZ")
    official: Document = {"status": one.status, "statusChangedAt": time, "publishedAt": time, "updatedAt": time}
    official["isLatest"] = one is latest
    return {"server": server_of(one, reach.ways(one), told), "_meta": {OFFICIAL: official}}
