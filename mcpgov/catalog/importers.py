"""What others list, as entries of ours: a server.json, and registries that speak the MCP registry's API.

Parsing is pure; what fetches is handed in. Rules: one bad entry never hides the others, each that is refused is named
with the reason; a page is read with bounds, a cursor that comes again ends the import, and nothing of it is used. What
a registry says of our own keys is not believed. Refuses to know: files, tokens, and how one connects.
Source: MCP registry API v0.1, GET /v0.1/servers.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode, urlsplit

from mcpgov.catalog.listing import Status
from mcpgov.catalog.server_json import read_server_json
from mcpgov.catalog.ways import Choice, Draft, reached
from mcpgov.credential.references import Unfit
from mcpgov.errors import InvalidConfiguration, Refusal
from mcpgov.frozen import frozen
from mcpgov.strict_json import JsonLimits, parse

if TYPE_CHECKING:
    from mcpgov.models import Json

    Document = dict[str, Json]

Fetch = Callable[[str], Awaitable[bytes]]  # the body of an answer; raises Unfit

PAGE: Final = 100  # servers that are asked for at once
PAGES: Final = 500
SERVERS: Final = 20_000
OFFICIAL: Final = "io.modelcontextprotocol.registry/official"
ITEM: Final = JsonLimits(body=256 * 1024, depth=40, string=64 * 1024)
API_CENTER: Final = ".azure-apicenter.ms"
_FEWER: Final = "ask for those that changed: --updated-since 2026-11-01T00:00:00Z"
_PATH: Final = "/v0.1/servers"
_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[\[\]{},]', re.DOTALL)  # what does not end is tried once


@frozen
class Found:
    """A server that could be added. `draft` makes the entry; it raises Unfit."""

    label: str
    draft: Callable[[Choice], Draft]


@frozen
class Refused:
    """A server that is not added, and why."""

    label: str
    why: str


@frozen
class Page:
    """One answer of a registry. `cursor` is where the next one begins; empty on the last."""

    found: tuple[Found, ...]
    refused: tuple[Refused, ...]
    cursor: str = ""


@frozen
class Asked:
    """What is wanted of a registry. `since` is a time of RFC 3339; without `every`, the latest version of each."""

    url: str
    since: str = ""
    every: bool = False

    def page(self, cursor: str) -> str:
        """The URL of a page."""
        base = self.url.rstrip("/").removesuffix(_PATH)
        query = {"limit": str(PAGE)} | ({"cursor": cursor} if cursor else {})
        query |= {"updated_since": self.since} if self.since else {}
        query |= {} if self.every else {"version": "latest"}
        return f"{base}{_PATH}?{urlencode(query)}"


async def from_registry(asked: Asked, fetch: Fetch) -> Page:
    """Everything that a registry lists. Raises Unfit where it cannot be read to its end."""
    found, refused, seen = list[Found](), list[Refused](), {""}
    cursor = ""
    for _ in range(PAGES):
        page = read_page(await fetch(asked.page(cursor)), asked)
        found += page.found
        refused += page.refused
        if len(found) + len(refused) > SERVERS:
            raise Unfit(f"lists more than {SERVERS} servers", _FEWER)
        if not page.cursor:
            return Page(tuple(found), tuple(refused))
        if page.cursor in seen:
            raise Unfit("gives a cursor that it gave before, so that its list would never end", "tell whoever runs it")
        seen.add(cursor := page.cursor)
    raise Unfit(f"has more than {PAGES} pages", _FEWER)


def read_page(body: bytes, asked: Asked) -> Page:
    """One answer of a registry, or a file of one. Raises Unfit where it is no list of servers."""
    no_list = Unfit("did not answer with a list of servers", "name the URL that /v0.1/servers follows")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise no_list from None
    items = _items(text)
    if items is None:
        raise no_list
    read = [_item(text[start:end], asked, number) for number, (start, end) in enumerate(items)]
    found = tuple(one for one in read if isinstance(one, Found))
    refused = tuple(one for one in read if isinstance(one, Refused))
    return Page(found, refused, _cursor(text, items))


def _items(text: str) -> list[tuple[int, int]] | None:
    """Where each item of `servers` stands, found without looking into it: one that is bad must not hide the others."""
    depth, key, start, inside, items = 0, "", 0, False, list[tuple[int, int]]()
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if mark[0] == '"':
            key = mark if depth == 1 else key
        elif mark in "[{":
            depth += 1
            inside = inside or (depth == 2 and mark == "[" and key == '"servers"')
            start = token.end() if inside and depth == 2 else start
        elif inside and depth == 2:  # the end of an item, or of the list
            if text[start : token.start()].strip():
                items.append((start, token.start()))
            start = token.end()
            if mark == "]":
                return items
        elif mark in "]}":
            depth -= 1
    return None


def _cursor(text: str, items: list[tuple[int, int]]) -> str:
    """Where the next page begins. What stands around the items is read as strictly as anything."""
    around = text[: items[0][0]] + text[items[-1][1] :] if items else text
    try:
        tree = parse(around.encode("utf-8", "surrogatepass"), ITEM)
    except Refusal as refusal:
        raise Unfit(f"answered with a list that is not JSON: {refusal.message}", "tell whoever runs it") from None
    metadata = _mapping(_mapping(tree).get("metadata"))
    cursor = metadata.get("nextCursor", metadata.get("next_cursor"))
    return cursor if isinstance(cursor, str) else ""


def _item(text: str, asked: Asked, number: int) -> Found | Refused:
    """One item of a list, whatever the others are."""
    label = f"number {number + 1} of the list"
    try:
        item = _mapping(parse(text.strip().encode("utf-8", "surrogatepass"), ITEM))
    except Refusal as refusal:
        return Refused(label, refusal.message)
    server = _mapping(item.get("server"))
    label = " ".join(str(server[key]) for key in ("name", "version") if isinstance(server.get(key), str)) or label
    if "server" not in item:
        return Refused(label, "it is no server")
    official = _mapping(_mapping(item.get("_meta")).get(OFFICIAL))
    status = official.get("status", Status.ACTIVE.value)
    if status == Status.DELETED:
        return Refused(label, "it is deleted there")
    if not asked.every and official.get("isLatest") is False:
        return Refused(label, "there is a later version: say --all-versions")
    try:
        document = read_server_json(server, label, ours=False)
    except InvalidConfiguration as invalid:
        return Refused(label, "; ".join(_without_file(str(problem), label) for problem in invalid.problems))
    document |= {"status": status} if status == Status.DEPRECATED else {}
    document.setdefault("registry", registry_name(asked.url))
    return Found(label, partial(reached, document))


def registry_name(url: str) -> str:
    """What a registry is called: its host, or the name of an API Center."""
    host = urlsplit(url).hostname or "file"
    return host.partition(".")[0] if host.endswith(API_CENTER) else host


def is_api_center(url: str) -> bool:
    """Whether a registry is an Azure API Center, which is signed in to."""
    return (urlsplit(url).hostname or "").endswith(API_CENTER)


def _without_file(said: str, label: str) -> str:
    return said.removeprefix(f"{label}: ")


def _mapping(value: Json) -> Document:
    return value if isinstance(value, dict) else {}
