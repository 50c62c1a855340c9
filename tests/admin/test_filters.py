"""What a query asks of the ledger."""

from dataclasses import fields
from datetime import UTC, datetime, timedelta

import pytest

from mcpgov.admin.access import AdminRefusal
from mcpgov.admin.filters import FILTERS, NAMES, filter_of
from mcpgov.audit.reader import CallFilter
from tests.audit.calls import NOW


def test_every_filter_of_the_ledger_can_be_asked_for() -> None:
    assert set(NAMES) == {
        one.name for one in fields(CallFilter) if one.name not in {"since", "until", "limit", "oldest_first", "control"}
    }
    assert {"since", "until"} < {one.name for one in FILTERS}


def test_a_query_becomes_a_filter() -> None:
    asked = {"since": "15m", "until": "2026-11-20T13:00+01:00", "tool": " search ", "limit": "7", "unknown": "x"}
    wanted = filter_of(asked, NOW)
    assert wanted == CallFilter(
        NOW - timedelta(minutes=15), datetime(2026, 11, 20, 12, tzinfo=UTC), tool="search", limit=7
    )
    assert filter_of({}, NOW).limit == 100


@pytest.mark.parametrize(
    "asked",
    [
        {"tool": "x" * 257},
        {"since": "0d"},
        {"since": "0001-01-01T00:00+14:00"},
        {"limit": "1_0"},
        {"limit": "-1"},
        {"until": "1h", "since": "1h"},
    ],
)
def test_what_is_no_filter_is_refused(asked: dict[str, str]) -> None:
    with pytest.raises(AdminRefusal, match="invalid-request"):
        filter_of(asked, datetime(2020, 1, 1, tzinfo=UTC))


def test_text_that_no_store_can_hold_is_made_so_that_it_finds_nothing() -> None:
    assert filter_of({"tool": "\ud800"}, NOW).tool != "\ud800"
