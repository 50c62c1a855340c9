"""The published JSON Schema (2020-12) of policy documents in YAML, for editors: made from what the elements declare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mcpgov.policy.attributes import mapping_schema
from mcpgov.policy.document import BASE, ENFORCE, MODE, REPORT
from mcpgov.policy.element import SECTIONS
from mcpgov.policy.elements.include_fragment import ROOT
from mcpgov.policy.registry import ELEMENTS

if TYPE_CHECKING:
    from mcpgov.models import Json

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def policy_schema() -> dict[str, Json]:
    """The schema of a document, or of a fragment."""
    properties: dict[str, Json] = {
        BASE: {
            "type": "boolean",
            "default": True,
            "description": "whether the broader scopes run before this document",
        },
        MODE: {"enum": [ENFORCE, REPORT], "default": ENFORCE, "description": "report: run it without enforcing it"},
    }
    for section in SECTIONS:
        names: list[Json] = [name for name in sorted(ELEMENTS) if section in ELEMENTS[name].sections]
        one: Json = {"allOf": [{"$ref": "#/$defs/step"}, {"propertyNames": {"enum": names}}]}
        properties[section] = {"type": "array", "items": one}
    properties[ROOT] = {"type": "array", "items": {"$ref": "#/$defs/step"}}
    return {
        "$schema": DIALECT,
        "title": "mcpgov policy",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "minProperties": 1,
        "$defs": {"step": _step()},
    }


def _step() -> Json:
    """One element: a mapping with its name as the only key."""
    elements: dict[str, Json] = {
        name: {**mapping_schema(loadable.attributes), "description": f"docs/policies/{name}.md says what it does"}
        for name, loadable in sorted(ELEMENTS.items())
    }
    return {
        "type": "object",
        "properties": elements,
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }
