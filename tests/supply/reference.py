"""Writes the pages of the reference that the code knows everything for: python -m tests.supply.reference."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.supply.cli_reference import cli_reference
from tests.supply.rest_reference import documents, rest_reference

DOCS: Final = Path(__file__).parents[2] / "docs"


def pages() -> Mapping[str, str]:
    """The text of each by its path below docs/."""
    made = {
        f"openapi/{name}.json": f"{json.dumps(one, indent=2, ensure_ascii=False)}\n"
        for name, one in documents().items()
    }
    return {"reference-cli.md": cli_reference(), "reference-rest.md": rest_reference(), **made}


if __name__ == "__main__":
    for name, text in pages().items():
        place = DOCS / name
        place.parent.mkdir(exist_ok=True)
        place.write_text(text, "utf-8")
