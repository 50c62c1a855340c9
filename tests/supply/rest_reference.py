"""docs/reference-rest.md: every path of the admin API and of the registry, from their OpenAPI documents."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from mcpgov.admin.openapi import openapi
from tests.admin.house import admin_house
from tests.supply.registry_openapi import registry_openapi

HEAD: Final = """\
# Every path

The two HTTP interfaces that are not MCP, as OpenAPI 3.1, written by `scripts/reference`:

- [the admin API](admin.md), on its own listener, which serves
  [its document](openapi/admin.json) at `/admin/v1/openapi.json`;
- [the registry](registry.md), on the listener of agents ([its document](openapi/registry.json)).

How each says no is on [the admin API](admin.md#saying-no) and [the registry](registry.md).
"""
BESIDE: Final = """\
## Beside them

| path | listener | what |
|---|---|---|
| `/mcp/{connection}`, `/mcp` | agents | MCP: [on the wire](wire.md), [aggregate](aggregate.md) |
| `/.well-known/oauth-protected-resource/…` | agents | [what clients are told](sign-in.md#what-a-client-is-told) |
| `/consent/…`, `/oauth/callback` | agents | [consent](consent.md) |
| `/livez`, `/readyz` | agents | [health](operations.md#health) |
| `/console` | operators | [the console](console.md) |
| `/metrics` | operators | [Prometheus](telemetry.md#prometheus) |
"""


def documents() -> Mapping[str, Mapping[str, Any]]:
    """Each OpenAPI document by the name of its file. The version is that of the interface, not of a release."""
    with tempfile.TemporaryDirectory() as folder, admin_house(Path(folder)) as house:
        return {"admin": openapi(house.listener.routes, "v1"), "registry": registry_openapi("v0.1")}


def rest_reference() -> str:
    """The page."""
    made = documents()
    titles = {"admin": "The admin API", "registry": "The registry"}
    parts = [part for name, title in titles.items() for part in (f"## {title}\n", *sections(made[name]))]
    return "\n".join([HEAD, *parts, BESIDE])


def sections(document: Mapping[str, Any]) -> Iterator[str]:
    """What the page says of each operation."""
    for path, methods in sorted(document["paths"].items()):
        for method, said in methods.items():
            yield f"### `{method.upper()} {path}`\n"
            yield f"{said['summary']} {said['description']}\n"
            body = said.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            rows = [*map(row, said["parameters"]), *members(body)]
            if rows:
                yield "| | in | what |\n|---|---|---|"
                yield from rows
                yield ""
            yield f"{answers(said['responses'], document)}\n"


def row(one: Mapping[str, Any]) -> str:
    """A parameter of the path or the query."""
    needed = ", required" if one["required"] and one["in"] == "query" else ""
    return f"| `{one['name']}` | {one['in']}{needed} | {one.get('description', '')}{choices(one['schema'])} |"


def members(body: Mapping[str, Any]) -> Iterator[str]:
    """The members of a body."""
    for name, schema in body.get("properties", {}).items():
        needed = ", required" if name in body["required"] else ""
        many = " A list." if schema["type"] == "array" else ""
        yield f"| `{name}` | body{needed} | {schema['description']}{many}{choices(schema)} |"


def choices(schema: Mapping[str, Any]) -> str:
    """What can be chosen, where it is few; reasons have a page of their own."""
    listed = schema.get("enum", [])
    return f" One of {', '.join(f'`{one}`' for one in listed)}." if 0 < len(listed) <= 12 else ""


def answers(responses: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    """How it answers when all is well, with which members, and with which statuses else."""
    well = [(status, said) for status, said in responses.items() if status.startswith("2")]
    rest = [status for status in responses if not status.startswith("2")]
    told: list[str] = []
    for status, said in well:
        ((media, content),) = said["content"].items()
        inside = shape(content.get("schema", {}), document)
        told.append(f"{status}, `{media}`: {said['description']}" + (f" `{inside}`" if inside else ""))
    return f"Answers {'; '.join(told)}\n\nElse {', '.join(rest)}."


def shape(schema: Mapping[str, Any], document: Mapping[str, Any], depth: int = 3) -> str:
    """The members of an answer, down to those of what its lists hold: {keys: [{id, name, …}], next}."""
    if "$ref" in schema:
        return shape(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], document, depth)
    if "items" in schema and depth:
        inner = shape(schema["items"], document, depth - 1)
        return f"[{inner}]" if inner else ""
    if not schema.get("properties") or not depth:
        return ""
    named = ((name, shape(one, document, depth - 1)) for name, one in schema["properties"].items())
    return "{" + ", ".join(f"{name}: {inner}" if inner else name for name, inner in named) + "}"
