"""The registry of the data plane as OpenAPI 3.1: its paths, what may be asked, what comes back.

Written by hand after mcpgov/registry, which is no table of routes; tests/supply/test_registry_openapi.py asks a gateway
that runs for everything it says, and holds each answer against its schema.
Source: the registry's OpenAPI of 2025-12-01.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mcpgov.registry.asked import LARGEST_PAGE, PAGE
from mcpgov.registry.pages import OFFICIAL

TEXT: Final = {"type": "string"}
TIME: Final = {"type": "string", "format": "date-time"}
ERROR: Final = {"type": "object", "required": ["error"], "properties": {"error": TEXT}}
META: Final = {
    "type": "object",
    "required": [OFFICIAL],
    "properties": {
        OFFICIAL: {
            "type": "object",
            "required": ["status", "statusChangedAt", "publishedAt", "updatedAt", "isLatest"],
            "properties": {
                "status": {"enum": ["active", "deprecated", "deleted"]},
                **dict.fromkeys(("statusChangedAt", "publishedAt", "updatedAt"), TIME),
                "isLatest": {"type": "boolean"},
            },
        }
    },
}
SERVER: Final = {
    "type": "object",
    "description": "A server.json whose remotes are connections of the gateway.",
    "required": ["$schema", "name", "description", "version"],
    "properties": {
        **dict.fromkeys(("$schema", "name", "title", "description", "version"), TEXT),
        "remotes": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["type", "url"],
                "properties": {"type": {"const": "streamable-http"}, "url": TEXT, "headers": {"type": "array"}},
            },
        },
    },
}
ITEM: Final = {
    "type": "object",
    "required": ["server", "_meta"],
    "properties": {"server": {"$ref": "#/components/schemas/Server"}, "_meta": META},
}
LIST: Final = {
    "type": "object",
    "required": ["servers", "metadata"],
    "properties": {
        "servers": {"type": "array", "items": {"$ref": "#/components/schemas/Item"}},
        "metadata": {
            "type": "object",
            "required": ["count"],
            "properties": {"count": {"type": "integer", "minimum": 0}, "nextCursor": TEXT},
        },
    },
}
ASKED: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "limit": (
        f"How many at most; {PAGE} unless given.",
        {"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE},
    ),
    "cursor": ("The nextCursor of the page before. It holds the search and the filters.", TEXT),
    "search": ("Text in name, title or description, whatever its case.", TEXT),
    "version": ("`latest`, or one version.", TEXT),
    "updated_since": ("Changed at this time or later, deleted ones too.", TIME),
    "include_deleted": ("Whether deleted versions are told too.", {"type": "boolean"}),
}


def registry_openapi(version: str) -> Mapping[str, Any]:
    """The document."""
    deleted = [parameter("include_deleted")]
    servers, one = "/v0.1/servers", "/v0.1/servers/{name}/versions"
    every = [parameter(name) for name in ASKED]
    paths = {
        servers: operation("list-servers", "What there is, in pages.", "ServerList", every),
        one: operation("list-versions", "The versions of a server, the latest first.", "ServerList", deleted),
        f"{one}/{{version}}": operation("get-version", "One version; `latest` is the highest.", "Item", deleted),
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "mcpgov registry", "version": version},
        "security": [{"gatewayKey": []}, {"token": []}, {}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "gatewayKey": {"type": "http", "scheme": "bearer", "description": "mcpgov_…"},
                "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            },
            "schemas": {"Server": SERVER, "Item": ITEM, "ServerList": LIST, "Error": ERROR},
        },
    }


def operation(name: str, summary: str, answer: str, query: list[dict[str, Any]]) -> dict[str, Any]:
    """What the document says of one path, which has GET alone."""
    path = {"list-servers": (), "list-versions": ("name",), "get-version": ("name", "version")}[name]
    described = {
        "name": "The server, like com.contoso/github; its slash may be %2F.",
        "version": "A version, or `latest`.",
    }
    named = [
        {"name": one, "in": "path", "required": True, "description": described[one], "schema": TEXT} for one in path
    ]
    refusals = {"400": "What is asked cannot be meant.", "401": "Callers without a credential see nothing here."}
    missing = {"404": "There is no such server or version, or not for this caller."} if path else {}
    return {
        "get": {
            "operationId": name,
            "summary": summary,
            "description": "Answers have an ETag; a request with If-None-Match that names it gets 304.",
            "parameters": [*named, *query],
            "responses": {
                "200": told("What was asked for.", answer),
                "304": {"description": "As the client has it."},
                **{status: told(why, "Error") for status, why in {**refusals, **missing}.items()},
            },
        }
    }


def parameter(name: str) -> dict[str, Any]:
    """A parameter of the query."""
    description, schema = ASKED[name]
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}


def told(description: str, schema: str) -> dict[str, Any]:
    """A response with a body of JSON."""
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"description": description, "content": content}
