"""docs/pinning.md shows what the code says."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path

from mcpgov.cli.approval import shown, summary
from mcpgov.pinning import definition_lint, definitions, judgement, pin_store, pins, schema_lint
from mcpgov.pinning.approval import compared
from mcpgov.pinning.definitions import definition_digest, definition_text
from mcpgov.pinning.judgement import Pin
from mcpgov.pinning.mode import PinMode
from mcpgov.pinning.pin_store import KeptPin
from tests.audit.calls import NOW

PAGE = (Path(__file__).parents[2] / "docs" / "pinning.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def test_the_difference_on_the_page_is_the_one_that_is_shown() -> None:
    before, after = map(json.loads, blocks("json"))
    pin = Pin(
        "com.contoso/notes https://notes.contoso.com:443/mcp",
        "read_note",
        definition_digest(after),
        definition_digest(before),
    )
    texts = {definition_digest(tool): definition_text(tool) for tool in (before, after)}
    looked = compared([KeptPin(pin, NOW)], texts, ())
    assert blocks("text") == ["\n".join([*shown("com.contoso/notes", looked), summary(looked)]) + "\n"]


def test_every_mode_and_state_has_its_row() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \|", PAGE.partition("## What is recorded")[0], re.MULTILINE)
    assert [*PinMode, *judgement.PinState] == rows


def test_the_bounds_are_those_in_force() -> None:
    limits = definitions.LIMITS
    assert (limits.depth, limits.keys, limits.values, limits.string, limits.body) == (
        *(64, 10_000, 50_000),
        *(256 << 10, 1 << 20),
    )
    assert (definitions.MAX_TOOLS, definitions.MAX_LIST, judgement.MAX_PINS) == (5_000, 8 << 20, 10_000)
    assert (judgement.MAX_KEPT, pins.PAGES) == (32 << 20, 100)
    assert timedelta(hours=1) == pin_store.FIRST_SIGHT
    assert (schema_lint.MAX_DEPTH, schema_lint.MAX_SCHEMAS, schema_lint.MAX_ENUM) == (32, 1_000, 1_000)
    assert (schema_lint.MAX_LEAST, schema_lint.MAX_OPEN, definition_lint.MAX_DESCRIPTION) == (10_000, 4, 4_096)
