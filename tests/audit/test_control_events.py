"""Every control event is named on the page of the ledger."""

import re
from pathlib import Path

from mcpgov.audit.control_events import ControlEvent

DOCS = Path(__file__).parents[2] / "docs"


def test_what_happens_to_pins_is_named_where_it_is_explained() -> None:
    named = set(re.findall(r"`([a-z-]+)`", (DOCS / "pinning.md").read_text("utf-8")))
    pins = {event for event in ControlEvent if event.startswith("tool")}
    assert pins - named == set()
    assert len(pins) == 5


def test_what_happens_to_the_catalog_is_named_where_it_is_explained() -> None:
    named = set(re.findall(r"`([a-z-]+)`", (DOCS / "foundry.md").read_text("utf-8")))
    assert {event for event in ControlEvent if event.startswith("catalog")} <= named
