"""The OpenAPI 3.1 document of the admin API, from the same declarations that serve it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from mcpgov.admin.access import STATUS, Fault
from mcpgov.admin.answers import SHAPES
from mcpgov.admin.routes import BASE, JSON_TYPE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mcpgov.admin.routes import Parameter, Route

REFUSED = {
    "description": "Refused; the error says why.",
    "content": {JSON_TYPE: {"schema": {"$ref": "#/components/schemas/Refused"}}},
}
REFUSALS = {str(status): {"$ref": "#/components/responses/Refused"} for status in sorted({*STATUS.values()})}
ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["reason", "message"],
            "properties": {"reason": {"enum": [fault.value for fault in Fault]}, "message": {"type": "string"}},
        }
    },
}


def openapi(routes: Sequence[Route], version: str) -> Mapping[str, Any]:
    """The document of these routes."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(BASE + route.path, {})[route.method.lower()] = operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "mcpgov admin API", "version": version},
        "security": [{"adminKey": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"adminKey": {"type": "http", "scheme": "bearer", "description": "mcpgov_admin_…"}},
            "schemas": {"Refused": ERROR},
            "responses": {"Refused": REFUSED},
        },
    }


def operation(route: Route) -> dict[str, Any]:
    """What the document says of one route."""
    named = re.findall(r"\{(\w+)\}", route.path)
    said: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "description": f"Needs the role {route.role}.",
        "parameters": [
            *({"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in named),
            *(parameter(one) for one in route.query),
        ],
        "responses": {
            str(route.status): {"description": route.returns, "content": {route.content_type: answered(route)}},
            **REFUSALS,
        },
    }
    if route.body:
        said["requestBody"] = {"required": True, "content": {JSON_TYPE: {"schema": schema(route.body)}}}
    return said


def answered(route: Route) -> dict[str, Any]:
    """The type of an answer, where it is JSON; a file has lines, and no schema."""
    return {"schema": SHAPES[route.name]} if route.name in SHAPES else {}


def parameter(one: Parameter) -> dict[str, Any]:
    """A parameter of the query."""
    return {"name": one.name, "in": "query", "required": one.required, "description": one.summary, "schema": kind(one)}


def schema(members: Sequence[Parameter]) -> dict[str, Any]:
    """The schema of a body."""
    properties = {one.name: {**kind(one), "description": one.summary} for one in members}
    required = [one.name for one in members if one.required]
    return {"type": "object", "additionalProperties": False, "properties": properties, "required": required}


def kind(one: Parameter) -> dict[str, Any]:
    """The type of a parameter or member."""
    if one.many:
        return {"type": "array", "items": {"type": "string"}}
    return {"type": "string", "enum": list(one.choices)} if one.choices else {"type": "string"}
