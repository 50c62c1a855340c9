"""The JSON Schemas (2020-12) that editors complete and check YAML with: of policies, catalog entries and mcpgov.yaml.

Made from what the code itself reads. They refuse less than it does: what only a check in code can say is left to that.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from mcpgov.catalog.entries import EntryShape
from mcpgov.policy.schema import DIALECT, policy_schema
from mcpgov.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pydantic import BaseModel

_TEXT: Final = {"type": "string"}
_LISTED: Final = {"type": "array", "items": _TEXT}
# Where a value may be written in a second way, which a check before the type takes care of: the shape, key and way.
_ALSO: Final[Mapping[tuple[str, str], Mapping[str, Any]]] = {
    ("ConnectionShape", "backends"): _LISTED,
    ("ConnectionShape", "timeout"): {"type": "number", "minimum": 1, "maximum": 240},
    ("Settings", "counters"): _TEXT,
}


def schemas() -> dict[str, str]:
    """The text of each schema by the name of its file."""
    made = {
        "catalog.schema.json": _of_model(EntryShape, "mcpgov catalog entry"),
        "mcpgov.schema.json": _of_model(Settings, "mcpgov.yaml"),
        "policy.schema.json": policy_schema(),
    }
    return {name: f"{json.dumps(schema, indent=2, ensure_ascii=False)}\n" for name, schema in made.items()}


def write_schemas(folder: Path) -> None:
    """Write them all into `folder`, in place of what is there. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in schemas().items():
        (folder / name).write_text(text, "utf-8")


def _of_model(model: type[BaseModel], title: str) -> dict[str, Any]:
    schema = model.model_json_schema()
    shapes: dict[str, Any] = {model.__name__: schema, **schema.get("$defs", {})}
    for name, shape in shapes.items():
        shape.pop("title", None)
        properties: dict[str, Any] = shape.get("properties", {})
        for key in [key for key, said in properties.items() if not said.keys() - {"title", "default"}]:
            del properties[key]  # the name is taken, for a later version
        for key, said in properties.items():
            said.pop("title", None)
            if also := _ALSO.get((name, key)):
                rest = {word: said.pop(word) for word in said.keys() & {"default", "description"}}
                properties[key] = {"anyOf": [dict(said), also], **rest}
    return {"$schema": DIALECT, "title": title, **schema}
