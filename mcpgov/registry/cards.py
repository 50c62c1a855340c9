"""MCP server cards, and the AI catalog that leads to them: an experiment, as both are drafts. Pure.

A card says of one connection what the registry says of its server, and its only remote is that connection. Nothing of
an upstream is in it. Refuses to know: who calls (that has become a Reach), and HTTP.
Sources: SEP-2127 and its discovery document, as drafted in 2026; AI Catalog, ADR 0015 for the identifiers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mcpgov.registry.pages import server_of

if TYPE_CHECKING:
    from mcpgov.catalog.listed import Document, Listed
    from mcpgov.models import Json
    from mcpgov.registry.pages import Reach, Shelf, Told

CARD: Final = "application/mcp-server-card+json"
CATALOG: Final = "application/ai-catalog+json"
SCHEMA: Final = "https://static.modelcontextprotocol.io/schemas/v2/server-card.schema.json"
SPECIFICATION: Final = "1.0"  # of the AI catalog


def card(shelf: Shelf, reach: Reach, connection: str, told: Told) -> Document | None:
    """The card of a connection; None where the caller sees no such one."""
    for one in shelf:
        if not one.deleted and any(way.connection == connection for way in one.ways):
            ways = [way for way in reach.ways(one) if way.connection == connection]
            return {**server_of(one, ways, told), "$schema": SCHEMA} if ways else None
    return None


def ai_catalog(shelf: Shelf, reach: Reach, told: Told) -> Document:
    """Where the card of each connection is that the caller sees."""
    entries: list[Json] = [
        _entry(one, way.connection, told) for one in shelf for way in (() if one.deleted else reach.ways(one))
    ]
    return {"specVersion": SPECIFICATION, "entries": entries}


def _entry(one: Listed, connection: str, told: Told) -> Document:
    namespace, _, name = one.name.partition("/")
    publisher = ".".join(reversed(namespace.split(".")))
    return {
        "identifier": f"urn:air:{publisher}:{name}:{connection}",
        "displayName": one.title or one.name,
        "type": CARD,
        "url": f"{told.gateway}/mcp/{connection}/server-card",
    }
