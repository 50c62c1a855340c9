"""The MCP registry's server.json and the YAML of a catalog entry, either made of the other without loss. Pure.

Rules: what both have (name, title, description, version) stands where each has it. Members of server.json that an entry
has no key for stand under its key `server`, as they are; keys of an entry that server.json has no member for stand in
its `_meta`, under `dev.mcpgov/catalog`. What server.json needs and an entry did not say is filled in and noted there,
so that the way back takes it out again. No literal secret leaves (withheld.py), no reference is resolved.

Two views, never mixed: server_json() is the operator's, published() is everybody's. The published one names the
gateway and never the upstream: neither its URL, nor its host, nor a key, nor a variable.
Source: server.schema.json of 2025-12-11.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import urlsplit

from mcpgov.catalog.listed import OURS, Listed, Way, offered
from mcpgov.catalog.server_shape import LONGEST_LINE, SCHEMA, ServerJson, wrong_with
from mcpgov.catalog.withheld import without_literals
from mcpgov.errors import InvalidConfiguration, Problem, Refusal
from mcpgov.strict_json import JsonLimits, dumps, parse, with_lines
from mcpgov.yaml_source import Source

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from mcpgov.catalog.entries import Entry
    from mcpgov.models import Json
    from mcpgov.yaml_source import Path

    Document = dict[str, Json]

LIMITS: Final = JsonLimits(body=1024 * 1024, depth=40, string=64 * 1024)
SHARED: Final = ("name", "title", "description", "version")
FILLED: Final = "filled"  # the members that were filled in
STAMP: Final = "stamp"  # only the published view has one
_KEPT: Final = ("publisher", "categories", "environments")  # of what another gateway published
_SHOWABLE: Final = ("repository", "websiteUrl", "icons")  # unless they name a host of the upstream


def parse_server_json(text: str, file: str, *, ours: bool = True) -> Document:
    """The keys and values of the entry that a server.json is; nothing yet says how it is reached.

    Raises InvalidConfiguration with every problem. What was exported comes back whole, with `ours`.
    """
    try:
        tree = parse(text.encode("utf-8", "surrogatepass"), LIMITS)
    except Refusal as refusal:
        said = with_lines(refusal.message, text)
        raise InvalidConfiguration((Problem(file, 0, 0, said, "write one server.json"),)) from None
    return read_server_json(tree, file, ours=ours)


def read_server_json(tree: Json, file: str, *, ours: bool = True) -> Document:
    """The same of a tree. Without `ours`, what another says about our own keys is left out.

    A server.json of somebody else could name a command in our `_meta`, which would be started here.
    """
    plain, mine = _parted(tree)
    paths = tuple(_paths(plain))
    source = Source(file, plain, {path: (number, 0) for number, path in enumerate(paths)}, {})
    if found := tuple(wrong_with(ServerJson, plain, source)):
        raise InvalidConfiguration(tuple(_said(problem, paths[problem.line]) for problem in found))
    if not isinstance(mine, dict):
        raise InvalidConfiguration((Problem(file, 0, 0, f"{OURS} is no mapping", "remove it"),))
    published = STAMP in mine
    if not ours or published:
        mine = {key: mine[key] for key in _KEPT if published and key in mine}
    return _document(cast("Document", plain), mine)


def _paths(value: Json, path: Path = ()) -> Iterator[Path]:
    """The path of a value and of everything in it: the number of each stands for a line, of which a tree has none."""
    yield path
    if isinstance(value, dict | list):
        for step, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _paths(inner, (*path, step))


def _said(problem: Problem, path: Path) -> Problem:
    """A problem that says where in the tree it is."""
    where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")
    return Problem(problem.file, 0, 0, f"{where}: {problem.message}" if where else problem.message, problem.mend)


def _parted(tree: Json) -> tuple[Json, Json]:
    """A server.json without what is ours in it, and that."""
    meta = tree.get("_meta") if isinstance(tree, dict) else None
    if not isinstance(tree, dict) or not isinstance(meta, dict) or OURS not in meta:
        return tree, {}
    return {**tree, "_meta": {key: value for key, value in meta.items() if key != OURS}}, meta[OURS]


def _document(plain: Document, mine: Mapping[str, Json]) -> Document:
    noted = mine.get(FILLED)
    filled = frozenset(str(name) for name in noted) if isinstance(noted, list) else frozenset[str]()
    said: Document = {name: value for name, value in plain.items() if name not in filled}
    document: Document = {name: said.pop(name) for name in SHARED if name in said}
    document |= {key: value for key, value in mine.items() if key not in (FILLED, "server")}
    if said:
        document["server"] = said
    return document


def server_json(entry: Entry) -> Document:
    """An entry as the operator's server.json."""
    return to_server_json(cast("Document", entry.source.value))[0]


