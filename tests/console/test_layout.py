"""The frame of a page, and what the badge says of the ledger: never more than is known."""

import base64
import hashlib
from datetime import timedelta

import pytest

from mcpgov.admin.access import Person, Role
from mcpgov.admin.sessions import Session
from mcpgov.audit.review import LedgerState, Verified
from mcpgov.console.layout import Frame, Layout, chain_badge
from tests.audit.calls import NOW


@pytest.mark.parametrize(
    ("state", "mood", "says"),
    [
        (LedgerState(5, 0), "warn", "No checkpoint yet"),
        (LedgerState(5, 0, NOW - timedelta(seconds=8), 2), "good", "Checkpoint 8 s ago"),
        (LedgerState(5, 0, NOW - timedelta(hours=2), 0), "good", "Checkpoint 2 h ago"),
        (LedgerState(5, 0, NOW - timedelta(hours=2), 2), "warn", "Checkpoint 2 h ago"),
    ],
)
def test_the_badge_is_good_only_where_what_was_written_is_signed(state: LedgerState, mood: str, says: str) -> None:
    badge = str(chain_badge(state, NOW))
    assert f'class="badge {mood}"' in badge
    assert says in badge
    assert ">Verified" not in badge


@pytest.mark.parametrize("result", ["tampered", "gap", "torn"])
def test_the_badge_is_red_where_the_last_verification_found_something(result: str) -> None:
    seen = Verified(NOW - timedelta(minutes=5), result, "local:<b>dana")
    badge = str(chain_badge(LedgerState(5, 0, NOW, 0, seen), NOW))
    assert 'class="badge bad"' in badge
    assert f"Verified 5 min ago: {result}" in badge
    assert f"by local:&lt;b&gt;dana: {result}. See mcpgov audit verify." in badge


def test_a_verification_that_found_nothing_is_said_beside_the_checkpoint() -> None:
    seen = Verified(NOW - timedelta(hours=3), "ok", "local:dana")
    badge = str(chain_badge(LedgerState(5, 0, NOW, 0, seen), NOW))
    assert 'class="badge good"' in badge
    assert "It was verified 3 h ago by local:dana: ok." in badge
    assert "It was not verified" in str(chain_badge(LedgerState(5, 0, NOW, 0), NOW))


def test_the_policy_allows_the_one_style_sheet_and_no_more() -> None:
    layout = Layout()
    page = layout.bare("A", "<b>").decode()
    style = page.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in layout.policy
    assert "unsafe" not in layout.policy
    assert "&lt;b&gt;" in page


def test_a_page_says_where_one_is_and_who_one_is() -> None:
    frame = Frame(Session(Person("Dana", Role.VIEWER), "1"), "token", LedgerState(0, 0), NOW)
    page = Layout().page("Usage", "x", frame, "Usage").decode()
    assert '<a href="/console/usage" aria-current="page">Usage</a>' in page
    assert page.count("aria-current") == page.partition("</style>")[0].count("aria-current") + 1
    assert "Dana" in page
    assert 'value="token"' in page
