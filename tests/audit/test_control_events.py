"""Every control event is named on the page of the ledger."""

import re
from pathlib import Path

from mcpgov.audit.control_events import ControlEvent

DOCS = Path(__file__).parents[2] / "docs"
WORDS = """
    start stop reload reload-refused log-level-changed certificate-renewed certificate-refused
    key-created key-revoked key-rotated consent-given consent-refused
    consent-page-returned consent-revoked admin-signed-in admin-refused admin-acted admin-key-created admin-key-revoked
    digest-key-rotated store-recovered sink-failed sink-recovered clock-regression purged verified export-failing
    export-recovered export-refused tools-trusted tool-pending tool-definition-changed tool-approved tool-rejected
    catalog-publishing catalog-published connection-unavailable connection-available writers
"""


def test_the_words_are_those_that_kept_records_are_found_by() -> None:
    assert [event.value for event in ControlEvent] == WORDS.split()


def test_what_happens_to_pins_is_named_where_it_is_explained() -> None:
    named = set(re.findall(r"`([a-z-]+)`", (DOCS / "pinning.md").read_text("utf-8")))
    pins = {event for event in ControlEvent if event.startswith("tool")}
    assert pins - named == set()
    assert len(pins) == 5


def test_what_happens_to_the_catalog_is_named_where_it_is_explained() -> None:
    named = set(re.findall(r"`([a-z-]+)`", (DOCS / "foundry.md").read_text("utf-8")))
    assert {event for event in ControlEvent if event.startswith("catalog")} <= named