def withheld(entry: Entry) -> tuple[str, ...]:
    """A line about each secret of an entry that server_json() puts a reference for."""
    return to_server_json(cast("Document", entry.source.value))[1]


def to_server_json(document: Document) -> tuple[Document, tuple[str, ...]]:
    """The server.json of what an entry's file says, and a line about each secret that was left out of it."""
    known, told = without_literals(document)
    server = cast("Document", known.pop("server", {}))
    mine: Document = {key: value for key, value in known.items() if key not in SHARED or value == ""}
    said = {name: known[name] for name in SHARED if known.get(name, "") != ""}
    name = str(said.get("name", ""))
    needed: Document = {"$schema": SCHEMA, "description": str(said.get("title") or name)[:LONGEST_LINE]}
    needed |= {"version": "0.0.0", "_meta": {}}
    if remotes := _remote(known):
        needed["remotes"] = [remotes]
    filled = {key: value for key, value in needed.items() if key not in said and key not in server}
    if filled:
        mine[FILLED] = list(filled)
    every = {**filled, **said, **server}
    every["_meta"] = {**cast("Document", every["_meta"]), OURS: mine}
    order = ("$schema", *SHARED, *server, "remotes", "_meta")
    return {key: every[key] for key in dict.fromkeys(order) if key in every}, told


def _remote(document: Document) -> Document:
    """Where an entry says its server is, as a remote; nothing where it is started here."""
    url = document.get("upstream")
    if not url:
        return {}
    headers: dict[str, Json] = {}
    for one in cast("dict[str, Document]", document.get("connections", {})).values():
        for name in cast("Document", (one or {}).get("keys", {})):
            headers.setdefault(name, {"name": name, "isRequired": True, "isSecret": True})
    remote: Document = {"type": "streamable-http", "url": url}
    return {**remote, "headers": list(headers.values())} if headers else remote


def published(entry: Entry, gateway: str, stamp: str) -> Document:
    """An entry as everybody may see it: `gateway` is its public URL, `stamp` that of the generation."""
    return offered(described(entry), ways_of(entry), gateway, stamp)


def listed(entry: Entry, updated: datetime) -> Listed:
    """An entry as the registry keeps it; `updated` is when its file was written, in UTC."""
    text = f"{entry.name}\n{entry.title}\n{entry.description}".lower()
    named = cast("Document", cast("Document", entry.source.value)["connections"])
    ways = ways_of(entry) or tuple(Way(name, "") for name in named)
    said = (entry.name, entry.version, entry.title, entry.listing.status.value)
    return Listed(*said, updated.replace(microsecond=0), ways, text, dumps(described(entry)))


def ways_of(entry: Entry) -> tuple[Way, ...]:
    """The connections of an entry; of one that is deleted there are none."""
    return tuple(Way(one.connection.name, one.connection.client_auth_type.value) for one in entry.connections)


def described(entry: Entry) -> Document:
    """What everybody may see of an entry, whatever the gateway is called and whoever asks."""
    listing = entry.listing
    words: Document = {
        "publisher": listing.publisher,
        "categories": list(listing.categories),
        "registry": listing.registry,
        "environments": list(listing.environments),
    }
    hosts = frozenset(_hosts(cast("Document", entry.source.value)))
    shown = {name: listing.server[name] for name in _SHOWABLE if name in listing.server}
    made: Document = {"$schema": SCHEMA, "name": entry.name}
    made |= {"title": entry.title} if entry.title else {}
    made |= {"description": entry.description or entry.title or entry.name[:LONGEST_LINE], "version": entry.version}
    made |= {name: value for name, value in shown.items() if not _names(value, hosts)}
    made["_meta"] = {OURS: {word: said for word, said in words.items() if said}}
    return made


def _hosts(document: Document) -> Iterator[str]:
    """Every host that an entry's file leads to, be it served or not, and those that its members of server.json name."""
    urls = [str(document.get("upstream", ""))]
    for one in cast("dict[str, Document]", document["connections"]).values():
        backends = (one or {}).get("backends", [])
        urls += map(str, backends.values() if isinstance(backends, dict) else cast("list[Json]", backends))
    yield from (urlsplit(url).hostname or "" for url in urls)
    server = cast("Document", document.get("server", {}))
    for remote in cast("list[Document]", server.get("remotes", [])):
        yield urlsplit(str(remote["url"])).netloc.rpartition("@")[2].partition(":")[0].lower()


def _names(value: Json, hosts: frozenset[str]) -> bool:
    text = json.dumps(value, ensure_ascii=False).lower()
    return any(host in text for host in hosts if host)
